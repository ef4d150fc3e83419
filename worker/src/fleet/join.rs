//! Registration: asked again and again, with pauses, until a coordinator answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{RequestError, RequestErrorKind};
use serde_bytes::ByteBuf;
use windlass_proto::limits;
use windlass_proto::wire::hello::{HelloError, Introduction, Joined, introduce};

use super::session::Member;
use super::{Event, FleetError};

impl Member {
    /// Registers; none when the worker is told to stop meanwhile.
    pub(super) async fn join(
        &mut self,
        mut stop: Pin<&mut impl Future<Output = ()>>,
        notify: &impl Fn(Event),
    ) -> Result<Option<Joined>, FleetError> {
        let mut pause = Duration::from_millis(50);
        let mut said = false;
        loop {
            // With nothing in hand there is nothing to wait for; otherwise reports are worth the
            // time that draining may take.
            if self.drained_by.is_some_and(|by| self.is_drained() || Instant::now() >= by) {
                return Ok(None);
            }
            let asked = tokio::select! {
                asked = self.ask() => asked,
                () = &mut stop, if self.drained_by.is_none() => {
                    self.drained_by = Some(Instant::now() + self.options.drain);
                    notify(Event::Draining);
                    continue;
                }
            };
            match asked {
                Ok(joined) => return Ok(Some(joined)),
                Err(Refusal::Final(reason)) => return Err(FleetError::Refused(reason)),
                Err(Refusal::NotNow(reason)) => {
                    if !said {
                        tracing::warn!(reason, "not registered yet; retrying");
                        said = true;
                    }
                }
            }
            // A part of the pause is chance, so that a thousand workers do not ask together.
            let part = u32::from(uuid::Uuid::new_v4().as_bytes()[0]);
            let pause_now = pause / 2 + pause / 2 * part / 255;
            tokio::select! {
                () = tokio::time::sleep(pause_now) => {}
                () = &mut stop, if self.drained_by.is_none() => {
                    self.drained_by = Some(Instant::now() + self.options.drain);
                    notify(Event::Draining);
                }
            }
            pause = (pause * 2).min(Duration::from_millis(limits::JOIN_PAUSE_MOST_MS));
        }
    }

    async fn ask(&self) -> Result<Joined, Refusal> {
        let options = &self.options;
        let introduction = Introduction {
            enrolment: ByteBuf::new(),
            pool: Arc::from(&*options.pool),
            identity: self.identity.clone(),
            version: Arc::from(env!("CARGO_PKG_VERSION")),
            capabilities: self.capabilities.clone(),
            concurrency: options.concurrency,
            evaluates: true,
            isolation: self.worker.isolation(),
        };
        let not_now = |error: &dyn std::fmt::Display| Refusal::NotNow(error.to_string());
        let (hello, joining) = introduce(&options.key, introduction).map_err(|it| not_now(&it))?;
        let subject = options.prefix.hello();
        let answer = self.bus.client.request(subject, hello.into()).await;
        let answer = answer.map_err(|error| Refusal::NotNow(unanswered(&error)))?;
        match joining.finish(&answer.payload) {
            Ok(joined) => Ok(joined),
            Err(HelloError::Refused(reason)) => Err(Refusal::Final(reason)),
            Err(error) => Err(not_now(&error)),
        }
    }
}

/// Why there was no answer. To a key that it does not know a coordinator says nothing: whoever
/// listens would learn which ones it does.
fn unanswered(error: &RequestError) -> String {
    match error.kind() {
        RequestErrorKind::NoResponders => "no coordinator listens on this bus".to_owned(),
        RequestErrorKind::TimedOut => {
            "the coordinator does not answer: most likely this worker's key is \
            that of another coordinator (`windlass coordinator key` prints the right one)"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

/// Why a registration came to nothing.
enum Refusal {
    /// The coordinator said no.
    Final(String),
    /// Nobody answered, or not the right one.
    NotNow(String),
}
