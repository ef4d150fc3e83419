//! Performs one assignment: input, call or run, output. Never panics, always within its time.

mod a2a;
mod asyncapi;
mod body;
#[cfg(feature = "containers")]
mod container;
mod documents;
mod evaluate;
mod exchange;
mod fetch;
mod function;
mod grpc;
mod http;
mod http_output;
mod json_rpc;
mod mcp;
mod openapi;
mod process;
mod records;
mod script;
mod sealing;
mod secret_access;
mod shell;
mod stand_in;

pub(crate) use self::fetch::fetch;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use windlass_proto::limits;
use windlass_proto::plan::data_flow::{DataFlow as _, unfit};
use windlass_proto::plan::{self, AsyncApiCall, Kind, Plan, SchemaSource, Task};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::schema::{Schema, Unfit};
use windlass_proto::value::Value;
use windlass_proto::wire::outcome::Outcome;
use windlass_proto::wire::{Assignment, Work};

use crate::attempt::Attempt;
use crate::clock;
use crate::counts;
use crate::scope::TaskScope;
use crate::seal::Seal;
use crate::shared::Shared;
use crate::trace;

/// How an attempt ended.
pub(crate) enum Ended {
    /// What is to be reported.
    Reported(Outcome),
    /// It never began: there was no room for what it would have to tell.
    NotBegun,
}

/// Performs `assignment`; see [`crate::Worker::try_perform`].
pub(crate) async fn perform(
    worker: &Shared,
    assignment: &Assignment,
    cancelled: &CancellationToken,
) -> Ended {
    let failed = |problem| Ended::Reported(Outcome::from(Err(problem)));
    let Some(plan) = worker.plans.plan(&assignment.digest) else {
        let detail = format!("the worker does not have the definition of {}", assignment.workflow);
        return failed(Problem::new(Standard::Runtime, detail).with_status(503));
    };
    let Some(task) = plan.tasks.get(assignment.task.0 as usize) else {
        let detail = format!("{} has no task {}", assignment.workflow, assignment.task.0);
        return failed(Problem::new(Standard::Runtime, detail));
    };
    let began = Instant::now();
    let ended = attempt(worker, &plan, task, assignment, cancelled, began).await;
    let outcome = match &ended {
        Ended::Reported(Outcome { result: Ok(_), .. }) => counts::Outcome::Completed,
        Ended::Reported(Outcome { result: Err(_), .. }) => counts::Outcome::Faulted,
        Ended::NotBegun => counts::Outcome::Returned,
    };
    let done = (task, &assignment.work);
    worker.counts.attempted(done, outcome, began.elapsed(), trace::current_traced());
    ended
}

async fn attempt(
    worker: &Shared,
    plan: &Plan,
    task: &Task,
    assignment: &Assignment,
    cancelled: &CancellationToken,
    began: Instant,
) -> Ended {
    let failed = |problem| Ended::Reported(Outcome::from(Err(problem)));
    let mut attempt = Attempt {
        worker,
        plan,
        task,
        assignment,
        cancelled,
        began,
        input: assignment.input.clone(),
        scope: TaskScope::new(&assignment.variables),
        seal: Seal::default(),
        secret_session: None,
        used: Vec::new(),
        read_again: false,
        retry_after_ms: None,
        audit: OnceLock::new(),
    };
    let limit = time_limit(assignment, task);
    if !limit.is_zero() {
        let (room, left) = (pin!(attempt.make_room()), time_left(assignment));
        match bounded(room, left, cancelled, || no_room_in_time(assignment)).await {
            Ok(true) => {}
            Ok(false) => return Ended::NotBegun,
            Err(problem) => return failed(problem),
        }
    }
    let late = || timed_out(assignment, limit);
    let mut result = {
        let run = pin!(attempt.run());
        bounded(run, Some(limit), cancelled, late).await
    };
    if let Ok(value) = result {
        // What was done was done: the time that a task without a deadline has is not that of its
        // result.
        let (protect, limit) = (pin!(attempt.protect(value)), time_left(assignment));
        result = bounded(protect, limit, cancelled, late).await;
    }
    let result = result.map_err(|problem| attempt.seal.problem(problem));
    if let Some(session) = attempt.secret_session.take() {
        // The report does not wait for it.
        worker.releases.spawn(session.release());
    }
    let retry_after_ms = attempt.retry_after_ms.filter(|_| result.is_err());
    Ended::Reported(Outcome { result, secrets: attempt.used, retry_after_ms })
}

