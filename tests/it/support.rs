//! What the tests share: the binary under test, its processes, stub servers, waiting.

pub(crate) mod bao;
pub(crate) mod binary;
pub(crate) mod client;
pub(crate) mod command;
pub(crate) mod dev;
pub(crate) mod faketime;
pub(crate) mod fleet;
pub(crate) mod grpc;
pub(crate) mod json;
pub(crate) mod leak;
pub(crate) mod nats;
pub(crate) mod otlp;
pub(crate) mod paths;
pub(crate) mod podman;
pub(crate) mod ports;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod stub;
pub(crate) mod terminal;
pub(crate) mod tls;
pub(crate) mod tools;
pub(crate) mod until;
pub(crate) mod weather;
pub(crate) mod yaml;

/// Says on stderr that a test was not run and why. A variable `WINDLASS_REQUIRE` that names the
/// reason turns the skip into a failure, so that CI cannot lose a test in silence.
pub(crate) fn skip(test: &str, reason: &str, key: &str) {
    let required = std::env::var("WINDLASS_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|it| it == key),
        "{test} must run here (WINDLASS_REQUIRE names {key}) but cannot: {reason}"
    );
    eprintln!("SKIPPED {test}: {reason}");
}
