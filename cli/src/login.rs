//! Logging in at an identity provider, and what is kept of it.

mod kept;
mod provider;
mod redirect;

pub(crate) use kept::{Kept, lock, place, refreshed};
pub(crate) use provider::{Provider, has_display};

use crate::code::LOGIN_FAILED;
use crate::error::CliError;

/// What went wrong at the provider.
fn failed(why: &str) -> CliError {
    CliError::coded(&LOGIN_FAILED, &format!("the identity provider: {why}"))
}
