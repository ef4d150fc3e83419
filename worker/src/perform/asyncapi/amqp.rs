//! AMQP 0-9-1, as RabbitMQ speaks it: messages to an exchange, and messages of a queue.
//!
//! A client of one call with one channel. The libraries there are look names up by themselves, and
//! read tables as deep as a broker sends them. It publishes with confirms, and waits for one. It
//! takes messages of a queue that is there, or of one of its own for the time of the call where the
//! channel is a routing key; what it took is acknowledged when there is enough, so that the queue
//! has it still for another attempt until then.

mod client;
mod frame;

use std::num::NonZeroU16;

use percent_encoding::percent_decode_str;
use reqwest::header::HeaderMap;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};

use self::client::Client;
use self::frame::{Content, fits};
use super::description::AmqpBindings;
use super::message::{Incoming, Outgoing};
use super::{Target, configuration};
use crate::attempt::Attempt;
use crate::trace::{Messaging, MessagingSpan};

/// The one channel of a client.
const CHANNEL: NonZeroU16 = NonZeroU16::MIN;

/// Where the messages of a channel go, or come from.
struct Place<'a> {
    exchange: &'a str,
    /// What is published is told by it, or a queue of one's own bound.
    routing_key: &'a str,
    /// The queue that messages come from; none for one of the call's own.
    queue: Option<&'a str>,
}

/// A subscription.
pub(super) struct Subscribed {
    client: Client,
    acknowledges: bool,
    /// The number of the message that was taken last, where messages are not acknowledged.
    last: Option<u64>,
    unacknowledged: u16,
    /// How many the broker sends before any of them is acknowledged.
    ahead: NonZeroU16,
}

impl<'a> Place<'a> {
    /// The channel of `target`, by its bindings: a queue by its name, or a routing key of an
    /// exchange. That of the default exchange is the name of a queue as well.
    fn of(target: &'a Target) -> Result<Self, Problem> {
        let (bindings, address) = (&target.operation.bindings.amqp, target.address.as_str());
        let queue = bindings.queue.as_deref().filter(|it| !it.is_empty());
        let exchange = bindings.exchange.as_deref().unwrap_or_default();
        let place = if bindings.is_queue {
            let queue = queue.unwrap_or(address);
            // An exchange that is named knows the queue by the channel's address.
            let routing_key = if exchange.is_empty() { queue } else { address };
            Self { exchange, routing_key, queue: Some(queue) }
        } else {
            let queue = queue.or(Some(address).filter(|_| exchange.is_empty()));
            Self { exchange, routing_key: address, queue }
        };
        if ![place.exchange, place.routing_key, place.queue.unwrap_or_default()].map(fits)[..]
            .iter()
            .all(|it| *it)
        {
            let detail = "names of AMQP have 255 bytes at most: the channel's address, or the \
                          queue or exchange of its bindings, is longer";
            return Err(configuration(detail));
        }
        Ok(place)
    }
}

impl Attempt<'_> {
    pub(super) async fn publish_by_amqp(
        &mut self,
        target: &Target,
        mut message: Outgoing,
    ) -> Result<(), Problem> {
        let place = Place::of(target)?;
        let span = MessagingSpan::new(Messaging::Send, &self.destination(target));
        let mut own = HeaderMap::new();
        self.add_own_headers(&mut own);
        span.inject(&mut own);
        message.add_headers(&own);
        let longest = message.content_type.as_deref().into_iter();
        let longest = longest.chain(message.headers.iter().map(|(name, _)| name.as_str()));
        if !longest.into_iter().all(fits) {
            return Err(configuration("names of headers have 255 bytes at most with AMQP"));
        }
        let published = async {
            let mut client = self.connect_to_amqp(target).await?;
            let header = |it: &mut Content| {
                properties(it, &message, &target.operation.bindings.amqp);
            };
            // What the default exchange cannot deliver names a queue that there is not.
            let mandatory =
                target.operation.bindings.amqp.mandatory.unwrap_or(place.exchange.is_empty());
            let to = (place.exchange, place.routing_key);
            client.publish(to, mandatory, header, &message.payload).await?;
            client.close().await;
            Ok(())
        };
        let published = published.await;
        span.ended(&published);
        published
    }

    /// A subscription to what `target` has; `wanted` is how many messages it is for, where that is
    /// known before.
    pub(super) async fn listen_by_amqp(
        &mut self,
        target: &Target,
        wanted: Option<u32>,
    ) -> Result<Subscribed, Problem> {
        let place = Place::of(target)?;
        let acknowledges = target.operation.bindings.amqp.ack.unwrap_or(true);
        let mut client = self.connect_to_amqp(target).await?;
        let queue = match place.queue {
            Some(queue) => queue.to_owned(),
            None => client.bound_queue(place.exchange, place.routing_key).await?,
        };
        let ahead = ahead(wanted);
        client.consume(&queue, !acknowledges, ahead).await?;
        Ok(Subscribed { client, acknowledges, last: None, unacknowledged: 0, ahead })
    }

    async fn connect_to_amqp(&self, target: &Target) -> Result<Client, Problem> {
        let login = super::login::Login::of(target.authorization.as_ref())?;
        let peer = target.server().peer.clone();
        let stream = self.worker.clients.connect(&peer, self.caller()).await?;
        let host = virtual_host(target)?;
        Client::open(stream, peer, login.as_ref(), &host).await
    }
}

