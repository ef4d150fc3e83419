//! SIGKILL at random moments over a load of workflows: each accepted one ends once, with the right
//! output, and no side effect is lost or repeated under another key.
//!
//! `WINDLASS_CRASH_KILLS` (20), `WINDLASS_CRASH_INSTANCES` (210) and `WINDLASS_CRASH_SEED` (random,
//! printed) change the run.

mod load;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::{Api, is_final};
use crate::support::dev::Dev;
use crate::support::json::same;
use crate::support::stub::{Reply, Stub};
use crate::support::until::{moment, until};
use load::Instance;

/// How long the last instance may take after the last kill.
const DRAIN: Duration = Duration::from_secs(240);
/// How many times a flaky step fails before it succeeds.
const FAILURES: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_workflow_survives_kills() {
    let kills = setting("WINDLASS_CRASH_KILLS", 20);
    let count = setting("WINDLASS_CRASH_INSTANCES", 210);
    let seed = setting("WINDLASS_CRASH_SEED", fastrand::u64(..1_000_000));
    println!("crash: WINDLASS_CRASH_SEED={seed}, {kills} kills, {count} instances");
    let mut random = fastrand::Rng::with_seed(seed);

    let stub = Arc::new(counting_server().await);
    let mut dev = Dev::start().await;
    for text in load::definitions(&stub.url("")) {
        dev.api.deploy(&text).await;
    }
    let instances = load::instances(usize::try_from(count).unwrap(), &mut random);

    let next = Arc::new(AtomicUsize::new(0));
    let allowed = Arc::new(AtomicUsize::new(0));
    let starters: Vec<_> = (0..8)
        .map(|_| {
            let (api, instances) = (dev.api.clone(), instances.clone());
            tokio::spawn(start_all(api, instances, next.clone(), allowed.clone()))
        })
        .collect();
    let senders: Vec<_> = load::listeners(&instances)
        .map(|it| tokio::spawn(send_event(dev.api.clone(), it.clone())))
        .collect();

    for kill in 1..=kills {
        // The load is spread over the kills, so that each of them hits work.
        let share =
            instances.len() * usize::try_from(kill).unwrap() / usize::try_from(kills).unwrap();
        allowed.store(share, Ordering::SeqCst);
        // One kill in six comes while the process is still starting.
        if random.u8(..6) > 0 {
            dev.ready().await;
            moment(Duration::from_millis(random.u64(5..500))).await;
        } else {
            moment(Duration::from_millis(random.u64(0..120))).await;
        }
        dev.kill().await;
        dev.launch();
    }
    allowed.store(instances.len(), Ordering::SeqCst);
    dev.ready().await;
    for task in starters.into_iter().chain(senders) {
        task.await.unwrap();
    }

    let outcomes = drain(&dev.api, &instances).await;
    check_outputs(&instances, &outcomes);
    check_histories(&dev.api, &instances).await;
    check_effects(&stub, &instances);

    // What was an outcome stays one.
    dev.restart().await;
    for instance in &instances {
        let view = dev.api.show(&instance.id).await;
        let before = &outcomes[&instance.id];
        assert_eq!((&view["status"], &view["output"]), (&before["status"], &before["output"]));
    }
    let log = dev.stderr();
    assert!(!log.contains("panicked at"), "{log}");
}

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => default,
    }
}

/// Answers with the path asked for; steps named `flaky` fail twice first.
async fn counting_server() -> Stub {
    let failed: Mutex<HashMap<String, usize>> = Mutex::default();
    Stub::http(move |seen| {
        if seen.path.contains("/flaky/") {
            let mut failed = failed.lock().unwrap();
            let count = failed.entry(seen.path.clone()).or_default();
            if *count < FAILURES {
                *count += 1;
                return Reply::Text(503, "not yet".into());
            }
        }
        Reply::Json(200, json!({"step": seen.path}))
    })
    .await
}

/// Starts instances, each until it is acknowledged.
async fn start_all(
    api: Api,
    instances: Vec<Instance>,
    next: Arc<AtomicUsize>,
    allowed: Arc<AtomicUsize>,
) {
    loop {
        let index = next.fetch_add(1, Ordering::SeqCst);
        let Some(instance) = instances.get(index) else { return };
        until(DRAIN, "the turn of an instance", || async {
            (index < allowed.load(Ordering::SeqCst)).then_some(())
        })
        .await;
        let body = json!({
            "workflow": {"namespace": "crash", "name": instance.workflow, "version": "1.0.0"},
            "input": instance.input,
            "id": instance.id,
        });
        until(DRAIN, "an acknowledged start", || async {
            let request = api.request(Method::POST, "/v1/instances").json(&body);
            accepted(request.header("idempotency-key", &instance.id)).await
        })
        .await;
    }
}

