//! `emit` and `listen`.

use super::Position;
use crate::definition::codes;
use crate::definition::decoder::{Decoder, optional};
use crate::definition::node::Node;
use crate::plan::{Kind, Listen, ReadAs, Subscription};

pub(in crate::definition) const READS: &[(&str, ReadAs)] =
    &[("data", ReadAs::Data), ("envelope", ReadAs::Envelope), ("raw", ReadAs::Raw)];

impl Decoder<'_> {
    pub(super) fn emit(&mut self, node: &Node) -> Option<Kind> {
        let emit = node.get("emit")?;
        self.closed(emit, "`emit`", &["event"])?;
        let event = self.required(emit, "event", "`emit`")?;
        let deeper = "put the attributes one level deeper: `event: { with: { type: … } }`";
        let with = self.required_so(event, "with", "`event`", deeper)?;
        self.open(event, "`event`", &["with"])?;
        let members = self.mapping(with, "`event.with`")?;
        let kind = self.required(with, "type", "`event.with`");
        for (name, member) in members {
            // CloudEvents 1.0, "Naming conventions".
            if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
                let message = format!("`{name}` is no name for an attribute of an event");
                let hint = "attributes are named with lower-case letters and digits; other data \
                            goes into `data`";
                self.error(codes::BAD_PATTERN, member.key, message, hint);
                return None;
            }
        }
        self.string(kind?, "`type`")?;
        let mut template = self.data(with)?;
        for name in ["source", "dataschema"] {
            if let Some(text) = with.get(name).and_then(Node::as_str) {
                let uri = self.uri_template(with.get(name)?, text)?;
                template = template.with_uri(name, uri);
            }
        }
        Some(Kind::Emit(template))
    }

    pub(super) fn listen(&mut self, node: &Node, position: Position<'_>) -> Option<Kind> {
        let listen = node.get("listen")?;
        self.closed(listen, "`listen`", &["to", "read"])?;
        let strategy = self.required(listen, "to", "`listen`").and_then(|to| {
            let strategy = self.strategy(to, "`to`")?;
            self.check_listen(node, to, &strategy);
            Some(strategy)
        });
        let read = optional(listen.get("read"), |node| self.choice(node, "`read`", READS));
        let each = optional(node.get("foreach"), |node| {
            self.subscription(node, &format!("{}/foreach", position.pointer))
        });
        Some(Kind::Listen(Listen {
            strategy: strategy?,
            read: read?.unwrap_or_default(),
            each: each?,
        }))
    }

    /// `foreach` of a `listen` or of an AsyncAPI subscription.
    pub(super) fn subscription(&mut self, node: &Node, pointer: &str) -> Option<Subscription> {
        self.closed(node, "`foreach`", &["item", "at", "do", "output", "export"])?;
        self.check_schemas(node, &["output", "export"]);
        let item = self.variable(node.get("item"), "`foreach.item`", "item");
        let at = self.variable(node.get("at"), "`foreach.at`", "index");
        let (body, output, export) = self.bound(&[item.clone(), at.clone()], |decoder| {
            (
                optional(node.get("do"), |node| decoder.task_list(node, &format!("{pointer}/do"))),
                optional(node.get("output"), |node| decoder.output(node)),
                optional(node.get("export"), |node| decoder.export(node)),
            )
        });
        Some(Subscription {
            item: item?,
            at: at?,
            body: body?.unwrap_or_else(|| [].into()),
            output: output?.unwrap_or_default(),
            export: export?.unwrap_or_default(),
        })
    }
}
