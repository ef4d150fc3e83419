//! Every command once on a terminal, where logs have colours, errors are sentences and lists are
//! tables.

use std::collections::BTreeSet;

use rustix::process::Signal;

use super::{definition, file};
use crate::support::command::{windlass, windlass_in};
use crate::support::dev::Dev;
use crate::support::nats::Nats;
use crate::support::paths;
use crate::support::terminal::{OnTerminal, Screen, on_terminal, windlass_on_terminal};

/// Commands that serve until they are told to stop.
const SERVERS: [&str; 3] = ["dev", "coordinator", "worker"];

/// A workflow with a schedule.
const NIGHTLY: &str = "examples/nightly-report";

/// A profile that nobody has.
const NO_PROFILE: &str = "nobody-has-this-profile";

/// What operators do about its schedule.
const ON_SCHEDULES: [&[&str]; 6] = [
    &["schedule", "list"],
    &["schedule", "show", NIGHTLY],
    &["schedule", "pause", NIGHTLY, "--reason", "it is day"],
    &["schedule", "resume", NIGHTLY],
    &["schedule", "trigger", NIGHTLY],
    &[
        "schedule",
        "backfill",
        NIGHTLY,
        "--from",
        "2026-01-05T00:00:00Z",
        "--to",
        "2026-01-06T00:00:00Z",
    ],
];

/// A version of a workflow of which nothing was ever started.
const UNUSED: &str = "cli/unused:1.0.0";

/// What operators do about definitions and functions, of which `function` is one's text.
fn on_definitions(function: &str) -> [Vec<&str>; 10] {
    [
        vec!["workflow", "list"],
        vec!["workflow", "get", "cli/unused"],
        vec!["workflow", "diff", UNUSED, UNUSED],
        vec!["workflow", "retire", UNUSED],
        vec!["workflow", "restore", UNUSED],
        vec!["workflow", "retire", UNUSED],
        vec!["workflow", "delete", UNUSED],
        vec!["function", "publish", "greet:1.0.0", function],
        vec!["function", "list"],
        vec!["function", "show", "greet:1.0.0"],
    ]
}

/// What a command on a terminal must never show.
fn check(arguments: &[&str], screen: &Screen) {
    for wrong in ["panicked", "feature is required", "RUST_BACKTRACE"] {
        assert!(!screen.text.contains(wrong), "{arguments:?}: {screen:?}");
    }
}

