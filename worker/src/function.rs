//! Functions by name: the default catalog's and those that users write in Rust.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use windlass_proto::id::WorkflowId;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::{Assignment, AssignmentKey};

/// What a function gets.
#[derive(Clone)]
pub struct FunctionInput {
    /// The evaluated `with`, or the task's input where there is none.
    pub input: Value,
    /// The workflow that calls.
    pub workflow: WorkflowId,
    /// When the task's time is over. The call is dropped then; a function that cannot be dropped in
    /// the middle looks at it in time.
    pub deadline: Option<Timestamp>,
    /// Cancelled when the result is no longer wanted.
    pub cancelled: CancellationToken,
    key: AssignmentKey,
    reference: Arc<str>,
    visit: u64,
}

impl FunctionInput {
    pub(crate) fn new(
        input: Value,
        assignment: &Assignment,
        cancelled: &CancellationToken,
    ) -> Self {
        Self {
            input,
            workflow: assignment.workflow.clone(),
            deadline: assignment.deadline,
            cancelled: cancelled.clone(),
            key: assignment.key.clone(),
            reference: assignment.reference.clone(),
            visit: assignment.visit,
        }
    }

    /// The key to give to whoever receives a side effect, so that repeats can be told: the same for
    /// every attempt and delivery of this visit of the task.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        Assignment::idempotency_key_of(self.key.instance, &self.reference, self.visit)
    }
}

impl fmt::Debug for FunctionInput {
    /// Leaves the input out: there may be secrets in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionInput")
            .field("workflow", &self.workflow)
            .field("key", &self.key)
            .field("reference", &self.reference)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Why a function failed: made by `?` from any error. A [`Problem`] is kept as it is, anything else
/// becomes a runtime error.
pub struct FunctionError(Box<Problem>);

impl FunctionError {
    pub(crate) fn into_problem(self) -> Problem {
        *self.0
    }
}

impl fmt::Debug for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for FunctionError {
    fn from(error: E) -> Self {
        let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(error);
        Self(
            boxed.downcast::<Problem>().unwrap_or_else(|error| {
                Box::new(Problem::new(Standard::Runtime, error.to_string()))
            }),
        )
    }
}

type Handler =
    dyn Fn(FunctionInput) -> BoxFuture<'static, Result<Value, FunctionError>> + Send + Sync;

/// One function.
#[derive(Clone)]
pub(crate) enum Function {
    /// Gives its input back.
    Echo,
    /// Writes its input to the worker's log and gives it back.
    Log(tracing::Level),
    /// A user's.
    User(Arc<Handler>),
}

/// Functions by name.
#[derive(Clone, Default)]
pub(crate) struct Functions(BTreeMap<Arc<str>, Function>);

impl Functions {
    /// The functions every worker offers.
    pub(crate) fn default_catalog() -> Self {
        let log = Function::Log;
        let known = [
            ("echo", Function::Echo),
            ("log", log(tracing::Level::INFO)),
            ("logInfo", log(tracing::Level::INFO)),
            ("logWarn", log(tracing::Level::WARN)),
            ("logError", log(tracing::Level::ERROR)),
        ];
        Self(known.into_iter().map(|(name, function)| (Arc::from(name), function)).collect())
    }

    pub(crate) fn add<H, F>(&mut self, name: &str, handler: H)
    where
        H: Fn(FunctionInput) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Value, FunctionError>> + Send + 'static,
    {
        let handler: Arc<Handler> = Arc::new(move |input| Box::pin(handler(input)));
        self.0.insert(name.into(), Function::User(handler));
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Function> {
        self.0.get(name)
    }

    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.0.keys().cloned().collect()
    }
}
