//! Retry policies.

use std::sync::Arc;

use super::codes;
use super::decoder::{Decoder, optional};
use super::node::Node;
use crate::duration::parse;
use crate::plan::{Backoff, Duration, Retry};
use crate::value::Value;

/// What `limit` says.
type Limits = (Option<u32>, Option<Duration>, Option<Duration>);

impl Decoder<'_> {
    /// `catch.retry`: in place, or the name of one in `use.retries`.
    pub(super) fn retry(&mut self, node: &Node) -> Option<Arc<Retry>> {
        let Some(name) = node.as_str() else { return self.retry_in_place(node).map(Arc::new) };
        if let Some(found) = self.reusable.retries.get(name) {
            return found.clone();
        }
        let message = format!("there is no retry policy `{name}` in `use.retries`");
        let hint = self.hint_in("retries", name, self.reusable.retries.keys().map(|key| &**key));
        self.error(codes::NO_RETRY, node.place, message, &hint);
        None
    }

    pub(super) fn retry_in_place(&mut self, node: &Node) -> Option<Retry> {
        let known = ["when", "exceptWhen", "delay", "backoff", "limit", "jitter"];
        self.closed(node, "a retry policy", &known)?;
        let when = self.condition_at(node, "when");
        let except_when = self.condition_at(node, "exceptWhen");
        let delay = optional(node.get("delay"), |node| self.duration(node, "`delay`"));
        let backoff = optional(node.get("backoff"), |node| self.backoff(node));
        let jitter = optional(node.get("jitter"), |node| self.jitter(node));
        let limits = optional(node.get("limit"), |node| self.limits(node));
        let (attempts, attempt_duration, duration) = limits?.unwrap_or_default();
        Some(Retry {
            when: when?,
            except_when: except_when?,
            delay: delay?,
            backoff: backoff?.unwrap_or_default(),
            jitter: jitter?,
            attempts,
            attempt_duration,
            duration,
        })
    }

    fn backoff(&mut self, node: &Node) -> Option<Backoff> {
        let words = ["constant", "linear", "exponential"];
        let members = self.closed(node, "`backoff`", &words)?;
        let (Some((word, member)), 1) = (members.first(), members.len()) else {
            let message = "`backoff` needs one of `constant`, `linear`, `exponential`";
            self.error(codes::CONFLICT, node.place, message, "such as `exponential: {}`");
            return None;
        };
        self.mapping(&member.node, &format!("`backoff.{word}`"))?;
        match &**word {
            "constant" => Some(Backoff::Constant),
            "linear" => Some(Backoff::Linear),
            "exponential" => Some(exponential(&member.node.value())),
            _ => None,
        }
    }

    fn jitter(&mut self, node: &Node) -> Option<(Duration, Duration)> {
        self.closed(node, "`jitter`", &["from", "to"])?;
        let from = self
            .required(node, "from", "`jitter`")
            .and_then(|node| self.duration(node, "`jitter.from`"));
        let to = self
            .required(node, "to", "`jitter`")
            .and_then(|node| self.duration(node, "`jitter.to`"));
        let (from, to) = (from?, to?);
        if let (Duration::Fixed(least), Duration::Fixed(most)) = (&from, &to)
            && least > most
        {
            let message = "`jitter.from` is longer than `jitter.to`";
            self.error(codes::OUT_OF_RANGE, node.place, message, "swap them");
            return None;
        }
        Some((from, to))
    }

    fn limits(&mut self, node: &Node) -> Option<Limits> {
        self.closed(node, "`limit`", &["attempt", "duration"])?;
        let duration = optional(node.get("duration"), |node| self.duration(node, "`duration`"));
        let attempt = optional(node.get("attempt"), |node| {
            self.closed(node, "`limit.attempt`", &["count", "duration"])?;
            let count = optional(node.get("count"), |node| {
                let count = self.integer(node, "`count`", 0..=i64::from(u32::MAX))?;
                u32::try_from(count).ok()
            });
            let each = optional(node.get("duration"), |node| self.duration(node, "`duration`"));
            Some((count?, each?))
        });
        let (count, each) = attempt?.unwrap_or_default();
        Some((count, each, duration?))
    }
}

/// The specification defines no keys here; those other runtimes know are honoured.
fn exponential(value: &Value) -> Backoff {
    let multiplier = match value.get("multiplier") {
        #[allow(clippy::cast_precision_loss)]
        Some(Value::Int(number)) => *number as f64,
        Some(Value::Float(number)) => *number,
        _ => 2.0,
    };
    let multiplier = if multiplier >= 1.0 { multiplier } else { 1.0 };
    let longest = value.get("maxDelay").and_then(|longest| parse(longest).ok());
    Backoff::Exponential { multiplier, longest: longest.map(|it| it.0) }
}
