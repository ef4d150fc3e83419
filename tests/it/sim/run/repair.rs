//! Operators who have instances go on for those that have faulted.

use tokio::sync::oneshot;
use windlass_coordinator::engine::{Fact, Journaled, Unrepairable, decode, faulted, replay};
use windlass_coordinator::journal::Journal;
use windlass_coordinator::partition::{Message, NewSuccessor, SuccessorReply};
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::time::Timestamp;

use super::clients::{Ask, Awaiting};
use super::network::Item;
use super::{BEGINNING, Run};

/// Visits that a task counts as having had where a mended worker performs it: none fails any more.
const MENDED: usize = 1_000;

impl Run<'_> {
    /// Some of what has faulted is retried, once or twice.
    pub(super) fn plan_retries(&mut self, faulted: Vec<InstanceId>) {
        for id in faulted {
            let facts = self.journal.facts(id, 0, usize::MAX).unwrap();
            let turns = facts.iter().flat_map(|it| decode(&it.facts).unwrap());
            let mut facts = turns.flat_map(|turn| turn.facts);
            let is_first = facts.all(|fact| !matches!(fact, Fact::Succeeds { .. }));
            // Most of them fail again, and would for ever.
            if is_first && self.chance(40) {
                for _ in 0..if self.chance(30) { 2 } else { 1 } {
                    let delay = self.random.u64(0..90_000);
                    self.at(delay, Item::Asked(Ask::Retry(id)));
                }
            }
        }
    }

    pub(super) fn retry(&mut self, predecessor: InstanceId) {
        let records = self.journal.facts(predecessor, 0, usize::MAX).unwrap();
        let turns: Vec<Journaled> =
            records.iter().flat_map(|it| decode(&it.facts).unwrap()).collect();
        let mut succession = match faulted(predecessor, turns) {
            Ok(succession) => succession,
            Err(why) => {
                assert_eq!(why, Unrepairable::NoTask, "{predecessor}");
                let head = self.journal.head(predecessor).unwrap().unwrap();
                let at = head.error.unwrap().instance;
                return assert_eq!(
                    at.as_deref(),
                    Some("/"),
                    "{predecessor} has a task that failed"
                );
            }
        };
        let partitions = u16::try_from(self.partitions.len()).unwrap();
        let id = InstanceId::at(self.now, self.random.u128(..).to_be_bytes())
            .placed(predecessor.partition(partitions), partitions);
        let instance = replay(id, &mut succession).unwrap();
        assert_eq!(instance.changes.misfits.count(), 0, "what is kept of {predecessor}");
        assert!(succession.since >= Timestamp(BEGINNING));
        // Either a worker gives what it gave before, or all is well with it now.
        let mended = self.random.bool();
        let known: Vec<_> = self.visits.iter().filter(|(of, _)| of.0 == predecessor).collect();
        let known: Vec<_> =
            known.into_iter().map(|((_, task), frames)| (task.clone(), frames.clone())).collect();
        for (task, mut frames) in known {
            if mended {
                let many = (0..MENDED).map(|it| u32::MAX - u32::try_from(it).unwrap());
                frames = many.map(FrameId).collect();
            }
            self.visits.insert((id, task), frames);
        }
        if mended {
            self.mended.insert(id);
        }
        let plan = self.outside.shared_catalog().plan(&instance.digest).unwrap();
        let (reply, answer) = oneshot::channel();
        self.awaiting.push(Awaiting::Retry(predecessor, answer));
        self.tell(|| format!("retry of {predecessor} as {id}"));
        self.post(Message::Succeed(Box::new(NewSuccessor { plan, succession, instance, reply })));
    }

    pub(super) fn succeeded(&mut self, predecessor: InstanceId, reply: SuccessorReply) {
        let (id, repeated) = reply.unwrap();
        let kept = self.journal.head(id).unwrap().is_some();
        assert!(kept, "{id} is told of before it is durable");
        if repeated {
            self.coverage.note("retry repeated");
        }
        let known = *self.retried.entry(predecessor).or_insert(id);
        assert_eq!(known, id, "two go on for {predecessor}");
    }
}
