//! Calls and processes in other words.

use super::{Compat, codes, items, put, rename, take, values};
use crate::definition::node::Node;

impl Compat<'_> {
    pub(super) fn call(&mut self, task: &mut Node) {
        let name = task.get("call").and_then(Node::as_str).unwrap_or_default().to_owned();
        if name == "function" && !self.own_function {
            self.call_function(task);
            return;
        }
        let Some(with) = task.get_mut("with") else { return };
        match name.as_str() {
            "http" => {
                self.with_uri(with);
                self.endpoint_at(with, "endpoint");
                self.header_values(with);
            }
            "openapi" => {
                self.authentication_at(with);
                self.resource_at(with, "document");
            }
            "asyncapi" => {
                self.authentication_at(with);
                self.resource_at(with, "document");
                if let Some(subscription) = with.get_mut("subscription") {
                    if let Some(consume) = subscription.get_mut("consume") {
                        self.durations(consume, &["for"]);
                    }
                    self.subscription(subscription);
                }
            }
            "grpc" => {
                self.short_arguments(with);
                self.resource_at(with, "proto");
                if let Some(service) = with.get_mut("service") {
                    self.authentication_at(service);
                }
            }
            "a2a" => {
                self.resource_at(with, "agentCard");
                self.endpoint_at(with, "server");
            }
            "mcp" => self.mcp(with),
            _ => {}
        }
    }

    fn resource_at(&mut self, node: &mut Node, key: &str) {
        if let Some(resource) = node.get_mut(key) {
            self.resource(resource);
        }
    }

    fn header_values(&mut self, node: &mut Node) {
        for header in values(node.get_mut("headers")) {
            self.stringify(header, "a header");
        }
    }

    fn mcp(&mut self, with: &mut Node) {
        self.strings(with, &["protocolVersion"]);
        self.durations(with, &["timeout"]);
        let Some(transport) = with.get_mut("transport") else { return };
        if let Some(http) = transport.get_mut("http") {
            self.endpoint_at(http, "endpoint");
            self.header_values(http);
        }
        if let Some(stdio) = transport.get_mut("stdio") {
            self.short_arguments(stdio);
            for argument in items(stdio.get_mut("arguments")) {
                self.stringify(argument, "an argument");
            }
            for value in values(stdio.get_mut("environment")) {
                self.stringify(value, "an environment variable");
            }
        }
    }

    /// `call: function` with the function's name in `with`.
    fn call_function(&mut self, task: &mut Node) {
        let named = task.get("with").and_then(|with| with.get("function"));
        let Some(function) = named.filter(|it| it.as_str().is_some()).cloned() else { return };
        let Some(call) = task.get("call") else { return };
        let message = "a function is called by its name";
        let name = function.as_str().unwrap_or_default();
        let hint = format!("write `call: {name}`, and the arguments directly in `with`");
        let place = call.place;
        self.deviation(codes::CALL_FUNCTION, place, message, &hint);
        let Some(with) = task.get_mut("with") else { return };
        self.short_arguments(with);
        let with_place = with.place;
        let arguments = take(with, "arguments").map(|member| member.node);
        take(with, "function");
        for (key, member) in with.as_mapping().into_iter().flatten() {
            let message = format!("`with` of `call: function` has no property `{key}`");
            let hint = "what the function takes goes into `arguments`";
            self.findings.error(codes::UNKNOWN_KEY, member.key, message, hint);
        }
        *with = arguments.unwrap_or_else(|| Node::mapping(with_place, []));
        if let Some(call) = task.get_mut("call") {
            *call = function;
        }
    }

    pub(super) fn run(&mut self, run: &mut Node) {
        if let Some(container) = run.get_mut("container") {
            self.strings(container, &["stdin", "name", "command"]);
            self.arguments(container, false);
            if let Some(lifetime) = container.get_mut("lifetime") {
                self.durations(lifetime, &["after"]);
            }
        }
        if let Some(script) = run.get_mut("script") {
            self.strings(script, &["stdin", "code"]);
            self.arguments(script, self.mapped_arguments);
            self.language(script);
            self.resource_at(script, "source");
        }
        if let Some(shell) = run.get_mut("shell") {
            self.strings(shell, &["stdin", "command"]);
            self.arguments(shell, self.mapped_arguments);
        }
        if let Some(workflow) = run.get_mut("workflow") {
            self.sub_workflow(workflow);
        }
    }

    /// `args` instead of `arguments`.
    fn short_arguments(&mut self, node: &mut Node) {
        if let Some(place) = rename(node, "args", "arguments") {
            let message = "the property is called `arguments`, not `args`";
            self.deviation(codes::SHORT_ARGUMENTS, place, message, "write `arguments`");
        }
    }

    /// `arguments`, of which a mapping is right where it `may_be_mapped`.
    fn arguments(&mut self, node: &mut Node, may_be_mapped: bool) {
        self.short_arguments(node);
        let Some(arguments) = node.get_mut("arguments") else { return };
        if arguments.as_mapping().is_some() && !may_be_mapped {
            let message = "`arguments` is a mapping";
            let hint = "the specification has a list; each entry becomes `--key value`";
            self.deviation(codes::ARGUMENT_MAP, arguments.place, message, hint);
        }
        for argument in items(Some(arguments)) {
            self.stringify(argument, "an argument");
        }
    }

    fn language(&mut self, script: &mut Node) {
        let Some(language) = script.get_mut("language") else { return };
        let Some(text) = language.as_str() else { return };
        let known = match text.to_ascii_lowercase().as_str() {
            "js" | "javascript" | "ecmascript" | "node" => "js",
            "python" | "py" | "python3" => "python",
            _ => return,
        };
        if known == text {
            return;
        }
        let message = format!("the language is called `{known}`, not `{text}`");
        let hint = format!("write `{known}`");
        self.deviation(codes::LANGUAGE_ALIAS, language.place, &message, &hint);
        *language = Node::string(language.place, known);
    }

    fn sub_workflow(&mut self, node: &mut Node) {
        self.strings(node, &["namespace", "name", "version"]);
        let namespace = self.namespace.clone();
        let place = node.place;
        for (key, default) in [("namespace", namespace.as_deref()), ("version", Some("latest"))] {
            let Some(default) = default.filter(|_| node.get(key).is_none()) else { continue };
            let Some(members) = node.as_mapping_mut() else { return };
            put(members, key, place, Node::string(place, default));
            let message = format!("`run.workflow` has no `{key}`: `{default}` is taken");
            let hint = format!("write `{key}: {default}`");
            self.deviation(codes::WORKFLOW_DEFAULTS, place, &message, &hint);
        }
    }
}
