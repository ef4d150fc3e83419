//! The shape of the source tree: which file uses which, and that no circle of files grows.
//!
//! `cargo test --workspace --test it structure -- --nocapture` prints every circle there is.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::paths;
use crate::tidy::body;

/// Files of one circle at most: a parent and its children.
const CIRCLE: usize = 12;

/// Lines of a function at most.
const FUNCTION: usize = 70;

/// Functions that are a table, a line or a few for each kind of fact.
const TABLES: [(&str, &str); 2] = [
    ("coordinator/src/engine/instance/evolve.rs", "apply"),
    ("coordinator/src/history/writer.rs", "describe"),
];

/// Columns of a line of Rust, and of Markdown.
const COLUMNS: usize = 100;
const MARKDOWN_COLUMNS: usize = 120;

/// Where a module is in its crate: `["journal", "store"]`.
type Module = Vec<String>;

/// A crate's files, without its tests and comments.
struct Tree {
    texts: BTreeMap<Module, String>,
    /// What a module passes on from others, by its name there.
    passed_on: BTreeMap<(Module, String), Module>,
}

impl Tree {
    fn read(member: &str) -> Self {
        let root = paths::root().join(member).join("src");
        let mut texts = BTreeMap::new();
        for file in paths::files(&root) {
            let path = file.strip_prefix(&root).unwrap().with_extension("");
            let mut module: Module =
                path.iter().map(|it| it.to_string_lossy().into_owned()).collect();
            let is_test = |it: &String| {
                ["tests", "contract", "testing"].contains(&it.as_str()) || it.ends_with("_tests")
            };
            if file.extension().is_none_or(|it| it != "rs") || module.iter().any(is_test) {
                continue;
            }
            if module == ["lib"] || module == ["main"] {
                module.clear();
            }
            texts.insert(module, plain(&std::fs::read_to_string(&file).unwrap()));
        }
        let mut tree = Self { texts, passed_on: BTreeMap::new() };
        for (module, text) in &tree.texts {
            for (public, used) in uses(text) {
                for path in used.into_iter().filter(|_| public) {
                    if let Some(whole) = tree.absolute(module, &path) {
                        let name = whole.last().cloned().unwrap_or_default();
                        tree.passed_on.insert((module.clone(), name), whole);
                    }
                }
            }
        }
        tree
    }

    /// The path from the crate's root; none for what is in another crate.
    fn absolute(&self, module: &Module, path: &str) -> Option<Module> {
        let mut parts: Vec<&str> = path.split("::").filter(|it| !it.is_empty()).collect();
        let mut from = module.clone();
        match *parts.first()? {
            "crate" => from.clear(),
            "self" => {}
            "super" => {
                while parts.get(1) == Some(&"super") {
                    parts.remove(0);
                    from.pop();
                }
                from.pop();
            }
            first => {
                from.push(first.to_owned());
                return self.texts.contains_key(&from).then(|| {
                    from.extend(parts[1..].iter().map(|it| (*it).to_owned()));
                    from
                });
            }
        }
        from.extend(parts[1..].iter().map(|it| (*it).to_owned()));
        Some(from)
    }

    /// The file that a path leads to, through what modules pass on.
    fn file(&self, path: &[String], hops: usize) -> Option<Module> {
        for length in (0..=path.len()).rev() {
            let module = path[..length].to_vec();
            if !self.texts.contains_key(&module) {
                continue;
            }
            let passed = path.get(length).map(|name| (module.clone(), name.clone()));
            return match passed.and_then(|it| self.passed_on.get(&it)) {
                Some(whole) if hops > 0 => {
                    self.file(&[whole, &path[length + 1..]].concat(), hops - 1)
                }
                _ => Some(module),
            };
        }
        None
    }

    /// For each file those it uses.
    fn edges(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let of = |(module, text): (&Module, &String)| {
            let private = uses(text).into_iter().filter(|(public, _)| !public);
            let inline = inline_paths(&without_uses(text));
            let used = private.flat_map(|(_, paths)| paths).chain(inline);
            let files = used
                .filter_map(|path| self.file(&self.absolute(module, &path)?, 6))
                .filter(|it| it != module);
            (module.clone(), files.collect())
        };
        self.texts.iter().map(of).collect()
    }
}

