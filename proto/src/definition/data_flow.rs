//! `input`, `output`, `export`, and the schemas inside them.

use super::codes;
use super::decoder::{Decoder, optional};
use super::node::Node;
use crate::plan::{Export, Input, Output, SchemaSource};
use crate::schema::Schema;

impl Decoder<'_> {
    /// `input` of a workflow or task.
    pub(super) fn input(&mut self, node: &Node) -> Option<Input> {
        self.closed(node, "`input`", &["schema", "from"])?;
        let schema = optional(node.get("schema"), |node| self.schema(node));
        let from = optional(node.get("from"), |node| self.expression_field(node, "`input.from`"));
        Some(Input { schema: schema?, from: from? })
    }

    /// `output` of a workflow, task or subscription.
    pub(super) fn output(&mut self, node: &Node) -> Option<Output> {
        self.closed(node, "`output`", &["schema", "as"])?;
        let transform = optional(node.get("as"), |node| self.expression_field(node, "`output.as`"));
        let schema = optional(node.get("schema"), |node| self.schema(node));
        Some(Output { transform: transform?, schema: schema? })
    }

    /// `export` of a task or subscription.
    pub(super) fn export(&mut self, node: &Node) -> Option<Export> {
        self.closed(node, "`export`", &["schema", "as"])?;
        let transform = optional(node.get("as"), |node| self.expression_field(node, "`export.as`"));
        let schema = optional(node.get("schema"), |node| self.schema(node));
        Some(Export { transform: transform?, schema: schema? })
    }

    fn schema(&mut self, node: &Node) -> Option<SchemaSource> {
        self.closed(node, "`schema`", &["format", "document", "resource"])?;
        if let Some(format) = node.get("format") {
            let name = self.string(format, "`schema.format`")?;
            if &*name != "json" && !name.starts_with("json:") {
                let message = format!("schemas in the format `{name}` are not supported");
                let hint = "write the schema as JSON Schema, with `format: json`";
                self.error(codes::SCHEMA_FORMAT, format.place, message, hint);
                return None;
            }
        }
        match (node.get("document"), node.get("resource")) {
            (Some(document), None) => match Schema::compile(&document.value()) {
                Ok(schema) => Some(SchemaSource::Inline(schema)),
                Err(error) => {
                    let hint = "references to other documents go into `resource`";
                    self.error(codes::BAD_SCHEMA, document.place, error.to_string(), hint);
                    None
                }
            },
            (None, Some(resource)) => self.resource(resource).map(SchemaSource::External),
            (Some(_), Some(resource)) => {
                let message = "a schema has either `document` or `resource`, not both";
                self.error(codes::CONFLICT, resource.place, message, "");
                None
            }
            (None, None) => {
                let message = "a schema needs `document` or `resource`";
                let hint = "put the JSON Schema itself under `document`";
                self.error(codes::CONFLICT, node.place, message, hint);
                None
            }
        }
    }
}
