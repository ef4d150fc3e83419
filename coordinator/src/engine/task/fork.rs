//! `fork`: branches side by side. Each starts from a copy of the context; when all are done, what
//! they changed is merged in declaration order. In a competition the first to succeed wins, and
//! only its context counts.

use windlass_proto::id::FrameId;
use windlass_proto::plan::{Fork, Kind};
use windlass_proto::value::Value;

use crate::engine::fact::Fact;
use crate::engine::flow::fit;
use crate::engine::instance::{Body, Branch, Step};
use crate::engine::turn::Turn;

impl Turn<'_> {
    pub(super) fn begin_fork(&mut self, id: FrameId, fork: &Fork) {
        let branches = u32::try_from(fork.branches.len()).unwrap_or(u32::MAX);
        self.record(Fact::Forked { frame: id, branches });
        if branches == 0 {
            return self.finish_task(id, Value::array(Vec::new()), None);
        }
        let begun = (0..branches).map(|position| Step::Branch { frame: id, position });
        self.steps.extend(begun);
    }

    /// Begins a branch.
    pub(in crate::engine) fn open_branch(&mut self, id: FrameId, position: u32) {
        let Some((Body::Fork { .. }, Kind::Fork(fork))) = self.work_of(id) else {
            return self.misfit("open_branch", id);
        };
        let Some(task) = fork.branches.get(position as usize) else {
            return self.misfit("open_branch", id);
        };
        self.open(id, position, *task, None);
    }

    /// A branch was skipped by its `if`: it takes no part in a competition, unless nobody does.
    pub(in crate::engine) fn branch_skipped(&mut self, id: FrameId, position: u32) {
        let Some((Body::Fork { branches, running }, Kind::Fork(fork))) = self.work_of(id) else {
            return self.misfit("branch_skipped", id);
        };
        if !fork.compete {
            return self.branch_ended(id, position);
        }
        if *running > 0 {
            return;
        }
        match branches.iter().find_map(|branch| branch.problem.clone()) {
            Some(problem) => self.fail(id, problem),
            None => self.branch_ended(id, position),
        }
    }

    /// A branch gave its output.
    pub(in crate::engine) fn branch_ended(&mut self, id: FrameId, position: u32) {
        let Some((Body::Fork { branches, running }, Kind::Fork(fork))) = self.work_of(id) else {
            return self.misfit("branch_ended", id);
        };
        let (output, contexts): (Value, Vec<Value>) = if fork.compete {
            let Some(winner) = branches.get(position as usize) else {
                return self.misfit("branch_ended", id);
            };
            let output = winner.output.clone().unwrap_or_default();
            (output, winner.context.iter().cloned().collect())
        } else if *running == 0 {
            let outputs = branches.iter().map(|it| it.output.clone().unwrap_or_default());
            (Value::array(outputs.collect()), branch_contexts(branches))
        } else {
            // The last one to end goes on for all.
            return;
        };
        let base = self.state.context_of(id);
        let merged = merge(base, &contexts);
        if let Err(problem) = fit(&output, "the output of `fork`")
            .and_then(|()| fit(&merged, "the context that `fork` merged"))
            .and_then(|()| self.room_for(&[&output, &merged]))
        {
            return self.fail(id, problem);
        }
        if !merged.is_same(base) {
            self.record(Fact::ContextMerged { frame: id, context: merged });
        }
        self.finish_task(id, output, None);
    }
}

fn branch_contexts(branches: &[Branch]) -> Vec<Value> {
    branches.iter().filter_map(|branch| branch.context.clone()).collect()
}

/// Applies what each branch changed of `base`, in order: key by key where both are objects, else
/// the whole context.
fn merge(base: &Value, contexts: &[Value]) -> Value {
    let mut merged = base.clone();
    for context in contexts {
        if context.is_same(base) || context == base {
            continue;
        }
        merged = match (merged.as_object(), base.as_object(), context.as_object()) {
            (Some(current), Some(before), Some(after)) => {
                let mut members = current.clone();
                for (key, value) in after {
                    if before.get(key) != Some(value) {
                        members.insert(key.clone(), value.clone());
                    }
                }
                for key in before.keys().filter(|key| !after.contains_key(*key)) {
                    members.shift_remove(key);
                }
                Value::from(members)
            }
            _ => context.clone(),
        };
    }
    merged
}

#[cfg(test)]
mod tests {
    use windlass_proto::value::Value;

    use super::merge;

    fn object(members: &[(&str, i64)]) -> Value {
        Value::object(members.iter().map(|(key, number)| (*key, Value::Int(*number))))
    }

    #[test]
    fn branches_merge_what_they_changed_in_declaration_order() {
        let base = object(&[("a", 1), ("b", 1), ("c", 1)]);
        let first = object(&[("a", 2), ("b", 1), ("c", 1)]);
        let second = object(&[("a", 3), ("b", 1), ("d", 4)]);
        let merged = merge(&base, &[first.clone(), second]);
        assert_eq!(merged, object(&[("a", 3), ("b", 1), ("d", 4)]));
        assert_eq!(merge(&base, &[first, Value::Int(7)]), Value::Int(7));
        assert!(merge(&base, std::slice::from_ref(&base)).is_same(&base));
    }
}
