//! `do`, `for`, `fork`.

use std::sync::Arc;

use super::Position;
use crate::definition::codes;
use crate::definition::decoder::Decoder;
use crate::definition::node::{Data, Node};
use crate::plan::{For, Fork, Kind};
use crate::value::Value;

/// Default names of a loop's variables.
const ITEM: &str = "item";
const INDEX: &str = "index";

impl Decoder<'_> {
    pub(super) fn do_task(&mut self, node: &Node, position: Position<'_>) -> Option<Kind> {
        let list = self.task_list(node.get("do")?, &format!("{}/do", position.pointer))?;
        Some(Kind::Do(list))
    }

    /// `for.each` and `for.at`; an entry is `None` when it was refused.
    pub(super) fn loop_names(&mut self, node: &Node) -> Vec<Option<Arc<str>>> {
        let each = node.get("for").and_then(|it| it.get("each"));
        let at = node.get("for").and_then(|it| it.get("at"));
        vec![self.variable(each, "`for.each`", ITEM), self.variable(at, "`for.at`", INDEX)]
    }

    pub(super) fn for_task(
        &mut self,
        node: &Node,
        names: &[Option<Arc<str>>],
        position: Position<'_>,
    ) -> Option<Kind> {
        let head = node.get("for")?;
        self.closed(head, "`for`", &["each", "in", "at"])?;
        let items = self.required(head, "in", "`for`").and_then(|items| match &items.data {
            Data::Sequence(_) => self.template(items),
            Data::Scalar { value: Value::String(_), .. } => {
                self.expression_field(items, "`for.in`")
            }
            _ => self.wrong(items, "`for.in`", "an expression or a list"),
        });
        let (condition, body) = self.bound(names, |decoder| {
            let condition = decoder.condition_at(node, "while");
            let body = match node.get("do") {
                Some(list) => decoder.task_list(list, &format!("{}/do", position.pointer)),
                None => {
                    let message = "`for` has no `do`, so it does nothing";
                    let hint = "add `do` beside `for`, not inside it";
                    decoder.deviation(codes::FOR_WITHOUT_DO, head.place, message, hint);
                    Some(Arc::from([]))
                }
            };
            (condition, body)
        });
        let [each, at] = names else { return None };
        Some(Kind::For(For {
            each: each.clone()?,
            at: at.clone()?,
            items: items?,
            condition: condition?,
            body: body?,
        }))
    }

    pub(super) fn fork(&mut self, node: &Node, position: Position<'_>) -> Option<Kind> {
        let fork = node.get("fork")?;
        self.closed(fork, "`fork`", &["branches", "compete"])?;
        let compete = self.flag(fork, "compete", false);
        let branches = self
            .required(fork, "branches", "`fork`")
            .and_then(|list| self.branches(list, &format!("{}/fork/branches", position.pointer)));
        Some(Kind::Fork(Fork { branches: branches?, compete: compete? }))
    }
}
