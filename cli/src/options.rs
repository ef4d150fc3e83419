//! Options that several commands share.

mod containers;
mod programs;
mod remote;
mod retention;
mod size;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use windlass_coordinator::journal::sled::Missing;
use windlass_proto::duration::typed;
use windlass_proto::limits::EARLY_TTL_MOST_MS;
use windlass_worker::{
    CallLimit, ContainerOptions, Egress, EgressRule, ProcessOptions, Resolve, TaskUser,
};

pub(crate) use self::containers::ContainerArgs;
use self::programs::ProgramOptions;
pub(crate) use self::programs::{isolate, size};
pub(crate) use self::remote::{Certificates, ProfileOptions, Remote, Target, TokenFrom};
pub(crate) use self::retention::RetentionOptions;
pub(crate) use self::size::of_units;
use crate::error::CliError;

/// What to do with a damaged journal.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct JournalOptions {
    /// Go on with what is left of a journal that has lost something, without what is missing
    #[arg(long)]
    pub(crate) accept_loss: bool,
}

impl JournalOptions {
    /// The same, for the journal.
    pub(crate) fn missing(self) -> Missing {
        if self.accept_loss { Missing::Accept } else { Missing::Refuse }
    }
}

/// What a worker may run as processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Allow {
    /// `run: shell`
    Shell,
    /// `run: script`
    Script,
    /// `call: mcp` of servers that are programs
    #[value(name = "mcp.stdio")]
    Mcp,
    /// `run: container`
    Container,
    /// None of them.
    None,
}

/// What a worker may do and knows.
#[derive(Args, Default)]
#[command(next_help_heading = "Worker")]
pub(crate) struct WorkerOptions {
    /// Tasks that may run as processes of this machine: shell, script, mcp.stdio (MCP servers that
    /// are programs), container, separated by commas, or none [default: all for `run` and `dev`,
    /// none for `worker`]
    #[arg(long, env = "WINDLASS_ALLOW", value_name = "KIND", value_delimiter = ',')]
    pub(crate) allow: Vec<Allow>,
    /// Who they run as: a name, UID or UID:GID. Only root can choose; a root `worker` that is not
    /// told takes nobody, `run` and `dev` their own user
    #[arg(long, env = "WINDLASS_TASK_USER", value_name = "USER")]
    pub(crate) task_user: Option<TaskUser>,
    #[command(flatten)]
    pub(crate) containers: ContainerArgs,
    /// A secret, for development: shows in process lists for a moment, so prefer --secrets-file
    #[arg(long = "secret", value_name = "NAME=VALUE")]
    pub(crate) secrets: Vec<String>,
    /// A YAML or JSON map of secrets; WINDLASS_SECRET_NAME variables are read as well
    #[arg(long, value_name = "FILE")]
    pub(crate) secrets_file: Option<PathBuf>,
    /// Where secrets come from, in TOML: a vault, a cluster, a cloud; see
    /// docs/secrets.md
    #[arg(long, env = "WINDLASS_SECRETS_CONFIG", value_name = "FILE",
        conflicts_with_all = ["secrets", "secrets_file"])]
    pub(crate) secrets_config: Option<PathBuf>,
    /// Connect elsewhere for a host and port, as curl has it
    #[arg(long, value_name = "HOST:PORT:ADDR[:PORT]")]
    pub(crate) resolve: Vec<Resolve>,
    /// Let tasks call a network (10.0.0.0/8), an address, a host (db.internal:5432, *.internal) or
    /// everything (*); may be repeated. A `worker` calls addresses of the internet, and no others
    /// unless this allows them; `run` and `dev` call everything
    #[arg(
        long = "egress-allow",
        env = "WINDLASS_EGRESS_ALLOW",
        value_name = "CIDR|HOST[:PORT]",
        value_delimiter = ','
    )]
    pub(crate) egress_allow: Vec<EgressRule>,
    /// Refuse calls to what this names, whatever --egress-allow says; * refuses all that it does
    /// not allow
    #[arg(
        long = "egress-deny",
        env = "WINDLASS_EGRESS_DENY",
        value_name = "CIDR|HOST[:PORT]",
        value_delimiter = ','
    )]
    pub(crate) egress_deny: Vec<EgressRule>,
    /// Leave it to the proxy of HTTPS_PROXY and HTTP_PROXY which names may be called: it looks them
    /// up, so it has to refuse private addresses. Without it --egress-allow has to allow them
    #[arg(long, env = "WINDLASS_EGRESS_TRUST_PROXY")]
    pub(crate) egress_trust_proxy: bool,
    /// Trust the certificates in a PEM file, beside the system's
    #[arg(long = "ca-file", value_name = "FILE")]
    pub(crate) ca_files: Vec<PathBuf>,
    /// A host that does nothing twice for one Idempotency-Key, `*.example.com` for all below a
    /// domain: calls to it whose connection closes without an answer are made once more, whatever
    /// their method
    #[arg(
        long = "idempotent-host",
        env = "WINDLASS_IDEMPOTENT_HOSTS",
        value_name = "HOST",
        value_delimiter = ','
    )]
    pub(crate) idempotent_hosts: Vec<String>,
    /// A host whose paths are told in spans of HTTP requests, `*.example.com` for all below a
    /// domain; others' are not, as paths may hold what is nobody's business
    #[arg(
        long = "trace-url-path",
        env = "WINDLASS_TRACE_URL_PATHS",
        value_name = "HOST",
        value_delimiter = ','
    )]
    pub(crate) traced_paths: Vec<String>,
    /// So many calls to a host at once (api.example.com=20), or so often and evenly spread
    /// (*.example.com=100/m; s, m, h), by this worker; others wait their turn. May be repeated
    #[arg(
        long = "call-limit",
        env = "WINDLASS_CALL_LIMITS",
        value_name = "HOST=NUMBER[/UNIT]",
        value_delimiter = ','
    )]
    pub(crate) call_limits: Vec<CallLimit>,
    #[command(flatten)]
    pub(crate) programs: ProgramOptions,
}

