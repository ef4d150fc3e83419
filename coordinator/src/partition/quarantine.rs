//! Instances that the process ended over again and again: they are suspended, and nothing but an
//! operator reaches them, until one resumes them.

use std::sync::Arc;

use windlass_proto::id::InstanceId;
use windlass_proto::limits::TURN_MESSAGES;

use super::release::Release;
use super::{Batch, Message, Partition};
use crate::engine::Input;
use crate::journal::{JournalError, TimerKey};
use crate::quarantine::Verdict;

/// True for what an operator may do with an instance that is set aside. All else follows again from
/// its state once it is resumed, but events: those pass it by.
pub(super) fn reaches(input: &Input) -> bool {
    matches!(input.bare(), Input::Cancel { .. } | Input::Suspend | Input::Resume)
}

impl Partition {
    /// A turn begins: what it is likely to work on is named in one go.
    pub(super) fn name(&mut self, messages: &[Message]) {
        self.named.extend(messages.iter().take(TURN_MESSAGES).filter_map(Message::instance));
        if !self.shared.quarantine.begin_turn(self.id, &self.named) {
            self.named.clear();
        }
    }

    /// Sets aside the instances that were named often enough.
    pub(super) fn set_aside(&mut self, batch: &mut Batch) -> Result<(), JournalError> {
        let quarantine = self.shared.quarantine.clone();
        let partitions = self.shared.journal.partitions();
        let id = self.id;
        let own = quarantine.accused().filter(|it| it.partition(partitions) == id);
        for instance in own {
            let Verdict::Aside(deaths) = quarantine.verdict(instance) else {
                tracing::error!(%instance, "setting this instance aside ended the process as well: \
                                            it is left alone until it is resumed or cancelled");
                quarantine.set_aside();
                continue;
            };
            let reason = format!(
                "quarantined: the process ended {deaths} times in a row while it worked on this \
                 instance. Resume it to try again, or cancel it"
            );
            let input = Input::Quarantine { reason: Arc::from(reason) };
            // Refused, it has ended, was never kept, or is set aside already.
            if self.input(batch, instance, input)?.is_ok() {
                quarantine.set_aside();
                tracing::error!(%instance, deaths, "quarantined: the process ended over it again and \
                                                    again; `windlass resume` lets it go on");
            }
        }
        Ok(())
    }

    /// True for an instance that even setting aside has ended the process over.
    pub(super) fn is_untouchable(&self, instance: InstanceId) -> bool {
        matches!(self.shared.quarantine.verdict(instance), Verdict::Untouchable(_))
    }

    /// Lets an instance that was set aside go on: what it waits for is asked for again.
    pub(super) fn let_go(
        &mut self,
        batch: &mut Batch,
        instance: InstanceId,
    ) -> Result<(), JournalError> {
        let before = batch.releases.len();
        self.recover_instance(batch, instance)?;
        for release in batch.releases.iter_mut().skip(before) {
            // Workers were told long ago to let go of what they held of it.
            if let Release::Dispatch { recovered, .. } = release {
                *recovered = false;
            }
        }
        let Some(resident) = self.residents.get(instance) else { return Ok(()) };
        for (timer, set) in &resident.instance.timers {
            self.timers.set(TimerKey { due: set.due, instance, timer: *timer });
        }
        Ok(())
    }
}
