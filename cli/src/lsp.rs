//! What an editor is told of definitions and tests, by the Language Server Protocol.
//!
//! Findings are the validator's own; what can stand somewhere is the table of shapes. A text is
//! sent as a whole with each change, which is what a file of a few hundred lines costs.

mod document;
mod place;
mod session;
mod transport;

pub(crate) use self::session::{Ended, serve};
