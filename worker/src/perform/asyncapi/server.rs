//! The servers of a description: which one is called, by which protocol, and where it is.

use windlass_proto::problem::Problem;
use windlass_proto::value::{Members, Value};

use super::description::{Wanted, choices, listed};
use crate::http_client::connect::{Peer, authority};
use crate::perform::documents::{Documents, Located, Trouble, configuration};

/// The protocols that this version speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// AMQP 0-9-1.
    Amqp,
    Http,
    Kafka,
    /// Of version 3.1.1.
    Mqtt,
    /// Of version 5.
    Mqtt5,
    Nats,
    WebSocket,
}

/// A server that is called.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) protocol: Protocol,
    pub(super) peer: Peer,
    /// `pathname`: what the addresses of channels follow in URLs; empty, or `/` and more.
    pub(super) path: String,
    /// How one says to a broker of Kafka who asks, where the server's security has it.
    pub(super) mechanism: Option<Mechanism>,
}

/// A mechanism of SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    Scram256,
    Scram512,
}

impl Protocol {
    /// The protocol of this name, and whether it is spoken over TLS.
    fn named(name: &str) -> Option<(Self, bool)> {
        Some(match name.to_ascii_lowercase().as_str() {
            "amqp" => (Self::Amqp, false),
            "amqps" => (Self::Amqp, true),
            "http" => (Self::Http, false),
            "https" => (Self::Http, true),
            "kafka" => (Self::Kafka, false),
            "kafka-secure" => (Self::Kafka, true),
            "mqtt" => (Self::Mqtt, false),
            "mqtts" | "secure-mqtt" => (Self::Mqtt, true),
            "mqtt5" => (Self::Mqtt5, false),
            "nats" => (Self::Nats, false),
            "nats+tls" | "tls" => (Self::Nats, true),
            "ws" => (Self::WebSocket, false),
            "wss" => (Self::WebSocket, true),
            _ => return None,
        })
    }

    /// True where both are the same but for their version.
    fn is_kin_of(self, other: Self) -> bool {
        let family = |it: Self| if it == Self::Mqtt5 { Self::Mqtt } else { it };
        family(self) == family(other)
    }

    /// The port where an address names none.
    fn port(self, tls: bool) -> u16 {
        match (self, tls) {
            (Self::Amqp, false) => 5672,
            (Self::Amqp, true) => 5671,
            (Self::Http | Self::WebSocket, false) => 80,
            (Self::Http | Self::WebSocket, true) => 443,
            (Self::Kafka, _) => 9092,
            (Self::Mqtt | Self::Mqtt5, false) => 1883,
            (Self::Mqtt | Self::Mqtt5, true) => 8883,
            (Self::Nats, _) => 4222,
        }
    }

    /// How telemetry names what is spoken to.
    pub(super) fn system(self) -> &'static str {
        match self {
            Self::Amqp => "rabbitmq",
            Self::Http => "http",
            Self::Kafka => "kafka",
            Self::Mqtt | Self::Mqtt5 => "mqtt",
            Self::Nats => "nats",
            Self::WebSocket => "websocket",
        }
    }
}

/// True when a server of the protocol `has` is one that a call of `wants` means.
fn matches(has: &str, wants: &str) -> bool {
    match (Protocol::named(has), Protocol::named(wants)) {
        (Some((has, _)), Some((wants, _))) => has.is_kin_of(wants),
        _ => has.eq_ignore_ascii_case(wants),
    }
}

/// The server of `channel` that is `wanted`: by name, else the first of the protocol, else the
/// first.
pub(super) fn choose(
    documents: &Documents,
    channel: &Located,
    wanted: &Wanted,
    is_version_2: bool,
) -> Result<Server, Trouble> {
    let all = of_channel(documents, channel, is_version_2)?;
    let known = || listed(all.iter().map(|(name, _)| name.as_str()));
    let protocol = |server: &Located| server.text("protocol").unwrap_or_default().to_owned();
    let found = match (&wanted.server, &wanted.protocol) {
        (Some(name), _) => all.iter().find(|(known, _)| known == name).ok_or_else(|| {
            configuration(format!("the channel has no server {name}; it has: {}", known()))
        })?,
        (None, Some(wants)) => {
            all.iter().find(|(_, server)| matches(&protocol(server), wants)).ok_or_else(|| {
                let detail = format!(
                    "the channel has no server of the protocol {wants}; it has: {}",
                    known()
                );
                configuration(detail)
            })?
        }
        (None, None) => {
            all.first().ok_or_else(|| configuration("the description has no server"))?
        }
    };
    let (name, server) = found;
    let variables = variables(documents, name, server, &wanted.variables)?;
    let told = Told { name, server, variables, is_version_2 };
    let mut chosen = told.server(wanted.protocol.as_deref())?;
    if chosen.protocol == Protocol::Kafka {
        chosen.mechanism = mechanism(documents, server, is_version_2)?;
    }
    Ok(chosen)
}

/// The mechanism of SASL of the first of a server's security schemes that is one.
fn mechanism(
    documents: &Documents,
    server: &Located,
    is_version_2: bool,
) -> Result<Option<Mechanism>, Trouble> {
    let mut schemes = server.elements("security");
    if is_version_2 {
        let names = schemes.iter().filter_map(|it| it.value.as_object()).flat_map(Members::keys);
        let all = documents.top("components")?.and_then(|it| it.part("securitySchemes"));
        schemes = names.filter_map(|name| all.as_ref()?.part(name)).collect();
    }
    for scheme in schemes {
        let scheme = documents.resolve(scheme)?;
        match scheme.text("type") {
            Some("plain") => return Ok(Some(Mechanism::Plain)),
            Some("scramSha256") => return Ok(Some(Mechanism::Scram256)),
            Some("scramSha512") => return Ok(Some(Mechanism::Scram512)),
            _ => {}
        }
    }
    Ok(None)
}

