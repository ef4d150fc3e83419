use std::collections::HashMap;

use windlass_proto::trace::{TraceContext, TraceId};

use super::*;

fn read(pairs: &[(&str, &str)], flags: &Flags) -> Result<Settings, SettingsError> {
    let map: HashMap<_, _> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings::read(&move |name| map.get(name).cloned(), flags)
}

fn variables(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    read(pairs, &Flags::default())
}

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");

#[test]
fn nothing_is_sent_unless_an_endpoint_is_named() {
    assert!(variables(&[]).unwrap().is_off());
    assert!(variables(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap().is_off());
    assert!(variables(&[("OTEL_TRACES_EXPORTER", "otlp")]).unwrap().is_off());
    assert!(variables(&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")]).unwrap().is_off());
    assert!(!variables(&[ENDPOINT, ("OTEL_SDK_DISABLED", "yes")]).unwrap().is_off());
    // What is wrong with what is not used keeps nobody from starting.
    assert!(variables(&[("OTEL_TRACES_SAMPLER", "some")]).unwrap().is_off());
}

#[test]
fn each_signal_goes_where_its_own_variable_says_else_below_that_of_all() {
    let settings = variables(&[
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://logs/own"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20eA==,a=1"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "A=2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "gzip"),
        ("OTEL_SERVICE_NAME", "orders"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=a%2Cb, x=y"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
    ]);
    let settings = settings.unwrap();
    let (traces, logs) = (settings.traces.unwrap(), settings.logs.unwrap());
    assert_eq!(traces.endpoint, "http://c:4318/v1/traces");
    assert_eq!(logs.endpoint, "https://logs/own");
    assert!(settings.metrics.is_none());
    let headers = |of: &Destination| of.headers.iter().cloned().collect::<Vec<_>>();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(headers(&traces), [pair("authorization", "Basic eA=="), pair("a", "1")]);
    assert_eq!(headers(&logs), [pair("authorization", "Basic eA=="), pair("A", "2")]);
    assert_eq!(traces.timeout.as_millis(), 2_500);
    assert!(logs.gzip && !traces.gzip);
    assert_eq!(settings.service_name.as_deref(), Some("orders"));
    assert_eq!(settings.attributes, [pair("team", "a,b"), pair("x", "y")]);
    assert_eq!((settings.spans.queue, settings.spans.export), (100, 100));
    assert!(!format!("{traces:?}").contains("Basic"), "headers may be credentials");
}

#[test]
fn flags_win_over_variables() {
    let flags = Flags {
        endpoint: Some("http://f:1".to_owned()),
        protocol: Some("http/protobuf".to_owned()),
        ratio: Some(0.25),
    };
    let pairs = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:2"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "nonsense"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
    ];
    let settings = read(&pairs, &flags).unwrap();
    assert_eq!(settings.traces.unwrap().endpoint, "http://f:1/v1/traces");
    assert_eq!(settings.sampler, Sampler { follows_parent: true, root: Root::Share(0.25) });
}

#[test]
fn a_variable_that_cannot_be_used_is_named() {
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://c"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:99999"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/#a"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/?a=b"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://\u{fffd}"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@c"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=hunter2%0a"),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "a b=c"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Content-Type=text/plain"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "content-length=5"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=%zz"),
        ("OTEL_PROPAGATORS", "b3"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "some"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2s"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere"),
        ("OTEL_TRACES_EXPORTER", "jaeger"),
        ("OTEL_TRACES_SAMPLER", "some"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "-1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
    ] {
        let pairs = [("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c"), (name, value)];
        let error = variables(&pairs).err().unwrap_or_else(|| panic!("{name}={value}"));
        assert_eq!(error.variable, name);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    for ratio in ["2", "-0.1", "NaN", "x"] {
        let pairs =
            [ENDPOINT, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", ratio)];
        assert_eq!(variables(&pairs).unwrap_err().variable, "OTEL_TRACES_SAMPLER_ARG", "{ratio}");
    }
}

#[test]
fn samplers_follow_the_parent_where_they_are_told_to() {
    let trace = TraceId::new(7);
    let parent = |flags: &str| {
        let text = format!("00-{trace}-00000000000000aa-{flags}");
        TraceContext::parse(&text, None).unwrap()
    };
    let (on, off) = (parent("01"), parent("00"));
    for (name, argument, alone, with_on, with_off) in [
        ("always_on", "", true, true, true),
        ("always_off", "", false, false, false),
        ("traceidratio", "0", false, false, false),
        ("traceidratio", "1", true, true, true),
        ("parentbased_always_on", "", true, true, false),
        ("parentbased_always_off", "", false, true, false),
        ("parentbased_traceidratio", "0", false, true, false),
        ("parentbased_traceidratio", "", true, true, false),
        ("", "0", false, true, false),
    ] {
        let pairs =
            [ENDPOINT, ("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)];
        let sampler = variables(&pairs).unwrap().sampler;
        let found = [None, Some(&on), Some(&off)].map(|it| sampler.is_sampled(trace, it));
        assert_eq!(found, [alone, with_on, with_off], "{name} {argument}");
        assert_eq!(sampler.tells_of_faults(), !name.ends_with("always_off"), "{name}");
    }
}
