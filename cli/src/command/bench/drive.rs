//! Drives the load: a closed loop of as many tasks as workflows may be under way.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tokio::task::JoinSet;
use windlass_coordinator::clock;

use super::measure::{self, Usage};
use super::schedules::{self, Taken};
use super::searching::{self, Asked};
use super::target::{Server, Target};
use super::workload::Load;
use crate::code::BENCH_FAILED;
use crate::error::CliError;

/// Requests under way at a server at the same time when all workflows are started at once: well
/// under what one admits.
const REQUESTS: u32 = 500;

/// What a run gave.
pub(super) struct Measured {
    /// From the first start to the last end.
    pub(super) elapsed: Duration,
    /// Of each workflow, in microseconds, in no order.
    pub(super) latencies: Vec<u32>,
    /// What this process used meanwhile.
    pub(super) usage: Usage,
    /// What the store of secrets used meanwhile.
    pub(super) store_cpu: Option<Duration>,
    /// MiB of memory in use after each tenth of the workflows.
    pub(super) memory: Vec<f64>,
    /// How the histories were read, where they were.
    pub(super) pages: Option<Pages>,
    /// How often one of the threads was given a processor, where nothing else was done.
    pub(super) wakeups: Option<u64>,
    /// What schedules took of the memory, where they started the workflows.
    pub(super) taken: Option<Taken>,
    /// What was asked for, where instances were searched.
    pub(super) asked: Option<Vec<Asked>>,
}

impl Measured {
    /// What was measured of all workloads; memory is what is in use now.
    fn of(elapsed: Duration, latencies: Vec<u32>, usage: Usage) -> Self {
        let memory = measure::resident_mib().into_iter().collect();
        let (store_cpu, pages, wakeups, taken, asked) = Default::default();
        Self { elapsed, latencies, usage, store_cpu, memory, pages, wakeups, taken, asked }
    }
}

/// Histories, read page by page.
#[derive(Clone, Copy, Default)]
pub(super) struct Pages {
    pub(super) entries: u64,
    /// Microseconds that the first and the last full page took, those of the last workflow.
    pub(super) first: u32,
    pub(super) last: u32,
}

/// Runs `load` on `target`.
pub(super) async fn run(load: &Load, target: &Arc<Target>) -> Result<Measured, CliError> {
    if let Some(idle) = load.idle {
        return leave_alone(idle, target).await;
    }
    if load.scheduled {
        return fire(load, target).await;
    }
    if load.searched {
        return search(load, target).await;
    }
    if load.reads_history {
        return read_histories(load, target).await;
    }
    if load.events.is_some() {
        all_listen(load, target).await?;
    } else if !load.all_at_once {
        target.run().await?;
    }
    measure::reset_peak();
    let memory = Arc::new(Memory { every: load.operations().div_ceil(10), ..Memory::default() });
    let (before, store) = (target.usage(), target.store_cpu());
    let begin = Instant::now();
    let latencies = match target.server().filter(|_| load.all_at_once) {
        Some(server) => started_then_ended(load, &server).await?,
        None => one_after_the_other(load, target, &memory).await?,
    };
    let elapsed = begin.elapsed();
    let usage = target.usage().since(&before);
    let store_cpu = target.store_cpu().zip(store).map(|(now, then)| now.saturating_sub(then));
    if latencies.len() as u64 != load.operations() {
        let what = if load.events.is_some() { "events were consumed" } else { "workflows ended" };
        let detail = format!("only {} of {} {what}", latencies.len(), load.operations());
        return Err(CliError::coded(&BENCH_FAILED, &detail));
    }
    let memory = std::mem::take(&mut *memory.points.lock().unwrap_or_else(|it| it.into_inner()));
    Ok(Measured { store_cpu, memory, ..Measured::of(elapsed, latencies, usage) })
}

