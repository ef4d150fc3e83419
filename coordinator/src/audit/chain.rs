//! The chain: each line has the next number and the hash of the line before it, and now and then
//! one, a head, is signed.
//!
//! ```text
//!  {"sequence":1,"previous":"00…","action":"audit.head",…,"signature":"…"}
//!  {"sequence":2,"previous":"<SHA-256 of line 1>",…,"action":"secret.granted",…}
//!  {"sequence":3,"previous":"<SHA-256 of line 2>",…,"action":"audit.head",…,"signature":"…"}
//! ```
//!
//! A hash is of a line's bytes without the end of the line. The first line of a chain is a head; it
//! has the hash of what is before it, of a build that made no chain, or zeros.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use windlass_proto::audit::AuditEvent;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::key::{AuditKey, PublicKey, Signature};

/// SHA-256 of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineHash([u8; 32]);

impl LineHash {
    /// That of a line, without its end.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        Self(Sha256::digest(line).into())
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text is no hash.
#[derive(Debug, thiserror::Error)]
#[error("a hash has 64 hexadecimal digits")]
pub struct NotAHash;

impl FromStr for LineHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let hash = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| NotAHash)?;
        hash.try_into().map(Self).map_err(|_| NotAHash)
    }
}

impl Serialize for LineHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LineHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where a chain has come to; by number first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The number of a line; zero before the first.
    pub sequence: u64,
    /// Its hash.
    pub hash: LineHash,
}

/// A text is no position.
#[derive(Debug, thiserror::Error)]
#[error("write SEQUENCE:HASH, as `windlass audit verify` prints it")]
pub struct NotAPosition;

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let (sequence, hash) = text.split_once(':').ok_or(NotAPosition)?;
        let sequence = sequence.parse().map_err(|_| NotAPosition)?;
        Ok(Self { sequence, hash: hash.parse().map_err(|_| NotAPosition)? })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, self.hash)
    }
}

/// One event as a line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditLine {
    /// Its number, from 1; builds that made no chain gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The hash of the line before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<LineHash>,
    /// When, in RFC 3339.
    #[serde(default)]
    pub time: String,
    /// The event.
    #[serde(flatten)]
    pub event: AuditEvent,
}

/// What is read of any line before it is known what it is.
#[derive(Deserialize)]
pub(super) struct Link<'a> {
    pub(super) sequence: Option<u64>,
    pub(super) previous: Option<LineHash>,
    #[serde(borrow, default)]
    pub(super) action: std::borrow::Cow<'a, str>,
}

impl Link<'_> {
    pub(super) fn is_head(&self) -> bool {
        self.action == HEAD
    }
}

/// What a head is told by, where events have what was done.
pub(super) const HEAD: &str = "audit.head";

/// A line that signs all before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) sequence: u64,
    /// What is signed: the hash of the line before, and with it all before that.
    pub(super) previous: LineHash,
    time: String,
    at: Timestamp,
    action: HeadMark,
    pub(super) key: PublicKey,
    signature: Signature,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum HeadMark {
    #[serde(rename = "audit.head")]
    Head,
}

impl Head {
    fn sign(after: Position, at: Timestamp, key: &AuditKey) -> Self {
        let sequence = after.sequence.saturating_add(1);
        let signature = key.sign(&statement(sequence, after.hash, at));
        let (time, action) = (at.to_rfc3339(), HeadMark::Head);
        Self { sequence, previous: after.hash, time, at, action, key: key.public(), signature }
    }

    /// Reads a line that is a head in each of its bytes: a signature covers no spaces.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let head: Self = serde_json::from_slice(line).ok()?;
        let same = head.time == head.at.to_rfc3339()
            && serde_json::to_vec(&head).is_ok_and(|written| written == line);
        same.then_some(head)
    }

    /// When it was signed, in RFC 3339.
    pub(super) fn time(&self) -> &str {
        &self.time
    }

    /// True when its own key has signed it.
    pub(super) fn is_signed(&self) -> bool {
        self.key.verifies(&statement(self.sequence, self.previous, self.at), &self.signature)
    }
}

/// What the signature of a head is of.
fn statement(sequence: u64, previous: LineHash, at: Timestamp) -> Vec<u8> {
    format!("windlass audit head 1\n{sequence}\n{previous}\n{}\n", at.0).into_bytes()
}

/// A line that was made, and what is to be known of it beside the file.
pub(super) struct Made {
    /// Without its end.
    pub(super) line: Vec<u8>,
    /// None of a head.
    pub(super) event: Option<AuditEvent>,
    pub(super) at: Position,
}

impl Made {
    /// A line where there is no file, and so no chain.
    pub(super) fn unchained(event: AuditEvent) -> Self {
        let (sequence, previous, time) = (None, None, event.at.to_rfc3339());
        let line = AuditLine { sequence, previous, time, event };
        // Strings and numbers: this cannot fail.
        let text = serde_json::to_vec(&line).unwrap_or_default();
        Self { line: text, event: Some(line.event), at: Position::default() }
    }
}

