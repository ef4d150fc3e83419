//! What a description, AsyncAPI 2 or 3, says of the operation that is called: its server, its
//! address there, its messages.

use windlass_proto::limits;
use windlass_proto::value::{Members, Value};

use super::address::{Address, Parameter};
use super::server::{self, Server};
use crate::perform::documents::{Documents, Located, Trouble, configuration};

/// What a call asks of a description, evaluated.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// `channel`, of descriptions of version 2.
    pub(super) channel: Option<String>,
    /// `operation`, of descriptions of version 3.
    pub(super) operation: Option<String>,
    /// `server.name`
    pub(super) server: Option<String>,
    /// `server.variables`
    pub(super) variables: Members,
    /// `protocol`
    pub(super) protocol: Option<String>,
    /// Whether it publishes, or else subscribes.
    pub(super) publishes: bool,
}

/// An operation, ready to be performed once the address is filled in.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) server: Server,
    pub(super) address: Address,
    pub(super) message: MessageType,
    pub(super) bindings: Bindings,
}

/// What is said of the messages of an operation.
#[derive(Clone, Debug, Default)]
pub(super) struct MessageType {
    /// `contentType`, or the description's default.
    pub(super) content_type: Option<String>,
    /// Where the correlation id is: `$message.header#/…` or `$message.payload#/…`.
    pub(super) correlation: Option<String>,
    /// The key of each record, by the message's bindings of Kafka.
    pub(super) key: Option<String>,
}

/// What the bindings of an operation say that means something here.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    /// `http.method`
    pub(super) method: Option<String>,
    /// `mqtt.qos`
    pub(super) qos: Option<u8>,
    /// `mqtt.retain`
    pub(super) retain: bool,
    /// `nats.queue`
    pub(super) queue: Option<String>,
    pub(super) amqp: AmqpBindings,
    pub(super) kafka: KafkaBindings,
}

/// What the bindings of a channel and its operation say of Kafka.
#[derive(Debug, Default)]
pub(super) struct KafkaBindings {
    /// `topic`, where it is not the channel's address.
    pub(super) topic: Option<String>,
    /// `groupId`, which is a schema that has one value.
    pub(super) group: Option<String>,
    /// `clientId`, likewise.
    pub(super) client: Option<String>,
    /// `x-auto-offset-reset`: where one begins who has no offset.
    pub(super) reset: Option<String>,
}

/// What the bindings of a channel and its operation say of AMQP 0-9-1.
#[derive(Debug, Default)]
pub(super) struct AmqpBindings {
    /// `is: queue`, and not a routing key.
    pub(super) is_queue: bool,
    /// `queue.name`
    pub(super) queue: Option<String>,
    /// `exchange.name`; the default exchange has none.
    pub(super) exchange: Option<String>,
    /// `queue.vhost` or `exchange.vhost`
    pub(super) virtual_host: Option<String>,
    /// `deliveryMode`: 1 for messages that are gone with the broker, 2 for those that are not.
    pub(super) delivery_mode: Option<u8>,
    /// `priority`
    pub(super) priority: Option<u8>,
    /// `expiration`, in milliseconds
    pub(super) expiration: Option<i64>,
    /// `mandatory`: what no queue takes is an error.
    pub(super) mandatory: Option<bool>,
    /// `ack`: whether messages are acknowledged.
    pub(super) ack: Option<bool>,
}

/// The operation that is `wanted`.
pub(super) fn operation(documents: &Documents, wanted: &Wanted) -> Result<Operation, Trouble> {
    let version = documents.top("asyncapi")?;
    let version = version.as_ref().map(|it| it.value.to_text()).unwrap_or_default();
    let is_version_2 = version.starts_with("2.");
    let (channel, operation, address) = match version.split('.').next() {
        Some("2") => of_version_2(documents, wanted)?,
        Some("3") => of_version_3(documents, wanted)?,
        _ => {
            let detail = match version.as_str() {
                "" => "the document is no description of AsyncAPI: it has no `asyncapi`".to_owned(),
                other => format!("AsyncAPI {other} is not supported: 2.x and 3.x are"),
            };
            return Err(configuration(detail).into());
        }
    };
    let server = server::choose(documents, &channel, wanted, is_version_2)?;
    let message = message(documents, &channel, &operation, is_version_2)?;
    let address = Address::parse(&address, &parameters(documents, &channel)?)?;
    let bindings = bindings(documents, channel, operation, is_version_2)?;
    Ok(Operation { server, address, message, bindings })
}

/// A channel, what is done on it, and its address.
type Found = (Located, Located, String);

