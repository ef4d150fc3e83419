//! `call: grpc`.

use std::sync::Arc;

use crate::definition::codes;
use crate::definition::decoder::{Decoder, optional};
use crate::definition::node::Node;
use crate::expression::Template;
use crate::limits::GRPC_PORT;
use crate::plan::{GrpcCall, GrpcTypes};

/// The scheme of a `proto` that is asked of the service.
const REFLECTION: &str = "grpc-reflection:";

/// Host and port of a gRPC service; none where they are missing or wrong, which is told elsewhere.
fn authority(service: &Node) -> Option<(&str, i64)> {
    let port = match service.get("port") {
        None => GRPC_PORT.into(),
        Some(port) => port.value().as_i64()?,
    };
    Some((service.get("host")?.as_str()?, port))
}

/// True for `grpc-reflection://HOST:PORT` of this host and port.
fn is_of(text: &str, host: &str, port: i64) -> bool {
    let at = text.strip_prefix(REFLECTION).and_then(|it| it.strip_prefix("//"));
    let at = at.map(|it| it.strip_suffix('/').unwrap_or(it)).unwrap_or_default();
    let (name, number) = match at.rsplit_once(':') {
        Some((name, number)) => (name, number.parse().ok()),
        None => (at, Some(GRPC_PORT.into())),
    };
    name.eq_ignore_ascii_case(host) && number == Some(port)
}

impl Decoder<'_> {
    /// `metadata` is that of the task.
    pub(super) fn grpc(&mut self, node: &Node, metadata: Option<&Node>) -> Option<GrpcCall> {
        let what = "the `with` of a gRPC call";
        self.closed(node, what, &["proto", "service", "method", "arguments"])?;
        let proto = self.required(node, "proto", what);
        let types = proto.and_then(|it| self.grpc_types(it, node.get("service")));
        let method =
            self.required(node, "method", what).and_then(|it| self.name_as_written(it, "`method`"));
        let arguments = optional(node.get("arguments"), |it| self.messages(it));
        let service = self.required(node, "service", what)?;
        self.closed(service, "`service`", &["name", "host", "port", "authentication"])?;
        let name = self
            .required(service, "name", "`service`")
            .and_then(|it| self.name_as_written(it, "`service.name`"));
        let host = self.required(service, "host", "`service`").and_then(|it| self.host(it));
        let port = optional(service.get("port"), |it| {
            let port = self.integer(it, "`port`", 0..=i64::from(u16::MAX))?;
            u16::try_from(port).ok()
        });
        let authentication =
            optional(service.get("authentication"), |it| self.referable_authentication(it));
        let tls = self.tls(metadata);
        Some(GrpcCall {
            types: types?,
            service: name?,
            host: host?,
            port: port?,
            authentication: authentication?,
            method: method?,
            arguments: arguments?,
            tls: tls?,
        })
    }

    /// A `.proto` file, or the service itself.
    fn grpc_types(&mut self, node: &Node, service: Option<&Node>) -> Option<GrpcTypes> {
        let file = self.resource(node)?;
        let endpoint = node.get("endpoint")?;
        let uri = endpoint.get("uri").unwrap_or(endpoint);
        let text = uri.as_str().unwrap_or_default();
        if !text.starts_with(REFLECTION) {
            return Some(GrpcTypes::File(file));
        }
        // Asked elsewhere, another would get the credentials of the service.
        if let Some((host, port)) = service.and_then(authority)
            && !is_of(text, host, port)
        {
            let message = format!("`{text}` is not where the service is");
            let hint = format!("write `{REFLECTION}//{host}:{port}`: the service itself is asked");
            self.error(codes::CONFLICT, uri.place, message, &hint);
            return None;
        }
        if let Some(authentication) = endpoint.get("authentication") {
            let message = "reflection has no `authentication` of its own";
            let hint = "the service is asked with `service.authentication`, as it is called";
            self.error(codes::CONFLICT, authentication.place, message, hint);
            return None;
        }
        Some(GrpcTypes::Reflection)
    }

    /// `arguments` of a gRPC call; a stream of messages only an expression can give.
    fn messages(&mut self, node: &Node) -> Option<Template> {
        if node.as_sequence().is_none() {
            return self.named_values(node, "`arguments`");
        }
        let message = "`arguments` must be a mapping, or an expression that gives one, not a list";
        let hint = "write the messages of a stream as one expression: `arguments: '${ [ … ] }'`";
        self.error(codes::WRONG_TYPE, node.place, message, hint);
        None
    }

    fn host(&mut self, node: &Node) -> Option<Arc<str>> {
        let host = self.string(node, "`service.host`")?;
        let fits = host.len() <= 63
            && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
            && host.starts_with(|c: char| c.is_ascii_alphanumeric())
            && host.ends_with(|c: char| c.is_ascii_alphanumeric());
        if fits {
            return Some(host);
        }
        let message = format!("`{host}` is not a host name");
        self.error(codes::BAD_PATTERN, node.place, message, "the port goes into `service.port`");
        None
    }
}
