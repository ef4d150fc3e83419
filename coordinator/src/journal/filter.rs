//! What is asked of instances, and what is answered.

use serde::{Deserialize, Serialize};
use windlass_proto::id::InstanceId;
use windlass_proto::time::Timestamp;

use super::{Head, Status};
use crate::access::Visible;

/// Which instances are meant: all conditions given must hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Filter {
    /// `document.namespace`
    pub namespace: Option<String>,
    /// `document.name`
    pub name: Option<String>,
    /// `document.version`
    pub version: Option<String>,
    /// Any of these; empty means every status.
    pub statuses: Vec<Status>,
    /// Faulted with an error of any of these types, each as [`error_word`] has it; empty means all,
    /// also those without an error.
    pub errors: Vec<String>,
    /// Started at or after.
    pub started_after: Option<Timestamp>,
    /// Started before.
    pub started_before: Option<Timestamp>,
    /// Ended at or after.
    pub ended_after: Option<Timestamp>,
    /// Ended before.
    pub ended_before: Option<Timestamp>,
    /// Labels it must carry.
    pub labels: Vec<(String, String)>,
    /// Started by this instance, directly or through others.
    pub root: Option<InstanceId>,
    /// Started by this instance itself.
    pub parent: Option<InstanceId>,
    /// Of workflows that whoever asks may see.
    pub visible: Visible,
}

impl Filter {
    /// True for one with conditions on times.
    pub(super) fn has_times(&self) -> bool {
        let times = [self.started_after, self.started_before, self.ended_after, self.ended_before];
        times.iter().any(Option::is_some)
    }

    /// True for one that has no condition.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let fixed = [&self.namespace, &self.name, &self.version].iter().all(|it| it.is_none());
        let lists = self.statuses.is_empty() && self.errors.is_empty() && self.labels.is_empty();
        fixed && lists && !self.has_times() && self.root.is_none() && self.parent.is_none()
    }

    /// The same, of instances in one of these statuses; none where it asks for others only.
    #[must_use]
    pub fn among(mut self, statuses: &[Status]) -> Option<Self> {
        match self.statuses.is_empty() {
            true => self.statuses = statuses.to_vec(),
            false => self.statuses.retain(|it| statuses.contains(it)),
        }
        // An empty list would mean all of them.
        (!self.statuses.is_empty()).then_some(self)
    }

    /// True for one with conditions on workflows, apart from their version.
    pub(super) fn is_by_workflow(&self) -> bool {
        let all = matches!(self.visible, Visible::All);
        self.namespace.is_some() || self.name.is_some() || !all
    }

    /// True for one with conditions on what changes while an instance is open.
    pub(super) fn asks_what_changes(&self) -> bool {
        let ended = self.ended_after.is_some() || self.ended_before.is_some();
        ended || !self.statuses.is_empty() || !self.errors.is_empty()
    }

    /// Whether the times hold; when it ended may not be known yet.
    pub(super) fn is_within(
        &self,
        started: Timestamp,
        ended: Option<Timestamp>,
        is_open: bool,
    ) -> bool {
        let has_ended = |holds: &dyn Fn(Timestamp) -> bool| is_open || ended.is_some_and(holds);
        self.started_after.is_none_or(|it| started >= it)
            && self.started_before.is_none_or(|it| started < it)
            && self.ended_after.is_none_or(|it| has_ended(&|ended| ended >= it))
            && self.ended_before.is_none_or(|it| has_ended(&|ended| ended < it))
    }

    /// Whether the error is one that is asked for.
    pub(super) fn has_error(&self, head: &Head) -> bool {
        let word = head.error_word();
        let is_one = |word: &str| self.errors.iter().any(|it| error_word(it) == word);
        self.errors.is_empty() || word.is_some_and(is_one)
    }
}

impl Head {
    /// True when all conditions given hold.
    #[must_use]
    pub fn matches(&self, filter: &Filter) -> bool {
        self.matches_without_error(filter) && filter.has_error(self)
    }

    /// True when all conditions given hold but those on its error.
    pub(super) fn matches_without_error(&self, filter: &Filter) -> bool {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|it| it == found);
        is(&filter.namespace, &self.workflow.namespace)
            && is(&filter.name, &self.workflow.name)
            && is(&filter.version, &self.workflow.version)
            && filter.visible.has(&self.workflow.namespace, &self.workflow.name)
            && (filter.statuses.is_empty() || filter.statuses.contains(&self.status))
            && filter.is_within(self.started_at, self.ended_at, false)
            && (filter.root.is_none() || filter.root == self.root)
            && (filter.parent.is_none() || filter.parent == self.parent)
            && filter.labels.iter().all(|(name, value)| {
                self.labels.iter().any(|(n, v)| **n == **name && **v == **value)
            })
    }

    /// The type of the error of an instance that has faulted, in short.
    pub(super) fn error_word(&self) -> Option<&str> {
        let error = self.error.as_ref().filter(|_| self.status == Status::Faulted)?;
        Some(error_word(&error.kind))
    }
}

/// The last part of the URI of an error's type, which is how people know it: `timeout`.
pub(super) fn error_word(kind: &str) -> &str {
    kind.trim_end_matches('/').rsplit('/').next().unwrap_or(kind)
}

/// A page of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The instances, newest first by their ids.
    pub items: Vec<(InstanceId, Head)>,
    /// Where the next page starts; absent at the end.
    pub next: Option<InstanceId>,
}

/// Where a search goes on: with what started before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SearchCursor {
    /// When the last one of the page before started.
    pub started_at: Timestamp,
    /// The last one of the page before: of several that started at once, those with smaller ids
    /// follow.
    pub instance: InstanceId,
}

impl std::fmt::Display for SearchCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.started_at.0, self.instance)
    }
}

impl std::str::FromStr for SearchCursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = || {
            let (started_at, instance) = text.split_once('-')?;
            let started_at = Timestamp(started_at.parse().ok()?);
            Some(Self { started_at, instance: instance.parse().ok()? })
        };
        parsed().ok_or_else(|| "is not the `next` of a page".to_owned())
    }
}

/// A page of what was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The instances, those that started last first.
    pub items: Vec<(InstanceId, Head)>,
    /// Where to go on; absent when everything was looked at. A page may be short, or empty, and
    /// have one: then a bounded part of the journal was looked at.
    pub next: Option<SearchCursor>,
}

/// How many instances match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// So many, or at least so many.
    pub count: u64,
    /// False when only a bounded part of the journal was looked at.
    pub is_whole: bool,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use windlass_proto::id::InstanceId;
    use windlass_proto::time::Timestamp;

    use super::{SearchCursor, error_word};

    #[test]
    fn cursors_come_back() {
        let instance = InstanceId(uuid::Uuid::from_u128(7));
        let cursor = SearchCursor { started_at: Timestamp(1_700_000_000_000), instance };
        assert_eq!(cursor.to_string().parse::<SearchCursor>().unwrap(), cursor);
        for wrong in ["", "1", "x-00000000-0000-0000-0000-000000000007", "1-x"] {
            assert!(wrong.parse::<SearchCursor>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_error_is_known_by_the_end_of_its_type() {
        assert_eq!(error_word("https://example.com/errors/timeout"), "timeout");
        assert_eq!(error_word("https://example.com/errors/timeout/"), "timeout");
        assert_eq!(error_word("timeout"), "timeout");
    }
}
