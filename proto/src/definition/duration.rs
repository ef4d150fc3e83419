//! Durations, and timeouts, which are little more.

use super::codes;
use super::decoder::Decoder;
use super::node::{Data, Node};
use crate::duration::parse;
use crate::plan::Duration;
use crate::value::Value;

const UNITS: &[&str] = &["days", "hours", "minutes", "seconds", "milliseconds"];

impl Decoder<'_> {
    pub(super) fn duration(&mut self, node: &Node, what: &str) -> Option<Duration> {
        match &node.data {
            Data::Scalar { value: Value::String(text), .. } if text.contains("${") => {
                self.template(node).map(Duration::Computed)
            }
            Data::Mapping(_) => self.duration_of_units(node, what),
            Data::Scalar { value: Value::String(_), .. } => self.literal(node, what),
            _ => self.wrong(node, what, "a duration: `PT5S`, or an object such as `seconds: 5`"),
        }
    }

    fn duration_of_units(&mut self, node: &Node, what: &str) -> Option<Duration> {
        let members = self.closed(node, what, UNITS)?;
        if members.is_empty() {
            self.error(codes::TOO_FEW, node.place, format!("{what} needs a unit"), "");
            return None;
        }
        let mut computed = false;
        let mut refused = false;
        for (unit, member) in members.iter().filter(|(unit, _)| UNITS.contains(&&***unit)) {
            match &member.node.data {
                Data::Scalar { value: Value::Int(_), .. } => {}
                Data::Scalar { value: Value::String(text), .. } if text.contains("${") => {
                    computed = true;
                    let message = format!("`{unit}` is an expression");
                    let hint = "the specification has one expression for the whole duration";
                    self.deviation(codes::COMPUTED_UNIT, member.node.place, message, hint);
                }
                _ => {
                    let what = format!("`{unit}`");
                    refused = self.wrong::<()>(&member.node, &what, "a whole number").is_none();
                }
            }
        }
        if refused || members.keys().any(|unit| !UNITS.contains(&&**unit)) {
            return None;
        }
        if computed {
            self.template(node).map(Duration::Computed)
        } else {
            self.literal(node, what)
        }
    }

    fn literal(&mut self, node: &Node, what: &str) -> Option<Duration> {
        match parse(&node.value()) {
            Ok(duration) => Some(Duration::Fixed(duration.0)),
            Err(error) => {
                let hint = "ISO 8601: `PT5S`, `PT1H30M`, `P1D`; or `seconds: 5`";
                let message = format!("{what}: {error}");
                let Some(taken) = error.taken_for() else {
                    self.error(codes::BAD_DURATION, node.place, message, hint);
                    return None;
                };
                let refused =
                    self.error_unless_accepted(codes::BAD_DURATION, node.place, message, hint);
                (!refused).then_some(Duration::Fixed(taken.0))
            }
        }
    }

    /// `timeout` of a workflow or task: in place, or the name of one in `use.timeouts`.
    pub(super) fn timeout(&mut self, node: &Node) -> Option<Duration> {
        let Some(name) = node.as_str() else { return self.timeout_in_place(node) };
        if let Some(found) = self.reusable.timeouts.get(name) {
            return found.clone();
        }
        let message = format!("there is no timeout `{name}` in `use.timeouts`");
        let hint = if parse(&Value::from(name)).is_ok() {
            format!("write `timeout: {{ after: {name} }}`")
        } else {
            self.hint_in("timeouts", name, self.reusable.timeouts.keys().map(|key| &**key))
        };
        self.error(codes::NO_TIMEOUT, node.place, message, &hint);
        None
    }

    pub(super) fn timeout_in_place(&mut self, node: &Node) -> Option<Duration> {
        self.closed(node, "`timeout`", &["after"])?;
        let after = self.required(node, "after", "`timeout`")?;
        self.duration(after, "`timeout.after`")
    }
}