impl WorkerOptions {
    /// What tasks may call; `usual` where the options say nothing of it.
    ///
    /// # Errors
    /// When the options contradict each other.
    pub(crate) fn egress(&self, usual: Egress) -> Result<Egress, CliError> {
        let (allow, deny) = (&self.egress_allow, &self.egress_deny);
        if allow.contains(&EgressRule::Any) && deny.contains(&EgressRule::Any) {
            let text = "--egress-allow * and --egress-deny * contradict each other";
            return Err(CliError::Usage(text.to_owned()));
        }
        let allowed = allow.iter().cloned().fold(usual, Egress::allow);
        let egress = deny.iter().cloned().fold(allowed, Egress::deny);
        Ok(egress.trust_proxy(self.egress_trust_proxy))
    }

    /// Which processes tasks may run, and as whom; `usual` where the options do not say.
    ///
    /// # Errors
    /// When the options contradict each other, or this process cannot become the user.
    pub(crate) fn processes(&self, usual: &[Allow]) -> Result<ProcessOptions, CliError> {
        // Clap does not see what a file says.
        if self.secrets_config.is_some()
            && (self.secrets_file.is_some() || !self.secrets.is_empty())
        {
            let text = "--secrets-config goes with neither --secrets-file nor --secret";
            return Err(CliError::Usage(text.to_owned()));
        }
        let allow = if self.allow.is_empty() { usual } else { &self.allow };
        let has = |it| allow.contains(&it);
        if has(Allow::None) && allow.len() > 1 {
            return Err(CliError::Usage("--allow none goes with nothing else".to_owned()));
        }
        let user = match self.task_user {
            Some(user) if !user.is_possible() => {
                let text = "--task-user names somebody this process cannot become: only root can";
                return Err(CliError::Usage(text.to_owned()));
            }
            user => user,
        };
        let (shell, script, mcp) = (has(Allow::Shell), has(Allow::Script), has(Allow::Mcp));
        let containers = match has(Allow::Container).then(|| self.containers.options()) {
            // Nobody has asked for it.
            Some(Err(_)) if self.allow.is_empty() => None,
            given => given.transpose()?,
        };
        let limits = self.programs.limits();
        let others = ProcessOptions::default();
        Ok(ProcessOptions { shell, script, mcp, containers, user, limits, ..others })
    }
}

