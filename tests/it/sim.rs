//! The simulation: the very code that owns instances in production, on one thread with a virtual
//! clock, among losses and crashes, against a reference interpreter.
//!
//! `WINDLASS_SIM_SEEDS` says how many runs, `WINDLASS_SIM_SEED` where they begin. A run that fails
//! prints the command that repeats it, its definitions, and what happened last.

mod check;
mod coverage;
mod deliveries;
mod generate;
mod golden;
mod model;
mod oracle;
mod outside;
mod regression;
mod run;
mod traces;
mod turns;
mod worker;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use coverage::Coverage;
use run::{Run, Story};

/// Runs from which on every kind of thing must have happened.
const ENOUGH: u64 = 500;

/// Bytes of stack of a thread that runs: what a partition's thread has, and some for the oracle.
const STACK_BYTES: usize = 8 << 20;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(default)
}

#[test]
fn everything_comes_to_its_end_once() {
    let (first, count) = (setting("WINDLASS_SIM_SEED", 1), setting("WINDLASS_SIM_SEEDS", 1_000));
    let begun = Instant::now();
    let next = AtomicU64::new(first);
    let all = Mutex::new((Coverage::default(), Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count || all.lock().unwrap().1.len() >= 3 {
                return;
            }
            let result = simulate(seed);
            let mut all = all.lock().unwrap();
            match result {
                Ok(coverage) => all.0.add(&coverage),
                Err(failure) => all.1.push(failure),
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, |it| it.get().min(8));
    thread::scope(|scope| {
        for _ in 0..threads {
            thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work).unwrap();
        }
    });
    let (coverage, failures) = all.into_inner().unwrap();
    println!("{count} runs took {:?}\n{}", begun.elapsed(), coverage.table());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    if count >= ENOUGH {
        let missing = coverage.missing();
        assert!(missing.is_empty(), "never happened in {count} runs: {missing:#?}");
    }
}

/// One run; the error tells all about a failure.
fn simulate(seed: u64) -> Result<Coverage, String> {
    let story = Mutex::new(Story::default());
    let run = || {
        let mut run = Run::new(seed, &story);
        run.drive();
        run.coverage
    };
    let result = catch_unwind(AssertUnwindSafe(run));
    result.map_err(|panic| {
        let story = story.into_inner().unwrap_or_else(|it| it.into_inner());
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
        format!(
            "{}\n{}\nseed {seed} fails: {}\nrepeat it with:\n  WINDLASS_SIM_SEED={seed} \
             WINDLASS_SIM_SEEDS=1 cargo test -p windlass-tests --test it sim",
            story.definitions.join("\n"),
            story.trace(),
            text.unwrap_or_default(),
        )
    })
}
