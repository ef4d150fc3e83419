//! `windlass run`: one workflow, here and now.

mod rehearsed;
mod remote;

use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;
use windlass_coordinator::admission::StartQuotas;
use windlass_coordinator::catalog::Acceptance;
use windlass_coordinator::coordinator::{
    Coordinator, CoordinatorError, Deployed, Operator, Outcome, Start, StartPolicy, Started,
    WorkflowRef,
};
use windlass_coordinator::identity::IdentityOptions;
use windlass_coordinator::retention::RetentionPolicy;
use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::value::Value;
use windlass_telemetry::{MetricPush, Role};
use windlass_worker::Egress;

use crate::code::{CANCELLED, TIMED_OUT};
use crate::definition::{self, Checked, Support};
use crate::embedded::{self, Embedded, EmbeddedOptions};
use crate::error::CliError;
use crate::memory::MemoryOptions;
use crate::options::{
    InboundOptions, JournalOptions, ProfileOptions, Remote, WorkerOptions, duration,
};
use crate::secret_options::SecretArgs;
use crate::telemetry::{self, TelemetryOptions, Told};
use crate::worker::Files;
use crate::{input, output, progress, signal, worker};

/// Run one workflow here and now, and print its output.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass run hello.yaml --input '{\"name\": \"Ada\"}'\n  \
    windlass run order.yaml --input @order.json --data-dir state --id order-4711\n  \
    windlass run order.yaml --input @order.json --remote=http://127.0.0.1:7400\n  \
    windlass run order.yaml --skip-waits --mock order.test.yaml\n\n\
    The second continues where it stopped when it is run again after a crash. Ctrl-C cancels the \
    instance; a second one ends the process at once.")]
pub(crate) struct Args {
    /// The definition, YAML or JSON
    file: PathBuf,
    /// The input: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// A further definition that it runs as a child; may be repeated
    #[arg(long = "with", value_name = "FILE")]
    with: Vec<PathBuf>,
    /// Wait for nothing: on a clock of its own, where waits, pauses of retries and timeouts take no
    /// time, and calls are answered by --mock
    #[arg(long, conflicts_with_all = ["place", "id", "timeout", "secrets", "secrets_file",
        "resolve", "ca_files"])]
    skip_waits: bool,
    /// Mocks, secrets and events, as files of tests have them: see docs/testing.md
    #[arg(long, value_name = "FILE", requires = "skip_waits")]
    mock: Option<PathBuf>,
    /// Make calls that no mock answers
    #[arg(long, requires = "skip_waits")]
    allow_calls: bool,
    #[command(flatten)]
    support: Support,
    /// Keep the journal here; without it nothing is kept
    #[arg(long, value_name = "DIR", group = "place")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    journal: JournalOptions,
    /// A name for the instance: the same name continues it instead of starting another
    #[arg(long, value_name = "NAME", requires = "place")]
    id: Option<String>,
    /// Cancel when it takes longer
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// Run it on the server at this URL, and on its workers; without a URL at WINDLASS_URL, at
    /// that of the profile, or at http://127.0.0.1:7400
    #[arg(long, value_name = "URL", group = "place", num_args = 0..=1, require_equals = true,
        conflicts_with_all = ["data_dir", "secrets", "secrets_file", "resolve", "ca_files"])]
    remote: Option<Option<String>>,
    #[command(flatten)]
    profile: ProfileOptions,
    #[command(flatten)]
    worker: WorkerOptions,
    #[command(flatten)]
    secrets: SecretArgs,
    #[command(flatten)]
    telemetry: TelemetryOptions,
}

impl Args {
    /// What is told of it, and how.
    pub(crate) fn told(&self) -> Told<'_> {
        let environment = Some(self.secrets.environment.as_str());
        Told { role: Role::Embedded, options: &self.telemetry, environment }
    }
}

/// The namespace of ids made from names (`--id`): fixed for ever, or a rerun would start anew.
const NAMES: Uuid = Uuid::from_u128(0x6f1c_2a5e_93b7_4d0a_8e41_57c8_d2b9_3a60);

