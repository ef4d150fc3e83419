//! `document` in other words.

use super::{Compat, codes, put, rename, take};
use crate::definition::node::{Data, Node, Place};
use crate::value::Value;

/// The version of a workflow that has none.
const NO_VERSION: &str = "0.0.0";

impl Compat<'_> {
    /// `document`; without a `version` it gets one where it may be `unversioned`.
    pub(super) fn document(&mut self, document: &mut Node, unversioned: bool) {
        self.version(document, "dsl");
        self.version(document, "version");
        let dsl = document.get("dsl").and_then(Node::as_str);
        // Since 1.0.2 they are lists.
        let dsl = dsl.and_then(|it| semver::Version::parse(it).ok());
        self.mapped_arguments =
            dsl.is_some_and(|it| it.major == 1 && it.minor == 0 && it.patch < 2);
        if unversioned && document.as_mapping().is_some() && document.get("version").is_none() {
            self.no_version(document);
        }
        self.description(document);
        self.strings(document, &["namespace", "name", "title", "summary"]);
    }

    /// `1` and `1.0` instead of `1.0.0`.
    fn version(&mut self, document: &mut Node, key: &str) {
        let Some(found) = document.get_mut(key) else { return };
        let Data::Scalar { value, text, .. } = &found.data else { return };
        let number = matches!(value, Value::Int(_) | Value::Float(_) | Value::String(_));
        let Some(full) = full_version(text).filter(|_| number) else { return };
        let message = format!("`{key}` is short for a semantic version: `{text}`");
        let hint = format!("write \"{full}\"");
        let place = found.place;
        *found = Node::string(place, &full);
        self.deviation(codes::SHORT_VERSION, place, &message, &hint);
    }

    fn no_version(&mut self, document: &mut Node) {
        let place = document.place;
        let version = Node::string(place, NO_VERSION);
        let Some(members) = document.as_mapping_mut() else { return };
        put(members, "version", place, version);
        let message = format!("`document` has no `version`: `{NO_VERSION}` is taken");
        let hint = "write `version: 0.1.0`; a server keeps definitions apart by it and needs one";
        self.deviation(codes::NO_VERSION, place, &message, hint);
    }

    /// `description` instead of `summary`.
    fn description(&mut self, document: &mut Node) {
        let (place, message): (Place, _) = match rename(document, "description", "summary") {
            Some(place) => (place, "`document` has `summary`, not `description`"),
            None => match take(document, "description") {
                Some(member) => {
                    (member.key, "`document` has a `summary`; its `description` is ignored")
                }
                None => return,
            },
        };
        self.deviation(codes::DOCUMENT_DESCRIPTION, place, message, "write `summary`");
    }
}

/// `1.0.0` for `1` and `1.0`; nothing for what is complete, or no version.
#[must_use]
pub fn full_version(text: &str) -> Option<String> {
    let dots = text.matches('.').count();
    let full = format!("{text}{}", ".0".repeat(2_usize.checked_sub(dots).filter(|it| *it > 0)?));
    let version = semver::Version::parse(&full).ok()?;
    (version.pre.is_empty() && version.build.is_empty()).then_some(full)
}
