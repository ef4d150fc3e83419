//! Faults the simulation has found: in partitions, each alone and by hand; in itself, by their
//! seeds.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;
use windlass_coordinator::admission::{Admission, StartQuotas};
use windlass_coordinator::catalog::{Catalog, Unsupported};
use windlass_coordinator::early::EarlyEvents;
use windlass_coordinator::engine::{Fact, Input, Journaled, Parent, encode};
use windlass_coordinator::journal::memory::MemoryJournal;
use windlass_coordinator::journal::{Commit, InstanceWrite, Journal, Status};
use windlass_coordinator::partition::{
    Batch, Message, MisfitSource, NewInstance, Partition, PartitionContext, Release, Reply,
    StartPolicy,
};
use windlass_proto::definition::Options;
use windlass_proto::id::{FrameId, InstanceId, PartitionId};
use windlass_proto::plan::Plan;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

/// Runs that did not end. A report usurped by a later term was repeated over the last restart, and
/// counted as a worker that holds the delivery: nobody performed it, and nobody told of its loss.
const ENDLESS: [u64; 2] = [5_006_254, 5_014_245];

pub(super) const ID: InstanceId = InstanceId(uuid::Uuid::from_u128(1));

/// A start that nobody waits for.
pub(super) fn start_of(
    id: InstanceId,
    plan: Arc<Plan>,
    input: Value,
    priority: u8,
    parent: Option<Parent>,
) -> Message {
    let (labels, policy) = (Vec::new(), StartPolicy::default());
    let (trace, by, reply, ended) = (None, None, None, None);
    Message::Start(Box::new(NewInstance {
        id,
        plan,
        input,
        labels,
        priority,
        parent,
        trace,
        by,
        policy,
        reply,
        ended,
    }))
}

/// A partition, and what it needs.
pub(super) struct Bench {
    shared: PartitionContext,
    partition: Partition,
    now: Timestamp,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(StartQuotas::default())
    }

    pub(super) fn with(quotas: StartQuotas) -> Self {
        let journal = Arc::new(MemoryJournal::in_memory(1).unwrap());
        let options = Options { functions: Some(vec!["work".into()]), ..Options::default() };
        let catalog = Arc::new(Catalog::open(journal.clone(), options).unwrap());
        let admission = Admission::open(journal.clone(), quotas).unwrap();
        let early = Arc::new(EarlyEvents::open(journal.clone(), 0).unwrap());
        let shared = PartitionContext {
            early,
            successor: Arc::default(),
            journal,
            catalog,
            epoch: 1,
            losses: windlass_proto::limits::DELIVERIES_LOST,
            memory: windlass_coordinator::memory::Memory::new(u64::MAX),
            quarantine: Default::default(),
            admission: Arc::new(admission),
            filters: Arc::default(),
            misfits: Arc::default(),
            counts: Arc::default(),
            sampler: None,
        };
        let now = Timestamp(1_750_000_000_000);
        let partition = Partition::open(PartitionId(0), shared.clone(), now).unwrap();
        Self { shared, partition, now }
    }

    /// The process ends and starts again.
    fn restart(&mut self) {
        let batch = self.reopen();
        self.commit(batch);
    }

    /// The process ends and starts again; gives what it takes up.
    pub(super) fn reopen(&mut self) -> Batch {
        self.shared.epoch += 1;
        let partition = Partition::open(PartitionId(0), self.shared.clone(), self.now).unwrap();
        self.partition = partition;
        let (batch, next) = self.partition.recover(self.now, None).unwrap();
        assert!(next.is_none());
        batch
    }

    pub(super) fn journal(&self) -> &dyn Journal {
        &*self.shared.journal
    }

    pub(super) fn turn(&mut self, messages: Vec<Message>) -> Batch {
        let mut messages = messages;
        self.partition.turn(self.now, &mut messages).unwrap()
    }

    /// Makes a batch durable; its releases go nowhere.
    pub(super) fn commit(&self, batch: Batch) -> Vec<Release> {
        if !batch.is_empty() {
            self.shared.journal.commit(&[batch.commit]).unwrap();
            self.partition.durable().store(batch.number, Ordering::Release);
        }
        batch.releases
    }

    pub(super) fn partition(&self) -> &Partition {
        &self.partition
    }

    /// Lets time pass at once.
    pub(super) fn pass(&mut self, milliseconds: u64) {
        self.now = self.now.plus(milliseconds);
    }

    /// A workflow, deployed.
    pub(super) fn plan(&self, name: &str, body: &str) -> Arc<Plan> {
        self.plan_in("sim", name, body)
    }

    /// A workflow of some namespace, deployed.
    pub(super) fn plan_in(&self, namespace: &str, name: &str, body: &str) -> Arc<Plan> {
        let document = format!(
            "document: {{dsl: '1.0.3', namespace: {namespace}, name: {name}, version: '1.0.0'}}"
        );
        let text = format!("{document}\n{body}");
        let deployed = self
            .shared
            .catalog
            .deploy(&text, Unsupported::Refuse, self.now, |_| Ok(()))
            .ok()
            .unwrap();
        self.shared.catalog.plan(&deployed.digest).unwrap()
    }

    /// A start of a workflow that waits.
    fn start(&self, id: InstanceId, milliseconds: u64) -> Message {
        let body = format!("do: [{{a: {{wait: {{milliseconds: {milliseconds}}}}}}}]\n");
        let plan = self.plan(&format!("w{milliseconds}"), &body);
        start_of(id, plan, Value::empty_object(), 5, None)
    }

    fn status(&self, id: InstanceId) -> Status {
        self.shared.journal.head(id).unwrap().unwrap().status
    }

    /// Lets time pass, from wake to wake, without any message.
    fn sleep(&mut self, milliseconds: u64) {
        let end = self.now.plus(milliseconds);
        for _ in 0..1_000 {
            self.now = self.now.max(self.partition.next_wake()).min(end);
            let batch = self.turn(Vec::new());
            self.commit(batch);
            if self.now == end {
                return;
            }
        }
        panic!("the partition wakes without end");
    }
}

