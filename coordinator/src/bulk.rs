//! Bulk jobs: one order for all instances that match a filter.
//!
//! A job first gathers the instances that match, page by page, then gives each the order. Both are
//! durable: the ids are kept, and what came of them with how far it has come, so that after a crash
//! it goes on there and none is left out. Orders given just before a crash are given once more, and
//! then find that they were carried out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use windlass_proto::id::InstanceId;
use windlass_proto::time::Timestamp;

use crate::access::Permission;
use crate::journal::{Filter, SearchCursor, Status};

/// What is done with each instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// End it.
    Cancel,
    /// Stop it for a while.
    Suspend,
    /// Let it go on.
    Resume,
    /// Have another one go on for it, at the task that failed.
    Retry,
    /// Have another one go on for it, from a task that the order names.
    Reset,
    /// Remove it.
    Delete,
}

impl Action {
    /// All there are.
    pub const ALL: [Self; 6] =
        [Self::Cancel, Self::Suspend, Self::Resume, Self::Retry, Self::Reset, Self::Delete];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Retry => "retry",
            Self::Reset => "reset",
            Self::Delete => "delete",
        }
    }

    /// What whoever gives the order must be allowed of each instance.
    #[must_use]
    pub fn permission(self) -> Permission {
        match self {
            Self::Delete => Permission::InstanceDelete,
            _ => Permission::InstanceOperate,
        }
    }

    /// The statuses of instances that it makes sense for.
    #[must_use]
    pub fn statuses(self) -> &'static [Status] {
        use Status::{Cancelled, Completed, Faulted, Pending, Running, Suspended, Waiting};
        match self {
            Self::Cancel => &[Pending, Running, Waiting, Suspended],
            Self::Suspend => &[Pending, Running, Waiting],
            Self::Resume => &[Suspended],
            Self::Retry => &[Faulted],
            Self::Reset | Self::Delete => &[Completed, Faulted, Cancelled],
        }
    }
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is being carried out.
    Running,
    /// It waits to be resumed.
    Paused,
    /// It has been through all.
    Completed,
    /// It was ended before.
    Cancelled,
}

impl State {
    /// True when nothing more comes of it.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled)
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a job is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// With each instance.
    pub action: Action,
    /// Which instances, with the rights of whoever gave the order in it.
    pub filter: Filter,
    /// The filter as it was written.
    pub text: Arc<str>,
    /// Why, for the audit trail and the histories.
    pub reason: Option<Arc<str>>,
    /// Instances a second at most.
    pub rate: u32,
    /// Who gave it: issuer and subject.
    pub by: (Arc<str>, Arc<str>),
    /// Where instances go on that are reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<ResetTo>,
}

/// Where instances go on that are reset.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResetTo {
    /// JSON pointer of the task that begins again.
    pub task: Arc<str>,
    /// Which of its visits, from 1; the last one where nothing is said.
    pub visit: Option<u32>,
    /// Whether children that were waited for are started anew.
    pub rerun_children: bool,
}

/// A job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// Its id, which begins with the time of its start.
    pub id: Uuid,
    /// What it is to do.
    pub order: Order,
    /// When it was given.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it stands.
    pub state: State,
    /// How many matched when it was given; so far, while they are gathered.
    pub total: u64,
    /// How many were counted when it was given.
    pub counted: u64,
    /// Whether all that match are gathered.
    pub gathered: bool,
    /// Pages of them.
    pub id_pages: u32,
    /// Where the instances that are dealt with next are: a page of them, and the place in it.
    pub next: (u32, u32),
    /// Instances with which it was done.
    pub done: u64,
    /// Instances with which there was nothing to do.
    pub skipped: u64,
    /// Instances with which it failed.
    pub failed: u64,
    /// Pages of results.
    pub pages: u32,
    /// Where gathering goes on; none at its beginning.
    pub cursor: Option<SearchCursor>,
}

impl Job {
    /// A job that has just been given.
    #[must_use]
    pub fn new(order: Order, counted: u64, at: Timestamp) -> Self {
        Self {
            id: Uuid::now_v7(),
            order,
            created_at: at,
            ended_at: None,
            state: State::Running,
            total: 0,
            counted,
            gathered: false,
            id_pages: 0,
            next: (0, 0),
            done: 0,
            skipped: 0,
            failed: 0,
            pages: 0,
            cursor: None,
        }
    }

    /// Instances that were dealt with.
    #[must_use]
    pub fn dealt(&self) -> u64 {
        self.done + self.skipped + self.failed
    }

    /// Takes a page of instances in that match; there are more from `next` on.
    pub fn gather(&mut self, count: usize, next: Option<SearchCursor>, at: Timestamp) {
        self.total += count as u64;
        self.id_pages += u32::from(count > 0);
        self.cursor = next;
        self.gathered = next.is_none();
        if self.gathered && self.total == 0 {
            self.end(State::Completed, at);
        }
    }

    /// Takes what came of the next instances in; those after them are at `next`.
    pub fn advance(&mut self, results: &[Outcome], next: (u32, u32), at: Timestamp) {
        self.next = next;
        for result in results {
            match result.result {
                Done::Done => self.done += 1,
                Done::Skipped => self.skipped += 1,
                Done::Failed => self.failed += 1,
            }
        }
        self.pages += u32::from(!results.is_empty());
        if self.gathered && self.dealt() >= self.total && !self.state.is_final() {
            self.end(State::Completed, at);
        }
    }

    /// Nothing more comes of it.
    pub fn end(&mut self, state: State, at: Timestamp) {
        self.state = state;
        self.ended_at = Some(at);
    }
}

/// What came of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The instance.
    pub instance: InstanceId,
    /// In a word.
    pub result: Done,
    /// Why nothing was done, or why it failed.
    pub detail: Option<Arc<str>>,
}

/// What came of one instance, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Done {
    /// It was done.
    Done,
    /// There was nothing to do.
    Skipped,
    /// It could not be done.
    Failed,
}

impl Done {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use windlass_proto::id::InstanceId;
    use windlass_proto::time::Timestamp;

    use super::{Action, Done, Job, Order, Outcome, State};
    use crate::journal::{Filter, SearchCursor};

    #[test]
    fn a_job_gathers_counts_and_ends() {
        let order = Order {
            action: Action::Cancel,
            filter: Filter::default(),
            text: "".into(),
            reason: None,
            rate: 1,
            by: ("i".into(), "s".into()),
            to: None,
        };
        let mut job = Job::new(order.clone(), 3, Timestamp(1));
        let instance = InstanceId(uuid::Uuid::nil());
        let outcome = |result| Outcome { instance, result, detail: None };
        let next = Some(SearchCursor { started_at: Timestamp(0), instance });
        job.gather(2, next, Timestamp(2));
        job.gather(0, next, Timestamp(2));
        assert_eq!((job.gathered, job.total, job.id_pages, job.cursor), (false, 2, 1, next));
        job.gather(1, None, Timestamp(2));
        job.advance(&[outcome(Done::Done), outcome(Done::Failed)], (0, 2), Timestamp(3));
        assert_eq!((job.state, job.pages, job.dealt()), (State::Running, 1, 2));
        job.advance(&[outcome(Done::Skipped)], (1, 1), Timestamp(4));
        assert_eq!((job.done, job.skipped, job.failed, job.pages), (1, 1, 1, 2));
        assert_eq!((job.state, job.ended_at), (State::Completed, Some(Timestamp(4))));
        let mut nothing = Job::new(order, 0, Timestamp(1));
        nothing.gather(0, None, Timestamp(2));
        assert_eq!(nothing.state, State::Completed);
    }
}
