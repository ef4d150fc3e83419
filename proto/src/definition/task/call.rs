//! `call`: HTTP, and functions by name.

use std::sync::Arc;

use super::Position;
use super::approval::APPROVAL;
use crate::definition::catalog::{DEFAULT_CATALOG, Location};
use crate::definition::codes;
use crate::definition::decoder::{Decoder, optional};
use crate::definition::node::{Data, Node};
use crate::definition::{PROTOCOL_CALLS, STANDARD_FUNCTIONS};
use crate::expression::Template;
use crate::plan::{FunctionCall, FunctionTarget, HttpCall, HttpOutput, Kind};
use crate::suggest;
use crate::value::Value;

pub(in crate::definition) const OUTPUTS: &[(&str, HttpOutput)] = &[
    ("raw", HttpOutput::Raw),
    ("content", HttpOutput::Content),
    ("response", HttpOutput::Response),
];

impl Decoder<'_> {
    pub(super) fn call(&mut self, node: &Node, position: Position<'_>) -> Option<Kind> {
        let call = node.get("call")?;
        let name = self.string(call, "`call`")?;
        if *name == *APPROVAL && !self.reusable.functions.contains_key(&name) {
            let with = self.required(node, "with", &format!("`call: {name}`"))?;
            return self.approval(with).map(|it| Kind::Approval(Box::new(it)));
        }
        if !PROTOCOL_CALLS.contains(&&*name) {
            return self.function_call(node, call, &name);
        }
        let with = self.required(node, "with", &format!("`call: {name}`"))?;
        match &*name {
            "http" => self.http(with).map(|it| Kind::Http(Box::new(it))),
            "openapi" => self.openapi(with).map(|it| Kind::OpenApi(Box::new(it))),
            "grpc" => self.grpc(with, node.get("metadata")).map(|it| Kind::Grpc(Box::new(it))),
            "asyncapi" => self.asyncapi(with, position).map(|it| Kind::AsyncApi(Box::new(it))),
            "a2a" => self.a2a(with).map(|it| Kind::A2a(Box::new(it))),
            _ => self.mcp(with).map(|it| Kind::Mcp(Box::new(it))),
        }
    }

    fn http(&mut self, node: &Node) -> Option<HttpCall> {
        let what = "the `with` of an HTTP call";
        let known = ["method", "endpoint", "headers", "query", "body", "output", "redirect"];
        self.closed(node, what, &known)?;
        let method = self
            .required_so(node, "method", what, "write `method: get`")
            .and_then(|node| self.method(node));
        let endpoint = self
            .required(node, "endpoint", what)
            .and_then(|node| self.endpoint(node, "`endpoint`"));
        let headers = optional(node.get("headers"), |node| self.named_values(node, "`headers`"));
        let query = optional(node.get("query"), |node| self.named_values(node, "`query`"));
        let body = optional(node.get("body"), |node| self.data(node));
        let output = optional(node.get("output"), |node| self.choice(node, "`output`", OUTPUTS));
        let redirect = self.flag(node, "redirect", false);
        Some(HttpCall {
            method: method?,
            endpoint: endpoint?,
            headers: headers?,
            query: query?,
            body: body?,
            output: output?.unwrap_or_default(),
            redirect: redirect?,
        })
    }

    fn method(&mut self, node: &Node) -> Option<Template> {
        let template = self.text_template(node, "`method`")?;
        let Template::Constant(Value::String(method)) = &template else { return Some(template) };
        // The token of RFC 9110.
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if !method.is_empty() && method.chars().all(token) {
            return Some(Template::Constant(Value::from(method.to_ascii_uppercase())));
        }
        let message = format!("`{method}` is not an HTTP method");
        self.error(codes::BAD_PATTERN, node.place, message, "such as `get` or `post`");
        None
    }

    /// A mapping of values, or an expression that gives one.
    pub(super) fn named_values(&mut self, node: &Node, what: &str) -> Option<Template> {
        match &node.data {
            Data::Mapping(_) => self.data(node),
            Data::Scalar { value: Value::String(text), .. } if text.contains("${") => {
                self.template(node)
            }
            _ => self.wrong(node, what, "a mapping, or an expression that gives one"),
        }
    }

    fn function_call(&mut self, node: &Node, call: &Node, name: &Arc<str>) -> Option<Kind> {
        let with = optional(node.get("with"), |with| {
            if with.as_str().is_some_and(|text| text.contains("${")) {
                return self.template(with);
            }
            self.mapping(with, "`with`")?;
            self.data(with)
        });
        let target = self.function_target(call, name);
        Some(Kind::Function(FunctionCall { target: target?, with: with? }))
    }

    fn function_target(&mut self, call: &Node, name: &Arc<str>) -> Option<FunctionTarget> {
        if let Some(index) = self.reusable.functions.get(name) {
            return Some(FunctionTarget::Defined(*index));
        }
        if name.contains("://") {
            let location = match in_place(name) {
                Some((function, endpoint)) => Location::in_catalog(endpoint, function),
                None => Location::at(name),
            };
            return self.cataloged(call, name, location, None);
        }
        let own_default = self.reusable.catalogs.contains_key(DEFAULT_CATALOG);
        match name.rsplit_once('@') {
            Some((function, DEFAULT_CATALOG)) if !own_default => {
                self.registered(call, &function.into())
            }
            Some((function, catalog)) if self.reusable.catalogs.contains_key(catalog) => {
                self.in_catalog(call, name, function, catalog)
            }
            Some((_, catalog)) => {
                let message = format!("there is no catalog `{catalog}` in `use.catalogs`");
                let known = self.reusable.catalogs.keys().map(|key| &**key);
                let hint = self.hint(catalog, known.chain([DEFAULT_CATALOG]));
                self.error(codes::NO_CATALOG, call.place, message, &hint);
                None
            }
            None if own_default && name.contains(':') => {
                self.in_catalog(call, name, name, DEFAULT_CATALOG)
            }
            None => self.registered(call, name),
        }
    }

    fn registered(&mut self, call: &Node, name: &Arc<str>) -> Option<FunctionTarget> {
        let bare = name.split(':').next().unwrap_or(name);
        let offered = self.registered.unwrap_or_default();
        if offered.contains(name) {
            return Some(FunctionTarget::Registered(name.clone()));
        }
        // Workers have one version of a function: its name is what they know it by.
        if STANDARD_FUNCTIONS.contains(&bare) || offered.iter().any(|it| **it == *bare) {
            return Some(FunctionTarget::Registered(bare.into()));
        }
        // A text that was accepted when there were no such functions meant a worker's.
        let is_older = self.accepted && self.cataloged.is_without_pins();
        if name.contains(':') && !is_older {
            return self.cataloged(call, name, Location::of_default(name), None);
        }
        let functions = self.reusable.functions.keys().map(|key| &**key);
        let known =
            functions.chain(offered.iter().map(|it| &**it)).chain(PROTOCOL_CALLS.iter().copied());
        let meant = suggest::nearest(bare, known);
        // A name so near to a protocol's is no function's.
        let misspelt = meant.is_some_and(|meant| PROTOCOL_CALLS.contains(&meant));
        let meant = meant.map(|meant| format!("did you mean `{meant}`?"));
        if self.registered.is_some() || misspelt {
            let message = format!("there is no function `{name}`");
            let hint = meant.unwrap_or_else(|| "define it in `use.functions`".into());
            self.error(codes::NO_FUNCTION, call.place, message, &hint);
            return None;
        }
        let message = format!("the function `{name}` is not defined here; a worker must offer it");
        let hint = meant.unwrap_or_else(|| "or define it in `use.functions`".into());
        self.warning(codes::UNCHECKED_FUNCTION, call.place, message, &hint);
        Some(FunctionTarget::Registered(name.clone()))
    }
}

/// `name:version` and the URL of a catalog that stands in place: `name:version@https://…`. An `@`
/// in a URL of a function comes after its scheme.
fn in_place(name: &str) -> Option<(&str, &str)> {
    let (scheme, _) = name.split_once("://")?;
    let (function, _) = scheme.rsplit_once('@')?;
    Some((function, name.get(function.len() + 1..)?))
}