/// The servers that have a channel, with their names: those it names, or else all.
fn of_channel(
    documents: &Documents,
    channel: &Located,
    is_version_2: bool,
) -> Result<Vec<(String, Located)>, Trouble> {
    let all = documents.top("servers")?;
    let own = channel.elements("servers");
    let mut servers = Vec::new();
    if own.is_empty() {
        for (name, value) in all.iter().filter_map(|it| it.value.as_object()).flatten() {
            let server = all.as_ref().map(|it| it.beside(value));
            servers.extend(server.map(|it| (name.to_string(), it)));
        }
    }
    for one in own {
        if is_version_2 {
            let name = one.value.to_text();
            let server = all.as_ref().and_then(|it| it.part(&name)).ok_or_else(|| {
                configuration(format!("the channel names the server {name}, which there is not"))
            })?;
            servers.push((name, server));
        } else {
            let name = one.text("$ref").and_then(|it| it.rsplit('/').next()).unwrap_or_default();
            servers.push((name.replace("~1", "/").replace("~0", "~"), one));
        }
    }
    let resolved = servers.into_iter().map(|(name, it)| Ok((name, documents.resolve(it)?)));
    resolved.collect()
}

/// The values of a server's variables: those given, or else their defaults.
fn variables(
    documents: &Documents,
    server: &str,
    of: &Located,
    given: &Members,
) -> Result<Vec<(String, String)>, Trouble> {
    let Some(all) = of.part("variables") else { return Ok(Vec::new()) };
    let mut values = Vec::new();
    for (name, value) in all.value.as_object().into_iter().flatten() {
        let told = documents.resolve(all.beside(value))?;
        let choices = choices(&told);
        let own = given.get(name).filter(|it| !it.is_null()).map(Value::to_text);
        if let Some(own) = &own
            && !choices.contains(own)
            && (!choices.is_empty() || !is_plain(own))
        {
            // The value may be a secret.
            let detail = match choices.is_empty() {
                true => format!("the variable {name} of the server {server} would change its URL"),
                false => format!(
                    "the variable {name} of the server {server} can be: {}",
                    listed(choices.iter().map(String::as_str))
                ),
            };
            return Err(configuration(detail).into());
        }
        let usual = told.value.get("default").map(Value::to_text);
        let value = own.or(usual).ok_or_else(|| {
            let detail = format!("the variable {name} of the server {server} has no value");
            configuration(detail)
        })?;
        values.push((name.to_string(), value));
    }
    Ok(values)
}

/// True for a value that stays what it is at its place in a URL.
fn is_plain(value: &str) -> bool {
    let is_part = |it: char| it.is_ascii_alphanumeric() || "-._~".contains(it);
    !value.is_empty() && value != "." && value != ".." && value.chars().all(is_part)
}

/// What a description tells of a server.
struct Told<'a> {
    name: &'a str,
    server: &'a Located,
    variables: Vec<(String, String)>,
    is_version_2: bool,
}

impl Told<'_> {
    fn server(&self, wanted: Option<&str>) -> Result<Server, Problem> {
        let word = self.server.text("protocol").unwrap_or_default();
        let Some((mut protocol, mut tls)) = Protocol::named(word) else {
            let detail = format!(
                "the server {} speaks {word:?}, which is not supported: choose one that speaks \
                 AMQP 0-9-1, HTTP, Kafka, MQTT, NATS or WebSocket with `server` or `protocol`",
                self.name
            );
            return Err(configuration(detail));
        };
        let is_5 = self.server.value.get("protocolVersion").map(Value::to_text);
        let is_5 = is_5.is_some_and(|it| it.starts_with('5')) || wanted == Some("mqtt5");
        if protocol == Protocol::Mqtt && is_5 {
            protocol = Protocol::Mqtt5;
        }
        let (host, path) = if self.is_version_2 {
            let url = self.filled("url")?;
            let (scheme, rest) = url.split_once("://").unwrap_or(("", &url));
            tls |= scheme == "ssl" || Protocol::named(scheme).is_some_and(|(_, tls)| tls);
            let at = rest.find('/').unwrap_or(rest.len());
            (rest[..at].to_owned(), rest[at..].to_owned())
        } else {
            let path = match self.server.text("pathname") {
                Some(_) => self.filled("pathname")?,
                None => String::new(),
            };
            (self.filled("host")?, path)
        };
        let Some((host, port)) = authority(&host) else {
            let detail = format!(
                "the server {} has no host that can be called: it is a name and perhaps a port, \
                 and credentials belong into `authentication`",
                self.name
            );
            return Err(configuration(detail));
        };
        let peer = Peer { host, port: port.unwrap_or_else(|| protocol.port(tls)), tls };
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() || path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        Ok(Server { protocol, peer, path, mechanism: None })
    }

    /// The text at `key`, with the variables in it.
    fn filled(&self, key: &str) -> Result<String, Problem> {
        let mut text = self.server.text(key).unwrap_or_default().to_owned();
        for (name, value) in &self.variables {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        if text.contains(['{', '}']) {
            let detail = format!(
                "the server {} has a variable in its `{key}` that is not described",
                self.name
            );
            return Err(configuration(detail));
        }
        Ok(text)
    }
}
