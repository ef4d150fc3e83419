//! Who asks for what is done with an instance, as its history says it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::input::Input;

/// Who asks for something, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requester {
    /// Issuer, subject and how they proved who they are, as in the audit trail; none where nobody
    /// was asked.
    pub actor: Option<[Arc<str>; 3]>,
    /// Why.
    pub reason: Option<Arc<str>>,
}

impl Requester {
    /// Who they are, as `ISSUER:SUBJECT`, where that is known.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let [issuer, subject, _] = self.actor.as_ref()?;
        Some(format!("{issuer}:{subject}"))
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Requested {
    /// That it starts.
    #[serde(rename = "s")]
    Start,
    /// That it goes on for another one at the task that failed.
    #[serde(rename = "t")]
    Retry,
    /// That it goes on for another one at a task that they name.
    #[serde(rename = "e")]
    Reset,
    /// That it ends.
    #[serde(rename = "c")]
    Cancel,
    /// That it stops for a while.
    #[serde(rename = "p")]
    Suspend,
    /// That it goes on.
    #[serde(rename = "r")]
    Resume,
    /// That it goes on behind a task, with an output that they give.
    #[serde(rename = "k")]
    Skip,
}

impl Requested {
    /// What operators call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Retry => "retry",
            Self::Reset => "reset",
            Self::Cancel => "cancel",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Skip => "skip",
        }
    }

    /// What an input asks for, where an operator sends it.
    pub(super) fn of(input: &Input) -> Option<Self> {
        match input {
            Input::Cancel { .. } => Some(Self::Cancel),
            Input::Suspend => Some(Self::Suspend),
            Input::Resume => Some(Self::Resume),
            Input::Skip { .. } => Some(Self::Skip),
            _ => None,
        }
    }
}
