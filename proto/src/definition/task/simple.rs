//! `set`, `wait`, `raise`.

use crate::definition::codes;
use crate::definition::decoder::{Decoder, optional};
use crate::definition::node::{Data, Node};
use crate::expression::Template;
use crate::plan::{Kind, Raise};
use crate::value::Value;

impl Decoder<'_> {
    pub(super) fn set(&mut self, node: &Node) -> Option<Kind> {
        let set = node.get("set")?;
        match &set.data {
            Data::Mapping(members) if members.is_empty() => {
                let hint = "give it a property, or an expression that makes the value";
                self.error(codes::TOO_FEW, set.place, "`set` is empty", hint);
                None
            }
            Data::Mapping(_) | Data::Scalar { value: Value::String(_), .. } => {
                self.data(set).map(Kind::Set)
            }
            _ => self.wrong(set, "`set`", "a mapping or an expression"),
        }
    }

    pub(super) fn wait(&mut self, node: &Node) -> Option<Kind> {
        self.duration(node.get("wait")?, "`wait`").map(Kind::Wait)
    }

    pub(super) fn raise(&mut self, node: &Node) -> Option<Kind> {
        let raise = node.get("raise")?;
        self.closed(raise, "`raise`", &["error"])?;
        let error = self.required(raise, "error", "`raise`")?;
        let Some(name) = error.as_str() else {
            return self.raised_error(error).map(Kind::Raise);
        };
        if let Some(found) = self.reusable.errors.get(name) {
            return found.clone().map(Kind::Raise);
        }
        let message = format!("there is no error `{name}` in `use.errors`");
        let hint = self.hint_in("errors", name, self.reusable.errors.keys().map(|key| &**key));
        self.error(codes::NO_ERROR, error.place, message, &hint);
        None
    }

    /// An error written out.
    pub(in crate::definition) fn raised_error(&mut self, node: &Node) -> Option<Raise> {
        let what = "an error";
        self.closed(node, what, &["type", "status", "instance", "title", "detail"])?;
        let kind =
            self.required(node, "type", what).and_then(|node| self.error_type(node, "`type`"));
        let status = self.required(node, "status", what).and_then(|node| self.status(node));
        let title = self.text_template_at(node, "title");
        let detail = self.text_template_at(node, "detail");
        let instance = optional(node.get("instance"), |node| self.instance(node));
        Some(Raise {
            kind: kind?,
            status: status?,
            title: title?,
            detail: detail?,
            instance: instance?.flatten(),
        })
    }

    /// A whole number, or an expression that gives one.
    pub(super) fn status(&mut self, node: &Node) -> Option<Template> {
        if node.as_str().is_some_and(|text| text.contains("${")) {
            let message = "`status` is an expression";
            let hint = "the specification has a whole number";
            self.deviation(codes::COMPUTED_STATUS, node.place, message, hint);
            return self.template(node);
        }
        if let Some(status) = node.as_str().and_then(|text| text.parse::<u16>().ok()) {
            let message = "`status` is written as text";
            let hint = format!("write `status: {status}`");
            self.deviation(codes::COMPUTED_STATUS, node.place, message, &hint);
            return Some(Template::Constant(Value::Int(i64::from(status))));
        }
        let status = self.integer(node, "`status`", 0..=i64::from(u16::MAX))?;
        Some(Template::Constant(Value::Int(status)))
    }

    /// A JSON pointer or an expression; anything else is left out, as the runtime sets it.
    fn instance(&mut self, node: &Node) -> Option<Option<Template>> {
        let text = self.string(node, "`instance`")?;
        if text.contains("${") || text.is_empty() || text.starts_with('/') {
            return self.template(node).map(Some);
        }
        let message = format!("`{text}` is not a JSON pointer; the task's own is used");
        self.warning(codes::BAD_INSTANCE, node.place, message, "remove `instance`");
        Some(None)
    }
}
