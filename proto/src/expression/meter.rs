//! What an evaluation may still spend, kept per thread.
//!
//! jaq knows no budget of its own. Each of its terms looks up its code through data of ours
//! ([`super::engine::Metered`]), and all it does with values goes through our value type: both
//! charge this meter. Where a hook cannot return an error the stack is unwound with [`Spent`],
//! which [`run`] catches; no panic hook runs and nothing is printed.
//!
//! **Invariant:** nothing charges while the stack unwinds (no `Drop` here or in values does).

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::Budget;
use crate::limits;

/// What ran out, or else ended the evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    /// The number of steps.
    Steps,
    /// The bytes built, in all or by one value.
    Bytes,
    /// The depth of one value.
    Depth,
    /// The machine's stack.
    Stack,
    /// Steps of one path.
    Path,
    /// Nothing: the program looked into a sealed value.
    Sealed,
}

/// Why [`run`] gave no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The budget was spent.
    Spent(Spent),
    /// A fault in a library was caught.
    Fault,
}

struct Meter {
    steps: Cell<u64>,
    bytes: Cell<u64>,
    /// The most one value may weigh.
    weight: Cell<u64>,
    /// The address below which the stack must not grow.
    floor: Cell<usize>,
    /// Steps along null a path may still take: its length, for what the depth of data does not
    /// bound.
    path: Cell<u32>,
    now: Cell<u64>,
    blind: Cell<bool>,
    raised: Cell<bool>,
    armed: Cell<bool>,
    /// Steps of all evaluations of this thread so far.
    total: Cell<u64>,
}

thread_local! {
    static METER: Meter = const {
        Meter {
            steps: Cell::new(u64::MAX),
            bytes: Cell::new(u64::MAX),
            weight: Cell::new(u64::MAX),
            floor: Cell::new(0),
            path: Cell::new(u32::MAX),
            now: Cell::new(0),
            blind: Cell::new(false),
            raised: Cell::new(false),
            armed: Cell::new(false),
            total: Cell::new(0),
        }
    };
}

fn stop(spent: Spent) -> ! {
    resume_unwind(Box::new(spent))
}

/// Charges `count` steps.
#[inline]
pub(crate) fn step(count: u64) {
    debug_assert!(!std::thread::panicking(), "steps are charged while the stack unwinds");
    METER.with(|meter| match meter.steps.get().checked_sub(count) {
        Some(rest) => meter.steps.set(rest),
        None => stop(Spent::Steps),
    });
}

/// Charges for looking at `length` bytes or slots: one step for each 64.
#[inline]
pub(crate) fn scan(length: usize) {
    step(length as u64 / 64);
}

/// Charges for one term of the program, and ends it when the stack has become too deep.
#[inline]
pub(crate) fn call() {
    let here = 0u8;
    let address = (&raw const here).addr();
    METER.with(|meter| {
        if address < meter.floor.get() {
            stop(Spent::Stack);
        }
    });
    step(1);
}

/// Charges `count` bytes that are built anew.
#[inline]
pub(crate) fn bytes(count: usize) {
    debug_assert!(!std::thread::panicking(), "bytes are charged while the stack unwinds");
    METER.with(|meter| match meter.bytes.get().checked_sub(count as u64) {
        Some(rest) => meter.bytes.set(rest),
        None => stop(Spent::Bytes),
    });
}

/// Counts work of this thread that no evaluation did.
pub(crate) fn add(count: u64) {
    METER.with(|meter| meter.total.set(meter.total.get().wrapping_add(count)));
}

/// Refuses a composite that is too heavy or too deep to go on with.
#[inline]
pub(crate) fn check(weight: u64, depth: u32) {
    METER.with(|meter| {
        if weight > meter.weight.get() {
            stop(Spent::Bytes);
        }
        if depth > limits::VALUE_DEPTH && meter.weight.get() != u64::MAX {
            stop(Spent::Depth);
        }
    });
}

