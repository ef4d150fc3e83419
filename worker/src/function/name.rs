//! Which names functions can have.

use windlass_proto::definition::PROTOCOL_CALLS;
use windlass_proto::limits;

/// The form `call: function`, with name and arguments as data.
pub(crate) const BY_DATA: &str = "function";

/// Why no definition could call a function of this name.
pub(super) fn objection(name: &str) -> Option<String> {
    if name.is_empty() || name.len() > limits::NAME_BYTES {
        return Some(format!("has not 1 to {} bytes", limits::NAME_BYTES));
    }
    if PROTOCOL_CALLS.contains(&name) || name == BY_DATA {
        return Some(format!("is what `call: {name}` means already"));
    }
    let lost = ["@", "://"].into_iter().find(|it| name.contains(it));
    lost.map(|it| format!("contains `{it}`, which names functions of catalogs"))
}
