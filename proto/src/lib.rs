//! The words coordinator, worker and command line share. No I/O happens here.
//!
//! Reading order: [`definition`] turns the text of a workflow into a [`plan::Plan`];
//! [`expression`] compiles and evaluates its jq programs over [`value::Value`]s; [`wire`] is what
//! coordinator and worker say to each other; [`problem`] is what goes wrong.
//!
//! **Invariant:** nothing in this crate reads a clock, a file, the network or the environment.

pub mod audit;
pub mod cloudevent;
pub mod cron;
pub mod definition;
pub mod duration;
pub mod expression;
pub mod graph;
pub mod id;
pub mod limits;
pub mod metric;
pub mod plan;
pub mod problem;
pub mod schema;
pub mod sealed;
pub mod secret;
pub mod suggest;
pub mod throttle;
pub mod time;
pub mod trace;
pub mod value;
pub mod webhook;
pub mod wire;
pub mod xml;
