//! `metadata.windlass.onFault: {workflow}`: what is started when an instance faults.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::{Api, is_final};
use crate::support::dev::Dev;
use crate::support::until::{SOON, until};

/// A workflow of the namespace `faults` that has `handler` started when it faults.
fn definition(name: &str, handler: &str, tasks: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: faults, name: {name}, version: '1.0.0', metadata: \
         {{ windlass: {{ onFault: {{ workflow: {handler} }} }} }} }}\ndo:\n{tasks}\n"
    )
}

const RAISES: &str =
    "- a: { raise: { error: { type: 'https://e.example/x', status: 500, detail: gone } } }";

/// The instances that one has started.
async fn started_by(api: &Api, id: &str) -> Vec<Value> {
    let page = api.get(&format!("/v1/instances?parent={id}")).await.ok();
    page["items"].as_array().unwrap().clone()
}

/// What was started for a faulted instance, once it has ended.
async fn handler(api: &Api, id: &str) -> Value {
    let faulted = api.ends(id).await;
    assert_eq!(faulted["status"], "faulted", "{faulted}");
    let handler = faulted["faultHandler"]["id"].as_str().unwrap_or_else(|| panic!("{faulted}"));
    until(SOON, "the end of what handles a fault", || async {
        // It may be on its way to another partition.
        let answer = api.get(&format!("/v1/instances/{handler}")).await;
        (answer.status == 200 && is_final(&answer.body)).then_some(answer.body)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_starts_one_although_the_process_is_killed_then() {
    let mut dev = Dev::start().await;
    dev.api.deploy(&definition("sweep", "sweep", "- keep: { set: '${ . }' }")).await;
    let workflow = dev.api.deploy(&definition("breaks", "sweep", RAISES)).await;
    let api = dev.api.clone();
    let start = async |n: u32| {
        let body = json!({"workflow": workflow, "input": {"n": n}});
        let answer = Api::send(api.request(Method::POST, "/v1/instances").json(&body)).await;
        answer.ok().filter(|it| it.status.is_success()).map(|it| it.body["id"].clone())
    };
    // The kill comes when some were answered, among the others.
    let mut starts: FuturesUnordered<_> = (0..40).map(start).collect();
    let mut known = Vec::new();
    for _ in 0..10 {
        known.extend(starts.next().await.flatten());
    }
    let (rest, ()) = tokio::join!(starts.collect::<Vec<_>>(), dev.kill());
    known.extend(rest.into_iter().flatten());
    dev.launch();
    dev.ready().await;
    assert!(known.len() >= 10);
    for id in &known {
        let id = id.as_str().unwrap();
        let handled = handler(&dev.api, id).await;
        let (view, output) = (dev.api.show(id).await, &handled["output"]);
        assert_eq!((&handled["parent"], &handled["root"]), (&json!(id), &json!(id)), "{handled}");
        assert_eq!((&output["instance"], &output["error"]), (&json!(id), &view["error"]));
        assert_eq!((&output["input"], &output["workflow"]), (&view["input"], &view["workflow"]));
        let children = started_by(&dev.api, id).await;
        assert_eq!(children.len(), 1, "one for each fault: {children:?}");
        let history = dev.api.history(id).await;
        let told = history.iter().filter(|it| it["event"] == "instance.handled");
        assert_eq!(told.count(), 1, "{history:?}");
    }
}

/// Runs `child` and waits for it.
const AWAITS: &str = "
document: { dsl: '1.0.3', namespace: faults, name: awaits, version: '1.0.0' }
do:
- run: { run: { workflow: { namespace: faults, name: child, version: '1.0.0' } } }
";

const CHILD: &str = "
document: { dsl: '1.0.3', namespace: faults, name: child, version: '1.0.0' }
do:
- keep: { set: { x: 1 } }
";

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_starts_once_it_may_unless_its_version_has_gone() {
    let dev = Dev::start().await;
    let api = &dev.api;
    api.deploy(&definition("sweep", "sweep", "- keep: { set: '${ . }' }")).await;
    let breaks = api.deploy(&definition("breaks", "sweep", RAISES)).await;
    api.deploy(CHILD).await;
    let awaits = api.deploy(AWAITS).await;
    let workflow = |name: &str| format!("/v1/workflows/faults/{name}");
    for name in ["sweep", "child"] {
        api.post(&format!("{}/suspend", workflow(name)), &json!({})).await.ok();
    }
    let id = api.start(&breaks, &json!({})).await;
    let parent = api.start(&awaits, &json!({})).await;
    assert_eq!(api.ends(&id).await["status"], "faulted");
    until(SOON, "the child's being awaited", || async {
        let open = api.show(&parent).await["open"].clone();
        (open[0]["state"] == "waiting for a child workflow").then_some(())
    })
    .await;
    // It is asked for still, so it stays.
    let kept = Api::send(api.request(Method::DELETE, &format!("/v1/instances/{id}"))).await;
    assert!([429, 503].contains(&kept.unwrap().status.as_u16()));
    assert_eq!(api.show(&id).await["faultHandler"]["error"], Value::Null);
    assert_eq!(started_by(api, &id).await, Vec::<Value>::new());
    let version = format!("{}/1.0.0", workflow("child"));
    api.post(&format!("{version}/retire"), &json!({})).await.ok();
    let gone = Api::send(api.request(Method::DELETE, &version)).await.unwrap();
    assert!(gone.status.is_success(), "{}", gone.body);
    for name in ["sweep", "child"] {
        api.post(&format!("{}/resume", workflow(name)), &json!({})).await.ok();
    }
    let ended = api.ends(&parent).await;
    let detail = ended["error"]["detail"].as_str().unwrap();
    assert!(detail.contains("was retired while it waited"), "{ended}");
    assert_eq!(handler(api, &id).await["output"]["instance"], id);
    let history = api.history(&id).await;
    assert_eq!(history.last().unwrap()["event"], "instance.handled", "{history:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_handles_a_fault_is_not_handled_and_what_is_not_there_is_said() {
    let dev = Dev::start().await;
    // It names itself, and faults as well.
    let circle = dev.api.deploy(&definition("circle", "circle", RAISES)).await;
    let id = dev.api.start(&circle, &json!({})).await;
    let handled = handler(&dev.api, &id).await;
    assert_eq!((&handled["status"], &handled["faultHandler"]), (&json!("faulted"), &Value::Null));
    let count = dev.api.get("/v1/instances/count?namespace=faults").await.ok();
    assert_eq!(count["count"], 2);
    // Nor is one that goes on for it.
    let own = handled["id"].as_str().unwrap();
    let again = dev.api.post(&format!("/v1/instances/{own}/retry"), &json!({})).await.ok();
    let again = dev.api.ends(again["id"].as_str().unwrap()).await;
    assert_eq!(again["faultHandler"], Value::Null, "{again}");

    let lost = dev.api.deploy(&definition("lost", "nowhere", RAISES)).await;
    let id = dev.api.start(&lost, &json!({})).await;
    let view = until(SOON, "the refusal", || async {
        let view = dev.api.show(&id).await;
        view["faultHandler"]["error"].is_object().then_some(view)
    })
    .await;
    let detail = view["faultHandler"]["error"]["detail"].as_str().unwrap();
    assert!(detail.contains("`onFault` names faults/nowhere:latest"), "{detail}");
    let history = dev.api.history(&id).await;
    assert_eq!(history.last().unwrap()["event"], "instance.unhandled", "{history:?}");
}
