//! More to tell than the coordinator takes: attempts wait, nothing faults, and the trail is whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::house::{House, Wishes};
use crate::support::client::is_final;
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, moment, until};

/// How long the coordinator stays away.
const AWAY: Duration = Duration::from_secs(3);

/// Workflows of the load and secrets of each task: together far more events than a worker's outbox
/// has room for. `WINDLASS_PRESSURE_INSTANCES` and `WINDLASS_PRESSURE_SECRETS` make it another one.
fn load() -> (usize, usize) {
    let number = |name: &str, usual| {
        std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(usual)
    };
    (number("WINDLASS_PRESSURE_INSTANCES", 100), number("WINDLASS_PRESSURE_SECRETS", 8))
}

/// Sends all its secrets.
fn definition(url: &str, secrets: usize) -> String {
    let names: Vec<String> = (0..secrets).map(|it| format!("key-{it}")).collect();
    let body: Vec<String> = names.iter().map(|it| format!("$secrets[\"{it}\"]")).collect();
    format!(
        "document: {{dsl: '1.0.3', namespace: shop, name: pay, version: '1.0.0'}}
use: {{secrets: [{}]}}
do:
- send:
    call: http
    with:
      method: post
      endpoint: '{url}'
      headers: {{x-secrets: '${{ [{}] | join(\"+\") }}'}}
      body: '${{ .number }}'
",
        names.join(", "),
        body.join(", ")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_is_away_delays_what_cannot_be_told_and_faults_nothing() {
    let (instances, secrets) = load();
    let expected = (0..secrets).map(|it| format!("c4nary-{it}")).collect::<Vec<_>>().join("+");
    let stub = Stub::http(move |seen| match seen.header("x-secrets") == Some(&*expected) {
        true => Reply::Json(200, json!({"answer": seen.body.parse::<u64>().unwrap() + 1})),
        false => Reply::Text(401, "wrong secrets".into()),
    })
    .await;
    let setup = vec!["--batch-tokens".to_owned()];
    let mut house = House::with(Wishes { workers: 1, setup, ..Wishes::default() }).await;
    for number in 0..secrets {
        let value = json!({"value": format!("c4nary-{number}")});
        house.put("shop", &format!("key-{number}"), value).await;
    }
    let workflow = house.fleet.api.deploy(&definition(&stub.url("/pay"), secrets)).await;

    // The store has the keys from now on: the coordinator comes back elsewhere.
    let first = house.fleet.api.run(&workflow, &json!({"number": 0})).await;
    assert_eq!(first["output"], json!({"answer": 1}), "{first}");

    // All that it takes has come to the worker when it goes on, and the coordinator is away.
    house.fleet.workers[0].stop().await;
    let (api, workflow) = (&house.fleet.api, &workflow);
    let starting = (0..instances).map(|number| async move {
        (number, api.start(workflow, &json!({"number": number})).await)
    });
    let started = futures_util::stream::iter(starting).buffer_unordered(32);
    let started = started.collect::<Vec<_>>().await;
    house.fleet.coordinator.kill().await;
    house.fleet.workers[0].cont();
    moment(AWAY).await;
    house.fleet.coordinator.launch();
    house.fleet.ready().await;

    let api = &house.fleet.api;
    let mut faulted = 0;
    for (number, id) in &started {
        let outcome = until(SOON * 4, "the end of a workflow", || async {
            let view = api.show(id).await;
            is_final(&view).then_some(view)
        })
        .await;
        let right = outcome["output"] == json!({"answer": number + 1});
        if !right {
            eprintln!("{outcome}");
        }
        faulted += usize::from(!right);
    }
    assert_eq!(faulted, 0, "of {instances}");
    assert_eq!(stub.count("/pay"), 1 + instances, "nothing was done twice");
    assert_whole(&house, 1 + instances, secrets).await;
    house.fleet.assert_sound();
}

/// Asserts that the trail tells of each attempt all it did, once.
async fn assert_whole(house: &House, instances: usize, secrets: usize) {
    let expected = instances * (2 * secrets + 2);
    let path = house.fleet.data().join("audit.jsonl");
    let events: Vec<Value> = until(SOON, "the whole trail", || async {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let whole = &text[..text.rfind('\n').map_or(0, |it| it + 1)];
        let events = whole.lines().map(|it| serde_json::from_str(it).unwrap());
        // That the workflow was deployed and workers came is told as well, and of no attempt; so
        // are heads.
        let others = ["definition.changed", "audit.head"];
        let of_attempts = |it: &Value| {
            let action = it["action"].as_str().unwrap();
            !others.contains(&action) && !action.starts_with("worker.")
        };
        let events: Vec<Value> = events.filter(of_attempts).collect();
        (events.len() >= expected).then_some(events)
    })
    .await;
    let mut attempts: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for event in &events {
        let task = &event["task"];
        let attempt = format!("{}/{}/{}", task["instance"], task["visit"], task["delivery"]);
        let action = event["action"].as_str().unwrap().to_owned();
        *attempts.entry(attempt).or_default().entry(action).or_default() += 1;
    }
    assert_eq!(attempts.len(), instances);
    let whole = [
        ("secret.granted", secrets),
        ("secret.lease.expired", 1),
        ("secret.login", 1),
        ("secret.requested", secrets),
    ];
    let whole = BTreeMap::from(whole.map(|(action, times)| (action.to_owned(), times)));
    for (attempt, told) in attempts {
        assert_eq!(told, whole, "{attempt}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_fetch_the_keys_for_a_moment_delays_a_login() {
    let house = House::new().await;
    house.put("acme", "api-key", json!({"value": "hunter2"})).await;
    let published = house.fleet.api.get("/.well-known/jwks.json").await.ok();
    let away = Arc::new(AtomicBool::new(false));
    let (answer, pay) = (away.clone(), json!({"paid": true}));
    let stub = Stub::http(move |seen| match (seen.path.as_str(), answer.load(Ordering::Relaxed)) {
        ("/keys", true) => Reply::Text(503, "starting".into()),
        ("/keys", false) => Reply::Json(200, published.clone()),
        _ => Reply::Json(200, pay.clone()),
    })
    .await;
    let mut config = house.bao.read("auth/windlass/config").await.ok()["data"].clone();
    config["jwks_url"] = stub.url("/keys").into();
    house.bao.write("auth/windlass/config", config).await;
    away.store(true, Ordering::Relaxed);
    let asked = stub.count("/keys");
    let workflow = super::deploy_call(&house.fleet, &stub.url("/pay")).await;
    let id = house.fleet.api.start(&workflow, &json!({})).await;
    until(SOON, "two tries", || async { (stub.count("/keys") > asked + 1).then_some(()) }).await;
    away.store(false, Ordering::Relaxed);
    let ended = house.fleet.api.ends(&id).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    assert_eq!(stub.count("/pay"), 1);

    // When it does not come back, that is what is said, and not that nobody permits it.
    let config = house.bao.read("auth/windlass/config").await.ok()["data"].clone();
    house.bao.write("auth/windlass/config", config).await;
    away.store(true, Ordering::Relaxed);
    let ended = house.fleet.api.run(&workflow, &json!({})).await;
    let error = &ended["error"];
    assert_eq!((&ended["status"], &error["status"]), (&"faulted".into(), &503.into()), "{ended}");
    assert!(error["detail"].as_str().unwrap().contains("public keys"), "{ended}");
    house.fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_cannot_be_sealed_for_a_while_is_kept_and_nothing_is_done_twice() {
    let (open, gate) = watch::channel(false);
    let stub = Stub::http(move |seen| {
        let echo = seen.header("authorization").unwrap_or_default().to_owned();
        Reply::Gated(gate.clone(), Box::new(Reply::Json(200, json!({"echo": echo}))))
    })
    .await;
    let house = House::new().await;
    house.put("shop", "key", json!({"value": "c4nary-of-the-result"})).await;
    let text = format!(
        "document: {{dsl: '1.0.3', namespace: shop, name: pay, version: '1.0.0'}}
use: {{secrets: [key]}}
do:
- send:
    call: http
    with:
      method: post
      endpoint: '{}'
      headers: {{authorization: '${{ \"Bearer \" + $secrets.key }}'}}
",
        stub.url("/pay")
    );
    let workflow = house.fleet.api.deploy(&text).await;
    let id = house.fleet.api.start(&workflow, &json!({})).await;
    until(SOON, "the side effect", || async { (stub.count("/pay") == 1).then_some(()) }).await;
    house.bao.seal().await;
    open.send(true).unwrap();
    // Longer than a lease of the worker, which holds the result.
    moment(Duration::from_secs(8)).await;
    assert_eq!(house.fleet.api.show(&id).await["status"], "running");
    house.bao.unseal().await;
    let ended = house.fleet.api.ends(&id).await;
    assert_eq!(
        (&ended["status"], &ended["output"]["echo"]),
        (&"completed".into(), &"«sealed»".into())
    );
    assert_eq!(stub.count("/pay"), 1);
    house.fleet.assert_sound();
}
