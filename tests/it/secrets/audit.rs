//! The audit trail over crashes: what was acknowledged is there, and nothing is there twice.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use uuid::Uuid;
use windlass_proto::audit::{AuditAction, AuditEvent};
use windlass_proto::sealed::Sealed;
use windlass_proto::secret::SecretName;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::key::WorkerKey;
use windlass_proto::wire::message::Audited;
use windlass_worker::fleet::FleetOptions;
use windlass_worker::{
    SecretContext, SecretData, SecretError, SecretSession, SecretSource, SecretValue, Worker,
};

use super::deploy_call;
use super::hand::Hand;
use crate::support::command::windlass;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, moment, until};

fn event(number: u64) -> Audited {
    let event = AuditEvent {
        worker: Some("somebody else".into()),
        secret: Some(SecretName("api-key".into())),
        version: Some("7".into()),
        ..AuditEvent::new(
            Uuid::from_u128(u128::from(number)),
            Timestamp(number),
            AuditAction::Granted,
            true,
        )
    };
    Audited { number, event }
}

/// The events in the file: all whole.
fn lines(fleet: &Fleet) -> Vec<Value> {
    let text = std::fs::read_to_string(fleet.data().join("audit.jsonl")).unwrap();
    let lines = text.lines().map(|it| serde_json::from_str(it).unwrap());
    let action = |it: &Value| it["action"].as_str().unwrap().to_owned();
    lines.filter(|it| !is_beside(&action(it))).collect()
}

/// Heads, and that workers come and go.
fn is_beside(action: &str) -> bool {
    action == HEAD || action.starts_with("worker.")
}

/// What signs the events before it.
const HEAD: &str = "audit.head";

/// What a check of a trail says, and that it ends so.
async fn verify(arguments: &[&str], code: i32) -> Value {
    let words: Vec<&str> =
        ["audit", "verify"].into_iter().chain(arguments.iter().copied()).collect();
    windlass(&words).await.exits(code).json()
}

