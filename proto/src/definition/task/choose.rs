//! `switch` and `try`: where the flow depends on what was found.

use super::Position;
use crate::definition::codes;
use crate::definition::decoder::{Decoder, optional};
use crate::definition::node::Node;
use crate::expression::Template;
use crate::plan::{Case, Catch, ErrorFilter, Kind, Try};

/// Default name of a caught error.
const ERROR: &str = "error";

impl Decoder<'_> {
    pub(super) fn switch(&mut self, node: &Node, position: Position<'_>) -> Option<Kind> {
        let switch = node.get("switch")?;
        let items = self.sequence(switch, "`switch`")?;
        if items.is_empty() {
            self.error(codes::TOO_FEW, switch.place, "`switch` has no case", "");
            return None;
        }
        let cases: Vec<_> = items.iter().map(|item| self.case(item, position)).collect();
        let mut defaults = cases.iter().flatten().filter(|case| case.when.is_none());
        if let (Some(first), Some(second)) = (defaults.next(), defaults.next()) {
            let message = format!("`{}` and `{}` are both defaults", first.name, second.name);
            let hint = "give all cases but one a `when`";
            self.error(codes::SEVERAL_DEFAULTS, switch.place, message, hint);
        }
        Some(Kind::Switch(cases.into_iter().collect::<Option<_>>()?))
    }

    fn case(&mut self, item: &Node, position: Position<'_>) -> Option<Case> {
        let members = self.mapping(item, "a case of `switch`")?;
        let (Some((name, member)), 1) = (members.first(), members.len()) else {
            let message = format!("a case must have one name, this one has {}", members.len());
            let hint = "write `- name: { when: …, then: … }`, indenting `when` below the name";
            self.error(codes::NOT_ONE_TASK, item.place, message, hint);
            return None;
        };
        let what = format!("the case `{name}`");
        self.closed(&member.node, &what, &["when", "then"])?;
        let when = self.condition_at(&member.node, "when");
        let then = self
            .required(&member.node, "then", &what)
            .and_then(|then| self.flow(then, position.siblings));
        Some(Case { name: name.clone(), when: when?, then: then? })
    }

    pub(super) fn try_task(&mut self, node: &Node, position: Position<'_>) -> Option<Kind> {
        let body = self.task_list(node.get("try")?, &format!("{}/try", position.pointer));
        let hint = "write `catch` beside `try`: `catch: {}` catches every error";
        let catch = self.required_so(node, "catch", "`try`", hint)?;
        let clauses = match catch.as_sequence() {
            None => {
                let pointer = format!("{}/catch", position.pointer);
                self.catch(catch, Position { pointer: &pointer, ..position }).map(|it| vec![it])
            }
            Some(clauses) => {
                let found: Vec<_> = clauses
                    .iter()
                    .enumerate()
                    .map(|(at, clause)| {
                        let pointer = format!("{}/catch/{at}", position.pointer);
                        self.catch(clause, Position { pointer: &pointer, ..position })
                    })
                    .collect();
                found.into_iter().collect()
            }
        };
        Some(Kind::Try(Try { body: body?, clauses: clauses? }))
    }

    fn catch(&mut self, node: &Node, position: Position<'_>) -> Option<Catch> {
        let known = ["errors", "as", "when", "exceptWhen", "retry", "do", "then"];
        self.closed(node, "`catch`", &known)?;
        let errors = optional(node.get("errors"), |node| self.error_filters(node));
        let variable = self.variable(node.get("as"), "`catch.as`", ERROR);
        let then = optional(node.get("then"), |node| self.flow(node, position.siblings));
        let (when, except_when, retry, body) =
            self.bound(std::slice::from_ref(&variable), |decoder| {
                (
                    decoder.condition_at(node, "when"),
                    decoder.condition_at(node, "exceptWhen"),
                    optional(node.get("retry"), |node| decoder.retry(node)),
                    optional(node.get("do"), |node| {
                        decoder.task_list(node, &format!("{}/do", position.pointer))
                    }),
                )
            });
        Some(Catch {
            errors: errors?.unwrap_or_default(),
            variable: variable?,
            when: when?,
            except_when: except_when?,
            retry: retry?,
            body: body?,
            then: then?,
        })
    }

    /// `errors.with`: a filter, or (accepted) a list of which any may match.
    fn error_filters(&mut self, node: &Node) -> Option<Vec<ErrorFilter>> {
        self.open(node, "`catch.errors`", &["with"])?;
        let Some(with) = node.get("with") else { return Some(Vec::new()) };
        match with.as_sequence() {
            None => self.error_filter(with).map(|filter| vec![filter]),
            Some(filters) => {
                let found: Vec<_> = filters.iter().map(|it| self.error_filter(it)).collect();
                found.into_iter().collect()
            }
        }
    }

    fn error_filter(&mut self, node: &Node) -> Option<ErrorFilter> {
        let what = "a filter of errors";
        let members = self.open(node, what, &["type", "status", "instance", "title", "detail"])?;
        if members.is_empty() {
            let hint = "name a `type` or a `status`; leave out `errors` to catch all";
            self.error(codes::TOO_FEW, node.place, "a filter of errors is empty", hint);
            return None;
        }
        let kind = self.text_template_at(node, "type");
        let status: Option<Option<Template>> =
            optional(node.get("status"), |node| self.status(node));
        let instance = self.text_template_at(node, "instance");
        let title = self.text_template_at(node, "title");
        let detail = self.text_template_at(node, "detail");
        Some(ErrorFilter {
            kind: kind?,
            status: status?,
            instance: instance?,
            title: title?,
            detail: detail?,
        })
    }
}
