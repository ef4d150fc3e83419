//! The HTTP API of a running `windlass dev`.

mod bulk;
mod clock;
mod control;
mod early;
mod events;
mod keepalive;
mod keys;
mod lists;
mod numbers;
mod problems;
mod schemas;
mod sdks;
mod starts;
mod tls;
mod watch;
mod webhooks;

/// A definition of the namespace `api` with these tasks.
fn definition(name: &str, tasks: &str) -> String {
    format!(
        "document:\n  dsl: '1.0.3'\n  namespace: api\n  name: {name}\n  version: '1.0.0'\n\
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
