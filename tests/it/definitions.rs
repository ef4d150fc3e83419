//! The life of definitions, by API and command line.

use reqwest::Method;
use serde_json::json;

use crate::support::client::{Answer, Api};
use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::until::{SOON, until};

fn text(version: &str, tasks: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: life, name: report, version: '{version}' }}\n\
         schedule: {{ every: P1D }}\ndo:\n{tasks}"
    )
}

const WAITS: &str = "  - waits: { listen: { to: { one: { with: { type: go } } } } }\n";
const QUICK: &str = "  - done: { set: { ok: true } }\n";

async fn deploy(api: &Api, text: &str, query: &str) -> Answer {
    let path = format!("/v1/workflows{query}");
    let request = api.request(Method::POST, &path).body(text.to_owned());
    Api::send(request.header("content-type", "application/yaml")).await.unwrap()
}

async fn delete(api: &Api, version: &str) -> Answer {
    let path = format!("/v1/workflows/life/report/{version}");
    Api::send(api.request(Method::DELETE, &path)).await.unwrap()
}

#[tokio::test]
async fn a_version_keeps_its_text_and_each_text_can_be_read() {
    let dev = Dev::start().await;
    let (waits, quick) = (text("1.0.0", WAITS), text("1.0.0", QUICK));
    let first = deploy(&dev.api, &waits, "").await;
    assert_eq!(first.status, 201);
    assert_eq!(deploy(&dev.api, &waits, "").await.status, 200);
    let refused = deploy(&dev.api, &quick, "").await.problem(409);
    assert_eq!(refused["code"], "WL0540");
    let difference = refused["difference"].as_str().unwrap();
    assert!(difference.contains("-  - waits:") && difference.contains("+  - done:"), "{refused}");
    let workflow = json!({"namespace": "life", "name": "report", "version": "1.0.0"});
    let running = dev.api.start(&workflow, &json!({})).await;
    let replaced = deploy(&dev.api, &quick, "?replace=true").await.ok();
    assert_eq!((&replaced["changed"], &replaced["replaced"]), (&json!(true), &json!(true)));
    // What runs keeps the text it was started with, which stays readable.
    let digest = first.body["digest"].as_str().unwrap();
    let read = dev.api.get(&format!("/v1/definitions/{digest}")).await;
    assert_eq!(read.kind, "application/yaml");
    assert_eq!(read.ok(), json!(waits));
    dev.api.reaches(&running, "waiting").await;
    assert_eq!(dev.api.show(&running).await["digest"], digest);
    dev.api.get("/v1/definitions/none").await.problem(404);
    assert_eq!(dev.api.run(&workflow, &json!({})).await["output"], json!({"ok": true}));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.yaml");
    std::fs::write(&file, text("1.0.0", WAITS)).unwrap();
    let (file, url) = (file.to_str().unwrap(), dev.api.base());
    let refused = windlass(&["deploy", file, "--url", &url]).await.exits(1);
    assert!(refused.stderr.contains("WL0540") && refused.stderr.contains("+  - waits:"));
    let shown = windlass(&["workflow", "diff", "life/report", file, "--url", &url]).await.exits(0);
    assert!(shown.stdout.contains("-  - done:"), "{shown:?}");
    let shown = windlass(&["workflow", "get", digest, "--url", &url]).await.exits(0);
    assert_eq!(shown.stdout, waits);
    windlass(&["deploy", file, "--replace", "--url", &url]).await.exits(0);
    let shown = windlass(&["workflow", "get", "life/report", "--url", &url]).await.exits(0);
    assert_eq!(shown.stdout, waits);
}

#[tokio::test]
async fn a_version_is_retired_and_deleted_when_nothing_needs_it() {
    let mut dev = Dev::start().await;
    dev.api.deploy(&text("1.0.0", QUICK)).await;
    let second = dev.api.deploy(&text("2.0.0", WAITS)).await;
    let parent = dev
        .api
        .deploy(
            "document: { dsl: '1.0.3', namespace: life, name: parent, version: '1.0.0' }\ndo:\n  - \
             child: { run: { workflow: { namespace: life, name: report, version: '2.0.0' } } }\n",
        )
        .await;
    let running = dev.api.start(&second, &json!({})).await;
    dev.api.reaches(&running, "waiting").await;
    assert_eq!(delete(&dev.api, "2.0.0").await.problem(409)["code"], "WL0542");
    let url = dev.api.base();
    let call = async |arguments: &[&str]| {
        windlass(&[&["workflow"], arguments, &["--url", &url]].concat()).await
    };
    let retired = call(&["retire", "life/report:2.0.0"]).await.exits(0).json();
    assert_eq!((&retired["version"], &retired["latest"]), (&json!("2.0.0"), &json!(false)));
    assert!(retired["retiredAt"].is_string(), "{retired}");

    // Nothing new is started of it, by whatever way; what runs goes on.
    let body = json!({"workflow": second, "input": {}});
    assert_eq!(dev.api.post("/v1/instances", &body).await.problem(409)["code"], "WL0541");
    let failed = dev.api.run(&parent, &json!({})).await;
    assert_eq!(failed["error"]["status"], 400, "{failed}");
    let latest = json!({"namespace": "life", "name": "report"});
    let ended = dev.api.run(&latest, &json!({})).await;
    let view = dev.api.show(ended["id"].as_str().unwrap()).await;
    assert_eq!(view["workflow"]["version"], "1.0.0", "{view}");
    let schedule = dev.api.get("/v1/schedules/life/report").await.ok();
    assert_eq!(schedule["version"], "1.0.0", "{schedule}");
    assert_eq!(dev.api.show(&running).await["status"], "waiting");
    dev.restart().await;
    dev.api.post("/v1/instances", &body).await.problem(409);
    let url = dev.api.base();
    let call = async |arguments: &[&str]| {
        windlass(&[&["workflow"], arguments, &["--url", &url]].concat()).await
    };
    let listed = call(&["list", "--name", "report", "--output", "table"]).await.exits(0).stdout;
    assert!(listed.contains("retired 20") && listed.contains("latest"), "{listed}");
    call(&["restore", "life/report:2.0.0"]).await.exits(0);
    assert_eq!(dev.api.get("/v1/schedules/life/report").await.ok()["version"], "2.0.0");
    call(&["retire", "life/report:2.0.0"]).await.exits(0);
    call(&["retire", "life/report:1.0.0"]).await.exits(0);
    dev.api.get("/v1/schedules/life/report").await.problem(404);

    // The history of an instance needs its definition.
    assert_eq!(delete(&dev.api, "2.0.0").await.problem(409)["code"], "WL0542");
    dev.api.deploy(&text("3.0.0", QUICK)).await;
    call(&["retire", "life/report:3.0.0"]).await.exits(0);
    call(&["delete", "life/report:3.0.0"]).await.exits(0);
    assert_eq!(delete(&dev.api, "3.0.0").await.problem(404)["code"], "WL0502");
    let event = json!({"specversion": "1.0", "id": "1", "source": "test", "type": "go"});
    dev.api.event(&event).await;
    dev.api.reaches(&running, "completed").await;
}

