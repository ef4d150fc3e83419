//! Entries of the log, and the sealed messages that they are cut into.
//!
//! ```text
//! message: format: u8 | kind: u8 | more: u8 | epoch: u64 | term: u64 | previous: u64
//!          | nonce: 24 bytes | XChaCha20-Poly1305 of a part of the packed entry
//! sealed for: cluster | group | all before the nonce | sequence number in the log
//! ```
//!
//! The bus is not trusted: a message can be read, made, changed, moved or shown again by nobody who
//! has not the key. `previous` is the sequence number of the cluster's message before it, 0 for the
//! first: what cannot be opened is nobody's only where the next message names the one before that.
//! A newer format changes what is sealed, and not this envelope, so that an older windlass knows
//! its messages for the cluster's. What a server takes as one message is bounded, so a large entry
//! is cut into parts that follow one another; each is appended on the condition that the one before
//! is the last message, so no other's can come in between. Parts without their end are left by a
//! leader that died: the next message is of another epoch then, and whoever reads drops them. That
//! needs no atomic batch of the server's, and no rewriting of what is there.

use std::borrow::Cow;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::Mac as _;
use lz4_flex::block;
use windlass_proto::limits::CLUSTER_ENTRY_BYTES;
use zeroize::Zeroizing;

use crate::backup::keyed;
use crate::journal::JournalError;
use crate::journal::replicated::LogPosition;

/// The group of a cluster that there is: all partitions are of it. Streams, keys and subjects carry
/// its number, so that there can be more.
pub(super) const GROUP: u16 = 0;

const FORMAT: u8 = 2;
/// Bytes before the nonce.
const HEADER: usize = 27;
const NONCE: usize = 24;

/// What one entry of the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A leadership begins.
    Epoch {
        /// How far the leader had come: all up to there is in its journal; none for a new cluster.
        after: Option<LogPosition>,
        /// Whether all that it has follows, from nothing: what is before this can be dropped.
        snapshot: bool,
        /// The cluster that the log is of: chance, drawn when it began.
        cluster: u64,
        /// Where it answers.
        url: String,
    },
    /// What the journal committed.
    Batch(Vec<u8>),
    /// A file beside the journal, or that it is gone.
    File {
        /// Its name.
        name: String,
        /// What is in it.
        bytes: Option<Vec<u8>>,
    },
    /// Records of a snapshot.
    Records(Vec<u8>),
    /// The snapshot is whole.
    Whole,
}

impl Entry {
    fn kind(&self) -> u8 {
        match self {
            Self::Epoch { .. } => EPOCH,
            Self::Batch(_) => 2,
            Self::File { .. } => 3,
            Self::Records(_) => 4,
            Self::Whole => 5,
        }
    }

    fn body(&self) -> Cow<'_, [u8]> {
        let mut body = Vec::new();
        match self {
            Self::Epoch { after, snapshot, cluster, url } => {
                body.extend([u8::from(*snapshot), u8::from(after.is_some())]);
                body.extend_from_slice(&cluster.to_be_bytes());
                if let Some(after) = after {
                    after.push(&mut body);
                }
                body.extend_from_slice(url.as_bytes());
            }
            Self::Batch(bytes) | Self::Records(bytes) => return Cow::Borrowed(bytes),
            Self::File { name, bytes } => {
                body.extend([u8::from(bytes.is_some()), name.len().min(255) as u8]);
                body.extend_from_slice(name.as_bytes());
                body.extend_from_slice(bytes.as_deref().unwrap_or_default());
            }
            Self::Whole => {}
        }
        Cow::Owned(body)
    }

    fn read(kind: u8, body: Vec<u8>) -> Option<Self> {
        Some(match kind {
            EPOCH => {
                let ([snapshot, has_after], rest) = body.split_first_chunk::<2>()?;
                let (cluster, rest) = rest.split_first_chunk::<8>()?;
                let cluster = u64::from_be_bytes(*cluster);
                let (after, url) = match has_after {
                    0 => (None, rest),
                    _ => LogPosition::read(rest).map(|(after, rest)| (Some(after), rest))?,
                };
                let url = String::from_utf8(url.to_vec()).ok()?;
                Self::Epoch { after, snapshot: *snapshot == 1, cluster, url }
            }
            2 => Self::Batch(body),
            3 => {
                let ([has_bytes, length], rest) = body.split_first_chunk::<2>()?;
                let (name, bytes) = rest.split_at_checked(usize::from(*length))?;
                let name = String::from_utf8(name.to_vec()).ok()?;
                Self::File { name, bytes: (*has_bytes == 1).then(|| bytes.to_vec()) }
            }
            4 => Self::Records(body),
            5 => Self::Whole,
            _ => return None,
        })
    }
}

const EPOCH: u8 = 1;

