//! What cannot be, and was met all the same: a defect of this program, or a journal that something
//! else has written.
//!
//! The engine does not log and does not stop: it takes note, leaves the state as far as it goes,
//! and whoever owns the instance counts and tells ([`Misfits`] is taken with the other changes).

use std::fmt;

use windlass_proto::id::FrameId;
use windlass_proto::limits;
use windlass_proto::plan::{Kind, Task};

use super::instance::{Body, Doing, Frame, Phase};
use super::turn::Turn;

/// Something that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// What it is.
    pub kind: MisfitKind,
    /// The fact's name, or what the engine was about to do.
    pub what: &'static str,
    /// Where the instance stood.
    pub phase: Phase,
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
        write!(f, " where the instance is {:?}", self.phase)
    }
}

/// Misfits of one instance since they were last taken.
#[derive(Clone, Debug, Default)]
pub struct Misfits {
    count: u64,
    first: Vec<Misfit>,
}

impl Misfits {
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
        if self.first.len() < limits::MISFITS_KEPT {
            self.first.push(misfit);
        }
    }
}

impl<'a> Turn<'a> {
    /// Takes note that something is not there which must be, for the visit `id` in `place`: where a
    /// turn goes on from what it has just decided or [`super::admit`] has seen. It gives up there.
    #[cold]
    pub(super) fn misfit(&mut self, place: &'static str, id: FrameId) {
        let (phase, doing) = (self.state.phase(), self.state.doing(id));
        let visit = Some((id, doing));
        let misfit = Misfit { kind: MisfitKind::Missing, what: place, phase, visit };
        self.state.changes.misfits.add(misfit);
        debug_assert!(false, "{misfit}");
    }

    /// An open visit and its task.
    pub(super) fn visit(&self, id: FrameId) -> Option<(&Frame, &'a Task)> {
        let frame = self.state.frame(id)?;
        Some((frame, self.task_of(frame)?))
    }

    /// What an open visit is doing, and what its task is.
    pub(super) fn work_of(&self, id: FrameId) -> Option<(&Body, &'a Kind)> {
        self.visit(id).map(|(frame, task)| (&frame.body, &task.kind))
    }
}