#[tokio::test]
async fn who_changed_what_is_in_the_audit_trail() {
    let dev = Dev::start().await;
    let order =
        |method, path: &str| dev.api.request(method, path).header("x-request-id", "ticket-7");
    let send = async |path: &str, body: serde_json::Value| {
        Api::send(order(Method::POST, path).json(&body)).await.unwrap()
    };
    let deploy = async |path: &str, text: &str| {
        let request = order(Method::POST, path).header("content-type", "application/yaml");
        let answer = Api::send(request.body(text.to_owned())).await.unwrap().ok();
        answer["digest"].as_str().unwrap().to_owned()
    };
    let first = deploy("/v1/workflows", &text("1.0.0", QUICK)).await;
    // The same again changes nothing, and so does what is refused.
    deploy("/v1/workflows", &text("1.0.0", QUICK)).await;
    dev.api.deploy_text(&text("1.0.0", "  - other: { set: { n: 2 } }\n")).await.problem(409);
    let second =
        deploy("/v1/workflows?replace=true", &text("1.0.0", "  - a: { set: { n: 3 } }\n")).await;
    let function = deploy("/v1/functions/greet/1.0.0", "set: { hello: '${ .name }' }\n").await;
    deploy("/v1/functions/greet/1.0.0", "set: { hello: '${ .name }' }\n").await;
    let reason = json!({"reason": "the shop is closed"});
    send("/v1/schedules/life/report/pause", reason).await.ok();
    let started = send("/v1/schedules/life/report/trigger", json!({})).await.ok();
    dev.api.reaches(started["id"].as_str().unwrap(), "completed").await;
    dev.api.deploy(&text("2.0.0", QUICK)).await;
    for action in ["retire", "restore", "retire"] {
        send(&format!("/v1/workflows/life/report/2.0.0/{action}"), json!({})).await.ok();
    }
    let deleted = order(Method::DELETE, "/v1/workflows/life/report/2.0.0");
    Api::send(deleted).await.unwrap();
    send("/v1/schedules/life/none/pause", json!({})).await.problem(404);
    let told = until(SOON, "the audit events", || async {
        let lines = dev.api.get("/v1/audit").await.ok();
        let lines: Vec<_> = lines["items"]
            .as_array()?
            .iter()
            // What came of it is told apart.
            .filter(|it| it["intent"].is_null())
            .map(|it| (it["action"].clone(), it["detail"].clone(), it["request"].clone()))
            .collect();
        (lines.len() >= 10).then_some(lines)
    })
    .await;
    let version = |action: &str, before: &str, after: &str| {
        format!("{action} life/report:2.0.0, digest {before} -> {after}")
    };
    let third = told
        .iter()
        .find_map(|it| it.1.as_str()?.strip_prefix("deploy life/report:2.0.0, digest none -> "))
        .unwrap();
    let wanted = [
        ("definition.changed", format!("deploy life/report:1.0.0, digest none -> {first}")),
        ("definition.changed", format!("replace life/report:1.0.0, digest {first} -> {second}")),
        ("function.published", format!("greet:1.0.0, digest none -> {function}")),
        ("schedule.changed", "pause life/report: the shop is closed".to_owned()),
        ("schedule.changed", "trigger life/report".to_owned()),
        ("definition.changed", version("retire", third, third)),
        ("definition.changed", version("restore", third, third)),
        ("definition.changed", version("delete", third, "none")),
    ];
    for (action, detail) in wanted {
        let wanted = (json!(action), json!(detail), json!("ticket-7"));
        assert!(told.contains(&wanted), "{detail} is not in {told:?}");
    }
    assert_eq!(told.len(), 10, "{told:?}");
}
