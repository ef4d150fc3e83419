//! Workflows that want more memory than there is.

use serde_json::{Value, json};
use windlass_proto::limits::TURN_MESSAGES;

use super::victim::Victim;
use super::{peak_memory, size};
use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::until::{SOON, until};

fn definition(name: &str, rest: &str) -> String {
    format!("document: {{dsl: 1.0.3, namespace: hog, name: {name}, version: 1.0.0}}\n{rest}\n")
}

/// A figure of `/metrics`.
async fn metric(api: &Api, name: &str) -> u64 {
    let text = api.request(reqwest::Method::GET, "/metrics").send().await.unwrap();
    let text = text.text().await.unwrap();
    let line = text.lines().find_map(|it| it.strip_prefix(&format!("{name} ")));
    line.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("no {name} in:\n{text}"))
}

/// Branches side by side, each of which makes a text of 8 MB.
fn fork(branches: usize) -> String {
    let branch = |it| format!("{{b{it}: {{set: '${{ (\"x\" * 8388608) + \"{it}\" }}'}}}}");
    let branches: Vec<String> = (0..branches).map(branch).collect();
    definition("fork", &format!("do: [{{f: {{fork: {{branches: [{}]}}}}}}]", branches.join(", ")))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_wants_too_much_fails_and_nobody_else_does() {
    let mut dev = Dev::with(&["--memory-budget", "512MiB"].map(String::from)).await;
    let wide = dev.api.deploy(&fork(24 * size())).await;
    let growing = dev
        .api
        .deploy(&definition(
            "growing",
            "do: [{a: {set: {x: '${ [range(20000)] }'}, export: {as: '${ $context + \
             {($context | length | tostring): .x} }'}, then: a}}]",
        ))
        .await;
    let victim = Victim::begin(&dev.api).await;
    // The context meets the bound of one payload before that of the instance.
    let attacks = [(&wide, "/runtime"), (&growing, "/expression"), (&wide, "/runtime")];
    for (workflow, kind) in attacks {
        let id = dev.api.start(workflow, &json!({})).await;
        let patience = SOON * u32::try_from(size()).unwrap();
        let outcome = until(patience, "the end of the attack", || async {
            let view = dev.api.show(&id).await;
            view["endedAt"].is_string().then_some(view)
        })
        .await;
        assert_eq!(outcome["status"], "faulted", "{}", outcome["id"]);
        let error = &outcome["error"];
        assert!(error["type"].as_str().unwrap().ends_with(kind), "{error}");
        assert!(error["instance"].as_str().unwrap().starts_with("/do/0/"), "{error}");
    }
    let memory = peak_memory(&mut dev);
    victim.end("instances that want too much memory", memory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_wait_leave_memory_and_starts_beyond_the_budget_are_refused() {
    let mut dev = Dev::with(&["--memory-budget", "400MiB"].map(String::from)).await;
    let sleep = dev.api.deploy(&definition("sleep", "do: [{w: {wait: PT1H}}]")).await;
    let body = json!({"workflow": sleep, "input": "x".repeat(6 << 20)});
    let mut ids = Vec::new();
    for _ in 0..30 * size() {
        let started = dev.api.post("/v1/instances", &body).await.ok();
        ids.push(started["id"].as_str().unwrap().to_owned());
    }
    // 180 MB in all, of which each of two partitions keeps 64 MiB at most.
    let held = metric(&dev.api, "windlass_memory_bytes").await;
    assert!(held < 150 << 20, "{held} bytes");
    let asleep = peak_memory(&mut dev);
    for id in &ids {
        dev.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
    }
    assert_eq!(dev.api.show(&ids[0]).await["input"], body["input"], "it is still there to see");
    println!("hostile memory: {} sleeping instances of 6 MB, peak {asleep} MB", ids.len());

    // A budget smaller than one start refuses it, and says when to come again.
    let dev = Dev::with(&["--memory-budget", "128MiB"].map(String::from)).await;
    let waits = "do: [{f: {fork: {branches: [{a: {wait: PT1H}}, {b: {wait: PT1H}}]}}}]";
    let hold = dev.api.deploy(&definition("hold", waits)).await;
    let mut refused = None;
    for _ in 0..40 {
        let large = json!({"workflow": hold, "input": "y".repeat(15 << 20)});
        let answer = dev.api.post("/v1/instances", &large).await;
        if answer.status.as_u16() == 429 {
            refused = Some(answer.problem(429));
            break;
        }
    }
    let small = json!({"workflow": hold, "input": 1});
    let refused = refused.expect("a start is refused before the budget is spent");
    assert_eq!(refused["code"], "WL0506", "{refused}");
    assert!(dev.api.post("/v1/instances", &small).await.status.is_success());
}

/// What the process was working on when it was killed, as its file says: for each partition the one
/// instance, and those of the turn up to an empty slot.
fn working(dev: &Dev) -> Vec<String> {
    const SLOT: usize = 32;
    let file = std::fs::read(dev.data().join("working")).unwrap_or_default();
    let mut ids = Vec::new();
    for slots in file.chunks((1 + TURN_MESSAGES) * SLOT) {
        let mut slots =
            slots.chunks_exact(SLOT).map(|it| uuid::Uuid::from_slice(&it[..16]).unwrap());
        ids.extend(slots.next().filter(|it| !it.is_nil()));
        ids.extend(slots.take_while(|it| !it.is_nil()));
    }
    ids.iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_over_which_the_process_dies_again_and_again_is_set_aside() {
    let mut dev = Dev::start().await;
    // A second of steps at a time, so that a kill nearly always meets it.
    let heavy = "do: [{l: {for: {in: '${ [range(2000)] }'}, do: [{s: {set: \
                 '${ [range(150000)] | length }'}}]}}]";
    let heavy = dev.api.deploy(&definition("heavy", heavy)).await;
    let light = dev.api.deploy(&definition("light", "do: [{w: {wait: PT2S}}]")).await;
    let id = dev.api.start(&heavy, &json!({})).await;
    let other = dev.api.start(&light, &json!({})).await;
    let mut deaths = 0;
    for _ in 0..40 {
        until(SOON, "its turn", || async { working(&dev).contains(&id).then_some(()) }).await;
        dev.kill().await;
        deaths = if working(&dev).contains(&id) { deaths + 1 } else { 0 };
        dev.launch();
        dev.ready().await;
        if deaths == 3 {
            break;
        }
    }
    assert_eq!(deaths, 3, "the kills never met it three times in a row");
    let shown: Value = dev.api.reaches(&id, "suspended").await;
    let detail = shown["error"]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("ended 3 times in a row"), "{shown}");
    assert_eq!(metric(&dev.api, "windlass_instances_quarantined_total").await, 1);
    assert_eq!(dev.api.ends(&other).await["status"], "completed", "the others go on");
    let history = dev.api.history(&id).await;
    assert!(history.iter().any(|it| it["event"] == "instance.quarantined"), "{history:?}");

    dev.api.post(&format!("/v1/instances/{id}/resume"), &json!({})).await.ok();
    let before = history.len();
    until(SOON, "it to go on", || async {
        (dev.api.history(&id).await.len() > before + 2).then_some(())
    })
    .await;
    dev.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
    assert_eq!(dev.api.ends(&id).await["status"], "cancelled");
}
