//! Lines that were set aside, and gaps in the chain: which fills which.

use std::ops::Range;

use super::{Defect, Finding};
use crate::audit::chain::LineHash;

/// Where a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) line: u64,
}

/// A line that does not follow from where it is.
pub(super) struct Stray {
    pub(super) place: Place,
    pub(super) sequence: Option<u64>,
    pub(super) previous: Option<LineHash>,
}

/// Numbers that are missing.
pub(super) struct Gap {
    pub(super) from: u64,
    pub(super) to: u64,
    /// The line after them.
    pub(super) place: Place,
    /// Which strays stand there.
    pub(super) strays: Range<usize>,
}

/// A gap of which less and less is missing.
struct Missing {
    gap: Gap,
    ranges: Vec<(u64, u64)>,
}

impl Missing {
    /// False when it is not missing here.
    fn found(&mut self, sequence: u64) -> bool {
        let within = |it: &(u64, u64)| (it.0..=it.1).contains(&sequence);
        let Some(index) = self.ranges.iter().position(within) else { return false };
        let (from, to) = self.ranges.remove(index);
        if sequence < to {
            self.ranges.insert(index, (sequence + 1, to));
        }
        if from < sequence {
            self.ranges.insert(index, (from, sequence - 1));
        }
        true
    }
}

/// What strays and gaps are, each with its place.
pub(super) fn mend(strays: &[Stray], gaps: Vec<Gap>) -> Vec<(Place, Defect)> {
    let whole = |gap: Gap| Missing { ranges: vec![(gap.from, gap.to)], gap };
    let mut gaps: Vec<_> = gaps.into_iter().map(whole).collect();
    let mut found: Vec<Option<(u64, Finding, &str)>> = vec![None; strays.len()];
    for (index, stray) in strays.iter().enumerate() {
        let Some(sequence) = stray.sequence else { continue };
        let filled = gaps
            .iter_mut()
            .find_map(|it| it.found(sequence).then(|| it.gap.strays.contains(&index)));
        found[index] = filled.map(|here| match here {
            true => (sequence, Finding::Altered, "the lines around it have other hashes"),
            false => (sequence, Finding::Reordered, "it belongs elsewhere"),
        });
    }
    for (index, stray) in strays.iter().enumerate() {
        if found[index].is_some() {
            continue;
        }
        let here = gaps.iter_mut().find(|it| it.gap.strays.contains(&index));
        found[index] = here.and_then(|it| {
            let sequence = it.ranges.first()?.0;
            it.found(sequence);
            let detail = match stray.sequence {
                Some(_) => "its number is another one",
                None => "its number cannot be read",
            };
            Some((sequence, Finding::Altered, detail))
        });
    }
    let mut all: Vec<_> =
        strays.iter().zip(found).map(|(it, found)| stray_defect(it, found)).collect();
    all.extend(gaps.iter().flat_map(deleted));
    all
}

fn stray_defect(stray: &Stray, found: Option<(u64, Finding, &str)>) -> (Place, Defect) {
    let (sequence, finding, detail) = match (found, stray.sequence) {
        (Some((sequence, finding, detail)), _) => (Some(sequence), finding, detail),
        (None, Some(sequence)) => (
            Some(sequence),
            Finding::Inserted,
            "no line of the chain leads to it and goes on from it",
        ),
        (None, None) => {
            (None, Finding::Inserted, "it has no number: builds without a chain write such")
        }
    };
    let (file, line, detail) = (String::new(), stray.place.line, detail.to_owned());
    (stray.place, Defect { file, line, sequence, to: None, finding, detail })
}

fn deleted(gap: &Missing) -> impl Iterator<Item = (Place, Defect)> {
    let place = gap.gap.place;
    gap.ranges.iter().map(move |(from, to)| {
        let (file, line, sequence) = (String::new(), place.line, Some(*from));
        let (to, finding) = (Some(*to).filter(|it| it > from), Finding::Deleted);
        let detail = "missing before this line".to_owned();
        (place, Defect { file, line, sequence, to, finding, detail })
    })
}
