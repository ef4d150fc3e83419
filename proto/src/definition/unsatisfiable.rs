//! Filters that no event can match, and listening that no event can end.

use regex_automata::util::syntax;

use super::codes;
use super::decoder::Decoder;
use super::node::{Data, Node, Place};
use crate::plan::{Strategy, Until};
use crate::value::Value;

/// Attributes every event has.
const ALWAYS_THERE: &[&str] = &["id", "source", "type", "specversion"];

/// The one attribute whose name in JSON has another sign than letters and digits.
const BINARY_DATA: &str = "data_base64";

impl Decoder<'_> {
    /// Names the conditions of a filter that no event meets; `with` are its attributes.
    pub(super) fn check_filter(&mut self, with: &Node) {
        for (place, message, hint) in misfits(with) {
            self.deviation(codes::NEVER_MATCHES, place, message, hint);
        }
    }

    /// Names a `listen` that waits for ever: `task` is the task, `to` its strategy as written.
    pub(super) fn check_listen(&mut self, task: &Node, to: &Node, strategy: &Strategy) {
        let (place, message, hint) = match strategy {
            _ if waits_in_vain(to) => {
                (to.place, "its filters match no event", "correct the filters")
            }
            Strategy::Any { until: Some(until), .. } => {
                let place = to.get("until").map_or(to.place, |until| until.place);
                let never = match until {
                    Until::Condition(condition) => {
                        condition.constant().is_some_and(|it| !it.is_truthy())
                    }
                    Until::Consumed(_) => to.get("until").is_some_and(waits_in_vain),
                };
                if !never {
                    return;
                }
                let hint = "without `until` the first event ends it; or write a condition on all that \
                            was gathered, as `length >= 3`";
                (place, "its `until` is never true", hint)
            }
            _ => return,
        };
        // What `foreach` does can end the workflow, and a timeout the task.
        let each = task.get("foreach").and_then(|it| it.get("do")).and_then(Node::as_sequence);
        if task.get("timeout").is_none() && each.is_none_or(<[Node]>::is_empty) {
            let message = format!("no event can end this `listen`: {message}");
            self.deviation(codes::LISTEN_WITHOUT_END, place, message, hint);
        }
    }
}

/// True when the filters of a strategy can never be satisfied.
fn waits_in_vain(strategy: &Node) -> bool {
    let unsatisfiable =
        |filter: &Node| filter.get("with").is_some_and(|it| !misfits(it).is_empty());
    let list = |word: &str| strategy.get(word).and_then(Node::as_sequence).unwrap_or_default();
    let (all, any) = (list("all"), list("any"));
    strategy.get("one").is_some_and(unsatisfiable)
        || all.iter().any(unsatisfiable)
        || (!any.is_empty() && any.iter().all(unsatisfiable))
}

/// Conditions that no event meets: place, message, hint.
fn misfits(with: &Node) -> Vec<(Place, String, &'static str)> {
    let members = with.as_mapping().into_iter().flatten();
    let mut found = Vec::new();
    for (name, member) in members {
        let node = &member.node;
        if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            && &**name != BINARY_DATA
        {
            let message = format!("no event has an attribute `{name}`");
            let hint = "attributes of events have lower-case letters and digits only; what is in the \
                        data goes below `data`";
            found.push((member.key, message, hint));
            continue;
        }
        if &**name == "data" {
            continue;
        }
        let (message, hint) = match &node.data {
            Data::Mapping(_) | Data::Sequence(_) => (
                format!("`{name}` of an event is never {}", node.what()),
                "write a text, a regular expression, or `${ }` that gives true or false",
            ),
            Data::Scalar { value: Value::Null, .. } if ALWAYS_THERE.contains(&&**name) => {
                (format!("every event has a `{name}`"), "leave it out to take any")
            }
            Data::Scalar { value: Value::String(text), .. } if is_broken(text) => (
                format!(
                    "`{text}` is no regular expression, and no event has just that as `{name}`"
                ),
                "`.*` stands for anything; put `\\` before signs that stand for themselves",
            ),
            Data::Scalar { .. } => continue,
        };
        found.push((node.place, message, hint));
    }
    found
}

/// True for a text that is taken for a regular expression and is none.
fn is_broken(text: &str) -> bool {
    text.contains(|it: char| "*+?[](){}|^$\\".contains(it))
        && !text.contains("${")
        && syntax::parse(&format!("^(?:{text})$")).is_err()
}
