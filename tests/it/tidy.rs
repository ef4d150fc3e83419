//! Rules of this repository that no other tool checks.

mod invariants;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use crate::support::paths;

/// Lines a file of the product may have, its own unit tests not counted.
const LINES: usize = 600;

/// A source file: its path from the root, and its text.
struct Source {
    path: String,
    text: String,
}

/// All Rust sources of the workspace, build output left out.
fn sources() -> Vec<Source> {
    let root = paths::root();
    let folders = ["proto", "coordinator", "worker", "cli", "tests"];
    let files = folders.iter().flat_map(|it| paths::files(&root.join(it)));
    let rust = |path: &PathBuf| {
        path.extension().is_some_and(|it| it == "rs")
            && !path.components().any(|it| it.as_os_str() == "target")
    };
    let read = |path: PathBuf| Source {
        path: path.strip_prefix(&root).unwrap().display().to_string(),
        text: std::fs::read_to_string(&path).unwrap(),
    };
    let all: Vec<Source> = files.filter(rust).map(read).collect();
    assert!(all.len() > 40, "only {} sources found", all.len());
    all
}

/// Only the product: no tests.
fn product() -> impl Iterator<Item = Source> {
    let is_test = |path: &str| {
        path.starts_with("tests/")
            || path.ends_with("/tests.rs")
            || path.contains("/tests/")
            || path.contains("/contract")
    };
    sources().into_iter().filter(move |it| !is_test(&it.path))
}

/// The text before a file's own unit tests.
pub(crate) fn body(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod ")
        .or(text.find("#[cfg(test)]\n#[allow"))
        .map_or(text, |at| &text[..at])
}

/// Names `path:line: text` for every line that fits.
fn lines(source: &Source, text: &str, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let numbered = text.lines().enumerate().filter(|(_, line)| fits(line));
    numbered.map(|(at, line)| format!("{}:{}: {}", source.path, at + 1, line.trim())).collect()
}

fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let long = |it: &Source| body(&it.text).lines().count() > LINES;
    let found: Vec<String> = product().filter(long).map(|it| it.path).collect();
    none(&format!("files with more than {LINES} lines; split them"), &found);
}

#[test]
fn the_engine_is_pure() {
    let outside = [
        "tokio",
        "sled",
        "std::time",
        "std::fs",
        "std::net",
        "rand",
        "fastrand",
        "tracing",
        "uuid::Uuid::new",
        "axum",
        "reqwest",
    ];
    let found: Vec<String> = product()
        .filter(|it| it.path.starts_with("coordinator/src/engine"))
        .flat_map(|it| {
            lines(&it, body(&it.text), |line| {
                let line = line.trim_start();
                !line.starts_with("//") && outside.iter().any(|name| names(line, name))
            })
        })
        .collect();
    none("the engine has no clock, randomness, I/O or logging", &found);
}

/// True when `line` names the crate or path `name` as a whole word, followed by `::`, or uses it.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + name.len()..];
        let whole = !before.is_some_and(|it| it.is_alphanumeric() || "_:".contains(it));
        whole
            && (after.starts_with("::")
                || (line.starts_with("use ") && after.starts_with([';', ' '])))
    })
}

#[test]
fn sled_is_named_in_one_place() {
    let root = paths::root();
    for member in ["proto", "worker", "cli", "tests"] {
        let manifest = std::fs::read_to_string(root.join(member).join("Cargo.toml")).unwrap();
        assert!(!manifest.contains("sled"), "{member} depends on the store");
    }
    // Elsewhere in the coordinator `sled` may only be the journal's own module.
    let found: Vec<String> = product()
        .filter(|it| it.path.starts_with("coordinator/src/"))
        .filter(|it| !it.path.starts_with("coordinator/src/journal/sled"))
        .flat_map(|it| {
            lines(&it, &it.text, |line| {
                let line = line.trim_start();
                !line.starts_with("//")
                    && (line.starts_with("use sled") || line.contains("::sled::"))
                    && !["journal::sled::", "self::sled::", "super::sled::"]
                        .iter()
                        .any(|it| line.contains(it))
            })
        })
        .collect();
    none("only coordinator/src/journal/sled* may name the store", &found);
}

#[test]
fn no_module_is_called_mod() {
    let found: Vec<String> =
        sources().into_iter().map(|it| it.path).filter(|it| it.ends_with("/mod.rs")).collect();
    none("a module `foo` lives in foo.rs, its children in foo/", &found);
}

