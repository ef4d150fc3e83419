//! `windlass.approval`: asks people, and waits for what one of them decides.

use std::sync::Arc;

use windlass_proto::expression::Template;
use windlass_proto::id::FrameId;
use windlass_proto::limits::{
    APPROVAL_ASSIGNEE_BYTES, APPROVAL_TEXT_CHARACTERS, APPROVAL_TITLE_CHARACTERS,
};
use windlass_proto::plan::Approval;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use crate::engine::evaluate::text;
use crate::engine::fact::Fact;
use crate::engine::input::Verdict;
use crate::engine::instance::{Question, ROOT};
use crate::engine::scope::Locals;
use crate::engine::turn::Turn;

impl Turn<'_> {
    pub(super) fn ask(&mut self, id: FrameId, approval: &Approval, input: &Value) {
        match self.question(id, approval, input) {
            Ok(question) => self.record(Fact::ApprovalAsked { frame: id, question }),
            Err(problem) => self.fail(id, problem),
        }
    }

    fn question(
        &self,
        id: FrameId,
        approval: &Approval,
        input: &Value,
    ) -> Result<Question, Problem> {
        let fill = |template: &Template, what: &str| {
            let value = self.template(template, input, id, &Locals::default());
            let filled = value.and_then(|it| text(&it, what));
            filled.map_err(|it| it.without_worker(what))
        };
        let within = |text: String, most: usize, what: &str| {
            let fits = text.chars().nth(most).is_none();
            fits.then(|| Arc::from(text)).ok_or_else(|| {
                let detail = format!("{what} of the approval has more than {most} characters");
                Problem::new(Standard::Expression, detail)
            })
        };
        let bounded = |template: &Template, most: usize, what: &str| {
            fill(template, what).and_then(|it| within(it, most, what))
        };
        let title = bounded(&approval.title, APPROVAL_TITLE_CHARACTERS, "`title`")?;
        let description = approval.description.as_ref();
        let description = description
            .map(|it| bounded(it, APPROVAL_TEXT_CHARACTERS, "`description`"))
            .transpose()?;
        let named = |templates: &[Template]| {
            let name = |it: &Template| assignee(fill(it, "an assignee")?);
            templates.iter().map(name).collect::<Result<Vec<_>, Problem>>()
        };
        let (roles, users) = (named(&approval.roles)?, named(&approval.users)?);
        Ok(Question { title, description, roles, users })
    }

    /// Somebody has decided.
    pub(in crate::engine) fn decided(&mut self, number: u64, verdict: Verdict) {
        let mut open = self.state.frames.iter();
        let Some(id) = open.find(|(_, it)| it.body.asks(number)).map(|(id, _)| *id) else {
            return self.misfit("decided", ROOT);
        };
        let Verdict { approved, data, by } = verdict;
        let actor = by.as_ref().and_then(|it| it.name());
        let reason = by.as_ref().and_then(|it| it.reason.clone());
        let output = Value::object([
            ("approved", Value::Bool(approved)),
            ("by", actor.map_or(Value::Null, Value::from)),
            ("at", Value::from(self.at.to_rfc3339())),
            ("data", data.clone()),
            ("reason", reason.map_or(Value::Null, Value::from)),
        ]);
        self.record(Fact::ApprovalDecided { frame: id, number, approved, data, by });
        match self.room_for(&[&output]) {
            Ok(()) => self.finish_task(id, output, None),
            Err(problem) => self.fail(id, problem),
        }
    }
}

/// The name of a role or user. One that is empty comes of an expression that found nothing.
fn assignee(name: String) -> Result<Arc<str>, Problem> {
    if name.is_empty() || name.len() > APPROVAL_ASSIGNEE_BYTES || name == "null" {
        let detail = format!(
            "an assignee of the approval is no name of 1 to {APPROVAL_ASSIGNEE_BYTES} bytes"
        );
        return Err(Problem::new(Standard::Expression, detail));
    }
    Ok(name.into())
}
