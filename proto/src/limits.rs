//! Every bound of Windlass, each with its unit and its reason, in a file for each part of it.
//!
//! What is a number of a format (kinds of records, sizes of headers and keys) or of another's
//! specification stands with that format.

mod access;
mod api;
mod approval;
mod audit;
mod cluster;
mod command;
mod containers;
mod definitions;
mod events;
mod expressions;
mod fleet;
mod grpc;
mod instances;
mod journal;
mod listening;
mod messaging;
mod metrics;
mod rehearsals;
mod schedules;
mod schemas;
mod secrets;
mod tasks;
mod telemetry;
mod ui;

pub use access::*;
pub use api::*;
pub use approval::*;
pub use audit::*;
pub use cluster::*;
pub use command::*;
pub use containers::*;
pub use definitions::*;
pub use events::*;
pub use expressions::*;
pub use fleet::*;
pub use grpc::*;
pub use instances::*;
pub use journal::*;
pub use listening::*;
pub use messaging::*;
pub use metrics::*;
pub use rehearsals::*;
pub use schedules::*;
pub use schemas::*;
pub use secrets::*;
pub use tasks::*;
pub use telemetry::*;
pub use ui::*;
