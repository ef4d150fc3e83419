//! What orchestrators ask: is it alive, may it be sent work.

use crate::support::client::Api;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::ports;
use crate::support::until::{SOON, until};

/// Waits until `path` answers with this status.
async fn answers(api: &Api, path: &str, status: u16) {
    until(SOON, &format!("{path} answering {status}"), || async {
        let answer = Api::send(api.request(reqwest::Method::GET, path)).await.ok()?;
        (answer.status.as_u16() == status).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_ready_while_it_is_registered_and_alive_all_the_time() {
    let mut nats = Nats::start().await;
    let health = format!("127.0.0.1:{}", ports::free());
    let layout =
        Layout::on(&nats.url(), 1).coordinator(&["--lease", "2s"]).worker(&["--health", &health]);
    let mut fleet = Fleet::prepare(layout).await;
    let worker = Api::new(&format!("http://{health}"));

    // Alone: alive, but no coordinator has admitted it.
    fleet.workers[0].launch();
    answers(&worker, "/healthz", 200).await;
    answers(&worker, "/readyz", 503).await;
    fleet.coordinator.launch();
    fleet.ready().await;
    answers(&worker, "/readyz", 200).await;
    answers(&fleet.api, "/healthz", 200).await;
    answers(&fleet.api, "/readyz", 200).await;
    let metrics = worker.get("/metrics").await;
    assert!(metrics.body.as_str().is_some_and(|it| it.contains("# TYPE windlass_")), "{metrics:?}");

    // Without a bus neither is any use; both are alive, and come back by themselves.
    nats.kill().await;
    answers(&worker, "/readyz", 503).await;
    answers(&worker, "/healthz", 200).await;
    answers(&fleet.api, "/healthz", 200).await;
    nats.restart().await;
    answers(&worker, "/readyz", 200).await;
    answers(&fleet.api, "/readyz", 200).await;
    fleet.assert_sound();
}
