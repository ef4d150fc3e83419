//! Why a function failed.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};

/// Why a function failed: made by `?` from any error. A [`Problem`] is kept as it is, anything else
/// becomes a runtime error, with what the error and its sources say as detail.
pub struct FunctionError(Box<Problem>);

impl FunctionError {
    /// An error of a type of one's own, which definitions tell by its type and status:
    ///
    /// ```
    /// # use windlass_worker::FunctionError;
    /// let declined = FunctionError::new("https://example.com/errors/declined", 402)
    ///     .title("Card Declined")
    ///     .detail("the bank wants to be called");
    /// ```
    #[must_use]
    pub fn new(kind: &str, status: u16) -> Self {
        Self(Box::new(Problem {
            kind: kind.into(),
            status,
            title: None,
            detail: None,
            instance: None,
        }))
    }

    /// A runtime error with this detail: for what is no [`Error`], as in
    /// `.map_err(FunctionError::runtime)`.
    #[must_use]
    #[allow(clippy::needless_pass_by_value)]
    pub fn runtime(detail: impl fmt::Display) -> Self {
        Problem::new(Standard::Runtime, detail.to_string()).into()
    }

    /// With a short summary for people.
    #[must_use]
    pub fn title(mut self, title: impl Into<Arc<str>>) -> Self {
        self.0.title = Some(title.into());
        self
    }

    /// With what happened this time. It is kept and shown: no secrets.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Arc<str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }
}

pub(crate) fn into_problem(error: FunctionError) -> Problem {
    *error.0
}

impl fmt::Debug for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for FunctionError {
    fn from(error: E) -> Self {
        let boxed: Box<dyn Error + Send + Sync> = Box::new(error);
        Self(boxed.downcast::<Problem>().unwrap_or_else(|error| {
            Box::new(Problem::new(Standard::Runtime, with_sources(&*error)))
        }))
    }
}

/// An error and its sources, as far as they say more than what contains them.
fn with_sources(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    for _ in 0..limits::ERROR_SOURCES {
        let Some(source) = next else { break };
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = source.source();
    }
    text
}
