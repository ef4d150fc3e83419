//! Follows the chain over lines of which some may not belong where they are.
//!
//! A line belongs to the chain when it has the hash of the last line that does, or when the line
//! after it has its hash: nobody can make that up for a line that was there before. All others are
//! set aside (`strays`) until all is read; then it shows which are missing elsewhere (`mend`).
//!
//! Lines that follow an earlier one than the last are a side line: a copy of some, or the true ones
//! after forged ones. Which of the two it is, their number says, as what is true goes on.

use std::collections::VecDeque;
use std::path::Path;

use windlass_proto::limits;

use super::known::Known;
use super::mend::{Gap, Place, Stray, mend};
use super::{Against, Defect, Finding, Report};
use crate::audit::chain::{Head, LineHash, Link, Position};
use crate::audit::key::PublicKey;
use crate::audit::lines::RawLine;

/// What is known of a line once it was read.
struct Seen {
    place: Place,
    sequence: Option<u64>,
    previous: Option<LineHash>,
    hash: LineHash,
    head: Option<Signed>,
}

/// What a head is worth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signed {
    /// It is not written as a head is, or not signed by its key.
    Badly,
    /// By a key that was not named.
    Otherwise,
    Well,
}

impl Seen {
    fn follows(&self, other: &Self) -> bool {
        let next = other.sequence.and_then(|it| it.checked_add(1));
        next.is_some() && self.sequence == next && self.previous == Some(other.hash)
    }
}

/// A line of the chain.
#[derive(Clone, Copy)]
struct Linked {
    at: Position,
    place: Place,
    is_head: bool,
}

/// Lines that follow an earlier line of the chain than the last.
struct Side {
    /// The number of that line.
    base: u64,
    lines: Vec<Seen>,
}

/// Something wrong with a line of the chain, which may turn out to be none of it.
struct Wrong {
    place: Place,
    sequence: u64,
    to: Option<u64>,
    finding: Finding,
    detail: &'static str,
}

/// See the module.
pub(super) struct Follower<'a> {
    against: &'a Against,
    files: Vec<String>,
    place: Place,
    report: Report,
    /// The last line before the chain.
    before: Option<LineHash>,
    /// The last lines of the chain.
    chain: VecDeque<Linked>,
    /// A line after the last one that has another hash: it depends on the line after it.
    pending: Option<Seen>,
    side: Option<Side>,
    strays: Vec<Stray>,
    /// How many there were when the last line of the chain came.
    strays_before: usize,
    gaps: Vec<Gap>,
    wrong: Vec<Wrong>,
    signed: Option<Position>,
    known: Known,
}

impl<'a> Follower<'a> {
    pub(super) fn new(against: &'a Against) -> Self {
        Self {
            against,
            files: Vec::new(),
            place: Place { file: 0, line: 0 },
            report: Report::default(),
            before: None,
            chain: VecDeque::new(),
            pending: None,
            side: None,
            strays: Vec::new(),
            strays_before: 0,
            gaps: Vec::new(),
            wrong: Vec::new(),
            signed: None,
            known: Known::new(&against.heads, against.noted),
        }
    }

    /// What follows is of this file.
    pub(super) fn file(&mut self, path: &Path) {
        let before = std::mem::replace(&mut self.place, Place { file: self.files.len(), line: 0 });
        self.files.push(path.display().to_string());
        self.report.files += 1;
        // Only of the last file it is what a process that ended has left.
        if self.report.half_line.take().is_some() {
            self.set_aside(before, None);
        }
    }

    /// The next line.
    pub(super) fn line(&mut self, line: &RawLine) {
        self.place.line += 1;
        if !line.whole {
            self.report.half_line = Some(line.bytes.len());
            return;
        }
        let seen = self.see(&line.bytes);
        let nothing = self.chain.is_empty() && self.pending.is_none() && self.strays.is_empty();
        if nothing && seen.sequence.is_none() {
            self.report.before_chain += 1;
            self.before = Some(seen.hash);
            return;
        }
        self.take(seen);
    }

