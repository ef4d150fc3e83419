//! `switch`: the first case whose condition holds, else the case without one, else the task's own
//! `then`.

use windlass_proto::id::FrameId;
use windlass_proto::plan::{Case, Flow, Task};
use windlass_proto::value::Value;
use windlass_proto::wire::Field;

use crate::engine::scope::Locals;
use crate::engine::turn::Turn;

impl Turn<'_> {
    pub(super) fn switch(&mut self, id: FrameId, task: &Task, cases: &[Case], input: Value) {
        let secret = cases.iter().filter_map(|case| case.when.as_ref()).any(|it| it.uses_secrets());
        let chosen = match self.take_evaluated(id, Field::Definition) {
            // A worker answers with the number of the case, null for none.
            Some(number) => number.as_i64().and_then(|it| usize::try_from(it).ok()),
            None if secret => return self.request_evaluation(id, Field::Definition, input, None),
            None => match self.choose(id, cases, &input) {
                Ok(chosen) => chosen,
                Err(problem) => return self.fail(id, problem),
            },
        };
        let flow: Flow = chosen.and_then(|it| cases.get(it)).map_or(task.then, |case| case.then);
        self.finish_task(id, input, Some(flow));
    }

    fn choose(
        &self,
        id: FrameId,
        cases: &[Case],
        input: &Value,
    ) -> Result<Option<usize>, windlass_proto::problem::Problem> {
        for (number, case) in cases.iter().enumerate() {
            if let Some(when) = &case.when
                && self.program(when, input, id, &Locals::default())?.is_truthy()
            {
                return Ok(Some(number));
            }
        }
        Ok(cases.iter().position(|case| case.when.is_none()))
    }
}
