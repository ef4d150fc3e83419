//! Beginnings and ends of the coordinator.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use windlass_coordinator::admission::{Admission, StartQuotas};
use windlass_coordinator::catalog::{Catalog, Unsupported};
use windlass_coordinator::early::EarlyEvents;
use windlass_coordinator::journal::memory::{CrashPoint, MemoryJournal};
use windlass_coordinator::journal::{Commit, Filter, Journal};
use windlass_coordinator::partition::{Partition, PartitionContext};
use windlass_proto::definition;
use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_telemetry::Sampler;

use super::super::check::{self, Captured, Outage};
use super::super::coverage::Coverage;
use super::super::generate;
use super::super::outside::{Outside, Told};
use super::clients::Client;
use super::network::Item;
use super::{BEGINNING, Knobs, Run, Story};

fn options() -> definition::Options {
    let functions = ["echo", "flaky", "deadly"].map(Arc::from).to_vec();
    definition::Options { functions: Some(functions), ..definition::Options::default() }
}

impl<'s> Run<'s> {
    /// A run of this seed, ready to drive.
    pub(in super::super) fn new(seed: u64, story: &'s Mutex<Story>) -> Self {
        let mut random = Rng::with_seed(seed);
        let workflows = generate::workflows(&mut random);
        let texts: Vec<String> = workflows.iter().map(|it| it.text()).collect();
        story.lock().unwrap().definitions.clone_from(&texts);
        let partitions = random.u16(1..=3);
        let journal = Arc::new(MemoryJournal::in_memory(partitions).unwrap());
        let catalog = Arc::new(Catalog::open(journal.clone(), options()).unwrap());
        for text in &texts {
            if let Err(windlass_coordinator::catalog::Refused::Invalid(found)) =
                catalog.deploy(text, Unsupported::Refuse, Timestamp(BEGINNING), |_| Ok(()))
            {
                panic!("a generated definition is refused: {found:#?}\n{text}");
            }
        }
        let clients = (0..random.usize(1..=5))
            .map(|_| {
                let chosen = random.usize(0..workflows.len() - 1);
                let chosen = if random.u32(0..4) == 0 { chosen } else { 0 };
                let input = Value::object([("n", Value::Int(random.i64(0..30)))]);
                let id = InstanceId(uuid::Uuid::from_u128(random.u128(..)));
                Client::new(id, workflows[chosen].name.clone(), input)
            })
            .collect();
        let knobs = knobs(&mut random);
        let crashes = [0, 1, 3, 12][random.usize(0..4)];
        let crashes: HashSet<u32> = (0..crashes).map(|_| random.u32(1..50)).collect();
        let kills = [0, 1, 8][random.usize(0..3)];
        let kills = (0..kills).map(|_| random.u32(1..400)).collect();
        let told = Told::default();
        let early = EarlyEvents::open(journal.clone(), knobs.early).unwrap();
        let outside = Outside::new(catalog, usize::from(partitions), told.clone(), early);
        let mut run = Self {
            story,
            coverage: Coverage::default(),
            knobs,
            now: BEGINNING,
            calm_at: BEGINNING + random.u64(20_000..400_000),
            calm: false,
            crashes,
            kills,
            commits: 0,
            epoch: 0,
            workflows,
            outside: Arc::new(outside),
            journal,
            partitions: Vec::new(),
            submitted: VecDeque::new(),
            schedule: BTreeMap::new(),
            scheduled: 0,
            clients,
            awaiting: Vec::new(),
            live: HashSet::new(),
            captured: Captured::default(),
            outages: Vec::new(),
            visits: HashMap::new(),
            performed: HashSet::new(),
            sent: BTreeSet::new(),
            reporting: Vec::new(),
            reports: HashSet::new(),
            accepted: HashSet::new(),
            posted: Vec::new(),
            sent_events: HashMap::new(),
            kept: HashSet::new(),
            takers: HashMap::new(),
            retried: HashMap::new(),
            mended: HashSet::new(),
            told,
            misfits: Arc::default(),
            random,
        };
        run.plan_clients();
        run
    }

