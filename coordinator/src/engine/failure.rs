//! Errors on their way up: to the `try` that catches them, or to the end of the instance.

use windlass_proto::id::FrameId;
use windlass_proto::limits;
use windlass_proto::plan::{Kind, OnFault};
use windlass_proto::problem::Problem;

use super::fact::Fact;
use super::instance::{Body, Ending, ROOT};
use super::turn::Turn;

impl Turn<'_> {
    /// A task failed.
    pub(super) fn fail(&mut self, id: FrameId, problem: Problem) {
        let Some((frame, _)) = self.visit(id) else { return self.misfit("fail", id) };
        let (parent, position) = (frame.parent, frame.position);
        let problem = problem.at(&self.reference(id));
        if self.halts(id, &problem) {
            self.record(Fact::Halted { frame: id, problem });
            return self.drop_steps(id);
        }
        self.record(Fact::TaskFaulted { frame: id, problem: problem.clone() });
        self.propagate(parent, position, problem);
    }

    /// True for an error that would end the instance where the definition asks to suspend it.
    fn halts(&self, id: FrameId, problem: &Problem) -> bool {
        let said = self.state.lineage(id).find_map(|(_, frame)| self.task_of(frame)?.on_fault);
        said.unwrap_or(self.plan.on_fault) == OnFault::Suspend
            // One that has too many open would keep one more for each that fails.
            && self.state.frames.len() <= limits::INSTANCE_FRAMES
            && self.is_uncaught(id, problem.clone())
    }

    /// True when nothing around a visit would deal with its error.
    fn is_uncaught(&self, id: FrameId, mut problem: Problem) -> bool {
        let lineage: Vec<_> = self.state.lineage(id).map(|(id, it)| (id, it.position)).collect();
        for pair in lineage.windows(2) {
            let [(_, position), (above, _)] = *pair else { continue };
            match self.state.frame(above).map(|it| &it.body) {
                Some(Body::Trying { .. }) => match self.verdict(above, &problem) {
                    Ok(Some(_)) => return false,
                    Ok(None) => {}
                    Err(wrong) => problem = wrong,
                },
                Some(Body::Fork { branches, running }) if self.competes(above) => {
                    if *running > 1 {
                        return false;
                    }
                    let before = branches.iter().take(position as usize);
                    if let Some(first) = before.filter_map(|it| it.problem.as_ref()).next() {
                        problem = first.clone();
                    }
                }
                Some(_) | None => {}
            }
        }
        true
    }

    /// Hands an error to the enclosing frames, nearest first, until one deals with it.
    pub(super) fn propagate(&mut self, parent: FrameId, position: u32, problem: Problem) {
        let (mut id, mut position, mut problem) = (parent, position, problem);
        loop {
            let Some(frame) = self.state.frame(id) else { return self.misfit("propagate", id) };
            let (above, own) = (frame.parent, frame.position);
            match &frame.body {
                Body::Trying { .. } => match self.catch(id, problem) {
                    None => return,
                    Some(uncaught) => problem = uncaught,
                },
                Body::Fork { .. } if self.competes(id) => {
                    match self.branch_lost(id, position, problem) {
                        None => return,
                        Some(first) => problem = first,
                    }
                }
                // Nothing else deals with errors.
                _ => {}
            }
            if id == ROOT {
                return self.end(Ending::Faulted(problem));
            }
            (id, position) = (above, own);
        }
    }

    /// True for a `fork` whose branches compete.
    fn competes(&self, id: FrameId) -> bool {
        let task = self.state.frame(id).and_then(|frame| self.task_of(frame));
        matches!(task.map(|task| &task.kind), Some(Kind::Fork(fork)) if fork.compete)
    }

    /// A competing branch failed: the race goes on while others run. When all have failed, the
    /// first one's error (in declaration order) is the fork's.
    fn branch_lost(&mut self, id: FrameId, position: u32, problem: Problem) -> Option<Problem> {
        self.record(Fact::BranchFaulted { frame: id, position, problem });
        match self.state.frame(id).map(|it| &it.body) {
            Some(Body::Fork { running: 0, branches }) => {
                branches.iter().find_map(|branch| branch.problem.clone())
            }
            // Others run on.
            Some(Body::Fork { .. }) => None,
            Some(_) | None => {
                self.misfit("branch_lost", id);
                None
            }
        }
    }
}
