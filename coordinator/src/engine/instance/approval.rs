//! What people are asked to decide.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What people are asked, and who.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// In a line.
    pub title: Arc<str>,
    /// More of it.
    pub description: Option<Arc<str>>,
    /// Roles that may decide.
    pub roles: Vec<Arc<str>>,
    /// Users that may decide, as `ISSUER:SUBJECT`. Without these and roles all may who may at all.
    pub users: Vec<Arc<str>>,
}

/// A visit that waits for a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approving {
    /// Sequence number of the fact that asks: with the instance's id the name of this question and
    /// no other one, so that an answer to one before it is none.
    pub number: u64,
    /// The question.
    pub question: Question,
}

impl Question {
    /// Bytes of its texts.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let texts = self.description.iter().chain(&self.roles).chain(&self.users);
        texts.map(|it| it.len() as u64).fold(self.title.len() as u64, u64::saturating_add)
    }
}