/// Ends the evaluation, if one runs: it looked into a sealed value. No `try` of the program can
/// catch that, so that it cannot take another way here than where the value can be opened.
pub(crate) fn touch() {
    METER.with(|meter| {
        if meter.armed.get() {
            stop(Spent::Sealed);
        }
    });
}

/// Counts an access that can be repeated without end, since it does not go deeper into data.
#[inline]
pub(crate) fn endless() {
    METER.with(|meter| match meter.path.get().checked_sub(1) {
        Some(rest) => meter.path.set(rest),
        None => stop(Spent::Path),
    });
}

/// The level below `depth`, where `deepest` allows it.
pub(crate) fn deeper(depth: Option<i64>, deepest: Option<i64>) -> i64 {
    let depth = depth.unwrap_or(0);
    if depth >= deepest.unwrap_or(0) {
        stop(Spent::Stack);
    }
    depth + 1
}

/// Runs `body`, which extends paths, with the allowance of one path.
pub(crate) fn path<T>(body: impl FnOnce() -> T) -> T {
    let before = METER.with(|meter| {
        let before = meter.path.get();
        meter.path.set(before.min(limits::PATH_LENGTH));
        before
    });
    let result = body();
    METER.with(|meter| meter.path.set(before));
    result
}

/// What `now` returns: milliseconds since the epoch.
pub(crate) fn now() -> u64 {
    METER.with(|meter| meter.now.get())
}

/// True while messages must not show values, because the program reads secrets.
pub(crate) fn is_blind() -> bool {
    METER.with(|meter| meter.blind.get())
}

/// Notes that the program raised an error of its own: its message may hold any value.
pub(crate) fn raise() {
    METER.with(|meter| meter.raised.set(true));
}

/// True when messages of errors may be shown.
pub(crate) fn may_show() -> bool {
    METER.with(|meter| !(meter.blind.get() && meter.raised.get()))
}

/// Ends the armed state however its scope is left.
struct Armed;

impl Drop for Armed {
    fn drop(&mut self) {
        METER.with(|meter| {
            meter.steps.set(u64::MAX);
            meter.bytes.set(u64::MAX);
            meter.weight.set(u64::MAX);
            meter.floor.set(0);
            meter.path.set(u32::MAX);
            meter.blind.set(false);
            meter.raised.set(false);
            meter.armed.set(false);
        });
    }
}

/// Steps of all evaluations of this thread so far: the difference of two answers is what was spent
/// between them.
pub(crate) fn total() -> u64 {
    METER.with(|meter| meter.total.get())
}

/// Runs `body` under `budget` and gives what it returned.
///
/// # Errors
/// When the budget is spent.
pub(crate) fn run<T>(budget: Budget, blind: bool, body: impl FnOnce() -> T) -> Result<T, Stop> {
    let here = 0u8;
    let floor = (&raw const here).addr().saturating_sub(limits::EVALUATION_STACK_BYTES);
    METER.with(|meter| {
        meter.steps.set(budget.steps);
        meter.bytes.set(budget.bytes);
        meter.weight.set(budget.bytes.min(u64::MAX - 1));
        meter.floor.set(floor);
        meter.now.set(budget.now.0);
        meter.blind.set(blind);
        meter.armed.set(true);
    });
    let armed = Armed;
    // What the body owns is dropped while unwinding; nothing it leaves half-done is looked at
    // again.
    let result = catch_unwind(AssertUnwindSafe(body));
    let result = result.map_err(|payload| match payload.downcast_ref::<Spent>() {
        Some(spent) => Stop::Spent(*spent),
        None => Stop::Fault,
    });
    METER.with(|meter| {
        // What the last step asked for was not there: all of it is spent.
        let all = matches!(result, Err(Stop::Spent(Spent::Steps)));
        let left = if all { 0 } else { meter.steps.get() };
        meter.total.set(meter.total.get().wrapping_add(budget.steps.saturating_sub(left)));
    });
    drop(armed);
    result
}