/// A message that was opened.
#[derive(Clone, Debug)]
pub(super) struct Message {
    kind: u8,
    more: bool,
    /// Where it is, and whose it is.
    pub(super) position: LogPosition,
    /// The sequence number of the cluster's message before it; 0 where there was none.
    pub(super) previous: u64,
    part: Vec<u8>,
}

impl Message {
    /// Whether an entry ends with it.
    pub(super) fn ends(&self) -> bool {
        !self.more
    }

    /// Whether a leadership begins with it.
    pub(super) fn begins(&self) -> bool {
        self.kind == EPOCH
    }

    /// Whether a snapshot begins with it, and of which cluster it is, where it is an epoch.
    pub(super) fn into_epoch(self) -> Option<(bool, u64)> {
        if !self.begins() || self.more {
            return None;
        }
        match Entry::read(self.kind, unpack(&self.part)?)? {
            Entry::Epoch { snapshot, cluster, .. } => Some((snapshot, cluster)),
            _ => None,
        }
    }
}

/// A part of an entry, which gets a message of its own.
pub(super) struct Part {
    kind: u8,
    more: bool,
    bytes: Vec<u8>,
}

impl Part {
    /// The parts of an entry, in order.
    pub(super) fn of(entry: &Entry, part_bytes: usize) -> Vec<Self> {
        let packed = pack(&entry.body());
        let chunks = packed.chunks(part_bytes.max(1));
        let last = chunks.len().saturating_sub(1);
        let part = |(number, bytes): (usize, &[u8])| Self {
            kind: entry.kind(),
            more: number < last,
            bytes: bytes.to_vec(),
        };
        chunks.enumerate().map(part).collect()
    }
}

/// Seals and opens what a cluster says over the bus.
pub(super) struct Sealer {
    log: XChaCha20Poly1305,
    members: XChaCha20Poly1305,
    /// What keys of pipes are made of.
    pipes: Zeroizing<[u8; 32]>,
    /// What each message is sealed for, before its own header.
    scope: Vec<u8>,
}

impl Sealer {
    /// For a group of a cluster, under the cluster's key.
    pub(super) fn new(key: &[u8; 32], cluster: &str, group: u16) -> Self {
        let mut scope = cluster.as_bytes().to_vec();
        scope.push(0);
        scope.extend_from_slice(&group.to_be_bytes());
        let cipher =
            |purpose: &[u8]| XChaCha20Poly1305::new((&*derived(key, purpose, &scope)).into());
        let (log, members) = (cipher(b"windlass cluster log 1"), cipher(b"windlass member 1"));
        let pipes = derived(key, b"windlass pipe 1", &scope);
        Self { log, members, pipes, scope }
    }

    /// Seals a part for the place after `before`; the cluster's message before it is `previous`.
    pub(super) fn seal(
        &self,
        part: &Part,
        before: LogPosition,
        previous: u64,
    ) -> Result<Vec<u8>, JournalError> {
        self.seal_as(FORMAT, part, before, previous)
    }

    fn seal_as(
        &self,
        format: u8,
        part: &Part,
        before: LogPosition,
        previous: u64,
    ) -> Result<Vec<u8>, JournalError> {
        let mut message = vec![format, part.kind, u8::from(part.more)];
        message.extend_from_slice(&before.epoch.to_be_bytes());
        message.extend_from_slice(&before.term.to_be_bytes());
        message.extend_from_slice(&previous.to_be_bytes());
        let scope = self.scoped(&message, before.sequence.saturating_add(1));
        seal(&self.log, &mut message, &part.bytes, &scope)?;
        Ok(message)
    }

