//! What every part of the way over the bus needs.

use std::sync::Arc;

use async_nats::jetstream::Context;
use windlass_bus::Bus;
use windlass_proto::wire::subject::Prefix;

use super::counts::Counts;
use super::stream_manager;

/// The header that names the coordinator an event comes from: its own instances have it already, so
/// it does not take it in again.
pub(super) const ORIGIN: &str = "Windlass-Origin";

/// What every part needs.
#[derive(Clone)]
pub(super) struct BusContext {
    pub(super) bus: Bus,
    pub(super) jetstream: Context,
    pub(super) prefix: Prefix,
    pub(super) origin: Arc<str>,
    pub(super) streams: stream_manager::Watch,
    pub(super) counts: Arc<Counts>,
}
