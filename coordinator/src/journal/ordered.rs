//! What an ordered store must offer for a journal to be kept in it.

use windlass_proto::metric::Snapshot;

use super::space::{Change, Order, Space, Visit};
use super::store::JournalPosition;
use super::{JournalError, Room};

/// Waits until what is written is held elsewhere as well.
pub type Confirm<'a> = dyn FnMut() -> Result<(), JournalError> + 'a;

/// An ordered, durable store of keys and values, divided into spaces.
pub trait Ordered: Send + Sync + 'static {
    /// The value under `key`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError>;

    /// Shows the entries from `from` on and before `to`, in order of keys or against it, until
    /// `visit` breaks. `visit` must not use the store.
    ///
    /// # Errors
    /// When the store cannot be read, and what `visit` returns.
    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), JournalError>;

    /// Applies all changes or none of them, and makes them durable. Of several changes of one key,
    /// the last one counts.
    ///
    /// # Errors
    /// When the store cannot write; whether the changes were applied is then unknown.
    fn write(&self, changes: Vec<Change>) -> Result<(), JournalError>;

    /// Like [`Ordered::write`], where something else must hold the changes as well: they are made
    /// durable while `confirm` waits for that, and whoever reads meets them once it returns. Where
    /// it fails none of them is ever met.
    ///
    /// # Errors
    /// As [`Ordered::write`], and what `confirm` returns.
    fn write_confirmed(
        &self,
        changes: Vec<Change>,
        confirm: &mut Confirm<'_>,
    ) -> Result<(), JournalError> {
        confirm()?;
        self.write(changes)
    }

    /// Whether there is room to write.
    fn room(&self) -> Room {
        Room::enough()
    }

    /// Adds what there is to tell of the store itself.
    fn measured(&self, snapshot: &mut Snapshot) {
        let _ = snapshot;
    }

    /// Told, after each write that is durable, how far the journal has come: what is kept of this
    /// outside of the store shows when the store loses something.
    fn witness(&self, position: &JournalPosition) {
        let _ = position;
    }
}
