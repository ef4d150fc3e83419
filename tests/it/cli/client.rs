//! The commands that speak to a server.

use serde_json::{Value, json};

use super::{definition, file, problem};
use crate::support::command::{Output, windlass};
use crate::support::dev::Dev;
use crate::support::paths;

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
    at(&dev, &["resume", id]).await.exits(0);
    at(&dev, &["cancel", id, "--reason", "enough"]).await.exits(0);
    let refused = at(&dev, &["resume", id]).await.exits(1);
    assert_eq!(problem(&refused)["code"], "WL0505");
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
    }
}