/// How often each event is in the file.
fn counts(fleet: &Fleet) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in lines(fleet) {
        *counts.entry(line["id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9_and_repeats_are_kept_once() {
    let nats = Nats::start().await;
    let mut fleet = Fleet::start(&nats, 0).await;
    let (mut next, mut acknowledged) = (1, 0);
    for round in 0..4 {
        let mut hand = Hand::join(&nats, &fleet, "hand-1").await;
        // Everything that was not acknowledged, and more, as a worker does it.
        for batch in 0..20 {
            next += 5;
            hand.tell((acknowledged + 1..next).map(event).collect()).await;
            if batch == 10 + round {
                // In the middle of it, at any moment.
                fleet.coordinator.kill().await;
                break;
            }
            acknowledged = hand.audited(SOON).await.unwrap();
            assert_eq!(acknowledged, next - 1);
        }
        let counts = counts(&fleet);
        for number in 1..=acknowledged {
            let id = Uuid::from_u128(u128::from(number)).to_string();
            assert_eq!(counts.get(&id), Some(&1), "event {number}, round {round}");
        }
        fleet.coordinator.launch();
        fleet.coordinator_ready().await;
    }
    let mut hand = Hand::join(&nats, &fleet, "hand-1").await;
    hand.tell((1..next).map(event).collect()).await;
    assert_eq!(hand.audited(SOON).await, Some(next - 1));
    let counts = counts(&fleet);
    assert_eq!(counts.len() as u64, next - 1);
    assert!(counts.values().all(|it| *it == 1), "{counts:?}");
    let told = lines(&fleet);
    assert!(told.iter().all(|it| it["worker"] == "hand-1"), "who said it, the coordinator knows");
    let last = fleet.api.get("/v1/audit?limit=2&action=secret.granted").await.ok();
    let seqs: Vec<_> = last["items"].as_array().unwrap().iter().map(|it| &it["at"]).collect();
    assert_eq!(seqs, [&json!(next - 1), &json!(next - 2)], "newest first");
    // More than a batch is not what a worker says.
    hand.tell((1..300).map(event).collect()).await;
    assert_eq!(hand.audited(Duration::from_millis(300)).await, None);
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_takes_nothing_with_it_that_was_acknowledged() {
    let nats = Nats::start().await;
    let fleet = Fleet::start(&nats, 0).await;
    // Every life of a worker counts from 1.
    for life in 1..=3 {
        let mut hand = Hand::join(&nats, &fleet, &format!("hand-{life}")).await;
        let of_life = |it| Audited { number: it, ..event(life * 1_000 + it) };
        hand.tell((1..=10).map(of_life).collect()).await;
        assert_eq!(hand.audited(SOON).await, Some(10));
        // Killed before it hears of these: they may be there or not, but not by half.
        hand.tell((11..=20).map(of_life).collect()).await;
    }
    let mut last = Hand::join(&nats, &fleet, "hand-4").await;
    last.tell(vec![Audited { number: 1, ..event(9_999) }]).await;
    assert_eq!(last.audited(SOON).await, Some(1));
    let counts = counts(&fleet);
    for life in 1..=3_u64 {
        for number in 1..=10 {
            let id = Uuid::from_u128(u128::from(life * 1_000 + number)).to_string();
            assert_eq!(counts.get(&id), Some(&1), "event {number} of life {life}");
        }
    }
    assert!(counts.values().all(|it| *it == 1), "{counts:?}");
    fleet.assert_sound();
}

/// A store of one secret, which tells of every read.
struct Telling;

struct Told(SecretContext);

impl SecretSource for Telling {
    fn session(&self, context: SecretContext) -> Box<dyn SecretSession> {
        Box::new(Told(context))
    }
}

impl SecretSession for Told {
    fn read<'a>(
        &'a mut self,
        name: &'a SecretName,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>> {
        for action in [AuditAction::Requested, AuditAction::Granted] {
            self.0.audit.record(action, true, |event| event.secret = Some(name.clone()));
        }
        Box::pin(async { Ok(SecretValue::new(SecretData::Text("hunter2".to_owned()))) })
    }

    fn seal<'a>(
        &'a mut self,
        _texts: &'a [zeroize::Zeroizing<Vec<u8>>],
    ) -> BoxFuture<'a, Result<Vec<Sealed>, SecretError>> {
        Box::pin(async { Err(SecretError::Forbidden) })
    }

    fn open<'a>(
        &'a mut self,
        _sealed: &'a [Sealed],
    ) -> BoxFuture<'a, Result<Vec<zeroize::Zeroizing<Vec<u8>>>, SecretError>> {
        Box::pin(async { Err(SecretError::Forbidden) })
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.0.audit.record(AuditAction::Revoked, true, |_| {});
        Box::pin(async {})
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_workers_do_with_secrets_is_told_however_often_the_coordinator_dies() {
    const TASKS: usize = 60;
    let nats = Nats::start().await;
    let stub = Stub::http(|_| Reply::Json(200, json!({"paid": true}))).await;
    let mut fleet = Fleet::start(&nats, 0).await;
    let options = FleetOptions::new(&nats.url(), WorkerKey::parse(&fleet.key).unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    let builder = Worker::builder().secret_source(Arc::new(Telling));
    let worker = tokio::spawn(builder.serve(options, stopped, |_| {}));
    let workflow = deploy_call(&fleet, &stub.url("/")).await;
    let mut ids = Vec::new();
    for number in 0..TASKS {
        ids.push(fleet.api.start(&workflow, &json!({})).await);
        if number % 20 == 10 {
            moment(Duration::from_millis(30)).await;
            fleet.restart_coordinator().await;
        }
    }
    for id in &ids {
        assert_eq!(fleet.api.ends(id).await["status"], "completed");
    }
    // The worker ends only when all it did is on disk.
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    let counts = counts(&fleet);
    assert!(counts.values().all(|it| *it == 1), "{counts:?}");
    for id in &ids {
        let of: Vec<_> =
            lines(&fleet).into_iter().filter(|it| it["task"]["instance"] == **id).collect();
        for action in ["secret.requested", "secret.granted", "secret.lease.revoked"] {
            let told = of.iter().filter(|it| it["action"] == action).count();
            assert!(told >= 1, "{action} of {id}: {of:?}");
        }
        let worker = of[0]["worker"].as_str().unwrap();
        assert!(worker.starts_with("worker-"), "{worker}");
    }
    let text = std::fs::read_to_string(fleet.data().join("audit.jsonl")).unwrap();
    assert!(!text.contains("hunter2"));
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_has_a_copy_that_programs_can_follow() {
    let nats = Nats::start().await;
    let mut fleet = Fleet::start(&nats, 0).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let event = |number| {
        let mut told = event(number);
        told.event.at = Timestamp(u64::try_from(now.as_millis()).unwrap());
        told
    };
    let mut hand = Hand::join(&nats, &fleet, "hand-1").await;
    hand.tell((1..=100).map(event).collect()).await;
    assert_eq!(hand.audited(SOON).await, Some(100));
    // At once: some may be in the stream, some not. What comes again is published once.
    fleet.restart_coordinator().await;
    let mut hand = Hand::join(&nats, &fleet, "hand-1").await;
    hand.tell((1..=101).map(event).collect()).await;
    assert_eq!(hand.audited(SOON).await, Some(101));
    let bus = jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let is_event = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        !is_beside(line["action"].as_str().unwrap())
    };
    let text = std::fs::read_to_string(fleet.data().join("audit.jsonl")).unwrap();
    let told = until(SOON, "101 audit events in the stream", || async {
        let told = published(&bus).await?;
        let events = told.iter().filter(|(_, line)| is_event(line)).count();
        (events >= 101).then_some(told)
    })
    .await;
    let events: Vec<_> = told.iter().filter(|(_, line)| is_event(line)).collect();
    assert_eq!(events.len(), 101, "what comes again is published once");
    let (subject, line) = events[0];
    assert_eq!(subject, "windlass.audit._");
    let event: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&event["secret"], &event["worker"]), (&json!("api-key"), &json!("hand-1")));
    // The bytes of the file, so that whoever has them can check it.
    for (_, line) in &told {
        assert!(text.lines().any(|it| it == line), "{line}");
    }
    assert!(told.iter().any(|(_, line)| line.contains(HEAD)), "heads are told too");
    fleet.assert_sound();
}

