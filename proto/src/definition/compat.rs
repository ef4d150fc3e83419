//! What is accepted beside the specification.
use super::findings::Findings;
use super::node::Node;
pub(super) fn normalise(_root: &mut Node, _findings: &mut Findings) {}