/// A text without comments, strings and its own unit tests.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for line in body(text).lines() {
        let mut quoted = false;
        let mut previous = ' ';
        for (at, letter) in line.char_indices() {
            if !quoted && line[at..].starts_with("//") {
                break;
            }
            if letter == '"' && previous != '\\' && previous != '\'' {
                quoted = !quoted;
            }
            if !quoted {
                plain.push(letter);
            }
            previous = letter;
        }
        plain.push('\n');
    }
    plain
}

/// The paths of each `use`, and whether it passes them on.
fn uses(text: &str) -> Vec<(bool, Vec<String>)> {
    let mut found = Vec::new();
    for statement in text.split(';') {
        // What is before it on other lines ended with a brace or an attribute.
        let Some(at) = statement
            .rfind("use ")
            .filter(|at| statement[..*at].chars().next_back().is_none_or(|it| it.is_whitespace()))
        else {
            continue;
        };
        let before = statement[..at].trim_end().rsplit('\n').next().unwrap_or_default();
        let public = before.trim_start().starts_with("pub");
        found.push((public, expand(&statement[at + 4..])));
    }
    found
}

/// A text without its `use` statements.
fn without_uses(text: &str) -> String {
    let rest = |statement: &str| match statement.rfind("use ") {
        Some(at) if statement[..at].chars().next_back().is_none_or(char::is_whitespace) => {
            statement[..at].to_owned()
        }
        _ => format!("{statement};"),
    };
    text.split(';').map(rest).collect()
}

/// `a::{b, c::{d, e}}` as three paths.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((before, inside)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.split_whitespace().collect()];
    };
    let inside = inside.trim_end().strip_suffix('}').unwrap_or(inside);
    let (mut depth, mut from, mut all) = (0, 0, Vec::new());
    for (at, letter) in inside.char_indices().chain([(inside.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let item = inside[from..at].trim();
                if !item.is_empty() {
                    all.extend(expand(&format!("{before}{item}")));
                }
                from = at + 1;
            }
            _ => {}
        }
    }
    all
}

/// Paths that begin with a module's name, wherever they stand.
fn inline_paths(text: &str) -> Vec<String> {
    let letter = |it: char| it.is_alphanumeric() || it == '_' || it == ':';
    let words = text.split(|it| !letter(it));
    let path = |it: &&str| it.contains("::") && it.starts_with(|it: char| it.is_lowercase());
    words.filter(path).map(str::to_owned).collect()
}

/// Files that use each other in a circle, largest circle first.
fn circles(edges: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<BTreeSet<Module>> {
    let reached: BTreeMap<&Module, BTreeSet<Module>> = edges
        .keys()
        .map(|from| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
            while let Some(next) = open.pop() {
                for to in &edges[next] {
                    if seen.insert(to.clone()) {
                        open.push(to);
                    }
                }
            }
            (from, seen)
        })
        .collect();
    let mut all = BTreeSet::new();
    for (from, seen) in &reached {
        let circle: BTreeSet<Module> =
            seen.iter().filter(|to| reached[*to].contains(*from)).cloned().collect();
        if circle.len() > 1 {
            all.insert(circle);
        }
    }
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|it| std::cmp::Reverse(it.len()));
    all
}

/// The folder whose files a circle joins, where it joins those of several.
fn folders(circle: &BTreeSet<Module>) -> BTreeSet<&str> {
    circle.iter().map(|it| it.first().map_or("", String::as_str)).collect()
}

#[test]
fn files_use_each_other_in_no_circles_but_small_ones_of_one_folder() {
    let mut wrong = Vec::new();
    for member in ["proto", "coordinator", "worker", "cli"] {
        for circle in circles(&Tree::read(member).edges()) {
            let names: Vec<String> = circle.iter().map(|it| it.join("/")).collect();
            let text = format!("{member}: {} files: {}", circle.len(), names.join(" "));
            println!("{text}");
            if circle.len() > CIRCLE || folders(&circle).len() > 1 {
                wrong.push(text);
            }
        }
    }
    assert!(wrong.is_empty(), "circles:\n{}", wrong.join("\n"));
}

