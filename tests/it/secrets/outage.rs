//! A store that goes away while hundreds of tasks need it.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::house::{House, Wishes};
use crate::support::fleet::Fleet;
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, moment, until};

/// Workflows of one load.
const LOAD: usize = 500;
/// Clients that start them.
const STARTERS: usize = 16;

/// Sends the secret, and tries again for as long as the store is away.
fn definition(url: &str) -> String {
    format!(
        "document: {{dsl: '1.0.3', namespace: shop, name: pay, version: '1.0.0'}}
use: {{secrets: [key]}}
do:
- attempt:
    try:
    - send:
        call: http
        with:
          method: post
          endpoint: '{url}'
          headers: {{authorization: '${{ \"Bearer \" + $secrets.key }}'}}
          body: '${{ .number }}'
    catch:
      errors: {{with: {{type: 'https://serverlessworkflow.io/spec/1.0.0/errors/runtime', status: 503}}}}
      retry:
        delay: {{milliseconds: 200}}
        backoff: {{exponential: {{}}}}
        jitter: {{from: {{milliseconds: 0}}, to: {{milliseconds: 200}}}}
        limit: {{attempt: {{count: 60}}, duration: {{minutes: 5}}}}
- result: {{set: {{answer: '${{ .answer }}'}}}}
"
    )
}

/// A house, the server its tasks send to, and the workflow.
async fn house() -> (House, Stub, Value) {
    let stub = Stub::http(|seen| match seen.header("authorization") {
        Some("Bearer c4nary-of-the-outage") => {
            Reply::Json(200, json!({"answer": seen.body.parse::<u64>().unwrap() + 1}))
        }
        _ => Reply::Text(401, "wrong credentials".into()),
    })
    .await;
    let house = House::with(Wishes { workers: 2, ..Wishes::default() }).await;
    house.put("shop", "key", json!({"value": "c4nary-of-the-outage"})).await;
    let workflow = house.fleet.api.deploy(&definition(&stub.url("/pay"))).await;
    (house, stub, workflow)
}

/// Starts the load while `fault` is done; checks that each workflow ended as it should.
async fn drive(fleet: &Fleet, workflow: &Value, fault: impl Future<Output = ()>) {
    let numbers = futures_util::stream::iter(0..LOAD);
    let api = &fleet.api;
    let starting = numbers.map(|number| async move {
        (number, api.start(workflow, &json!({"number": number})).await)
    });
    let started = starting.buffer_unordered(STARTERS).collect::<Vec<_>>();
    let (started, ()) = tokio::join!(started, fault);
    for (number, id) in started {
        let outcome = until(SOON * 4, "the end of a workflow", || async {
            let view = api.show(&id).await;
            crate::support::client::is_final(&view).then_some(view)
        })
        .await;
        assert_eq!(outcome["output"], json!({"answer": number + 1}), "{outcome}");
    }
    fleet.assert_sound();
}

/// Waits until some of the load has come through.
async fn some_came(stub: &Stub, before: usize) {
    until(SOON, "some of the load", || async {
        (stub.seen().len() >= before + LOAD / 20).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_killed_and_sealed_in_mid_load_delays_and_loses_nothing() {
    let (mut house, stub, workflow) = house().await;
    let House { fleet, bao, .. } = &mut house;
    let fault = async {
        some_came(&stub, 0).await;
        bao.kill().await;
        moment(Duration::from_millis(1500)).await;
        bao.restart().await;
        // It listens, and is sealed.
        moment(Duration::from_millis(500)).await;
        bao.unseal().await;
        let before = stub.seen().len();
        if before < LOAD - LOAD / 20 {
            some_came(&stub, before).await;
        }
        bao.seal().await;
        moment(Duration::from_millis(500)).await;
        bao.unseal().await;
    };
    drive(fleet, &workflow, fault).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_or_refuses_for_too_many_requests_delays_and_loses_nothing() {
    let (house, stub, workflow) = house().await;
    let fault = async {
        some_came(&stub, 0).await;
        house.bao.stop().await;
        moment(Duration::from_secs(10)).await;
        house.bao.cont();
        let quota = json!({"path": "auth/windlass/", "rate": 5, "interval": "1s"});
        house.bao.write("sys/quotas/rate-limit/narrow", quota).await;
        let asked = requests(&house);
        let begun = std::time::Instant::now();
        moment(Duration::from_secs(3)).await;
        // Whoever is told to wait, waits: what goes on is a few a second, not a storm.
        let rate = f64::from(u32::try_from(requests(&house) - asked).unwrap())
            / begun.elapsed().as_secs_f64();
        assert!(rate < 200.0, "{rate} requests a second at a store that wants 5");
        house.bao.delete("sys/quotas/rate-limit/narrow").await;
    };
    drive(&house.fleet, &workflow, fault).await;
}

/// Requests that the store has seen.
fn requests(house: &House) -> usize {
    house.bao.audit_log().iter().filter(|it| it["type"] == "request").count()
}