/// Whether a request was acknowledged; refusals that a retry cannot cure end the test.
async fn accepted(request: reqwest::RequestBuilder) -> Option<Value> {
    let request = request.timeout(Duration::from_secs(10));
    let Ok(answer) = Api::send(request).await else { return None };
    if answer.status.is_success() {
        return Some(answer.body);
    }
    let retryable = answer.status.is_server_error() || answer.status.as_u16() == 429;
    assert!(retryable, "refused with {}: {}", answer.status, answer.body);
    None
}

/// Sends the event an instance waits for, once it waits, until that is acknowledged.
async fn send_event(api: Api, instance: Instance) {
    until(DRAIN, "a waiting listener", || async {
        let path = format!("/v1/instances/{}", instance.id);
        let answer = Api::send(api.request(Method::GET, &path)).await.ok()?;
        let view = if answer.status.is_success() { answer.body } else { return None };
        (view["status"] == "waiting" || is_final(&view)).then_some(())
    })
    .await;
    let event = json!({
        "specversion": "1.0", "id": format!("for-{}", instance.id), "source": "/crash",
        "type": "com.example.crash.go", "subject": instance.id, "data": {"for": instance.id},
    });
    until(DRAIN, "an acknowledged event", || async {
        let request = api.request(Method::POST, "/v1/events").body(event.to_string());
        accepted(request.header("content-type", "application/cloudevents+json")).await
    })
    .await;
}

/// Waits until all have ended; gives the views by id.
async fn drain(api: &Api, instances: &[Instance]) -> HashMap<String, Value> {
    let ended: Mutex<HashMap<String, Value>> = Mutex::default();
    until(DRAIN, "the end of all instances", || async {
        for instance in instances {
            if ended.lock().unwrap().contains_key(&instance.id) {
                continue;
            }
            let view = api.show(&instance.id).await;
            if !is_final(&view) {
                return None;
            }
            ended.lock().unwrap().insert(instance.id.clone(), view);
        }
        Some(())
    })
    .await;
    ended.into_inner().unwrap()
}

fn check_outputs(instances: &[Instance], outcomes: &HashMap<String, Value>) {
    for instance in instances {
        let view = &outcomes[&instance.id];
        assert_eq!(view["status"], "completed", "{}: {view}", instance.workflow);
        let wanted = instance.output();
        assert!(same(&view["output"], &wanted), "{}: {view}, wanted {wanted}", instance.workflow);
    }
}

/// One start and one end in each history, and no gap in its numbers.
async fn check_histories(api: &Api, instances: &[Instance]) {
    for instance in instances {
        let history = api.history(&instance.id).await;
        let count = |event: &str| history.iter().filter(|it| it["event"] == event).count();
        assert_eq!(count("instance.started"), 1, "{history:?}");
        assert_eq!(count("instance.completed"), 1, "{history:?}");
        assert_eq!(count("instance.faulted") + count("instance.cancelled"), 0, "{history:?}");
        let numbers: Vec<u64> = history.iter().map(|it| it["sequence"].as_u64().unwrap()).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
}

/// The counting server saw every step, repeats only under the same key, and nothing else.
fn check_effects(stub: &Stub, instances: &[Instance]) {
    let mut seen = stub.by_path();
    let mut repeats = 0;
    for step in instances.iter().flat_map(Instance::steps) {
        let (count, keys) =
            seen.remove(&step).unwrap_or_else(|| panic!("the step {step} was never seen"));
        assert_eq!(keys.len(), 1, "{step} came {count} times under {keys:?}");
        assert!(!keys.contains(""), "{step} came without an idempotency key");
        let needed = if step.contains("/flaky/") { FAILURES + 1 } else { 1 };
        assert!(count >= needed, "{step} came {count} times");
        repeats += count - needed;
    }
    assert!(seen.is_empty(), "the server saw steps no instance has: {seen:?}");
    println!("crash: {repeats} steps were repeated, each under its own key");
}