/// Runs `work` until it ends, the time `limit` is over, if there is one, or it is cancelled; a
/// panic becomes a problem.
///
/// It is pinned by who calls: a future that is passed by value takes its room twice in that of
/// its caller, and all of it is copied when an attempt is spawned.
async fn bounded<T, W: Future<Output = Result<T, Problem>>>(
    work: Pin<&mut W>,
    limit: Option<Duration>,
    cancelled: &CancellationToken,
    late: impl Fn() -> Problem,
) -> Result<T, Problem> {
    if limit.is_some_and(|it| it.is_zero()) {
        return Err(late());
    }
    if cancelled.is_cancelled() {
        return Err(Problem::new(Standard::Runtime, "the task was cancelled"));
    }
    let mut work = pin!(AssertUnwindSafe(work).catch_unwind());
    // Most functions end at once: they need neither a timer nor a place among the cancelled.
    let first = std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
    let outcome = match first {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => {
            tokio::select! {
                biased;
                outcome = work => outcome,
                () = cancelled.cancelled() => {
                    return Err(Problem::new(Standard::Runtime, "the task was cancelled"));
                }
                () = tokio::time::sleep(limit.unwrap_or_default()), if limit.is_some() => {
                    return Err(late());
                }
            }
        }
    };
    outcome.unwrap_or_else(|_| {
        // What a panic says may hold anything, so it is not passed on.
        Err(Problem::new(Standard::Runtime, "the worker failed while it performed the task"))
    })
}

/// The time until the task's deadline; none where it has none.
fn time_left(assignment: &Assignment) -> Option<Duration> {
    assignment.deadline.map(clock::until)
}

/// The time the task may take from now.
fn time_limit(assignment: &Assignment, task: &Task) -> Duration {
    time_left(assignment).unwrap_or_else(|| {
        Duration::from_millis(match task.kind {
            Kind::Container(_) | Kind::Script(_) | Kind::Shell(_) => limits::PROCESS_TIMEOUT_MS,
            Kind::AsyncApi(ref call) => listening(call).saturating_add(limits::CALL_TIMEOUT_MS),
            _ => limits::CALL_TIMEOUT_MS,
        })
    })
}

/// Milliseconds in which a call takes messages, where its definition says that.
fn listening(call: &AsyncApiCall) -> u64 {
    match call.subscription.as_ref().and_then(|it| it.duration.as_ref()) {
        Some(plan::Duration::Fixed(milliseconds)) => *milliseconds,
        _ => 0,
    }
}

fn timed_out(assignment: &Assignment, limit: Duration) -> Problem {
    let detail = if assignment.deadline.is_some() {
        "the task did not end within its timeout".to_owned()
    } else {
        format!(
            "the task did not end within {} s, the most without a timeout of its own",
            limit.as_secs()
        )
    };
    Problem::new(Standard::Timeout, detail)
}

fn no_room_in_time(assignment: &Assignment) -> Problem {
    let mut problem = timed_out(assignment, Duration::ZERO);
    let detail = "it waited for room in the audit trail, which takes no events now";
    let said = problem.detail.unwrap_or_default();
    problem.detail = Some(format!("{said}: {detail}").into());
    problem
}

