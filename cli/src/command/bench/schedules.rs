//! Many schedules that are due once, spread over a while: how late each starts, and what one takes
//! of the memory.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Value as Json, json};
use windlass_coordinator::catalog::Unsupported;
use windlass_coordinator::coordinator::{Coordinator, Operator};
use windlass_coordinator::journal::Filter;
use windlass_coordinator::schedule::ScheduleId;
use windlass_proto::limits::API_PAGE;
use windlass_proto::time::Timestamp;

use super::drive::closed_loop;
use super::measure;
use super::workload::{Load, NAMESPACE};
use crate::code::BENCH_FAILED;
use crate::error::CliError;

/// Schedules that are due in a second.
const PER_SECOND: u64 = 1_000;

/// Seconds over which they are due, at least.
const LEAST_SPREAD: u64 = 5;

/// Milliseconds between the last deployment and the first due time, at least.
const AHEAD: u64 = 5_000;

/// The pause between two looks whether all have started.
const LOOK: Duration = Duration::from_millis(500);

/// How long after the last due time all must have started.
const LATEST: Duration = Duration::from_secs(300);

/// What came of it.
pub(super) struct Fired {
    /// From the first start to the last.
    pub(super) elapsed: Duration,
    /// By how much each started late, in microseconds, of whole milliseconds.
    pub(super) lateness: Vec<u32>,
    pub(super) memory: Taken,
}

/// Memory that the process took.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Taken {
    /// Bytes of a definition without a schedule.
    pub(super) bytes_a_definition: Option<f64>,
    /// Bytes more of one with a schedule.
    pub(super) bytes_a_schedule: Option<f64>,
}

/// Deploys as many definitions without a schedule, then those with one, and waits until each has
/// started one instance.
pub(super) async fn run(load: &Load, coordinator: &Coordinator) -> Result<Fired, CliError> {
    let begin = Instant::now();
    let before = measure::resident_mib();
    deploy(load, coordinator, None).await?;
    let without = measure::resident_mib();
    // The others take as long, and somewhat more for what they have in addition.
    let reserve = begin.elapsed() * 2;
    let ahead = AHEAD + u64::try_from(reserve.as_millis()).unwrap_or(AHEAD);
    let due = Timestamp((now()?.0 + ahead) / 1_000 * 1_000);
    let spread = (load.workflows / PER_SECOND).max(LEAST_SPREAD) * 1_000;
    deploy(load, coordinator, Some((due, spread))).await?;
    if now()? >= due {
        return Err(failed("the deployments took longer than until the first due time"));
    }
    let with = measure::resident_mib();
    let each = |from: Option<f64>, to: Option<f64>| {
        const MIB: f64 = 1_048_576.0;
        from.zip(to).map(|(from, to)| (to - from) * MIB / load.workflows as f64)
    };
    let memory = Taken {
        bytes_a_definition: each(before, without),
        bytes_a_schedule: each(without, with)
            .zip(each(before, without))
            .map(|(with, without)| with - without),
    };
    tokio::time::sleep(Duration::from_millis(due.since(now()?) + spread)).await;
    let started = all_started(load.workflows, coordinator).await?;
    let late = |(name, at): &(Arc<str>, Timestamp)| {
        let due = due.plus(ScheduleId::of(NAMESPACE, name).delay(spread));
        u32::try_from(at.since(due).saturating_mul(1_000)).unwrap_or(u32::MAX)
    };
    let lateness = started.iter().map(late).collect();
    let times = || started.iter().map(|(_, at)| at.0);
    let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
    Ok(Fired { elapsed: Duration::from_millis(last - first), lateness, memory })
}

/// Deploys the definitions, with a schedule that is due then, each a while of its own later.
async fn deploy(
    load: &Load,
    coordinator: &Coordinator,
    due: Option<(Timestamp, u64)>,
) -> Result<(), CliError> {
    let definition = Arc::new(load.definition.clone());
    let coordinator = coordinator.clone();
    let work = move |number| {
        let text = definition_of(&definition, number, due).to_string();
        let coordinator = coordinator.clone();
        async move {
            coordinator.deploy(text, Unsupported::Refuse, Operator::default()).await?;
            Ok(())
        }
    };
    closed_loop(load.workflows, load.concurrency, work).await.map(drop)
}

/// One of the definitions. Those without a schedule have a text of the same length.
fn definition_of(pattern: &Json, number: u64, due: Option<(Timestamp, u64)>) -> Json {
    let mut definition = pattern.clone();
    let (kind, (at, spread)) = match due {
        Some(due) => ("timed", due),
        None => ("plain", (Timestamp(0), 1_000)),
    };
    definition["document"]["name"] = json!(format!("{kind}-{number}"));
    let spread = format!("PT{}S", spread / 1_000);
    let options = json!({ "windlass": { "schedule": { "jitter": spread } } });
    match due {
        Some(_) => {
            definition["document"]["metadata"] = options;
            definition["schedule"] = json!({ "cron": cron(at) });
        }
        None => {
            let rest = json!({ "schedule": { "cron": cron(at) } });
            definition["document"]["metadata"] = json!({ "bench": [options, rest] });
        }
    }
    definition
}

/// The expression that means this second, once a year.
fn cron(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    let number = |from: usize| {
        text.get(from..from + 2).and_then(|it| it.parse::<u8>().ok()).unwrap_or_default()
    };
    let (month, day, hour, minute, second) =
        (number(5), number(8), number(11), number(14), number(17));
    format!("{second} {minute} {hour} {day} {month} *")
}

/// Waits until so many instances have started by their schedules; their workflows, and when.
async fn all_started(
    count: u64,
    coordinator: &Coordinator,
) -> Result<Vec<(Arc<str>, Timestamp)>, CliError> {
    let begin = Instant::now();
    loop {
        let (mut started, mut cursor) = (Vec::new(), None);
        loop {
            let filter = Filter { namespace: Some(NAMESPACE.to_owned()), ..Filter::default() };
            let page = coordinator.search(filter, cursor, API_PAGE).await?;
            started.extend(page.items.into_iter().map(|(_, it)| (it.workflow.name, it.started_at)));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        if started.len() as u64 == count {
            return Ok(started);
        }
        if begin.elapsed() > LATEST || started.len() as u64 > count {
            return Err(failed(&format!("{} of {count} have started", started.len())));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn now() -> Result<Timestamp, CliError> {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH);
    let passed = passed.map_err(|_| failed("the clock is before 1970"))?;
    Ok(Timestamp(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)))
}

fn failed(why: &str) -> CliError {
    CliError::coded(&BENCH_FAILED, why)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use windlass_proto::definition::{self, Options};
    use windlass_proto::time::Timestamp;

    use super::super::workload::{Chosen, Load};
    use super::{cron, definition_of};

    #[test]
    fn a_time_is_met_by_its_expression() {
        let at = Timestamp::parse("2026-03-07T08:09:05Z").unwrap();
        assert_eq!(cron(at), "5 9 8 7 3 *");
    }

    #[test]
    fn definitions_are_good_and_of_much_the_same_length() {
        let load = Load::new(Chosen::Schedules, None, None, None);
        let at = Timestamp::parse("2026-03-07T08:09:05Z").unwrap();
        let texts = [Some((at, 5_000)), None]
            .map(|due| definition_of(&load.definition, 7, due).to_string());
        let strict = Options { strict: true, ..Options::default() };
        for text in &texts {
            let loaded = definition::load(text, &strict);
            assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        }
        assert!(texts[0].len().abs_diff(texts[1].len()) < 40, "{texts:?}");
    }
}
