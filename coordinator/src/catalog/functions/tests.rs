//! Publishing functions, and deploying what calls them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use windlass_proto::definition::{Options, pins};
use windlass_proto::limits;
use windlass_proto::plan::Kind;
use windlass_proto::time::Timestamp;

use super::super::{Catalog, Deployment, Refused, Unsupported};
use super::PublishRefused;
use crate::journal::Journal;
use crate::journal::memory::MemoryJournal;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn journal() -> Arc<dyn Journal> {
    Arc::new(MemoryJournal::in_memory(limits::NEW_PARTITIONS).unwrap())
}

fn catalog(journal: &Arc<dyn Journal>) -> Catalog {
    let options = Options { functions: Some(Vec::new()), ..Options::default() };
    Catalog::open(journal.clone(), options).unwrap()
}

fn workflow(tasks: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: test, name: caller, version: 1.0.0 }}\ndo: {tasks}\n"
    )
}

fn deploy(catalog: &Catalog, text: &str) -> Result<Deployment, Refused> {
    catalog.deploy(text, Unsupported::Refuse, NOW, |_| Ok(()))
}

/// Why a function is refused.
fn refused(catalog: &Catalog, name: &str, text: &str) -> String {
    match catalog.publish(name, "1.0.0", text, NOW) {
        Err(PublishRefused::Invalid(found)) => format!("{} {}", found[0].code, found[0].message),
        Err(PublishRefused::Unpublished(why)) => why,
        Err(PublishRefused::Exists(_)) => "exists".to_owned(),
        Err(PublishRefused::Full | PublishRefused::Journal(_)) => "no room".to_owned(),
        Err(PublishRefused::Untold(error)) => error.to_string(),
        Ok(_) => panic!("{name} was published"),
    }
}

#[test]
fn a_version_of_a_function_never_changes() {
    let journal = journal();
    let catalog = catalog(&journal);
    let text = "set: { x: 1 }";
    assert!(catalog.publish("one", "1.0.0", text, NOW).ok().unwrap().new);
    assert!(!catalog.publish("one", "1.0.0", text, NOW).ok().unwrap().new);
    assert_eq!(refused(&catalog, "one", "set: { x: 2 }"), "exists");
    // Two functions with one text are two.
    assert!(catalog.publish("two", "1.0.0", text, NOW).ok().unwrap().new);
    assert!(catalog.publish("one", "1.1.0", "set: { x: 2 }", NOW).ok().unwrap().new);
    // All of it is in the journal, and no workflow.
    let again = self::catalog(&journal);
    let names: Vec<_> = again.functions().iter().map(|it| it.reference.to_string()).collect();
    assert_eq!(names, ["one:1.0.0", "one:1.1.0", "two:1.0.0"]);
    assert_eq!(&*again.function("two", "1.0.0").unwrap().text, text);
    assert!(again.all().is_empty());
}

#[test]
fn what_is_no_function_is_refused_with_its_place() {
    let journal = journal();
    let catalog = catalog(&journal);
    let refused = |name: &str, text: &str| refused(&catalog, name, text);
    assert!(refused("f", "set: '${ ) }'").starts_with("WL0315"));
    assert!(refused("f", "set: { x: '${ $secrets.x }' }").contains("no secrets of its own"));
    assert!(refused("f/g", "set: { x: 1 }").contains("cannot be a name"));
    assert!(refused("log", "set: { x: 1 }").contains("every worker has"));
    assert!(refused("f", "call: 'https://example.com/function.yaml'").contains("example.com"));
    // What it calls is there before it is: so there are no circles.
    assert!(refused("f", "call: 'g:1.0.0'").contains("`g:1.0.0`"));
    assert!(refused("f", "call: 'f:1.0.0'").contains("`f:1.0.0`"));
    assert!(catalog.publish("f", "1", "set: { x: 1 }", NOW).is_err());
    assert!(catalog.publish("g", "1.0.0", "set: { x: 1 }", NOW).is_ok());
    assert!(catalog.publish("f", "1.0.0", "call: 'g:1.0.0'", NOW).is_ok());
}

#[test]
fn a_definition_keeps_the_functions_that_it_was_deployed_with() {
    let journal = journal();
    let catalog = catalog(&journal);
    let text = workflow("[ a: { call: 'outer:1.0.0@default' } ]");
    let Err(Refused::Invalid(found)) = deploy(&catalog, &text) else { panic!() };
    assert_eq!((found[0].code, found[0].line), ("WL0314", 2));
    assert!(journal.definitions().unwrap().is_empty());
    catalog.publish("inner", "1.0.0", "set: { x: 1 }", NOW).ok().unwrap();
    catalog.publish("outer", "1.0.0", "do: [ i: { call: 'inner:1.0.0' } ]", NOW).ok().unwrap();
    let deployed = deploy(&catalog, &text).ok().unwrap();
    assert!(deployed.changed);
    let stored = catalog.by_digest(&deployed.digest).unwrap().text;
    assert_eq!(pins::source(&stored), text);
    assert_eq!(pins::read(&stored).unwrap().1.len(), 2);
    // Another process compiles it from what it finds there, with nobody to ask.
    let again = self::catalog(&journal);
    let plan = again.plan(&deployed.digest).unwrap();
    assert_eq!(plan.functions.len(), 2);
    assert!(plan.tasks.iter().any(|it| matches!(it.kind, Kind::Set(_))));
    // The same text is the same definition, by itself and with what is pinned to it.
    for text in [&text, &*stored] {
        let repeated = deploy(&again, text).ok().unwrap();
        assert!(!repeated.changed && repeated.digest == deployed.digest);
    }
}