#[test]
fn tests_neither_sleep_nor_skip() {
    // Put together so that this file does not find itself.
    let words =
        [["#[ig", "nore"], ["thread::", "sleep"], ["time::", "sleep("]].map(|it| it.concat());
    let in_tests = |source: Source| {
        let text = if source.path.starts_with("tests/") {
            &source.text[..]
        } else {
            &source.text[body(&source.text).len()..]
        };
        let skipped = source.text.lines().count() - text.lines().count();
        let found = text
            .lines()
            .enumerate()
            .filter(|(_, line)| words.iter().any(|it| line.contains(it.as_str())));
        found
            .map(|(at, line)| format!("{}:{}: {}", source.path, at + skipped + 1, line.trim()))
            .collect::<Vec<_>>()
    };
    let found: Vec<String> = sources().into_iter().flat_map(in_tests).collect();
    none("tests wait for conditions, and all of them run", &found);
}

/// Without it serde says of wrong data that it expected `struct` and a name of Rust's.
#[test]
fn what_people_write_is_not_named_as_rust_names_it() {
    let strict = ["deny_unknown", "_fields"].concat();
    let silent = |source: Source| {
        let pieces = source.text.split(&strict).skip(1);
        let attributes = pieces.map(|it| it.split(")]").next().unwrap_or_default());
        let silent = attributes.filter(|it| !it.contains("expecting")).count();
        (silent > 0).then(|| format!("{}: {silent}", source.path))
    };
    let found: Vec<String> = product().filter_map(silent).collect();
    none("data that is checked by field says what it expects (`expecting`)", &found);
}

#[test]
fn nothing_names_the_workplace() {
    let words = [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"]].map(|it| it.concat());
    let root = paths::root();
    let mut files: Vec<PathBuf> = sources().iter().map(|it| root.join(&it.path)).collect();
    files.extend(paths::files(&root.join("examples")));
    files.extend(paths::files(&root.join(".ci")));
    files.extend(paths::files(&root.join("deploy")));
    files.extend(
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "Cargo.toml", "deny.toml"]
            .map(|it| root.join(it)),
    );
    let mut found = Vec::new();
    for file in files.into_iter().filter(|it| it.is_file()) {
        let text = std::fs::read_to_string(&file).unwrap();
        let path = file.strip_prefix(&root).unwrap().display().to_string();
        let source = Source { path, text };
        found.extend(lines(&source, &source.text, |line| {
            words.iter().any(|it| line.contains(it.as_str()))
        }));
    }
    none("paths of one machine", &found);
}

#[test]
fn every_limit_is_used_and_has_a_reason() {
    let (limits, others): (Vec<Source>, Vec<Source>) =
        product().partition(|it| it.path.starts_with("proto/src/limits"));
    let text: String = limits.into_iter().map(|it| it.text).collect();
    let others: Vec<String> = others.into_iter().map(|it| it.text).collect();
    let is_word = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let used: HashSet<&str> = others.iter().flat_map(|it| it.split(|c| !is_word(c))).collect();
    let mut reasons: BTreeMap<&str, bool> = BTreeMap::new();
    let mut documented = false;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("pub const ") {
            reasons.insert(rest.split(':').next().unwrap(), documented);
        }
        documented = line.starts_with("///");
    }
    assert!(reasons.len() > 10, "no limits found");
    let bare: Vec<String> =
        reasons.iter().filter(|(_, it)| !**it).map(|(name, _)| (*name).to_owned()).collect();
    none("limits without a reason", &bare);
    let unused: Vec<String> =
        reasons.keys().filter(|it| !used.contains(*it)).map(|it| (*it).to_owned()).collect();
    none("limits nothing keeps", &unused);
}

/// Where numbers stand that are no bounds of ours: those of a format, of another's specification, of
/// what values weigh, pixels of a picture, and of the measuring tool.
const NO_BOUNDS: [&str; 35] = [
    "cli/src/command/bench/",
    "cli/src/command/dev.rs",
    "cli/src/options/retention.rs",
    "coordinator/src/accept/ui/timeline.rs",
    "coordinator/src/audit/key.rs",
    "coordinator/src/backup/archive.rs",
    "coordinator/src/backup/seal.rs",
    "coordinator/src/cluster/entry.rs",
    "coordinator/src/cluster/pipe.rs",
    "coordinator/src/engine/instance/held.rs",
    "coordinator/src/file.rs",
    "coordinator/src/identity/keys.rs",
    "coordinator/src/journal/",
    "coordinator/src/memory.rs",
    "coordinator/src/quarantine.rs",
    "coordinator/src/secrets/grants.rs",
    "proto/src/definition/document.rs",
    "proto/src/definition/text",
    "proto/src/duration.rs",
    "proto/src/expression/compile/",
    "proto/src/expression/natives/entries.rs",
    "proto/src/expression/natives/path.rs",
    "proto/src/expression/uri/",
    "proto/src/graph/svg.rs",
    "proto/src/limits",
    "proto/src/schema/node.rs",
    "proto/src/value",
    "proto/src/wire/",
    "worker/src/perform/a2a/method.rs",
    "worker/src/perform/json_rpc/message.rs",
    "worker/src/perform/mcp/message.rs",
    "worker/src/perform/secret_access.rs",
    "worker/src/secret_store/sealer.rs",
    "worker/src/supervise.rs",
    "worker/src/supervise/order.rs",
];

