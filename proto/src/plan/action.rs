//! What workers perform: `call` and `run`.

use std::sync::Arc;

use super::{Authentication, Duration, Endpoint, Subscription, TaskIx};
use crate::expression::{Program, Template};

/// `call: http`
#[derive(Debug)]
pub struct HttpCall {
    /// `method`, in upper case; an expression is allowed.
    pub method: Template,
    /// `endpoint`
    pub endpoint: Endpoint,
    /// `headers`: an object, or an expression that gives one.
    pub headers: Option<Template>,
    /// `query`: an object, or an expression that gives one.
    pub query: Option<Template>,
    /// `body`
    pub body: Option<Template>,
    /// `output`
    pub output: HttpOutput,
    /// `redirect`: follow redirects and accept 3xx.
    pub redirect: bool,
}

/// What an HTTP call gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpOutput {
    /// The body in base64.
    Raw,
    /// The body, decoded by its content type.
    #[default]
    Content,
    /// Request, status, headers and content.
    Response,
}

/// `call: openapi`
#[derive(Debug)]
pub struct OpenApiCall {
    /// `document`
    pub document: ExternalResource,
    /// `operationId`
    pub operation: Arc<str>,
    /// `parameters`
    pub parameters: Option<Template>,
    /// `authentication`
    pub authentication: Option<Arc<Authentication>>,
    /// `output`
    pub output: HttpOutput,
    /// `redirect`
    pub redirect: bool,
}

/// `call: grpc`
#[derive(Debug)]
pub struct GrpcCall {
    /// `proto`
    pub types: GrpcTypes,
    /// `service.name`, fully qualified.
    pub service: Arc<str>,
    /// `service.host`
    pub host: Arc<str>,
    /// `service.port`
    pub port: Option<u16>,
    /// `service.authentication`
    pub authentication: Option<Arc<Authentication>>,
    /// `method`
    pub method: Arc<str>,
    /// `arguments`
    pub arguments: Option<Template>,
    /// `metadata.windlass.tls` of the task: whether TLS is spoken, where the port does not tell.
    pub tls: Option<bool>,
}

/// Where the types of a gRPC call come from.
#[derive(Debug)]
pub enum GrpcTypes {
    /// From a `.proto` file.
    File(ExternalResource),
    /// From the service itself, which tells of them: `grpc-reflection://HOST:PORT`.
    Reflection,
}

/// `call: asyncapi`
#[derive(Debug)]
pub struct AsyncApiCall {
    /// `document`
    pub document: ExternalResource,
    /// `channel`, `operation`, `server`, `protocol`, `message`, checked in form only.
    pub with: Template,
    /// `subscription`
    pub subscription: Option<AsyncApiSubscription>,
    /// `authentication`
    pub authentication: Option<Arc<Authentication>>,
}

/// `subscription` of an AsyncAPI call.
#[derive(Debug)]
pub struct AsyncApiSubscription {
    /// `filter`: evaluated on `{ payload, headers, correlationId }`.
    pub filter: Option<Program>,
    /// `consume.amount`, `consume.while` or `consume.until`.
    pub consume: Consume,
    /// `consume.for`: ends the subscription without an error.
    pub duration: Option<Duration>,
    /// `foreach`
    pub each: Option<Subscription>,
}

/// When an AsyncAPI subscription has had enough.
#[derive(Debug)]
pub enum Consume {
    /// After so many messages that the filter let through.
    Amount(u32),
    /// When this is not true after a message.
    While(Program),
    /// When this is true before a message.
    Until(Program),
}

/// `call: a2a`
#[derive(Debug)]
pub struct A2aCall {
    /// `agentCard`
    pub agent_card: Option<ExternalResource>,
    /// `server`
    pub server: Option<Endpoint>,
    /// `method`
    pub method: Arc<str>,
    /// `parameters`
    pub parameters: Option<Template>,
}

/// `call` of a function by name.
#[derive(Debug)]
pub struct FunctionCall {
    /// Which function.
    pub target: FunctionTarget,
    /// `with`; absent passes the task's input on.
    pub with: Option<Template>,
}

/// Where a called function is defined.
#[derive(Debug)]
pub enum FunctionTarget {
    /// In `use.functions` of the same definition, or pinned to it.
    Defined(TaskIx),
    /// By name, in the worker: a user's Rust function or one of the default catalog.
    Registered(Arc<str>),
    /// In a catalog, or at a URL, and not pinned to the definition: it cannot be called.
    Cataloged(Arc<str>),
}

/// A document elsewhere.
#[derive(Clone, Debug)]
pub struct ExternalResource {
    /// `name`
    pub name: Option<Arc<str>>,
    /// `endpoint`
    pub endpoint: Endpoint,
}

/// What a process gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Return {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
    /// The exit code.
    Code,
    /// `{ code, stdout, stderr }`
    All,
    /// Null.
    None,
}

/// One argument of a process.
#[derive(Debug)]
pub struct Argument(pub Template);

/// `run.container`
#[derive(Debug)]
pub struct Container {
    /// The properties, checked in form only.
    pub with: Template,
    /// `await`
    pub wait: bool,
    /// `return`
    pub output: Return,
}

/// `run.script`
#[derive(Debug)]
pub struct Script {
    /// `language` in lower case, aliases resolved: `js` or `python`.
    pub language: Arc<str>,
    /// `code` or `source`
    pub body: ScriptBody,
    /// `stdin`
    pub stdin: Option<Template>,
    /// `arguments`: an array, or an object that becomes `--key value`.
    pub arguments: Option<Template>,
    /// `environment`
    pub environment: Option<Template>,
    /// `await`
    pub wait: bool,
    /// `return`
    pub output: Return,
}

/// Text of a script.
#[derive(Debug)]
pub enum ScriptBody {
    /// `code`, never interpolated.
    Inline(Arc<str>),
    /// `source`
    External(ExternalResource),
}

/// `run.shell`
#[derive(Debug)]
pub struct Shell {
    /// `command`; `${NAME}` stays the shell's own.
    pub command: Template,
    /// `stdin`
    pub stdin: Option<Template>,
    /// `arguments`: an array, or an object that becomes `--key value`.
    pub arguments: Option<Template>,
    /// `environment`
    pub environment: Option<Template>,
    /// `await`
    pub wait: bool,
    /// `return`
    pub output: Return,
}

/// `run.workflow`
#[derive(Debug)]
pub struct SubWorkflow {
    /// `namespace`
    pub namespace: Template,
    /// `name`
    pub name: Template,
    /// `version`; `latest` for the highest.
    pub version: Template,
    /// `input`; absent passes the task's input on.
    pub input: Option<Template>,
    /// `await`
    pub wait: bool,
    /// `return`: `none` gives null, all others the child's output.
    pub output: Return,
}