#[test]
fn a_timer_far_ahead_fires_though_nothing_else_happens_after_a_restart() {
    let mut bench = Bench::new();
    let start = bench.start(ID, 300_000);
    let batch = bench.turn(vec![start]);
    bench.commit(batch);
    bench.restart();
    bench.sleep(299_999);
    assert_eq!(bench.status(ID), Status::Waiting);
    bench.sleep(1);
    assert_eq!(bench.status(ID), Status::Completed);
}

/// The turn that looks further ahead sets a timer there, and is not durable when the next one
/// comes.
#[test]
fn a_timer_set_while_the_partition_looks_further_ahead_is_not_missed() {
    let mut bench = Bench::new();
    bench.now = bench.now.plus(31_000);
    let start = bench.start(ID, 45_000);
    let late = bench.turn(vec![start]);
    bench.now = bench.now.plus(1_000);
    let batch = bench.turn(Vec::new());
    assert!(batch.is_empty());
    bench.commit(late);
    bench.sleep(44_000);
    assert_eq!(bench.status(ID), Status::Completed);
}

#[test]
fn an_instance_does_not_leave_memory_with_facts_not_handed_over() {
    let mut bench = Bench::new();
    bench.partition.keep(0);
    let start = bench.start(ID, 60_000);
    let batch = bench.turn(vec![start]);
    bench.commit(batch);
    let batch = bench.turn(Vec::new());
    bench.commit(batch);
    assert_eq!(bench.partition.resident(), 0);
    let (reply, answer) = oneshot::channel::<Reply>();
    let input = Message::Input { instance: ID, input: Input::Suspend, reply: Some(reply) };
    let batch = bench.turn(vec![input]);
    assert_eq!(batch.commit.writes.len(), 1);
    assert!(bench.partition.instance(ID).is_some(), "it is not durable yet");
    drop(bench.commit(batch));
    drop(answer);
    assert_eq!(bench.status(ID), Status::Suspended);
}

/// What no version writes: an end of a visit that never began.
#[test]
fn a_history_that_does_not_add_up_is_counted_when_it_is_read_and_goes_on() {
    let mut bench = Bench::new();
    bench.partition.keep(0);
    let start = bench.start(ID, 60_000);
    let batch = bench.turn(vec![start]);
    let mut entry = Vec::new();
    let never = Fact::TaskCompleted { frame: FrameId(9), output: None, context: None };
    encode(&Journaled { at: bench.now, facts: vec![never] }, &mut entry).unwrap();
    let sequence = u64::from(batch.commit.writes[0].count);
    bench.commit(batch);
    let (head, hot, snapshot) = (None, None, None);
    let (count, facts) = (1, entry.into());
    let write = InstanceWrite { instance: ID, sequence, count, facts, head, hot, snapshot };
    let commit = Commit { writes: vec![write], ..Commit::default() };
    bench.shared.journal.commit(&[commit]).unwrap();
    bench.restart();
    let misfits = |bench: &Bench| MisfitSource::ALL.map(|it| bench.shared.misfits.count(it));
    assert_eq!(misfits(&bench), [0; 4], "it has not been read");
    bench.sleep(60_000);
    bench.sleep(1);
    assert_eq!(misfits(&bench), [0, 0, 1, 0], "once, and nothing follows from it");
    assert_eq!(bench.status(ID), Status::Completed);
}

#[test]
fn runs_that_did_not_end_once_do_now() {
    let run = || ENDLESS.map(super::simulate);
    let thread = std::thread::Builder::new().stack_size(super::STACK_BYTES);
    for result in thread.spawn(run).unwrap().join().unwrap() {
        assert!(result.is_ok(), "{}", result.err().unwrap_or_default());
    }
}
