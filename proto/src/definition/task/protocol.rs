//! `call` of OpenAPI, AsyncAPI and A2A.

use std::sync::Arc;

use super::Position;
use super::call::OUTPUTS;
use crate::definition::codes;
use crate::definition::decoder::{Decoder, optional};
use crate::definition::node::{Data, Node};
use crate::expression::Template;
use crate::plan::{A2aCall, AsyncApiCall, AsyncApiSubscription, Consume, OpenApiCall};
use crate::value::Value;

pub(in crate::definition) const A2A_METHODS: &[(&str, ())] = &[
    ("message/send", ()),
    ("message/stream", ()),
    ("tasks/get", ()),
    ("tasks/list", ()),
    ("tasks/cancel", ()),
    ("tasks/resubscribe", ()),
    ("tasks/pushNotificationConfig/set", ()),
    ("tasks/pushNotificationConfig/get", ()),
    ("tasks/pushNotificationConfig/list", ()),
    ("tasks/pushNotificationConfig/delete", ()),
    ("agent/getAuthenticatedExtendedCard", ()),
];

pub(in crate::definition) const ASYNCAPI_PROTOCOLS: &[(&str, ())] = &[
    ("amqp", ()),
    ("amqp1", ()),
    ("anypointmq", ()),
    ("googlepubsub", ()),
    ("http", ()),
    ("ibmmq", ()),
    ("jms", ()),
    ("kafka", ()),
    ("mercure", ()),
    ("mqtt", ()),
    ("mqtt5", ()),
    ("nats", ()),
    ("pulsar", ()),
    ("redis", ()),
    ("sns", ()),
    ("solace", ()),
    ("sqs", ()),
    ("stomp", ()),
    ("ws", ()),
];

/// Those of [`ASYNCAPI_PROTOCOLS`] that workers speak.
const SPOKEN_PROTOCOLS: &[&str] = &["amqp", "http", "kafka", "mqtt", "mqtt5", "nats", "ws"];

