//! Takes events from the bus, and acknowledges each once what came of it is durable.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::pull::{Config, Stream};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy};
use async_nats::jetstream::{AckKind, Message};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::context::{BusContext, ORIGIN};
use super::envelope;
use super::stream::{Purpose, StreamStatus};
use crate::clock;
use crate::code::Code;

/// Who decides on the events that come.
pub trait EventConsumer: Clone + Send + Sync + 'static {
    /// Hands an event to all partitions, here and now; the answer comes once what came of it is
    /// durable.
    ///
    /// # Errors
    /// As [`NotTaken`] says; the answer likewise.
    fn take(
        &self,
        event: Arc<CloudEvent>,
    ) -> Result<impl Future<Output = Result<(), NotTaken>> + Send + use<Self>, NotTaken>;
}

/// Why an event is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// There is too much work, or no room on the disk: again later.
    Now,
    /// The coordinator has stopped: the event stays on the bus.
    Stopped,
}

/// Takes events until the coordinator stops.
pub(super) async fn run(context: BusContext, consumer: impl EventConsumer) {
    let mut told = String::new();
    loop {
        match context.streams.settled(Purpose::Events).await {
            StreamStatus::Ready => {}
            _ => {
                // There may be JetStream later, after a restart of the server.
                tokio::time::sleep(Duration::from_millis(limits::STREAMS_CHECK_MS)).await;
                continue;
            }
        }
        match consume(&context, &consumer).await {
            Ok(()) => return,
            Err(reason) => {
                if told != reason {
                    tracing::warn!(%reason, "consuming events from the bus was interrupted");
                }
                told = reason;
                context.streams.recheck();
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Takes events as long as the consumer lasts. `Ok` when the coordinator has stopped.
async fn consume(context: &BusContext, consumer: &impl EventConsumer) -> Result<(), String> {
    let mut messages = subscribe(context).await?;
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(goes_on) = under_way.next() => {
                let goes_on: bool = goes_on;
                if !goes_on {
                    return Ok(());
                }
            }
            next = messages.next(), if under_way.len() < limits::EVENT_INTAKE => match next {
                // The offer is made here and now, so that events are decided on as they came; only
                // the wait for the disk is shared.
                Some(Ok(message)) => {
                    let fate = offer(context, consumer, message);
                    under_way.push(settle(context, fate));
                }
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("the consumer has ended".to_owned()),
            },
        }
    }
}

/// The durable consumer, made where there is none, and what it gives.
async fn subscribe(context: &BusContext) -> Result<Stream, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let name = format!("coordinator-{}", context.origin);
    let config = Config {
        durable_name: Some(name),
        description: Some("Windlass: events for the workflows of one coordinator".to_owned()),
        // What was sent before the coordinator came, or before its consumer was made anew, counts.
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: Duration::from_millis(limits::EVENT_ACK_MS),
        filter_subject: context.prefix.all_events(),
        max_ack_pending: 4 * limits::EVENT_INTAKE as i64,
        ..Config::default()
    };
    let stream = context.prefix.stream(Purpose::Events.word());
    let made = context.jetstream.create_consumer_on_stream(config, stream).await;
    let consumer = made.map_err(|error| text(&error))?;
    let messages = consumer
        .stream()
        .max_messages_per_batch(limits::EVENT_INTAKE)
        .max_bytes_per_batch(limits::EVENT_INTAKE_BYTES)
        .expires(Duration::from_secs(30))
        // Two missed ones, and the consumer is looked for again.
        .heartbeat(Duration::from_secs(5))
        .messages()
        .await;
    messages.map_err(|error| text(&error))
}

/// What is to be answered to the bus, with the message it is about.
enum Fate<F> {
    /// It is ours: our instances have it.
    Own(Message),
    Malformed(Message, String),
    Offered(Message, F),
    Refused(Message, NotTaken),
}

/// Hands an event to all partitions.
fn offer<T: EventConsumer>(
    context: &BusContext,
    consumer: &T,
    message: Message,
) -> Fate<impl Future<Output = Result<(), NotTaken>> + use<T>> {
    let origin = message.headers.as_ref().and_then(|it| it.get(ORIGIN));
    if origin.is_some_and(|it| it.as_str() == &*context.origin) {
        return Fate::Own(message);
    }
    let event = match envelope::read(message.headers.as_ref(), &message.payload) {
        Ok((event, unquoted)) => {
            context.counts.unquoted.add(usize::from(unquoted));
            event
        }
        Err(problem) => return Fate::Malformed(message, problem),
    };
    match consumer.take(Arc::new(event)) {
        Ok(taken) => Fate::Offered(message, taken),
        Err(error) => Fate::Refused(message, error),
    }
}

/// Answers the bus, once what came of an event is durable. False when the coordinator has stopped.
async fn settle<F>(context: &BusContext, fate: Fate<F>) -> bool
where
    F: Future<Output = Result<(), NotTaken>>,
{
    let counts = &context.counts;
    let (message, kind) = match fate {
        Fate::Own(message) => {
            counts.own.one();
            (message, AckKind::Ack)
        }
        Fate::Malformed(message, problem) => {
            counts.malformed.one();
            complain(&message, &problem);
            (message, AckKind::Term)
        }
        Fate::Refused(message, error) => match answer(Err(error)) {
            Some(kind) => (message, kind),
            None => return false,
        },
        Fate::Offered(message, offered) => match answer(offered.await) {
            Some(kind) => (message, kind),
            None => return false,
        },
    };
    match kind {
        AckKind::Nak(_) => counts.delayed.one(),
        AckKind::Ack => {
            counts.received.one();
            if let Ok(info) = message.info() {
                let published = info.published.unix_timestamp_nanos() / 1_000_000;
                let published = Timestamp(u64::try_from(published).unwrap_or(u64::MAX));
                counts.age.0.milliseconds(clock::now().since(published));
            }
        }
        _ => {}
    }
    // An answer that gets lost is one more delivery, and nothing is consumed twice.
    if let Err(error) = message.ack_with(kind).await {
        tracing::debug!(%error, "acknowledging an event failed");
    }
    true
}

/// The answer to the bus; none when the coordinator has stopped, so that the event stays.
fn answer(result: Result<(), NotTaken>) -> Option<AckKind> {
    match result {
        Ok(()) => Some(AckKind::Ack),
        Err(NotTaken::Now) => {
            Some(AckKind::Nak(Some(Duration::from_millis(limits::EVENT_AGAIN_MS))))
        }
        Err(NotTaken::Stopped) => None,
    }
}

fn complain(message: &Message, problem: &str) {
    let problem: String = problem.chars().take(limits::EVENT_PROBLEM_BYTES).collect();
    let sequence = message.info().map_or(0, |info| info.stream_sequence);
    tracing::warn!(
        code = Code::NotACloudEvent.code(),
        subject = %message.subject,
        sequence,
        "a message on the bus is dropped: {problem}"
    );
}
