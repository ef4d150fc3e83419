//! Malformed, huge and deep files give an error with a place, never a crash.

use super::{definition, file};
use crate::support::command::windlass;

/// Texts that are no definitions, each with a name.
pub(crate) fn texts() -> Vec<(&'static str, Vec<u8>)> {
    let good = definition("good", "  - a: { set: { x: 1 } }");
    let tasks = |count: usize| {
        let all: Vec<String> =
            (0..count).map(|it| format!("  - t{it}: {{ set: {{ x: 1 }} }}")).collect();
        definition("many", &all.join("\n"))
    };
    let nested = |depth: usize| {
        let open: String = (0..depth)
            .map(|it| {
                format!("{}- d{it}:\n{}do:\n", "  ".repeat(2 * it + 1), "  ".repeat(2 * it + 3))
            })
            .collect();
        definition("nested", open.trim_end())
    };
    let laughs = (1..18).fold(String::from("a0: &a0 [x, x]\n"), |text, index| {
        let before = index - 1;
        text + &format!("a{index}: &a{index} [*a{before}, *a{before}]\n")
    });
    vec![
        ("empty", Vec::new()),
        ("blank", b"  \n\n".to_vec()),
        ("a comment", b"# nothing\n".to_vec()),
        ("a scalar", b"hello\n".to_vec()),
        ("a list", b"- 1\n- 2\n".to_vec()),
        ("null", b"null\n".to_vec()),
        ("not UTF-8", vec![0xff, 0xfe, 0x00, 0x80, b'\n']),
        ("zero bytes", vec![0; 4096]),
        ("an elf", [&b"\x7fELF"[..], &[7; 2000]].concat()),
        ("a tab", b"document:\n\tdsl: '1.0.3'\n".to_vec()),
        ("an open quote", b"document:\n  dsl: '1.0.3\n".to_vec()),
        ("an open bracket", b"document: {dsl: [1, 2\n".to_vec()),
        ("an unknown alias", b"document: *nowhere\n".to_vec()),
        ("an alias of itself", b"document: &a\n  dsl: *a\n".to_vec()),
        ("two documents", [good.as_bytes(), b"---\n", good.as_bytes()].concat()),
        ("a key twice", good.replace("do:\n", "do: []\ndo:\n").into_bytes()),
        (
            "a task twice, and a way to it",
            definition("x", "  - a: { set: { x: 1 } }\n  - a: { set: { x: 1 }, then: a }").into(),
        ),
        ("two types of task", definition("x", "  - a: { set: { x: 1 }, wait: PT1S }").into()),
        ("no type of task", definition("x", "  - a: { metadata: { x: 1 } }").into()),
        ("a map of tasks", definition("x", "  a: { set: { x: 1 } }").into()),
        ("a version that is a list", good.replace("'1.0.0'", "[1, 0]").into_bytes()),
        ("a dsl of the future", good.replace("1.0.3", "2.0.0").into_bytes()),
        ("a name with a space", good.replace("name: good", "name: 'not good'").into_bytes()),
        (
            "jq with single quotes",
            definition("x", "  - a: { set: { x: \"${ .a == 'b' }\" } }").into(),
        ),
        (
            "an unknown function",
            definition("x", "  - a: { set: { x: '${ nonsense(.) }' } }").into(),
        ),
        ("a wrong duration", definition("x", "  - a: { wait: 5 parsecs }").into()),
        ("a loop of anchors", (good.clone() + &laughs).into_bytes()),
        ("many brackets", "[".repeat(70).into_bytes()),
        ("many braces", "{a: ".repeat(70).into_bytes()),
        ("many dashes", "- ".repeat(70).into_bytes()),
        ("many question marks", "? ".repeat(70).into_bytes()),
        ("deep tasks", nested(40).into_bytes()),
        (
            "a deep expression",
            definition(
                "x",
                &format!(
                    "  - a: {{ set: {{ x: '${{ {}1{} }}' }} }}",
                    "(".repeat(70),
                    ")".repeat(70)
                ),
            )
            .into(),
        ),
        (
            "a long expression",
            definition("x", &format!("  - a: {{ set: {{ x: '${{ 1{} }}' }} }}", "+1".repeat(402)))
                .into(),
        ),
        ("a text of two megabytes", (good.clone() + "# " + &"x".repeat(2 << 20)).into_bytes()),
        ("too many tasks", tasks(60_000).into_bytes()),
    ]
}

#[tokio::test]
async fn bad_files_give_an_error_with_a_place() {
    let mut wrong = Vec::new();
    for (name, text) in texts() {
        let (_folder, path) = file(&text);
        for command in ["validate", "run"] {
            let output = windlass(&[command, &path]).await;
            let shown = format!("{}{}", output.stdout, output.stderr);
            if output.code != Some(2) {
                wrong.push(format!("{command} of {name}: exit {:?}: {shown:.400}", output.code));
            } else if shown.contains("is more than the limit of") && shown.contains(&path) {
                // Too large to be read at all: there is no place to tell.
            } else if shown.contains("panicked") || !placed(&shown, &path) {
                wrong.push(format!("{command} of {name}: no file:line:column: {shown:.400}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// True when some `path:LINE:COLUMN` is in `text`.
fn placed(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| {
        let mut parts = text[at + path.len()..].splitn(4, |it: char| !it.is_ascii_digit());
        let colon = text[at + path.len()..].starts_with(':');
        parts.next();
        let number =
            |part: Option<&str>| part.is_some_and(|it| it.parse::<usize>().is_ok_and(|it| it > 0));
        colon && number(parts.next()) && number(parts.next())
    })
}

#[test]
fn a_place_is_recognised() {
    assert!(placed("error: x\n --> /a/b.yaml:7:3\n", "/a/b.yaml"));
    assert!(!placed("error in /a/b.yaml: x", "/a/b.yaml"));
    assert!(!placed("error in /a/b.yaml:7", "/a/b.yaml"));
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    for command in ["validate", "run"] {
        let output = windlass(&[command, &path]).await.exits(2);
        assert!(output.stderr.contains(&path), "{output:?}");
    }
}
