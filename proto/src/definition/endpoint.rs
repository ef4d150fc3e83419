//! Endpoints and external resources.

use std::sync::Arc;

use super::codes;
use super::decoder::{Decoder, optional};
use super::node::Node;
use crate::plan::{Authentication, Endpoint, ExternalResource};

impl Decoder<'_> {
    /// A URI, or `{uri, authentication}`.
    pub(super) fn endpoint(&mut self, node: &Node, what: &str) -> Option<Endpoint> {
        if node.as_str().is_some() {
            let uri = self.uri(node, what)?;
            return Some(Endpoint { uri, authentication: None });
        }
        if node.as_mapping().is_none() {
            return self.wrong(node, what, "a URI, or a mapping with `uri`");
        }
        self.closed(node, what, &["uri", "authentication"])?;
        let uri = self.required(node, "uri", what).and_then(|node| self.uri(node, "`uri`"));
        let authentication =
            optional(node.get("authentication"), |node| self.referable_authentication(node));
        Some(Endpoint { uri: uri?, authentication: authentication? })
    }

    pub(super) fn resource(&mut self, node: &Node) -> Option<ExternalResource> {
        let what = "an external resource";
        if node.as_mapping().is_none() {
            return self.wrong(node, what, "a mapping with `endpoint`");
        }
        self.closed(node, what, &["name", "endpoint"])?;
        let name = optional(node.get("name"), |node| self.string(node, "`name`"));
        let endpoint = self
            .required(node, "endpoint", what)
            .and_then(|node| self.endpoint(node, "`endpoint`"));
        Some(ExternalResource { name: name?, endpoint: endpoint? })
    }

    /// A policy in place, or `use` with the name of one.
    pub(super) fn referable_authentication(&mut self, node: &Node) -> Option<Arc<Authentication>> {
        let Some(used) = node.get("use") else {
            return self.authentication(node, false).map(Arc::new);
        };
        self.closed(node, "a reference to an authentication", &["use"])?;
        let name = self.string(used, "`authentication.use`")?;
        if let Some(found) = self.reusable.authentications.get(&name) {
            return found.clone();
        }
        let message = format!("there is no authentication `{name}` in `use.authentications`");
        let hint = self.hint_in(
            "authentications",
            &name,
            self.reusable.authentications.keys().map(|key| &**key),
        );
        self.error(codes::NO_AUTHENTICATION, used.place, message, &hint);
        None
    }
}
