//! Makes the streams where they are missing, at the start and whenever they have gone, and says
//! what is wrong with those that are there.
//!
//! **Invariant:** a stream that is there is never changed.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::{AccountErrorKind, CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{Context, ErrorCode};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use windlass_bus::Bus;
use windlass_proto::limits;
use windlass_proto::wire::subject::Prefix;

use super::stream::{Purpose, StreamStatus, mismatch, shortfall, wanted};
use crate::code::Code;

/// How the streams stand, in the order of [`Purpose::ALL`].
pub(super) type StreamStatuses = [StreamStatus; Purpose::ALL.len()];

/// Looks after the streams.
pub(super) struct StreamManager {
    bus: Bus,
    context: Context,
    streams: [Config; Purpose::ALL.len()],
    statuses: watch::Sender<StreamStatuses>,
    recheck: Arc<Notify>,
    /// What was said last of each stream, so that it is said once.
    said: [String; Purpose::ALL.len()],
    /// True once `JetStream` was there: from then on its absence is an outage.
    seen: bool,
}

/// Tells how the streams stand; cheap to clone.
#[derive(Clone)]
pub(super) struct Watch {
    statuses: watch::Receiver<StreamStatuses>,
    recheck: Arc<Notify>,
}

impl Watch {
    pub(super) fn status(&self, purpose: Purpose) -> StreamStatus {
        self.statuses.borrow()[purpose as usize]
    }

    /// Waits until the stream can be used, or it is certain that there will be none.
    pub(super) async fn settled(&self, purpose: Purpose) -> StreamStatus {
        let mut statuses = self.statuses.clone();
        let settled = |all: &StreamStatuses| {
            matches!(all[purpose as usize], StreamStatus::Ready | StreamStatus::Off)
        };
        let status = statuses.wait_for(settled).await.ok().map(|all| all[purpose as usize]);
        match status {
            Some(status) => status,
            // The manager has ended, with the process.
            None => std::future::pending().await,
        }
    }

    /// Something found a stream missing: to be looked at now.
    pub(super) fn recheck(&self) {
        self.recheck.notify_one();
    }
}

/// What one look at a stream gave.
enum Look {
    Ready(Option<String>),
    Unusable(String),
    Unknown(String),
    Off,
}

impl StreamManager {
    pub(super) fn new(bus: Bus, context: Context, prefix: &Prefix, replicas: u8) -> (Self, Watch) {
        let (statuses, receiver) = watch::channel(StreamStatuses::default());
        let recheck = Arc::new(Notify::new());
        let streams = Purpose::ALL.map(|purpose| wanted(prefix, purpose, replicas));
        let watch = Watch { statuses: receiver, recheck: recheck.clone() };
        let said = std::array::from_fn(|_| String::new());
        (Self { bus, context, streams, statuses, recheck, said, seen: false }, watch)
    }

    /// Works until the process ends.
    pub(super) async fn run(mut self) {
        let mut link = self.bus.link();
        loop {
            if self.bus.is_up() {
                self.look().await;
            }
            let all_ready = self.statuses.borrow().iter().all(|it| *it == StreamStatus::Ready);
            // Soon again while something is missing: an operator may be mending it.
            let pause = if all_ready { limits::STREAMS_CHECK_MS } else { limits::BUS_TIMEOUT_MS };
            tokio::select! {
                Ok(()) = link.changed() => { link.borrow_and_update(); }
                () = self.recheck.notified() => {}
                () = tokio::time::sleep(Duration::from_millis(pause)) => {}
            }
        }
    }

    /// Looks at all streams once.
    async fn look(&mut self) {
        for purpose in Purpose::ALL {
            let index = purpose as usize;
            let look = self.ensure(&self.streams[index]).await;
            let status = match &look {
                Look::Ready(_) => StreamStatus::Ready,
                Look::Unusable(_) => StreamStatus::Unusable,
                Look::Unknown(_) => StreamStatus::Unknown,
                // It was there: it will be again, and nothing emitted may get lost meanwhile.
                Look::Off if self.seen => StreamStatus::Unknown,
                Look::Off => StreamStatus::Off,
            };
            self.seen |= status == StreamStatus::Ready;
            self.log_change(purpose, look);
            self.statuses
                .send_if_modified(|all| std::mem::replace(&mut all[index], status) != status);
        }
    }

