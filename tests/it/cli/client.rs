//! The commands that speak to a server.

use serde_json::{Value, json};

use std::path::Path;

use rustix::process::Signal;

use super::{definition, file, problem};
use crate::support::client::Api;
use crate::support::command::{Output, finish, spawn, windlass, windlass_under};
use crate::support::dev::Dev;
use crate::support::process::Process;
use crate::support::until::{SOON, until, within};
use crate::support::{paths, ports};

/// Runs a command against a server.
async fn at(dev: &Dev, arguments: &[&str]) -> Output {
    let url = dev.api.base();
    let mut all = arguments.to_vec();
    all.extend(["--url", &url]);
    windlass(&all).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_road_of_the_listen_example() {
    let dev = Dev::start().await;
    let example = paths::example("listen.yaml").display().to_string();
    at(&dev, &["deploy", &example]).await.exits(0);
    let started =
        at(&dev, &["start", "examples/listen", "--input", r#"{"order": "A-17"}"#]).await.exits(0);
    let id = started.json()["id"].as_str().unwrap().to_owned();
    dev.api.reaches(&id, "waiting").await;
    let event =
        r#"{"type": "com.example.payment.received", "subject": "A-17", "data": {"amount": 12}}"#;
    at(&dev, &["event", "send", event]).await.exits(0);

    let watched = at(&dev, &["watch", &id]).await.exits(0);
    let lines: Vec<Value> =
        watched.stdout.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert!(lines.iter().any(|it| it["event"] == "task.completed"), "{watched:?}");
    let shown = at(&dev, &["show", &id]).await.exits(0).json();
    assert_eq!(shown["output"], json!({"order": "A-17", "paid": 12}));
    let shown = at(&dev, &["show", &id, "--output", "table"]).await.exits(0);
    let row = |name: &str| shown.stdout.lines().find(|it| it.starts_with(name)).map(str::to_owned);
    assert!(row("workflow").is_some_and(|it| it.ends_with("examples/listen:1.0.0")), "{shown:?}");
    assert!(row("output").is_some_and(|it| it.contains("A-17")), "{shown:?}");
    let list = at(&dev, &["list", "--status", "completed", "--name", "listen"]).await.exits(0);
    assert!(list.stdout.contains(&id), "{list:?}");
    let table = at(&dev, &["list", "--output", "table"]).await.exits(0);
    assert!(table.stdout.contains("completed") && !table.stdout.contains('{'), "{table:?}");
    let history = at(&dev, &["history", &id]).await.exits(0);
    assert!(history.stdout.contains("instance.completed"), "{history:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_and_outcomes_have_their_exit_codes() {
    let dev = Dev::start().await;
    let (_folder, long) = file(definition("long", "  - a: { wait: PT1H }"));
    let (_other, fails) = file(definition(
        "fails",
        "  - a: { raise: { error: { type: https://example.com/e, status: 409 } } }",
    ));
    at(&dev, &["deploy", &long, &fails]).await.exits(0);
    let start = ["start", "cli/long:1.0.0", "--label", "a=b", "--priority", "9"];
    let id = at(&dev, &start).await.exits(0).json();
    let id = id["id"].as_str().unwrap();
    assert_eq!(at(&dev, &["show", id]).await.exits(0).json()["priority"], 9);
    at(&dev, &["start", "cli/long", "--priority", "10"]).await.exits(2);
    at(&dev, &["suspend", id]).await.exits(0);
    let refused = at(&dev, &["suspend", id, "--output", "table"]).await;
    assert_eq!(refused.code, Some(2), "columns are for `--list`: {refused:?}");
    at(&dev, &["resume", id]).await.exits(0);
    at(&dev, &["suspend", "--workflow", "cli/fails"]).await.exits(0);
    let list = at(&dev, &["suspend", "--list", "--output", "table"]).await.exits(0);
    let row = list.stdout.lines().nth(1).unwrap_or_default().split_whitespace();
    assert_eq!(row.take(2).collect::<Vec<_>>(), ["cli", "fails"], "{list:?}");
    at(&dev, &["resume", "--workflow", "cli/fails"]).await.exits(0);
    for _ in 0..2 {
        let cancelled = at(&dev, &["cancel", id, "--reason", "enough"]).await.exits(0).json();
        assert_eq!(cancelled["status"], "cancelled", "a second one changes nothing");
    }
    let refused = at(&dev, &["resume", id]).await.exits(1);
    let problem_of = problem(&refused);
    assert_eq!(problem_of["code"], "WL0505");
    let detail = problem_of["detail"].as_str().unwrap();
    assert!(detail.contains("is cancelled: "), "as everywhere else: {detail}");
    let watched = at(&dev, &["watch", id]).await;
    assert_eq!(watched.code, Some(1), "a cancelled instance: {watched:?}");

    let failed = at(&dev, &["start", "cli/fails", "--wait", "30s"]).await.exits(1);
    assert_eq!(problem(&failed)["status"], 409, "{failed:?}");
    let key = ["start", "cli/fails", "--idempotency-key", "one"];
    let first = at(&dev, &key).await.exits(0).json();
    assert_eq!(at(&dev, &key).await.exits(0).json()["id"], first["id"]);

    at(&dev, &["start", "cli/nothing"]).await.exits(1);
    let nobody = ["list", "--url", "http://127.0.0.1:1"];
    let nobody = windlass(&nobody).await;
    assert!(matches!(nobody.code, Some(1 | 2)) && !nobody.stderr.is_empty(), "{nobody:?}");
    assert!(nobody.stderr.contains("127.0.0.1:1"), "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_over_is_told_from_an_end() {
    let dev = Dev::start().await;
    let (_folder, long) = file(definition("long", "  - a: { wait: PT1H }"));
    at(&dev, &["deploy", &long]).await.exits(0);
    let open = at(&dev, &["start", "cli/long", "--wait", "200ms"]).await.exits(3);
    let id = open.json()["id"].as_str().unwrap().to_owned();
    let problem = problem(&open);
    assert_eq!(problem["code"], "WL0713", "{open:?}");
    assert!(problem["detail"].as_str().unwrap().contains(&id), "{open:?}");
    assert_eq!(dev.api.show(&id).await["status"], "waiting", "it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_run_asks_the_server_that_the_variable_names() {
    let dev = Dev::start().await;
    let (_folder, path) = file(definition("plain", "  - a: { set: { x: '${ .n }' } }"));
    let url = dev.api.base();
    let under =
        async |arguments: &[&str]| windlass_under(&[("WINDLASS_URL", &url)], arguments).await;
    let run = ["run", &path, "--remote", "--id", "first", "--input"];
    let output = under(&[&run[..], &[r#"{"n": 1}"#]].concat()).await.exits(0);
    assert_eq!(output.json(), json!({"x": 1}));
    let again = under(&[&run[..], &[r#"{"n": 1}"#]].concat()).await.exits(0);
    assert!(again.stderr.contains("started before"), "{again:?}");
    let other = under(&[&run[..], &[r#"{"n": 2}"#]].concat()).await.exits(1);
    assert_eq!((&*other.stdout, &problem(&other)["code"]), ("", &json!("WL0526")));
    let list = dev.api.get("/v1/instances").await.ok();
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");

    let elsewhere = format!("--remote={url}");
    let arguments = ["run", &path, &elsewhere, "--input", r#"{"n": 3}"#];
    let output = windlass_under(&[("WINDLASS_URL", "http://127.0.0.1:1")], &arguments).await;
    assert_eq!(output.exits(0).json(), json!({"x": 3}), "what is said counts more");
}

/// A server on a port that it gets again.
async fn serve(folder: &Path, port: u16) -> Process {
    let bind = format!("127.0.0.1:{port}");
    let server = spawn(folder, &["dev", "--bind", &bind, "--data-dir", "data"]);
    let listening = server.stderr().after("windlass: listening on ");
    within(SOON, "a server", listening).await.expect("the server listens");
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_go_on_over_a_restart_of_the_server() {
    let (folder, path) = file(definition(
        "waits",
        "  - a: { listen: { to: { one: { with: { type: go } } } }, output: { as: '${ \"gone\" }' } }",
    ));
    let port = ports::free();
    let url = format!("http://127.0.0.1:{port}");
    let mut server = serve(folder.path(), port).await;
    let api = Api::new(&url);
    api.deploy(&std::fs::read_to_string(&path).unwrap()).await;
    let remote = format!("--remote={url}");
    let commands: [&[&str]; 2] =
        [&["start", "cli/waits", "--wait", "10m", "--url", &url], &["run", &path, &remote]];
    let mut waiting: Vec<_> = commands.iter().map(|it| spawn(folder.path(), it)).collect();
    let open = async || {
        let list = api.get("/v1/instances?status=waiting").await.ok();
        (list["items"].as_array().unwrap().len() == 2).then_some(())
    };
    until(SOON, "both wait", open).await;
    for signal in [Signal::TERM, Signal::KILL] {
        server.signal(signal);
        server.wait().await;
        for command in &waiting {
            let told = command.stderr().after("windlass: the connection broke off");
            within(SOON, "the loss is told", told).await.expect("it waits on");
        }
        server = serve(folder.path(), port).await;
        until(SOON, "both are there", open).await;
    }
    api.event(&json!({"specversion": "1.0", "id": "1", "source": "/t", "type": "go"})).await;
    let run = finish(waiting.pop().unwrap()).await.exits(0);
    assert_eq!(run.json(), json!("gone"));
    let start = finish(waiting.pop().unwrap()).await.exits(0).json();
    assert_eq!((&start["status"], &start["output"]), (&json!("completed"), &json!("gone")));
    let list = api.get("/v1/instances").await.ok();
    assert_eq!(list["items"].as_array().unwrap().len(), 2, "nothing is started twice: {list}");
    server.kill().await;
}

#[tokio::test]
async fn secrets_come_from_a_file_too() {
    let (folder, path) = file(
        definition("length", "  - a: { set: { n: '${ $secrets.word | length }' } }")
            .replace("do:\n", "use: { secrets: [word] }\ndo:\n"),
    );
    let secrets = folder.path().join("secrets.yaml");
    std::fs::write(&secrets, "word: abcdefg\n").unwrap();
    let secrets = secrets.display().to_string();
    let output = windlass(&["run", &path, "--secrets-file", &secrets]).await.exits(0);
    assert_eq!(output.json(), json!({"n": 7}));
    let output = windlass(&["run", &path]).await.exits(1);
    assert_eq!(problem(&output)["status"], 403, "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_depth_pass_the_commands_as_they_are() {
    let dev = Dev::start().await;
    let folder = tempfile::tempdir().unwrap();
    let text = "document: {dsl: '1.0.3', namespace: cli, name: same, version: '1.0.0'}\n\
                do:\n- same: {set: '${ . }'}\n";
    let path = folder.path().join("same.yaml");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    at(&dev, &["deploy", &path]).await.exits(0);
    let (power, nines) = ("1267650600228229401496703205376", "9".repeat(400));
    let deep = format!("{}{}", "[".repeat(253), "]".repeat(253));
    for value in [power, "123456789012345678901234567890", "-9223372036854775809", &nines, &deep] {
        let input = format!(r#"{{"n":{value}}}"#);
        let start = ["start", "cli/same", "--input", &input, "--wait", "60s"];
        let started = at(&dev, &start).await.exits(0);
        assert!(started.stdout.contains(&format!(r#""output":{input}"#)), "{started:?}");
        let id = started.stdout.split('"').nth(3).unwrap();
        let shown = at(&dev, &["show", id]).await.exits(0);
        for member in ["input", "output"] {
            assert!(shown.stdout.contains(&format!(r#""{member}":{input}"#)), "{shown:?}");
        }
        let history = at(&dev, &["history", id, "--output", "json"]).await.exits(0);
        assert!(history.stdout.contains(value), "{history:?}");
        let remote = format!("--remote={}", dev.api.base());
        let run = windlass(&["run", &path, "--input", &input, &remote]).await.exits(0);
        assert_eq!(run.stdout.trim_end(), input);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_text_of_a_version_is_not_taken_in_silence() {
    let dev = Dev::start().await;
    let remote = format!("--remote={}", dev.api.base());
    let (_folder, first) = file(definition("twice", "  - a: { set: { x: 1 } }"));
    let (_other, second) = file(definition("twice", "  - a: { set: { x: 2 } }"));
    let run = windlass(&["run", &first, "--id", "one", &remote]).await.exits(0);
    assert!(!run.stderr.contains("another text"), "{run:?}");
    let refused = at(&dev, &["deploy", &second]).await.exits(1);
    assert!(refused.stderr.contains("WL0540"), "{refused:?}");
    let deployed = at(&dev, &["deploy", "--replace", &second]).await.exits(0);
    assert!(deployed.stderr.contains("replaced"), "{deployed:?}");
    assert_eq!(deployed.json()[0]["replaced"], true, "{deployed:?}");
    let run = windlass(&["run", &second, "--id", "one", &remote]).await.exits(0);
    assert_eq!(run.json(), json!({"x": 1}), "it keeps to its text");
    assert!(run.stderr.contains("another text of the definition"), "{run:?}");
    let deployed = at(&dev, &["deploy", &second]).await.exits(0);
    assert!(deployed.stderr.contains("unchanged"), "{deployed:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_once() {
    let url = format!("http://127.0.0.1:{}", ports::free());
    let output = windlass(&["list", "--url", &url]).await.exits(1);
    let detail = problem(&output)["detail"].as_str().unwrap().to_owned();
    assert_eq!(detail.matches("http://").count(), 1, "{detail}");
    assert!(detail.contains("windlass dev"), "{detail}");
}
