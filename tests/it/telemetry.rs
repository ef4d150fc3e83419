//! What leaves by OpenTelemetry's protocol, received by a collector that is not ours.

mod fleet;
mod traces;
