//! Names are Prometheus's, and each is there once.

use std::collections::BTreeSet;

use super::{LABELS, all};
use crate::metric::Kind;

#[test]
fn names_say_what_they_are() {
    let mut names = BTreeSet::new();
    for family in all() {
        let name = family.name;
        assert!(names.insert(name), "{name} is there twice");
        assert!(name.starts_with("windlass_"), "{name}");
        assert!(name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_'), "{name}");
        assert_eq!(matches!(family.kind, Kind::Counter), name.ends_with("_total"), "{name}");
        assert!(family.help.ends_with('.') && !family.help.contains('\n'), "{name}");
    }
}

#[test]
fn every_label_is_explained_and_none_is_an_instance() {
    let used: BTreeSet<_> = all().flat_map(|it| it.labels).copied().collect();
    let explained: BTreeSet<_> = LABELS.iter().map(|it| it.0).collect();
    assert_eq!(used, explained);
    assert!(!used.contains("instance") && !used.contains("job"), "Prometheus's own labels");
}
