//! What is checked of the machine that the command runs on.

use std::path::Path;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use rustix::fs::{Access, access, statvfs};
use rustix::process::{Resource, getrlimit};
use windlass_proto::limits::{self, DISK_LOW_BYTES, DOCTOR_DISK_BYTES, DOCTOR_OPEN_FILES};
use windlass_worker::fleet::bus::Bus;
use windlass_worker::{ProcessOptions, SandboxOptions};

use super::{Check, Standing};
use crate::bus::Nats;
use crate::error::chain;

/// How long a check waits for somebody.
pub(super) const PATIENCE: Duration = Duration::from_millis(limits::DOCTOR_PATIENCE_MS);

/// What needs nobody else.
pub(super) async fn look(data_dir: &Path) -> Vec<Check> {
    let mut checks = vec![open_files(), disk(data_dir), sandbox().await];
    checks.extend([("python3", "python"), ("node", "js")].map(|it| interpreter(it.0, it.1)));
    checks
}

fn open_files() -> Check {
    const CHECK: &str = "open files";
    const ADVICE: &str = "Each connection and program takes one: raise it with `ulimit -n`, or \
                          LimitNOFILE of a unit of systemd";
    let most = getrlimit(Resource::Nofile).maximum;
    match most {
        Some(most) if most < DOCTOR_OPEN_FILES => {
            Check::new(CHECK, Standing::Warning, format!("at most {most}"), ADVICE)
        }
        Some(most) => Check::ok(CHECK, format!("at most {most}")),
        None => Check::ok(CHECK, "not limited"),
    }
}

/// The disk of a data directory, or of where it would be made.
fn disk(directory: &Path) -> Check {
    const CHECK: &str = "disk";
    const FREE: &str = "Free some, or name another place with --data-dir: a coordinator takes up \
                        nothing new below 64 MiB";
    const WRITE: &str = "Run it as the user whose directory it is, or name another with --data-dir";
    let there = directory.ancestors().find(|it| it.exists());
    let there = there.filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let shown = there.display();
    if let Err(error) = access(there, Access::WRITE_OK | Access::EXEC_OK) {
        let found = format!("{shown} cannot be written to: {error}");
        return Check::new(CHECK, Standing::Failed, found, WRITE);
    }
    let free = match statvfs(there) {
        Ok(room) => room.f_bavail.saturating_mul(room.f_frsize),
        Err(error) => {
            let found = format!("{shown} cannot be looked at: {error}");
            return Check::new(CHECK, Standing::Failed, found, WRITE);
        }
    };
    let found = format!("{} MiB free at {shown}", free >> 20);
    if free < DISK_LOW_BYTES {
        return Check::new(CHECK, Standing::Failed, found, FREE);
    }
    if free < DOCTOR_DISK_BYTES {
        return Check::new(CHECK, Standing::Warning, found, FREE);
    }
    Check::ok(CHECK, found)
}

async fn sandbox() -> Check {
    const CHECK: &str = "sandbox";
    const ADVICE: &str = "Programs of tasks run without one here: `windlass worker --sandbox \
                          required` says why, docs/processes.md what to do";
    let processes = ProcessOptions { shell: true, ..ProcessOptions::default() };
    match processes.isolate(&SandboxOptions::default()).await {
        Ok(found) if found.isolation.sandbox().is_some() => {
            Check::ok(CHECK, found.describe_isolation())
        }
        Ok(found) => Check::new(CHECK, Standing::Warning, found.describe_isolation(), ADVICE),
        Err(error) => Check::new(CHECK, Standing::Warning, error.to_string(), ADVICE),
    }
}

/// What runs scripts of a language.
fn interpreter(program: &'static str, language: &str) -> Check {
    let path = windlass_worker::variable("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|it| it.join(program)).find(|it| it.is_file());
    match found {
        Some(path) => Check::ok(program, path.display().to_string()),
        None => Check::new(
            program,
            Standing::Skipped,
            format!("not on the path: a worker here runs no scripts in {language}"),
            "Install it where a worker is to run them",
        ),
    }
}

/// Whether NATS answers, where it is named.
pub(super) async fn nats(nats: &Nats) -> Check {
    const CHECK: &str = "nats";
    if !nats.is_named() {
        let found = "not asked: --nats and WINDLASS_NATS name it";
        return Check::new(CHECK, Standing::Skipped, found, "`windlass dev` needs none");
    }
    const ADVICE: &str = "Is it running there, and does it let this user in? --nats-creds, \
                          --nats-nkey and --nats-cert say who asks; docs/fleet.md has the rest";
    let connected = async {
        let bus = Bus::connect(&nats.options("windlass doctor")).await.map_err(|it| chain(&it))?;
        let up = bus.ready(PATIENCE).await;
        up.then_some(bus.frame_bytes()).ok_or_else(|| format!("no answer within {PATIENCE:?}"))
    };
    match tokio::time::timeout(PATIENCE * 2, connected).await {
        Ok(Ok(frame)) => Check::ok(CHECK, format!("it answers, and takes frames of {frame} bytes")),
        Ok(Err(why)) => Check::new(CHECK, Standing::Failed, why, ADVICE),
        Err(_) => {
            Check::new(CHECK, Standing::Failed, format!("no answer within {PATIENCE:?}"), ADVICE)
        }
    }
}

/// Whether a store of secrets is there and open, where it is named. It is shown nothing.
pub(super) async fn vault(address: Option<&Url>) -> Check {
    const CHECK: &str = "vault";
    let Some(address) = address else {
        let found = "not asked: --vault and VAULT_ADDR name it";
        return Check::new(CHECK, Standing::Skipped, found, "docs/secrets.md sets one up");
    };
    const REACH: &str =
        "Is it running there? Its certificate has to be one that this system trusts";
    crate::tls::provide();
    let builder =
        reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
    let mut health = address.clone();
    if let Ok(mut segments) = health.path_segments_mut() {
        segments.pop_if_empty().extend(["v1", "sys", "health"]);
    }
    let answer = match builder.build() {
        Ok(client) => client.get(health).send().await,
        Err(error) => Err(error),
    };
    let status = match answer {
        Ok(answer) => answer.status(),
        Err(error) => {
            let why = chain(&error.without_url());
            return Check::new(CHECK, Standing::Failed, why, REACH);
        }
    };
    match status {
        // A standby hands on what it is asked.
        StatusCode::OK | StatusCode::TOO_MANY_REQUESTS => Check::ok(CHECK, "it is open"),
        _ if [472, 473].contains(&status.as_u16()) => Check::ok(CHECK, "it is a standby"),
        StatusCode::NOT_IMPLEMENTED => Check::new(
            CHECK,
            Standing::Failed,
            "it is not initialised",
            "Run `vault operator init`",
        ),
        StatusCode::SERVICE_UNAVAILABLE => {
            Check::new(CHECK, Standing::Failed, "it is sealed", "Run `vault operator unseal`")
        }
        other => {
            let found = format!("no Vault and no OpenBao answers there ({other})");
            Check::new(CHECK, Standing::Failed, found, "Check the address")
        }
    }
}
