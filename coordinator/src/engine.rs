//! Pure: decides what happens next. No I/O, clock, randomness or logging.
//!
//! [`decide`] looks at an instance and an [`Input`] and gives [`Fact`]s to keep and [`Effect`]s to
//! carry out once they are kept. State changes only through [`Instance::evolve`], which the live
//! path and recovery share: folding the journal's facts gives the live state, byte for byte.
//!
//! An instance is a tree of [`Frame`]s, one a running task, with the root list on top. A turn runs
//! until every path waits for something outside, or until its step budget is spent; what is left
//! over is kept in the state, and an [`Input::Continue`] goes on with it.
//!
//! Reading order: `input`, `fact`, `effect`, `instance` (the state; `legality` in it is the table
//! of states and facts), `admit` (whether an input is taken), `turn` (the loop), `flow` (from one
//! task to the next), `task` (one file a kind of task), `delivery` (to workers and back), `failure`
//! (errors on their way up), `repair` and `reset` (instances that go on for others), `evaluate`
//! (expressions, here or at a worker), `limit` (shares of limits), `scope` (the variables they
//! see), `misfit` (what cannot be).
//!
//! **Invariant:** nothing here is async, and no fact holds a recipe: expressions are evaluated
//! once, their results are kept.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod admit;
mod delivery;
mod effect;
mod evaluate;
mod fact;
mod failure;
mod fault;
mod flow;
mod input;
mod instance;
mod limit;
mod listen;
mod loss;
mod misfit;
mod optional;
mod repair;
mod requester;
mod reset;
mod retrace;
mod retry;
mod room;
mod scope;
mod task;
mod timer;
mod turn;

#[cfg(test)]
mod tests;

pub use effect::Effect;
pub use fact::{Fact, FactError, Journaled, TimerPurpose, decode, encode};
pub use input::{ChildOutcome, Input, LimitVerdict, Rejection, Verdict};
pub use instance::{
    Approving, Body, Branch, Changes, Claim, Doing, Ending, FaultHandler, Frame, Halt, Held,
    Incident, Instance, Listening, Origin, Parent, Phase, Question, Repair, Step, Timer,
};
pub(crate) use limit::shown as shown_limit;
pub use listen::{Interest, Key, Route, awaited, interest};
pub use loss::{DeliveryLoss, LossReason};
pub use misfit::{Misfit, MisfitKind, Misfits};
pub use repair::{Given, Succession, Unrepairable, faulted, replay, succeed, succeeded};
pub use requester::{Requested, Requester};
pub use reset::{Reset, ResetOrder, Unresettable, Visited, reset};
pub use retrace::retrace;
pub(crate) use scope::reference;
pub use scope::reference_of;
pub use task::case_of;
pub use turn::{Decision, Filtered, create, decide, offer, offer_early, recover};
