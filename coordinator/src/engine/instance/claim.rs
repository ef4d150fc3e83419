//! Shares of limits that visits have or ask for.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_proto::plan::LimitTerms;
use windlass_proto::time::Timestamp;

use super::{Instance, ROOT};

/// A share of a limit that a visit has or asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Namespace, scope and value of the key, with zero bytes between them.
    pub key: Arc<str>,
    /// What the limit gives.
    pub terms: LimitTerms,
    /// When it was asked for.
    pub asked: Timestamp,
    /// When it was taken; nothing while it is waited for.
    pub taken: Option<Timestamp>,
}

impl Instance {
    /// True while the workflow waits for its share of a limit: nothing of it goes on.
    pub(in crate::engine) fn is_held_back(&self) -> bool {
        self.claims.get(&ROOT).is_some_and(|it| it.taken.is_none())
    }

    /// True while what is left to do waits, for an operator or for a share of a limit.
    pub(in crate::engine) fn is_stopped(&self) -> bool {
        self.suspended || self.is_held_back()
    }
}
