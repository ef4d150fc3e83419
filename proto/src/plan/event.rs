//! Consumption of events: `listen`, `schedule.on`.

use std::sync::Arc;

use super::{Export, Output, TaskList};
use crate::expression::{Program, Template};

/// `listen`
#[derive(Debug)]
pub struct Listen {
    /// `to`
    pub strategy: Strategy,
    /// `read`
    pub read: ReadAs,
    /// `foreach`
    pub each: Option<Subscription>,
}

/// `foreach` of a `listen`
#[derive(Debug)]
pub struct Subscription {
    /// `item`, without `$`.
    pub item: Arc<str>,
    /// `at`, without `$`.
    pub at: Arc<str>,
    /// `do`
    pub body: TaskList,
    /// `output`
    pub output: Output,
    /// `export`
    pub export: Export,
}

/// How a consumed event is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadAs {
    /// Its data.
    #[default]
    Data,
    /// Attributes and data.
    Envelope,
    /// The data as it came: text as it stands, anything else in base64.
    Raw,
}

/// Which events complete the consumption.
#[derive(Debug)]
pub enum Strategy {
    /// `one`
    One(EventFilter),
    /// `all`: each filter matched at least once, in any order.
    All(Vec<EventFilter>),
    /// `any`: the first match, or, with `until`, all matches up to its end. No filter matches all.
    Any {
        /// The filters.
        filters: Vec<EventFilter>,
        /// `until`
        until: Option<Until>,
    },
}

impl Strategy {
    /// The filters whose matches are consumed.
    #[must_use]
    pub fn filters(&self) -> &[EventFilter] {
        match self {
            Self::One(filter) => std::slice::from_ref(filter),
            Self::All(filters) | Self::Any { filters, .. } => filters,
        }
    }

    /// True when an expression in it names a secret.
    #[must_use]
    pub fn uses_secrets(&self) -> bool {
        let until = match self {
            Self::Any { until: Some(Until::Condition(condition)), .. } => condition.uses_secrets(),
            Self::Any { until: Some(Until::Consumed(until)), .. } => until.uses_secrets(),
            _ => false,
        };
        until || self.filters().iter().any(EventFilter::uses_secrets)
    }
}

/// When `any` stops.
#[derive(Debug)]
pub enum Until {
    /// An expression, evaluated on the events consumed so far after each one.
    Condition(Program),
    /// Events that end it; they are not part of the output. Their strategy has no `until`.
    Consumed(Box<Strategy>),
}

/// A filter of events.
#[derive(Debug)]
pub struct EventFilter {
    /// `with`: attribute name to what it must be. `${ … }` is evaluated, see the matcher.
    pub with: Vec<(Arc<str>, Template)>,
    /// `correlate`
    pub correlate: Vec<Correlation>,
}

impl EventFilter {
    fn uses_secrets(&self) -> bool {
        let compared = |it: &Correlation| {
            it.from.uses_secrets() || it.expect.as_ref().is_some_and(Template::uses_secrets)
        };
        self.with.iter().any(|(_, it)| it.uses_secrets()) || self.correlate.iter().any(compared)
    }
}

/// One correlation.
#[derive(Debug)]
pub struct Correlation {
    /// Its key.
    pub key: Arc<str>,
    /// `from`: evaluated on the event's envelope.
    pub from: Program,
    /// `expect`; absent means: what the first matching event gave.
    pub expect: Option<Template>,
}