impl Attempt<'_> {
    async fn run(&mut self) -> Result<Value, Problem> {
        self.open().await?;
        match self.assignment.work {
            Work::Perform => self.perform_task().await,
            Work::Evaluate(field) => self.evaluate_field(field).await,
        }
    }

    async fn perform_task(&mut self) -> Result<Value, Problem> {
        let task = self.task;
        let raw = &self.input.clone();
        // Input that is refused reads no secret; a schema elsewhere may need one to be fetched.
        if let Some(schema @ SchemaSource::Inline(_)) = &task.input.schema {
            self.validate(schema, raw, "input").await?;
        }
        self.read_secrets().await?;
        if let Some(schema @ SchemaSource::External(_)) = &task.input.schema {
            self.validate(schema, raw, "input").await?;
        }
        let input = self.transform_input(task, raw)?;
        // What it gives is sealed once, at the very end: `output.as` works on the values
        // themselves.
        let kind = task.kind.detail().unwrap_or_else(|| task.kind.word());
        // By value: what is dropped in the middle ends its spans from the inside out.
        let output = trace::call(kind, self.perform_definition(input)).await?;
        let output = self.transform_output(task, output)?;
        if let Some(schema) = &task.output.schema {
            self.validate(schema, &output, "output").await?;
        }
        Ok(output)
    }

    /// The call or run itself: from transformed input to raw output.
    async fn perform_definition(&mut self, input: Value) -> Result<Value, Problem> {
        if let Some(answered) = self.stand_in(&input) {
            return answered;
        }
        match &self.task.kind {
            Kind::Function(call) => self.call_function(call, input).await,
            // Boxed, so that a call of a function does not carry the room of all others.
            Kind::Http(call) => Box::pin(self.call_http(call, &input)).await,
            Kind::OpenApi(call) => Box::pin(self.call_openapi(call, &input)).await,
            Kind::Mcp(call) => Box::pin(self.call_mcp(call, &input)).await,
            Kind::A2a(call) => Box::pin(self.call_a2a(call, &input)).await,
            Kind::Shell(shell) => Box::pin(self.run_shell(shell, input)).await,
            Kind::Script(script) => Box::pin(self.run_script(script, input)).await,
            Kind::Grpc(call) => Box::pin(self.call_grpc(call, &input)).await,
            Kind::AsyncApi(call) => Box::pin(self.call_asyncapi(call, input)).await,
            #[cfg(feature = "containers")]
            Kind::Container(it) => Box::pin(self.run_container(it, input)).await,
            #[cfg(not(feature = "containers"))]
            Kind::Container(_) => {
                let detail = "this worker was built without `run: container`";
                Err(Problem::new(Standard::Configuration, detail))
            }
            other => Err(Problem::new(
                Standard::Runtime,
                format!("a worker does not perform `{}` tasks", other.word()),
            )),
        }
    }

    async fn validate(
        &mut self,
        source: &SchemaSource,
        value: &Value,
        what: &str,
    ) -> Result<(), Problem> {
        let schema = match source {
            SchemaSource::Inline(schema) => schema.clone(),
            SchemaSource::External(resource) => {
                let document = Box::pin(self.fetch_document(resource, value)).await?;
                let compiled = aside(move || Schema::compile(&document)).await?;
                compiled.map_err(|error| {
                    Problem::new(Standard::Configuration, format!("the {what} schema: {error}"))
                })?
            }
        };
        let checked = match schema.validate_within(value, limits::SCHEMA_QUICK_STEPS) {
            Err(Unfit::TooCostly(_)) => {
                let value = value.clone();
                let steps = limits::SCHEMA_WORKER_STEPS;
                aside(move || schema.validate_within(&value, steps)).await?
            }
            checked => checked,
        };
        checked.map_err(|message| unfit(what, message))
    }
}

/// Runs what may take long on a thread that no other task waits for.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Problem::new(Standard::Runtime, "the worker ends").with_status(503))
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod definition_tests;

#[cfg(test)]
mod egress_tests;
