//! Publishes audit events that are on disk, each until `JetStream` has acknowledged it or the
//! process ends. The file is the truth: what does not get out is there.

use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use windlass_proto::limits;

use super::context::BusContext;
use super::stream::{Purpose, StreamStatus};
use crate::audit::Told;

/// Publishes until the coordinator drops its end.
pub(super) async fn run(context: BusContext, mut lines: mpsc::Receiver<Told>) {
    let mut batch = Vec::with_capacity(limits::AUDIT_PUBLISH_BATCH);
    while lines.recv_many(&mut batch, limits::AUDIT_PUBLISH_BATCH).await > 0 {
        let all: FuturesUnordered<_> = batch.drain(..).map(|it| publish(&context, it)).collect();
        all.collect::<()>().await;
    }
}

/// Publishes one event; gives up where the bus has no streams.
async fn publish(context: &BusContext, told: Told) {
    let mut pause = Duration::from_millis(50);
    // The bytes of the file, so that their hash is that of the chain.
    let payload = bytes::Bytes::from(told.line);
    let subject = context.prefix.audit(told.namespace.as_deref());
    loop {
        if context.streams.settled(Purpose::Audit).await == StreamStatus::Off {
            return;
        }
        let mut link = context.bus.link();
        // What is published while there is no connection would wait in the client, out of our
        // sight.
        if link.wait_for(|it| it.up).await.is_err() {
            return;
        }
        let message = PublishMessage::build()
            .message_id(told.id.clone())
            .header("content-type", "application/json")
            .payload(payload.clone());
        let sent = match context.jetstream.send_publish(subject.clone(), message).await {
            Ok(sent) => sent.await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(_) => return context.counts.audited.one(),
            Err(error) => {
                tracing::debug!(%error, "publishing an audit event failed; retrying");
                context.streams.recheck();
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(limits::BUS_TIMEOUT_MS));
    }
}
