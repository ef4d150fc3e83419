//! The command line, top level.

use clap::{CommandFactory, Parser, Subcommand};
use windlass_telemetry::Role;

use crate::command::{
    approval, archive, audit, auth, backup, bench, bulk, cluster, completions, config, control,
    coordinator, delete, deploy, dev, doctor, event, explain, fsck, function, graph, history,
    instance, list, log, login, logs, lsp, profile, repair, restore, run, schedule, schema, secret,
    show, start, test, token, top, validate, version, watch, webhook, worker, workflow,
};
use crate::error::CliError;
use crate::log::LogOptions;
use crate::telemetry::{NOTHING, Told};

/// Runs Serverless Workflow definitions, durably.
#[derive(Parser)]
#[command(
    name = "windlass",
    version,
    after_help = "Start here:\n  windlass run hello.yaml --input '{\"name\": \"Ada\"}'\n  windlass dev\n  windlass --profile prod list\n\n\
                  Exit codes: 0 done, 1 faulted, cancelled or refused, 2 bad usage or definition, 3 not ended or \
                  not known to have (the instance goes on), 130 interrupted."
)]
pub(crate) struct Arguments {
    /// The profile that says which server: commands that talk to one have it as well
    #[arg(long, global = true, hide = true, value_name = "NAME")]
    profile: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run one workflow here and now, and print its output
    Run(Box<run::Args>),
    /// Play workflows with mocked calls on a virtual clock, and hold what happens against what is
    /// expected
    Test(test::Args),
    /// Check definitions and show every finding
    Validate(validate::Args),
    /// Draw a definition as a flow chart
    Graph(graph::Args),
    /// Run everything in one process: API, coordinator, worker
    Dev(Box<dev::Args>),
    /// Run the coordinator of a fleet, or make its key
    Coordinator(Box<coordinator::Args>),
    /// See the coordinators of a cluster
    Cluster(cluster::Args),
    /// Run a worker of a fleet, or list workers
    Worker(Box<worker::Args>),
    /// Deploy definitions to a server
    Deploy(deploy::Args),
    /// Start an instance on a server
    Start(start::Args),
    /// All there is to do with instances, under one name
    Instance(Box<instance::Args>),
    /// List instances
    List(list::Args),
    /// Show an instance: input, context, what it does now
    Show(show::Args),
    /// Show what happened in an instance
    History(history::Args),
    /// Show what log functions and programs of an instance wrote
    Logs(logs::Args),
    /// Follow an instance until it ends
    Watch(watch::Args),
    /// Cancel an instance
    Cancel(control::CancelArgs),
    /// Suspend an instance, or all starts of a workflow or a namespace
    Suspend(control::SuspendArgs),
    /// Resume a suspended instance, workflow or namespace
    Resume(control::ResumeArgs),
    /// Delete an instance that has ended
    Delete(delete::DeleteArgs),
    /// Look at instances that were removed, in the files of `--archive`
    Archive(archive::Args),
    /// Cancel, suspend, resume, retry, reset or delete all instances that match a filter
    Bulk(bulk::Args),
    /// Go on for an instance that has faulted, at the task that failed
    Retry(repair::RetryArgs),
    /// Go on for an instance that has ended, from a visit of a task
    Reset(repair::ResetArgs),
    /// Give the output of a task in place of whoever works on it
    Skip(control::SkipArgs),
    /// See what workflows ask people
    Approval(approval::Args),
    /// Approve what a workflow asks
    Approve(approval::ApproveArgs),
    /// Reject what a workflow asks
    Reject(approval::RejectArgs),
    /// See the definitions on a server, compare, retire and delete them
    Workflow(workflow::Args),
    /// See the functions of a server's default catalog, or publish one
    Function(function::Args),
    /// See and change schedules, or start what they start
    Schedule(schedule::Args),
    /// Send events to the instances that listen
    Event(event::Args),
    /// See, make and delete the endpoints at which services deliver what becomes events
    Webhook(webhook::Args),
    /// See who uses which secrets, say who may, and set a store up
    Secret(secret::Args),
    /// Get a token of the identity provider that a server trusts, and keep it for that server
    Login(login::LoginArgs),
    /// Forget the token that is kept for a server
    Logout(login::LogoutArgs),
    /// See the servers that have a name on this machine, and choose one
    Profile(profile::Args),
    /// See who you are to a server, and what you may
    Auth(auth::Args),
    /// Make, list and revoke tokens that show a server who asks
    Token(token::Args),
    /// Show what was done with secrets
    Audit(Box<audit::Args>),
    /// Show or change what a coordinator logs while it runs
    Log(log::Args),
    /// Check a configuration file, or show what it makes of a command
    Config(config::Args),
    /// Check this machine and a server, and say what to do
    Doctor(Box<doctor::Args>),
    /// Print a JSON Schema of definitions or tests, for editors
    Schema(schema::Args),
    /// Watch a server: instances by status, those that are open, workers
    Top(top::Args),
    /// Speak to an editor: findings, completion and explanations as one writes
    Lsp(lsp::Args),
    /// Explain the code of an error or a finding
    Explain(explain::Args),
    /// Back a coordinator up, and look at its backups
    Backup(Box<backup::Args>),
    /// Make a data directory of a backup
    Restore(restore::Args),
    /// Check the journal in a data directory
    Fsck(fsck::Args),
    /// Measure throughput and latency
    Bench(bench::Args),
    /// Print what makes a shell complete commands and options
    Completions(completions::CompletionArgs),
    /// Write manual pages, one for each command
    Man(completions::ManArgs),
    /// Print versions
    Version,
}

