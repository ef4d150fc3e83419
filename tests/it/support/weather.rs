//! A bus that loses, repeats and reorders: what a worker says under one prefix is said again under
//! another, or is not, and the other way round.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, Message};
use futures_util::StreamExt as _;
use tokio::task::AbortHandle;

/// Of a hundred messages, so many never arrive, arrive twice, or arrive after later ones.
const LOST: u64 = 30;
const TWICE: u64 = 20;
const LATE: u64 = 30;
/// The longest that one of them is held up.
const LATEST_MS: u64 = 300;

/// The bad part of a bus; it stops when dropped.
pub(crate) struct Weather {
    /// The prefix under which workers live in it.
    pub(crate) prefix: &'static str,
    carried: Arc<AtomicU64>,
    serving: [AbortHandle; 2],
}

impl Weather {
    /// Between the coordinator's prefix and `weather`, with faults that follow from `seed`.
    pub(crate) async fn on(url: &str, seed: u64) -> Self {
        let client = async_nats::connect(url).await.unwrap();
        let carried = Arc::new(AtomicU64::new(0));
        let mut serving = Vec::new();
        for (from, to, way) in [
            ("weather.coordinator", "windlass.coordinator", 1),
            ("windlass.worker", "weather.worker", 2),
        ] {
            let mut messages = client.subscribe(format!("{from}.>")).await.unwrap();
            let (client, carried) = (client.clone(), carried.clone());
            let mut random = fastrand::Rng::with_seed(2 * seed + way);
            let carry = async move {
                while let Some(message) = messages.next().await {
                    carried.fetch_add(1, Ordering::Relaxed);
                    let subject = message.subject.replacen(from, to, 1);
                    let lost = random.u64(..100) < LOST;
                    let copies = u64::from(!lost) + u64::from(random.u64(..100) < TWICE);
                    for _ in 0..copies {
                        let late = random.u64(..100) < LATE;
                        let delay = if late { random.u64(..LATEST_MS) } else { 0 };
                        send(client.clone(), subject.clone(), message.clone(), delay).await;
                    }
                }
            };
            serving.push(tokio::spawn(carry).abort_handle());
        }
        client.flush().await.unwrap();
        Self { prefix: "weather", carried, serving: serving.try_into().unwrap() }
    }

    /// Messages that were to be carried.
    pub(crate) fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }
}

impl Drop for Weather {
    fn drop(&mut self) {
        self.serving.iter().for_each(AbortHandle::abort);
    }
}

/// Says a message again, at once or later.
async fn send(client: Client, subject: String, message: Message, delay_ms: u64) {
    let publish = async move {
        let Message { payload, reply, .. } = message;
        let _ = match reply {
            Some(reply) => client.publish_with_reply(subject, reply, payload).await,
            None => client.publish(subject, payload).await,
        };
    };
    if delay_ms == 0 {
        return publish.await;
    }
    tokio::spawn(async move {
        crate::support::until::moment(Duration::from_millis(delay_ms)).await;
        publish.await;
    });
}
