//! `call: asyncapi`: an operation of a description, published to or subscribed to.
//!
//! ```text
//!  description ─ operation ─ channel ─ server ─> address ─┬ message ──────> publish ─> the input
//!                                                         └ subscription ─> receive ─> messages
//! ```
//!
//! A message is published at least once: a worker that dies after it was sent and before that is
//! known sends it again, with the same idempotency key where the protocol has headers. What a
//! subscription has taken is known to the coordinator when the task ends. Queues of AMQP and groups
//! of Kafka are told what was taken when there is enough; the others have no position that another
//! worker could go on from.

mod address;
mod amqp;
mod description;
mod http;
mod kafka;
mod login;
mod message;
mod mqtt;
mod nats;
mod server;
mod subscription;
mod websocket;

use windlass_proto::limits;
use windlass_proto::plan::data_flow::DataFlow as _;
use windlass_proto::plan::{AsyncApiCall, ExternalResource};
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use self::description::{MessageType, Operation, Wanted};
use self::message::{Envelope, Outgoing};
use self::server::{Protocol, Server};
use super::aside;
use super::documents::{Documents, Trouble, configuration};
use super::http::was_refused;
use crate::attempt::Attempt;
use crate::authentication::Authorization;
use crate::trace::Destination;

/// What is called, and as whom.
struct Target {
    operation: Operation,
    /// The channel's address, filled in.
    address: String,
    authorization: Option<Authorization>,
}

impl Target {
    fn server(&self) -> &Server {
        &self.operation.server
    }

    fn message_type(&self) -> &MessageType {
        &self.operation.message
    }
}

impl Attempt<'_> {
    pub(super) async fn call_asyncapi(
        &mut self,
        call: &AsyncApiCall,
        input: Value,
    ) -> Result<Value, Problem> {
        let done = self.asyncapi_call(call, &input).await;
        if was_refused(&done) && self.secrets_changed().await? {
            let input = self.transform_input(self.task, &self.input.clone())?;
            return self.asyncapi_call(call, &input).await;
        }
        done
    }

    async fn asyncapi_call(
        &mut self,
        call: &AsyncApiCall,
        input: &Value,
    ) -> Result<Value, Problem> {
        let most = limits::OPENAPI_BYTES;
        let documents = Documents::new(self.fetch_within(&call.document, input, most).await?);
        let authorization = self.authorize(call.authentication.as_deref(), input).await?;
        let with = self.evaluate(&call.with, input)?;
        let wanted = wanted(&with, call.subscription.is_none());
        let operation = self.describe(&call.document, documents, &wanted, input).await?;
        let envelope = call.subscription.is_none().then(|| outgoing(&with));
        let (protocol, given) = (operation.server.protocol, &wanted.variables);
        let address = operation.address.fill(protocol, envelope.as_ref(), given)?;
        let target = Target { operation, address, authorization };
        match (&call.subscription, envelope) {
            (Some(subscription), _) => self.subscribe(target, subscription, input).await,
            (None, envelope) => {
                let envelope = envelope.unwrap_or_default();
                let message = Outgoing::new(&envelope, target.message_type())?;
                self.publish(target, message).await?;
                Ok(input.clone())
            }
        }
    }

    /// What the description says of the operation that is `wanted`.
    async fn describe(
        &mut self,
        resource: &ExternalResource,
        mut documents: Documents,
        wanted: &Wanted,
        input: &Value,
    ) -> Result<Operation, Problem> {
        loop {
            let wanted = wanted.clone();
            // A large description takes its time. Each turn fetches a document that was not there.
            let described = aside(move || {
                let operation = description::operation(&documents, &wanted);
                (documents, operation)
            });
            let operation;
            (documents, operation) = described.await?;
            match operation {
                Ok(operation) => return Ok(operation),
                Err(Trouble::Needs(url)) => {
                    self.fetch_referred(&mut documents, url, resource, input).await?;
                }
                Err(Trouble::Wrong(problem)) => return Err(problem),
            }
        }
    }

    async fn publish(&mut self, target: Target, message: Outgoing) -> Result<(), Problem> {
        match target.server().protocol {
            Protocol::Amqp => self.publish_by_amqp(&target, message).await,
            Protocol::Http => self.publish_by_http(target, message).await,
            Protocol::Kafka => self.publish_by_kafka(&target, message).await,
            Protocol::Mqtt | Protocol::Mqtt5 => self.publish_by_mqtt(&target, message).await,
            Protocol::Nats => self.publish_by_nats(&target, message).await,
            Protocol::WebSocket => self.publish_by_websocket(&target, message).await,
        }
    }

    /// What telemetry may tell of `target`.
    fn destination<'a>(&self, target: &'a Target) -> Destination<'a> {
        let Server { protocol, peer, .. } = target.server();
        let host = Some(peer.host.as_str()).filter(|it| !self.seal.found_in(it));
        let template = target.operation.address.template();
        Destination { system: protocol.system(), template, host, port: peer.port }
    }
}

/// What a call asks for, in `with`.
fn wanted(with: &Value, publishes: bool) -> Wanted {
    let text =
        |from: &Value, key: &str| from.get(key).filter(|it| !it.is_null()).map(Value::to_text);
    let server = with.get("server").cloned().unwrap_or_default();
    let variables = server.get("variables").cloned().and_then(Value::into_members);
    Wanted {
        channel: text(with, "channel"),
        operation: text(with, "operation"),
        server: text(&server, "name"),
        variables: variables.unwrap_or_default(),
        protocol: text(with, "protocol"),
        publishes,
    }
}

/// The message of a call.
fn outgoing(with: &Value) -> Envelope {
    let message = with.get("message").cloned().unwrap_or_default();
    let part = |key: &str| message.get(key).cloned().unwrap_or_default();
    Envelope { payload: part("payload"), headers: part("headers") }
}

#[cfg(test)]
mod tests;
