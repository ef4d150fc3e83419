//! `metadata.windlass.limit`: shares of limits, over kills of the server too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::load::setting;
use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, moment, until};

/// A workflow under a limit.
fn limited(limit: &str, tasks: &str) -> String {
    format!(
        "document:\n  dsl: '1.0.3'\n  namespace: limits\n  name: limited\n  version: '1.0.0'\n  \
         metadata: {{ windlass: {{ limit: {limit} }} }}\ndo:\n{tasks}\n"
    )
}

const HOUR: &str = "  - rest: { wait: PT1H }";

/// Who is between its calls of `enter` and `leave`, by tenant, and the most there were.
#[derive(Default)]
struct Inside {
    now: BTreeMap<String, BTreeSet<String>>,
    most: usize,
    order: Vec<String>,
}

/// Counts who is inside; a delivery that comes twice changes nothing.
async fn doors() -> (Stub, Arc<Mutex<Inside>>) {
    let inside: Arc<Mutex<Inside>> = Arc::default();
    let shared = inside.clone();
    let stub = Stub::http(move |seen| {
        let mut inside = shared.lock().unwrap();
        let parts: Vec<&str> = seen.path.trim_start_matches('/').split('/').collect();
        let (tenant, id) = (parts[1].to_owned(), parts[2].to_owned());
        let of_tenant = inside.now.entry(tenant).or_default();
        if parts[0] == "enter" {
            of_tenant.insert(id.clone());
            let now = of_tenant.len();
            inside.most = inside.most.max(now);
            if !inside.order.contains(&id) {
                inside.order.push(id);
            }
        } else {
            of_tenant.remove(&id);
        }
        Reply::Json(200, json!({}))
    });
    (stub.await, inside)
}

/// Enters, rests and leaves.
fn visits(stub: &Stub) -> String {
    let call = |what: &str| {
        let url = stub.url("");
        format!(
            "  - {what}: {{ call: http, with: {{ method: put, endpoint: '${{ \"{url}/{what}/\" + \
             $workflow.input.tenant + \"/\" + $workflow.id }}' }} }}"
        )
    };
    format!("{}\n  - rest: {{ wait: {{ milliseconds: 20 }} }}\n{}", call("enter"), call("leave"))
}

async fn starts(api: &Api, workflow: &Value, count: usize, tenant: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(api.start(workflow, &json!({"tenant": tenant})).await);
    }
    ids
}

async fn share(api: &Api, id: &str) -> Value {
    api.show(id).await["limits"][0].clone()
}

