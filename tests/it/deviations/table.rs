//! The deviations, by the part of a definition they are in.

mod data;
mod document;
mod tasks;

use super::{Frame, Outcome, Part, Row};

/// All of them.
pub(super) fn parts() -> Vec<Part> {
    [document::parts(), tasks::parts(), data::parts()].into_iter().flatten().collect()
}

/// Nothing is said.
fn accepted(what: &'static str, frame: Frame, written: &'static str) -> Row {
    Row { what, frame, written, outcome: Outcome::Accepted, code: "" }
}

/// It works, with this finding.
fn warned(what: &'static str, code: &'static str, frame: Frame, written: &'static str) -> Row {
    Row { what, frame, written, outcome: Outcome::Warned, code }
}

/// It is an error of this code.
fn refused(what: &'static str, code: &'static str, frame: Frame, written: &'static str) -> Row {
    Row { what, frame, written, outcome: Outcome::Refused, code }
}
