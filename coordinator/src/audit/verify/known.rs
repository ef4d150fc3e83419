//! Heads that others kept: reading them, and which of them a trail has.

use std::io::{self, Read};

use serde::Deserialize;
use windlass_proto::limits;

use super::report::KnownHeads;
use crate::audit::chain::{Head, LineHash, Position};
use crate::audit::lines::Lines;

/// Why what was kept cannot be read as heads.
#[derive(Debug, thiserror::Error)]
pub enum NotHeads {
    /// It cannot be read at all.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line is none of them.
    #[error(
        "line {0} is no head: each is a delivery of --audit-heads-webhook, a head as the stream \
         has it, or SEQUENCE:HASH"
    )]
    Line(usize),
    /// There is none in it: what was to be kept is elsewhere, or was not kept.
    #[error("no head is in it")]
    None,
    /// More than a check takes.
    #[error("it has more than {} heads: the newest are enough", limits::AUDIT_HEADS_KNOWN)]
    TooMany,
}

/// The body of a delivery, or what is left of it.
#[derive(Deserialize)]
struct Delivered {
    sequence: u64,
    hash: LineHash,
    #[serde(default)]
    line: Option<String>,
}

/// Reads what was kept of heads, one a line. Blocking.
///
/// # Errors
/// When it cannot be read, or something in it is no head.
pub fn read_heads(input: impl Read) -> Result<Vec<Position>, NotHeads> {
    let (mut lines, mut heads, mut number) = (Lines::new(input), Vec::new(), 0);
    while let Some(line) = lines.next()? {
        number += 1;
        let bytes = line.bytes.trim_ascii();
        if bytes.is_empty() {
            continue;
        }
        if heads.len() >= limits::AUDIT_HEADS_KNOWN {
            return Err(NotHeads::TooMany);
        }
        heads.push(head(bytes).ok_or(NotHeads::Line(number))?);
    }
    if heads.is_empty() { Err(NotHeads::None) } else { Ok(heads) }
}

fn head(bytes: &[u8]) -> Option<Position> {
    if let Some(head) = Head::parse(bytes) {
        return Some(Position { sequence: head.sequence, hash: LineHash::of(bytes) });
    }
    if let Ok(it) = serde_json::from_slice::<Delivered>(bytes) {
        // One whose parts are of two heads tells nothing.
        let fits = |line: &String| head(line.as_bytes()).is_some_and(|at| at == it.position());
        return it.line.as_ref().is_none_or(fits).then(|| it.position());
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

impl Delivered {
    fn position(&self) -> Position {
        Position { sequence: self.sequence, hash: self.hash }
    }
}

/// What others know, held against a trail as it is read.
pub(super) struct Known {
    /// By number.
    heads: Vec<Position>,
    /// Which of them are there.
    found: Vec<bool>,
    /// The one that nobody else kept.
    noted: Option<Position>,
}

impl Known {
    pub(super) fn new(heads: &[Position], noted: Option<Position>) -> Self {
        let noted = noted.filter(|it| !heads.contains(it));
        let mut heads: Vec<Position> = heads.iter().copied().chain(noted).collect();
        heads.sort_unstable();
        heads.dedup();
        let found = vec![false; heads.len()];
        Self { heads, found, noted }
    }

    /// A line of the trail; false when others know another one at its number.
    pub(super) fn meets(&mut self, at: Position) -> bool {
        let from = self.heads.partition_point(|it| it.sequence < at.sequence);
        let known = self.heads.iter().zip(&mut self.found).skip(from);
        let mut same = true;
        for (head, found) in known.take_while(|(it, _)| it.sequence == at.sequence) {
            *found = head.hash == at.hash;
            same &= *found;
        }
        same
    }

    /// Lines after this number turned out not to be of the trail.
    pub(super) fn forget_after(&mut self, sequence: u64) {
        let from = self.heads.partition_point(|it| it.sequence <= sequence);
        self.found.iter_mut().skip(from).for_each(|it| *it = false);
    }

    /// The number of the newest.
    pub(super) fn newest(&self) -> u64 {
        self.heads.last().map_or(0, |it| it.sequence)
    }

    /// What became of them, in a trail that begins with this number.
    pub(super) fn report(&self, first: Option<u64>) -> Option<KnownHeads> {
        let given = self.heads.iter().zip(&self.found);
        let given: Vec<_> = given.filter(|(it, _)| Some(**it) != self.noted).collect();
        if given.is_empty() {
            return None;
        }
        let mut report = KnownHeads { given: given.len(), ..KnownHeads::default() };
        for (head, found) in given {
            match first {
                _ if *found => report.found += 1,
                Some(first) if head.sequence < first => report.before += 1,
                _ if report.missing.len() < limits::AUDIT_DEFECTS => {
                    report.missing.push(head.to_string());
                }
                _ => report.more_missing += 1,
            }
        }
        Some(report)
    }
}
