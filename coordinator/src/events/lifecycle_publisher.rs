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

use super::context::BusContext;
use super::lifecycle::LifecycleEvent;
use super::stream::{Purpose, StreamStatus};

/// Publishes until the coordinator drops its end.
pub(super) async fn run(context: BusContext, mut lifecycle: mpsc::Receiver<LifecycleEvent>) {
    let mut batch = Vec::with_capacity(limits::LIFECYCLE_BATCH);
    let mut link = context.bus.link();
    loop {
        // Waits while the bus is away, with the queue as the bound; where there is none, drains it.
        let status = context.streams.settled(Purpose::Lifecycle).await;
        if link.wait_for(|it| it.up).await.is_err() {
            return;
        }
        let taken = lifecycle.recv_many(&mut batch, limits::LIFECYCLE_BATCH).await;
        if taken == 0 {
            return;
        }
        if status == StreamStatus::Ready && publish_batch(&context, &batch).await.is_some() {
            context.counts.told.add(taken);
        } else {
            context.counts.dropped.add(taken);
        }
        batch.clear();
    }
}

/// Publishes a batch; none when `JetStream` does not confirm the last of it.
async fn publish_batch(context: &BusContext, batch: &[LifecycleEvent]) -> Option<()> {
    let patience = Duration::from_millis(limits::BUS_TIMEOUT_MS);
    let (last, others) = batch.split_last()?;
    for lifecycle in others {
        let (id, json) = lifecycle.event();
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id.as_str());
        headers.insert("content-type", "application/cloudevents+json");
        let subject = context.prefix.lifecycle(&lifecycle.plan.id.namespace);
        let sent = context.bus.client.publish_with_headers(subject, headers, json.into());
        timeout(patience, sent).await.ok()?.ok()?;
    }
    let (id, json) = last.event();
    let subject = context.prefix.lifecycle(&last.plan.id.namespace);
    let message = PublishMessage::build()
        .message_id(id)
        .header("content-type", "application/cloudevents+json")
        .payload(json.into());
    let acknowledged = match context.jetstream.send_publish(subject, message).await {
        Ok(sent) => sent.await,
        Err(error) => Err(error),
    };
    if let Err(error) = acknowledged {
        tracing::debug!(%error, "publishing lifecycle events failed");
        context.streams.recheck();
        return None;
    }
    Some(())
}