/// The command line as clap reads it. Help names variables and never shows what they hold: a URL or
/// a path there may tell who somebody is.
pub(crate) fn command_line() -> clap::Command {
    fn quiet(command: clap::Command) -> clap::Command {
        command.mut_args(|it| it.hide_env_values(true)).mut_subcommands(quiet)
    }
    quiet(Arguments::command())
}

impl Command {
    /// How it logs.
    pub(crate) fn log_options(&self) -> LogOptions {
        self.told().map(|it| it.options.log.clone()).unwrap_or_default()
    }

    /// What is told of it, and how, where it lasts.
    pub(crate) fn told(&self) -> Option<Told<'_>> {
        Some(match self {
            Self::Run(args) => args.told(),
            Self::Dev(args) => args.told(),
            Self::Coordinator(args) => args.told()?,
            Self::Worker(args) => args.told()?,
            // What telemetry costs is one of the things to measure.
            Self::Bench(_) => Told { role: Role::Embedded, options: &NOTHING, environment: None },
            _ => return None,
        })
    }

    /// Does what was asked.
    pub(crate) async fn run(self) -> Result<(), CliError> {
        match self {
            Self::Run(args) => run::run(*args).await,
            Self::Test(args) => test::run(&args).await,
            Self::Validate(args) => validate::run(&args).await,
            Self::Dev(args) => dev::run(*args).await,
            Self::Coordinator(args) => coordinator::run(*args).await,
            Self::Cluster(args) => cluster::run(args).await,
            Self::Worker(args) => worker::run(*args).await,
            Self::Deploy(args) => deploy::run(args).await,
            Self::Start(args) => start::run(args).await,
            Self::List(args) => list::run(args).await,
            Self::Show(args) => show::run(args).await,
            Self::History(args) => history::run(args).await,
            Self::Logs(args) => logs::run(args).await,
            Self::Watch(args) => watch::run(args).await,
            Self::Bulk(args) => bulk::run(args).await,
            Self::Delete(args) => delete::run(args).await,
            Self::Cancel(args) => control::cancel(args).await,
            Self::Suspend(args) => control::suspend(args).await,
            Self::Resume(args) => control::resume(args).await,
            Self::Retry(args) => repair::retry(args).await,
            Self::Reset(args) => repair::reset(args).await,
            Self::Skip(args) => control::skip(args).await,
            Self::Approval(args) => approval::run(args).await,
            Self::Approve(args) => approval::approve(args).await,
            Self::Reject(args) => approval::reject(args).await,
            Self::Workflow(args) => workflow::run(args).await,
            Self::Function(args) => function::run(args).await,
            Self::Schedule(args) => schedule::run(args).await,
            Self::Event(args) => event::run(args).await,
            Self::Webhook(args) => webhook::run(args).await,
            Self::Secret(args) => secret::run(args).await,
            Self::Archive(args) => archive::run(&args),
            Self::Audit(args) => audit::run(*args).await,
            Self::Login(args) => login::login(args).await,
            Self::Logout(args) => login::logout(args).await,
            Self::Profile(args) => profile::run(&args),
            Self::Auth(args) => auth::run(args).await,
            Self::Token(args) => token::run(args).await,
            Self::Log(args) => log::run(args).await,
            Self::Config(args) => config::run(args, command_line()),
            Self::Doctor(args) => doctor::run(*args).await,
            Self::Schema(args) => schema::run(&args),
            Self::Top(args) => top::run(args).await,
            Self::Lsp(args) => lsp::run(&args).await,
            Self::Instance(args) => instance::run(*args).await,
            Self::Explain(args) => explain::run(&args),
            Self::Backup(args) => backup::run(*args).await,
            Self::Restore(args) => restore::run(&args),
            Self::Fsck(args) => fsck::run(&args),
            Self::Graph(args) => graph::run(&args),
            Self::Completions(args) => completions::completions(&args, command_line()),
            Self::Man(args) => completions::man(&args, command_line()),
            Self::Bench(args) => bench::run(args).await,
            Self::Version => version::run(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::Arguments;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        for mut command in Arguments::command().get_subcommands().cloned() {
            let name = command.get_name().to_owned();
            if ["help", "version", "event"].contains(&&*name) {
                continue;
            }
            let help = command.render_long_help().to_string();
            assert!(help.contains(&format!("windlass {name}")), "{name}");
        }
    }

    #[test]
    fn bad_usage_of_logs_is_told_from_good() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        for line in [
            "windlass log level",
            "windlass log level warn,windlass_worker=debug --url http://h:1",
            "windlass log level --reset",
            "windlass run a.yaml --log-format json",
            "windlass dev --log-format text",
            "windlass worker --log-format json",
            "windlass coordinator --log-format json",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).err().unwrap());
        }
        for line in
            ["windlass log", "windlass log level info --reset", "windlass dev --log-format xml"]
        {
            let error = parse(line).err();
            assert_eq!(error.map(|it| it.exit_code()), Some(2), "{line}");
        }
    }

    #[test]
    fn bad_usage_of_processes_is_told_from_good() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        for line in [
            "windlass worker --sandbox required --sandbox-network none --sandbox-writable a,b --sandbox-readable c",
            "windlass dev --process-memory 512MiB --process-cpu 60s --process-count 9 --process-file-size 1MiB",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).err().unwrap());
        }
        for line in ["windlass worker --sandbox sometimes", "windlass worker --process-memory 1KiB"]
        {
            let error = parse(line).err();
            assert_eq!(error.map(|it| it.exit_code()), Some(2), "{line}");
        }
    }

    #[test]
    fn bad_usage_of_the_audit_trail_is_told_from_good() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        for line in [
            "windlass audit list --action secret.denied --outcome failure --cursor 7",
            "windlass audit tail --after 5 --namespace a --worker w",
            "windlass audit verify a.jsonl b.jsonl --key 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "windlass audit export --secret api-key --since 2026-01-31T08:00:00Z",
            "windlass coordinator --audit-retention 16GiB",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).err().unwrap());
        }
        for line in [
            "windlass audit verify",
            "windlass audit verify d --head 5",
            "windlass audit verify d --key abc",
            "windlass audit list --outcome maybe",
            "windlass audit --limit 5 list",
            "windlass coordinator --audit-retention 1MiB",
        ] {
            let error = parse(line).err();
            assert_eq!(error.map(|it| it.exit_code()), Some(2), "{line}");
        }
    }

    #[test]
    fn bad_usage_of_tests_is_told_from_good() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        for line in [
            "windlass run a.yaml --skip-waits --mock b.yaml --allow-calls",
            "windlass test a.test.yaml dir --filter x --update --allow-calls --coverage",
            "windlass test a.test.yaml --tap --junit r.xml --coverage-min 90",
            "windlass test a.test.yaml --output json",
            "windlass graph a.yaml --format mermaid",
            "windlass completions zsh",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).err().unwrap());
        }
        for line in [
            "windlass test",
            "windlass test a --tap --output json",
            "windlass test a --coverage-min 101",
            "windlass run a.yaml --mock b.yaml",
            "windlass run a.yaml --skip-waits --data-dir d",
            "windlass run a.yaml --skip-waits --secret a=b",
            "windlass run a.yaml --skip-waits --remote",
            "windlass completions tcsh",
            "windlass graph",
        ] {
            let error = parse(line).err();
            assert_eq!(error.map(|it| it.exit_code()), Some(2), "{line}");
        }
    }

    #[test]
    fn bad_usage_of_clusters_is_told_from_good() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        for line in [
            "windlass coordinator --cluster prod --replicas 3 --advertise https://a:7400 --cluster-lease 1s",
            "windlass cluster status prod --key-file key",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).err().unwrap());
        }
        for line in [
            "windlass coordinator --cluster Prod",
            "windlass coordinator --cluster prod --replicas 2",
            "windlass coordinator --cluster prod --advertise https://me:secret@a:7400",
            "windlass coordinator --cluster prod --cluster-lease 1ms",
        ] {
            let error = parse(line).err();
            assert_eq!(error.map(|it| it.exit_code()), Some(2), "{line}");
        }
    }

    #[test]
    fn bad_usage_is_told_from_good() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        for line in [
            "windlass run a.yaml --input {} --secret a=b --resolve h:443:127.0.0.1:1 --timeout 30s",
            "windlass run a.yaml --with b.yaml --with c.yaml --data-dir d --id order-1",
            "windlass run a.yaml --remote --id order-1 --timeout 30s",
            "windlass run a.yaml --remote=http://b:7400 --with c.yaml",
            "windlass validate a.yaml b.yaml --strict --output json",
            "windlass dev --bind 127.0.0.1:0 a.yaml --with b.yaml",
            "windlass start ns/name:1.0.0 --wait 30s --label a=b --idempotency-key k",
            "windlass list --status running --status waiting --output table",
            "windlass cancel 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f --reason twice",
            "windlass cancel --root 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f",
            "windlass suspend --workflow ns/name",
            "windlass suspend --list",
            "windlass resume --namespace ns --url http://h:1",
            "windlass event send --file e.json",
            "windlass version",
            "windlass coordinator --nats nats://a,nats://b --lease 2s a.yaml",
            "windlass coordinator key --pool gpu",
            "windlass worker --key wk1_x --concurrency 4 --health 127.0.0.1:0",
            "windlass worker list --output json",
            "windlass worker --allow shell,script --task-user 65534 --idempotent-host a,*.b.example --trace-url-path c",
            "windlass worker --egress-allow 10.0.0.0/8,[::1]:8080 --egress-allow *.a:443 --egress-deny b",
            "windlass dev --allow none --call-limit a=20,*.b=5/s",
            "windlass secret setup vault --environment production --batch-tokens",
            "windlass audit --limit 5 --output json",
            "windlass secret list --output table",
            "windlass secret policy show --url http://h:1",
            "windlass secret policy set p.toml --replacing ab",
            "windlass secret check a.yaml b.yaml",
            "windlass dev --environment test --issuer https://h --secret-policy p.toml",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).err().unwrap());
        }
        for line in [
            "windlass",
            "windlass run",
            "windlass run a.yaml --timeout soon",
            "windlass coordinator --lease 1ms",
            "windlass coordinator key --pool a.b",
            "windlass worker --concurrency 0",
            "windlass worker --key a --key-file b",
            "windlass worker --bus a.b",
            "windlass worker --allow everything",
            "windlass worker --task-user no-such-user",
            "windlass worker --egress-allow 10.0.0.0/33",
            "windlass run a.yaml --id order-1",
            "windlass run a.yaml --remote --data-dir d",
            "windlass run a.yaml --remote --secret a=b",
            "windlass validate",
            "windlass start name",
            "windlass start ns/name --label a",
            "windlass cancel",
            "windlass suspend",
            "windlass suspend --workflow name",
            "windlass suspend --namespace a --list",
            "windlass resume 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f --namespace a",
            "windlass list --output xml",
            "windlass event send",
            "windlass event send {} --file e.json",
            "windlass secret",
            "windlass secret check",
            "windlass coordinator --environment a/b",
            "windlass coordinator --key-rotation 1s",
        ] {
            let error = parse(line).err();
            assert_eq!(error.map(|it| it.exit_code()), Some(2), "{line}");
        }
    }
}
