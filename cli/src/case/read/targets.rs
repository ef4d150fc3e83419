//! Whether the tasks that a file of tests names are there.

use windlass_proto::definition::Diagnostic;
use windlass_proto::definition::located::{Document, Located, NO_TARGET};
use windlass_proto::suggest;

use crate::case::texts::Texts;

/// Names of tasks in the text of a file of tests or mocks that are in none of the definitions.
pub(crate) fn missing(text: &str, texts: &Texts) -> Vec<Diagnostic> {
    let Ok(document) = Document::parse(text) else { return Vec::new() };
    let mut found = Vec::new();
    let root = document.root();
    mocks(root, texts, &mut found);
    for case in elements(root.get("cases")) {
        mocks(case, texts, &mut found);
        let Some(expect) = case.get("expect") else { continue };
        for call in elements(expect.get("calls")) {
            found.extend(call.get("task").and_then(|it| named(it, it.as_str()?, texts, false)));
        }
        let tasks = expect.get("tasks").and_then(Located::members).unwrap_or_default();
        found.extend(tasks.into_iter().filter_map(|(name, it)| named(it, name, texts, true)));
    }
    found.sort_by_key(|it: &Diagnostic| (it.line, it.column));
    found
}

fn elements(at: Option<Located<'_>>) -> Vec<Located<'_>> {
    at.and_then(Located::elements).unwrap_or_default()
}

fn mocks(at: Located<'_>, texts: &Texts, found: &mut Vec<Diagnostic>) {
    for mock in elements(at.get("mocks")) {
        found.extend(mock.get("task").and_then(|it| named(it, it.as_str()?, texts, false)));
    }
}

/// What is wrong with a name, which may be a key.
fn named(at: Located<'_>, name: &str, texts: &Texts, is_key: bool) -> Option<Diagnostic> {
    if texts.has_task(name) {
        return None;
    }
    let all = texts.tasks().map(|(reference, task)| match name.starts_with('/') {
        true => reference,
        false => task,
    });
    let meant = suggest::nearest(name, all).map(|it| format!("did you mean `{it}`?"));
    let message = format!("no workflow of this file has a task `{name}`");
    let hint = meant.unwrap_or_default();
    Some(match is_key {
        true => at.key_finding(NO_TARGET, &message, &hint),
        false => at.finding(NO_TARGET, &message, &hint),
    })
}
