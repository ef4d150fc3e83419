//! `input`, `output`, `export`, and the schemas inside them.

use super::codes;
use super::decoder::{Decoder, optional};
use super::node::Node;
use crate::limits;
use crate::plan::{Export, Input, Output, SchemaSource};
use crate::schema::{Schema, SchemaError};

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
        let transform = self.where_null(&[], |decoder| {
            optional(node.get("as"), |node| decoder.expression_field(node, "`export.as`"))
        });
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
            (Some(document), None) => self.inline(document).map(SchemaSource::Inline),
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

    /// A JSON Schema that stands in place.
    pub(super) fn inline(&mut self, document: &Node) -> Option<Schema> {
        let error = match Schema::compile(&document.value()) {
            Ok(schema) => match self.room_for(&schema) {
                Ok(()) => return Some(schema),
                Err(error) => error,
            },
            Err(error) => error,
        };
        let (code, hint) = match &error {
            SchemaError::Invalid(_) => {
                (codes::BAD_SCHEMA, "references to other documents go into `resource`")
            }
            SchemaError::TooCostly(_) => {
                (codes::COSTLY_SCHEMA, "say less with references, or check less")
            }
        };
        let message = error.to_string();
        let refused = self.error_unless_accepted(code, document.place, &*message, hint);
        (!refused).then(|| Schema::unusable(message))
    }

    /// The schemas of a definition share its bounds.
    fn room_for(&mut self, schema: &Schema) -> Result<(), SchemaError> {
        self.schemas.0 += schema.parts();
        self.schemas.1 += schema.pattern_states();
        let (what, most) = if self.schemas.0 > limits::SCHEMA_PARTS {
            ("schemas, with what references lead to", limits::SCHEMA_PARTS)
        } else if self.schemas.1 > limits::SCHEMA_PATTERN_STATES {
            ("states of patterns", limits::SCHEMA_PATTERN_STATES)
        } else {
            return Ok(());
        };
        let message = format!("with it the definition has more than {most} {what}");
        Err(SchemaError::TooCostly(message))
    }
}
