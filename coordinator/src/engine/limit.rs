//! Limits by key: a visit asks for a share, and goes on once it has one.
//!
//! Who gives shares is outside (`partition/shares`); here is what a visit asks, and what it makes
//! of the answer.

use std::sync::Arc;

use windlass_proto::id::FrameId;
use windlass_proto::limits::LIMIT_KEY_BYTES;
use windlass_proto::plan::{LIMIT_ERROR, Limit, OnFull};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::evaluate::Unevaluated;
use super::fact::Fact;
use super::input::LimitVerdict;
use super::instance::{Body, Ending, ROOT, Step};
use super::scope::Locals;
use super::turn::Turn;

impl<'a> Turn<'a> {
    /// True where a visit has its share, or needs none; else it has asked for one.
    pub(super) fn has_share(
        &mut self,
        id: FrameId,
        limit: Option<&'a Limit>,
    ) -> Result<bool, Problem> {
        let Some(limit) = limit else { return Ok(true) };
        if let Some(claim) = self.state.claims.get(&id) {
            return Ok(claim.taken.is_some());
        }
        let key = self.limit_key(id, limit)?;
        self.record(Fact::LimitAsked { frame: id, key, terms: limit.terms });
        Ok(false)
    }

    /// The line that a visit stands in: its namespace, what counts together, and the value of the
    /// key.
    fn limit_key(&self, id: FrameId, limit: &Limit) -> Result<Arc<str>, Problem> {
        const WHAT: &str = "`limit.key`";
        let value = match &limit.key {
            None => Value::from(""),
            Some(key) => {
                let frame = self.state.frame(id);
                let input = frame.map(|it| if id == ROOT { &it.input } else { &it.raw });
                let (input, locals) = (
                    input.cloned().unwrap_or_default(),
                    match id {
                        ROOT => Locals::default(),
                        _ => Locals::before_input(),
                    },
                );
                let value = self.template(key, &input, id, &locals);
                value.map_err(|it| it.without_worker(WHAT))?
            }
        };
        if value.has_sealed() {
            return Err(Unevaluated::plain_needed(WHAT).without_worker(WHAT));
        }
        if matches!(value, Value::Null | Value::Array(_) | Value::Object(_)) {
            let detail = format!("{WHAT} must give a text, a number or a boolean");
            return Err(Problem::new(Standard::Expression, detail));
        }
        let text = value.to_text();
        if text.len() > LIMIT_KEY_BYTES {
            let detail = format!("{WHAT} gives more than {LIMIT_KEY_BYTES} bytes");
            return Err(Problem::new(Standard::Expression, detail));
        }
        let workflow = &self.plan.id;
        let scope = match (&limit.name, id) {
            (Some(name), _) => format!("n/{name}"),
            (None, ROOT) => format!("w/{}", workflow.name),
            (None, _) => format!("t/{}{}", workflow.name, self.reference(id)),
        };
        Ok(format!("{}\0{scope}\0{text}", workflow.namespace).into())
    }

    /// What became of a share that was asked for, or is held.
    pub(super) fn limit_answered(&mut self, id: FrameId, verdict: LimitVerdict) {
        match verdict {
            LimitVerdict::Taken => {
                self.record(Fact::LimitTaken { frame: id });
                match id {
                    ROOT if self.state.repair.predecessor.is_some() => self.regained(),
                    ROOT => self.steps.push_back(Step::Advance { frame: ROOT, position: 0 }),
                    _ => self.steps.push_back(Step::Enter { frame: id }),
                }
            }
            LimitVerdict::Full | LimitVerdict::Displaced => self.refused_share(id, verdict),
        }
    }

    /// A visit has its share: its task begins, unless it has begun meanwhile, as one that is
    /// retried has two reasons to.
    pub(super) fn enter_limited(&mut self, id: FrameId) {
        let Some((frame, task)) = self.visit(id) else { return self.misfit("enter_limited", id) };
        if matches!(frame.body, Body::Begun) {
            self.begin_task(id, task);
        }
    }

    /// An instance that goes on for another one has a share of its own now.
    fn regained(&mut self) {
        self.ask_again();
        self.as_new();
        if !self.state.suspended && !self.state.pending.is_empty() {
            self.resume_steps();
        }
    }

    fn refused_share(&mut self, id: FrameId, verdict: LimitVerdict) {
        let Some(claim) = self.state.claims.get(&id).cloned() else {
            return self.misfit("refused_share", id);
        };
        let displaced = verdict == LimitVerdict::Displaced;
        self.record(Fact::LimitRefused { frame: id, displaced });
        let key = shown(&claim.key);
        let detail = match displaced {
            true => format!("another one took the place under the limit {key} (`cancel-oldest`)"),
            false => format!("the limit {key} is full"),
        };
        let skips = claim.terms.on_full == OnFull::Skip && !displaced;
        if id == ROOT && (skips || displaced) {
            return self.end(Ending::Cancelled(Some(detail.into())));
        }
        if skips {
            let raw = self.state.frame(id).map(|it| it.raw.clone()).unwrap_or_default();
            return self.pass_over(id, raw);
        }
        let problem = limit_problem(detail);
        match id {
            ROOT => self.end(Ending::Faulted(problem.at(&Arc::from("/")))),
            _ => self.fail(id, problem),
        }
    }
}

/// A line, as people read it.
pub(crate) fn shown(key: &str) -> String {
    let mut parts = key.splitn(3, '\0').skip(1);
    let (scope, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let scope = scope.split_once('/').map_or(scope, |(_, it)| it);
    if value.is_empty() { format!("`{scope}`") } else { format!("`{scope}` of `{value}`") }
}

/// The error of who finds a limit full.
fn limit_problem(detail: String) -> Problem {
    let runtime = Problem::new(Standard::Runtime, detail);
    Problem {
        kind: LIMIT_ERROR.into(),
        // Too many requests.
        status: 429,
        title: Some("Limit Reached".into()),
        ..runtime
    }
}
