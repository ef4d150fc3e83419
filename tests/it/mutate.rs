//! A few seconds of seeded mutations over the entry points of the fuzz targets, for machines that
//! have no fuzzer. `WINDLASS_MUTATE_SEED` and `WINDLASS_MUTATE_SECONDS` change the run.

#[allow(unreachable_pub)]
#[path = "../fuzz/src/entry.rs"]
mod entry;

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use windlass_coordinator::engine::{self, Journaled, Origin};
use windlass_proto::definition::{self, Options};
use windlass_proto::id::InstanceId;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use crate::support::paths;

/// The longest one input may take, in a debug build on a busy machine.
const LONGEST: Duration = Duration::from_secs(20);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(default)
}

/// Feeds mutations of `corpus` to `entry` and panics with the first input that breaks it.
fn mutate(name: &str, corpus: &[Vec<u8>], words: &[&str], entry: fn(&[u8])) {
    let seed = setting("WINDLASS_MUTATE_SEED", fastrand::u64(..1_000_000));
    let time = Duration::from_secs(setting("WINDLASS_MUTATE_SECONDS", 4));
    println!("mutate {name}: WINDLASS_MUTATE_SEED={seed}, at work: {}", kept(name).display());
    let mut random = fastrand::Rng::with_seed(seed);
    let begun = Instant::now();
    let mut count = 0;
    for input in corpus {
        check(name, input, entry);
    }
    while begun.elapsed() < time {
        let mut input = random.choice(corpus).unwrap().clone();
        for _ in 0..random.usize(1..6) {
            change(&mut input, corpus, words, &mut random);
        }
        input.truncate(64 << 10);
        check(name, &input, entry);
        count += 1;
    }
    println!("mutate {name}: {count} inputs");
}

/// Where the input at work is kept: what is there after an abort, which no test can catch, broke
/// it.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mutate-{name}"))
}

fn check(name: &str, input: &[u8], entry: fn(&[u8])) {
    std::fs::write(kept(name), input).unwrap();
    let begun = Instant::now();
    let shown = || input.escape_ascii().to_string().replace("\\n", "\n");
    assert!(catch_unwind(|| entry(input)).is_ok(), "{name} breaks on:\n{}", shown());
    assert!(begun.elapsed() < LONGEST, "{name} takes {:?} for:\n{}", begun.elapsed(), shown());
}

/// One change at a random place.
fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&str], random: &mut fastrand::Rng) {
    let from = random.usize(0..=input.len());
    let to = (from + random.usize(0..24)).min(input.len());
    match random.u8(..8) {
        0 => drop(input.drain(from..to)),
        1 => {
            let piece = input[from..to].to_vec();
            let at = random.usize(0..=input.len());
            input.splice(at..at, piece);
        }
        2 => {
            let piece = input[from..to].repeat(random.usize(1..200));
            input.splice(from..to, piece);
        }
        3 | 4 => {
            let word = random.choice(words).unwrap();
            input.splice(from..to, word.bytes());
        }
        5 => {
            let other = random.choice(corpus).unwrap();
            let begin = random.usize(0..=other.len());
            let end = (begin + random.usize(0..400)).min(other.len());
            input.splice(from..to, other[begin..end].iter().copied());
        }
        6 => input[from..to].iter_mut().for_each(|it| *it = random.u8(..)),
        _ => {
            if let Some(byte) = input.get_mut(from) {
                *byte ^= 1 << random.u8(..8);
            }
        }
    }
}

fn examples() -> Vec<Vec<u8>> {
    let mut folders = vec![paths::root().join("examples")];
    folders.extend(paths::shared("spec/examples"));
    let files = folders.iter().flat_map(|it| paths::files(it));
    let yaml = files.filter(|it| it.extension().is_some_and(|it| it == "yaml"));
    yaml.map(|it| std::fs::read(it).unwrap()).collect()
}