/// What people are told of the processes and the containers that tasks may run; nothing where there
/// are none.
pub(crate) fn describe_processes(processes: &ProcessOptions) -> Option<String> {
    let all =
        [("shell", processes.shell), ("script", processes.script), ("mcp.stdio", processes.mcp)];
    let kinds: Vec<_> = all.into_iter().filter(|(_, allowed)| *allowed).map(|it| it.0).collect();
    let runs_none = all.iter().all(|(_, allowed)| !allowed);
    // Who runs something else does not ask for an engine.
    let told_of = |it: &&ContainerOptions| runs_none || it.engine.exists();
    let containers = processes.containers.as_ref().filter(told_of).map(containers::describe);
    let kinds = match &kinds[..] {
        [] => return containers,
        [one] => (*one).to_owned(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    };
    let user = match processes.user {
        Some(user) => format!("as user {} of group {}", user.user, user.group),
        None if TaskUser::is_root() && processes.isolation.sandbox().is_none() => {
            "as root, who can read this process's memory (--task-user names another)".to_owned()
        }
        None => "as this process's user".to_owned(),
    };
    let isolation = processes.describe_isolation();
    let told = format!(
        "{kinds} tasks are allowed and run {user}; isolation: {isolation}; --allow none refuses them"
    );
    Some(containers.map_or(told.clone(), |it| format!("{told}\nwindlass: {it}")))
}

/// What people are told of the addresses that tasks may call.
pub(crate) fn describe_egress(egress: &Egress) -> String {
    if egress.is_unrestricted() {
        return "tasks may call every address, those of this machine and its networks as well; \
                --egress-deny refuses some"
            .to_owned();
    }
    let proxies = ["https_proxy", "http_proxy", "all_proxy"];
    let is_set = |name: &str| windlass_worker::variable(name).is_some();
    let proxied = proxies.iter().any(|it| is_set(it) || is_set(&it.to_ascii_uppercase()));
    let note = if proxied && !egress.trusts_proxy() {
        "; through the proxy only names that --egress-allow has (--egress-trust-proxy: all)"
    } else {
        ""
    };
    format!("tasks may call {egress}{note}")
}

/// Reads `30s`, `2m`, `PT30S`, …
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    typed::parse(text).map_err(|error| error.to_string())
}

/// What comes in.
#[derive(Args, Clone, Default)]
pub(crate) struct InboundOptions {
    /// How long an event is kept that nobody listens for yet, where a definition will; 0s keeps
    /// none [default: 10m]
    #[arg(long, env = "WINDLASS_EVENT_TTL", value_name = "DURATION", value_parser = event_ttl)]
    pub(crate) event_ttl: Option<Duration>,
    /// The folder with the secrets that deliveries of webhooks are signed with: files in a folder
    /// for each namespace
    #[arg(long, env = "WINDLASS_WEBHOOK_SECRETS", value_name = "DIR")]
    pub(crate) webhook_secrets: Option<PathBuf>,
}

/// Reads how long events are kept: nothing to a week.
fn event_ttl(text: &str) -> Result<Duration, String> {
    let most = Duration::from_millis(EARLY_TTL_MOST_MS);
    duration(text).and_then(|it| match it <= most {
        true => Ok(it),
        false => Err("seven days (P7D) at most".to_owned()),
    })
}

/// Reads a label, `name=value`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use windlass_worker::TaskUser;

    use super::{Allow, WorkerOptions, describe_processes, label};

    #[test]
    fn what_may_run_is_said_and_told() {
        let options =
            |allow: &[Allow]| WorkerOptions { allow: allow.to_vec(), ..Default::default() };
        let both = [Allow::Shell, Allow::Script];
        let usual = options(&[]).processes(&both).unwrap();
        assert!(usual.shell && usual.script);
        assert!(
            describe_processes(&usual).unwrap().starts_with("shell and script tasks are allowed")
        );
        let shell = options(&[Allow::Shell]).processes(&[]).unwrap();
        assert!(shell.shell && !shell.script);
        for none in [options(&[]).processes(&[]), options(&[Allow::None]).processes(&both)] {
            assert_eq!(none.ok().and_then(|it| describe_processes(&it)), None);
        }
        assert!(options(&[Allow::None, Allow::Shell]).processes(&[]).is_err());
        let containers = options(&[Allow::Container]).processes(&[]).unwrap();
        assert!(containers.containers.is_some() && !containers.shell);
        assert!(describe_processes(&containers).unwrap().starts_with("container tasks "));
        let other = TaskUser { user: 4_242, group: 4_242 };
        let options = WorkerOptions { task_user: Some(other), ..Default::default() };
        assert_eq!(options.processes(&both).is_ok(), TaskUser::is_root());
    }

    #[test]
    fn labels_have_a_name() {
        assert_eq!(label("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(label("a="), Ok(("a".to_owned(), String::new())));
        assert!(label("a").is_err());
        assert!(label("=b").is_err());
    }
}
