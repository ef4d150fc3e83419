//! What editors and operators at a new machine live on: `schema`, `doctor`, `lsp`, `top`, `logs`.

use rustix::process::Signal;
use rustix::termios::SpecialCodeIndex;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{definition, file, problem};
use crate::support::binary;
use crate::support::command::{windlass, windlass_in, windlass_under};
use crate::support::dev::Dev;
use crate::support::terminal::{Screen, on_terminal};
use crate::support::{paths, tools};

/// The check of this name in the output of `doctor`.
fn check(told: &Value, name: &str) -> Value {
    let items = told["items"].as_array().unwrap_or_else(|| panic!("{told}"));
    items.iter().find(|it| it["check"] == name).cloned().unwrap_or_else(|| panic!("{name}: {told}"))
}

#[tokio::test]
async fn a_schema_is_json_that_stays_the_same() {
    let first = windlass(&["schema"]).await.exits(0);
    let schema = first.json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["required"], json!(["document", "do"]));
    let own = &schema["$defs"]["windlassDocument"]["properties"];
    assert!(own["pool"].is_object() && own["schedule"].is_object(), "{own}");
    assert!(first.stdout.lines().count() > 500, "it is indented, to be looked at");
    assert_eq!(windlass(&["schema", "workflow"]).await.exits(0).stdout, first.stdout);
    let tests = windlass(&["schema", "test"]).await.exits(0).json();
    assert_eq!(tests["required"], json!(["workflow", "cases"]));
    let mocks = windlass(&["schema", "mocks"]).await.exits(0).json();
    assert!(mocks["properties"]["mocks"].is_object(), "{mocks}");
    windlass(&["schema", "poem"]).await.exits(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_is_not_in_order_and_what_to_do() {
    let dev = Dev::start().await;
    let url = dev.api.base();
    let told = windlass(&["doctor", "--url", &url, "--output", "json"]).await.exits(0).json();
    for name in ["disk", "server", "clock", "ready", "version", "access", "server's disk", "tls"] {
        assert_eq!(check(&told, name)["result"], "ok", "{name}: {told}");
    }
    assert_eq!(check(&told, "nats")["result"], "skipped");
    let table = windlass(&["doctor", "--local", "--output", "table"]).await.exits(0);
    assert!(table.stdout.contains("open files") && !table.stdout.contains("server"), "{table:?}");

    // A variable that is set for other commands does not stand in the way.
    let variables = [("WINDLASS_URL", "http://127.0.0.1:1")];
    let local = windlass_under(&variables, &["doctor", "--local", "--output", "table"]).await;
    assert!(!local.exits(0).stdout.contains("server"));

    let gone = ["doctor", "--url", "http://127.0.0.1:1", "--nats", "nats://127.0.0.1:1"];
    let gone = [&gone[..], &["--vault", "http://127.0.0.1:1", "--output", "json"]].concat();
    let output = windlass(&gone).await.exits(1);
    let told = output.json();
    for name in ["server", "nats", "vault"] {
        let check = check(&told, name);
        assert_eq!(check["result"], "failed", "{check}");
        assert!(!check["advice"].as_str().unwrap().is_empty(), "{check}");
    }
    let problem = problem(&output);
    assert_eq!(problem["code"], "WL0742");
    assert_eq!(problem["detail"], "not in order: nats, vault, server");
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_to_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let proc = ["doctor", "--local", "--output", "json", "--data-dir", "/proc/nothing/data"];
    let told = windlass_in(folder.path(), &proc).await;
    let check = check(&told.json(), "disk");
    assert_eq!((told.code, &check["result"]), (Some(1), &json!("failed")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dash_is_standard_input_and_bad_usage_that_a_server_finds_is_2() {
    let dev = Dev::start().await;
    let url = dev.api.base();
    let text = definition("piped", "  - a: { set: { x: 1 } }");
    let (folder, path) = file(&text);
    let script = format!(
        "{} validate - < {path} && {} graph - < {path} && {} deploy - --url {url} < {path}",
        binary::windlass().display(),
        binary::windlass().display(),
        binary::windlass().display()
    );
    let shell = tokio::process::Command::new("sh").args(["-c", &script]).output().await.unwrap();
    assert!(shell.status.success(), "{shell:?}");
    assert!(String::from_utf8_lossy(&shell.stdout).contains("flowchart TD"), "{shell:?}");
    drop(folder);
    windlass(&["start", "cli/piped", "--wait", "30s", "--url", &url]).await.exits(0);
    let refused = windlass(&["list", "--started-after", "soon", "--url", &url]).await.exits(2);
    assert_eq!(problem(&refused)["code"], "WL0511");
}

#[tokio::test]
async fn help_names_variables_and_not_what_they_hold() {
    let canary = "http://c4nary.example";
    for words in [&["list", "--help"][..], &["dev", "--help"], &["doctor", "--help"]] {
        let mut command = tokio::process::Command::new(binary::windlass());
        command.args(words).env("WINDLASS_URL", canary).env("VAULT_ADDR", canary);
        command.env("WINDLASS_TOKEN", "c4nary").env("WINDLASS_DATA_DIR", "/c4nary");
        let output = command.output().await.unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && !told.contains("c4nary"), "{words:?}: {told}");
    }
}

/// What speaks to the server in place of an editor.
const CLIENT: [&str; 2] = ["pygls==1.3.1", "lsprotocol==2023.0.1"];

#[tokio::test]
async fn an_editor_is_told_what_is_wrong_and_what_can_stand_there() {
    let mut command = tokio::process::Command::new(tools::python(&CLIENT).await);
    command.arg(paths::root().join("tests/it/cli/lsp.py")).arg(binary::windlass());
    let output = command.output().await.unwrap();
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!((&told["server"], &told["code"]), (&json!("windlass"), &json!(0)), "{told}");
    let wrong = told["wrong"].as_array().unwrap();
    assert!(wrong.iter().any(|it| it[1] == 9 && it[2] == 6 && it[3] == 1), "{told}");
    assert_eq!(told["good"], json!([]));
    let offered: Vec<_> =
        told["completion"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(offered.contains(&"output") && !offered.contains(&"method"), "{told}");
    assert!(told["hover"].as_str().unwrap().starts_with("**method**"), "{told}");
    assert_eq!(told["tests"][0][1], 3, "a file of tests is read as one: {told}");
}

#[tokio::test]
async fn an_editor_that_goes_without_a_word_is_an_error() {
    let mut command = tokio::process::Command::new(binary::windlass());
    command.arg("lsp").stdin(std::process::Stdio::null());
    let output = command.output().await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("WL0744"), "{output:?}");
}

#[tokio::test]
async fn a_picture_is_xml_that_a_parser_reads() {
    let hello = paths::example("fork.yaml").display().to_string();
    let picture = windlass(&["graph", &hello, "--format", "svg"]).await.exits(0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.svg");
    std::fs::write(&path, &picture.stdout).unwrap();
    let script =
        "import sys, xml.etree.ElementTree as t; print(t.parse(sys.argv[1]).getroot().tag)";
    let mut command = tokio::process::Command::new("python3");
    let parsed = command.args(["-c", script]).arg(&path).output().await.unwrap();
    let tag = String::from_utf8_lossy(&parsed.stdout).into_owned();
    assert_eq!(tag.trim(), "{http://www.w3.org/2000/svg}svg", "{parsed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn top_draws_a_screen_and_gives_it_back() {
    let dev = Dev::start().await;
    let url = dev.api.base();
    let workflow = dev.api.deploy(&definition("rests", "  - a: { wait: PT1H }")).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    dev.api.reaches(&id, "waiting").await;
    let seen = windlass(&["top", "--output", "json", "--url", &url]).await.exits(0).json();
    assert_eq!((&seen["instances"]["waiting"], &seen["open"][0]["id"]), (&json!(1), &json!(id)));
    let plain = windlass(&["top", "--url", &url]).await.exits(0);
    assert!(plain.stdout.contains("waiting 1") && !plain.stdout.contains('\u{1b}'), "{plain:?}");

    let folder = tempfile::tempdir().unwrap();
    let top = on_terminal(folder.path(), &[], &["top", "--every", "200ms", "--url", &url]);
    top.shows(&id).await;
    top.signal(Signal::INT);
    is_given_back(&top.ends().await);
    let top = on_terminal(folder.path(), &[], &["top", "--every", "200ms", "--url", &url]);
    top.shows(&id).await;
    // What would stop or kill it at once, no key does.
    let codes = top.modes().special_codes;
    for code in [SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT] {
        assert_eq!(codes[code], 0);
    }
    top.types(b"q");
    is_given_back(&top.ends().await);
}

/// The terminal is as it was before.
fn is_given_back(screen: &Screen) {
    assert_eq!(screen.code, Some(0), "{screen:?}");
    assert!(screen.text.contains("\u{1b}[?1049h"), "another page: {screen:?}");
    assert!(screen.text.trim_end().ends_with("\u{1b}[?1049l"), "and back: {screen:?}");
    assert!(screen.is_as_before, "{screen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn top_can_be_left_while_the_server_hangs() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dev = Dev::start().await;
    let url = format!("http://{}", server.local_addr().unwrap());
    let target = dev.api.base().trim_start_matches("http://").to_owned();
    let (hangs, hanging) = watch::channel(false);
    let proxy = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut client, _)) = server.accept().await {
            if *hanging.borrow() {
                // It is taken, and never answered.
                kept.push(client);
                continue;
            }
            let mut there = TcpStream::connect(&target).await.unwrap();
            let mut hanging = hanging.clone();
            tokio::spawn(async move {
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut there) => return,
                    _ = hanging.wait_for(|it| *it) => {}
                }
                // Both ends are kept, and nothing goes through.
                std::future::pending::<()>().await;
            });
        }
    });
    let folder = tempfile::tempdir().unwrap();
    for way in ["q", "INT", "HUP"] {
        hangs.send_replace(false);
        let top = on_terminal(folder.path(), &[], &["top", "--every", "200ms", "--url", &url]);
        top.shows("instances: pending").await;
        hangs.send_replace(true);
        // It says so itself, and by then another look is under way.
        top.shows("the server does not answer").await;
        match way {
            "q" => top.types(b"q"),
            "INT" => top.signal(Signal::INT),
            _ => top.signal(Signal::HUP),
        }
        is_given_back(&top.ends().await);
    }
    proxy.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_show_what_was_written_and_no_secret() {
    const CANARY: &str = "canary-of-the-logs-0123456789";
    let flags = ["--secret".to_owned(), format!("key={CANARY}")];
    let dev = Dev::with(&flags).await;
    let url = dev.api.base();
    let tasks = "  - says: { call: logWarn, with: { message: careful } }
  - runs:
      run:
        shell:
          command: 'echo to out; echo \"$KEY\"; echo to err >&2'
          environment: { KEY: '${ $secrets.key }' }
        return: all
  - sets: { set: { x: not logged } }";
    let text = definition("writes", tasks).replace("do:\n", "use: { secrets: [ key ] }\ndo:\n");
    let workflow = dev.api.deploy(&text).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    assert_eq!(dev.api.ends(&id).await["status"], "completed");
    let told = windlass(&["logs", &id, "--url", &url]).await.exits(0).stdout;
    for line in ["logWarn message  careful", "shell stderr  to err"] {
        assert!(told.lines().any(|it| it.ends_with(line)), "{line}: {told}");
    }
    assert!(told.contains("shell stdout"), "{told}");
    assert!(!told.contains("not logged") && !told.contains(CANARY), "{told}");
    let json = windlass(&["instance", "logs", &id, "--output", "json", "--url", &url]).await;
    let first: Value = serde_json::from_str(json.exits(0).stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&first["task"], &first["text"]), (&json!("/do/0/says"), &json!("careful")));
    windlass(&["logs", "nothing", "--url", &url]).await.exits(2);
}
