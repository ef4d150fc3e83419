//! Keys and values of an ordered store, the spaces they are in, and changes of them.

use std::ops::ControlFlow;

use windlass_proto::id::PartitionId;

use super::JournalError;

/// What a scan calls with each key and value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, JournalError> + 'a;

/// A key and its value.
pub(super) type Record = (Vec<u8>, Vec<u8>);

/// A space of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// What belongs to no partition.
    Common,
    /// What belongs to a partition.
    Partition(PartitionId),
}

/// Direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    Up,
    /// Greatest key first.
    Down,
}

/// A change of one key.
#[derive(Clone, Debug)]
pub struct Change {
    /// The space.
    pub space: Space,
    /// The key.
    pub key: Vec<u8>,
    /// The new value, or `None` to remove the key.
    pub value: Option<Vec<u8>>,
}
