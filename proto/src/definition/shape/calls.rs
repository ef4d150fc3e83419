//! Shapes of what protocols are called with.

use super::access::{AUTHENTICATION, ENDPOINT, RESOURCE};
use super::{Object, Shape, events, object, of, words};
use crate::definition::task::{A2A_METHODS, APPROVAL, ASYNCAPI_PROTOCOLS, MCP_METHODS, OUTPUTS};

/// What `with` holds, by the protocol.
pub(super) const TABLE: &[(&str, &Object)] = &[
    ("http", &HTTP),
    ("openapi", &OPENAPI),
    ("grpc", &GRPC),
    ("asyncapi", &ASYNCAPI),
    ("a2a", &A2A),
    ("mcp", &MCP),
    (APPROVAL, &DECISION),
];

const OUTPUT: Shape = Shape::Words(|| words(OUTPUTS));
const DOCUMENT: Shape = Shape::Of(&RESOURCE);

static HTTP: Object = object(
    ("http", "the `with` of an HTTP call"),
    "An HTTP request",
    &["method", "endpoint"],
    &[&[
        of("method", Shape::Text, "Its method, such as get"),
        of("endpoint", ENDPOINT, "Where it goes"),
        of("headers", Shape::Values, "Its headers"),
        of("query", Shape::Values, "What comes after the `?`"),
        of("body", Shape::Any, "What is sent"),
        of("output", OUTPUT, "What of the response becomes the output"),
        of("redirect", Shape::Flag, "Whether redirects are no errors"),
    ]],
);

static OPENAPI: Object = object(
    ("openapi", "the `with` of an OpenAPI call"),
    "An operation of an OpenAPI description",
    &["document", "operationId"],
    &[&[
        of("document", DOCUMENT, "The description"),
        of("operationId", Shape::Text, "The operation"),
        of("parameters", Shape::Values, "Its parameters, and `body`"),
        of("authentication", AUTHENTICATION, "How it is shown who asks"),
        of("output", OUTPUT, "What of the response becomes the output"),
        of("redirect", Shape::Flag, "Whether redirects are no errors"),
    ]],
);

static GRPC: Object = object(
    ("grpc", "the `with` of a gRPC call"),
    "A method of a gRPC service",
    &["proto", "service", "method"],
    &[&[
        of("proto", DOCUMENT, "The .proto file, or grpc-reflection://HOST:PORT"),
        of("service", Shape::Of(&SERVICE), "The service"),
        of("method", Shape::Text, "The method"),
        of("arguments", Shape::Values, "The message"),
    ]],
);

static SERVICE: Object = object(
    ("grpcService", "`service`"),
    "A gRPC service",
    &["name", "host"],
    &[&[
        of("name", Shape::Text, "Its name, with its package"),
        of("host", Shape::Text, "Where it is"),
        of("port", Shape::Number(0, 65_535), "Its port"),
        of("authentication", AUTHENTICATION, "How it is shown who asks"),
    ]],
);

static ASYNCAPI: Object = object(
    ("asyncapi", "the `with` of an AsyncAPI call"),
    "A message that is sent, or messages that are taken",
    &["document"],
    &[&[
        of("document", DOCUMENT, "The description"),
        of("channel", Shape::Text, "The channel"),
        of("operation", Shape::Text, "The operation"),
        of("server", Shape::Of(&SERVER), "Which of the description's servers"),
        of("protocol", Shape::Words(|| words(ASYNCAPI_PROTOCOLS)), "By which protocol"),
        of("message", Shape::Of(&MESSAGE), "The message that is sent"),
        of("subscription", Shape::Of(&SUBSCRIPTION), "The messages that are taken"),
        of("authentication", AUTHENTICATION, "How it is shown who asks"),
    ]],
);

static SERVER: Object = object(
    ("asyncapiServer", "`server`"),
    "One of a description's servers",
    &["name"],
    &[&[of("name", Shape::Text, "Its name"), of("variables", Shape::Any, "Its variables")]],
);

static MESSAGE: Object = object(
    ("asyncapiMessage", "`message`"),
    "A message that is sent",
    &[],
    &[&[of("payload", Shape::Any, "What it says"), of("headers", Shape::Any, "Its headers")]],
);

