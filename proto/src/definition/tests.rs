//! Tests of the loader as a whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod catalogs;
mod deviations;
mod every_code;
mod kinds;
mod specification;
mod text;

use std::sync::Arc;

use super::{Diagnostic, Loaded, Options, load};
use crate::plan::{Kind, Plan, Task};

/// Five lines every workflow starts with.
const DOCUMENT: &str =
    "document:\n  dsl: '1.0.3'\n  namespace: test\n  name: sample\n  version: 1.0.0\n";

/// Loads a workflow given without its `document`.
fn loaded(rest: &str) -> Loaded {
    load(&format!("{DOCUMENT}{rest}"), &Options::default())
}

/// The plan of a workflow in which nothing is found, beside what this version cannot do.
fn plan(rest: &str) -> Arc<Plan> {
    let Loaded { plan, mut diagnostics, .. } = loaded(rest);
    diagnostics.retain(|it| !matches!(it.code, "WL0160" | "WL0403"));
    assert!(diagnostics.is_empty(), "{diagnostics:#?}");
    plan.unwrap()
}

/// The plan and findings of a workflow with warnings only.
fn warned(rest: &str) -> (Arc<Plan>, Vec<Diagnostic>) {
    let Loaded { plan, diagnostics, .. } = loaded(rest);
    (plan.unwrap_or_else(|| panic!("{diagnostics:#?}")), diagnostics)
}

fn first(plan: &Plan) -> &Task {
    plan.task(plan.root[0])
}

/// The kind of the only task of `rest`, given as the task's own properties.
fn kind_of(plan: &Plan) -> &Kind {
    &first(plan).kind
}

/// Pointers of all tasks in the order of decoding.
fn references(plan: &Plan) -> Vec<&str> {
    plan.tasks.iter().map(|task| &*task.reference).collect()
}
