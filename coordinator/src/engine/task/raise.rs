//! `raise`: an error of the author's own.

use windlass_proto::id::FrameId;
use windlass_proto::plan::Raise;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;
use windlass_proto::wire::Field;

use crate::engine::evaluate::Unevaluated;
use crate::engine::scope::Locals;
use crate::engine::turn::Turn;

impl Turn<'_> {
    pub(super) fn raise(&mut self, id: FrameId, raise: &Raise, input: &Value) {
        let here = |it: &Self| it.raised(id, raise, input);
        if let Some(parts) = self.field(id, Field::Definition, (input, None), here) {
            let problem = problem_from(&parts);
            self.fail(id, problem);
        }
    }

    /// The parts of the error.
    fn raised(&self, id: FrameId, raise: &Raise, input: &Value) -> Result<Value, Unevaluated> {
        if raise.uses_secrets() {
            return Err(Unevaluated::Secret);
        }
        let mut parts = vec![("type", Value::from(self.uri_of_type(&raise.kind, input, id)?))];
        for (name, template) in [
            ("status", Some(&raise.status)),
            ("title", raise.title.as_ref()),
            ("detail", raise.detail.as_ref()),
            ("instance", raise.instance.as_ref()),
        ] {
            if let Some(template) = template {
                parts.push((name, self.template(template, input, id, &Locals::default())?));
            }
        }
        Ok(Value::object(parts))
    }
}

fn status_code(status: &Value) -> Result<u16, Problem> {
    status.as_i64().and_then(|it| u16::try_from(it).ok()).ok_or_else(|| {
        let detail =
            format!("`raise.error.status` must be a status code, not {}", status.to_json());
        Problem::new(Standard::Expression, detail)
    })
}

/// The problem of these parts. People read it, so what is sealed in it is only shown as that.
fn problem_from(parts: &Value) -> Problem {
    let text = |key: &str| parts.get(key).filter(|it| !it.is_null()).map(Value::to_text);
    let status = match status_code(parts.get("status").unwrap_or(&Value::Null)) {
        Ok(status) => status,
        Err(problem) => return problem,
    };
    Problem {
        kind: text("type").unwrap_or_default().into(),
        status,
        title: text("title").map(Into::into),
        detail: text("detail").map(Into::into),
        instance: text("instance").map(Into::into),
    }
}
