//! What an instance holds, in bytes: kept up to date as it changes, so that no turn walks the
//! state.
//!
//! Values are shared: the input of a workflow is also what its first task gets, and is one piece of
//! memory. So a value of some size counts once, however many hold it, and small ones count each
//! time. [`Held::spread`] counts every holder: that is what a snapshot writes out.

use std::collections::BTreeMap;

use windlass_proto::limits;
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use super::{Body, Branch, Ending, Frame, Instance};

/// Bytes a visit of a task takes beside its values.
pub(in crate::engine) const FRAME_BYTES: u64 = 512;

/// Bytes that are held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    bytes: u64,
    spread: u64,
    /// How many hold a value, by where it lies.
    holders: BTreeMap<usize, u32>,
}

/// One thing that a state holds.
pub(super) enum Part<'a> {
    Value(&'a mut Value),
    /// Something that nobody shares.
    Bytes(u64),
}

impl Held {
    /// Bytes held, what is shared counted once.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes held, what is shared counted for each holder.
    #[must_use]
    pub fn spread(&self) -> u64 {
        self.spread
    }

    /// What [`Self::bytes`] would be with these values as well.
    pub(in crate::engine) fn with<'v>(&self, values: impl IntoIterator<Item = &'v Value>) -> u64 {
        let new = values.into_iter().filter(|value| match address(value) {
            Some(address) => !self.holders.contains_key(&address),
            None => true,
        });
        new.map(Value::weight).fold(self.bytes, u64::saturating_add)
    }

    pub(super) fn add(&mut self, value: &Value) {
        let weight = value.weight();
        self.spread = self.spread.saturating_add(weight);
        if let Some(address) = address(value) {
            let holders = self.holders.entry(address).or_default();
            *holders += 1;
            if *holders > 1 {
                return;
            }
        }
        self.bytes = self.bytes.saturating_add(weight);
    }

    pub(super) fn take(&mut self, value: &Value) {
        let weight = value.weight();
        self.spread = self.spread.saturating_sub(weight);
        if let Some(address) = address(value) {
            let Some(holders) = self.holders.get_mut(&address) else {
                debug_assert!(false, "a value is let go that was not held");
                return;
            };
            *holders -= 1;
            if *holders > 0 {
                return;
            }
            self.holders.remove(&address);
        }
        self.bytes = self.bytes.saturating_sub(weight);
    }

    pub(super) fn add_part(&mut self, part: Part<'_>) {
        match part {
            Part::Value(value) => self.add(value),
            Part::Bytes(bytes) => {
                self.bytes = self.bytes.saturating_add(bytes);
                self.spread = self.spread.saturating_add(bytes);
            }
        }
    }

    pub(super) fn take_part(&mut self, part: Part<'_>) {
        match part {
            Part::Value(value) => self.take(value),
            Part::Bytes(bytes) => {
                self.bytes = self.bytes.saturating_sub(bytes);
                self.spread = self.spread.saturating_sub(bytes);
            }
        }
    }

    /// Puts `value` in the place of another.
    pub(super) fn replace(&mut self, slot: &mut Value, value: Value) {
        self.add(&value);
        self.take(slot);
        *slot = value;
    }

    /// Puts `value` in a place that may be empty.
    pub(super) fn fill(&mut self, slot: &mut Option<Value>, value: Option<Value>) {
        value.iter().for_each(|value| self.add(value));
        slot.iter().for_each(|value| self.take(value));
        *slot = value;
    }
}

/// Where a value lies, if it is large enough to look.
fn address(value: &Value) -> Option<usize> {
    if value.weight() < limits::SHARED_BYTES { None } else { value.address() }
}

/// Bytes of the texts of an error.
pub(super) fn problem_bytes(problem: &Problem) -> u64 {
    let texts = [&problem.title, &problem.detail, &problem.instance];
    let texts = texts.into_iter().flatten().map(|text| text.len() as u64);
    texts.fold(problem.kind.len() as u64, u64::saturating_add)
}

