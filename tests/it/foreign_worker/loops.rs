//! Workers that would keep everybody busy with nothing.

use serde_json::json;

use super::{Language, Stage};
use crate::support::until::{SOON, until};

/// How often a task is sent to a worker that gets rid of it, until it has rested four times.
async fn deliveries(mode: &str) -> (u64, String) {
    let mut stage = Stage::new(Language::Python).await;
    stage.worker(&[("TEST_MODE", mode)]).await;
    let id = stage.start("add", &json!({"id": "x", "all": [1]})).await;
    until(SOON, "four rests", || async {
        (stage.counter("windlass_losses_delayed_total").await >= 4).then_some(())
    })
    .await;
    let sent = stage.counter("windlass_assignments_sent_total").await;
    let history = stage.fleet.api.history(&id).await;
    assert!(history.len() < 30, "{} entries of the history", history.len());
    assert_eq!(stage.fleet.api.show(&id).await["status"], "running");

    // A worker that takes it ends it.
    stage.worker(&[]).await;
    stage.workers[0].kill().await;
    assert_eq!(stage.fleet.api.ends(&id).await["output"]["sum"], 1);
    stage.fleet.assert_sound();
    (sent, stage.fleet.stderr())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_handed_back_at_once_is_sent_a_few_times_only() {
    let (sent, log) = deliveries("hands back").await;
    // Five or six, and a few more where a worker was late with its beats.
    assert!((5..=12).contains(&sent), "{sent} deliveries");
    assert!(log.contains("handed back again") && log.contains("worker="), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_a_worker_does_not_take_is_sent_a_few_times_only() {
    let (sent, _) = deliveries("takes nothing").await;
    assert!((5..=12).contains(&sent), "{sent} deliveries");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_workers_with_one_identity_one_stays_and_the_other_is_told() {
    let mut stage = Stage::new(Language::Python).await;
    for _ in 0..2 {
        stage.launch(&[("TEST_IDENTITY", "twin")]).await;
    }
    let mut ended = None;
    until(SOON, "one of the twins ending", || {
        ended = stage.workers.iter().position(|it| it.stderr().ended());
        async move { ended }
    })
    .await;
    let told = stage.workers[ended.unwrap()].stderr().text();
    assert!(told.contains("another process that lives has the identity `twin`"), "{told}");
    assert!(stage.fleet.stderr().contains("two workers share an identity"), "no warning");
    assert!(stage.counter("windlass_registrations_contested_total").await > 0);
    let joined = stage.counter("windlass_workers_joined_total").await;
    assert!(joined <= 40, "{joined} registrations");
    let view = stage.run("add", &json!({"id": "x", "all": [1, 2]})).await;
    assert_eq!(view["output"]["sum"], 3, "{view}");
}
