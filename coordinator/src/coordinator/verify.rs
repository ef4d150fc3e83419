//! Adding a journal up after it was opened, beside the work, to see that nothing is missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use windlass_proto::limits::{self, VERIFY_AT_ONCE};

use crate::journal::{Journal, JournalError};

/// Starts to add up; `failed` is called when something is missing.
pub(super) fn start(
    journal: Arc<dyn Journal>,
    stopping: Arc<AtomicBool>,
    failed: Arc<dyn Fn(String) + Send + Sync>,
) -> Result<(), JournalError> {
    // One that was added up while it opened needs no thread.
    if journal.verify(VERIFY_AT_ONCE)? {
        return Ok(());
    }
    let run = move || {
        while !stopping.load(Ordering::Acquire) {
            match journal.verify(VERIFY_AT_ONCE) {
                Ok(true) => {
                    tracing::info!("journal verification passed");
                    return;
                }
                Ok(false) => thread::sleep(Duration::from_micros(limits::VERIFY_PAUSE_US)),
                Err(error) => return failed(error.to_string()),
            }
        }
    };
    thread::Builder::new()
        .name("verify".to_owned())
        .spawn(run)
        .map(drop)
        .map_err(|error| JournalError::Store(format!("no thread to be had: {error}")))
}
