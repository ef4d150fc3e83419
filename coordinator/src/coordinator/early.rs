//! Events that are kept until somebody waits for them, and events for one instance.

use std::sync::Arc;

use tokio::sync::oneshot;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::InstanceId;

use super::handle::blocking;
use super::{Coordinator, CoordinatorError, EventReceipt};
use crate::clock;
use crate::early::{EarlyPlace, EarlyView};
use crate::journal::EarlyKey;
use crate::partition::{Done, EventTicket, Message};

impl Coordinator {
    /// The events that a namespace keeps, or those that were kept in vain, in the order in which
    /// they came: at most `limit` after `after`, and whether there are more.
    #[must_use]
    pub fn early_events(
        &self,
        namespace: &str,
        dead: bool,
        after: Option<EarlyPlace>,
        limit: usize,
    ) -> (Vec<EarlyView>, bool) {
        let mut all = self.runtime.router.early.list(namespace, dead, clock::steady());
        all.retain(|it| after.is_none_or(|after| (it.at, it.key) > after));
        let more = all.len() > limit;
        all.truncate(limit);
        (all, more)
    }

    /// One of them.
    ///
    /// # Errors
    /// When the namespace has no such event.
    pub fn early_event(
        &self,
        namespace: &str,
        key: EarlyKey,
    ) -> Result<EarlyView, CoordinatorError> {
        let found = self.runtime.router.early.show(key, clock::steady());
        found
            .filter(|it| *it.namespace == *namespace)
            .ok_or_else(|| CoordinatorError::UnknownEvent(key.to_string()))
    }

    /// Hands an event to one instance, whoever else waits for it. Where the instance does not wait
    /// for it yet, it is kept for it. An instance takes an event once, however often it is sent.
    ///
    /// # Errors
    /// When there is no such instance, it has ended, or there is too much work.
    pub async fn event_to(
        &self,
        id: InstanceId,
        event: CloudEvent,
    ) -> Result<EventReceipt, CoordinatorError> {
        self.needs_room()?;
        if self.runtime.is_overloaded(None) {
            return Err(CoordinatorError::Overloaded(super::handle::RETRY_AFTER));
        }
        let journal = self.runtime.journal.clone();
        let head = blocking(move || journal.head(id)).await??;
        let status = head.ok_or(CoordinatorError::UnknownInstance(id))?.status;
        if status.is_final() {
            return Err(CoordinatorError::Conflict { id, status, action: "sending it an event" });
        }
        let (done, answer) = oneshot::channel();
        let ticket = EventTicket::new(Arc::new(event), 1, Done::Caller(done));
        self.ask(id, Message::EventTo { instance: id, ticket }, answer).await
    }
}
