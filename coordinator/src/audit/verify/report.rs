//! What a check says.

use std::fmt;

use serde::Serialize;

use crate::audit::chain::Position;
use crate::audit::key::PublicKey;

/// What is in a trail, and what is wrong with it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Files that were read.
    pub files: usize,
    /// Events in the chain.
    pub events: u64,
    /// Heads in the chain.
    pub heads: u64,
    /// Lines before the chain: of builds that made none.
    pub before_chain: u64,
    /// The number of the first line that is there; those before it were removed with their files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// The last line, as `--head` takes it the next time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// The last line that a good head signs, with all before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
    /// Events after it.
    pub unsigned: u64,
    /// The keys of all heads, in the order in which they came.
    pub keys: Vec<PublicKey>,
    /// Bytes of a last line that is not whole: it is being written, or was when the process ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub half_line: Option<usize>,
    /// What became of the heads that others know, where any were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<KnownHeads>,
    /// What is wrong, in the order of the lines.
    pub defects: Vec<Defect>,
    /// How much more is wrong than is listed.
    pub more_defects: u64,
}

impl Report {
    /// True when nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.defects.is_empty() && self.more_defects == 0
    }

    /// Where a trail stands, to be kept.
    pub(super) fn written(at: Position) -> String {
        at.to_string()
    }
}

/// Heads that others know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownHeads {
    /// How many were given.
    pub given: usize,
    /// Of these, those that are in the trail as they were.
    pub found: usize,
    /// Those before the first line that is there, which went with their files.
    pub before: usize,
    /// Those that should be in the trail and are not.
    pub missing: Vec<String>,
    /// How many more are missing than are listed.
    pub more_missing: usize,
}

/// Something wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Defect {
    /// Which file.
    pub file: String,
    /// Which line of it, from 1; of what is missing the line that follows it.
    pub line: u64,
    /// Which number it has, or should have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The last number, where it is about several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// What it is.
    pub finding: Finding,
    /// In words.
    pub detail: String,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// Lines are missing between others.
    Deleted,
    /// A line is not what it was.
    Altered,
    /// A line was not there.
    Inserted,
    /// A line was elsewhere.
    Reordered,
    /// Lines are missing at the end.
    Cut,
    /// A head is not signed by its key: it, or what it signs, was written by somebody else.
    BadSignature,
    /// A head is signed by a key that was not named.
    ForeignKey,
    /// More lines follow one another without a head than a coordinator writes.
    Unsigned,
    /// The trail is another one than that of a head that others know.
    Rewritten,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deleted => "deleted",
            Self::Altered => "altered",
            Self::Inserted => "inserted",
            Self::Reordered => "reordered",
            Self::Cut => "cut",
            Self::BadSignature => "bad-signature",
            Self::ForeignKey => "foreign-key",
            Self::Unsigned => "unsigned",
            Self::Rewritten => "rewritten",
        })
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.finding)?;
        match (self.sequence, self.to) {
            (Some(from), Some(to)) => write!(f, " {from} to {to}")?,
            (Some(sequence), None) => write!(f, " {sequence}")?,
            (None, _) => {}
        }
        write!(f, ": {}", self.detail)
    }
}
