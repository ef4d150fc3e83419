//! Identities: workflows, instances, frames, partitions.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Identity of a definition: `document.namespace`, `document.name`, `document.version`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkflowId {
    /// `document.namespace`.
    pub namespace: Arc<str>,
    /// `document.name`.
    pub name: Arc<str>,
    /// `document.version`, a semantic version.
    pub version: Arc<str>,
}

impl fmt::Display for WorkflowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.namespace, self.name, self.version)
    }
}

/// SHA-256 of a definition's text, in lower-case hexadecimal. An instance is pinned to one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub Arc<str>);

impl Digest {
    /// The digest of a definition's text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        use sha2::Digest as _;
        Self(hex(&sha2::Sha256::digest(text.as_bytes())).into())
    }
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        hex.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        hex.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
    }
    hex
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Identity of one run of a workflow. UUID version 7 by default, so that ids sort by start time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(pub Uuid);

impl InstanceId {
    /// The partition that owns this instance, among `partitions` (at least one).
    #[must_use]
    pub fn partition(self, partitions: u16) -> PartitionId {
        // The last bytes of a UUID are random in every version we make.
        let bytes = self.0.as_bytes();
        let tail = u16::from_be_bytes([bytes[14], bytes[15]]);
        PartitionId(tail % partitions.max(1))
    }
}

impl InstanceId {
    /// The id that these bytes give an instance of this time, in milliseconds since the epoch: a
    /// UUID of version 7, whose first six bytes are the time, so that ids sort by it.
    #[must_use]
    pub fn at(milliseconds: u64, mut bytes: [u8; 16]) -> Self {
        bytes[..6].copy_from_slice(&milliseconds.to_be_bytes()[2..]);
        bytes[6] = bytes[6] & 0x0f | 0x70;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(Uuid::from_bytes(bytes))
    }

    /// This id with other last bytes, so that it falls to `wanted` among `partitions`.
    #[must_use]
    pub fn placed(self, wanted: PartitionId, partitions: u16) -> Self {
        let mut id = self.0.into_bytes();
        let (tail, partitions) = (u16::from_be_bytes([id[14], id[15]]), partitions.max(1));
        // Rounded down it may be too near the end for the last partitions.
        let low = tail - tail % partitions;
        let low = if low.checked_add(wanted.0).is_some() { low } else { low - partitions };
        id[14..].copy_from_slice(&(low + wanted.0).to_be_bytes());
        Self(Uuid::from_bytes(id))
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.as_hyphenated(), f)
    }
}

impl FromStr for InstanceId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// A share of the instances, owned by one thread of one coordinator.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct PartitionId(pub u16);

/// One visit of a task in one instance: the number of the frame the engine opened for it.
///
/// Numbers are given in order of opening and never used twice in an instance, so a frame id is
/// also the *visit* of the idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FrameId(pub u32);
