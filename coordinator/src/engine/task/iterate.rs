//! `for`: one iteration after another, each on the output of the one before.

use windlass_proto::id::FrameId;
use windlass_proto::plan::{For, Kind};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use crate::engine::fact::Fact;
use crate::engine::instance::{Body, Step};
use crate::engine::scope::Locals;
use crate::engine::turn::Turn;

impl Turn<'_> {
    pub(super) fn begin_loop(&mut self, id: FrameId, each: &For, input: &Value) {
        let Some(items) = self.definition(id, &each.items, input) else { return };
        let items = match items {
            Value::Null => Value::array(Vec::new()),
            Value::Array(_) => items,
            other => {
                let shown: String = other.to_json().chars().take(80).collect();
                let detail = format!("`for.in` must give an array or null, it gave {shown}");
                return self.fail(id, Problem::new(Standard::Expression, detail));
            }
        };
        self.record(Fact::LoopBegan { frame: id, items });
        self.steps.push_back(Step::Iterate { frame: id, index: 0 });
    }

    /// Begins an iteration, or ends the loop when there are no more items or `while` is false.
    pub(in crate::engine) fn iterate(&mut self, id: FrameId, index: u32) {
        let Some((Body::Loop { items, value, .. }, Kind::For(each))) = self.work_of(id) else {
            return self.misfit("iterate", id);
        };
        let value = value.clone();
        let more = items.as_array().is_some_and(|items| (index as usize) < items.len());
        if !more {
            return self.finish_task(id, value, None);
        }
        if index > 0 {
            self.record(Fact::Iterated { frame: id, index });
        }
        if let Some(condition) = &each.condition {
            match self.program(condition, &value, id, &Locals::default()) {
                Ok(verdict) if verdict.is_truthy() => {}
                Ok(_) => return self.finish_task(id, value, None),
                Err(it) => return self.fail(id, it.without_worker("`while`")),
            }
        }
        self.steps.push_back(Step::Advance { frame: id, position: 0 });
    }
}
