//! A subscription: messages as they come, until there are enough.

use std::time::Duration;

use tokio::time::Instant;
use windlass_proto::limits;
use windlass_proto::plan::{AsyncApiSubscription, Consume, Subscription};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::message::Incoming;
use super::server::Protocol;
use super::{Target, configuration};
use crate::attempt::Attempt;
use crate::trace::{Messaging, MessagingSpan};

/// Where messages come from.
pub(super) enum Feed {
    Amqp(super::amqp::Subscribed),
    Http(super::http::Stream),
    Kafka(Box<super::kafka::Subscribed>),
    Mqtt(super::mqtt::Client),
    Nats(super::nats::Client),
    WebSocket(super::websocket::Socket),
}

impl Feed {
    /// The next message. Nothing is lost when this is dropped before it comes.
    async fn next(&mut self, attempt: &Attempt<'_>) -> Result<Incoming, Problem> {
        match self {
            Self::Amqp(subscribed) => subscribed.next().await,
            Self::Http(stream) => stream.next().await,
            // The group may give it what is another broker's.
            Self::Kafka(subscribed) => subscribed.next(attempt).await,
            Self::Mqtt(client) => client.next().await,
            Self::Nats(client) => client.next().await,
            Self::WebSocket(socket) => socket.next().await,
        }
    }

    /// Says goodbye, where the protocol has a word for it.
    ///
    /// # Errors
    /// Where messages were taken that the server does not know to be.
    async fn close(self, attempt: &Attempt<'_>) -> Result<(), Problem> {
        match self {
            // Another attempt would get what it does not know of.
            Self::Amqp(subscribed) => return subscribed.close().await,
            Self::Kafka(subscribed) => return subscribed.close(attempt).await,
            Self::Mqtt(client) => within(client.close()).await,
            Self::WebSocket(socket) => within(socket.close()).await,
            Self::Http(_) | Self::Nats(_) => {}
        }
        Ok(())
    }
}

/// A goodbye, whatever the server does about it: all that was wanted is here.
async fn within(goodbye: impl Future<Output = ()>) {
    let _ = tokio::time::timeout(Duration::from_millis(limits::GOODBYE_MS), goodbye).await;
}

impl Attempt<'_> {
    /// Takes messages of `target` until `subscription` has had enough; gives them in their order.
    pub(super) async fn subscribe(
        &mut self,
        target: Target,
        subscription: &AsyncApiSubscription,
        input: &Value,
    ) -> Result<Value, Problem> {
        if let Some(each) = &subscription.each
            && (!each.body.is_empty() || each.export.transform.is_some())
        {
            let detail = "`foreach.do` and `foreach.export` of an AsyncAPI subscription are not \
                          supported: use `foreach.output.as`, or a `for` over the task's output";
            return Err(configuration(detail));
        }
        let duration = self.optional_duration(subscription.duration.as_ref(), input)?;
        let span = MessagingSpan::new(Messaging::Receive, &self.destination(&target));
        let taken = self.take(target, subscription, duration, &span).await;
        span.ended(&taken);
        let messages = taken?;
        span.counted(messages.len());
        Ok(Value::array(messages))
    }

    async fn take(
        &mut self,
        target: Target,
        subscription: &AsyncApiSubscription,
        duration: Option<Duration>,
        span: &MessagingSpan,
    ) -> Result<Vec<Value>, Problem> {
        let (protocol, told) = (target.server().protocol, target.operation.message.clone());
        let mut feed = match protocol {
            Protocol::Amqp => {
                // Of what a filter passes over nobody knows how much there is.
                let wanted = match subscription.consume {
                    Consume::Amount(amount) if subscription.filter.is_none() => Some(amount),
                    _ => None,
                };
                Feed::Amqp(self.listen_by_amqp(&target, wanted).await?)
            }
            Protocol::Http => Feed::Http(self.listen_by_http(target).await?),
            Protocol::Kafka => Feed::Kafka(Box::new(self.listen_by_kafka(&target).await?)),
            Protocol::Mqtt | Protocol::Mqtt5 => Feed::Mqtt(self.listen_by_mqtt(&target).await?),
            Protocol::Nats => Feed::Nats(self.listen_by_nats(&target).await?),
            Protocol::WebSocket => Feed::WebSocket(self.listen_by_websocket(&target, span).await?),
        };
        // From here on, as it is the time in which messages are taken.
        let end = duration.map(|it| Instant::now() + it);
        let mut taken = Taken::default();
        while !self.had_enough_before(&subscription.consume, &taken)? {
            let incoming = match end {
                None => feed.next(self).await?,
                Some(end) => match tokio::time::timeout_at(end, feed.next(self)).await {
                    Ok(incoming) => incoming?,
                    Err(_) => break,
                },
            };
            let message = incoming.value(&told, &mut self.seal);
            self.within_bounds()?;
            if let Some(filter) = &subscription.filter
                && !self.evaluate_program(filter, &message)?.is_truthy()
            {
                continue;
            }
            let item = self.item(subscription.each.as_ref(), &message, taken.items.len()).await?;
            taken.add(message, item)?;
            if self.had_enough_after(&subscription.consume, &taken)? {
                break;
            }
        }
        feed.close(self).await?;
        Ok(taken.items)
    }

    /// `amount` and `until`, which sees the message that was taken last.
    fn had_enough_before(&self, consume: &Consume, taken: &Taken) -> Result<bool, Problem> {
        match consume {
            Consume::Amount(amount) => Ok(taken.items.len() >= *amount as usize),
            Consume::Until(until) => Ok(self.evaluate_program(until, &taken.last)?.is_truthy()),
            Consume::While(_) => Ok(false),
        }
    }

    /// `while`, which sees the message that was just taken.
    fn had_enough_after(&self, consume: &Consume, taken: &Taken) -> Result<bool, Problem> {
        match consume {
            Consume::While(condition) => {
                Ok(!self.evaluate_program(condition, &taken.last)?.is_truthy())
            }
            Consume::Amount(_) | Consume::Until(_) => Ok(false),
        }
    }

    /// What the output has of a message: `foreach.output`, or the message itself.
    async fn item(
        &mut self,
        each: Option<&Subscription>,
        message: &Value,
        index: usize,
    ) -> Result<Value, Problem> {
        let Some(each) = each else { return Ok(message.clone()) };
        // They mean this here only: what the task itself evaluates may have others of these names.
        let outside = self.scope.data.variables.clone();
        self.scope.bind(&each.item, message.clone());
        self.scope.bind(&each.at, Value::Int(i64::try_from(index).unwrap_or(i64::MAX)));
        let item = self.evaluate_optional(each.output.transform.as_ref(), message);
        self.scope.data.variables = outside;
        let item = item?;
        let item = item.unwrap_or_else(|| message.clone());
        if let Some(schema) = &each.output.schema {
            self.validate(schema, &item, "output of an item").await?;
        }
        Ok(item)
    }
}

/// What a subscription has taken so far.
#[derive(Default)]
struct Taken {
    items: Vec<Value>,
    /// The last message as it came.
    last: Value,
    weight: u64,
}

impl Taken {
    fn add(&mut self, message: Value, item: Value) -> Result<(), Problem> {
        self.weight += item.weight();
        if self.weight > limits::SUBSCRIBED_BYTES {
            let most = limits::SUBSCRIBED_BYTES;
            let detail = format!(
                "the messages of the subscription come to more than {most} bytes: keep less of \
                 each with `foreach.output.as`, or take fewer"
            );
            return Err(Problem::new(Standard::Runtime, detail));
        }
        self.items.push(item);
        self.last = message;
        Ok(())
    }
}