    /// The coordinator begins: partitions open, and take up what was left open.
    pub(super) fn open(&mut self) {
        let epoch = self.journal.next_epoch().unwrap();
        self.epoch = epoch;
        let catalog = self.outside.shared_catalog();
        let admission = Admission::open(self.journal.clone(), StartQuotas::default()).unwrap();
        let admission = Arc::new(admission);
        let now = Timestamp(self.now);
        for number in 0..self.journal.partitions() {
            let (journal, catalog) = (self.journal.clone(), catalog.clone());
            let shared = PartitionContext {
                journal,
                catalog,
                epoch,
                losses: windlass_proto::limits::DELIVERIES_LOST,
                memory: windlass_coordinator::memory::Memory::new(u64::MAX),
                quarantine: Default::default(),
                admission: admission.clone(),
                filters: Arc::default(),
                misfits: self.misfits.clone(),
                counts: Arc::default(),
                sampler: Some(Sampler::default()),
                early: self.outside.early_events(),
                successor: Arc::default(),
            };
            let mut partition = Partition::open(PartitionId(number), shared, now).unwrap();
            if let Some(kept) = self.knobs.kept {
                partition.keep(kept);
            }
            self.partitions.push(partition);
        }
        for number in 0..self.partitions.len() {
            let mut after = None;
            loop {
                let (batch, next) = self.partitions[number].recover(now, after).unwrap();
                assert!(batch.is_quiet(), "a restart is no news for an instance");
                self.submit(number, batch);
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
    }

    /// Crashes at the write of these commits; false when there would be no write.
    pub(super) fn crash_in_commit(&mut self, commits: &[Commit]) -> bool {
        let (point, kind) = match self.random.u32(0..4) {
            0 => (CrashPoint::BeforeWrite, "crash before write"),
            1 => {
                let kept = self.random.bool();
                (CrashPoint::AfterWrite { kept }, "crash after a partial write")
            }
            2 => (CrashPoint::AfterSync, "crash after sync"),
            _ => return false,
        };
        self.journal.crash_at(0, point);
        if self.journal.commit(commits).is_ok() {
            // There was nothing to write: the next write would crash.
            self.coverage.note("crash between commits");
        } else {
            self.coverage.note(kind);
        }
        self.restart(kind);
        true
    }

    /// The coordinator ends in mid-run, and begins again.
    pub(super) fn restart(&mut self, why: &str) {
        self.tell(|| format!("CRASH: {why}"));
        self.partitions.clear();
        self.submitted.clear();
        let down = match self.random.u32(0..10) {
            0 => self.random.u64(60_000..600_000),
            1..4 => self.random.u64(1_000..60_000),
            _ => self.random.u64(0..1_000),
        };
        self.outages.push(Outage { from: self.now, to: self.now + down });
        self.now += down;
        if !self.calm && self.chance(10) {
            // Somebody sets the clock right meanwhile.
            self.now -= self.random.u64(0..1_000);
        }
        let durable = self.journal.durable();
        self.journal = Arc::new(MemoryJournal::reopen(durable, 1).unwrap());
        let catalog = match self.chance(30) {
            true => Arc::new(Catalog::open(self.journal.clone(), options()).unwrap()),
            // It holds nothing that a crash could take, and compiling takes long.
            false => self.outside.shared_catalog(),
        };
        let partitions = usize::from(self.journal.partitions());
        let early = EarlyEvents::open(self.journal.clone(), self.knobs.early).unwrap();
        let outside = Outside::new(catalog, partitions, self.told.clone(), early);
        self.outside = Arc::new(outside);
        let late: Vec<(u64, u64)> = self.schedule.range(..(self.now, 0)).map(|it| *it.0).collect();
        for at in late {
            let to_coordinator = matches!(self.schedule[&at], Item::Reported(_));
            if to_coordinator && self.random.bool() {
                self.schedule.remove(&at);
            }
        }
        // Who was taken for dead is forgotten, and workers repeat what they got no answer to.
        self.schedule.retain(|_, item| !matches!(item, Item::Lost(..)));
        for report in std::mem::take(&mut self.reporting) {
            if self.random.bool() {
                let delay = self.random.u64(0..5_000);
                self.at(delay, Item::Reported(report));
            }
        }
        self.open();
        self.live = self.open_instances();
        for client in self.clients.iter().filter(|client| client.acknowledged) {
            let head = self.journal.head(client.id).unwrap();
            assert!(head.is_some(), "{} was acknowledged and is lost", client.id);
        }
        if self.chance(40) {
            check::indexes(&self.journal, &self.outside.shared_catalog());
        }
        self.captured.compare_all(&self.journal);
        self.hear();
    }

    fn open_instances(&self) -> HashSet<InstanceId> {
        let all = self.journal.list(&Filter::default(), None, usize::MAX).unwrap().items;
        let open = all.into_iter().filter(|(_, head)| !head.status.is_final());
        open.map(|(id, _)| id).collect()
    }
}

fn knobs(random: &mut Rng) -> Knobs {
    Knobs {
        lost: [0, 0, 2, 10][random.usize(0..4)],
        doubled: [0, 5, 30][random.usize(0..3)],
        late: [20, 1_000, 90_000][random.usize(0..3)],
        deaths: [0, 0, 5, 25][random.usize(0..4)],
        commits: [20, 50, 90][random.usize(0..3)],
        kept: [None, Some(0), Some(2)][random.usize(0..3)],
        captured: [5, 20, 100][random.usize(0..3)],
        early: [0, 1_000, 60_000, 600_000][random.usize(0..4)],
    }
}
