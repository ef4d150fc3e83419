//! `call: windlass.approval`.

use crate::definition::codes;
use crate::definition::decoder::{Decoder, optional};
use crate::definition::node::{Data, Node};
use crate::expression::Template;
use crate::limits::APPROVAL_ASSIGNEES;
use crate::plan::{Approval, Form};

/// The function by its name.
pub(in crate::definition) const APPROVAL: &str = "windlass.approval";

const WHAT: &str = "the `with` of `windlass.approval`";

impl Decoder<'_> {
    pub(super) fn approval(&mut self, node: &Node) -> Option<Approval> {
        self.closed(node, WHAT, &["title", "description", "form", "assignees"])?;
        let title =
            self.required(node, "title", WHAT).and_then(|it| self.text_template(it, "`title`"));
        let description =
            optional(node.get("description"), |it| self.text_template(it, "`description`"));
        let form = optional(node.get("form"), |it| self.form(it));
        let assignees = optional(node.get("assignees"), |it| self.assignees(it));
        let (roles, users) = assignees?.unwrap_or_default();
        Some(Approval { title: title?, description: description?, form: form?, roles, users })
    }

    fn form(&mut self, node: &Node) -> Option<Form> {
        self.mapping(node, "`form`")?;
        let schema = self.inline(node)?;
        Some(Form { document: node.value(), schema })
    }

    /// Roles and users.
    fn assignees(&mut self, node: &Node) -> Option<(Vec<Template>, Vec<Template>)> {
        self.closed(node, "`assignees`", &["roles", "users"])?;
        let roles = optional(node.get("roles"), |it| self.names_of(it, "`roles`"));
        let users = optional(node.get("users"), |it| self.names_of(it, "`users`"));
        let (roles, users) = (roles?.unwrap_or_default(), users?.unwrap_or_default());
        if roles.is_empty() && users.is_empty() {
            // It would be taken for everybody, where somebody wanted a few.
            let message = "`assignees` names nobody";
            let hint = "give it `roles` or `users`, or leave it out: then all who may decide may";
            self.error(codes::BAD_ASSIGNEES, node.place, message, hint);
            return None;
        }
        Some((roles, users))
    }

    fn names_of(&mut self, node: &Node, what: &str) -> Option<Vec<Template>> {
        let Data::Sequence(items) = &node.data else {
            return self.wrong(node, what, "a list of names");
        };
        if items.len() > APPROVAL_ASSIGNEES {
            let message = format!("{what} has more than {APPROVAL_ASSIGNEES} names");
            let hint = "give them a role in auth.toml, and name that";
            self.error(codes::BAD_ASSIGNEES, node.place, message, hint);
            return None;
        }
        let named = items.iter().map(|it| self.text_template(it, "an assignee"));
        named.collect::<Vec<_>>().into_iter().collect()
    }
}