fn of_version_2(documents: &Documents, wanted: &Wanted) -> Result<Found, Trouble> {
    let Some(name) = &wanted.channel else {
        let detail = "the description is of AsyncAPI 2, whose operations are called by `channel`";
        return Err(configuration(detail).into());
    };
    let channel = named(documents, "channels", name, "channel")?;
    let verb = if wanted.publishes { "publish" } else { "subscribe" };
    let Some(operation) = channel.part(verb) else {
        let given = if wanted.publishes { "message" } else { "subscription" };
        let detail =
            format!("the channel {name} has no `{verb}`, which a call with `{given}` performs");
        return Err(configuration(detail).into());
    };
    Ok((channel, documents.resolve(operation)?, name.clone()))
}

fn of_version_3(documents: &Documents, wanted: &Wanted) -> Result<Found, Trouble> {
    let Some(name) = &wanted.operation else {
        let detail = "the description is of AsyncAPI 3, whose operations are called by `operation`";
        return Err(configuration(detail).into());
    };
    let name = name.strip_prefix("#/operations/").unwrap_or(name);
    let operation = named(documents, "operations", name, "operation")?;
    let Some(channel) = operation.part("channel") else {
        let detail = format!("the operation {name} has no channel");
        return Err(configuration(detail).into());
    };
    // Nearly always a reference; a channel that is written there is taken as it stands.
    let channel = documents.resolve(channel)?;
    let Some(address) = channel.text("address").map(str::to_owned) else {
        let detail =
            format!("the channel of the operation {name} has no address, so it cannot be called");
        return Err(configuration(detail).into());
    };
    Ok((channel, operation, address))
}

/// The member `name` of what the description has as `group`.
fn named(documents: &Documents, group: &str, name: &str, what: &str) -> Result<Located, Trouble> {
    let all = documents.top(group)?;
    if let Some(found) = all.as_ref().and_then(|it| it.part(name)) {
        return documents.resolve(found);
    }
    let all = all.as_ref().and_then(|it| it.value.as_object());
    let known = listed(all.into_iter().flat_map(Members::keys).map(|it| &**it));
    Err(configuration(format!("the description has no {what} {name}; it has: {known}")).into())
}

/// Names for messages.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.take(limits::ASYNCAPI_SHOWN + 1).collect();
    if names.len() > limits::ASYNCAPI_SHOWN {
        names[limits::ASYNCAPI_SHOWN] = "…";
    }
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// An object and its `traits`, in the order in which what they say counts: an object of version 3
/// before its traits, and one of version 2 after them; later traits before earlier ones.
fn layers(
    documents: &Documents,
    whole: Located,
    is_version_2: bool,
) -> Result<Vec<Located>, Trouble> {
    let traits = whole.elements("traits").into_iter().rev();
    let mut layers = traits.map(|it| documents.resolve(it)).collect::<Result<Vec<_>, _>>()?;
    let at = if is_version_2 { layers.len() } else { 0 };
    layers.insert(at, whole);
    Ok(layers)
}

/// What the first of `layers` that has it says at `path`.
fn at(documents: &Documents, layers: &[Located], path: &[&str]) -> Result<Option<Value>, Trouble> {
    for layer in layers {
        let mut found = Some(layer.clone());
        for step in path {
            let part = found.and_then(|it| it.part(step));
            found = part.map(|it| documents.resolve(it)).transpose()?;
        }
        if let Some(found) = found {
            return Ok(Some(found.value));
        }
    }
    Ok(None)
}

fn text(value: Option<Value>) -> Option<String> {
    value.and_then(|it| it.as_str().map(str::to_owned))
}

/// The first kind of message of an operation: what is the same for all is all that is asked of it.
fn message(
    documents: &Documents,
    channel: &Located,
    operation: &Located,
    is_version_2: bool,
) -> Result<MessageType, Trouble> {
    let of_version_2 = operation.part("message");
    let of_version_3 = operation.elements("messages").into_iter().next();
    let of_channel = || {
        let all = channel.part("messages")?;
        let first = all.value.as_object()?.values().next()?;
        Some(all.beside(first))
    };
    let found = of_version_2.or(of_version_3).or_else(of_channel);
    let mut message = found.map(|it| documents.resolve(it)).transpose()?;
    if let Some(first) = message.as_ref().and_then(|it| it.elements("oneOf").into_iter().next()) {
        message = Some(documents.resolve(first)?);
    }
    let message = message.map(|it| layers(documents, it, is_version_2)).transpose()?;
    let message = message.unwrap_or_default();
    let content_type = match at(documents, &message, &["contentType"])? {
        Some(own) => Some(own),
        None => documents.top("defaultContentType")?.map(|it| it.value),
    };
    let correlation = at(documents, &message, &["correlationId", "location"])?;
    let key = at(documents, &message, &["bindings", "kafka", "key"])?.and_then(|it| one_value(&it));
    Ok(MessageType { content_type: text(content_type), correlation: text(correlation), key })
}

