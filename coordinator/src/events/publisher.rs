//! Publishes emitted events, each until `JetStream` has acknowledged it.
//!
//! Events go out in the order they were emitted, many under way at once. One that fails is tried
//! again while later ones go on, so the order between instances is not certain; one instance waits
//! for each of its events, except in the branches of a `fork`.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, ErrorCode};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{MissedTickBehavior, interval};
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::trace::{TRACEPARENT, TRACESTATE};

use super::context::{BusContext, ORIGIN};
use super::outbox::{Deferred, lock};
use super::stream::{Purpose, StreamStatus};
use crate::early::identity;
use crate::partition::{Emitted, Reporter};

/// Publishes until the coordinator drops its end.
pub(super) async fn run(
    context: BusContext,
    reporter: Reporter,
    mut emitted: mpsc::Receiver<Emitted>,
    deferred: Deferred,
) {
    let window = Arc::new(Semaphore::new(limits::EMIT_WINDOW_BYTES / limits::PERMIT_BYTES));
    let mut under_way = FuturesUnordered::new();
    let mut ticks = interval(Duration::from_millis(200));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Whoever is put off finds the queue full, and what is in it comes round here.
        let waits = !lock(&deferred).is_empty();
        tokio::select! {
            Some(()) = under_way.next() => {}
            next = emitted.recv(), if under_way.len() < limits::EMIT_WINDOW => {
                let Some(next) = next else { return };
                under_way.push(publish(&context, &reporter, next, window.clone()));
            }
            _ = ticks.tick(), if waits => {}
        }
        // Half empty, so that what is asked for does not find it full again.
        if emitted.len() < limits::EMIT_QUEUE / 2 {
            let mut deferred = lock(&deferred);
            for _ in 0..limits::EMIT_AGAIN {
                let Some((instance, frame)) = deferred.pop_first() else { break };
                reporter.emit_again(instance, frame);
            }
        }
    }
}

/// How one try went.
enum Outcome {
    Acknowledged,
    /// There is no bus that carries events.
    Off,
    /// No try will ever do.
    Never(String),
    Again,
}

/// Publishes one event until it is acknowledged, then answers its `emit`.
async fn publish(
    context: &BusContext,
    reporter: &Reporter,
    emitted: Emitted,
    window: Arc<Semaphore>,
) {
    let mut pause = Duration::from_millis(50);
    loop {
        let status = context.streams.settled(Purpose::Events).await;
        let outcome = match status {
            StreamStatus::Off => Outcome::Off,
            _ => attempt(context, &emitted, &window).await,
        };
        match outcome {
            Outcome::Acknowledged | Outcome::Off => {
                if let Outcome::Acknowledged = outcome {
                    context.counts.emitted.one();
                }
                reporter.stamped(emitted.instance, emitted.ticket);
                return;
            }
            Outcome::Never(reason) => {
                context.counts.refused.one();
                let detail = format!("the event cannot be published: {reason}");
                let problem = Problem::new(Standard::Communication, detail).with_status(413);
                reporter.published(emitted.instance, emitted.frame, Err(problem));
                return;
            }
            Outcome::Again => {
                context.counts.retried.one();
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(limits::BUS_TIMEOUT_MS));
            }
        }
    }
}

/// One try.
async fn attempt(context: &BusContext, emitted: &Emitted, window: &Arc<Semaphore>) -> Outcome {
    let mut link = context.bus.link();
    // What is published while there is no connection would wait in the client, out of our sight.
    if !context.bus.is_up() && link.wait_for(|it| it.up).await.is_err() {
        return Outcome::Again;
    }
    let event = &emitted.ticket.event;
    let Some(_permit) = room(window, event.envelope().weight()).await else {
        return Outcome::Again;
    };
    let subject = context.prefix.event(&emitted.namespace);
    let mut message = PublishMessage::build()
        .message_id(hex(&identity(event)))
        .header("content-type", "application/cloudevents+json")
        .header(ORIGIN, &*context.origin)
        .payload(event.envelope().to_json().into());
    if let Some(trace) = event.trace() {
        message = message.header(TRACEPARENT, trace.traceparent());
        if let Some(state) = &trace.state {
            message = message.header(TRACESTATE, &**state);
        }
    }
    let sent = match context.jetstream.send_publish(subject, message).await {
        Ok(sent) => sent.await,
        Err(error) => Err(error),
    };
    let Err(error) = sent else { return Outcome::Acknowledged };
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => {
            Outcome::Never("it is larger than NATS takes (max_payload)".to_owned())
        }
        PublishErrorKind::StreamNotFound => {
            context.streams.recheck();
            Outcome::Again
        }
        _ if exceeds(&error) => {
            Outcome::Never("it is larger than the stream takes (max_msg_size)".to_owned())
        }
        _ => {
            tracing::debug!(%error, "publishing an event failed; retrying");
            Outcome::Again
        }
    }
}

/// A share of the bytes that may be under way; all of them for what is larger.
async fn room(window: &Arc<Semaphore>, weight: u64) -> Option<OwnedSemaphorePermit> {
    let all = limits::EMIT_WINDOW_BYTES / limits::PERMIT_BYTES;
    let weight = usize::try_from(weight).unwrap_or(usize::MAX);
    let permits = weight.div_ceil(limits::PERMIT_BYTES).clamp(1, all);
    window.clone().acquire_many_owned(u32::try_from(permits).ok()?).await.ok()
}

/// True when the stream refuses messages of that size.
fn exceeds(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .source()
        .and_then(|it| it.downcast_ref::<jetstream::Error>())
        .is_some_and(|it| it.error_code() == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)
}

/// Source and id of an event as the id of its message: of any text, short and safe in a header.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}
