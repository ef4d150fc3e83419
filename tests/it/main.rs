//! Tests of the whole product: they build the `windlass` binary and speak to it as users do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod support;

mod access;
mod api;
mod backup;
mod bus_events;
mod call_limits;
mod catalogs;
mod chaos;
mod cli;
mod cluster;
mod compare;
mod conformance;
mod crash;
mod ctk;
mod definitions;
mod deploy;
mod deviations;
mod durable;
mod examples;
mod faults;
mod fleet;
mod foreign_worker;
mod grpc;
mod hostile;
mod http_worker;
mod language;
mod limits;
mod load;
mod mutate;
mod observe;
mod processes;
mod protocol;
mod python_worker;
mod removal;
mod repair;
mod rust_worker;
mod schedules;
mod secrets;
mod seed;
mod servers;
mod sim;
mod structure;
mod telemetry;
mod tidy;
mod ui;
mod uri_templates;
mod worker_check;