/// Lines to be added together.
pub(super) struct Lines {
    /// All of them with their ends.
    pub(super) bytes: Vec<u8>,
    pub(super) made: Vec<Made>,
    /// Where they lead.
    pub(super) tip: Tip,
}

/// How far a chain has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tip {
    pub(super) at: Position,
    /// Events since the last head.
    pub(super) unsigned: u32,
}

/// Makes lines that follow one another.
pub(super) struct Composer<'a> {
    pub(super) tip: Tip,
    key: &'a AuditKey,
    now: Timestamp,
    made: Vec<Made>,
}

impl<'a> Composer<'a> {
    pub(super) fn new(tip: Tip, key: &'a AuditKey, now: Timestamp) -> Self {
        Self { tip, key, now, made: Vec::new() }
    }

    /// What was made.
    pub(super) fn lines(self) -> Lines {
        let mut bytes = Vec::with_capacity(self.made.iter().map(|it| it.line.len() + 1).sum());
        for made in &self.made {
            bytes.extend_from_slice(&made.line);
            bytes.push(b'\n');
        }
        Lines { bytes, made: self.made, tip: self.tip }
    }

    /// Adds an event, and a head where one is due. An event that is too long loses what tells
    /// least; none of ours is.
    pub(super) fn event(&mut self, event: AuditEvent) {
        if self.tip.unsigned >= limits::AUDIT_HEAD_ENTRIES {
            // A crash has torn off the one that was due.
            self.head();
        }
        let mut line = AuditLine {
            sequence: Some(self.tip.at.sequence.saturating_add(1)),
            previous: Some(self.tip.at.hash),
            time: event.at.to_rfc3339(),
            event,
        };
        for attempt in 0..2 {
            // Strings and numbers: this cannot fail.
            let text = serde_json::to_vec(&line).unwrap_or_default();
            if text.len() <= limits::AUDIT_EVENT_BYTES + limits::AUDIT_LINK_BYTES {
                self.add(text, Some(line.event));
                self.tip.unsigned += 1;
                if self.tip.unsigned >= limits::AUDIT_HEAD_ENTRIES {
                    self.head();
                }
                return;
            }
            if attempt == 0 {
                let event = &mut line.event;
                event.detail = Some("what was said of it was too long".into());
                (event.version, event.lease, event.request, event.traceparent) = Default::default();
            }
        }
        tracing::warn!(worker = ?line.event.worker, "audit event dropped: too large");
    }

    /// Signs all before.
    pub(super) fn head(&mut self) {
        let head = Head::sign(self.tip.at, self.now, self.key);
        // Strings and numbers: this cannot fail.
        self.add(serde_json::to_vec(&head).unwrap_or_default(), None);
        self.tip.unsigned = 0;
    }

    fn add(&mut self, line: Vec<u8>, event: Option<AuditEvent>) {
        let (sequence, hash) = (self.tip.at.sequence.saturating_add(1), LineHash::of(&line));
        self.tip.at = Position { sequence, hash };
        self.made.push(Made { line, event, at: self.tip.at });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Composer, Head, LineHash, Position, Tip};
    use crate::audit::key::AuditKey;
    use windlass_proto::time::Timestamp;

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        // FIPS 180-2, appendix B.1.
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(LineHash::of(b"abc").to_string(), text);
        assert_eq!(text.parse::<LineHash>().unwrap(), LineHash::of(b"abc"));
        for bad in ["", "ab", &text[1..], &text.replace('b', "g"), &text.replace("ba", "ß")] {
            assert!(bad.parse::<LineHash>().is_err(), "{bad}");
        }
        let position: Position = format!("7:{text}").parse().unwrap();
        assert_eq!(position.to_string(), format!("7:{text}"));
        assert!("7".parse::<Position>().is_err() && ":7".parse::<Position>().is_err());
    }

    #[test]
    fn a_head_is_good_to_the_last_byte() {
        let key = AuditKey::generate().unwrap();
        let mut composer = Composer::new(Tip::default(), &key, Timestamp(1_500));
        composer.head();
        let line = composer.made.remove(0).line;
        let head = Head::parse(&line).unwrap();
        assert!(head.is_signed() && head.key == key.public());
        let text = String::from_utf8(line).unwrap();
        for (from, to) in [
            ("\"sequence\":1", "\"sequence\":2"),
            ("\"at\":1500", "\"at\":1501"),
            ("00:00:01.5", "00:00:01.6"),
            ("\"previous\":\"0", "\"previous\":\"1"),
            ("{", "{ "),
            ("}", ",\"x\":1}"),
        ] {
            let forged = text.replacen(from, to, 1);
            assert_ne!(forged, text, "{from}");
            let good = Head::parse(forged.as_bytes()).is_some_and(|it| it.is_signed());
            assert!(!good, "{forged}");
        }
    }
}
