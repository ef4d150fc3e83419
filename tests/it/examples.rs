//! Every file of `examples/` does what its first line says.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::command::{windlass, windlass_in, windlass_under};
use crate::support::dev::Dev;
use crate::support::paths;
use crate::support::stub::{Reply, Stub};

/// Runs an example that must complete; gives its output.
async fn output_of(name: &str, more: &[&str]) -> Value {
    let file = paths::example(name).display().to_string();
    let arguments: Vec<&str> = ["run", &file].iter().chain(more).copied().collect();
    windlass(&arguments).await.exits(0).json()
}

#[tokio::test]
async fn what_hello_logs_is_seen() {
    let hello = paths::example("hello.yaml").display().to_string();
    let output = windlass(&["run", &hello, "--input", r#"{"name": "Ada"}"#]).await.exits(0);
    assert_eq!(output.json(), json!({"greeting": "Hello, Ada!"}), "alone on standard output");
    assert_eq!(output.stderr.matches("Hello, Ada!").count(), 1, "{output:?}");
    let quiet = windlass_under(&[("WINDLASS_LOG", "warn")], &["run", &hello]).await.exits(0);
    assert!(!quiet.stderr.contains("Hello"), "{quiet:?}");
}

#[tokio::test]
async fn hello_greets() {
    assert_eq!(output_of("hello.yaml", &[]).await, json!({"greeting": "Hello, world!"}));
    let ada = output_of("hello.yaml", &["--input", r#"{"name": "Ada"}"#]).await;
    assert_eq!(ada, json!({"greeting": "Hello, Ada!"}));
}

#[tokio::test]
async fn nightly_report_says_when_it_is_due() {
    let report = output_of("nightly-report.yaml", &[]).await;
    assert!(report["made"].as_str().unwrap().ends_with('Z'), "{report}");
    let dev = Dev::start().await;
    dev.api.deploy(&std::fs::read_to_string(paths::example("nightly-report.yaml")).unwrap()).await;
    let schedule = dev.api.get("/v1/schedules/examples/nightly-report").await.ok();
    for next in schedule["next"].as_array().unwrap() {
        let at = next["at"].as_str().unwrap();
        assert!(["T00:30:00", "T01:30:00", "T01:00:00"].iter().any(|it| at.contains(it)), "{at}");
    }
}

#[tokio::test]
async fn fork_joins_its_branches() {
    let got = output_of("fork.yaml", &["--input", r#"{"items": [3, 4]}"#]).await;
    assert_eq!(got, json!({"sum": 7, "count": 2}));
}

#[tokio::test]
async fn for_adds_up() {
    let basket = r#"{"basket": [{"price": 2, "pieces": 3}, {"price": 5, "pieces": 1}]}"#;
    assert_eq!(output_of("for.yaml", &["--input", basket]).await, json!({"total": 11, "lines": 2}));
    assert_eq!(output_of("for.yaml", &[]).await, json!({"total": 0, "lines": 0}));
}

#[tokio::test]
async fn subflow_runs_its_child() {
    let child = paths::example("subflow-child.yaml").display().to_string();
    let got = output_of("subflow.yaml", &["--with", &child]).await;
    assert_eq!(got, json!({"shouted": "HEAVE HO!"}));
    let got = output_of("subflow-child.yaml", &["--input", r#"{"text": "ahoy"}"#]).await;
    assert_eq!(got, json!({"loud": "AHOY!"}));
}

#[tokio::test]
async fn http_fetches() {
    let host = "jsonplaceholder.typicode.com";
    let stub = Stub::https(&[host], |seen| match seen.path.as_str() {
        "/todos/7" => Reply::Json(200, json!({"id": 7, "title": "haul", "completed": true})),
        _ => Reply::Text(404, "no such item".into()),
    })
    .await;
    let mut flags = stub.flags(&[host]);
    flags.extend(["--input".into(), r#"{"id": 7}"#.into()]);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let got = output_of("http.yaml", &flags).await;
    assert_eq!(got, json!({"title": "haul", "done": true}));
}

#[tokio::test]
async fn mcp_asks_a_tool() {
    let host = "mcp.example.com";
    let stub = Stub::https(&[host], |seen| {
        assert_eq!(seen.header("authorization"), Some("Bearer t0ken-of-the-weather"));
        let asked: Value = serde_json::from_str(&seen.body).unwrap();
        let result = match seen.header("mcp-method") {
            Some("server/discover") => json!({"supportedVersions": ["2026-07-28"]}),
            Some("tools/call") if seen.header("mcp-name") == Some("forecast") => {
                let city = &asked["params"]["arguments"]["city"];
                let text = json!({"city": city, "wind": 7}).to_string();
                json!({"content": [{"type": "text", "text": text}]})
            }
            _ => return Reply::Text(404, "no such thing".into()),
        };
        Reply::Json(200, json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}))
    })
    .await;
    let mut flags = stub.flags(&[host]);
    let more = ["--secret", "weather-token=t0ken-of-the-weather", "--input", r#"{"city": "Kiel"}"#];
    flags.extend(more.map(str::to_owned));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let got = output_of("mcp.yaml", &flags).await;
    assert_eq!(got, json!({"city": "Kiel", "wind": 7}));
    assert_eq!(stub.count("/mcp"), 2);
}

/// What the shop of `asyncapi.yaml` says of itself.
const SHOP: &str = "
asyncapi: 3.0.0
info: { title: Shop, version: 1.0.0 }
servers: { web: { host: shop.example.com, protocol: https } }
channels:
  orders: { address: /orders, messages: { order: { contentType: application/json } } }
  answers: { address: /answers, messages: { answer: { contentType: application/json } } }
operations:
  placeOrder: { action: receive, channel: { $ref: '#/channels/orders' } }
  orderAnswered: { action: send, channel: { $ref: '#/channels/answers' } }
";

#[tokio::test]
async fn asyncapi_places_an_order_and_takes_the_answers() {
    let host = "shop.example.com";
    let stub = Stub::https(&[host], |seen| {
        if seen.path == "/asyncapi.yaml" {
            return Reply::Raw(200, "application/yaml", SHOP.as_bytes().to_vec());
        }
        assert_eq!(seen.header("authorization"), Some("Bearer t0ken-of-the-shop"));
        let answers = [("A-17", "packed"), ("A-18", "lost"), ("A-17", "shipped"), ("A-17", "x")];
        let answers = answers
            .map(|(order, state)| format!("data: {}\n\n", json!({"order": order, "state": state})));
        match (seen.method.as_str(), seen.path.as_str()) {
            ("POST", "/orders") if seen.header("x-order") == Some("A-17") => {
                assert_eq!(seen.body, "{\"item\":\"rope\"}");
                Reply::Json(202, json!({}))
            }
            ("GET", "/answers") => {
                Reply::Raw(200, "text/event-stream", answers.concat().into_bytes())
            }
            _ => Reply::Text(404, "no such thing".into()),
        }
    })
    .await;
    let mut flags = stub.flags(&[host]);
    let more = ["--secret", "shop-token=t0ken-of-the-shop", "--input", r#"{"item": "rope"}"#];
    flags.extend(more.map(str::to_owned));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    assert_eq!(output_of("asyncapi.yaml", &flags).await, json!(["packed", "shipped"]));
    assert_eq!(stub.count("/orders"), 1);
}

#[tokio::test]
async fn a2a_has_a_report_written() {
    let host = "agent.example.com";
    let looks = AtomicUsize::new(0);
    let stub = Stub::https(&[host], move |seen| {
        assert_eq!(seen.header("authorization"), Some("Bearer t0ken-of-the-agent"));
        if seen.method == "GET" {
            let interface =
                json!({"url": "/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"});
            return Reply::Json(200, json!({"supportedInterfaces": [interface]}));
        }
        let asked: Value = serde_json::from_str(&seen.body).unwrap();
        let task = |state: &str| json!({"id": "t1", "status": {"state": state}});
        let result = match asked["method"].as_str() {
            Some("SendMessage") => {
                assert_eq!(asked["params"]["configuration"], json!({"returnImmediately": true}));
                json!({"task": task("TASK_STATE_SUBMITTED")})
            }
            Some("GetTask") if looks.fetch_add(1, Ordering::Relaxed) == 0 => {
                task("TASK_STATE_WORKING")
            }
            Some("GetTask") => {
                let mut task = task("TASK_STATE_COMPLETED");
                task["artifacts"] = json!([{"parts": [{"text": "a good Q2"}]}]);
                task
            }
            _ => return Reply::Text(404, "no such thing".into()),
        };
        Reply::Json(200, json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}))
    })
    .await;
    let mut flags = stub.flags(&[host]);
    let more = ["--secret", "agent-token=t0ken-of-the-agent", "--input", r#"{"quarter": "Q2"}"#];
    flags.extend(more.map(str::to_owned));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let got = output_of("a2a.yaml", &flags).await;
    assert_eq!(got, json!({"report": "a good Q2"}));
    assert_eq!(stub.count("/rpc"), 3);
}

#[tokio::test]
async fn retry_tries_four_times_then_falls_back() {
    let host = "quotes.example.com";
    let stub = Stub::https(&[host], |_| Reply::Text(503, "busy".into())).await;
    let flags = stub.flags(&[host]);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let got = output_of("retry.yaml", &flags).await;
    assert_eq!(got["reason"], 503);
    assert_eq!(stub.count("/today"), 4, "one try and three retries");
}

#[tokio::test]
async fn listen_takes_the_payment_of_its_own_order_only() {
    let dev = Dev::start().await;
    let text = std::fs::read_to_string(paths::example("listen.yaml")).unwrap();
    let workflow = dev.api.deploy(&text).await;
    let id = dev.api.start(&workflow, &json!({"order": "A-17"})).await;
    dev.api.reaches(&id, "waiting").await;
    let payment = |id: &str, order: &str, amount: u32| {
        json!({
            "specversion": "1.0", "id": id, "source": "/shop", "subject": order,
            "type": "com.example.payment.received", "data": {"amount": amount},
        })
    };
    assert_eq!(dev.api.event(&payment("1", "A-18", 5)).await["consumed"], 0);
    assert_eq!(dev.api.event(&payment("2", "A-17", 12)).await["consumed"], 1);
    let view = dev.api.ends(&id).await;
    assert_eq!(view["output"], json!({"order": "A-17", "paid": 12}), "{view}");
}

#[tokio::test]
async fn every_example_says_what_it_does_and_validates() {
    let mut files = paths::files(&paths::root().join("examples"));
    files.retain(|it| it.extension().is_some_and(|it| it == "yaml"));
    files.retain(|it| !it.to_string_lossy().ends_with(".test.yaml"));
    assert!(files.len() >= 13, "only {} examples", files.len());
    let mut arguments = vec!["validate".to_owned(), "--strict".to_owned()];
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let first = text.lines().next().unwrap();
        assert!(first.starts_with("# "), "{} starts without a comment", file.display());
        assert!(text.contains("windlass run") || text.contains("windlass start"), "{file:?}");
        arguments.push(file.display().to_string());
    }
    let output = windlass(&arguments).await.exits(0);
    // Functions of workers that are not there are worth a warning.
    let places = output.stderr.lines().filter_map(|it| it.trim().strip_prefix("--> "));
    let odd: Vec<&str> = places.filter(|it| !it.contains("-worker/")).collect();
    assert!(odd.is_empty(), "warnings at {odd:?}: {}", output.stderr);
}

#[tokio::test]
async fn the_tests_of_examples_pass() {
    let folder = paths::root().join("examples").display().to_string();
    let output = windlass(&["test", &folder]).await.exits(0);
    assert!(output.stderr.contains("5 of 5 passed; 100 % reached"), "{output:?}");
}

#[tokio::test]
async fn missing_secret_is_handled() {
    let file = paths::example("secret-missing.yaml").display().to_string();
    let output = windlass(&["run", &file]).await.exits(0);
    assert_eq!(output.json(), json!({"message": "The secret is missing or not permitted"}));
}

#[test]
fn the_read_me_names_only_examples_that_exist() {
    let text = std::fs::read_to_string(paths::root().join("README.md")).unwrap();
    let words = text.split(|it: char| it.is_whitespace() || "`'\"()[]".contains(it));
    for file in words.filter(|it| it.starts_with("examples/") && it.ends_with(".yaml")) {
        assert!(paths::root().join(file).is_file(), "README.md names {file}");
    }
}

#[tokio::test]
async fn a_run_without_data_dir_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = paths::example("hello.yaml").display().to_string();
    windlass_in(folder.path(), &["run", &file]).await.exits(0);
    assert_eq!(paths::files(folder.path()), Vec::<std::path::PathBuf>::new());
}
