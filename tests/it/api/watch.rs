//! Following an instance by server-sent events.

use reqwest::Method;
use serde_json::{Value, json};

use super::definition;
use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::until::{SOON, within};

/// One event of the stream: its name, its id and its data.
#[derive(Debug)]
struct Sent {
    name: String,
    id: Option<u64>,
    data: Value,
}

/// Reads the stream to its end.
async fn read(request: reqwest::RequestBuilder) -> Vec<Sent> {
    let response = within(SOON, "the stream", request.send()).await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("text/event-stream"), "{kind}");
    let text = within(SOON, "the end of the stream", response.text()).await.unwrap();
    let field = |block: &str, name: &str| {
        block.lines().find_map(|it| it.strip_prefix(name)).map(|it| it.trim().to_owned())
    };
    let sent = |block: &str| {
        Some(Sent {
            name: field(block, "event:")?,
            id: field(block, "id:").and_then(|it| it.parse().ok()),
            data: serde_json::from_str(&field(block, "data:")?).unwrap(),
        })
    };
    text.split("\n\n").filter_map(sent).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_the_history_as_it_happens_and_then_the_end() {
    let dev = Dev::start().await;
    let tasks = "  - rest: { wait: { milliseconds: 300 } }\n  - done: { set: { done: true } }";
    let workflow = dev.api.deploy(&definition("watched", tasks)).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    let path = format!("/v1/instances/{id}/watch");
    let sent = read(dev.api.request(Method::GET, &path)).await;
    let (end, entries) = sent.split_last().unwrap();
    assert_eq!((end.name.as_str(), &end.data["status"]), ("end", &json!("completed")));
    assert_eq!(end.data["output"], json!({"done": true}));
    let history = dev.api.history(&id).await;
    let told: Vec<Value> = entries.iter().map(|it| it.data.clone()).collect();
    assert_eq!(told, history);
    let names: Vec<&str> = entries.iter().map(|it| it.name.as_str()).collect();
    for name in ["instance.started", "task.started", "task.completed", "instance.completed"] {
        assert!(names.contains(&name), "no {name} in {names:?}");
    }

    let seen = entries[1].id.unwrap();
    let rest = dev.api.request(Method::GET, &path).header("last-event-id", seen);
    let rest = read(rest).await;
    assert_eq!(rest.first().and_then(|it| it.id), entries[2].id, "it goes on behind the last");

    // Who broke off before the end gets it; who has seen it, as an EventSource that connects anew
    // has, is told that nothing follows.
    let last = entries.last().unwrap().id.unwrap();
    let rest = read(dev.api.request(Method::GET, &path).header("last-event-id", last)).await;
    assert_eq!(rest.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["end"]);
    assert_eq!((rest[0].id, end.id), (Some(last + 1), Some(last + 1)));
    let again = dev.api.request(Method::GET, &path).header("last-event-id", last + 1);
    assert_eq!(Api::send(again).await.unwrap().status.as_u16(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_numbered_and_comes_in_pages() {
    let dev = Dev::start().await;
    let tasks =
        "  - many: { for: { each: it, in: '[range(20)]' }, do: [ { a: { set: { x: 1 } } } ] }";
    let workflow = dev.api.deploy(&definition("paged", tasks)).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    dev.api.ends(&id).await;
    let whole = dev.api.history(&id).await;
    let numbers: Vec<u64> = whole.iter().map(|it| it["sequence"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers[0] == 0, "{numbers:?}");
    assert!(whole.iter().all(|it| it["at"].is_string()));
    let page = dev.api.get(&format!("/v1/instances/{id}/history?from=5&limit=3")).await.ok();
    let items = page["items"].as_array().unwrap();
    let from = whole.iter().position(|it| it["sequence"].as_u64() >= Some(5)).unwrap();
    assert_eq!(items.as_slice(), &whole[from..from + items.len()], "{page}");
    assert!(items.len() <= 3 && !items.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_history_holds_no_more_than_some_large_values() {
    let dev = Dev::start().await;
    let tasks = "  - many: { for: { each: it, in: '[range(6)]' }, do: [ { a: { set: { x: \
                 '${ \"x\" * 3000000 }' } } } ] }";
    let workflow = dev.api.deploy(&definition("large", tasks)).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    dev.api.ends(&id).await;
    let (mut from, mut values, mut pages) = (0, 0, 0);
    loop {
        let path = format!("/v1/instances/{id}/history?from={from}&limit=1000");
        let page = dev.api.get(&path).await.ok();
        assert!(page.to_string().len() < 12_000_000, "the page from {from}");
        let items = page["items"].as_array().unwrap();
        let is_value = |it: &&serde_json::Value| it["data"]["output"]["x"].is_string();
        values += items.iter().filter(is_value).count();
        pages += 1;
        let Some(next) = page["next"].as_u64() else { break };
        from = next;
    }
    assert!(pages > 2, "{pages} pages");
    assert!(values >= 6, "{values} values");
}
