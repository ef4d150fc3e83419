//! Native filters over our values.

mod backtracking;
mod entries;
mod path;
mod regex;
mod text;
mod time;
mod value;

use jaq_core::native::Fun;

use super::engine::Jq;

/// All of them; they replace jaq's of the same name and arity.
pub(crate) fn all() -> Vec<Fun<Jq>> {
    [value::all(), entries::all(), text::all(), regex::all(), time::all(), path::all()]
        .into_iter()
        .flatten()
        .collect()
}
