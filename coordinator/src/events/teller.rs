//! Publishes lifecycle events: many at a time, then `JetStream` is asked whether it has the last.
//!
//! What is published while there is no stream, or the bus goes away under it, is lost and counted;
//! the journal has the history.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::message::PublishMessage;
use tokio::sync::mpsc;
use tokio::time::timeout;
use windlass_proto::limits;

use super::lifecycle::News;
use super::reach::Reach;
use super::stream::{Purpose, Standing};

/// Publishes until the coordinator drops its end.
pub(super) async fn run(reach: Reach, mut news: mpsc::Receiver<News>) {
    let mut batch = Vec::with_capacity(limits::LIFECYCLE_BATCH);
    let mut link = reach.bus.link();
    loop {
        // Waits while the bus is away, with the queue as the bound; where there is none, drains it.
        let standing = reach.keeper.settled(Purpose::Lifecycle).await;
        if link.wait_for(|it| it.up).await.is_err() {
            return;
        }
        let taken = news.recv_many(&mut batch, limits::LIFECYCLE_BATCH).await;
        if taken == 0 {
            return;
        }
        if standing == Standing::Ready && tell(&reach, &batch).await.is_some() {
            reach.counts.told.add(taken);
        } else {
            reach.counts.dropped.add(taken);
        }
        batch.clear();
    }
}

/// Publishes a batch; none when `JetStream` does not confirm the last of it.
async fn tell(reach: &Reach, batch: &[News]) -> Option<()> {
    let patience = Duration::from_millis(limits::BUS_TIMEOUT_MS);
    let (last, others) = batch.split_last()?;
    for news in others {
        let (id, json) = news.event();
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id.as_str());
        headers.insert("content-type", "application/cloudevents+json");
        let subject = reach.prefix.lifecycle(&news.plan.id.namespace);
        let sent = reach.bus.client.publish_with_headers(subject, headers, json.into());
        timeout(patience, sent).await.ok()?.ok()?;
    }
    let (id, json) = last.event();
    let subject = reach.prefix.lifecycle(&last.plan.id.namespace);
    let message = PublishMessage::build()
        .message_id(id)
        .header("content-type", "application/cloudevents+json")
        .payload(json.into());
    let acknowledged = match reach.context.send_publish(subject, message).await {
        Ok(sent) => sent.await,
        Err(error) => Err(error),
    };
    if let Err(error) = acknowledged {
        tracing::debug!(%error, "lifecycle events were not acknowledged");
        reach.keeper.doubt();
        return None;
    }
    Some(())
}
