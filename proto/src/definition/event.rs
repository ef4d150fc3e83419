//! Which events are consumed: strategies, filters, correlations.

use super::codes;
use super::decoder::{Decoder, optional};
use super::node::{Data, Node};
use crate::plan::{Correlation, EventFilter, Strategy, Until};
use crate::value::Value;

impl Decoder<'_> {
    /// `one`, `all` or `any` of some events.
    pub(super) fn strategy(&mut self, node: &Node, what: &str) -> Option<Strategy> {
        self.closed(node, what, &["one", "all", "any", "until"])?;
        let words = ["one", "all", "any"];
        let mut given = words.iter().filter(|word| node.get(word).is_some());
        let (Some(word), None) = (given.next(), given.next()) else {
            let message = format!("{what} needs one of `one`, `all`, `any`");
            self.error(codes::CONFLICT, node.place, message, "");
            return None;
        };
        let events = node.get(word)?;
        if let Some(until) = node.get("until").filter(|_| *word != "any") {
            let message = format!("`until` goes only with `any`, not with `{word}`");
            self.error(codes::CONFLICT, until.place, message, "");
        }
        match *word {
            "one" => self.event_filter(events).map(Strategy::One),
            "all" => self.event_filters(events, "`all`").map(Strategy::All),
            _ => {
                let filters = self.event_filters(events, "`any`");
                let until = optional(node.get("until"), |node| self.until(node));
                Some(Strategy::Any { filters: filters?, until: until?.flatten() })
            }
        }
    }

    /// An expression, a strategy, or `false`, which means none.
    fn until(&mut self, node: &Node) -> Option<Option<Until>> {
        match &node.data {
            Data::Scalar { value: Value::Bool(false), .. } => Some(None),
            Data::Mapping(_) => {
                let nested = node.get("until").filter(|it| it.value() != Value::Bool(false));
                if let Some(nested) = nested {
                    let message = "`until` cannot have an `until` of its own";
                    let hint = "use an expression, or `one`, `all` or `any` without `until`";
                    self.error(codes::NESTED_UNTIL, nested.place, message, hint);
                    return None;
                }
                let strategy = self.strategy(node, "`until`")?;
                Some(Some(Until::Consumed(Box::new(strategy))))
            }
            _ => self.condition(node, "`until`").map(|it| Some(Until::Condition(it))),
        }
    }

    fn event_filters(&mut self, node: &Node, what: &str) -> Option<Vec<EventFilter>> {
        let items = self.sequence(node, what)?;
        let found: Vec<_> = items.iter().map(|item| self.event_filter(item)).collect();
        found.into_iter().collect()
    }

    fn event_filter(&mut self, node: &Node) -> Option<EventFilter> {
        let what = "a filter of events";
        self.closed(node, what, &["with", "correlate"])?;
        let correlate = optional(node.get("correlate"), |node| self.correlations(node));
        let with = self.required(node, "with", what)?;
        let members = self.mapping(with, "`with`")?;
        if members.is_empty() {
            let hint = "name an attribute such as `type`";
            self.error(codes::TOO_FEW, with.place, "a filter of events is empty", hint);
            return None;
        }
        self.check_filter(with);
        let attributes: Vec<_> = members
            .iter()
            .map(|(name, member)| Some((name.clone(), self.template(&member.node)?)))
            .collect();
        Some(EventFilter {
            with: attributes.into_iter().collect::<Option<_>>()?,
            correlate: correlate?.unwrap_or_default(),
        })
    }

    fn correlations(&mut self, node: &Node) -> Option<Vec<Correlation>> {
        let members = self.mapping(node, "`correlate`")?;
        let found: Vec<_> = members
            .iter()
            .map(|(key, member)| {
                let what = format!("the correlation `{key}`");
                self.open(&member.node, &what, &["from", "expect"])?;
                let from = self
                    .required(&member.node, "from", &what)
                    .and_then(|node| self.program(node, "`from`"));
                let expect = self.template_at(&member.node, "expect");
                Some(Correlation { key: key.clone(), from: from?, expect: expect? })
            })
            .collect();
        found.into_iter().collect()
    }
}
