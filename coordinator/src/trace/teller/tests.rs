use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;

use windlass_proto::id::InstanceId;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_telemetry::{Flags, Role, Sampler, Settings, SignalTotals, Telemetry};

use super::super::history::History;
use super::super::lives::Life;
use super::super::{Told, Tracer};
use super::{Teller, Telling};
use crate::catalog::{Catalog, Unsupported};
use crate::engine::{Journaled, Origin, create, encode};
use crate::journal::memory::MemoryJournal;
use crate::journal::{Commit, InstanceWrite, Journal};
use crate::view;

const BEGAN: Timestamp = Timestamp(1_000);

/// An earlier process with three instances of two spans each, and telemetry whose spans wait.
struct Stage {
    journal: Arc<dyn Journal>,
    catalog: Arc<Catalog>,
    telemetry: Telemetry,
}

impl Stage {
    fn new() -> Self {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::in_memory(1).unwrap());
        let catalog = Catalog::open(journal.clone(), Default::default()).unwrap();
        let text = "document: {dsl: '1.0.3', namespace: n, name: w, version: '1.0.0'}\n\
                    do: [{a: {set: {b: 1}}}]\n";
        let deployed = catalog.deploy(text, Unsupported::Allow, BEGAN, |_| Ok(())).ok().unwrap();
        let plan = catalog.plan(&deployed.digest).unwrap();
        for number in 1..=3 {
            let id = InstanceId(uuid::Uuid::from_u128(number));
            let (state, begun) = create(&plan, id, BEGAN, Value::Null, Origin::default());
            assert!(state.ending.is_some(), "it ends at once");
            let count = u32::try_from(begun.facts.len()).unwrap();
            let mut facts = Vec::new();
            encode(&Journaled { at: BEGAN, facts: begun.facts }, &mut facts).unwrap();
            let write = InstanceWrite {
                instance: id,
                sequence: 0,
                count,
                facts: facts.into(),
                head: Some(view::head(&state)),
                hot: None,
                snapshot: None,
            };
            journal.commit(&[Commit { writes: vec![write], ..Commit::default() }]).unwrap();
        }
        // Nobody is there, and nothing is sent before the test is over.
        let variables = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://127.0.0.1:9".to_owned()),
            "OTEL_BSP_SCHEDULE_DELAY" => Some("600000".to_owned()),
            _ => None,
        };
        let settings = Settings::read(&variables, &Flags::default()).unwrap();
        let telemetry = Telemetry::start(&settings, Role::Coordinator, None).unwrap();
        Self { journal, catalog: Arc::new(catalog), telemetry }
    }

    fn tracer(&self) -> Tracer {
        Tracer::new(self.telemetry.spans().unwrap(), Sampler::default())
    }

    fn totals(&self) -> SignalTotals {
        self.telemetry.counts().traces.totals()
    }
}

fn earlier() -> Told {
    let life =
        Life { began: Timestamp(0), ended: Some(Timestamp(2_000)), sampler: Sampler::default() };
    Told { lives: vec![life], spans: HashSet::new() }
}

#[test]
fn what_an_earlier_process_left_is_told_until_the_end_is_waited_for() {
    for (is_stopped, told, missed) in [(false, 6, 0), (true, 0, 1)] {
        let stage = Stage::new();
        let (tracer, stopped) = (stage.tracer(), AtomicBool::new(is_stopped));
        let (journal, catalog) = (&*stage.journal, &*stage.catalog);
        let history = History { sampler: Sampler::default(), journal, catalog };
        let telling = Telling { tracer: &tracer, history, stopped: &stopped };
        telling.again(&earlier(), &sync_channel(1).1);
        let totals = stage.totals();
        assert_eq!((totals.queued, totals.dropped), (told, missed), "{is_stopped}");
    }
}

#[test]
fn an_orderly_end_stops_the_telling_and_knows_of_what_is_left() {
    let stage = Stage::new();
    let (journal, catalog) = (stage.journal.clone(), stage.catalog.clone());
    let teller = Teller::start(stage.tracer(), journal, catalog, Some(earlier())).unwrap();
    teller.close();
    let totals = stage.totals();
    assert!(totals.queued == 6 || totals.dropped == 1, "{totals:?}");
    // Whoever faults from now on is for the next process to tell.
    teller.tell(InstanceId(uuid::Uuid::from_u128(1)));
    assert_eq!(stage.totals(), SignalTotals { dropped: totals.dropped + 1, ..totals });
}
