//! More work than workers: who goes first, and what is refused.

use serde_json::{Value, json};

use super::{Gate, call};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::until::{SOON, until};

/// A workflow of this namespace that makes one call, in this pool.
async fn deploy(gate: &Gate, fleet: &Fleet, namespace: &str, pool: &str) -> Value {
    let endpoint = gate.stub.url("/{kind}/{id}");
    let text = format!(
        "document: {{dsl: '1.0.3', namespace: {namespace}, name: call, version: '1.0.0', \
         metadata: {{windlass: {{pool: {pool}}}}}}}\n\
         do:\n- call: {{call: http, with: {{method: post, endpoint: '{endpoint}'}}}}\n"
    );
    fleet.api.deploy(&text).await
}

/// The value of a metric of this pool.
async fn metric(fleet: &Fleet, name: &str, pool: &str) -> u64 {
    let text = fleet.api.get("/metrics").await.ok();
    let sample = format!("{name}{{pool=\"{pool}\"}} ");
    let found = text.as_str().and_then(|it| it.lines().find_map(|it| it.strip_prefix(&sample)));
    found.unwrap_or_else(|| panic!("no {sample}in {text}")).parse().unwrap()
}

async fn start(fleet: &Fleet, workflow: &Value, id: &str, priority: u8) -> String {
    let input = call("quick", id);
    let body = json!({"workflow": workflow, "input": input, "priority": priority});
    let answer = fleet.api.post("/v1/instances", &body).await.ok();
    answer["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_backlog_namespaces_take_turns_and_priority_rules_within_one() {
    let (gate, nats) = (Gate::new().await, Nats::start().await);
    let fleet = Fleet::with(Layout::on(&nats.url(), 1).worker(&["--concurrency", "1"])).await;
    let many = deploy(&gate, &fleet, "many", "default").await;
    let few = deploy(&gate, &fleet, "few", "default").await;
    // One call occupies the only worker while the others come.
    let first = fleet.api.start(&many, &call("held", "first")).await;
    gate.reached("/held/first", 1).await;
    let mut all = vec![first];
    for number in 0..6 {
        all.push(start(&fleet, &many, &format!("m{number}"), 5).await);
    }
    all.push(start(&fleet, &many, "urgent", 9).await);
    all.push(start(&fleet, &many, "someday", 0).await);
    all.push(start(&fleet, &few, "f0", 0).await);
    let waiting = "windlass_assignments_waiting";
    until(SOON, "nine waiting", || async {
        (metric(&fleet, waiting, "default").await == 9).then_some(())
    })
    .await;
    assert_eq!(metric(&fleet, "windlass_assignments_in_flight", "default").await, 1);

    gate.open();
    for id in &all {
        assert_eq!(fleet.api.ends(id).await["status"], "completed");
    }
    let order: Vec<_> = gate.stub.seen().iter().map(|it| it.path.clone()).collect();
    let place = |id: &str| order.iter().position(|it| it.ends_with(&format!("/{id}"))).unwrap();
    assert!(place("f0") <= 2, "the other namespace waits for one task at most: {order:?}");
    assert!(place("urgent") <= 2, "{order:?}");
    assert_eq!(place("someday"), 9, "{order:?}");
    assert!(
        (0..5).all(|it| place(&format!("m{it}")) < place(&format!("m{}", it + 1))),
        "{order:?}"
    );
    assert_eq!(metric(&fleet, waiting, "default").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backlog_refuses_starts_of_its_namespace_alone() {
    let (gate, nats) = (Gate::new().await, Nats::start().await);
    let fleet = Fleet::with(Layout::on(&nats.url(), 0).coordinator(&["--max-backlog", "3"])).await;
    let full = deploy(&gate, &fleet, "full", "default").await;
    let free = deploy(&gate, &fleet, "free", "default").await;
    for number in 0..3 {
        start(&fleet, &full, &number.to_string(), 5).await;
    }
    let body = json!({"workflow": full, "input": call("quick", "x")});
    let refused = until(SOON, "a refusal", || async {
        let answer = fleet.api.post("/v1/instances", &body).await;
        (answer.status.as_u16() == 429).then_some(answer)
    })
    .await;
    assert!(refused.headers.contains_key("retry-after"), "{:?}", refused.headers);
    refused.problem(429);
    start(&fleet, &free, "y", 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_goes_to_its_pool_and_waits_for_it() {
    let (gate, nats) = (Gate::new().await, Nats::start().await);
    let mut fleet = Fleet::start(&nats, 1).await;
    let workflow = deploy(&gate, &fleet, "pools", "gpu").await;
    let id = start(&fleet, &workflow, "g", 5).await;
    until(SOON, "the task waiting in its pool", || async {
        (metric(&fleet, "windlass_assignments_waiting", "gpu").await == 1).then_some(())
    })
    .await;
    assert_eq!(gate.stub.count("/quick/g"), 0);
    let url = nats.url();
    let other = fleet.add_worker(&url);
    fleet.workers[other].arguments.extend(["--pool".to_owned(), "gpu".to_owned()]);
    fleet.workers[other].launch();
    assert_eq!(fleet.api.ends(&id).await["status"], "completed");
    assert_eq!(gate.stub.count("/quick/g"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_holds_without_any_worker() {
    let nats = Nats::start().await;
    let fleet = Fleet::start(&nats, 0).await;
    let text = "document: {dsl: '1.0.3', namespace: fleet, name: late, version: '1.0.0'}\n\
                do:\n- call: {call: echo, with: {a: 1}, timeout: {after: PT0.3S}}\n";
    let workflow = fleet.api.deploy(text).await;
    let view = fleet.api.run(&workflow, &json!({})).await;
    assert_eq!(view["status"], "faulted", "{view}");
    assert!(view["error"]["type"].as_str().unwrap().ends_with("/timeout"), "{view}");
    until(SOON, "nothing waiting any more", || async {
        (metric(&fleet, "windlass_assignments_waiting", "default").await == 0).then_some(())
    })
    .await;
}