    /// Logs what a look gave, unless that was said before.
    fn log_change(&mut self, purpose: Purpose, look: Look) {
        let code = Code::StreamUnusable.code();
        let (text, unusable) = match look {
            Look::Ready(remark) => (remark.unwrap_or_default(), false),
            Look::Unusable(reason) => {
                (format!("{reason}. Until then {}; tasks go on", purpose.service()), true)
            }
            Look::Unknown(reason) => (reason, false),
            Look::Off => (
                "this NATS has no JetStream: events over the bus are off; tasks go on".into(),
                false,
            ),
        };
        let said = &mut self.said[purpose as usize];
        if *said == text {
            return;
        }
        if unusable {
            tracing::error!(code, "{text}");
        } else if !text.is_empty() {
            tracing::warn!("{text}");
        } else {
            tracing::info!(stream = purpose.word(), "stream ready");
        }
        *said = text;
    }

    /// Makes a stream where there is none.
    async fn ensure(&self, config: &Config) -> Look {
        let patience = Duration::from_millis(limits::BUS_TIMEOUT_MS);
        // What goes on inside has time limits of its own, but more than one.
        match timeout(patience * 3, self.try_ensure(config)).await {
            Ok(look) => look,
            Err(_) => Look::Unknown(format!("stream {}: JetStream does not answer", config.name)),
        }
    }

    async fn try_ensure(&self, config: &Config) -> Look {
        let found = match self.context.get_stream(&config.name).await {
            Ok(stream) => stream.cached_info().config.clone(),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(reason)
                    if reason.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    return self.make(config).await;
                }
                GetStreamErrorKind::JetStream(reason) if is_off(&reason) => return Look::Off,
                _ => return self.unanswered(config, error.to_string()).await,
            },
        };
        match mismatch(&found, config) {
            Some(mismatch) => Look::Unusable(mismatch.to_string()),
            None => Look::Ready(shortfall(&found, config).map(|it| it.to_string())),
        }
    }

    async fn make(&self, config: &Config) -> Look {
        match self.context.create_stream(config).await {
            Ok(_) => {
                tracing::info!(stream = config.name, "stream created");
                Look::Ready(None)
            }
            Err(error) => match error.kind() {
                CreateStreamErrorKind::JetStream(reason) if is_off(&reason) => Look::Off,
                CreateStreamErrorKind::JetStream(reason) => {
                    let (name, bytes) = (&config.name, config.max_bytes);
                    let advice = "mend that, or make it yourself";
                    let subjects = config.subjects.join(",");
                    Look::Unusable(format!(
                        "stream {name} of {bytes} bytes and {} replicas cannot be made: {reason}; \
                         {advice}: nats stream add {name} --subjects '{subjects}' --storage file \
                         --retention limits --discard old",
                        config.num_replicas
                    ))
                }
                _ => Look::Unknown(format!("stream {} cannot be made: {error}", config.name)),
            },
        }
    }

    /// A request that failed says little: the account's own says whether there is `JetStream`.
    async fn unanswered(&self, config: &Config, reason: String) -> Look {
        match self.context.query_account().await {
            Err(error) => match error.kind() {
                AccountErrorKind::JetStreamUnavailable => Look::Off,
                AccountErrorKind::JetStream(reason) if is_off(&reason) => Look::Off,
                _ => Look::Unknown(format!("stream {}: {reason}", config.name)),
            },
            Ok(_) => Look::Unknown(format!("stream {}: {reason}", config.name)),
        }
    }
}

/// True for a server, or an account, without `JetStream`.
fn is_off(error: &async_nats::jetstream::Error) -> bool {
    let code = error.error_code();
    code == ErrorCode::JETSTREAM_NOT_ENABLED || code == ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT
}