/// What is in the stream: subjects and texts.
async fn published(bus: &jetstream::Context) -> Option<Vec<(String, String)>> {
    let mut stream = bus.get_stream("WINDLASS_AUDIT").await.ok()?;
    let count = stream.info().await.ok()?.state.messages;
    let mut told = Vec::new();
    for number in 1..=count {
        let message = stream.get_raw_message(number).await.ok()?;
        told.push((message.subject.to_string(), String::from_utf8(message.payload.to_vec()).ok()?));
    }
    Some(told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_is_clean_after_kill_9_and_what_was_done_to_it_is_named() {
    let nats = Nats::start().await;
    let mut fleet = Fleet::start(&nats, 0).await;
    let data = fleet.data().display().to_string();
    let mut kept = 0;
    for round in 0..4_u64 {
        let mut hand = Hand::join(&nats, &fleet, &format!("hand-{round}")).await;
        let of_round = |it: u64| Audited { number: it, ..event(round * 1_000 + it) };
        hand.tell((1..=50).map(of_round).collect()).await;
        assert_eq!(hand.audited(SOON).await, Some(50));
        kept += 50;
        // In the middle of it, at any moment.
        hand.tell((51..=250).map(of_round).collect()).await;
        fleet.coordinator.kill().await;
        let report = verify(&[&data], 0).await;
        assert!(report["events"].as_u64() >= Some(kept), "{report}");
        assert_eq!((&report["first"], &report["defects"]), (&json!(1), &json!([])), "{report}");
        fleet.coordinator.launch();
        fleet.coordinator_ready().await;
    }
    let url = fleet.api.base();
    let key = windlass(&["audit", "key", "--url", &url]).await.exits(0).json();
    let key = key["key"].as_str().unwrap().to_owned();
    let mut hand = Hand::join(&nats, &fleet, "hand-9").await;
    hand.tell((1..=5).map(|it| Audited { number: it, ..event(9_000 + it) }).collect()).await;
    assert_eq!(hand.audited(SOON).await, Some(5));
    let exported = windlass(&["audit", "export", "--url", &url]).await.exits(0).stdout;
    let path = fleet.data().join("audit.jsonl");
    assert_eq!(exported, std::fs::read_to_string(&path).unwrap(), "to the byte");
    fleet.coordinator.terminate().await;
    let report = verify(&[&data, "--key", &key], 0).await;
    assert_eq!(report["unsigned"], 0, "an orderly stop signs: {report}");
    tampered(&data, &path, &key, report["last"].as_str().unwrap()).await;
    fleet.assert_sound();
}

/// Changes a trail in each way, and finds it named.
async fn tampered(data: &str, path: &Path, key: &str, last: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let middle = lines.len() / 2;
    let mut ways: Vec<(&str, Vec<String>)> = Vec::new();
    let all: Vec<String> = lines.iter().map(|it| (*it).to_owned()).collect();
    let change = |change: &dyn Fn(&mut Vec<String>)| {
        let mut all = all.clone();
        change(&mut all);
        all
    };
    ways.push(("altered", change(&|all| all[middle].push(' '))));
    ways.push(("deleted", change(&|all| _ = all.remove(middle))));
    ways.push(("inserted", change(&|all| all.insert(middle, all[3].clone()))));
    ways.push(("reordered", change(&|all| all.swap(middle, middle + 1))));
    ways.push(("cut", change(&|all| all.truncate(middle))));
    for (finding, lines) in ways {
        std::fs::write(path, lines.join("\n") + "\n").unwrap();
        let report = verify(&[data, "--key", key], 1).await;
        let defects = report["defects"].as_array().unwrap();
        assert_eq!(defects.len(), 1, "{finding}: {report}");
        assert_eq!(defects[0]["finding"], finding, "{report}");
        let line = defects[0]["line"].as_u64().unwrap();
        assert!(line.abs_diff(middle as u64) <= 2, "{finding}: {report}");
    }
    // Whoever can write to all of the directory can hide a cut, but not from others.
    std::fs::remove_file(path.with_extension("head")).unwrap();
    verify(&[data], 0).await;
    let report = verify(&[data, "--head", last], 1).await;
    assert_eq!(report["defects"][0]["finding"], "cut", "{report}");
    std::fs::write(path, &text).unwrap();
    verify(&[data, "--head", last, "--key", key], 0).await;
    let other = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let report = verify(&[data, "--key", other], 1).await;
    assert_eq!(report["defects"][0]["finding"], "foreign-key", "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_floods_the_trail_waits_and_others_do_not() {
    let nats = Nats::start().await;
    let layout = Layout::on(&nats.url(), 0).coordinator(&["--audit-retention", "2MiB"]);
    let fleet = Fleet::with(layout).await;
    let mut rogue = Hand::join(&nats, &fleet, "rogue").await;
    let deferred = || async {
        let page = fleet.api.get("/v1/audit?action=audit.deferred").await.ok();
        page["items"].as_array().unwrap().clone()
    };
    let mut kept = 0;
    let told = 'flood: loop {
        // A quarter of a thousand at once; half a file is two thousand at most.
        assert!(kept < 5_000, "it is never deferred");
        rogue.tell((kept + 1..=kept + 250).map(event).collect()).await;
        loop {
            if rogue.audited(Duration::from_millis(100)).await == Some(kept + 250) {
                kept += 250;
                break;
            }
            let told = deferred().await;
            if !told.is_empty() {
                break 'flood told;
            }
        }
    };
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["worker"], "rogue");
    assert!(told[0]["detail"].as_str().unwrap().starts_with("250 events"), "{told:?}");
    let mut other = Hand::join(&nats, &fleet, "other").await;
    other.tell((1..=10).map(|it| Audited { number: it, ..event(90_000 + it) }).collect()).await;
    assert_eq!(other.audited(SOON).await, Some(10), "who has written nothing has its share");
    // What was deferred is asked for again, and is not there meanwhile.
    let of = |name: &str| format!("/v1/audit?limit=1000&action=secret.granted&worker={name}");
    let of_other = fleet.api.get(&of("other")).await.ok();
    assert_eq!(of_other["items"].as_array().unwrap().len(), 10);
    let newest = fleet.api.get(&of("rogue")).await.ok()["items"][0]["at"].clone();
    assert_eq!(newest, json!(kept));
    fleet.assert_sound();
}