    fn see(&mut self, line: &[u8]) -> Seen {
        let (place, hash) = (self.place, LineHash::of(line));
        let link = serde_json::from_slice::<Link<'_>>(line).ok();
        let head = link.as_ref().is_some_and(Link::is_head).then(|| self.head(line));
        let (sequence, previous) = link.map_or((None, None), |it| (it.sequence, it.previous));
        // Numbers begin with 1.
        let sequence = sequence.filter(|it| *it > 0);
        Seen { place, sequence, previous, hash, head }
    }

    fn head(&mut self, line: &[u8]) -> Signed {
        let Some(head) = Head::parse(line).filter(Head::is_signed) else { return Signed::Badly };
        self.know(head.key);
        let named = &self.against.keys;
        match named.is_empty() || named.contains(&head.key) {
            true => Signed::Well,
            false => Signed::Otherwise,
        }
    }

    fn know(&mut self, key: PublicKey) {
        let keys = &mut self.report.keys;
        if !keys.contains(&key) && keys.len() < limits::AUDIT_KEYS {
            keys.push(key);
        }
    }

    fn take(&mut self, seen: Seen) {
        if let Some(pending) = self.pending.take() {
            match seen.follows(&pending) {
                true => self.join(pending),
                false => self.stray(&pending),
            }
        }
        let Some(tip) = self.chain.back().copied() else {
            match seen.sequence {
                Some(_) => self.pending = Some(seen),
                None => self.stray(&seen),
            }
            return;
        };
        if seen.previous == Some(tip.at.hash) {
            self.lose_side();
            let next = tip.at.sequence.saturating_add(1);
            if seen.sequence != Some(next) {
                self.wrong(seen.place, next, Finding::Altered, "its number is another one");
            }
            self.advance(&seen, next);
        } else if self.side.as_ref().is_some_and(|it| it.goes_on_with(&seen)) {
            self.extend_side(seen);
        } else if let Some(base) = self.base_of(&seen) {
            self.lose_side();
            self.side = Some(Side { base, lines: vec![seen] });
        } else if seen.sequence.is_some_and(|it| it > tip.at.sequence) {
            self.pending = Some(seen);
        } else {
            self.stray(&seen);
        }
    }

    /// The number of the line of the chain that it follows, which is not the last.
    fn base_of(&self, seen: &Seen) -> Option<u64> {
        let base = seen.sequence?.checked_sub(1)?;
        let index = self.chain.partition_point(|it| it.at.sequence < base);
        let found = self.chain.get(index)?.at;
        (found.sequence == base && Some(found.hash) == seen.previous).then_some(base)
    }

    fn extend_side(&mut self, seen: Seen) {
        let Some(side) = &mut self.side else { return };
        side.lines.push(seen);
        let after = self.chain.partition_point(|it| it.at.sequence <= side.base);
        if side.lines.len() > self.chain.len() - after {
            self.win_side();
        }
    }

    /// What came after the base of the side line was not there before.
    fn win_side(&mut self) {
        let Some(Side { base, lines }) = self.side.take() else { return };
        let after = self.chain.partition_point(|it| it.at.sequence <= base);
        for linked in self.chain.split_off(after) {
            match linked.is_head {
                true => self.report.heads -= 1,
                false => self.report.events -= 1,
            }
            self.set_aside(linked.place, Some(linked.at.sequence));
        }
        self.wrong.retain(|it| it.sequence <= base);
        self.known.forget_after(base);
        self.gaps.retain(|it| it.from <= base);
        self.signed = self.signed.filter(|it| it.sequence <= base);
        let events = self.chain.iter().rev().take_while(|it| !it.is_head).count();
        self.report.unsigned = events as u64;
        for seen in lines {
            if let Some(sequence) = seen.sequence {
                self.advance(&seen, sequence);
            }
        }
    }

