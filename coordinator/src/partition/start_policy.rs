//! What a start asks for where its id or key has been used.

use serde::{Deserialize, Serialize};

use crate::journal::Status;

/// What becomes of a start under the id or key of an instance that has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnRunning {
    /// It is a repeat: nothing is started, and that instance is answered for.
    #[default]
    UseExisting,
    /// It is refused.
    Fail,
    /// That instance is cancelled, and another one started.
    TerminateExisting,
}

/// What becomes of a start under the id or key of an instance that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnEnded {
    /// It is a repeat: nothing is started, and that instance is answered for.
    #[default]
    UseExisting,
    /// It is refused.
    Fail,
    /// Another one is started.
    Replace,
    /// Another one is started where that one has faulted or was cancelled; else it is a repeat.
    ReplaceFailed,
}

/// What a start is to become where its id or key has been used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartPolicy {
    /// While the instance runs.
    pub running: OnRunning,
    /// Once it has ended.
    pub ended: OnEnded,
    /// True where the id is made from a key, which another instance may get.
    pub keyed: bool,
}

/// What a start under a key that has been used becomes.
pub(super) enum Turn {
    /// A repeat of the first one.
    Repeat,
    /// Nothing.
    Refused,
    /// Another instance.
    Replaces,
}

impl StartPolicy {
    /// What a start becomes while the instance stands so; `is_over` when the key's time is.
    pub(super) fn turn(self, status: Status, is_over: bool) -> Turn {
        if !status.is_final() {
            return match self.running {
                OnRunning::UseExisting => Turn::Repeat,
                OnRunning::Fail => Turn::Refused,
                OnRunning::TerminateExisting if self.keyed => Turn::Replaces,
                OnRunning::TerminateExisting => Turn::Refused,
            };
        }
        let replaces = match self.ended {
            _ if is_over => true,
            OnEnded::UseExisting => return Turn::Repeat,
            OnEnded::Fail => false,
            OnEnded::ReplaceFailed if status == Status::Completed => return Turn::Repeat,
            OnEnded::Replace | OnEnded::ReplaceFailed => true,
        };
        if replaces && self.keyed { Turn::Replaces } else { Turn::Refused }
    }
}

#[cfg(test)]
mod tests {
    use super::{OnEnded, OnRunning, StartPolicy, Turn};
    use crate::journal::Status;

    #[test]
    fn an_id_is_never_given_twice() {
        let all = [OnEnded::UseExisting, OnEnded::Fail, OnEnded::Replace, OnEnded::ReplaceFailed];
        for ended in all {
            let running = OnRunning::TerminateExisting;
            let policy = StartPolicy { running, ended, keyed: false };
            for status in [Status::Running, Status::Faulted, Status::Completed] {
                assert!(!matches!(policy.turn(status, true), Turn::Replaces), "{status:?}");
            }
        }
    }
}