static SUBSCRIPTION: Object = object(
    ("asyncapiSubscription", "`subscription`"),
    "Messages that are taken",
    &["consume"],
    &[&[
        of("filter", Shape::Expression, "Only those of which this is true"),
        of("consume", Shape::Of(&CONSUME), "How many"),
        of("foreach", Shape::Of(&events::SUBSCRIPTION), "What is made of each"),
    ]],
);

static CONSUME: Object = object(
    ("asyncapiConsume", "`consume`"),
    "How many messages are taken: one of `amount`, `while` and `until`",
    &[],
    &[&[
        of("for", Shape::Duration, "For at most so long"),
        of("amount", Shape::Number(0, 4_294_967_295), "So many"),
        of("while", Shape::Expression, "As long as this is true"),
        of("until", Shape::Expression, "Until this is true"),
    ]],
);

static A2A: Object = object(
    ("a2a", "the `with` of an A2A call"),
    "A call of an agent",
    &["method"],
    &[&[
        of("agentCard", DOCUMENT, "The agent's card"),
        of("server", ENDPOINT, "Where the agent is"),
        of("method", Shape::Words(|| words(A2A_METHODS)), "The method"),
        of("parameters", Shape::Values, "Its parameters"),
    ]],
);

static MCP: Object = Object {
    open: true,
    ..object(
        ("mcp", "the `with` of an MCP call"),
        "A call of an MCP server",
        &["method", "transport"],
        &[&[
            of("protocolVersion", Shape::Text, "The version; the newest where it is missing"),
            of("method", Shape::Words(|| words(MCP_METHODS)), "The method"),
            of("parameters", Shape::Values, "Its parameters"),
            of("timeout", Shape::Duration, "How long it may take"),
            of("transport", Shape::Of(&TRANSPORT), "How the server is reached"),
            of("client", Shape::Of(&MCP_CLIENT), "Who the server is told that asks"),
        ]],
    )
};

static TRANSPORT: Object = Object {
    open: true,
    ..object(
        ("mcpTransport", "`transport`"),
        "How a server is reached: `http` or `stdio`",
        &[],
        &[&[
            of("http", Shape::Of(&MCP_HTTP), "Over HTTP"),
            of("stdio", Shape::Of(&MCP_STDIO), "As a program"),
            of("options", Shape::Any, "Has no meaning"),
        ]],
    )
};

static MCP_HTTP: Object = Object {
    open: true,
    ..object(
        ("mcpHttp", "`http`"),
        "A server over HTTP",
        &["endpoint"],
        &[&[
            of("endpoint", ENDPOINT, "Where it is"),
            of("headers", Shape::Values, "Headers of requests"),
        ]],
    )
};

static MCP_STDIO: Object = Object {
    open: true,
    ..object(
        ("mcpStdio", "`stdio`"),
        "A server that is a program",
        &["command"],
        &[&[
            of("command", Shape::Text, "The program"),
            of(
                "arguments",
                Shape::Either(&[Shape::List(&Shape::Text), Shape::Mapping, Shape::Expression]),
                "Its arguments",
            ),
            of("environment", Shape::Values, "Its variables"),
        ]],
    )
};

static MCP_CLIENT: Object = Object {
    open: true,
    ..object(
        ("mcpClient", "`client`"),
        "Who a server is told that asks",
        &[],
        &[&[
            of("name", Shape::Text, "Its name"),
            of("version", Shape::Text, "Its version"),
            of("description", Shape::Text, "What it is"),
        ]],
    )
};

static DECISION: Object = object(
    ("approval", "the `with` of `windlass.approval`"),
    "A decision that a person makes: the task waits for `windlass approve` or `reject`",
    &["title"],
    &[&[
        of("title", Shape::Text, "What is asked, in a line"),
        of("description", Shape::Text, "More of it"),
        of("form", Shape::Any, "A JSON Schema that the data of an approval has to fit"),
        of("assignees", Shape::Of(&ASSIGNEES), "Who may decide; all who may at all otherwise"),
    ]],
);

static ASSIGNEES: Object = object(
    ("assignees", "`assignees`"),
    "Who may decide",
    &[],
    &[&[
        of("roles", Shape::List(&Shape::Text), "Whoever has one of these roles for the workflow"),
        of("users", Shape::List(&Shape::Text), "These, as ISSUER:SUBJECT"),
    ]],
);