    /// The side line was a copy.
    fn lose_side(&mut self) {
        for seen in self.side.take().map(|it| it.lines).into_iter().flatten() {
            self.stray(&seen);
        }
    }

    /// A line that the next one follows, and that does not follow the last one.
    fn join(&mut self, seen: Seen) {
        self.lose_side();
        let Some(sequence) = seen.sequence else { return self.stray(&seen) };
        let Some(tip) = self.chain.back().copied() else { return self.start(&seen, sequence) };
        let (next, strays) = (tip.at.sequence.saturating_add(1), self.strays_before);
        if sequence == next {
            let detail = "the next line has the hash of another text";
            self.wrong(tip.place, tip.at.sequence, Finding::Altered, detail);
        } else {
            // What stands in the gap may say what was before it.
            let says = self.strays.get(strays).filter(|it| it.sequence == Some(next));
            if says.is_some_and(|it| it.previous.is_some_and(|it| it != tip.at.hash)) {
                let detail = "it, or the hash of it in the next line";
                self.wrong(tip.place, tip.at.sequence, Finding::Altered, detail);
            }
            self.gap(next, sequence - 1, seen.place);
        }
        self.advance(&seen, sequence);
    }

    /// The first line of the chain.
    fn start(&mut self, seen: &Seen, sequence: u64) {
        if sequence == 1 {
            // A file with lines of builds without a chain may be gone by now.
            if let Some(before) = self.before
                && seen.previous != Some(before)
            {
                let detail = "the last line before the chain is not what it was";
                self.wrong(seen.place, 1, Finding::Altered, detail);
            }
        } else if seen.place.line > 1 || seen.head.is_none() {
            // A file begins with a head.
            self.gap(sequence - 1, sequence - 1, seen.place);
        }
        self.advance(seen, sequence);
    }

    fn gap(&mut self, from: u64, to: u64, place: Place) {
        if self.gaps.len() < limits::AUDIT_DEFECTS {
            let strays = self.strays_before..self.strays.len();
            self.gaps.push(Gap { from, to, place, strays });
        } else {
            self.report.more_defects += 1;
        }
    }

    fn stray(&mut self, seen: &Seen) {
        let Seen { place, sequence, previous, .. } = *seen;
        self.keep(Stray { place, sequence, previous });
    }

    fn set_aside(&mut self, place: Place, sequence: Option<u64>) {
        self.keep(Stray { place, sequence, previous: None });
    }

    fn keep(&mut self, stray: Stray) {
        if self.strays.len() < limits::AUDIT_DEFECTS {
            self.strays.push(stray);
        } else {
            self.report.more_defects += 1;
        }
    }

    fn wrong(&mut self, place: Place, sequence: u64, finding: Finding, detail: &'static str) {
        if self.wrong.len() < limits::AUDIT_DEFECTS {
            self.wrong.push(Wrong { place, sequence, to: None, finding, detail });
        } else {
            self.report.more_defects += 1;
        }
    }

    /// The chain goes on.
    fn advance(&mut self, seen: &Seen, sequence: u64) {
        let (place, is_head) = (seen.place, seen.head.is_some());
        let at = Position { sequence, hash: seen.hash };
        self.report.first.get_or_insert(sequence);
        if !self.known.meets(at) {
            let detail = "it has another hash than the head that is known";
            self.wrong(place, sequence, Finding::Rewritten, detail);
        }
        self.chain.push_back(Linked { at, place, is_head });
        if self.chain.len() > limits::AUDIT_REACH {
            self.chain.pop_front();
        }
        self.strays_before = self.strays.len();
        match seen.head {
            Some(signed) => self.advance_head(seen, sequence, signed),
            None => {
                self.report.events += 1;
                self.report.unsigned += 1;
                if self.report.unsigned == u64::from(limits::AUDIT_HEAD_ENTRIES) + 1 {
                    let detail = "there should have been a head before it";
                    self.wrong(place, sequence, Finding::Unsigned, detail);
                }
            }
        }
    }

