//! `raise`: an error of the author's own.

use std::sync::Arc;

use windlass_proto::expression::Template;
use windlass_proto::id::FrameId;
use windlass_proto::plan::Raise;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;
use windlass_proto::wire::Field;

use crate::engine::scope::Locals;
use crate::engine::turn::Turn;

impl Turn<'_> {
    pub(super) fn raise(&mut self, id: FrameId, raise: &Raise, input: &Value) {
        if let Some(parts) = self.take_evaluated(id, Field::Definition) {
            // A worker evaluated the parts, as one of them names a secret.
            let problem = problem_from(&parts);
            return self.fail(id, problem);
        }
        if raise.uses_secrets() {
            return self.request_evaluation(id, Field::Definition, input.clone(), None);
        }
        let problem = self.raised(id, raise, input).unwrap_or_else(|wrong| wrong);
        self.fail(id, problem);
    }

    fn raised(&self, id: FrameId, raise: &Raise, input: &Value) -> Result<Problem, Problem> {
        let value = |template: &Template| self.template(template, input, id, &Locals::default());
        let text = |template: &Option<Template>| match template {
            None => Ok(None),
            Some(template) => {
                let value = value(template)?;
                Ok((!value.is_null()).then(|| Arc::from(value.to_text())))
            }
        };
        let kind = self.uri_of_type(&raise.kind, input, id)?;
        let status = value(&raise.status)?;
        Ok(Problem {
            kind: kind.into(),
            status: status_code(&status)?,
            title: text(&raise.title)?,
            detail: text(&raise.detail)?,
            instance: text(&raise.instance)?,
        })
    }
}

fn status_code(status: &Value) -> Result<u16, Problem> {
    status.as_i64().and_then(|it| u16::try_from(it).ok()).ok_or_else(|| {
        let detail =
            format!("`raise.error.status` must be a status code, not {}", status.to_json());
        Problem::new(Standard::Expression, detail)
    })
}

/// The problem whose parts a worker evaluated.
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
