//! How an event that is kept is written.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::EarlyEvent;
use crate::journal::{EarlyKey, JournalError};

/// With names, so that more can come.
#[derive(Serialize, Deserialize)]
struct Stored {
    namespace: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<InstanceId>,
    event: CloudEvent,
    at: Timestamp,
    until: Timestamp,
}

impl EarlyEvent {
    /// The event as the journal keeps it.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, JournalError> {
        let stored = Stored {
            namespace: self.namespace.clone(),
            instance: self.instance,
            event: CloudEvent::clone(&self.event),
            at: self.at,
            until: self.until,
        };
        rmp_serde::to_vec_named(&stored).map_err(|error| JournalError::Store(error.to_string()))
    }

    /// Bytes that it takes.
    pub(super) fn weight(&self) -> u64 {
        self.event.envelope().weight().saturating_add(limits::EARLY_OVERHEAD_BYTES)
    }
}

/// The event of a record; `None` where it is none.
pub(super) fn decode(key: EarlyKey, body: &[u8]) -> Option<EarlyEvent> {
    let Stored { namespace, instance, event, at, until } = rmp_serde::from_slice(body).ok()?;
    Some(EarlyEvent { key, namespace, instance, event: Arc::new(event), at, until })
}