    fn advance_head(&mut self, seen: &Seen, sequence: u64, signed: Signed) {
        self.report.heads += 1;
        self.report.unsigned = 0;
        match signed {
            // The first of all signs nothing.
            Signed::Well if sequence > 1 => {
                let hash = seen.previous.unwrap_or_default();
                self.signed = Some(Position { sequence: sequence - 1, hash });
            }
            Signed::Well => {}
            Signed::Badly => {
                let detail = "it, or lines since the head before it, were written by somebody else";
                self.wrong(seen.place, sequence, Finding::BadSignature, detail);
            }
            Signed::Otherwise => {
                let detail = "its key is none of those that were named";
                self.wrong(seen.place, sequence, Finding::ForeignKey, detail);
            }
        }
    }

    /// All lines were read.
    pub(super) fn finish(mut self) -> Report {
        self.end_pending();
        let after = |chain: &VecDeque<Linked>, base| {
            chain.len() - chain.partition_point(|it| it.at.sequence <= base)
        };
        match &self.side {
            Some(it) if it.lines.len() > after(&self.chain, it.base) => self.win_side(),
            _ => self.lose_side(),
        }
        let last = self.chain.back().copied();
        self.cut(last);
        let mut report = std::mem::take(&mut self.report);
        report.last = last.map(|it| Report::written(it.at));
        report.signed = self.signed.map(Report::written);
        report.known = self.known.report(report.first);
        report.defects = self.defects();
        report
    }

    /// The last line has none after it that could say whether it was there.
    fn end_pending(&mut self) {
        let Some(pending) = self.pending.take() else { return };
        let next = self.chain.back().map(|it| it.at.sequence.saturating_add(1));
        if let Some(sequence) = pending.sequence
            && next == Some(sequence)
            && pending.head != Some(Signed::Well)
        {
            self.lose_side();
            let detail = "it, or the line before it";
            self.wrong(pending.place, sequence, Finding::Altered, detail);
            self.advance(&pending, sequence);
        } else {
            self.join(pending);
        }
    }

    /// What others know of lines that are not there.
    fn cut(&mut self, last: Option<Linked>) {
        let end = last.map_or(0, |it| it.at.sequence);
        let known = self.known.newest();
        if known > end {
            let place = last.map_or(self.place, |it| it.place);
            let (finding, detail) = (Finding::Cut, "lines after it are known and not there");
            let to = Some(known).filter(|it| *it > end + 1);
            self.wrong.push(Wrong { place, sequence: end + 1, to, finding, detail });
        }
    }

    fn defects(self) -> Vec<Defect> {
        let altered = self.wrong.iter().filter(|it| it.finding == Finding::Altered);
        let altered: Vec<u64> = altered.map(|it| it.sequence).collect();
        let mut all: Vec<(Place, Defect)> = Vec::new();
        for it in self.wrong {
            // An altered head is not signed either.
            if it.finding == Finding::BadSignature && altered.contains(&it.sequence) {
                continue;
            }
            let (sequence, detail) = (Some(it.sequence), it.detail.to_owned());
            let (file, line) = (String::new(), it.place.line);
            let (to, finding) = (it.to, it.finding);
            all.push((it.place, Defect { file, line, sequence, to, finding, detail }));
        }
        all.extend(mend(&self.strays, self.gaps));
        all.sort_by_key(|(place, defect)| (*place, defect.sequence));
        // Its number and what the next line says of it show one change twice.
        all.dedup_by_key(|(place, defect)| (*place, defect.sequence, defect.finding));
        let named = |(place, mut defect): (Place, Defect)| {
            defect.file = self.files.get(place.file).cloned().unwrap_or_default();
            defect
        };
        all.into_iter().map(named).collect()
    }
}

impl Side {
    fn goes_on_with(&self, seen: &Seen) -> bool {
        self.lines.last().is_some_and(|it| seen.follows(it))
    }
}
