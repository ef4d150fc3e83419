//! Listeners whose filters are dear, and events that are offered to all of them.

use serde_json::{Value, json};

use super::victim::Victim;
use super::{peak_memory, size};
use crate::support::client::Api;
use crate::support::dev::Dev;

fn listener(namespace: &str, name: &str, filter: &str) -> String {
    format!(
        "document: {{dsl: 1.0.3, namespace: {namespace}, name: {name}, version: 1.0.0}}\ndo:\n  \
         - l:\n      listen:\n        to:\n          any:\n            - with: {{type: t, data: '{filter}'}}\n          \
         until: '(. | length) == 5'\n"
    )
}

async fn listens(api: &Api, workflow: &Value) -> String {
    let id = api.start(workflow, &json!({})).await;
    api.reaches(&id, "waiting").await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn dear_filters_neither_hold_up_others_nor_keep_events_from_them() {
    let mut dev = Dev::start().await;
    let api = dev.api.clone();
    let dear = listener("attacker", "dear", "${ [range(900000)] | length > 0 }");
    let dear = api.deploy(&dear).await;
    // Of the attacker's namespace as well: cheap ones get the event whatever the others cost.
    let cheap = api.deploy(&listener("attacker", "cheap", "${ .n >= 0 }")).await;
    let other = api.deploy(&listener("other", "cheap", "${ .n >= 0 }")).await;
    let mut listeners = vec![listens(&api, &cheap).await, listens(&api, &other).await];
    for _ in 0..20 * size() {
        listens(&api, &dear).await;
    }
    listeners.extend([listens(&api, &cheap).await, listens(&api, &other).await]);

    let victim = Victim::begin(&api).await;
    let events = 5_u64;
    for n in 0..events {
        let event = json!({"specversion": "1.0", "id": n.to_string(), "source": "s", "type": "t",
            "data": {"n": n}});
        let answer = api.event(&event).await;
        assert_eq!(answer["consumed"], json!(listeners.len()), "{answer}");
    }
    let memory = peak_memory(&mut dev);
    victim.end("dear filters", memory).await;
    for id in &listeners {
        // Each event once, and in order.
        let ended = api.ends(id).await;
        let path = format!("/v1/instances/{id}/output");
        assert_eq!(ended["status"], "completed", "{ended}");
        let all: Vec<Value> = (0..events).map(|n| json!({"n": n})).collect();
        assert_eq!(api.get(&path).await.ok()["output"], json!(all));
    }
    let metrics = api.get("/metrics").await.ok();
    let counted = metrics.as_str().unwrap().lines().find_map(|line| {
        line.strip_prefix("windlass_event_filters_too_dear_total ")?.parse::<usize>().ok()
    });
    assert_eq!(counted, Some(5 * 20 * size()), "filters that are too dear are counted");
}