/// What is said of an instance that an earlier text of the same version was started from.
const OTHER_TEXT: &str = "it was started from another text of the definition and keeps to that one: a change \
                          of what runs needs another --id, and deserves another version";

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    if args.skip_waits {
        let value = given(args.input.as_deref())?;
        let files: Vec<_> = std::iter::once(args.file).chain(args.with).collect();
        return rehearsed::run(&files, value, args.mock.as_deref(), args.allow_calls).await;
    }
    // A server keeps versions apart; what runs here and now needs none.
    let check = if args.remote.is_some() { definition::check } else { definition::check_here };
    let main = check(&args.file, args.support)?;
    let with: Vec<_> = args.with.iter().map(|it| check(it, args.support)).collect();
    let with = with.into_iter().collect::<Result<Vec<_>, _>>()?;
    let value = given(args.input.as_deref())?;
    let id = args.id.map(|name| InstanceId(Uuid::new_v5(&NAMES, name.as_bytes())));
    if let Some(url) = args.remote {
        let files = Files::beside(with.iter().chain([&main]).map(Checked::place));
        let definitions = std::iter::once(main).chain(with).collect();
        let (remote, support) = (Remote::at(url, args.profile), args.support);
        let worker = worker::builder(args.worker, files, Egress::unrestricted())?;
        let worker = worker.build().map_err(|error| CliError::Usage(error.to_string()))?;
        let by = (support, &worker);
        return remote::run(&remote, definitions, by, value, id, args.timeout).await;
    }
    let files = Files::beside(with.iter().chain([&main]).map(Checked::place));
    let (data_dir, journal) = (args.data_dir, args.journal);
    let options = EmbeddedOptions {
        tracer: telemetry::tracer(),
        data_dir,
        journal,
        worker: args.worker,
        hidden: args.secrets.audit_heads_secret_file.iter().cloned().collect(),
        files,
        retention: RetentionPolicy::default(),
        inbound: InboundOptions::default(),
        archive: None,
        suspending: Vec::new(),
        quotas: StartQuotas::default(),
        secrets: args.secrets,
        identity: IdentityOptions::default(),
        memory: MemoryOptions::default(),
        // One workflow runs, as somebody asks for it.
        unscheduled: true,
        outside: embedded::Outside::Nobody,
    };
    let embedded = embedded::open(options).await?;
    let coordinator = &embedded.coordinator;
    let push = telemetry::push(coordinator)?;
    let ended = async {
        let definitions = std::iter::once(main).chain(with).collect();
        let definitions = embedded.with_functions(definitions).await?;
        let runs_processes = definitions.iter().any(|it| it.runs_processes);
        if let Some(text) = embedded.processes.as_ref().filter(|_| runs_processes) {
            output::message(text);
        }
        let started = start(coordinator, definitions, value, id).await?;
        tokio::select! {
            ended = finish(coordinator, started.id, args.timeout) => ended,
            () = progress::follow(coordinator, started.id) => Err(CliError::Interrupted),
        }
    };
    let ended = ended.await;
    // Whatever came of it, the journal is closed in order; a second signal does not wait for that.
    if !matches!(ended, Err(CliError::Interrupted)) {
        tokio::select! {
            () = close(embedded, push) => {}
            () = signal::stop() => return Err(CliError::Interrupted),
        }
    }
    output::json(&ended?);
    Ok(())
}

/// The input that was given; without one an empty object.
fn given(argument: Option<&str>) -> Result<Value, CliError> {
    match argument {
        Some(argument) => input::read("--input", argument),
        None => Ok(Value::empty_object()),
    }
}

/// Tells what there was to count, which may all have come since the start, and ends in order.
async fn close(embedded: Embedded, push: Option<MetricPush>) {
    if let Some(push) = push {
        push.finish().await;
    }
    embedded.close().await;
}

/// Deploys the definitions, which were checked when they were read, and starts the instance, or
/// finds it again.
async fn start(
    coordinator: &Coordinator,
    definitions: Vec<Checked>,
    input: Value,
    id: Option<InstanceId>,
) -> Result<Started, CliError> {
    // The first is the one to run; its children go before it.
    let mut deployed = None;
    for definition in definitions.into_iter().rev() {
        // A file counts as it is: it was checked, and may have been edited since it was last run.
        let accepted = Acceptance { unsupported: definition.unsupported, replace: true };
        deployed = Some(coordinator.deploy(definition.text, accepted, Operator::default()).await?);
    }
    let Some(deployed) = deployed else { return Err(CliError::Definition) };
    let workflow = WorkflowRef {
        namespace: deployed.workflow.namespace.to_string(),
        name: deployed.workflow.name.to_string(),
        version: Some(deployed.workflow.version.to_string()),
    };
    let start = Start {
        workflow,
        input,
        id,
        idempotency_key: None,
        policy: StartPolicy::default(),
        labels: Vec::new(),
        priority: None,
        trace: None,
    };
    let started = coordinator.start(start).await?;
    if started.repeated {
        tell_repeat(coordinator, started.id, &deployed).await?;
    }
    Ok(started)
}

