//! Events from the bus.

use std::future::Future;
use std::sync::Arc;

use windlass_proto::cloudevent::CloudEvent;

use super::{Coordinator, CoordinatorError};
use crate::events::{EventConsumer, NotTaken};
use crate::journal::JournalError;

impl EventConsumer for Coordinator {
    fn take(
        &self,
        event: Arc<CloudEvent>,
    ) -> Result<impl Future<Output = Result<(), NotTaken>> + Send + use<>, NotTaken> {
        let offered = self.offer(event).map_err(|error| not_taken(&error))?;
        Ok(async { offered.await.map(drop).map_err(|error| not_taken(&error)) })
    }
}

fn not_taken(error: &CoordinatorError) -> NotTaken {
    match error {
        CoordinatorError::Overloaded(_)
        | CoordinatorError::Journal(JournalError::NoRoom { .. } | JournalError::LogAway) => {
            NotTaken::Now
        }
        _ => NotTaken::Stopped,
    }
}