#[test]
fn circles_are_found() {
    let module = |it: &str| it.split('/').map(str::to_owned).collect::<Module>();
    let edges = [("a/x", "b"), ("b", "a/y"), ("a/y", "a/x"), ("c", "b")];
    let mut all: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (from, to) in edges {
        all.entry(module(from)).or_default().insert(module(to));
        all.entry(module(to)).or_default();
    }
    let found = circles(&all);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0], ["a/x", "a/y", "b"].map(module).into());
    assert_eq!(folders(&found[0]), ["a", "b"].into());
    let used = uses("pub use a::{b, c::{d, e as f}};\nfn g() { x(); }\nuse super::h;\n");
    let paths = ["a::b", "a::c::d", "a::c::e"].map(str::to_owned).to_vec();
    assert_eq!(used, [(true, paths), (false, vec!["super::h".to_owned()])]);
}

/// Functions of a text with the lines each takes.
fn functions(text: &str) -> Vec<(String, usize)> {
    let mut all = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let mut words = line.split_whitespace().skip_while(|it| {
            it.starts_with("pub") || ["const", "async", "unsafe", "super)", "crate)"].contains(it)
        });
        if words.next() != Some("fn") {
            continue;
        }
        // One without a body ends with its signature.
        let signature = lines[at..].iter().find(|it| it.ends_with(['{', ';', '}']));
        if signature.is_none_or(|it| !it.ends_with('{')) {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        let length = lines[at..].iter().position(|it| *it == end);
        let name = words.next().unwrap_or_default().split(['(', '<']).next().unwrap_or_default();
        all.push((name.to_owned(), length.map_or(1, |it| it + 1)));
    }
    all
}

#[test]
fn functions_are_short_and_lines_are_not_long() {
    let root = paths::root();
    let mut wrong = Vec::new();
    for member in ["proto", "coordinator", "worker", "cli"] {
        for file in paths::files(&root.join(member).join("src")) {
            let path = file.strip_prefix(&root).unwrap().display().to_string();
            if !path.ends_with(".rs") {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            let comments = text.lines().enumerate().filter(|(_, line)| {
                let is_comment = line.trim_start().starts_with("//");
                // Links, layouts and examples cannot be broken.
                let is_whole = ["://", "|", "  "].iter().any(|it| line.trim().contains(it));
                is_comment && line.chars().count() > COLUMNS && !is_whole
            });
            wrong.extend(comments.map(|(at, _)| format!("{path}:{}: too long", at + 1)));
            if path.contains("tests") || path.contains("contract") {
                continue;
            }
            let long = functions(&text).into_iter().filter(|(name, lines)| {
                *lines > FUNCTION && !TABLES.contains(&(path.as_str(), name.as_str()))
            });
            wrong.extend(long.map(|(name, lines)| format!("{path}: {name} has {lines} lines")));
        }
    }
    let named = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|it| root.join(it));
    // The table of deviations is made, not written.
    let made = |it: &std::path::PathBuf| it.ends_with("DEVIATIONS.md");
    let docs = paths::files(&root.join("docs")).into_iter().filter(|it| !made(it));
    let texts: Vec<_> = named.into_iter().chain(docs).collect();
    for file in texts {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut in_code = false;
        // A row of a table and a line of code cannot be broken.
        let long = text.lines().enumerate().filter(|(_, line)| {
            in_code ^= line.trim_start().starts_with("```");
            !in_code && line.chars().count() > MARKDOWN_COLUMNS && !line.starts_with('|')
        });
        wrong.extend(long.map(|(at, _)| format!("{}:{}: too long", file.display(), at + 1)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(functions("fn a() {\n    b\n}\n"), [("a".to_owned(), 3)]);
}