async fn tell_repeat(
    coordinator: &Coordinator,
    id: InstanceId,
    deployed: &Deployed,
) -> Result<(), CoordinatorError> {
    let head = coordinator.show(id).await?.head;
    let word = if head.status.is_final() { "had ended before" } else { "continues" };
    output::message(&format!("instance {id} {word}"));
    if head.digest != deployed.digest {
        output::message(OTHER_TEXT);
    }
    Ok(())
}

/// Waits for the end; a signal or the timeout cancels.
async fn finish(
    coordinator: &Coordinator,
    id: InstanceId,
    timeout: Option<Duration>,
) -> Result<Value, CliError> {
    let timed_out = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // The outcome first: what has ended in time is not cancelled.
        biased;
        outcome = outcome(coordinator, id) => judge(outcome?),
        () = signal::stop() => {
            output::message("cancelling; once more ends at once");
            cancel(coordinator, id, "interrupted").await?;
            Err(CliError::coded(&CANCELLED, &format!("instance {id} was interrupted")))
        }
        () = timed_out => {
            cancel(coordinator, id, "timed out").await?;
            Err(timed_out_error(&id.to_string(), timeout.unwrap_or_default()))
        }
    }
}

/// What is said when `--timeout` is over.
fn timed_out_error(id: &str, timeout: Duration) -> CliError {
    let detail =
        format!("instance {id} had not ended after --timeout {timeout:?} and was cancelled");
    CliError::coded(&TIMED_OUT, &detail)
}

async fn outcome(coordinator: &Coordinator, id: InstanceId) -> Result<Outcome, CoordinatorError> {
    loop {
        if let Some(outcome) =
            coordinator.wait(id, Duration::from_millis(limits::OUTCOME_LOOK_MS)).await?
        {
            return Ok(outcome);
        }
    }
}

fn judge(outcome: Outcome) -> Result<Value, CliError> {
    match outcome {
        Outcome::Completed(output) => Ok(output),
        Outcome::Faulted(problem) => {
            Err(CliError::Problem(Box::new(serde_json::to_value(problem).unwrap_or_default())))
        }
        Outcome::Cancelled => Err(CliError::coded(&CANCELLED, "the instance was cancelled")),
    }
}

/// Cancels, and gives tasks under way a moment to stop. A signal in the meantime ends it.
async fn cancel(coordinator: &Coordinator, id: InstanceId, reason: &str) -> Result<(), CliError> {
    let cancelled = async {
        match coordinator.cancel(id, Some(reason.to_owned())).await {
            // It ended by itself just now.
            Ok(()) | Err(CoordinatorError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
        coordinator.wait(id, Duration::from_millis(limits::CANCELLING_MS)).await.map(|_| ())
    };
    tokio::select! {
        cancelled = cancelled => Ok(cancelled?),
        () = signal::stop() => Err(CliError::Interrupted),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use windlass_coordinator::coordinator::Outcome;
    use windlass_proto::problem::{Problem, Standard};
    use windlass_proto::value::Value;

    use super::{CliError, NAMES, judge};

    #[test]
    fn a_name_stands_for_one_id_for_ever() {
        let id = Uuid::new_v5(&NAMES, b"order-4711").to_string();
        assert_eq!(id, "9697ec14-7333-5a60-a1c1-62d220b6078b");
    }

    #[test]
    fn only_an_output_is_a_success() {
        assert_eq!(judge(Outcome::Completed(Value::Int(1))).ok(), Some(Value::Int(1)));
        let faulted = judge(Outcome::Faulted(Problem::new(Standard::Runtime, "x"))).err();
        assert!(matches!(faulted, Some(CliError::Problem(it)) if it["status"] == 500));
        let cancelled = judge(Outcome::Cancelled).err();
        assert!(matches!(cancelled, Some(CliError::Problem(it)) if it["code"] == "WL0702"));
    }
}
