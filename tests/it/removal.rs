//! Instances that are removed: by operators, in whole processes.

mod bulk;
mod delete;
mod retention;

/// A definition of the namespace `removal` with these tasks.
fn definition(name: &str, tasks: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: removal, name: {name}, version: '1.0.0' }}\n\
         do:\n{tasks}\n"
    )
}

/// Gives its input back under `echo`.
fn echo() -> String {
    definition("echo", "  - echo: { set: { echo: '${ . }' } }")
}

/// Waits an hour: only cancelling ends it within a test.
fn long() -> String {
    definition("long", "  - rest: { wait: PT1H }")
}
