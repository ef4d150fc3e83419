//! The Collector's configuration: what its pipelines name is there, and nothing else is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::observe;
use crate::support::yaml;

/// The names of the members of an object.
fn names(of: &Value) -> BTreeSet<&str> {
    of.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn pipelines_of_all_signals_use_what_is_configured() {
    let text = std::fs::read_to_string(observe("collector.yaml")).unwrap();
    let all = yaml::parse(&text);
    let pipelines = &all["service"]["pipelines"];
    assert_eq!(names(pipelines), ["logs", "metrics", "traces"].into());
    for part in ["receivers", "processors", "exporters"] {
        let pipelines = pipelines.as_object().unwrap().values();
        let used = pipelines.flat_map(|it| it[part].as_array().unwrap());
        let used: BTreeSet<_> = used.map(|it| it.as_str().unwrap()).collect();
        assert_eq!(used, names(&all[part]), "{part}");
    }
    let used = all["service"]["extensions"].as_array().unwrap().iter();
    let used: BTreeSet<_> = used.map(|it| it.as_str().unwrap()).collect();
    assert_eq!(used, names(&all["extensions"]));
    // Both ways that Windlass knows lead to it, at the ports that OTLP has.
    let receivers = &all["receivers"]["otlp"]["protocols"];
    for (protocol, port) in [("http", "4318"), ("grpc", "4317")] {
        let endpoint = receivers[protocol]["endpoint"].as_str().unwrap();
        assert!(endpoint.ends_with(port), "{protocol}: {endpoint}");
    }
    // It would be out of memory before what comes after it could say so.
    for pipeline in pipelines.as_object().unwrap().values() {
        assert_eq!(pipeline["processors"][0], "memory_limiter");
    }
}
