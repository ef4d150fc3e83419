//! Listeners whose filters are dear, and events that are offered to all of them.

use serde_json::{Value, json};

use super::victim::Victim;
use super::{peak_memory, size};
use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::until::{SOON, until};

fn listener(namespace: &str, name: &str, filter: &str) -> String {
    format!(
        "document: {{dsl: 1.0.3, namespace: {namespace}, name: {name}, version: 1.0.0}}\ndo:\n  \
         - l:\n      listen:\n        to:\n          any:\n            - with: {{type: t, data: '{filter}'}}\n          \
         until: false\n"
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
        let consumed: Vec<Value> = until(SOON, "the events of a listener", || async {
            let entries = api.history(id).await;
            let items = entries.iter().filter(|it| it["event"] == "event.consumed");
            let items: Vec<Value> = items.cloned().collect();
            (items.len() as u64 >= events).then_some(items)
        })
        .await;
        assert_eq!(consumed.len() as u64, events, "{consumed:?}");
    }
    let metrics = api.get("/metrics").await.ok();
    let counted = metrics.as_str().unwrap().lines().find_map(|line| {
        line.strip_prefix("windlass_event_filters_too_dear_total ")?.parse::<usize>().ok()
    });
    assert_eq!(counted, Some(5 * 20 * size()), "filters that are too dear are counted");
}
