//! The facts of a turn, and how the journal holds them.

use std::io;

use serde::{Deserialize, Serialize};
use windlass_proto::time::Timestamp;

use super::Fact;

/// The facts of one turn, with the time they were decided at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Journaled {
    /// When.
    pub at: Timestamp,
    /// What.
    pub facts: Vec<Fact>,
}

/// A journal entry is not what this version writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("facts cannot be decoded: {0}")]
pub struct FactError(pub String);

/// Appends the facts of one turn to a journal entry; entries hold whole turns, one after another.
///
/// # Errors
/// Never for facts the engine makes; the encoder's signature allows it.
pub fn encode(turn: &Journaled, entry: &mut impl io::Write) -> Result<(), FactError> {
    rmp_serde::encode::write(entry, turn).map_err(|error| FactError(error.to_string()))
}

/// Reads all turns of a journal entry.
///
/// # Errors
/// When the bytes are not what [`encode`] writes.
pub fn decode(entry: &[u8]) -> Result<Vec<Journaled>, FactError> {
    let mut rest = entry;
    let mut turns = Vec::new();
    while !rest.is_empty() {
        let turn = rmp_serde::decode::from_read(&mut rest)
            .map_err(|error: rmp_serde::decode::Error| FactError(error.to_string()))?;
        turns.push(turn);
    }
    Ok(turns)
}
