//! Many instances that have ended, and how long it takes to find some of them, and to count them.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde_json::json;
use windlass_coordinator::coordinator::{Coordinator, Outcome, Start};
use windlass_coordinator::journal::{Filter, Status};
use windlass_proto::time::Timestamp;

use super::drive::closed_loop;
use super::report::{percentile, rounded};
use super::target::attempt;
use super::workload::Load;
use crate::code::BENCH_FAILED;
use crate::error::CliError;

/// One in so many workflows faults.
const FAULTS: u64 = 100;

/// As many workflows have a label in common.
const CUSTOMERS: u64 = 1_000;

/// Instances of a page.
const PAGE: usize = 100;

/// How often each question is asked.
const TIMES: usize = 30;

/// What a question took.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Asked {
    pub(super) filter: &'static str,
    /// How many match.
    pub(super) matches: u64,
    pub(super) first_page_ms: f64,
    pub(super) first_page_max_ms: f64,
    pub(super) count_ms: f64,
}

/// Runs the workflows, each with labels of its own; latencies in microseconds.
pub(super) async fn fill(
    load: &Load,
    coordinator: &Coordinator,
    start: &Start,
) -> Result<Vec<u32>, CliError> {
    let (coordinator, start) = (coordinator.clone(), start.clone());
    let work = move |number: u64| {
        let (coordinator, start) = (coordinator.clone(), start.clone());
        async move {
            let label = |name: &str, value: u64| (Arc::from(name), Arc::from(value.to_string()));
            let labels = vec![label("order", number), label("customer", number % CUSTOMERS)];
            let fails = number.is_multiple_of(FAULTS);
            let input = serde_json::from_value(json!({ "fail": fails })).unwrap_or_default();
            let began = Instant::now();
            let (_, outcome) =
                attempt(&coordinator, &Start { labels, input, ..start.clone() }).await?;
            match outcome {
                Some(Outcome::Completed(_)) if !fails => {}
                Some(Outcome::Faulted(_)) if fails => {}
                other => {
                    let detail = format!("workflow {number} ended with {other:?}");
                    return Err(CliError::coded(&BENCH_FAILED, &detail));
                }
            }
            Ok(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX))
        }
    };
    closed_loop(load.workflows, load.concurrency, work).await
}

/// Asks for some of them.
pub(super) async fn ask(
    load: &Load,
    coordinator: &Coordinator,
    between: (Timestamp, Timestamp),
) -> Result<Vec<Asked>, CliError> {
    let label = |name: &str, value: u64| vec![(name.to_owned(), value.to_string())];
    let any = Filter::default;
    let (began, ended) = (between.0.0, between.1.0);
    let at = |share: u64| Some(Timestamp(began + (ended - began) * share / 100));
    let questions = [
        ("none", any(), load.workflows),
        ("label of the oldest", Filter { labels: label("order", 1), ..any() }, 1),
        ("label of one in 1000", Filter { labels: label("customer", 7), ..any() }, 0),
        ("label that none has", Filter { labels: label("order", load.workflows), ..any() }, 0),
        ("status faulted", Filter { statuses: vec![Status::Faulted], ..any() }, 0),
        ("error of a type", Filter { errors: vec!["bench".to_owned()], ..any() }, 0),
        (
            "faulted in a tenth of the time",
            Filter {
                statuses: vec![Status::Faulted],
                ended_after: at(40),
                ended_before: at(50),
                ..any()
            },
            0,
        ),
    ];
    let mut asked = Vec::new();
    for (filter, question, due) in questions {
        let (mut pages, mut counts, mut matches) = (Vec::new(), Vec::new(), 0);
        for _ in 0..TIMES {
            let began = Instant::now();
            let page = coordinator.search(question.clone(), None, PAGE).await?;
            pages.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
            let began = Instant::now();
            matches = coordinator.count(question.clone()).await?.count;
            counts.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
            if (page.items.len() as u64) < matches.min(PAGE as u64) || matches < due {
                let detail = format!("`{filter}` finds {} of {matches}", page.items.len());
                return Err(CliError::coded(&BENCH_FAILED, &detail));
            }
        }
        pages.sort_unstable();
        counts.sort_unstable();
        let milliseconds = |of: &[u32], share| rounded(f64::from(percentile(of, share)) / 1_000.0);
        asked.push(Asked {
            filter,
            matches,
            first_page_ms: milliseconds(&pages, 0.5),
            first_page_max_ms: milliseconds(&pages, 1.0),
            count_ms: milliseconds(&counts, 0.5),
        });
    }
    Ok(asked)
}
