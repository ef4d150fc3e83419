//! Retry policies.

use std::sync::Arc;

use super::codes;
use super::decoder::{Decoder, optional};
use super::node::Node;
use crate::duration::parse;
use crate::limits;
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
        let properties = self.mapping(&member.node, &format!("`backoff.{word}`"))?;
        // The specification defines none; those other runtimes know are honoured.
        let known: &[&str] =
            if &**word == "exponential" { &["multiplier", "maxDelay"] } else { &[] };
        for (key, member) in properties.iter().filter(|(key, _)| !known.contains(&&***key)) {
            let message = format!("`{key}` of `backoff.{word}` has no effect");
            let hint = match known {
                [] => "the delay itself is `delay`, beside `backoff`",
                _ => "it has `multiplier` and `maxDelay`",
            };
            self.deviation(codes::BACKOFF_PROPERTY, member.key, message, hint);
        }
        match &**word {
            "constant" => Some(Backoff::Constant),
            "linear" => Some(Backoff::Linear),
            "exponential" => {
                let multiplier = member.node.get("multiplier").map(|it| self.multiplier(it));
                let longest = member.node.get("maxDelay").map(|it| self.longest_delay(it));
                let (multiplier, longest) =
                    (multiplier.unwrap_or(Some(2.0))?, longest.unwrap_or(Some(None))?);
                Some(Backoff::Exponential { multiplier, longest })
            }
            _ => None,
        }
    }

    /// `multiplier`; what earlier versions took others for where the text was accepted by one.
    fn multiplier(&mut self, node: &Node) -> Option<f64> {
        let number = match node.value() {
            #[allow(clippy::cast_precision_loss)]
            Value::Int(number) => Some(number as f64),
            Value::Float(number) => Some(number),
            _ => None,
        };
        let most = limits::BACKOFF_MULTIPLIER;
        if let Some(number) = number.filter(|it| (1.0..=most).contains(it)) {
            return Some(number);
        }
        let shown = node.value().to_json();
        let message = format!("`multiplier` must be a number between 1 and {most}, not {shown}");
        let hint = "each delay is that many times the one before";
        let refused = self.error_unless_accepted(codes::OUT_OF_RANGE, node.place, message, hint);
        (!refused).then(|| number.map_or(2.0, |it| it.max(1.0)))
    }

    /// `maxDelay`, in milliseconds; no limit where the text was accepted by a version that ignored
    /// it.
    fn longest_delay(&mut self, node: &Node) -> Option<Option<u64>> {
        let error = match parse(&node.value()) {
            Ok(longest) => return Some(Some(longest.0)),
            Err(error) => error,
        };
        let message = format!("`maxDelay`: {error}");
        let hint = "ISO 8601: `PT5S`, `PT1H30M`, `P1D`; or `seconds: 5`";
        let refused = self.error_unless_accepted(codes::BAD_DURATION, node.place, message, hint);
        (!refused).then_some(None)
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
