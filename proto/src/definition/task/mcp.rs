//! `call` of MCP.

use crate::definition::codes;
use crate::definition::decoder::{Decoder, optional};
use crate::definition::node::Node;
use crate::plan::{McpCall, McpTransport, McpVersion};

pub(in crate::definition) const METHODS: &[(&str, ())] = &[
    ("tools/list", ()),
    ("tools/call", ()),
    ("prompts/list", ()),
    ("prompts/get", ()),
    ("resources/list", ()),
    ("resources/read", ()),
    ("resources/templates/list", ()),
];

impl Decoder<'_> {
    pub(super) fn mcp(&mut self, node: &Node) -> Option<McpCall> {
        let what = "the `with` of an MCP call";
        let known = ["protocolVersion", "method", "parameters", "timeout", "transport", "client"];
        self.open(node, what, &known)?;
        let version = optional(node.get("protocolVersion"), |it| self.mcp_version(it));
        let method = self.protocol_method(node, what, METHODS);
        let parameters = self.parameters(node);
        let timeout = optional(node.get("timeout"), |it| self.duration(it, "`timeout`"));
        let client = optional(node.get("client"), |it| {
            self.open(it, "`client`", &["name", "version", "description"])?;
            self.template(it)
        });
        let transport = self.required(node, "transport", what);
        let transport = transport.and_then(|it| self.mcp_transport(it));
        Some(McpCall {
            version: version?.flatten(),
            method: method?,
            parameters: parameters?,
            timeout: timeout?,
            transport: transport?,
            client: client?,
        })
    }

    /// One that is spoken; of another it is said that it is not, and the newest is tried.
    fn mcp_version(&mut self, node: &Node) -> Option<Option<McpVersion>> {
        let text = self.string(node, "`protocolVersion`")?;
        let version = McpVersion::parse(&text);
        if version.is_none() {
            let spoken = McpVersion::ALL.map(|it| format!("`{it}`")).join(", ");
            let what = format!("MCP of the version `{text}`");
            let hint = format!(
                "write one of {spoken}, or leave `protocolVersion` out for the newest that both \
                 sides speak"
            );
            self.unsupported(node.place, &what, &hint);
        }
        Some(version)
    }

    fn mcp_transport(&mut self, node: &Node) -> Option<McpTransport> {
        let what = "`transport`";
        self.open(node, what, &["http", "stdio", "options"])?;
        self.exactly_one(node, what, &["http", "stdio"]);
        if let Some(options) = node.get("options") {
            let message = "`options` of `transport` has no meaning; it is ignored";
            self.warning(codes::IGNORED_KEY, options.place, message.to_owned(), "leave it out");
        }
        if let Some(http) = node.get("http") {
            self.open(http, "`http`", &["endpoint", "headers"])?;
            let endpoint = self
                .required(http, "endpoint", "`http`")
                .and_then(|it| self.endpoint(it, "`endpoint`"));
            let headers = optional(http.get("headers"), |it| self.named_values(it, "`headers`"));
            return Some(McpTransport::Http { endpoint: endpoint?.into(), headers: headers? });
        }
        let stdio = node.get("stdio")?;
        self.open(stdio, "`stdio`", &["command", "arguments", "environment"])?;
        let command = self
            .required(stdio, "command", "`stdio`")
            .and_then(|it| self.text_template(it, "`command`"));
        let arguments = self.arguments(stdio);
        let environment = self.environment(stdio);
        Some(McpTransport::Stdio {
            command: command?,
            arguments: arguments?,
            environment: environment?,
        })
    }
}
