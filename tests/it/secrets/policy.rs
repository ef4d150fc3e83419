//! Policies: who may read which secrets, and what comes of the rest.

use reqwest::Method;
use serde_json::{Value, json};

use super::identity::somewhere_in;
use super::{call, deploy_call};
use crate::support::client::{Answer, Api};
use crate::support::command::{Output, windlass};
use crate::support::dev::Dev;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::stub::{Reply, Stub};

const OTHERS: &str = "[[allow]]\nnamespace = \"other\"\n";
const ACME: &str = "[[allow]]\nnamespace = \"acme\"\nsecrets = [\"api-*\"]\n";

async fn put(api: &Api, policy: &str, tag: Option<&str>) -> Answer {
    let request = api.request(Method::PUT, "/v1/secrets/policy").body(policy.to_owned());
    let request = request.header("content-type", "application/toml");
    let request = match tag {
        Some(tag) => request.header("if-match", tag),
        None => request,
    };
    Api::send(request).await.unwrap()
}

/// Audit events, newest first, with this action.
async fn events(api: &Api, action: &str) -> Vec<Value> {
    let all = api.get("/v1/audit?limit=1000").await.ok();
    let all = all["items"].as_array().unwrap().clone();
    // What came of it is told apart.
    all.into_iter().filter(|it| it["action"] == action && it["intent"].is_null()).collect()
}

