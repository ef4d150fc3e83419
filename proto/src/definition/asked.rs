//! What the decoder asks for while tests run: which keys it knows, of what.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Sets of keys, by what findings call that which has them.
pub(super) type Asked = BTreeMap<String, BTreeSet<Vec<String>>>;

thread_local! {
    static ASKED: RefCell<Asked> = const { RefCell::new(Asked::new()) };
}

/// The decoder tells what it knows of a part.
pub(super) fn tell(what: &str, known: &[&str]) {
    let mut keys: Vec<_> = known.iter().map(|it| (*it).to_owned()).collect();
    keys.sort();
    ASKED.with_borrow_mut(|all| all.entry(what.to_owned()).or_default().insert(keys));
}

/// What was told since this was called last.
pub(super) fn take() -> Asked {
    ASKED.take()
}
