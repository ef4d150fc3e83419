//! A fleet whose attempts share logins: whose they are, how long they last, and who is told.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::house::{House, SHARED, Wishes};
use crate::support::client::Api;
use crate::support::stub::{Reply, Seen, Stub};
use crate::support::until::{SOON, until};

/// A workflow of two tasks that each send the secret `<name>-key` to `url`.
fn sending(name: &str, url: &str) -> String {
    let send = format!(
        "call: http, with: {{method: post, endpoint: '{url}', body: {{key: \
         '${{ $secrets[\"{name}-key\"] }}'}}}}"
    );
    format!(
        "document: {{dsl: '1.0.3', namespace: acme, name: {name}, version: '1.0.0'}}\n\
         use: {{secrets: [{name}-key]}}\ndo:\n- first: {{{send}}}\n- second: {{{send}}}\n"
    )
}

fn named(name: &str) -> Value {
    json!({"namespace": "acme", "name": name, "version": "1.0.0"})
}

fn done(_: &Seen) -> Reply {
    Reply::Json(200, json!({"done": true}))
}

/// A fleet of one worker with two workflows, and a secret for each.
async fn house(url: &str) -> House {
    let wishes = Wishes { workers: 1, vault: SHARED.to_owned(), ..Wishes::default() };
    let house = House::with(wishes).await;
    for name in ["orders", "bills"] {
        house.fleet.api.deploy(&sending(name, url)).await;
        house.put("acme", &format!("{name}-key"), json!({"value": format!("c4nary-{name}")})).await;
    }
    house
}

/// How many requests of tasks to `path` the store has answered.
fn responses(house: &House, path: &str) -> usize {
    let of = |it: &&Value| {
        let by_root = it["auth"]["policies"] == json!(["root"]);
        it["type"] == "response" && it["request"]["path"] == path && !by_root
    };
    house.bao.audit_log().iter().filter(of).count()
}

/// The audit events of this action that are on disk.
fn events(house: &House, action: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(house.fleet.data().join("audit.jsonl")).unwrap_or_default();
    // The last line may be half written.
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|it| it["action"] == action).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_share_the_login_of_their_rights_and_each_tells_of_its_own() {
    const RUNS: usize = 12;
    let stub = Stub::http(done).await;
    let house = house(&stub.url("/")).await;
    let run = |number: usize| {
        let name = if number.is_multiple_of(2) { "orders" } else { "bills" };
        let api = house.fleet.api.clone();
        async move { api.run(&named(name), &json!({})).await }
    };
    for outcome in futures_util::future::join_all((0..RUNS).map(run)).await {
        assert_eq!(outcome["status"], "completed", "{outcome}");
    }
    let sent = |name: &str| stub.seen().iter().filter(|it| it.body.contains(name)).count();
    assert_eq!((sent("c4nary-orders"), sent("c4nary-bills")), (RUNS, RUNS));
    let logins = responses(&house, "auth/windlass/login");
    // Two at least; on a machine so slow that one grew old, another.
    assert!((2..RUNS).contains(&logins), "{logins} logins");
    for name in ["orders", "bills"] {
        let path = format!("secret/data/production/acme/{name}-key");
        assert_eq!(responses(&house, &path), RUNS, "each attempt reads for itself");
    }
    // Given back when idle, each of them once.
    until(SOON, "all logins given back", || async {
        (responses(&house, "auth/token/revoke-self") == logins).then_some(())
    })
    .await;
    assert_eq!(house.bao.list("auth/token/accessors").await.len(), 1);

    let known = house.bao.request_ids();
    let granted = until(SOON, "all grants on disk", || async {
        let granted = events(&house, "secret.granted");
        (granted.len() == 2 * RUNS).then_some(granted)
    })
    .await;
    let requests: BTreeSet<_> = granted.iter().map(|it| it["request"].to_string()).collect();
    assert_eq!(requests.len(), 2 * RUNS, "each has a request of its own");
    for event in granted.iter().chain(&events(&house, "secret.login")) {
        let request = event["request"].as_str().expect("the id of the request");
        assert!(known.contains(request), "{event}");
        assert!(event["task"]["instance"].is_string(), "{event}");
    }
    house.fleet.assert_sound();
}

async fn set_policy(api: &Api, policy: &str) {
    let request = api.request(Method::PUT, "/v1/secrets/policy").body(policy.to_owned());
    Api::send(request.header("content-type", "application/toml")).await.unwrap().ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_login_outlives_a_change_of_policy() {
    let (open, gate) = tokio::sync::watch::channel(false);
    let stub = Stub::http(move |seen| match seen.path.as_str() {
        "/slow" => Reply::Gated(gate.clone(), Box::new(done(seen))),
        _ => done(seen),
    })
    .await;
    let house = house(&stub.url("/")).await;
    let slow = sending("orders", &stub.url("/slow")).replace("'1.0.0'", "'1.0.1'");
    house.fleet.api.deploy(&slow).await;
    let api = &house.fleet.api;
    assert_eq!(api.run(&named("orders"), &json!({})).await["status"], "completed");
    let slow = json!({"namespace": "acme", "name": "orders", "version": "1.0.1"});
    let held = api.start(&slow, &json!({})).await;
    until(SOON, "its request", || async {
        stub.seen().iter().any(|it| it.path == "/slow").then_some(())
    })
    .await;

    // A login of these rights is there, and nobody begins to use it.
    set_policy(api, "[[allow]]\nsecrets = [\"bills-*\"]\n").await;
    let before = stub.seen().len();
    let refused = api.run(&named("orders"), &json!({})).await;
    assert_eq!((&refused["status"], &refused["error"]["status"]), (&"faulted".into(), &403.into()));
    assert_eq!(stub.seen().len(), before);
    assert_eq!(api.run(&named("bills"), &json!({})).await["status"], "completed");
    // Nor does what runs go on to read: its next task is refused.
    open.send(true).unwrap();
    assert_eq!(api.ends(&held).await["error"]["status"], 403);
    until(SOON, "the end of all logins", || async {
        (house.bao.list("auth/token/accessors").await.len() == 1).then_some(())
    })
    .await;
    house.fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_drains_gives_its_logins_back_at_once() {
    let stub = Stub::http(done).await;
    let mut house = house(&stub.url("/")).await;
    let ended = house.fleet.api.run(&named("orders"), &json!({})).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    house.fleet.workers[0].terminate().await;
    // Whether it was idle for long or not: the process has ended, and nothing is left of it.
    assert_eq!(house.bao.list("auth/token/accessors").await.len(), 1);
    until(SOON, "the return on disk", || async {
        (!events(&house, "secret.lease.revoked").is_empty()).then_some(())
    })
    .await;
}
