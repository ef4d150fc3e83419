//! The HTTP API: definitions, starts, events and questions come in here.
//!
//! One file a resource. Everything is under `/v1` and speaks JSON; errors are
//! `application/problem+json` with a code that `windlass explain` knows. A 2xx to a request that
//! changes something is sent only after the change is durable.
//!
//! **Invariant:** no handler reads the journal or the engine by itself; all go through
//! [`Coordinator`](crate::coordinator::Coordinator).

mod access;
mod answer;
mod approval;
mod audit;
mod auth;
mod backup;
mod bulk;
mod counts;
mod denials;
mod document;
mod early;
mod event;
mod filter;
mod function;
mod gate;
mod history;
mod identity;
mod instance;
mod limits;
mod log;
mod metrics;
mod operator;
mod payload;
mod problem;
mod query;
mod remote_worker;
mod removal;
mod room;
mod routes;
mod rule;
mod schedule;
mod schedule_view;
mod secret;
mod serve;
mod session;
mod standby;
mod start;
mod state;
mod suspension;
mod token;
mod trace;
mod ui;
pub mod view;
mod watch;
mod webhook;
mod worker;
mod workflow;

pub use instance::rendering;
pub use limits::ConnectionLimits;
pub use problem::ApiProblem;
pub use routes::router;
pub use serve::{Export, Exposure, Listeners, Tls, TlsError, TlsFiles, serve, serve_standby};
