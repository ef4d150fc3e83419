//! The life of definitions.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use windlass_proto::definition::Options;
use windlass_proto::id::WorkflowId;
use windlass_proto::time::Timestamp;

use super::{Acceptance, Catalog, Change, Refused, Unsupported};
use crate::journal::memory::MemoryJournal;
use crate::journal::{Journal, JournalError};

const NOW: Timestamp = Timestamp(1_750_000_000_000);

fn text(version: &str, value: u32) -> String {
    format!(
        "document: {{ dsl: 1.0.3, namespace: shop, name: report, version: {version} }}\n\
         do: [{{ a: {{ set: {{ b: {value} }} }} }}]\n"
    )
}

fn id(version: &str) -> WorkflowId {
    let [namespace, name, version] = ["shop", "report", version].map(Arc::from);
    WorkflowId { namespace, name, version }
}

fn untold(_: Change<'_>) -> Result<(), JournalError> {
    Ok(())
}

fn open(journal: &Arc<MemoryJournal>) -> Catalog {
    Catalog::open(journal.clone(), Options::default()).unwrap()
}

fn deploy(catalog: &Catalog, text: &str, replace: bool) -> Result<(bool, bool), Refused> {
    let accepted = Acceptance { unsupported: Unsupported::Refuse, replace };
    catalog.deploy(text, accepted, NOW, |_| Ok(())).map(|it| (it.changed, it.replaced))
}

/// The version that a start without one finds.
fn latest(catalog: &Catalog) -> Option<String> {
    catalog.find("shop", "report", None).map(|it| it.id.version.to_string())
}

#[test]
fn a_version_keeps_its_text() {
    let journal = Arc::new(MemoryJournal::in_memory(1).unwrap());
    let catalog = open(&journal);
    let (first, second) = (text("1.0.0", 1), text("1.0.0", 2));
    assert!(matches!(deploy(&catalog, &first, false), Ok((true, false))));
    assert!(matches!(deploy(&catalog, &first, false), Ok((false, false))));
    let Err(Refused::Exists(of, difference)) = deploy(&catalog, &second, false) else {
        panic!("it is taken")
    };
    assert_eq!(of, id("1.0.0"));
    assert!(difference.contains("-do: [{ a: { set: { b: 1 }"), "{difference}");
    assert!(difference.contains("+do: [{ a: { set: { b: 2 }"), "{difference}");
    let digest = catalog.find("shop", "report", None).unwrap().digest.clone();
    assert!(matches!(deploy(&catalog, &second, true), Ok((true, true))));
    assert_ne!(catalog.find("shop", "report", None).unwrap().digest, digest);
    // What was run by its text still is.
    assert_eq!(open(&journal).by_digest(&digest).map(|it| it.text).as_deref(), Some(&*first));
}

#[test]
fn nothing_is_found_to_start_of_what_is_retired() {
    let journal = Arc::new(MemoryJournal::in_memory(1).unwrap());
    let catalog = open(&journal);
    for version in ["1.0.0", "2.0.0", "3.0.0-rc.1"] {
        deploy(&catalog, &text(version, 1), false).ok().unwrap();
    }
    assert_eq!(latest(&catalog).as_deref(), Some("2.0.0"));
    assert!(catalog.retire(&id("9.0.0"), Some(NOW)).unwrap().is_none());
    catalog.retire(&id("2.0.0"), Some(NOW)).unwrap();
    let again = catalog.retire(&id("2.0.0"), Some(NOW.plus(1))).unwrap();
    assert_eq!(again.unwrap().retired_at, Some(NOW), "since the first time");
    for catalog in [&catalog, &open(&journal)] {
        assert_eq!(latest(catalog).as_deref(), Some("1.0.0"));
        assert!(catalog.find("shop", "report", Some("2.0.0")).is_none());
        assert!(catalog.stored("shop", "report", Some("2.0.0")).is_some(), "it can be read");
    }
    // The same text again does not bring it back.
    assert!(matches!(deploy(&catalog, &text("2.0.0", 1), false), Ok((false, false))));
    assert_eq!(latest(&catalog).as_deref(), Some("1.0.0"));
    catalog.retire(&id("2.0.0"), None).unwrap();
    assert_eq!(latest(&catalog).as_deref(), Some("2.0.0"));
    for version in ["1.0.0", "2.0.0"] {
        catalog.retire(&id(version), Some(NOW)).unwrap();
    }
    assert_eq!(latest(&catalog).as_deref(), Some("3.0.0-rc.1"));
    catalog.retire(&id("3.0.0-rc.1"), Some(NOW)).unwrap();
    assert_eq!(latest(&catalog), None);
}

#[test]
fn only_what_is_retired_and_unused_is_removed() {
    let journal = Arc::new(MemoryJournal::in_memory(1).unwrap());
    let catalog = open(&journal);
    let long = format!("{}# {}\n", text("1.0.0", 1), "x".repeat(300_000));
    deploy(&catalog, &long, false).ok().unwrap();
    assert!(!catalog.remove(&id("1.0.0"), || panic!("it is not retired"), untold).unwrap());
    catalog.retire(&id("1.0.0"), Some(NOW)).unwrap();
    assert!(!catalog.remove(&id("1.0.0"), || Ok(false), untold).unwrap());
    let digest = catalog.stored("shop", "report", None).unwrap().digest;
    assert!(catalog.remove(&id("1.0.0"), || Ok(true), untold).unwrap());
    assert!(!catalog.remove(&id("1.0.0"), || Ok(true), untold).unwrap());
    let reopened = open(&journal);
    for catalog in [&catalog, &reopened] {
        assert!(catalog.all().is_empty());
        assert!(catalog.by_digest(&digest).is_none());
    }
    assert!(journal.check().unwrap().damage.is_empty());
    // The version is free for another text.
    assert!(matches!(deploy(&reopened, &text("1.0.0", 2), false), Ok((true, false))));
}

fn listening(namespace: &str, kind: &str) -> String {
    format!(
        "document: {{ dsl: 1.0.3, namespace: {namespace}, name: wait, version: 1.0.0 }}\n\
         do: [{{ a: {{ listen: {{ to: {{ one: {{ with: {{ type: {kind} }} }} }} }} }} }}]\n"
    )
}

#[test]
fn who_else_waits_for_events_of_a_type_is_known() {
    let catalog = open(&Arc::new(MemoryJournal::in_memory(1).unwrap()));
    deploy(&catalog, &listening("shop", "paid"), false).ok().unwrap();
    assert!(catalog.is_awaited("paid") && !catalog.is_awaited("sent"));
    assert!(!catalog.is_awaited_beside("paid", "shop"));
    assert!(catalog.is_awaited_beside("paid", "other"));
    deploy(&catalog, &listening("stock", "paid"), false).ok().unwrap();
    assert!(catalog.is_awaited_beside("paid", "shop"));
    assert!(!catalog.is_awaited_beside("sent", "shop"));
}
