//! The cases.

mod call;
mod control;
mod data;
mod events;
mod failure;
mod run;

use super::Case;

/// All of them.
pub(super) fn all() -> Vec<Case> {
    [
        data::cases(),
        control::cases(),
        failure::cases(),
        call::cases(),
        run::cases(),
        events::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