async fn at(api: &Api, arguments: &[&str]) -> Output {
    let url = api.base();
    let mut all = arguments.to_vec();
    all.extend(["--url", &url]);
    windlass(&all).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_names_a_secret_it_may_not_read_is_not_deployed() {
    let mut dev = Dev::start().await;
    put(&dev.api, OTHERS, None).await.ok();
    let text = call("http://h/");
    let problem = dev.api.deploy_text(&text).await.problem(403);
    assert_eq!(problem["code"], "WL0518");
    assert!(problem["cause"]["type"].as_str().unwrap().ends_with("/authorization"), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    let rule = "[[allow]] with namespace = \"acme\", workflow = \"order\", secrets = [\"api-key\"], \
                environment = \"default\"";
    assert!(detail.contains("the secret api-key") && detail.ends_with(rule), "{detail}");
    assert!(dev.api.get("/v1/workflows").await.ok()["items"].as_array().unwrap().is_empty());
    let refused = events(&dev.api, "definition.refused").await;
    assert_eq!((&refused[0]["secret"], &refused[0]["success"]), (&"api-key".into(), &false.into()));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("order.yaml").display().to_string();
    std::fs::write(&file, &text).unwrap();
    let deploy = at(&dev.api, &["deploy", &file]).await.exits(1);
    assert!(deploy.stderr.contains("WL0518") && deploy.stderr.contains("api-key"), "{deploy:?}");
    let check = at(&dev.api, &["secret", "check", &file, "--output", "json"]).await.exits(1);
    assert_eq!(check.json()["items"][0]["permitted"], false);

    // Nor is it when it is given at a start.
    dev.kill().await;
    let data = dev.data().display().to_string();
    let started = ["dev", "--bind", "127.0.0.1:0", "--data-dir", &data, &file];
    let started = windlass(&started).await.exits(1);
    assert!(started.stderr.contains("authorization"), "{started:?}");

    dev.launch();
    dev.ready().await;
    put(&dev.api, ACME, None).await.ok();
    dev.api.deploy(&text).await;
    at(&dev.api, &["secret", "check", &file]).await.exits(0);
    let list = at(&dev.api, &["secret", "list", "--output", "table"]).await.exits(0);
    let row: Vec<_> = list.stdout.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["api-key", "acme/order:1.0.0", "yes", "/do/0/pay"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_counts_from_the_next_task_on() {
    let nats = Nats::start().await;
    let stub =
        Stub::http(|seen| Reply::Json(200, json!({"key": seen.header("x-key").is_some()}))).await;
    let fleet =
        Fleet::with(Layout::on(&nats.url(), 1).worker(&["--secret", "api-key=hunter2"])).await;
    let workflow = deploy_call(&fleet, &stub.url("/")).await;
    let ended = fleet.api.run(&workflow, &json!({})).await;
    assert_eq!(ended["output"], json!({"key": true}), "{ended}");

    let set = put(&fleet.api, OTHERS, None).await.ok();
    assert_eq!(set["refused"][0]["name"], "order", "{set}");
    let listed = fleet.api.get("/v1/secrets").await.ok();
    assert_eq!(listed["items"][0]["uses"][0]["permitted"], false, "{listed}");
    let ended = fleet.api.run(&workflow, &json!({})).await;
    assert_eq!(ended["status"], "faulted", "{ended}");
    let error = &ended["error"];
    assert_eq!(error["status"], 403, "{ended}");
    assert!(error["type"].as_str().unwrap().ends_with("/authorization"), "{ended}");
    assert!(error["detail"].as_str().unwrap().contains("api-key"), "{ended}");
    assert_eq!(stub.seen().len(), 1);

    put(&fleet.api, ACME, None).await.ok();
    let ended = fleet.api.run(&workflow, &json!({})).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    // The history says what was read; the value is nowhere.
    let id = ended["id"].as_str().unwrap();
    let history = fleet.api.history(id).await;
    let used = history.iter().find(|it| it["event"] == "task.secrets").unwrap();
    assert_eq!(used["data"], json!({"secrets": ["api-key"]}));
    assert!(!json!(history).to_string().contains("hunter2"));
    assert!(!somewhere_in(&fleet.data(), "hunter2") && !fleet.stderr().contains("hunter2"));
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_replaced_by_who_has_seen_the_present_one() {
    let mut dev = Dev::start().await;
    let first = dev.api.get("/v1/secrets/policy").await;
    assert_eq!(first.kind, "application/toml");
    let tag = first.headers["etag"].to_str().unwrap().to_owned();
    let set = put(&dev.api, ACME, Some(&tag)).await;
    let next = set.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(set.ok()["rules"], 1);
    assert_eq!(put(&dev.api, OTHERS, Some(&tag)).await.problem(412)["code"], "WL0522");
    let wrong = put(&dev.api, "[[allow]]\nsecret = 1", None).await.problem(400);
    assert_eq!(wrong["code"], "WL0519");
    assert!(wrong["detail"].as_str().unwrap().contains("line 2, column 1"), "{wrong}");
    put(&dev.api, OTHERS, Some("no tag")).await.problem(400);
    let changed = events(&dev.api, "secret.policy.changed").await;
    assert_eq!(changed.len(), 1, "refused attempts change nothing: {changed:?}");

    dev.kill().await;
    dev.launch();
    dev.ready().await;
    let shown = at(&dev.api, &["secret", "policy", "show"]).await.exits(0);
    assert_eq!(shown.stdout, ACME);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml").display().to_string();
    std::fs::write(&file, OTHERS).unwrap();
    let set = ["secret", "policy", "set", &file, "--replacing"];
    at(&dev.api, &[&set[..], &["0000"]].concat()).await.exits(1);
    at(&dev.api, &[&set[..], &[&next]].concat()).await.exits(0);
    std::fs::write(&file, "[allow").unwrap();
    at(&dev.api, &["secret", "policy", "set", &file]).await.exits(2);
    assert_eq!(events(&dev.api, "secret.policy.changed").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_an_operator_keeps_is_not_the_apis_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, ACME).unwrap();
    let flags = ["--secret-policy".to_owned(), file.display().to_string()];
    let dev = Dev::with(&flags).await;
    assert_eq!(put(&dev.api, OTHERS, None).await.problem(409)["code"], "WL0520");
    let kept = dev.api.get("/v1/secrets/policy").await.body;
    assert_eq!(kept, ACME);
    dev.api.deploy(&call("http://h/")).await;
    let other = call("http://h/").replace("acme", "rival");
    dev.api.deploy_text(&other).await.problem(403);

    std::fs::write(&file, "[[allow]]\nworkflows = 1").unwrap();
    let data = folder.path().join("data").display().to_string();
    let start = ["dev", "--bind", "127.0.0.1:0", "--data-dir", &data, &flags[0], &flags[1]];
    let started = windlass(&start).await.exits(1);
    assert!(started.stderr.contains("line 2, column 1"), "{started:?}");
}