/// How many messages a broker sends before any is acknowledged, of so many that are wanted: no
/// others, which would have to go back to the queue. 0 would be as many as there are.
fn ahead(wanted: Option<u32>) -> NonZeroU16 {
    let most = limits::AMQP_UNACKNOWLEDGED;
    let wanted = wanted.and_then(|it| u16::try_from(it).ok()).unwrap_or(most);
    NonZeroU16::new(wanted.min(most)).unwrap_or(NonZeroU16::MIN)
}

/// The path of the server's URL, or what the channel's bindings say: `/` of itself.
fn virtual_host(target: &Target) -> Result<String, Problem> {
    let path = target.server().path.trim_start_matches('/');
    let host = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let bound = target.operation.bindings.amqp.virtual_host.as_deref();
    let host = Some(host).filter(|it| !it.is_empty()).or(bound.map(str::to_owned));
    let host = host.unwrap_or_else(|| "/".to_owned());
    if fits(&host) {
        return Ok(host);
    }
    Err(configuration("the virtual host of the server has more than 255 bytes"))
}

/// The properties of a message: class, weight and size are written before.
fn properties(content: &mut Content, message: &Outgoing, bindings: &AmqpBindings) {
    let expiration = bindings.expiration.map(|it| it.to_string());
    let key = |it: &&(String, String)| it.0.eq_ignore_ascii_case("idempotency-key");
    let id = message.headers.iter().find(key).map(|(_, value)| value).filter(|it| fits(it));
    let present = [
        (15, message.content_type.is_some()),
        (13, true),
        (12, true),
        (11, bindings.priority.is_some()),
        (8, expiration.is_some()),
        (7, id.is_some()),
    ];
    let flags = present.iter().filter(|(_, is)| *is).fold(0, |all, (bit, _)| all | 1 << bit);
    content.short(flags);
    if let Some(kind) = &message.content_type {
        content.short_text(kind);
    }
    content.table(|table| {
        message.headers.iter().for_each(|(name, value)| table.text(name, value));
    });
    content.octet(bindings.delivery_mode.unwrap_or(2));
    if let Some(priority) = bindings.priority {
        content.octet(priority);
    }
    for text in [expiration.as_deref(), id.map(String::as_str)].into_iter().flatten() {
        content.short_text(text);
    }
}

impl Subscribed {
    /// The next message. Those before it are acknowledged where there are too many of them.
    pub(super) async fn next(&mut self) -> Result<Incoming, Problem> {
        // The broker sends no more otherwise.
        if self.unacknowledged >= self.ahead.get() {
            self.acknowledge().await?;
        }
        let (number, incoming) = self.client.next().await?;
        if self.acknowledges {
            self.last = Some(number);
            self.unacknowledged += 1;
        }
        Ok(incoming)
    }

    /// Acknowledges all that was taken.
    async fn acknowledge(&mut self) -> Result<(), Problem> {
        if let Some(last) = self.last {
            self.client.acknowledge(last).await?;
            (self.last, self.unacknowledged) = (None, 0);
        }
        Ok(())
    }

    /// Acknowledges what was taken and ends. Once the broker knows what was taken, nothing that it
    /// does is an error any more: another attempt would not get these messages.
    pub(super) async fn close(mut self) -> Result<(), Problem> {
        if self.acknowledges {
            self.acknowledge().await?;
            self.client.settle().await.map_err(unsettled)?;
        }
        self.client.close().await;
        Ok(())
    }
}

/// The problem of an acknowledgement that the broker has not confirmed.
fn unsettled(problem: Problem) -> Problem {
    let why = problem.detail.as_deref().unwrap_or_default();
    let detail = format!(
        "it is not known whether the messages that were taken are in the queue still, as their \
         acknowledgement was not confirmed: {why}"
    );
    Problem::new(Standard::Communication, detail).with_status(problem.status)
}

#[cfg(test)]
mod tests {
    use windlass_proto::limits;

    use super::ahead;

    #[test]
    fn a_broker_sends_no_more_than_what_is_wanted() {
        let most = limits::AMQP_UNACKNOWLEDGED;
        let wanted = [Some(0), Some(1), Some(most.into()), Some(1_001), Some(u32::MAX), None];
        assert_eq!(wanted.map(|it| ahead(it).get()), [1, 1, most, most, most, most]);
    }
}