#[test]
fn definitions_survive_mutation() {
    let words = [
        "do:",
        "- ",
        "  ",
        "\n",
        ": ",
        "&a ",
        "*a",
        "<<: ",
        "|\n",
        ">-\n",
        "'",
        "\"",
        "${ .a }",
        "${",
        "}",
        "[",
        "]",
        "{",
        "!!int ",
        "%YAML 1.1\n",
        "---\n",
        "...\n",
        "? ",
        "set:",
        "call: http",
        "then: end",
        "for:",
        "try:",
        "catch:",
        "fork:",
        "listen:",
        "run:",
        "use:",
        "null",
        "1e999",
        "PT1S",
        "P1Y",
        "-",
        "0x10",
        "~",
        "\u{feff}",
        "\u{2028}",
        "\r\n",
        "\t",
        "\0",
    ];
    mutate("definition", &examples(), &words, entry::definition);
}

/// What the command line is tested with, without a process for each.
#[test]
fn texts_that_are_no_definitions_are_refused() {
    let mut wrong = Vec::new();
    for (name, text) in crate::cli::bad::texts() {
        let text = String::from_utf8_lossy(&text).into_owned();
        let begun = Instant::now();
        if catch_unwind(|| entry::definition(text.as_bytes())).is_err() {
            wrong.push(format!("{name}: breaks an invariant (see above)"));
        } else if definition::load(&text, &Options::default()).plan.is_some() {
            wrong.push(format!("{name}: accepted"));
        } else if begun.elapsed() > LONGEST {
            wrong.push(format!("{name}: takes {:?}", begun.elapsed()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn expressions_survive_mutation() {
    let corpus: Vec<Vec<u8>> = [
        ".a | map(. + 1)",
        "${ [.a[] | select(type == \"number\")] | add }",
        "def f(x): x | x; f(.n * 2)",
        "reduce .a[] as $x (0; . + ($x | tostring | length))",
        "\"Hello \\(.s) and \\(.a[0])!\"",
        ".a as [$x, $y, {b: $z}] | {$x, $y, z: $z}",
        "try error(\"x\") catch . | ascii_upcase",
        "[limit(5; repeat(1))] | length",
        "path(..) | tojson",
        ".s | test(\"h.llo\") and (gsub(\"l\"; \"L\") == \"x\")",
        "label $out | foreach .a[] as $i (0; . + 1; if . > 2 then ., break $out else . end)",
        "a ${ .n } b ${ \"}\" } c",
        "$context + { x: $input }",
        "[range(0; 10; 3)] | .[2:4] | @base64 \"x\\(.)\"",
        "now | strftime(\"%Y\")",
        "$secrets[\"a-b\"]",
        "with_entries(.value |= tostring) | to_entries | sort_by(.key)",
    ]
    .iter()
    .map(|it| it.as_bytes().to_vec())
    .collect();
    let words = [
        "|",
        ",",
        "..",
        ".[]",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "$x",
        "def f: .a;",
        " as $x | ",
        "reduce",
        "foreach",
        "recurse",
        "range(1e5)",
        "\"x\" * 1e6",
        "limit(1e5; repeat(.))",
        "-",
        "//",
        "?//",
        "@json",
        "\\(",
        "\"",
        "input",
        "env",
        "$ENV",
        "debug",
        "halt",
        "1e1000",
        "ltrimstr",
        "splits(\"a*\")",
        "limit(1e5; recurse)",
        "if . then",
        "else",
        "end",
        "${",
        "}",
        "tojson",
        "fromjson",
        "getpath",
        "limit",
        "first",
        "implode",
        "ascii",
        "@uri",
        ".a.b.c = 1",
    ];
    mutate("expression", &corpus, &words, entry::expression);
}

#[test]
fn journal_records_survive_mutation() {
    let mut corpus = vec![Vec::new()];
    for text in examples() {
        let text = String::from_utf8_lossy(&text).into_owned();
        let Some(plan) = definition::load(&text, &Options::default()).plan else { continue };
        let (id, at) = (InstanceId(uuid::Uuid::from_u128(7)), Timestamp::default());
        let input = Value::from("input");
        let (state, decision) = engine::create(&plan, id, at, input, Origin::default());
        let mut entry = Vec::new();
        engine::encode(&Journaled { at, facts: decision.facts }, &mut entry).unwrap();
        corpus.push(state.to_bytes().unwrap());
        corpus.push(entry);
    }
    assert!(corpus.len() > 20, "the examples give no records");
    mutate("record", &corpus, &["\u{0}", "Started", "frame", "\u{7f}"], entry::record);
}
