//! What cannot be, and was met all the same: a defect of this program, or a journal that something
//! else has written.
//!
//! The engine does not log and does not stop: it takes note, leaves the state as far as it goes,
//! and whoever owns the instance counts and tells ([`Misfits`] is taken with the other changes).

use std::fmt;

use windlass_proto::id::FrameId;

use super::instance::{Doing, Standing};

/// Something that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// What it is.
    pub kind: MisfitKind,
    /// The fact's name, or what the engine was about to do.
    pub what: &'static str,
    /// Where the instance stood.
    pub standing: Standing,
    /// The visit it is about, and what that did.
    pub visit: Option<(FrameId, Doing)>,
}

/// What a misfit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MisfitKind {
    /// A fact that the state does not allow.
    Fact,
    /// Something that must be there, where the engine decides, is not.
    Missing,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            MisfitKind::Fact => write!(f, "the fact {}", self.what)?,
            MisfitKind::Missing => write!(f, "nothing to go on with in {}", self.what)?,
        }
        if let Some((FrameId(number), doing)) = self.visit {
            write!(f, " for visit {number}, which is {doing:?},")?;
        }
        write!(f, " where the instance is {:?}", self.standing)
    }
}

/// Misfits of one instance since they were last taken.
#[derive(Clone, Debug, Default)]
pub struct Misfits {
    count: u64,
    first: Vec<Misfit>,
}

impl Misfits {
    /// How many are kept: the first ones say what went wrong, those after them follow from it.
    const KEPT: usize = 4;

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first of them.
    #[must_use]
    pub fn first(&self) -> &[Misfit] {
        &self.first
    }

    pub(super) fn add(&mut self, misfit: Misfit) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < Self::KEPT {
            self.first.push(misfit);
        }
    }
}