/// Waits until an instance has its share.
async fn holds(api: &Api, id: &str) {
    until(SOON, "it has a share", async || (share(api, id).await["state"] == "held").then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn never_more_than_may_and_all_in_the_end_although_the_server_is_killed() {
    let (stub, inside) = doors().await;
    let mut dev = Dev::start().await;
    let limit = "{ key: '${ .tenant }', concurrency: 2 }";
    let workflow = dev.api.deploy(&limited(limit, &visits(&stub))).await;
    let mut ids = starts(&dev.api, &workflow, 14, "one").await;
    ids.extend(starts(&dev.api, &workflow, 6, "two").await);
    let mut random = fastrand::Rng::with_seed(setting("WINDLASS_LIMITS_SEED", 11));
    for _ in 0..setting("WINDLASS_LIMITS_KILLS", 5) {
        moment(Duration::from_millis(random.u64(5..150))).await;
        dev.restart().await;
    }
    for id in &ids {
        let ended = dev.api.ends(id).await;
        assert_eq!(ended["status"], "completed", "{ended}");
    }
    let inside = inside.lock().unwrap();
    assert!(inside.most <= 2, "{} were inside at once", inside.most);
    assert!(inside.now.values().all(BTreeSet::is_empty));
    assert_eq!(inside.order.len(), ids.len());
    assert_eq!(dev.stderr().matches("panicked").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_served_in_order_and_says_where_each_stands() {
    let mut dev = Dev::start().await;
    let limit = "{ key: '${ .tenant }', concurrency: 1 }";
    let workflow = dev.api.deploy(&limited(limit, HOUR)).await;
    let ids = starts(&dev.api, &workflow, 4, "one").await;
    holds(&dev.api, &ids[0]).await;
    let other = starts(&dev.api, &workflow, 1, "two").await;
    holds(&dev.api, &other[0]).await;
    for round in 0..2 {
        for (place, id) in ids.iter().enumerate().skip(1) {
            let share = until(SOON, "it stands in line", async || {
                let share = share(&dev.api, id).await;
                (share["place"] == place).then_some(share)
            });
            let share = share.await;
            assert_eq!((&share["state"], &share["holding"]), (&json!("waiting"), &json!(1)));
            assert_eq!(share["limit"], "`limited` of `one`");
        }
        if round == 0 {
            dev.restart().await;
        }
    }
    let cancel = |id: String| {
        let api = &dev.api;
        async move { api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok() }
    };
    cancel(ids[2].clone()).await;
    cancel(ids[0].clone()).await;
    holds(&dev.api, &ids[1]).await;
    assert_eq!(share(&dev.api, &ids[3]).await["place"], 1, "the one before it has gone");
    cancel(ids[1].clone()).await;
    holds(&dev.api, &ids[3]).await;
    let history = dev.api.history(&ids[3]).await;
    let events: Vec<&str> = history.iter().filter_map(|it| it["event"].as_str()).collect();
    assert!(events.contains(&"limit.waiting") && events.contains(&"limit.taken"), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_it_full_is_skipped_fails_or_takes_the_place_of_the_oldest() {
    let dev = Dev::start().await;
    let deploy = async |name: &str, on_full: &str| {
        let limit = format!("{{ concurrency: 1, onFull: {on_full} }}");
        let text = limited(&limit, HOUR).replace("name: limited", &format!("name: {name}"));
        dev.api.deploy(&text).await
    };
    for (name, on_full, status) in [("skips", "skip", "cancelled"), ("fails", "fail", "faulted")] {
        let workflow = deploy(name, on_full).await;
        let ids = starts(&dev.api, &workflow, 1, "one").await;
        holds(&dev.api, &ids[0]).await;
        let second = starts(&dev.api, &workflow, 1, "one").await;
        let ended = dev.api.ends(&second[0]).await;
        assert_eq!(ended["status"], status, "{ended}");
        let history = dev.api.history(&second[0]).await;
        assert!(history.iter().any(|it| it["event"] == "limit.refused"), "{history:?}");
        if on_full == "fail" {
            let error = &ended["error"];
            assert_eq!(error["type"], "https://windlass.dev/errors/limit", "{ended}");
            assert_eq!(error["status"], 429, "{ended}");
        }
    }
    let workflow = deploy("displaces", "cancel-oldest").await;
    let first = starts(&dev.api, &workflow, 1, "one").await;
    holds(&dev.api, &first[0]).await;
    let second = starts(&dev.api, &workflow, 1, "one").await;
    assert_eq!(dev.api.ends(&first[0]).await["status"], "cancelled");
    holds(&dev.api, &second[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_counts_what_began_before_a_restart() {
    let mut dev = Dev::start().await;
    let text = limited("{ rate: 2/d }", "  - a: { set: { done: true } }");
    let workflow = dev.api.deploy(&text).await;
    let ids = starts(&dev.api, &workflow, 3, "one").await;
    for id in &ids[..2] {
        assert_eq!(dev.api.ends(id).await["status"], "completed");
    }
    dev.restart().await;
    let more = starts(&dev.api, &workflow, 1, "one").await;
    for (id, place) in [(&ids[2], 1), (&more[0], 2)] {
        until(SOON, "it waits", async || {
            (share(&dev.api, id).await["place"] == place).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_have_limits_of_their_own_and_errors_that_are_caught() {
    let (stub, inside) = doors().await;
    let dev = Dev::start().await;
    let branch = |name: &str| {
        let visits = visits(&stub).replace("$workflow.id", &format!("\"{name}\""));
        let visits = visits.replace("\n", "\n          ");
        format!(
            "        - {name}:\n            metadata: {{ windlass: {{ limit: {{ name: door, key: \
             '${{ .tenant }}', concurrency: 1 }} }} }}\n            do:\n          {visits}\n"
        )
    };
    let branches: String = ["a", "b", "c"].map(branch).concat();
    let text = format!(
        "document: {{ dsl: '1.0.3', namespace: limits, name: forks, version: '1.0.0' }}\ndo:\n  \
         - all:\n      fork:\n        branches:\n{branches}"
    );
    let workflow = dev.api.deploy(&text).await;
    let id = dev.api.start(&workflow, &json!({"tenant": "one"})).await;
    let ended = dev.api.ends(&id).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    {
        let inside = inside.lock().unwrap();
        assert_eq!((inside.most, inside.order.len()), (1, 3), "{:?}", inside.order);
    }

    let task = |on_full: &str| {
        format!(
            "document: {{ dsl: '1.0.3', namespace: limits, name: {on_full}s, version: '1.0.0' }}\n\
             do:\n  - t:\n      try:\n        - one: {{ wait: PT1H, metadata: {{ windlass: {{ \
             limit: {{ concurrency: 1, onFull: {on_full} }} }} }} }}\n        - two: {{ set: {{ skipped: \
             true }} }}\n      catch:\n        errors: {{ with: {{ type: \
             https://windlass.dev/errors/limit, status: 429 }} }}\n        do:\n          - caught: \
             {{ set: {{ caught: true }} }}\n"
        )
    };
    for (on_full, output) in [("skip", "skipped"), ("fail", "caught")] {
        let workflow = dev.api.deploy(&task(on_full)).await;
        let first = dev.api.start(&workflow, &json!({})).await;
        holds(&dev.api, &first).await;
        let second = dev.api.start(&workflow, &json!({})).await;
        assert_eq!(dev.api.ends(&second).await["output"], json!({output: true}), "{on_full}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_none_fails() {
    let dev = Dev::start().await;
    let workflow = dev.api.deploy(&limited("{ key: '${ .tenant }', concurrency: 1 }", HOUR)).await;
    for input in [json!({}), json!({"tenant": ["a"]}), json!({"tenant": "x".repeat(257)})] {
        let id = dev.api.start(&workflow, &input).await;
        let ended = dev.api.ends(&id).await;
        let detail = ended["error"]["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("`limit.key`"), "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_retried_asks_for_a_share_anew() {
    let broken = Arc::new(Mutex::new(true));
    let shared = broken.clone();
    let stub = Stub::http(move |_| match *shared.lock().unwrap() {
        true => Reply::Json(400, json!({})),
        false => Reply::Json(200, json!({"done": true})),
    })
    .await;
    let mut dev = Dev::start().await;
    let url = stub.url("/do");
    let tasks = format!(
        "  - first: {{ set: {{ tenant: one }} }}\n  - work:\n      call: http\n      with: {{ \
         method: get, endpoint: '{url}' }}\n      metadata: {{ windlass: {{ limit: {{ concurrency: \
         1 }} }} }}"
    );
    let limit = "{ key: '${ .tenant }', concurrency: 1 }";
    let workflow = dev.api.deploy(&limited(limit, &tasks)).await;
    let failed = dev.api.start(&workflow, &json!({"tenant": "one"})).await;
    assert_eq!(dev.api.ends(&failed).await["status"], "faulted");
    let other = limited(limit, HOUR).replace("version: '1.0.0'", "version: '1.0.1'");
    let other = dev.api.deploy(&other).await;
    let holder = dev.api.start(&other, &json!({"tenant": "one"})).await;
    holds(&dev.api, &holder).await;

    *broken.lock().unwrap() = false;
    let path = format!("/v1/instances/{failed}/retry");
    let retried = dev.api.post(&path, &json!({})).await.ok();
    let retried = retried["id"].as_str().unwrap().to_owned();
    for round in 0..2 {
        until(SOON, "it waits in line", async || {
            (share(&dev.api, &retried).await["place"] == 1).then_some(())
        })
        .await;
        if round == 0 {
            dev.restart().await;
        }
    }
    assert_eq!(stub.seen().len(), 1, "nothing of it has gone on");
    dev.api.post(&format!("/v1/instances/{holder}/cancel"), &json!({})).await.ok();
    let ended = dev.api.ends(&retried).await;
    assert_eq!((&ended["status"], &ended["output"]), (&json!("completed"), &json!({"done": true})));
}