impl Decoder<'_> {
    pub(super) fn openapi(&mut self, node: &Node) -> Option<OpenApiCall> {
        let what = "the `with` of an OpenAPI call";
        let known =
            ["document", "operationId", "parameters", "authentication", "output", "redirect"];
        self.closed(node, what, &known)?;
        let document = self.required(node, "document", what).and_then(|it| self.resource(it));
        let operation = self
            .required(node, "operationId", what)
            .and_then(|it| self.name_as_written(it, "`operationId`"));
        let parameters =
            optional(node.get("parameters"), |it| self.named_values(it, "`parameters`"));
        let authentication =
            optional(node.get("authentication"), |it| self.referable_authentication(it));
        let output = optional(node.get("output"), |it| self.choice(it, "`output`", OUTPUTS));
        let redirect = self.flag(node, "redirect", false);
        Some(OpenApiCall {
            document: document?,
            operation: operation?,
            parameters: parameters?,
            authentication: authentication?,
            output: output?.unwrap_or_default(),
            redirect: redirect?,
        })
    }

    /// A name that is no expression.
    pub(super) fn name_as_written(&mut self, node: &Node, what: &str) -> Option<Arc<str>> {
        self.check_literal(node, what);
        self.string(node, what)
    }

    pub(super) fn asyncapi(&mut self, node: &Node, position: Position<'_>) -> Option<AsyncApiCall> {
        let what = "the `with` of an AsyncAPI call";
        let known = [
            "document",
            "channel",
            "operation",
            "server",
            "protocol",
            "message",
            "subscription",
            "authentication",
        ];
        let members = self.closed(node, what, &known)?;
        self.exactly_one(node, what, &["channel", "operation"]);
        self.exactly_one(node, what, &["message", "subscription"]);
        let document = self.required(node, "document", what).and_then(|it| self.resource(it));
        let authentication =
            optional(node.get("authentication"), |it| self.referable_authentication(it));
        for key in ["channel", "operation"] {
            optional(node.get(key), |it| self.string(it, &format!("`{key}`")))?;
        }
        optional(node.get("protocol"), |it| self.asyncapi_protocol(it))?;
        if let Some(server) = node.get("server") {
            self.closed(server, "`server`", &["name", "variables"])?;
            self.required(server, "name", "`server`")?;
        }
        if let Some(message) = node.get("message") {
            self.closed(message, "`message`", &["payload", "headers"])?;
        }
        let subscription = optional(node.get("subscription"), |it| {
            let pointer = format!("{}/with/subscription/foreach", position.pointer);
            self.asyncapi_subscription(it, &pointer)
        });
        let mut with = Vec::new();
        for (key, member) in members {
            if !["document", "authentication", "subscription"].contains(&&**key) {
                with.push((key.clone(), self.template(&member.node)?));
            }
        }
        Some(AsyncApiCall {
            document: document?,
            with: Template::Object(with.into()),
            subscription: subscription?,
            authentication: authentication?,
        })
    }

    /// A protocol that the specification names; a finding where no worker speaks it.
    fn asyncapi_protocol(&mut self, node: &Node) -> Option<()> {
        self.choice(node, "`protocol`", ASYNCAPI_PROTOCOLS)?;
        let word = node.as_str().unwrap_or_default();
        if !SPOKEN_PROTOCOLS.contains(&word) {
            let hint = format!("workers speak {}", SPOKEN_PROTOCOLS.join(", "));
            self.unsupported(node.place, &format!("the protocol `{word}` of AsyncAPI"), &hint);
        }
        Some(())
    }

    /// What of `foreach` is the coordinator's to do: a worker has the messages.
    fn check_asyncapi_each(&mut self, node: &Node) {
        let hint = "give what is needed of each message with `foreach.output.as`, and do the rest \
                    in a `for` over the task's output";
        for key in ["do", "export"] {
            if let Some(part) = node.get(key) {
                let what = format!("`foreach.{key}` of an AsyncAPI subscription");
                self.unsupported(part.place, &what, hint);
            }
        }
    }

    fn asyncapi_subscription(
        &mut self,
        node: &Node,
        pointer: &str,
    ) -> Option<AsyncApiSubscription> {
        let what = "`subscription`";
        self.closed(node, what, &["filter", "consume", "foreach"])?;
        let filter = self.condition_at(node, "filter");
        let each = optional(node.get("foreach"), |it| {
            self.check_asyncapi_each(it);
            self.subscription(it, pointer)
        });
        let consume = self.required(node, "consume", what)?;
        self.closed(consume, "`consume`", &["for", "amount", "while", "until"])?;
        let time = optional(consume.get("for"), |it| self.duration(it, "`consume.for`"));
        self.exactly_one(consume, "`consume`", &["amount", "while", "until"]);
        let amount = optional(consume.get("amount"), |it| {
            self.integer(it, "`amount`", 0..=i64::from(u32::MAX))
        });
        let condition = self.condition_at(consume, "while");
        let until = self.condition_at(consume, "until");
        let consume = match (amount?, condition?, until?) {
            (Some(amount), ..) => Consume::Amount(u32::try_from(amount).ok()?),
            (_, Some(condition), _) => Consume::While(condition),
            (.., Some(until)) => Consume::Until(until),
            (None, None, None) => return None,
        };
        Some(AsyncApiSubscription { filter: filter?, consume, duration: time?, each: each? })
    }

    pub(super) fn exactly_one(&mut self, node: &Node, what: &str, keys: &[&str]) {
        let given = keys.iter().filter(|key| node.get(key).is_some()).count();
        if given != 1 {
            let listed: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
            let message = format!("{what} needs exactly one of {}", listed.join(", "));
            self.error(codes::CONFLICT, node.place, message, "");
        }
    }

    pub(super) fn a2a(&mut self, node: &Node) -> Option<A2aCall> {
        let what = "the `with` of an A2A call";
        self.closed(node, what, &["agentCard", "server", "method", "parameters"])?;
        let agent_card = optional(node.get("agentCard"), |it| self.resource(it));
        let server = optional(node.get("server"), |it| self.endpoint(it, "`server`"));
        if node.get("agentCard").is_none() && node.get("server").is_none() {
            let message = format!("{what} needs `agentCard` or `server`");
            self.error(codes::CONFLICT, node.place, message, "");
        }
        let method = self.protocol_method(node, what, A2A_METHODS);
        let parameters = self.parameters(node);
        Some(A2aCall {
            agent_card: agent_card?,
            server: server?,
            method: method?,
            parameters: parameters?,
        })
    }

    pub(super) fn protocol_method(
        &mut self,
        node: &Node,
        what: &str,
        words: &[(&'static str, ())],
    ) -> Option<Arc<str>> {
        let method = self.required(node, "method", what)?;
        self.choice(method, "`method`", words)?;
        self.string(method, "`method`")
    }

    /// A mapping, or an expression that gives one.
    pub(super) fn parameters(&mut self, node: &Node) -> Option<Option<Template>> {
        let Some(parameters) = node.get("parameters") else { return Some(None) };
        match &parameters.data {
            Data::Mapping(_) => self.data(parameters).map(Some),
            Data::Scalar { value: Value::String(_), .. } => {
                self.expression_field(parameters, "`parameters`").map(Some)
            }
            _ => self.wrong(parameters, "`parameters`", "a mapping or an expression"),
        }
    }
}
