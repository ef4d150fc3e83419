//! Tests of the engine: definitions run against scripted answers on a virtual clock.
//!
//! References such as (D4) name the decisions of the conformance notes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod approval;
mod attempts;
mod catching;
mod children;
mod data_flow;
mod descriptors;
mod driver;
mod events;
mod examples;
mod extensions;
mod fault;
mod fork;
mod functions;
mod fuzz;
mod iterate;
mod limits;
mod listen;
mod losses;
mod memory;
mod misfits;
mod operate;
mod order;
mod raise;
mod repair;
mod reset;
mod retrace;
mod sealed;
mod secrets;
mod switch;
mod timeouts;
mod worker;

use windlass_proto::value::Value;

use super::Ending;
use driver::Run;

/// A value from JSON.
fn json(text: &str) -> Value {
    Value::from_json(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What a workflow must come to.
enum Want {
    Output(&'static str),
    Error(&'static str, u16, &'static str),
}

/// A workflow, its input, and what must come of it.
struct Case {
    why: &'static str,
    body: &'static str,
    input: &'static str,
    want: Want,
    order: Option<&'static str>,
}

impl Case {
    /// The tasks that must be opened, in this order.
    fn order(self, order: &'static str) -> Self {
        Self { order: Some(order), ..self }
    }
}

/// Completes with this output.
fn gives(why: &'static str, input: &'static str, body: &'static str, output: &'static str) -> Case {
    Case { why, body, input, want: Want::Output(output), order: None }
}

/// Faults with this standard type (or whole URI), status and instance.
fn fails(
    why: &'static str,
    input: &'static str,
    body: &'static str,
    (kind, status, instance): (&'static str, u16, &'static str),
) -> Case {
    Case { why, body, input, want: Want::Error(kind, status, instance), order: None }
}

/// Runs all cases with echoing workers and reports every one that is wrong.
fn check(cases: &[Case]) {
    let wrong: Vec<String> = cases.iter().filter_map(|case| verdict(case).err()).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn verdict(case: &Case) -> Result<(), String> {
    let run = Run::of(case.body).input(case.input).go();
    let got = run.state.ending.as_ref();
    let fits = match (&case.want, got) {
        (Want::Output(output), Some(Ending::Completed(got))) => *got == json(output),
        (Want::Error(kind, status, instance), Some(Ending::Faulted(problem))) => {
            windlass_proto::problem::same_type(kind, &problem.kind)
                && problem.status == *status
                && problem.instance.as_deref() == Some(*instance)
        }
        _ => false,
    };
    let why = case.why;
    if !fits {
        let wanted = match &case.want {
            Want::Output(output) => (*output).to_owned(),
            Want::Error(kind, status, instance) => format!("{kind} {status} at {instance}"),
        };
        return Err(format!("{why}: wanted {wanted}, got {}", shown(got)));
    }
    match case.order {
        Some(order) if run.order() != order => {
            Err(format!("{why}: wanted the tasks `{order}`, got `{}`", run.order()))
        }
        _ => Ok(()),
    }
}

fn shown(ending: Option<&Ending>) -> String {
    match ending {
        Some(Ending::Completed(output)) => output.to_json(),
        Some(Ending::Faulted(problem)) => problem.to_value().to_json(),
        Some(Ending::Cancelled(reason)) => format!("cancelled: {reason:?}"),
        None => "no end".to_owned(),
    }
}