    /// What seals the frames of a pipe of which both ends know this.
    pub(super) fn pipe(&self, known: &[u8]) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*derived(&self.pipes, b"pipe", known)).into())
    }

    /// Opens the message with a sequence number; none for what is not the cluster's.
    ///
    /// # Errors
    /// When it is the cluster's, and of a format that is not known here.
    pub(super) fn open(
        &self,
        sequence: u64,
        message: &[u8],
    ) -> Result<Option<Message>, JournalError> {
        let Some((header, sealed)) = message.split_at_checked(HEADER) else { return Ok(None) };
        let number = |from: usize| {
            let bytes = header.get(from..from + 8)?;
            <[u8; 8]>::try_from(bytes).ok().map(u64::from_be_bytes)
        };
        let &[format, kind, more, ..] = header else { return Ok(None) };
        let (Some(epoch), Some(term), Some(previous)) = (number(3), number(11), number(19)) else {
            return Ok(None);
        };
        let Some(part) = open(&self.log, sealed, &self.scoped(header, sequence)) else {
            return Ok(None);
        };
        if format != FORMAT {
            return Err(JournalError::LogDamaged(format!(
                "message {sequence} of the cluster's log is of format {format}, and this windlass \
                 knows format {FORMAT}: start the version that the leader has"
            )));
        }
        let position = LogPosition { epoch, term, sequence };
        Ok(Some(Message { kind, more: more == 1, position, previous, part }))
    }

    /// What there is to say where a message must be the cluster's and is not.
    pub(super) fn unopened(sequence: u64) -> JournalError {
        JournalError::LogDamaged(format!(
            "message {sequence} of the cluster's log cannot be opened: it was sealed with another key, \
             or is no message of a cluster's. All coordinators of a cluster need the same --key-file \
             (or --cluster-key). Where they have it, and somebody else had published to the log's \
             subject before the cluster began: delete the log (`nats stream rm`), see docs/cluster.md"
        ))
    }

    fn scoped(&self, header: &[u8], sequence: u64) -> Vec<u8> {
        [&self.scope[..], header, &sequence.to_be_bytes()].concat()
    }

    /// Seals what a coordinator says of itself under a subject.
    pub(super) fn seal_member(&self, subject: &str, said: &[u8]) -> Result<Vec<u8>, JournalError> {
        let mut sealed = Vec::new();
        seal(&self.members, &mut sealed, said, subject.as_bytes())?;
        Ok(sealed)
    }

    /// What was said under a subject; none for what somebody else has put there.
    pub(super) fn open_member(&self, subject: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        open(&self.members, sealed, subject.as_bytes())
    }
}

fn derived(key: &[u8; 32], purpose: &[u8], scope: &[u8]) -> Zeroizing<[u8; 32]> {
    let mac = keyed(key).chain_update(purpose).chain_update(scope);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

pub(super) fn seal(
    cipher: &XChaCha20Poly1305,
    into: &mut Vec<u8>,
    plain: &[u8],
    aad: &[u8],
) -> Result<(), JournalError> {
    let failed = |why: &str| JournalError::Store(format!("an entry cannot be sealed: {why}"));
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(|error| failed(&error.to_string()))?;
    let sealed = cipher
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad })
        .map_err(|_| failed("it is too large"))?;
    into.extend_from_slice(&nonce);
    into.extend_from_slice(&sealed);
    Ok(())
}

pub(super) fn open(cipher: &XChaCha20Poly1305, sealed: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad }).ok()
}

/// Length, and an LZ4 block where that is smaller.
fn pack(body: &[u8]) -> Vec<u8> {
    let packed = block::compress(body);
    let is_packed = packed.len() < body.len();
    let mut bytes = vec![u8::from(is_packed)];
    bytes.extend_from_slice(&(body.len() as u64).to_be_bytes());
    bytes.extend_from_slice(if is_packed { &packed } else { body });
    bytes
}

fn unpack(bytes: &[u8]) -> Option<Vec<u8>> {
    let (is_packed, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
    if length > CLUSTER_ENTRY_BYTES {
        return None;
    }
    let body = if *is_packed == 1 { block::decompress(rest, length).ok()? } else { rest.to_vec() };
    (body.len() == length).then_some(body)
}

/// Puts entries together again from the messages of a log, in order.
#[derive(Default)]
pub(super) struct Assembler {
    parts: Vec<u8>,
    last: Option<(u8, LogPosition)>,
}

impl Assembler {
    /// Whether an entry is waiting for its end.
    #[cfg(test)]
    fn is_open(&self) -> bool {
        self.last.is_some()
    }

    /// The entry that ends with this message, if one does.
    ///
    /// # Errors
    /// When it does not go on with what came before, or holds no entry.
    pub(super) fn push(&mut self, message: Message) -> Result<Option<Entry>, JournalError> {
        let Message { kind, more, position, previous, part } = message;
        let sequence = position.sequence;
        let damaged = |what: &str| {
            JournalError::LogDamaged(format!("message {sequence} of the cluster's log {what}"))
        };
        if let Some((of, last)) = self.last.take() {
            let goes_on = of == kind && last.is_of(&position) && last.sequence == previous;
            // Whoever began it has not come to its end, and the next one leads.
            if kind == EPOCH && !last.is_of(&position) {
                self.parts.clear();
            } else if !goes_on {
                return Err(damaged("is no part of the entry before it"));
            }
        }
        if self.parts.len() + part.len() > CLUSTER_ENTRY_BYTES {
            return Err(damaged("makes an entry too large"));
        }
        self.parts.extend_from_slice(&part);
        if more {
            self.last = Some((kind, position));
            return Ok(None);
        }
        let parts = std::mem::take(&mut self.parts);
        let entry = unpack(&parts).and_then(|body| Entry::read(kind, body));
        entry.map(Some).ok_or_else(|| damaged("ends no entry that is known here"))
    }
}

#[cfg(test)]
#[path = "entry_tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