/// All commands, as the help of each lists those below it.
async fn commands() -> BTreeSet<String> {
    let (mut all, mut to_ask) = (BTreeSet::new(), vec![String::new()]);
    while let Some(command) = to_ask.pop() {
        let words: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let help = windlass(&words).await.exits(0).stdout;
        let listed = help.lines().skip_while(|it| *it != "Commands:").skip(1);
        let listed = listed.take_while(|it| !it.is_empty());
        let names = listed.filter_map(|it| it.split_whitespace().next());
        let below: Vec<_> = names.filter(|it| *it != "help").collect();
        let below = below.iter().map(|it| format!("{command} {it}").trim().to_owned());
        let before = to_ask.len();
        to_ask.extend(below);
        // What has others below it does something by itself only where it serves.
        if to_ask.len() == before || SERVERS.contains(&&*command) {
            all.insert(command);
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_once() {
    let dev = Dev::start().await;
    let url = dev.api.base();
    let (folder, path) = file(definition("shown", "  - a: { wait: PT1H }"));
    let journal = folder.path().join("journal").display().to_string();
    let hello = paths::example("hello.yaml").display().to_string();
    let manual = folder.path().join("man").display().to_string();
    let retries = paths::example("retry.test.yaml").display().to_string();
    let policy = folder.path().join("policy.toml").display().to_string();
    let permits = windlass(&["secret", "policy", "show", "--url", &url]).await.exits(0).stdout;
    std::fs::write(&policy, permits).unwrap();
    let data = folder.path().join("data").display().to_string();
    dev.api.deploy(&std::fs::read_to_string(&path).unwrap()).await;
    let report = paths::example("nightly-report.yaml").display().to_string();
    windlass(&["deploy", &report, "--url", &url]).await.exits(0);
    dev.api.deploy(&definition("unused", "  - a: { set: { x: 1 } }")).await;
    let function = folder.path().join("function.yaml").display().to_string();
    std::fs::write(&function, "set: { x: 1 }").unwrap();
    let started = windlass(&["start", "cli/shown", "--url", &url]).await.exits(0).json();
    let id = started["id"].as_str().unwrap();
    windlass(&["run", &hello, "--data-dir", &journal, "--id", "a"]).await.exits(0);
    let order = ["bulk", "cancel", "--filter", "name=none", "--wait", "--url", &url];
    let job = windlass(&order).await.exits(0).json()["id"].as_str().unwrap().to_owned();
    let trail = folder.path().join("trail.jsonl").display().to_string();
    let exported = windlass(&["audit", "export", "--url", &url]).await.exits(0).stdout;
    std::fs::write(&trail, exported).unwrap();
    let backups = folder.path().join("one.backup").display().to_string();
    let take = ["backup", "--to", &backups, "--unencrypted", "--data", &journal];
    windlass(&take).await.exits(0);
    let restored = folder.path().join("restored").display().to_string();
    let on_server = |words: &[&str]| {
        let mut words: Vec<_> = words.iter().map(|it| (*it).to_owned()).collect();
        words.extend(["--url".to_owned(), url.clone()]);
        words
    };
    let rules = folder.path().join("auth.toml").display().to_string();
    std::fs::write(&rules, "[certificates]\n").unwrap();
    let options = folder.path().join("windlass.toml").display().to_string();
    std::fs::write(&options, "[dev]\nretention-days = 1\n").unwrap();
    let here = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let event = r#"{"type": "a", "source": "/b", "id": "c"}"#;
    let webhook = ["webhook", "create", "cli/a", "--preset", "hmac", "--secret-file", "a"];
    let webhook = [&webhook[..], &["--type", "a"]].concat();
    let lines = [
        (here(&["run", &hello]), 0),
        (here(&["validate", &hello]), 0),
        (here(&["test", &retries]), 0),
        (here(&["graph", &hello]), 0),
        (here(&["completions", "bash"]), 0),
        (here(&["man", &manual]), 0),
        (on_server(&["deploy", &hello]), 0),
        (on_server(&["start", "examples/hello", "--wait", "30s"]), 0),
        (on_server(&["list"]), 0),
        (on_server(&["bulk", "resume", "--filter", "name=none", "--preview"]), 0),
        (on_server(&["bulk", "suspend", "--filter", "name=none", "--preview"]), 0),
        (on_server(&["bulk", "cancel", "--filter", "name=none", "--preview"]), 0),
        (on_server(&["bulk", "retry", "--filter", "name=none", "--preview"]), 0),
        (on_server(&["bulk", "delete", "--filter", "name=none", "--preview"]), 0),
        (on_server(&["bulk", "reset", "--filter", "name=none", "--to", "/do/0/a", "--preview"]), 0),
        (on_server(&["approval", "list"]), 0),
        // It asks nobody.
        (on_server(&["approval", "show", &format!("{id}.0")]), 1),
        (on_server(&["approve", &format!("{id}.0")]), 1),
        (on_server(&["reject", &format!("{id}.0"), "--reason", "no"]), 1),
        (on_server(&["bulk", "list"]), 0),
        (on_server(&["bulk", "show", &job]), 0),
        (on_server(&["bulk", "results", &job]), 0),
        // It has ended.
        (on_server(&["bulk", "pause", &job]), 1),
        (on_server(&["bulk", "continue", &job]), 1),
        (on_server(&["bulk", "stop", &job]), 1),
        (on_server(&["log", "level", "info"]), 0),
        (on_server(&["show", id]), 0),
        (on_server(&["history", id]), 0),
        (on_server(&["suspend", id]), 0),
        (on_server(&["resume", id]), 0),
        (on_server(&["retry", id]), 1),
        (on_server(&["reset", id, "--to", "/do/0/a"]), 1),
        (on_server(&["skip", id, "--task", "/do/0/b", "--output", "1"]), 1),
        (on_server(&["cancel", id]), 0),
        (on_server(&["watch", id]), 1),
        (on_server(&["event", "send", event]), 0),
        (on_server(&["event", "list", "cli"]), 0),
        (on_server(&["event", "show", "cli", &"0".repeat(32)]), 1),
        (on_server(&["webhook", "list", "cli"]), 0),
        (on_server(&["webhook", "show", "cli/none"]), 1),
        (on_server(&["webhook", "delete", "cli/none"]), 1),
        // It was given no secrets.
        (on_server(&webhook), 1),
        (on_server(&["secret", "list"]), 0),
        (on_server(&["secret", "check", &hello]), 0),
        (on_server(&["secret", "policy", "show"]), 0),
        (on_server(&["secret", "policy", "set", &policy]), 0),
        (on_server(&["secret", "policy", "proposal"]), 1),
        (on_server(&["secret", "policy", "approve", "0000"]), 1),
        (on_server(&["secret", "policy", "withdraw", "0000"]), 1),
        (here(&["secret", "setup", "vault"]), 0),
        (on_server(&["worker", "list"]), 0),
        (here(&["coordinator", "key", "--data-dir", &data]), 0),
        (on_server(&["audit", "list"]), 0),
        (on_server(&["audit", "export"]), 0),
        (on_server(&["audit", "key"]), 0),
        (here(&["audit", "verify", &trail]), 0),
        (on_server(&["auth", "whoami"]), 0),
        (on_server(&["auth", "can-i", "start", "cli/shown"]), 0),
        (here(&["auth", "check", &rules]), 0),
        (here(&["auth", "roles"]), 0),
        (here(&["token", "new", "--role", "viewer"]), 0),
        (on_server(&["login"]), 1),
        (on_server(&["logout"]), 0),
        (here(&["profile", "list"]), 0),
        // There is none of that name on whose machine this is.
        (here(&["profile", "show", NO_PROFILE]), 2),
        (here(&["profile", "use", NO_PROFILE]), 2),
        // It asks nobody who they are, so it has no tokens.
        (on_server(&["token", "create", "--role", "viewer"]), 1),
        (on_server(&["token", "list"]), 1),
        (on_server(&["token", "revoke", "none"]), 1),
        (here(&["archive", "list", &data]), 0),
        (here(&["archive", "show", &data, id]), 1),
        (here(&["archive", "verify", &data]), 0),
        (here(&["config", "check", &options]), 0),
        (here(&["config", "show", "dev", "--config", &options]), 0),
        (here(&["worker", "check", "--function", "f", "--", "/no/such/program"]), 1),
        (here(&["doctor", "--local"]), 0),
        (here(&["schema"]), 0),
        (on_server(&["top", "--times", "1"]), 0),
        (on_server(&["instance", "list"]), 0),
        (on_server(&["instance", "start", "examples/hello", "--wait", "30s"]), 0),
        (on_server(&["instance", "show", id]), 0),
        (on_server(&["instance", "history", id]), 0),
        (on_server(&["logs", id]), 0),
        (on_server(&["instance", "logs", id]), 0),
        (on_server(&["instance", "watch", id]), 1),
        (on_server(&["instance", "cancel", id]), 0),
        (on_server(&["instance", "suspend", "--list"]), 0),
        (on_server(&["instance", "resume", id]), 1),
        (on_server(&["instance", "retry", id]), 1),
        (on_server(&["instance", "reset", id, "--to", "/do/0/b"]), 1),
        (on_server(&["instance", "skip", id, "--task", "/do/0/b", "--output", "1"]), 1),
        (on_server(&["delete", id]), 0),
        (here(&["explain", "WL0501"]), 0),
        // There is no key there.
        (here(&["cluster", "status", "none", "--key-file", "/no/such/key"]), 2),
        (here(&["cluster", "move", "none", "--to", "a", "--key-file", "/no/such/key"]), 2),
        (here(&["backup", "list", &backups]), 0),
        (here(&["backup", "verify", &backups]), 0),
        // It is for directories.
        (here(&["backup", "prune", &backups, "--keep", "1"]), 1),
        (here(&["restore", &backups, "--to", &restored]), 0),
        (here(&["fsck", &journal]), 0),
        (here(&["bench", "--workflows", "5"]), 0),
        (here(&["version"]), 0),
    ];
    // The test below this one runs them.
    let mut seen: BTreeSet<String> = SERVERS.into_iter().map(str::to_owned).collect();
    let all = commands().await;
    let on_schedules = ON_SCHEDULES.map(|it| (on_server(it), 0));
    let on_definitions = on_definitions(&function).map(|it| (on_server(&it), 0));
    for (words, code) in lines.iter().chain(&on_schedules).chain(&on_definitions) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let screen = windlass_on_terminal(folder.path(), &words).await;
        check(&words, &screen);
        assert_eq!(screen.code, Some(*code), "{words:?}: {screen:?}");
        let mut names = (1..=words.len()).map(|count| words[..count].join(" "));
        seen.insert(names.rfind(|it| all.contains(it)).expect("it is a command"));
    }
    let tail = ["audit", "tail", "--url", &url];
    let follows = on_terminal(folder.path(), &[], &tail);
    follows.shows("definition.changed").await;
    interrupted(follows, &tail).await;
    seen.insert("audit tail".to_owned());
    // It speaks to an editor, and nobody at a terminal does.
    let edits = on_terminal(folder.path(), &[], &["lsp"]);
    edits.signal(Signal::INT);
    check(&["lsp"], &edits.ends().await);
    seen.insert("lsp".to_owned());
    assert_eq!(seen, all, "each command is tried on a terminal");
}

/// Ends a server as Ctrl-C does; gives what it wrote.
async fn interrupted(server: OnTerminal, arguments: &[&str]) -> String {
    server.signal(Signal::INT);
    let screen = server.ends().await;
    check(arguments, &screen);
    assert_eq!(screen.code, Some(0), "{arguments:?}: {screen:?}");
    screen.text
}

#[tokio::test(flavor = "multi_thread")]
async fn each_server_once() {
    let nats = Nats::start().await;
    let (url, folder) = (nats.url(), tempfile::tempdir().unwrap());
    let hello = paths::example("hello.yaml").display().to_string();
    let dev = ["dev", &hello, "--bind", "127.0.0.1:0", "--data-dir", "dev"];
    let server = on_terminal(folder.path(), &[], &dev);
    server.shows("listening on http://127.0.0.1:").await;
    let text = interrupted(server, &dev).await;
    assert!(text.contains("deployed examples/hello"), "{text}");

    let key = windlass_in(folder.path(), &["coordinator", "key", "--data-dir", "data"]).await;
    let key = key.exits(0).stdout.trim().to_owned();
    let coordinator =
        ["coordinator", "--bind", "127.0.0.1:0", "--data-dir", "data", "--nats", &url];
    let serves = on_terminal(folder.path(), &[], &coordinator);
    serves.shows("listening on http://127.0.0.1:").await;
    let worker = ["worker", "--nats", &url, "--name", "hand"];
    let works = on_terminal(folder.path(), &[("WINDLASS_WORKER_KEY", &key)], &worker);
    works.shows("joined as ").await;
    serves.shows("worker registered").await;
    // It looks at its files, and goes on, as is seen below.
    serves.signal(Signal::HUP);
    interrupted(works, &worker).await;
    serves.shows("worker deregistered").await;
    let text = interrupted(serves, &coordinator).await;
    assert!(text.contains("\u{1b}["), "logs have colours here: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_to_look_at_files_does_not_end_a_start() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing listens there: it waits a while before it opens its journal.
    let arguments = ["coordinator", "--bind", "127.0.0.1:0", "--nats", "nats://127.0.0.1:1"];
    let serves = on_terminal(folder.path(), &[], &arguments);
    serves.shows("NATS cannot be reached yet").await;
    serves.signal(Signal::HUP);
    serves.shows("listening on http://127.0.0.1:").await;
    interrupted(serves, &arguments).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_sentences_on_a_terminal_and_json_in_a_pipe() {
    let (folder, path) = file(definition(
        "faults",
        "  - a: { raise: { error: { type: https://example.com/late, status: 409, \
         title: Too late, detail: gone } } }",
    ));
    let arguments = ["run", &path];
    let screen = windlass_on_terminal(folder.path(), &arguments).await;
    check(&arguments, &screen);
    assert_eq!(screen.code, Some(1));
    assert!(screen.text.contains("windlass: Too late (status 409)"), "{screen:?}");
    assert!(screen.text.contains("at /do/0/a") && !screen.text.contains('{'), "{screen:?}");
    let piped = windlass(&arguments).await.exits(1);
    assert_eq!(super::problem(&piped)["title"], "Too late");

    // Nothing listens there.
    let gone = ["list", "--url", "http://127.0.0.1:1"];
    let screen = windlass_on_terminal(folder.path(), &gone).await;
    check(&gone, &screen);
    assert!(screen.text.contains("`windlass dev` starts one"), "{screen:?}");
    assert!(screen.text.contains("`windlass explain WL0701`"), "{screen:?}");
}
