//! Whether an event matches a filter.
//!
//! A literal must equal the attribute, or match it whole as a regular expression when it contains
//! any sign of one beside the dot; an object for `data` must be contained in it. `${ … }` is
//! evaluated on the attribute (on the data for `data`): a boolean decides, anything else must
//! equal it. An expression that fails does not match: a foreign event must not end an instance. Nor
//! does one that looks into a sealed value of an event, which no worker is asked to open for that,
//! nor one that takes more steps than its share: one event is offered to many, and must reach them
//! all.

use std::sync::Arc;

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::expression::{Budget, Template, steps_taken};
use windlass_proto::id::FrameId;
use windlass_proto::limits;
use windlass_proto::plan::{EventFilter, ReadAs};
use windlass_proto::value::Value;

use crate::engine::instance::Listening;
use crate::engine::scope::Locals;
use crate::engine::turn::Turn;

/// What a condition of a filter is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// An attribute of the event.
    Attribute,
    /// Its data as a whole.
    Data,
    /// Something inside its data.
    Member,
}

impl Turn<'_> {
    /// The correlations that an event which passes the filter fixes; `None` when it does not pass.
    pub(super) fn passes_filter(
        &self,
        id: FrameId,
        filter: &EventFilter,
        state: &Listening,
        event: &CloudEvent,
    ) -> Option<Vec<(Arc<str>, Value)>> {
        let attributes = filter.with.iter();
        let passes = |(name, wanted): &(Arc<str>, Template)| {
            let attribute = event.envelope().get(name).cloned().unwrap_or_default();
            let place = if &**name == "data" { Place::Data } else { Place::Attribute };
            self.attribute_matches(id, place, wanted, &attribute)
        };
        if !attributes.clone().all(passes) {
            return None;
        }
        let mut fixed = Vec::new();
        for correlation in &filter.correlate {
            let from = &correlation.from;
            let correlate = |budget| {
                let locals = Locals::default();
                self.program_within(from, event.envelope(), (id, &locals), budget).ok()
            };
            let value = self.bounded(correlate)?;
            // What is sealed can be told equal to nothing.
            if value.is_null() || value.has_sealed() {
                return None;
            }
            match state.correlations.get(&correlation.key) {
                Some(expected) if *expected == value => {}
                Some(_) => return None,
                None => fixed.push((correlation.key.clone(), value)),
            }
        }
        Some(fixed)
    }

    /// Evaluates something for a filter, within the steps that filters have left; what takes more
    /// gives nothing.
    fn bounded<T>(&self, evaluate: impl FnOnce(Budget) -> Option<T>) -> Option<T> {
        let steps = self.filtering.get();
        let before = steps_taken();
        let value = evaluate(Budget { steps, ..self.evaluation() });
        let taken = steps_taken().wrapping_sub(before);
        self.filtering.set(steps.saturating_sub(taken));
        if taken >= steps {
            self.too_dear.set(self.too_dear.get().saturating_add(1));
            return None;
        }
        value
    }

    /// Whether a text matches a pattern as a whole. Making one takes time by its size, so large
    /// ones cost many steps.
    fn matches_whole(&self, text: &str, pattern: &str) -> bool {
        let (cheap, dear) = limits::PATTERN_COSTS;
        for (bytes, cost) in
            [(limits::PATTERN_BYTES_CHEAP, cheap), (limits::PATTERN_BYTES_MOST, dear)]
        {
            let left = self.filtering.get().checked_sub(cost);
            let Some(left) = left else {
                self.too_dear.set(self.too_dear.get().saturating_add(1));
                return false;
            };
            self.filtering.set(left);
            if let Some(matches) = matches_within(text, pattern, bytes) {
                return matches;
            }
        }
        false
    }

    fn attribute_matches(
        &self,
        id: FrameId,
        place: Place,
        wanted: &Template,
        attribute: &Value,
    ) -> bool {
        let evaluate = || {
            let locals = Locals::default();
            self.bounded(|budget| {
                self.template_within(wanted, attribute, (id, &locals), budget).ok()
            })
        };
        match wanted {
            Template::Constant(literal) => {
                let mut pattern = |text: &str, pattern: &str| self.matches_whole(text, pattern);
                contains(attribute, literal, &mut pattern) || same_text(place, attribute, literal)
            }
            Template::Expression(_) => match evaluate() {
                Some(Value::Bool(verdict)) => verdict,
                Some(value) if place == Place::Data => value.is_truthy(),
                Some(value) => value == *attribute || same_text(place, attribute, &value),
                None => false,
            },
            Template::Object(members) => members.iter().all(|(key, wanted)| {
                let member = attribute.get(key).cloned().unwrap_or_default();
                self.attribute_matches(id, Place::Member, wanted, &member)
            }),
            Template::Text(_) | Template::Array(_) | Template::Uri(_) | Template::Loose(..) => {
                evaluate().is_some_and(|value| value == *attribute)
            }
        }
    }
}

