//! The memory and the judgement: accepts definitions, instances and events, decides what happens
//! next, and keeps every fact before anything rests on it.
//!
//! ```text
//!  accept ──> partition ──> engine (decide) ──> journal (commit, fdatasync) ──> effects
//!    ^           ^  ^                                                             │
//!    │           │  └── timer, events                              dispatch <─────┤
//!  replies       └───── collect <── reports ── workers <── assignments <─┘        └─> replies
//! ```
//!
//! Reading order: [`coordinator`] (what the rest of the world calls), `partition`, [`engine`],
//! [`journal`].

pub mod accept;
pub mod access;
pub mod admission;
pub mod approval;
pub mod archive;
pub mod audit;
pub mod backup;
pub mod bulk;
pub mod catalog;
mod causes;
pub mod clock;
pub mod cluster;
pub mod code;
pub mod coordinator;
pub mod dispatch;
pub mod early;
pub mod engine;
pub mod events;
pub(crate) mod file;
pub mod fleet;
pub mod glob;
pub mod hangup;
pub mod history;
pub mod identity;
pub mod journal;
pub mod log;
pub mod memory;
pub mod partition;
pub mod pieces;
pub mod policy;
pub mod position;
pub mod quarantine;
pub mod recovery;
pub mod rehearsal;
pub mod replay;
pub mod retention;
pub mod schedule;
pub mod secrets;
pub mod status;
pub mod successor;
pub mod trace;
pub mod view;
pub mod webhooks;
