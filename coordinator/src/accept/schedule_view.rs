//! Schedules as the API tells of them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::coordinator::{SchedulePage, ScheduleView};
use crate::schedule::{Due, Occurrence, Outcome, ScheduleId, Why};

/// A page of schedules.
#[derive(Serialize, ToSchema)]
pub(super) struct Schedules {
    items: Vec<Schedule>,
    /// Where the next page starts; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A schedule.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Schedule {
    /// `document.namespace`
    namespace: String,
    /// `document.name`
    name: String,
    /// The version whose schedule it is: the highest one that is deployed.
    version: String,
    /// When that was deployed.
    since: String,
    /// `every`, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    every_ms: Option<u64>,
    /// `cron`
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    /// The time zone of `cron`.
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
    /// `after`, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ms: Option<u64>,
    /// What it listens for by `on`; absent without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<Listening>,
    /// What happens when one is due while another one is open: `allow`, `skip`, `buffer-one`,
    /// `buffer-all`, `cancel`.
    overlap: &'static str,
    /// The window for what was missed, in milliseconds; absent where the last one is made up for.
    #[serde(skip_serializing_if = "Option::is_none")]
    catch_up_ms: Option<u64>,
    /// By how much its starts come later, to spread them, in milliseconds.
    delay_ms: u64,
    /// Whether it is paused, since when and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<Paused>,
    /// Open instances, where their ends matter to it.
    running: Vec<String>,
    /// Starts that wait for their ends.
    waiting: usize,
    /// Starts so far.
    fired: u64,
    /// Due times skipped so far.
    skipped: u64,
    /// The next due times, at most five; none while it is paused.
    next: Vec<NextTime>,
    /// How many of the due times in `past` were missed.
    missed: u64,
    /// What became of the last due time.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<PastTime>,
    /// What became of the last due times, at most a hundred, the latest first. Empty in lists.
    past: Vec<PastTime>,
}

/// Events that start instances.
#[derive(Serialize, ToSchema)]
pub(super) struct Listening {
    /// How many events are gathered for the next start.
    gathered: usize,
    /// Why it listens for nothing, where the definition is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

/// A pause.
#[derive(Serialize, ToSchema)]
pub(super) struct Paused {
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// A due time to come.
#[derive(Serialize, ToSchema)]
pub(super) struct NextTime {
    at: String,
    /// `every`, `cron` or `after`.
    trigger: &'static str,
}

/// A due time that is over, or a stretch of them.
#[derive(Serialize, ToSchema)]
pub(super) struct PastTime {
    /// When it was due.
    at: String,
    /// The last one of a stretch.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    /// How many a stretch has, where that was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// `every`, `cron`, `after`, `on`, `manual` or `backfill`.
    trigger: &'static str,
    /// `fired` or `skipped`.
    outcome: &'static str,
    /// Why it was skipped: `missed`, `paused`, `suspended`, `overlap`, `superseded`, `quarantined`
    /// or `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    /// The instance that it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// When it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
}

/// Whether a schedule is paused.
#[derive(Serialize, ToSchema)]
pub(super) struct Standing {
    /// `document.namespace`
    pub(super) namespace: String,
    /// `document.name`
    pub(super) name: String,
    /// Whether it is paused now.
    pub(super) paused: bool,
}

/// What was started.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f"}))]
pub(super) struct Triggered {
    /// The instance.
    pub(super) id: String,
}

/// What was made up for.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"started": 30}))]
pub(super) struct Backfilled {
    /// How many due times were taken up, or would be, of a preview. They start as there is room
    /// for them; some may wait or be skipped, see `past`.
    pub(super) started: usize,
}

impl From<SchedulePage> for Schedules {
    fn from(page: SchedulePage) -> Self {
        // One has up to a hundred of them.
        let short = |it| Schedule { past: Vec::new(), ..Schedule::from(it) };
        let items = page.items.into_iter().map(short).collect();
        Self { items, next: page.next.map(|it| hex(&it)) }
    }
}

impl From<ScheduleView> for Schedule {
    fn from(view: ScheduleView) -> Self {
        let ScheduleView { state, plan, next, past } = view;
        let schedule = plan.schedule.as_ref();
        let cron = schedule.and_then(|it| it.cron.as_ref());
        let is_missed = |it: &&Occurrence| it.outcome == Outcome::Skipped(Why::Missed);
        let missed = past.iter().filter(is_missed).map(Occurrence::count).sum();
        Self {
            namespace: state.workflow.namespace.to_string(),
            name: state.workflow.name.to_string(),
            version: state.workflow.version.to_string(),
            since: state.since.to_rfc3339(),
            every_ms: schedule.and_then(|it| it.every),
            cron: cron.map(|it| it.text().to_owned()),
            timezone: cron.map(|it| it.zone().name().to_owned()),
            after_ms: schedule.and_then(|it| it.after),
            on: state.listener.as_ref().map(|it| Listening {
                gathered: it.gathered(),
                fault: it.fault().map(ToString::to_string),
            }),
            overlap: schedule.map(|it| it.overlap).unwrap_or_default().word(),
            catch_up_ms: schedule.and_then(|it| it.catch_up),
            delay_ms: state.delay,
            running: state.running().iter().map(ToString::to_string).collect(),
            waiting: state.waiting(),
            fired: state.fired,
            skipped: state.skipped,
            paused: state.paused.map(|it| Paused {
                since: it.since.to_rfc3339(),
                reason: it.reason.map(|it| it.to_string()),
            }),
            next: next.into_iter().map(NextTime::from).collect(),
            missed,
            last: past.first().copied().map(PastTime::from),
            past: past.into_iter().map(PastTime::from).collect(),
        }
    }
}

impl From<Due> for NextTime {
    fn from(due: Due) -> Self {
        Self { at: due.at.to_rfc3339(), trigger: due.trigger.word() }
    }
}

impl From<Occurrence> for PastTime {
    fn from(it: Occurrence) -> Self {
        let (outcome, why, instance, started) = match it.outcome {
            Outcome::Fired(instance, at) => {
                ("fired", None, Some(instance.to_string()), Some(at.to_rfc3339()))
            }
            Outcome::Skipped(why) => ("skipped", Some(why.word()), None, None),
        };
        Self {
            at: it.due.at.to_rfc3339(),
            until: it.until.map(|(until, _)| until.to_rfc3339()),
            count: it.until.and_then(|(_, count)| count),
            trigger: it.due.trigger.word(),
            outcome,
            why,
            instance,
            started,
        }
    }
}

/// Reads where a page starts.
pub(super) fn cursor(text: &str) -> Result<ScheduleId, &'static str> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32);
    number.map(|it| ScheduleId(it.to_be_bytes())).ok_or("must be `next` of the page before")
}

fn hex(id: &ScheduleId) -> String {
    format!("{:032x}", u128::from_be_bytes(id.0))
}
