//! Programs of tasks search what they can reach for credentials that their worker was given.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::getuid;
use serde_json::{Value, json};

use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::fleet::{Fleet, Layout};
use crate::support::leak::Needles;
use crate::support::nats::Nats;

/// Variables with credentials that a worker may be given.
const VARIABLES: [(&str, &str); 5] = [
    ("WINDLASS_SECRET_PLANTED", "c4nary-env-Xk28vPq1"),
    ("VAULT_TOKEN", "c4nary-vault-7sLw0dZt"),
    ("AWS_SECRET_ACCESS_KEY", "c4nary-aws-Bn55/mE+u"),
    ("AWS_SESSION_TOKEN", "c4nary-session-9QhT3rjd"),
    ("https_proxy", "http://me:c4nary-proxy-Ud63@127.0.0.1:9"),
];
/// Shown, so that it is known whether the search looks there.
const VISIBLE: &str = "v1sible-to-everyone-of-the-user";
/// A secret on the command line, and a password of NATS.
const ARGUMENT: &str = "c4nary-argument-Fy70cKwe";
const PASSWORD: &str = "c4nary-nats-Jt41xHna";

fn values() -> Vec<(&'static str, Value)> {
    let variables = VARIABLES.iter().map(|(name, value)| {
        // Of a URL its password.
        let value = value.strip_prefix("http://me:").map_or(*value, |it| &it[..17]);
        (*name, json!(value))
    });
    variables.chain([("argument", json!(ARGUMENT)), ("nats", json!(PASSWORD))]).collect()
}

/// Reads what the program can reach, once in a shell and once in Python; the secrets are there for
/// those who may have them.
fn workflow(folder: &Path, data: &Path, memory: bool) -> String {
    let shell = format!(
        "w=$(cut -d' ' -f4 /proc/$PPID/stat)\n\
         for p in $w $PPID; do\n\
         cat /proc/$p/environ /proc/$p/cmdline\n\
         for f in /proc/$p/fd/*; do if [ -f $f ]; then head -c 4000000 $f; fi; done\n\
         done > {0}/shell 2> {0}/refused\n\
         cat {1}/* >> {0}/shell 2>> {0}/refused; true",
        folder.display(),
        data.display()
    );
    let arguments = [
        folder.join("script").display().to_string(),
        data.display().to_string(),
        if memory { "memory" } else { "-" }.to_owned(),
    ];
    let name = if memory { "search-all" } else { "search" };
    format!(
        "document: {{dsl: '1.0.3', namespace: processes, name: {name}, version: '1.0.0'}}\n\
         use: {{secrets: [planted, argument]}}\n\
         do:\n\
         - shell: {{run: {{shell: {{command: {}}}}}}}\n\
         - script: {{run: {{script: {{language: python, code: {}, arguments: {}}}}}}}\n\
         - known: {{set: {{lengths: ['${{ $secrets.planted | length }}', \
         '${{ $secrets.argument | length }}']}}}}\n",
        json!(shell),
        json!(include_str!("search.py")),
        json!(arguments),
    )
}

/// Runs the search; gives what it found.
async fn search(api: &Api, data: &Path, memory: bool) -> (Vec<u8>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let workflow = api.deploy(&workflow(folder.path(), data, memory)).await;
    let view = api.run(&workflow, &json!({})).await;
    assert_eq!(view["status"], "completed", "{view}");
    let lengths = json!([VARIABLES[0].1.len(), ARGUMENT.len()]);
    assert_eq!(view["output"]["lengths"], lengths, "the worker itself has them: {view}");
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    (read("shell"), read("script"))
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|it| it == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_of_dev_find_no_credential() {
    let mut wrapper = vec!["env".to_owned(), format!("WINDLASS_TEST_VISIBLE={VISIBLE}")];
    wrapper.extend(VARIABLES.iter().map(|(name, value)| format!("{name}={value}")));
    let flags = ["--secret".to_owned(), format!("argument={ARGUMENT}")];
    let dev = Dev::wrapped(&wrapper, &flags).await;
    // Root reads any memory; `dev` tells that it runs them as root.
    let is_root = getuid().is_root();
    assert_eq!(dev.stderr().contains("as root, who can read"), is_root, "{}", dev.stderr());
    let (shell, script) = search(&dev.api, dev.data(), !is_root).await;
    let needles = Needles::of(values().iter().map(|(name, value)| (*name, value)));
    needles.absent_from("what a shell finds", &shell);
    needles.absent_from("what a script finds", &script);
    for (what, found) in [("shell", &shell), ("script", &script)] {
        assert!(has(found, "argument=***"), "the {what} has not seen the command line");
        assert!(!is_root || has(found, VISIBLE), "the {what} has not seen the environment");
    }
    // In the data directory, which is the user's own, no key that could speak for others.
    assert!(has(&script, "/data/") && !has(&script, "\"d\":"), "a signing key is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_of_a_fleet_find_no_credential_not_even_in_memory() {
    let nats = Nats::start().await;
    let mut layout = Layout::on(&nats.url(), 1).worker(&["--allow", "shell,script"]);
    layout = layout.worker(&["--secret".to_owned(), format!("argument={ARGUMENT}")]);
    layout.workers = vec![nats.url().replace("nats://", &format!("nats://me:{PASSWORD}@"))];
    let mut fleet = Fleet::prepare(layout).await;
    let variables = VARIABLES.iter().map(|(name, it)| ((*name).to_owned(), (*it).to_owned()));
    fleet.workers[0].variables.extend(variables);
    fleet.start_all().await;
    let (shell, script) = search(&fleet.api, &fleet.data(), true).await;
    let mut values = values();
    values.push(("the worker's key", json!(fleet.key)));
    // Of the same user the data directory can be read, which is why they should not be on one
    // machine.
    if getuid().is_root() {
        let key = std::fs::read_to_string(fleet.data().join("coordinator.key")).unwrap();
        values.push(("the coordinator's key", json!(key.trim())));
    }
    let needles = Needles::of(values.iter().map(|(name, value)| (*name, value)));
    needles.absent_from("what a shell finds", &shell);
    needles.absent_from("what a script finds", &script);
    for (what, found) in [("shell", &shell), ("script", &script)] {
        assert!(has(found, "argument=***"), "the {what} has not seen the command line");
    }
    assert!(has(&script, "memory of "), "memory was not looked at");
}