impl Frame {
    /// Shows everything it holds.
    pub(super) fn each_part(&mut self, each: &mut dyn FnMut(Part<'_>)) {
        each(Part::Bytes(FRAME_BYTES));
        each(Part::Value(&mut self.raw));
        each(Part::Value(&mut self.input));
        if let Some(context) = &mut self.context {
            each(Part::Value(context));
        }
        self.body.each_part(each);
    }
}

impl Body {
    /// Shows everything it holds.
    pub(super) fn each_part(&mut self, each: &mut dyn FnMut(Part<'_>)) {
        match self {
            Self::Begun | Self::Dispatched { .. } | Self::Waiting => {}
            Self::Evaluating { value, before, .. } => {
                each(Part::Value(value));
                before.each_part(each);
            }
            Self::Sequence { value } => each(Part::Value(value)),
            Self::Loop { items, value, .. } => {
                each(Part::Value(items));
                each(Part::Value(value));
            }
            Self::Fork { branches, .. } => {
                branches.iter_mut().for_each(|branch| branch.each_part(each));
            }
            Self::Trying { value, context, .. } => {
                each(Part::Value(value));
                each(Part::Value(context));
            }
            Self::Retrying { context, problem, .. } => {
                each(Part::Value(context));
                each(Part::Bytes(problem_bytes(problem)));
            }
            Self::Catching { problem, value, .. } => {
                each(Part::Bytes(problem_bytes(problem)));
                each(Part::Value(value));
            }
            Self::Extending { held, before, value, .. } => {
                each(Part::Value(held));
                each(Part::Value(value));
                before.each_part(each);
            }
            Self::Publishing { event } => each(Part::Bytes(event.envelope().weight())),
            Self::Listening(listening) => {
                let fixed = listening.correlations.values_mut();
                let gathered = listening.queue.iter_mut().chain(&mut listening.outputs);
                let current = listening.item.iter_mut().chain([&mut listening.value]);
                fixed.chain(gathered).chain(current).for_each(|it| each(Part::Value(it)));
            }
            Self::Approving(it) => each(Part::Bytes(it.question.weight())),
            Self::Child { input, .. } => each(Part::Value(input)),
        }
    }
}

impl Branch {
    fn each_part(&mut self, each: &mut dyn FnMut(Part<'_>)) {
        self.output.iter_mut().chain(&mut self.context).for_each(|it| each(Part::Value(it)));
        if let Some(problem) = &self.problem {
            each(Part::Bytes(problem_bytes(problem)));
        }
    }
}

impl Instance {
    fn each_part(&mut self, each: &mut dyn FnMut(Part<'_>)) {
        each(Part::Value(&mut self.input));
        each(Part::Value(&mut self.context));
        match &mut self.ending {
            Some(Ending::Completed(output)) => each(Part::Value(output)),
            Some(Ending::Faulted(problem)) => each(Part::Bytes(problem_bytes(problem))),
            Some(Ending::Cancelled(_)) | None => {}
        }
        for halt in self.repair.halted.values() {
            each(Part::Bytes(problem_bytes(&halt.problem)));
        }
        self.frames.values_mut().for_each(|frame| frame.each_part(each));
    }

    /// Counts anew what the state holds. It must be what was counted change by change.
    pub(in crate::engine) fn recount(&mut self) -> Held {
        let mut held = Held::default();
        self.each_part(&mut |part| held.add_part(part));
        held
    }

    /// Makes equal large values one again: written out and read back, each holder has its own.
    pub(super) fn share(&mut self) {
        let mut seen: Vec<Value> = Vec::new();
        self.each_part(&mut |part| {
            let Part::Value(value) = part else { return };
            if value.weight() < limits::SHARED_LARGE_BYTES {
                return;
            }
            let found = seen.iter().find(|it| it.weight() == value.weight() && *it == &*value);
            match found {
                Some(same) => *value = same.clone(),
                None => {
                    if seen.len() == limits::SHARED_COMPARED {
                        seen.remove(0);
                    }
                    seen.push(value.clone());
                }
            }
        });
    }
}
