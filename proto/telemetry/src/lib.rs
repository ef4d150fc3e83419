//! Telemetry of a process to an OpenTelemetry backend, over OTLP: off unless an endpoint is set.
//!
//! [`Settings`] reads what the standard variables and the options say, [`Telemetry`] starts and
//! ends the exports, [`Spans`] takes spans with ids and times of the caller's, [`TelemetryCounts`] says
//! what became of everything. [`names`] has the names of spans and attributes.
//!
//! **Invariant:** nobody who hands something over waits for a collector: what finds no room is
//! dropped and counted.

mod acknowledged;
mod audit;
mod batch;
mod client;
mod counts;
mod current;
mod exporter;
#[cfg(feature = "otlp-grpc")]
mod grpc;
mod keep;
pub mod names;
mod otlp;
mod push;
mod reach;
mod record;
mod resource;
mod settings;
mod shorten;
mod span;
mod span_batch;
mod span_exporter;
mod span_queue;
mod start;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;
mod wire;

pub use acknowledged::Acknowledged;
pub use audit::AuditRecords;
pub use counts::{SignalCounts, SignalTotals, TelemetryCounts};
pub use current::{current, within};
pub use opentelemetry;
pub use opentelemetry_sdk;
pub use push::{MetricPush, MetricPusher, MetricSource};
pub use settings::{
    ClientIdentity, Destination, Flags, Headers, Protocol, Root, Sampler, Settings, SettingsError,
    Signal, Tls,
};
pub use shorten::shortened;
pub use span::{FinishedSpan, SpanLink, SpanNote, Spans};
pub use start::{Role, Telemetry, TelemetryError};
