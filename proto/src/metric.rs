//! What coordinator and worker count and measure: one table of families, the instruments behind
//! them, and how they read.
//!
//! [`table`] has every family there is; a sample of none other can be made. Instruments
//! ([`Counter`], [`Histogram`]) are relaxed atomics: counting takes no lock and allocates nothing.
//! Whoever is asked for metrics makes a [`Snapshot`] of them, which [`text`] writes for Prometheus
//! and the exporter of telemetry for OTLP: one truth, two ways.

mod counter;
mod family;
mod histogram;
mod series;
mod snapshot;
pub mod table;
pub mod text;

pub use counter::{Counter, Gauge};
pub use family::{Buckets, Family, Kind};
pub use histogram::{Distribution, Exemplar, Histogram, Traced};
pub use series::{OTHER, Series};
pub use snapshot::{Entry, Measured, Sample, Snapshot};