fn bindings(
    documents: &Documents,
    channel: Located,
    operation: Located,
    is_version_2: bool,
) -> Result<Bindings, Trouble> {
    let channel = layers(documents, channel, is_version_2)?;
    let layers = layers(documents, operation, is_version_2)?;
    let of = |protocol: &str, key: &str| at(documents, &layers, &["bindings", protocol, key]);
    let qos = of("mqtt", "qos")?.and_then(|it| it.as_i64()).filter(|it| (0..3).contains(it));
    Ok(Bindings {
        method: text(of("http", "method")?),
        qos: qos.and_then(|it| u8::try_from(it).ok()),
        retain: of("mqtt", "retain")?.is_some_and(|it| it.is_truthy()),
        queue: text(of("nats", "queue")?),
        amqp: amqp_bindings(documents, &channel, &layers)?,
        kafka: kafka_bindings(documents, &channel, &layers)?,
    })
}

/// The one value that a schema allows, or its default; or what stands in its place.
fn one_value(schema: &Value) -> Option<String> {
    if let Some(plain) = schema.as_str() {
        return Some(plain.to_owned());
    }
    let mut choices = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    let only = choices.next().filter(|_| choices.next().is_none());
    let value = schema.get("const").or(only).or_else(|| schema.get("default"))?;
    Some(value.to_text())
}

fn kafka_bindings(
    documents: &Documents,
    channel: &[Located],
    operation: &[Located],
) -> Result<KafkaBindings, Trouble> {
    let of = |key: &str| at(documents, operation, &["bindings", "kafka", key]);
    let group = of("groupId")?;
    let name = group.as_ref().and_then(one_value);
    if group.is_some() && name.is_none() {
        let detail = "the `groupId` of the operation's bindings names no group: give its schema \
                      one value by `const`, `enum` or `default`";
        return Err(configuration(detail).into());
    }
    Ok(KafkaBindings {
        topic: text(at(documents, channel, &["bindings", "kafka", "topic"])?),
        group: name,
        client: of("clientId")?.as_ref().and_then(one_value),
        reset: of("x-auto-offset-reset")?.map(|it| it.to_text()),
    })
}

fn amqp_bindings(
    documents: &Documents,
    channel: &[Located],
    operation: &[Located],
) -> Result<AmqpBindings, Trouble> {
    let of_channel =
        |path: &[&str]| at(documents, channel, &[&["bindings", "amqp"], path].concat());
    let of = |key: &str| at(documents, operation, &["bindings", "amqp", key]);
    let octet = |value: Option<Value>| value.and_then(|it| u8::try_from(it.as_i64()?).ok());
    let virtual_host = match of_channel(&["queue", "vhost"])? {
        Some(host) => Some(host),
        None => of_channel(&["exchange", "vhost"])?,
    };
    Ok(AmqpBindings {
        is_queue: text(of_channel(&["is"])?).is_some_and(|it| it == "queue"),
        queue: text(of_channel(&["queue", "name"])?),
        exchange: text(of_channel(&["exchange", "name"])?),
        virtual_host: text(virtual_host),
        delivery_mode: octet(of("deliveryMode")?).filter(|it| matches!(it, 1 | 2)),
        priority: octet(of("priority")?),
        expiration: of("expiration")?.and_then(|it| it.as_i64()).filter(|it| *it >= 0),
        mandatory: of("mandatory")?.map(|it| it.is_truthy()),
        ack: of("ack")?.map(|it| it.is_truthy()),
    })
}

/// What is said of the parameters of a channel's address.
fn parameters(documents: &Documents, channel: &Located) -> Result<Vec<Parameter>, Trouble> {
    let Some(all) = channel.part("parameters") else { return Ok(Vec::new()) };
    let mut parameters = Vec::new();
    for (name, value) in all.value.as_object().into_iter().flatten() {
        let told = documents.resolve(all.beside(value))?;
        // Version 2 has a schema where version 3 has what of it was used.
        let schema = match told.part("schema") {
            Some(schema) => documents.resolve(schema)?,
            None => told.clone(),
        };
        parameters.push(Parameter {
            name: name.to_string(),
            default: schema.value.get("default").map(Value::to_text),
            choices: choices(&schema),
            location: told.text("location").map(str::to_owned),
        });
    }
    Ok(parameters)
}

/// `enum`, as texts.
pub(super) fn choices(of: &Located) -> Vec<String> {
    of.elements("enum").iter().map(|it| it.value.to_text()).collect()
}

#[cfg(test)]
mod tests;
