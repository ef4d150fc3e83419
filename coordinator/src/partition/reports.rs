//! What is told of assignments: reports, and workers that were lost with them.

use windlass_proto::wire::{AssignmentKey, GENERATION_SHIFT, Report};

use super::message::{Refusal, Verdict};
use super::release::Release;
use super::{Batch, Partition};
use crate::engine::{DeliveryLoss, Input};
use crate::journal::JournalError;

impl Partition {
    /// A worker's report. Its fate leaves with the batch, so only once what it rests on is durable:
    /// the facts of this report or, for a repeated one, those of the first, in an earlier batch.
    pub(super) fn reported(
        &mut self,
        batch: &mut Batch,
        report: Report,
    ) -> Result<(), JournalError> {
        let Report { key, result, secrets, retry_after_ms } = report;
        let verdict = if self.is_superseded(&key)? {
            Verdict::Stale
        } else {
            let (frame, delivery) = (key.frame, key.delivery);
            let input = Input::Reported { frame, delivery, result, secrets, retry_after_ms };
            match self.input(batch, key.instance, input)? {
                Ok(()) => Verdict::Accepted,
                Err(Refusal::Unknown) => Verdict::Unknown,
                Err(Refusal::Rejected(..)) => Verdict::Stale,
                // No answer: the worker holds on to it, and the task is asked for again when the
                // instance goes on.
                Err(Refusal::Quarantined) => return Ok(()),
            }
        };
        batch.releases.push(Release::Settled(key, verdict));
        Ok(())
    }

    /// A worker will not answer an assignment.
    pub(super) fn lost(
        &mut self,
        batch: &mut Batch,
        key: &AssignmentKey,
        loss: DeliveryLoss,
    ) -> Result<(), JournalError> {
        if !self.is_superseded(key)? {
            let input = Input::Lost {
                frame: key.frame,
                delivery: key.delivery,
                loss,
                most: self.shared.losses,
            };
            // Refused, it was answered after all, or is not wanted any more.
            let _ = self.input(batch, key.instance, input)?;
        }
        Ok(())
    }

    /// True for an assignment that was not sent in this life of the journal: by a later owner of
    /// the partition, which has replaced this one without its knowing, or before the backup was
    /// restored that this one comes from.
    fn is_superseded(&self, key: &AssignmentKey) -> Result<bool, JournalError> {
        let (own, theirs) = (self.shared.epoch, key.epoch);
        let generation = own >> GENERATION_SHIFT;
        if key.generation() > generation {
            // Its token shows that it is one of ours. Two that decide would do everything twice,
            // also when this one is started again.
            self.shared.successor.seen(theirs)?;
            return Err(JournalError::Superseded { own, theirs });
        }
        if theirs > own {
            tracing::warn!(
                partition = self.id.0,
                own,
                theirs,
                instance = %key.instance,
                "an assignment of a later term is reported here: another coordinator has taken over"
            );
        }
        Ok(theirs > own || key.generation() < generation)
    }
}
