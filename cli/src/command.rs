//! One file a command.

pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod bench;
pub(crate) mod config;
pub(crate) mod control;
pub(crate) mod coordinator;
pub(crate) mod deploy;
pub(crate) mod dev;
pub(crate) mod event;
pub(crate) mod explain;
pub(crate) mod fsck;
pub(crate) mod function;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod run;
pub(crate) mod schedule;
pub(crate) mod secret;
pub(crate) mod show;
pub(crate) mod start;
pub(crate) mod token;
pub(crate) mod validate;
pub(crate) mod version;
pub(crate) mod watch;
pub(crate) mod worker;
pub(crate) mod workflow;