/// Runs the workflows, then measures reading the whole history of each: latencies are those of
/// pages.
async fn read_histories(load: &Load, target: &Target) -> Result<Measured, CliError> {
    let mut ids = Vec::new();
    for _ in 0..load.workflows {
        ids.push(target.run().await?);
    }
    measure::reset_peak();
    let (before, begin) = (target.usage(), Instant::now());
    let (mut latencies, mut pages) = (Vec::new(), Pages::default());
    for id in &ids {
        let (mut from, first) = (Some(0), latencies.len());
        while let Some(next) = from {
            let page = Instant::now();
            let (entries, next) = target.page(id, next).await?;
            if next.is_some() || latencies.len() == first {
                pages.last = micros(page);
            }
            latencies.push(micros(page));
            pages.entries += entries as u64;
            from = next;
        }
        pages.first = latencies.get(first).copied().unwrap_or_default();
    }
    let (elapsed, usage) = (begin.elapsed(), target.usage().since(&before));
    // Of each step it is told at least when it began, was scheduled and completed.
    if pages.entries < 3 * load.workflows * u64::from(load.steps) {
        let detail = format!("the histories have only {} entries", pages.entries);
        return Err(CliError::coded(&BENCH_FAILED, &detail));
    }
    Ok(Measured { pages: Some(pages), ..Measured::of(elapsed, latencies, usage) })
}

/// Has schedules start the workflows.
async fn fire(load: &Load, target: &Target) -> Result<Measured, CliError> {
    let Some(coordinator) = target.coordinator() else {
        return Err(CliError::coded(&BENCH_FAILED, "schedules are measured in this process only"));
    };
    measure::reset_peak();
    let before = target.usage();
    let fired = schedules::run(load, coordinator).await?;
    let usage = target.usage().since(&before);
    let measured = Measured::of(fired.elapsed, fired.lateness, usage);
    Ok(Measured { taken: Some(fired.memory), ..measured })
}

/// Runs the workflows, then looks for some of them.
async fn search(load: &Load, target: &Target) -> Result<Measured, CliError> {
    let Some((coordinator, start)) = target.coordinator().zip(target.start()) else {
        return Err(CliError::coded(&BENCH_FAILED, "searches are measured in this process only"));
    };
    measure::reset_peak();
    let (before, begin, first) = (target.usage(), Instant::now(), clock::now());
    let latencies = searching::fill(load, coordinator, start).await?;
    let (elapsed, usage) = (begin.elapsed(), target.usage().since(&before));
    let asked = searching::ask(load, coordinator, (first, clock::now())).await?;
    Ok(Measured { asked: Some(asked), ..Measured::of(elapsed, latencies, usage) })
}

/// Runs one workflow, and then nothing.
async fn leave_alone(idle: Duration, target: &Target) -> Result<Measured, CliError> {
    target.run().await?;
    // What the workflow leaves to be done is done by then.
    tokio::time::sleep(idle / 5).await;
    measure::reset_peak();
    let (before, woken) = (target.usage(), measure::wakeups());
    let begin = Instant::now();
    tokio::time::sleep(idle).await;
    let elapsed = begin.elapsed();
    let usage = target.usage().since(&before);
    let wakeups = measure::wakeups().zip(woken).map(|(now, then)| now.saturating_sub(then));
    Ok(Measured { wakeups, ..Measured::of(elapsed, vec![micros(begin)], usage) })
}

/// Starts the workflows that listen; one that is durable listens.
async fn all_listen(load: &Load, target: &Arc<Target>) -> Result<(), CliError> {
    let target = target.clone();
    let work = move |number| {
        let target = target.clone();
        async move { target.listen(number).await }
    };
    let started = closed_loop(load.workflows, load.concurrency, work).await;
    started.map(drop)
}

/// Each task runs one workflow after the other, or sends one event after the other.
async fn one_after_the_other(
    load: &Load,
    target: &Arc<Target>,
    memory: &Arc<Memory>,
) -> Result<Vec<u32>, CliError> {
    let (target, memory) = (target.clone(), memory.clone());
    let listeners = load.events.map(|_| load.workflows);
    let work = move |number: u64| {
        let (target, memory) = (target.clone(), memory.clone());
        async move {
            let begin = Instant::now();
            match listeners {
                Some(listeners) => target.event(number, number % listeners).await?,
                None => drop(target.run().await?),
            }
            memory.ended();
            Ok(micros(begin))
        }
    };
    closed_loop(load.operations(), load.concurrency, work).await
}

