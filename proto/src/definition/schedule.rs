//! `schedule`, and `metadata.windlass.schedule` of the document, which says how.

use super::codes;
use super::decoder::{Decoder, optional};
use super::node::Node;
use super::task::READS;
use crate::cron::{Cron, Zone};
use crate::limits::{SCHEDULE_EVERY_MS, SCHEDULE_JITTER_MS};
use crate::plan::{Duration, Listen, Overlap, ReadAs, Schedule, Strategy};

/// What `metadata.windlass.schedule` may hold.
const OPTIONS: &[&str] = &["timezone", "overlap", "catchUp", "jitter"];

/// What the document says of its schedule.
#[derive(Debug)]
struct Options {
    zone: Zone,
    overlap: Overlap,
    catch_up: Option<u64>,
    jitter: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { zone: Zone::utc(), overlap: Overlap::default(), catch_up: None, jitter: 0 }
    }
}

impl Decoder<'_> {
    /// `schedule` of a workflow, with what its document says of it; and what it listens for.
    pub(super) fn schedule(&mut self, root: &Node) -> Option<Option<(Schedule, Option<Listen>)>> {
        let own = root.get("document").and_then(|it| it.get("metadata"));
        let own = own.and_then(|it| it.get("windlass")).and_then(|it| it.get("schedule"));
        let Some(node) = root.get("schedule") else {
            if let Some(own) = own {
                let message = "`metadata.windlass.schedule` needs a `schedule`";
                self.error(codes::CONFLICT, own.place, message, "remove it, or add `schedule`");
            }
            return Some(None);
        };
        let options = optional(own, |own| self.schedule_options(own));
        self.closed(node, "`schedule`", &["every", "cron", "after", "on", "read"])?;
        let zone = options.as_ref().and_then(Option::as_ref).map(|it| it.zone.clone());
        let every = optional(node.get("every"), |node| self.interval(node, "`every`"));
        let cron = optional(node.get("cron"), |node| self.cron(node, zone));
        let after = optional(node.get("after"), |node| self.interval(node, "`after`"));
        let on = self.scheduled_events(node, root);
        let Options { overlap, catch_up, jitter, .. } = options?.unwrap_or_default();
        let (every, cron, after) = (every?.flatten(), cron?.flatten(), after?.flatten());
        let schedule = Schedule { every, cron, after, on: None, overlap, catch_up, jitter };
        Some(Some((schedule, on?)))
    }

    /// `on` and `read`: which events start an instance, and what it gets of them.
    fn scheduled_events(&mut self, node: &Node, root: &Node) -> Option<Option<Listen>> {
        let read = optional(node.get("read"), |node| self.choice(node, "`read`", READS));
        let Some(on) = node.get("on") else {
            if let Some(read) = node.get("read") {
                let message = "`schedule.read` needs `schedule.on`";
                self.error(codes::CONFLICT, read.place, message, "remove it, or add `on`");
            }
            return Some(None);
        };
        let strategy = self.strategy(on, "`schedule.on`")?;
        self.check_listen(node, on, &strategy);
        if matches!(&strategy, Strategy::All(filters) if filters.is_empty()) {
            let hint = "name the events: nothing would start it, or everything";
            let message = "`all` of `schedule.on` is empty".to_owned();
            let refused = self.error_unless_accepted(codes::TOO_FEW, on.place, message, hint);
            return (!refused).then_some(None);
        }
        if strategy.uses_secrets() {
            let hint = "compare secrets in a task, where a worker reads them";
            let message = "no secret can be read in `schedule.on`".to_owned();
            let refused = self.error_unless_accepted(codes::CONFLICT, on.place, message, hint);
            return (!refused).then_some(None);
        }
        let read = read?.unwrap_or_else(|| usual_read(root));
        Some(Some(Listen { strategy, read, each: None }))
    }

    fn schedule_options(&mut self, node: &Node) -> Option<Options> {
        self.closed(node, "`metadata.windlass.schedule`", OPTIONS)?;
        let zone = optional(node.get("timezone"), |node| self.zone(node));
        let words = Overlap::WORDS;
        let overlap = optional(node.get("overlap"), |node| self.choice(node, "`overlap`", words));
        let catch_up = optional(node.get("catchUp"), |node| self.fixed(node, "`catchUp`"));
        let jitter = optional(node.get("jitter"), |node| {
            let jitter = self.fixed(node, "`jitter`")?;
            if jitter.is_some_and(|it| it > SCHEDULE_JITTER_MS) {
                let message = "`jitter` is longer than a day";
                self.error(codes::OUT_OF_RANGE, node.place, message, "write `PT10M`");
                return None;
            }
            Some(jitter)
        });
        Some(Options {
            zone: zone?.unwrap_or_else(Zone::utc),
            overlap: overlap?.unwrap_or_default(),
            catch_up: catch_up?.flatten(),
            jitter: jitter?.flatten().unwrap_or_default(),
        })
    }

    fn zone(&mut self, node: &Node) -> Option<Zone> {
        let name = self.string(node, "`timezone`")?;
        if let Some(zone) = Zone::named(&name) {
            return Some(zone);
        }
        let message = format!("there is no time zone `{name}`");
        let hint = "a name of the IANA database, as in `Europe/Berlin`";
        self.error(codes::BAD_PATTERN, node.place, message, hint);
        None
    }

    /// Nothing can be evaluated before there is an instance. `None` within for what cannot be done.
    pub(super) fn fixed(&mut self, node: &Node, what: &str) -> Option<Option<u64>> {
        match self.duration(node, what)? {
            Duration::Fixed(milliseconds) => Some(Some(milliseconds)),
            Duration::Computed(_) => {
                let hint = "write the duration itself: `PT5M`, or `minutes: 5`";
                self.unsupported(node.place, &format!("an expression in {what} here"), hint);
                Some(None)
            }
        }
    }

    fn interval(&mut self, node: &Node, what: &str) -> Option<Option<u64>> {
        let interval = self.fixed(node, what)?;
        if interval.is_none_or(|it| it >= SCHEDULE_EVERY_MS) {
            return Some(interval);
        }
        let message = format!("{what} is shorter than {SCHEDULE_EVERY_MS} ms");
        let hint = "what is done more often is a `for` with a `wait`";
        let refused = self.error_unless_accepted(codes::OUT_OF_RANGE, node.place, message, hint);
        (!refused).then_some(None)
    }

    fn cron(&mut self, node: &Node, zone: Option<Zone>) -> Option<Option<Cron>> {
        let text = self.string(node, "`cron`")?;
        let error = match Cron::parse(&text, zone.unwrap_or_else(Zone::utc)) {
            Ok(cron) => return Some(Some(cron)),
            Err(error) => error,
        };
        let message = format!("`{text}` is not a cron expression: {error}");
        let hint = "five fields: minute, hour, day of month, month, day of week; as in `0 0 * * *`";
        let refused = self.error_unless_accepted(codes::BAD_PATTERN, node.place, message, hint);
        (!refused).then_some(None)
    }
}

/// How events are read when the schedule does not say: up to DSL 1.0.3 there was no `read`, and
/// what was started got whole events.
fn usual_read(root: &Node) -> ReadAs {
    let dsl = root.get("document").and_then(|it| it.get("dsl")).and_then(Node::as_str);
    let dsl = dsl.and_then(|it| semver::Version::parse(it).ok());
    match dsl {
        Some(dsl) if dsl > semver::Version::new(1, 0, 3) => ReadAs::Data,
        _ => ReadAs::Envelope,
    }
}