/// The constant that a line declares, where that is a number and does not follow from a limit.
fn declares_number(line: &str) -> bool {
    let Some((_, rest)) = line.split_once("const ") else { return false };
    let Some((_, kind)) = rest.split_once(": ") else { return false };
    let numbers = ["usize =", "u64 =", "u32 =", "u16 =", "i64 =", "f64 =", "Duration ="];
    numbers.iter().any(|it| kind.starts_with(it)) && !line.contains("limits::")
}

#[test]
fn bounds_stand_with_the_limits() {
    let ours = |it: &Source| !NO_BOUNDS.iter().any(|path| it.path.starts_with(path));
    let found: Vec<String> = product()
        .filter(ours)
        .filter(|it| !it.path.contains("testing") && !it.path.ends_with("_tests.rs"))
        .flat_map(|it| lines(&it, body(&it.text), declares_number))
        .collect();
    none("bounds outside of proto/src/limits; give them a name, a unit and a reason there", &found);
}

/// What a manifest says under `[dependencies]`, by name; what is optional is left out.
fn dependencies(manifest: &str) -> Vec<&str> {
    let lines = manifest.lines().skip_while(|it| *it != "[dependencies]").skip(1);
    lines
        .take_while(|it| !it.starts_with('['))
        .filter(|it| !it.contains("optional"))
        .filter_map(|it| it.split_once(['.', ' ']).map(|(name, _)| name))
        .filter(|it| !it.is_empty() && !it.starts_with('#'))
        .collect()
}

/// The fuzz targets have a lock file of their own, which nothing else brings up to date.
#[test]
fn the_lock_of_the_fuzz_targets_knows_our_dependencies() {
    let read = |path: &str| std::fs::read_to_string(paths::root().join(path)).unwrap();
    let lock = read("tests/fuzz/Cargo.lock");
    let entry = |package: &str| {
        let name = package.rsplit('/').next().unwrap_or(package);
        let name = format!("name = \"windlass-{name}\"\n");
        lock.split("[[package]]\n").find(|it| it.starts_with(&name)).map(str::to_owned).unwrap()
    };
    let packages = ["proto", "coordinator", "proto/telemetry"];
    let unknown = packages.into_iter().flat_map(|package| {
        let (manifest, entry) = (read(&format!("{package}/Cargo.toml")), entry(package));
        let all = dependencies(&manifest).into_iter().map(str::to_owned);
        let missing = all.filter(move |name| {
            let known = [format!("\"{name}\""), format!("\"{name} ")];
            !known.iter().any(|it| entry.contains(it.as_str()))
        });
        missing.map(move |name| format!("{package}: {name}")).collect::<Vec<_>>()
    });
    none(
        "run `cargo update --workspace` in tests/fuzz; its lock file lacks",
        &unknown.collect::<Vec<_>>(),
    );
}

#[test]
fn the_rules_see_what_they_look_for() {
    let manifest =
        "[dependencies]\n# Why.\na.workspace = true\nb = \"1\"\n\n[dev-dependencies]\nc = \"1\"\n";
    assert_eq!(dependencies(manifest), ["a", "b"]);
    assert!(names("use tokio::sync::mpsc;", "tokio"));
    assert!(names("    let now = std::time::Instant::now();", "std::time"));
    assert!(!names("use crate::time::Timestamp;", "std::time"));
    assert!(!names("let operand = 1;", "rand"));
    assert!(declares_number("    const PAGE: usize = 8;"));
    assert!(declares_number("pub(super) const PAUSE: Duration = Duration::from_secs(1);"));
    assert!(!declares_number("const PAUSE: Duration = Duration::from_millis(limits::PAUSE_MS);"));
    assert!(!declares_number("const NAME: &str = \"a\";"));
    assert_eq!(body("fn a() {}\n#[cfg(test)]\nmod tests {}\n"), "fn a() {}\n");
}
