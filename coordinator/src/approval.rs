//! Questions to people: what names one, and what is kept of those that are open.
//!
//! A question is named by its instance and by the number of the fact that asks: whoever asks again,
//! as a `try` or a retry does, asks another question. The name is no secret and gives nobody a
//! right; it is what a mail links to, and who follows the link says who they are.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_proto::id::{FrameId, InstanceId, WorkflowId};
use windlass_proto::plan::Plan;
use windlass_proto::problem::Problem;
use windlass_proto::time::Timestamp;

use crate::engine::{Body, Instance, Question, TimerPurpose, reference_of};

/// What names a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApprovalId {
    /// The instance that asks.
    pub instance: InstanceId,
    /// Sequence number of the fact that asks.
    pub number: u64,
}

impl ApprovalId {
    /// The name of its row.
    #[must_use]
    pub fn row(&self) -> Vec<u8> {
        [self.instance.0.as_bytes().as_slice(), &self.number.to_be_bytes()].concat()
    }

    /// The question of a row; none where it is no name of one.
    #[must_use]
    pub fn of_row(name: &[u8]) -> Option<Self> {
        let (id, number) = name.split_first_chunk::<16>()?;
        let number = u64::from_be_bytes(number.try_into().ok()?);
        Some(Self { instance: InstanceId(uuid::Uuid::from_bytes(*id)), number })
    }

    /// Where the API has it, which is what a mail links to.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/v1/instances/{}/approvals/{}", self.instance, self.number)
    }
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.instance, self.number)
    }
}

impl FromStr for ApprovalId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "must be an approval: the id of an instance, a dot and a number";
        let (instance, number) = text.split_once('.').ok_or(WRONG)?;
        let instance = instance.parse().map_err(|_| WRONG)?;
        Ok(Self { instance, number: number.parse().map_err(|_| WRONG)? })
    }
}

/// Why something cannot be done with a question.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ApprovalError {
    /// There is no such question.
    #[error("there is no question {0}")]
    Unknown(ApprovalId),
    /// It is not open any more.
    #[error("question {id} {how}")]
    Closed {
        /// The question.
        id: ApprovalId,
        /// Why not.
        how: String,
    },
    /// It is for others.
    #[error("question {0} is for others: its `roles` and `users` say for whom")]
    NotAssigned(ApprovalId),
    /// What is given does not fit the form.
    #[error("the data for question {id} does not fit its form: {}", detail(.problem))]
    Form {
        /// The question.
        id: ApprovalId,
        /// What is wrong, and where.
        problem: Box<Problem>,
    },
}

fn detail(problem: &Problem) -> &str {
    problem.detail.as_deref().unwrap_or_default()
}

/// A question that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenApproval {
    /// What asks it.
    pub workflow: WorkflowId,
    /// JSON pointer of the task.
    pub reference: Arc<str>,
    /// The question.
    pub question: Question,
    /// Since when.
    pub since: Timestamp,
    /// When the task takes too long, where it has a timeout.
    pub until: Option<Timestamp>,
}

impl OpenApproval {
    /// What a visit asks, where it waits for a decision.
    #[must_use]
    pub fn of(plan: &Plan, instance: &Instance, id: FrameId) -> Option<(ApprovalId, Self)> {
        let frame = instance.frames.get(&id)?;
        let Body::Approving(asked) = &frame.body else { return None };
        let mut timers = instance.timers.values().filter(|it| it.frame == id);
        let timeout = timers.find(|it| it.purpose == TimerPurpose::Timeout);
        let open = Self {
            workflow: instance.workflow.clone(),
            reference: reference_of(plan, instance, id),
            question: asked.question.clone(),
            since: frame.started_at,
            until: timeout.map(|it| it.due),
        };
        Some((ApprovalId { instance: instance.id, number: asked.number }, open))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::ApprovalId;

    #[test]
    fn a_question_has_a_name_that_is_read_again() {
        let instance = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let id = ApprovalId { instance, number: 7 };
        assert_eq!(id.to_string(), "01890a5d-ac96-774b-bcce-b302099a8057.7");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(ApprovalId::of_row(&id.row()), Some(id));
        for wrong in ["", ".", "x.1", "01890a5d-ac96-774b-bcce-b302099a8057", "1.2.3"] {
            assert!(wrong.parse::<ApprovalId>().is_err(), "{wrong}");
        }
        assert_eq!(ApprovalId::of_row(b"short"), None);
    }
}
