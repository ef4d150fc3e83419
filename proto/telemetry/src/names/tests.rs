use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// What follows in the document is made here.
const MARK: &str = "<!-- made by WINDLASS_DOCS=write cargo test -p windlass-telemetry names -->\n";

fn tables() -> String {
    let mut text = "\n## Spans\n\n| name | kind | by | what |\n|---|---|---|---|\n".to_owned();
    for SpanName { name, kind, by, meaning } in SPANS.iter().chain(worker::SPANS) {
        text += &format!("| `{name}` | {kind} | {by} | {meaning} |\n");
    }
    text += "\n## Attributes\n\n| name | type | of | what |\n|---|---|---|---|\n";
    for Attribute { name, kind, on, meaning } in ATTRIBUTES.iter().chain(worker::ATTRIBUTES) {
        text += &format!("| `{name}` | {kind} | {on} | {meaning} |\n");
    }
    text
}

/// `WINDLASS_DOCS=write cargo test -p windlass-telemetry names` writes it anew.
#[test]
fn the_document_has_all_names() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/telemetry.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, made) = text.split_once(MARK).unwrap();
    if std::env::var("WINDLASS_DOCS").is_ok_and(|it| it == "write") {
        std::fs::write(&path, format!("{head}{MARK}{}", tables())).unwrap();
        return;
    }
    let how = "`WINDLASS_DOCS=write cargo test -p windlass-telemetry names`";
    assert!(made == tables(), "docs/telemetry.md is out of date: {how}");
}

#[test]
fn names_are_unique_and_ours_begin_with_windlass() {
    let all = || ATTRIBUTES.iter().chain(worker::ATTRIBUTES);
    let names: BTreeSet<_> = all().map(|it| it.name).collect();
    assert_eq!(names.len(), all().count());
    let of_others = [
        "service.",
        "deployment.",
        "error.",
        "client.",
        "cloudevents.",
        "http.",
        "messaging.",
        "rpc.",
        "server.",
        "url.",
    ];
    for name in names {
        let known =
            name.starts_with("windlass.") || of_others.iter().any(|it| name.starts_with(it));
        assert!(known, "{name}");
    }
}