/// Starts all workflows at a server, then waits for each: a request each for the whole time would
/// be more than a server admits.
async fn started_then_ended(load: &Load, server: &Arc<Server>) -> Result<Vec<u32>, CliError> {
    let tasks = load.concurrency.min(REQUESTS);
    let starter = server.clone();
    let start = move |_| {
        let server = starter.clone();
        async move {
            let begin = Instant::now();
            Ok((begin, server.start(None).await?.1))
        }
    };
    let started: Arc<Vec<(Instant, Json)>> =
        Arc::new(closed_loop(load.workflows, tasks, start).await?);
    let waiter = server.clone();
    let end = move |number: u64| {
        let (server, started) = (waiter.clone(), started.clone());
        async move {
            // Each number stands for one that was started.
            let started = usize::try_from(number).ok().and_then(|it| started.get(it));
            let Some((begin, answer)) = started else { return Ok(0) };
            server.finish(answer).await?;
            Ok(micros(*begin))
        }
    };
    closed_loop(load.workflows, tasks, end).await
}

/// Does `work` for each number below `total`, by `tasks` tasks at the same time; the first failure
/// ends it.
pub(super) async fn closed_loop<T, W, F>(
    total: u64,
    tasks: u32,
    work: W,
) -> Result<Vec<T>, CliError>
where
    T: Send + 'static,
    W: Fn(u64) -> F + Clone + Send + 'static,
    F: Future<Output = Result<T, CliError>> + Send,
{
    let next = Arc::new(AtomicU64::new(0));
    let mut all = JoinSet::new();
    for _ in 0..tasks {
        let (next, work) = (next.clone(), work.clone());
        all.spawn(async move {
            let mut results = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= total {
                    return Ok(results);
                }
                results.push(work(number).await?);
            }
        });
    }
    let mut results = Vec::new();
    let mut failed = None;
    while let Some(joined) = all.join_next().await {
        let broken = |error| CliError::coded(&BENCH_FAILED, &format!("the load broke: {error}"));
        match joined.map_err(broken).and_then(|it| it) {
            Ok(mut some) => results.append(&mut some),
            // What follows from the first failure says less than it.
            Err(error) if failed.is_none() => {
                failed = Some(error);
                all.abort_all();
            }
            Err(_) => {}
        }
    }
    failed.map_or(Ok(results), Err)
}

fn micros(begin: Instant) -> u32 {
    u32::try_from(begin.elapsed().as_micros()).unwrap_or(u32::MAX)
}

/// Looks at the memory in use after each tenth of the workflows.
#[derive(Default)]
struct Memory {
    every: u64,
    ended: AtomicU64,
    points: Mutex<Vec<f64>>,
}

impl Memory {
    fn ended(&self) {
        let ended = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        if ended.is_multiple_of(self.every.max(1))
            && let Some(now) = measure::resident_mib()
        {
            self.points.lock().unwrap_or_else(|it| it.into_inner()).push(now);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::closed_loop;
    use crate::code::BENCH_FAILED;
    use crate::error::CliError;

    #[tokio::test]
    async fn every_number_is_worked_on_once() {
        let most = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
        let seen = most.clone();
        let work = move |number| {
            let seen = seen.clone();
            async move {
                seen.1.fetch_max(seen.0.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                seen.0.fetch_sub(1, Ordering::SeqCst);
                Ok(number)
            }
        };
        let mut results = closed_loop(100, 7, work).await.unwrap();
        results.sort_unstable();
        assert_eq!(results, (0..100).collect::<Vec<_>>());
        assert_eq!(most.1.load(Ordering::SeqCst), 7);
    }

    #[tokio::test]
    async fn the_first_failure_ends_it() {
        let work = |number| async move {
            if number < 10 {
                return Ok(());
            }
            Err(CliError::coded(&BENCH_FAILED, "as arranged"))
        };
        let failed = closed_loop(u64::MAX, 3, work).await.err();
        assert!(matches!(failed, Some(CliError::Problem(it)) if it["detail"] == "as arranged"));
    }
}
