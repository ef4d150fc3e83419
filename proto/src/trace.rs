//! W3C Trace Context, and the ids of an instance's spans.
//!
//! The ids follow from the ids of instance, visit and delivery alone: a coordinator that was
//! restarted or replaced meanwhile, and every worker, come to the same ones.

mod derive;
mod state;

pub use derive::{is_within_ratio, span_of_delivery, span_of_instance, span_of_visit, trace_of};
pub use state::{members as tracestate_members, read as tracestate};

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The HTTP header, the NATS header and the attribute of a CloudEvent that has a trace context.
pub const TRACEPARENT: &str = "traceparent";

/// The HTTP header, the NATS header and the attribute of a CloudEvent with what vendors add.
pub const TRACESTATE: &str = "tracestate";

/// The flag of a trace that is recorded.
pub const SAMPLED: u8 = 1;

/// The flag of a trace whose id is random, of level 2 of the standard.
const RANDOM: u8 = 2;

/// Identity of a trace; never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// Identity of a span in its trace; never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

impl TraceId {
    /// The id with this number; zero, which stands for none, becomes one.
    #[must_use]
    pub fn new(number: u128) -> Self {
        Self(number.max(1))
    }

    /// Its number, never zero.
    #[must_use]
    pub fn number(self) -> u128 {
        self.0
    }
}

impl SpanId {
    /// The id with this number; zero, which stands for none, becomes one.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self(number.max(1))
    }

    /// Its number, never zero.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where in which trace something is done, and whether that is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span that what is done belongs to.
    pub span_id: SpanId,
    /// Whether the trace is recorded.
    pub sampled: bool,
    /// Whether whoever began the trace says that its id is random, so that shares may be taken by
    /// it. It goes on as it came: nobody else knows.
    pub random: bool,
    /// What vendors have added, as `tracestate` has it; at most
    /// [`crate::limits::TRACESTATE_BYTES`].
    pub state: Option<Arc<str>>,
}

/// A `traceparent` is not what W3C Trace Context says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write VERSION-TRACE-SPAN-FLAGS in lower-case hexadecimal, such as \
         00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)]
pub struct TraceparentError;

impl TraceContext {
    /// Reads a `traceparent`, and the `tracestate` that came with it. A state that cannot be read
    /// is left out, as the standard wants it.
    ///
    /// # Errors
    /// When the `traceparent` is not what the standard says.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Result<Self, TraceparentError> {
        let context = Self::from_str(traceparent)?;
        Ok(Self { state: tracestate.and_then(state::read), ..context })
    }

    /// The `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        self.to_string()
    }

    /// The flags of the `traceparent`: those that this version knows, the others are zero.
    #[must_use]
    pub fn flags(&self) -> u8 {
        (SAMPLED * u8::from(self.sampled)) | (RANDOM * u8::from(self.random))
    }

    /// A context without a state, with the flags that this version knows.
    #[must_use]
    pub fn of(trace_id: TraceId, span_id: SpanId, flags: u8) -> Self {
        let (sampled, random) = (flags & SAMPLED != 0, flags & RANDOM != 0);
        Self { trace_id, span_id, sampled, random, state: None }
    }

    /// The context of another span in the same trace.
    #[must_use]
    pub fn at(&self, span_id: SpanId) -> Self {
        Self { span_id, ..self.clone() }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.span_id, self.flags())
    }
}

impl FromStr for TraceContext {
    type Err = TraceparentError;

    fn from_str(text: &str) -> Result<Self, TraceparentError> {
        let parts = (text.get(..55), text.get(55..));
        let (Some(known), Some(more)) = parts else { return Err(TraceparentError) };
        let mut parts = known.split('-');
        let mut part = |digits: usize| {
            let part = parts.next().filter(|it| it.len() == digits)?;
            let is_lower_hex = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
            let is_hex = part.bytes().all(is_lower_hex);
            if is_hex { u128::from_str_radix(part, 16).ok() } else { None }
        };
        let read = (part(2), part(32), part(16), part(2));
        let (Some(version), Some(trace), Some(span), Some(flags)) = read else {
            return Err(TraceparentError);
        };
        // Later versions may have more behind a dash.
        let fits = match version {
            0 => more.is_empty(),
            0xff => false,
            _ => more.is_empty() || more.starts_with('-'),
        };
        let (Ok(span), Ok(flags)) = (u64::try_from(span), u8::try_from(flags)) else {
            return Err(TraceparentError);
        };
        if !fits || trace == 0 || span == 0 {
            return Err(TraceparentError);
        }
        Ok(Self::of(TraceId(trace), SpanId(span), flags))
    }
}

/// A context as the journal and messages have it.
#[derive(Serialize, Deserialize)]
struct Written {
    traceparent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tracestate: Option<Arc<str>>,
}

impl From<TraceContext> for Written {
    fn from(context: TraceContext) -> Self {
        Self { traceparent: context.traceparent(), tracestate: context.state }
    }
}

impl TryFrom<Written> for TraceContext {
    type Error = TraceparentError;

    fn try_from(written: Written) -> Result<Self, TraceparentError> {
        Self::parse(&written.traceparent, written.tracestate.as_deref())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