/// True when `value` has all that `wanted` says: members of objects, equal leaves or such that
/// `matches` agrees to.
fn contains(value: &Value, wanted: &Value, matches: &mut impl FnMut(&str, &str) -> bool) -> bool {
    match (value, wanted) {
        (Value::Object(_), Value::Object(_)) => {
            let mut wanted = wanted.as_object().into_iter().flatten();
            wanted
                .all(|(key, wanted)| value.get(key).is_some_and(|it| contains(it, wanted, matches)))
        }
        (Value::String(text), Value::String(pattern)) => {
            text == pattern || (is_pattern(pattern) && matches(text, pattern))
        }
        _ => value == wanted,
    }
}

/// Attributes of an event are text on the wire: `5` means `"5"` there. Data keeps its types.
fn same_text(place: Place, attribute: &Value, wanted: &Value) -> bool {
    let scalar = matches!(wanted, Value::Bool(_) | Value::Int(_) | Value::Float(_));
    place == Place::Attribute && scalar && attribute.as_str() == Some(&*wanted.to_text())
}

/// True when a literal has a sign of a regular expression. The dot alone is none: names of event
/// types are full of dots.
pub(super) fn is_pattern(literal: &str) -> bool {
    literal.contains(|it: char| "*+?[](){}|^$\\".contains(it))
}

/// Whether a text matches a pattern as a whole; `None` when the pattern takes more bytes than that.
fn matches_within(text: &str, pattern: &str, bytes: usize) -> Option<bool> {
    let built = regex::RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(bytes).build();
    match built {
        Ok(pattern) => Some(pattern.is_match(text)),
        Err(regex::Error::CompiledTooBig(_)) => None,
        // What is no pattern matches nothing.
        Err(_) => Some(false),
    }
}

/// An event as the definition wants it read.
pub(in crate::engine) fn read(event: &CloudEvent, read: ReadAs) -> Value {
    match read {
        ReadAs::Data => event.data(),
        ReadAs::Envelope => event.envelope().clone(),
        ReadAs::Raw => match (event.envelope().get("data_base64"), event.data()) {
            (Some(encoded), _) => encoded.clone(),
            (None, text @ (Value::String(_) | Value::Sealed(_) | Value::Null)) => text,
            (None, data) => Value::from(data.to_json()),
        },
    }
}

#[cfg(test)]
mod tests {
    use windlass_proto::value::Value;

    use super::{contains as within, is_pattern, matches_within};

    fn contains(value: &Value, wanted: &Value) -> bool {
        let matches = |text: &str, it: &str| matches_within(text, it, 1 << 20) == Some(true);
        within(value, wanted, &mut { matches })
    }

    #[test]
    fn literals_match_by_equality_containment_or_whole_pattern() {
        let text = |it: &str| Value::from(it);
        assert!(contains(&text("com.example.a"), &text("com.example.a")));
        assert!(!contains(&text("comXexample.a"), &text("com.example.a")));
        assert!(contains(&text("com.example.abc"), &text("com\\.example\\..*")));
        assert!(!contains(&text("xcom.example.a"), &text("com.*e")));
        assert!(!contains(&text("a"), &text("(")));
        let data = Value::object([("a", Value::Int(1)), ("b", Value::object([("c", text("x"))]))]);
        let part = Value::object([("b", Value::object([("c", text("x"))]))]);
        assert!(contains(&data, &part));
        assert!(!contains(&part, &data));
    }

    #[test]
    fn common_patterns_are_cheap_and_large_ones_are_told_from_them() {
        let cheap = windlass_proto::limits::PATTERN_BYTES_CHEAP;
        for pattern in ["com\\.example\\..*", "order-[0-9]+", "(a|b)+", "[^/]*/orders/.*"] {
            assert!(is_pattern(pattern));
            assert!(matches_within("x", pattern, cheap).is_some(), "{pattern}");
        }
        assert_eq!(matches_within("x", "(\\w{20}){20}", cheap), None);
    }
}
