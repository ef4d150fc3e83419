//! `windlass dev`: everything in one process.

use std::path::PathBuf;
use std::sync::Arc;

use windlass_telemetry::Role;
use windlass_worker::Egress;

use crate::configuration::ConfigOptions;
use crate::definition::{self, Checked, Support};
use crate::embedded::{self, EmbeddedOptions, Outside};
use crate::error::CliError;
use crate::memory::MemoryOptions;
use crate::options::{
    InboundOptions, JournalOptions, RetentionOptions, WorkerOptions, describe_egress,
};
use crate::secret_options::{IdentityArgs, SecretArgs};
use crate::serve::{QuotaOptions, ServeOptions};
use crate::telemetry::{self, TelemetryOptions, Told};
use crate::worker::Files;
use crate::{output, signal};

/// Run everything in one process: API, coordinator, worker.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass dev order.yaml --secrets-file dev-secrets.yaml\n\n\
                        Then: windlass start shop/order --wait 30s")]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigOptions,
    /// Definitions to deploy at the start
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A further definition to deploy; may be repeated
    #[arg(long = "with", value_name = "FILE")]
    with: Vec<PathBuf>,
    #[command(flatten)]
    support: Support,
    /// Where the journal is kept
    #[arg(long, env = "WINDLASS_DATA_DIR", default_value = "./.windlass", value_name = "DIR")]
    data_dir: PathBuf,
    #[command(flatten)]
    journal: JournalOptions,
    #[command(flatten)]
    retention: RetentionOptions,
    /// Suspend instances of this namespace (`*` for all) where an error would end them and their
    /// definition does not say `onFault`; may be repeated
    #[arg(long, value_name = "NAMESPACE")]
    suspend_on_fault: Vec<Arc<str>>,
    #[command(flatten)]
    inbound: InboundOptions,
    #[command(flatten)]
    memory: MemoryOptions,
    #[command(flatten)]
    serve: ServeOptions,
    #[command(flatten)]
    quotas: QuotaOptions,
    #[command(flatten)]
    worker: WorkerOptions,
    #[command(flatten)]
    secrets: SecretArgs,
    #[command(flatten)]
    identity: IdentityArgs,
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

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    args.serve.exposure()?;
    let files: Vec<_> = args
        .files
        .iter()
        .chain(&args.with)
        .map(|it| definition::check_here(it, args.support))
        .collect();
    let definitions = files.into_iter().collect::<Result<Vec<_>, _>>()?;
    let bound = args.serve.bind(true).await?;
    let options = EmbeddedOptions {
        data_dir: Some(args.data_dir.clone()),
        journal: args.journal,
        worker: args.worker,
        hidden: args
            .serve
            .credentials()
            .into_iter()
            .chain(args.inbound.webhook_secrets.clone())
            .chain(args.secrets.audit_heads_secret_file.clone())
            .collect(),
        // Who is asked who they are need not be who may read this machine's files.
        files: match args.serve.asks() {
            true => Files::none(),
            false => Files::beside(definitions.iter().map(Checked::place)),
        },
        retention: args.retention.policy(),
        suspending: args.suspend_on_fault,
        archive: args.retention.archive()?,
        inbound: args.inbound,
        quotas: args.quotas.quotas(),
        secrets: args.secrets,
        identity: args.identity.options(&bound.url()),
        memory: args.memory,
        unscheduled: false,
        outside: Outside::Welcome,
        tracer: telemetry::tracer(),
    };
    let reach = describe_egress(&options.worker.egress(Egress::unrestricted())?);
    let embedded = embedded::open(options).await?;
    if let Some(text) = &embedded.processes {
        output::message(text);
    }
    output::message(&reach);
    let served = match embedded.with_functions(definitions).await {
        Ok(definitions) => {
            let data_dir = Some(&*args.data_dir);
            bound.serve(&embedded.coordinator, definitions, data_dir, None, signal::stop()).await
        }
        Err(error) => Err(error),
    };
    tokio::select! {
        () = embedded.close() => {}
        () = signal::stop() => return Err(CliError::Interrupted),
    }
    served
}
