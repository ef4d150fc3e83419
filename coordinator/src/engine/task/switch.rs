//! `switch`: the first case whose condition holds, else the case without one, else the task's own
//! `then`.

use windlass_proto::expression::Program;
use windlass_proto::id::FrameId;
use windlass_proto::plan::{Case, Flow, Plan, Task};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::Field;

use crate::engine::evaluate::Unevaluated;
use crate::engine::instance::Instance;
use crate::engine::scope::Locals;
use crate::engine::turn::Turn;

impl Turn<'_> {
    pub(super) fn switch(&mut self, id: FrameId, task: &Task, cases: &[Case], input: Value) {
        let here = |it: &Self| it.choose(id, cases, &input);
        // The number of the case, null for none.
        let Some(number) = self.field(id, Field::Definition, (&input, None), here) else { return };
        let chosen = number.as_i64().and_then(|it| usize::try_from(it).ok());
        let flow: Flow = chosen.and_then(|it| cases.get(it)).map_or(task.then, |case| case.then);
        self.finish_task(id, input, Some(flow));
    }

    fn choose(&self, id: FrameId, cases: &[Case], input: &Value) -> Result<Value, Unevaluated> {
        if cases.iter().filter_map(|case| case.when.as_ref()).any(Program::uses_secrets) {
            return Err(Unevaluated::Secret);
        }
        for (number, case) in cases.iter().enumerate() {
            if let Some(when) = &case.when
                && self.program(when, input, id, &Locals::default())?.is_truthy()
            {
                return Ok(Value::from(number));
            }
        }
        Ok(cases.iter().position(|case| case.when.is_none()).map_or(Value::Null, Value::from))
    }
}

/// The number of the case that the `switch` of a visit takes, for who follows facts, which do not
/// tell; none where no case applies, or a worker has to say.
#[must_use]
pub fn case_of(
    plan: &Plan,
    state: &Instance,
    at: Timestamp,
    frame: FrameId,
    cases: &[Case],
) -> Option<usize> {
    let mut state = state.clone();
    let input = state.frames.get(&frame)?.input.clone();
    let chosen = Turn::new(plan, &mut state, at).choose(frame, cases, &input).ok()?;
    chosen.as_i64().and_then(|it| usize::try_from(it).ok())
}
