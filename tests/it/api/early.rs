//! Events that come before anybody listens.

use std::time::Duration;

use serde_json::{Value, json};

use super::definition;
use crate::load::setting;
use crate::support::client::Api;
use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::until::{SOON, moment, until};

fn paid(id: &str, order: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/shop", "type": "com.example.paid",
        "data": {"order": order},
    })
}

/// Waits for the payment of its order.
fn order() -> String {
    definition(
        "order",
        "  - hear:
      listen:
        to:
          one:
            with: { type: com.example.paid, data: '${ .order == $input.order }' }
        read: envelope
  - result: { set: { paid: '${ .[0].id }' } }",
    )
}

/// Hears all payments, two of them.
fn payments() -> String {
    definition(
        "payments",
        "  - hear:
      listen:
        to:
          any:
            - with: { type: com.example.paid }
          until: '( . | length ) == 2'
        read: envelope
  - result: { set: { paid: '${ map(.id) }' } }",
    )
}

async fn events(api: &Api, state: &str) -> Vec<Value> {
    let path = format!("/v1/namespaces/api/events?state={state}");
    api.get(&path).await.ok()["items"].as_array().unwrap().clone()
}

/// Waits until so many events are kept: that they are is told before a consumption is durable
/// elsewhere.
async fn kept(api: &Api, count: usize) -> Vec<Value> {
    until(SOON, "the events that are kept", || async {
        let all = events(api, "kept").await;
        (all.len() == count).then_some(all)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_waits_for_the_first_instance_that_wants_it() {
    let dev = Dev::start().await;
    let api = &dev.api;
    let unknown = api.event(&paid("0", "a")).await;
    assert_eq!((&unknown["kept"], &unknown["keptUntil"]), (&json!(0), &Value::Null), "{unknown}");
    let workflow = api.deploy(&order()).await;
    let answer = api.event(&paid("1", "a")).await;
    assert_eq!((&answer["consumed"], &answer["kept"]), (&json!(0), &json!(1)), "{answer}");
    let again = api.event(&paid("1", "a")).await;
    assert_eq!(again["keptUntil"], answer["keptUntil"], "a repeat is kept once");
    api.event(&paid("2", "b")).await;
    api.event(&paid("3", "a")).await;
    let listed = kept(api, 3).await;
    assert_eq!(listed.iter().map(|it| &it["id"]).collect::<Vec<_>>(), ["1", "2", "3"]);
    let shown = format!("/v1/namespaces/api/events/{}", listed[1]["key"].as_str().unwrap());
    assert_eq!(api.get(&shown).await.ok()["event"]["data"], json!({"order": "b"}));
    let elsewhere = shown.replace("/api/", "/other/");
    assert_eq!(api.get(&elsewhere).await.problem(404)["code"], "WL0560");

    let ended = api.run(&workflow, &json!({"order": "a"})).await;
    assert_eq!(ended["output"], json!({"paid": "1"}), "the one that came first");
    kept(api, 2).await;
    let repeat = api.event(&paid("1", "a")).await;
    assert_eq!((&repeat["consumed"], &repeat["kept"]), (&json!(0), &json!(0)), "it was consumed");
    assert_eq!(api.run(&workflow, &json!({"order": "a"})).await["output"], json!({"paid": "3"}));
    let late = api.start(&workflow, &json!({"order": "c"})).await;
    api.reaches(&late, "waiting").await;
    let answer = api.event(&paid("4", "c")).await;
    assert_eq!((&answer["consumed"], &answer["kept"]), (&json!(1), &json!(0)), "{answer}");
    assert_eq!(api.ends(&late).await["output"], json!({"paid": "4"}));
    assert_eq!(kept(api, 1).await[0]["id"], "2");
    let metrics = api.get("/metrics").await.ok();
    for line in ["kept_total 3", "consumed_total 2", "expired_total 0", "refused_total 0"] {
        let line = format!("\nwindlass_early_events_{line}\n");
        assert!(metrics.as_str().unwrap().contains(&line), "{line}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_gathers_takes_them_in_the_order_in_which_they_came() {
    let dev = Dev::start().await;
    let workflow = dev.api.deploy(&payments()).await;
    for id in ["1", "2", "3"] {
        assert_eq!(dev.api.event(&paid(id, "a")).await["kept"], 1);
    }
    assert_eq!(dev.api.run(&workflow, &json!({})).await["output"], json!({"paid": ["1", "2"]}));
    let second = dev.api.start(&workflow, &json!({})).await;
    dev.api.event(&paid("4", "a")).await;
    assert_eq!(dev.api.ends(&second).await["output"], json!({"paid": ["3", "4"]}));
    // Who hears everything takes nothing away from those who wait for something.
    let all = definition("all", "  - hear: { listen: { to: { any: [] } } }");
    let all = dev.api.deploy(&all).await;
    dev.api.event(&paid("5", "a")).await;
    let hears = dev.api.start(&all, &json!({})).await;
    dev.api.reaches(&hears, "waiting").await;
    assert_eq!(dev.api.event(&paid("6", "a")).await["consumed"], 1);
    assert_eq!(dev.api.ends(&hears).await["output"], json!([{"order": "a"}]));
    assert_eq!(kept(&dev.api, 1).await[0]["id"], "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_instance_emits_waits_for_another_one() {
    let mut dev = Dev::start().await;
    let says = definition(
        "says",
        "  - say:
      emit:
        event:
          with: { source: /shop, type: com.example.paid, data: { order: '${ .order }' } }",
    );
    let (order, says) = (dev.api.deploy(&order()).await, dev.api.deploy(&says).await);
    let said = dev.api.run(&says, &json!({"order": "a"})).await["output"]["id"].clone();
    assert_eq!(kept(&dev.api, 1).await[0]["id"], said);
    dev.restart().await;
    let ended = dev.api.run(&order, &json!({"order": "a"})).await;
    assert_eq!(ended["output"], json!({"paid": said}), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_namespace_has_its_own() {
    let dev = Dev::start().await;
    let elsewhere = order().replace("namespace: api", "namespace: other");
    let (here, there) = (dev.api.deploy(&order()).await, dev.api.deploy(&elsewhere).await);
    let id = dev.api.start(&here, &json!({"order": "a"})).await;
    dev.api.reaches(&id, "waiting").await;
    let answer = dev.api.event(&paid("1", "a")).await;
    assert_eq!((&answer["consumed"], &answer["kept"]), (&json!(1), &json!(1)), "{answer}");
    assert_eq!(events(&dev.api, "kept").await.len(), 0, "the namespace has had it");
    assert_eq!(dev.api.run(&there, &json!({"order": "a"})).await["output"], json!({"paid": "1"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_schedule_of_another_namespace_had_is_still_kept() {
    let dev = Dev::start().await;
    let scheduled = definition("scheduled", "  - done: { set: { done: true } }")
        .replace("do:\n", "schedule: { on: { one: { with: { type: com.example.paid } } } }\ndo:\n");
    dev.api.deploy(&scheduled.replace("namespace: api", "namespace: other")).await;
    let workflow = dev.api.deploy(&order()).await;
    // Whichever partitions the schedule and the instance fall to.
    for number in 0..6 {
        let id = number.to_string();
        let answer = dev.api.event(&paid(&id, &id)).await;
        assert_eq!((&answer["consumed"], &answer["kept"]), (&json!(1), &json!(1)), "{answer}");
        let ended = dev.api.run(&workflow, &json!({"order": id})).await;
        assert_eq!(ended["output"], json!({"paid": id}), "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_of_what_was_kept_reaches_nobody_else() {
    let mut dev = Dev::start().await;
    let workflow = dev.api.deploy(&order()).await;
    let input = json!({"order": "a"});
    assert_eq!(dev.api.event(&paid("1", "a")).await["kept"], 1);
    assert_eq!(dev.api.run(&workflow, &input).await["output"], json!({"paid": "1"}));
    // Whichever partitions they fall to.
    let mut waiting = Vec::new();
    for _ in 0..6 {
        waiting.push(dev.api.start(&workflow, &input).await);
    }
    for id in &waiting {
        dev.api.reaches(id, "waiting").await;
    }
    for _ in 0..2 {
        let repeat = dev.api.event(&paid("1", "a")).await;
        assert_eq!((&repeat["consumed"], &repeat["kept"]), (&json!(0), &json!(0)), "{repeat}");
        dev.restart().await;
    }
    let next = dev.api.event(&paid("2", "a")).await;
    assert_eq!((&next["consumed"], &next["kept"]), (&json!(6), &json!(0)), "{next}");
    for id in &waiting {
        assert_eq!(dev.api.ends(id).await["output"], json!({"paid": "2"}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_for_one_instance_is_for_nobody_else() {
    let dev = Dev::start().await;
    let workflow = dev.api.deploy(&order()).await;
    let input = json!({"order": "a"});
    let other = dev.api.start(&workflow, &input).await;
    dev.api.reaches(&other, "waiting").await;
    let later = definition(
        "later",
        "  - rest: { wait: PT1H }
  - hear: { listen: { to: { one: { with: { type: com.example.paid } } } } }",
    );
    let later = dev.api.deploy(&later).await;
    let mine = dev.api.start(&later, &input).await;
    dev.api.reaches(&mine, "waiting").await;
    let text = paid("1", "a").to_string();
    let url = dev.api.base();
    let send = ["event", "send", &text, "--instance", &mine, "--url", &url];
    let answer = windlass(&send).await.exits(0).json();
    assert_eq!((&answer["consumed"], &answer["kept"]), (&json!(0), &json!(1)), "{answer}");
    assert_eq!(kept(&dev.api, 1).await[0]["instance"], json!(mine));
    let skip = ["skip", &mine, "--task", "/do/0/rest", "--output", "{}", "--url", &url];
    windlass(&skip).await.exits(0);
    assert_eq!(dev.api.ends(&mine).await["output"], json!([{"order": "a"}]));
    assert_eq!(dev.api.show(&other).await["status"], "waiting");
    let path = format!("/v1/instances/{other}/events");
    let answer = dev.api.post(&path, &paid("1", "a")).await.ok();
    assert_eq!(answer["consumed"], 1, "it is another event for another instance: {answer}");
    dev.api.ends(&other).await;
    assert_eq!(dev.api.post(&path, &paid("2", "a")).await.problem(409)["code"], "WL0505");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_wanted_in_time_is_a_dead_letter() {
    let dev = Dev::with(&["--event-ttl".to_owned(), "PT0.001S".to_owned()]).await;
    let workflow = dev.api.deploy(&order()).await;
    let answer = dev.api.event(&paid("1", "a")).await;
    assert_eq!(answer["kept"], 1, "{answer}");
    let dead = until(SOON, "the end of its time", || async {
        let dead = events(&dev.api, "dead").await;
        (!dead.is_empty()).then_some(dead)
    })
    .await;
    assert_eq!((&dead[0]["id"], &dead[0]["state"]), (&json!("1"), &json!("expired")));
    let id = dev.api.start(&workflow, &json!({"order": "a"})).await;
    dev.api.reaches(&id, "waiting").await;
    let url = dev.api.base();
    let listed = windlass(&["event", "list", "api", "--dead", "--url", &url]).await.exits(0).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    // Its definition may ask for longer.
    let patient = order().replace(
        "  version: '1.0.0'",
        "  version: '2.0.0'\n  metadata: { windlass: { keepEvents: P1D } }",
    );
    let patient = dev.api.deploy(&patient).await;
    dev.api.event(&paid("2", "b")).await;
    assert_eq!(dev.api.run(&patient, &json!({"order": "b"})).await["output"], json!({"paid": "2"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn none_is_kept_where_that_is_switched_off() {
    let dev = Dev::with(&["--event-ttl".to_owned(), "0s".to_owned()]).await;
    dev.api.deploy(&order()).await;
    assert_eq!(dev.api.event(&paid("1", "a")).await["kept"], 0);
    let refused = windlass(&["dev", "--event-ttl", "8d"]).await.exits(2).stderr;
    assert!(refused.contains("seven days"), "{refused}");
}

/// Starts an instance for an order, once.
fn start(api: &Api, workflow: &Value, order: &str) -> reqwest::RequestBuilder {
    let body = json!({"workflow": workflow, "input": {"order": order}});
    let request = api.request(reqwest::Method::POST, "/v1/instances").json(&body);
    request.header("idempotency-key", order)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_consumed_once_although_the_process_is_killed_all_the_time() {
    let mut dev = Dev::start().await;
    let workflow = dev.api.deploy(&order()).await;
    let mut chance = fastrand::Rng::with_seed(11);
    let rounds = setting("WINDLASS_EARLY_KILLS", 4);
    let mut started = Vec::new();
    for round in 0..rounds {
        let api = &dev.api;
        let sent = async {
            for number in 0..6_u64 {
                let order = format!("{round}-{number}");
                let request = api.request(reqwest::Method::POST, "/v1/events");
                // Whether it was taken is not known where there is no answer.
                let _ = Api::send(request.json(&paid(&order, &order))).await;
                let _ = Api::send(start(api, &workflow, &order)).await;
            }
        };
        let step = chance.u64(1..40);
        tokio::select! {
            () = sent => {}
            () = moment(Duration::from_millis(step)) => {}
        }
        dev.restart().await;
        for number in 0..6_u64 {
            let order = format!("{round}-{number}");
            dev.api.event(&paid(&order, &order)).await;
            let answer = Api::send(start(&dev.api, &workflow, &order)).await.unwrap();
            let id = answer.ok()["id"].clone();
            started.push((order, id.as_str().unwrap().to_owned()));
        }
    }
    for (order, id) in &started {
        assert_eq!(dev.api.ends(id).await["output"], json!({"paid": order}), "{id}");
    }
    kept(&dev.api, 0).await;
    assert_eq!(dev.stderr().matches("panicked").count(), 0);
}
