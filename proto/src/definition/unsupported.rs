//! What the specification has and this version cannot do: said when a definition is loaded, so that
//! nobody learns it from an instance that faults, or from one that never starts.

use super::codes;
use super::decoder::Decoder;
use super::node::{Node, Place};

impl Decoder<'_> {
    /// `what` is right by the specification, and nothing here performs it. An error where that is
    /// asked for (see [`super::Options::refuse_unsupported`]) and with `strict`.
    pub(super) fn unsupported(&mut self, place: Place, what: &str, hint: &str) {
        let message = format!("{what} cannot be done by this version");
        self.findings.unsupported(codes::UNSUPPORTED, place, message, hint);
    }

    /// `input` and `output` of what the coordinator runs itself: it fetches nothing.
    pub(super) fn check_schemas(&mut self, node: &Node, keys: &[&str]) {
        for key in keys {
            let schema = node.get(key).and_then(|flow| flow.get("schema"));
            if let Some(resource) = schema.and_then(|schema| schema.get("resource")) {
                let what = format!("a schema at another place in `{key}` here");
                let hint = "write the schema inline, as `document`; calls and processes take \
                            `resource` in `input` and `output`";
                self.unsupported(resource.place, &what, hint);
            }
        }
    }
}
