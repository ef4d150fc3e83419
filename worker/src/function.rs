//! Functions by name: the default catalog's and those that users write in Rust.

mod call;
mod convert;
mod error;
mod name;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_proto::value::Value;

pub use call::Call;
pub use error::FunctionError;
pub(crate) use error::into_problem;
pub(crate) use name::BY_DATA;

use crate::error::WorkerError;

type Handler =
    dyn Fn(Value, Call) -> BoxFuture<'static, Result<Value, FunctionError>> + Send + Sync;

/// A function of a worker: what definitions call by its name.
///
/// ```
/// # use std::time::Duration;
/// # use windlass_worker::{Call, Function, FunctionError, Worker};
/// #[derive(serde::Deserialize)]
/// struct Video { url: String }
///
/// async fn encode(video: Video, call: Call) -> Result<u64, FunctionError> {
///     for _part in 0..10 {
///         call.heartbeat();
///     }
///     Ok(video.url.len() as u64)
/// }
///
/// let encode = Function::new("encode", encode).stall(Duration::from_secs(30));
/// let builder = Worker::builder().offer(encode);
/// ```
#[derive(Clone)]
pub struct Function {
    name: Arc<str>,
    handler: Arc<Handler>,
    stall: Option<Duration>,
    replaces: bool,
}

impl Function {
    /// A function of this name.
    ///
    /// Its input is the evaluated `with` of the task, or the task's input where there is none: any
    /// type that serde reads. Input that does not fit ends the task with a validation error and
    /// never reaches the handler. The output is any type that serde writes. For both, [`Value`] is
    /// what arrived, as it is.
    ///
    /// The handler's future is dropped at the task's deadline and when the result is not wanted any
    /// more. A handler that blocks its thread blocks others: use `tokio::task::spawn_blocking`.
    pub fn new<H, I, O, F>(name: &str, handler: H) -> Self
    where
        H: Fn(I, Call) -> F + Send + Sync + 'static,
        I: DeserializeOwned + 'static,
        O: Serialize + 'static,
        F: Future<Output = Result<O, FunctionError>> + Send + 'static,
    {
        let name: Arc<str> = name.into();
        let named = name.clone();
        let handler: Arc<Handler> = Arc::new(move |input, call| {
            let begun = convert::read::<I>(input, &named).map(|input| handler(input, call));
            let named = named.clone();
            Box::pin(async move { convert::write(begun?.await?, &named) })
        });
        Self { name, handler, stall: None, replaces: false }
    }

    /// With a limit to its silence: when the handler has neither ended nor called
    /// [`Call::heartbeat`] for this long, it is dropped and the task ends with a timeout error. No
    /// limit unless set.
    #[must_use]
    pub fn stall(mut self, longest: Duration) -> Self {
        self.stall = Some(longest);
        self
    }

    /// In place of a function that has this name already: one of the default catalog (`echo`,
    /// `log`, …), or one that was added before.
    #[must_use]
    pub fn replacing(mut self) -> Self {
        self.replaces = true;
        self
    }

    /// Calls it; silence is watched.
    pub(crate) async fn invoke(&self, input: Value, call: Call) -> Result<Value, FunctionError> {
        // However this ends, tasks that the handler has begun learn that it has ended.
        let _ended = call.token().clone().drop_guard();
        let work = (self.handler)(input, call.clone());
        match self.stall {
            None => work.await,
            Some(longest) => watch::watched(work, &call, longest).await,
        }
    }
}

/// What a worker has under a name.
#[derive(Clone)]
pub(crate) enum Offer {
    /// Gives its input back.
    Echo,
    /// Writes its input to the worker's log and gives it back.
    Log(tracing::Level),
    /// A user's.
    User(Function),
}

/// Functions by name.
#[derive(Clone)]
pub(crate) struct Functions {
    all: BTreeMap<Arc<str>, Offer>,
    /// What was wrong first with a function that was added.
    refused: Option<(String, String)>,
}

impl Functions {
    /// The functions every worker offers.
    pub(crate) fn default_catalog() -> Self {
        let log = Offer::Log;
        let known = [
            ("echo", Offer::Echo),
            ("log", log(tracing::Level::INFO)),
            ("logInfo", log(tracing::Level::INFO)),
            ("logWarn", log(tracing::Level::WARN)),
            ("logError", log(tracing::Level::ERROR)),
        ];
        let all = known.into_iter().map(|(name, offer)| (Arc::from(name), offer)).collect();
        Self { all, refused: None }
    }

    pub(crate) fn add(&mut self, function: Function) {
        let name = function.name.clone();
        let taken = self.all.contains_key(&name) && !function.replaces;
        let reason = name::objection(&name).or_else(|| {
            taken.then(|| "is taken; `Function::replacing` takes its place".to_owned())
        });
        match reason {
            None => _ = self.all.insert(name, Offer::User(function)),
            Some(reason) => _ = self.refused.get_or_insert((name.to_string(), reason)),
        }
    }

    /// All of them, when there was nothing wrong with any.
    pub(crate) fn checked(self) -> Result<Self, WorkerError> {
        match self.refused {
            None => Ok(self),
            Some((name, reason)) => Err(WorkerError::Function { name, reason }),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Offer> {
        self.all.get(name)
    }

    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.all.keys().cloned().collect()
    }

    /// Names of those that were added.
    pub(crate) fn added(&self) -> Vec<Arc<str>> {
        let users = self.all.iter().filter(|(_, offer)| matches!(offer, Offer::User(_)));
        users.map(|(name, _)| name.clone()).collect()
    }
}
