//! Metrics by OTLP: what a collector that is not ours passes on is what `/metrics` says.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, Metric, metric, number_data_point,
};
use prost::Message as _;
use reqwest::Method;
use serde_json::json;
use windlass_proto::metric::table;

use super::{samples, shown};
use crate::support::client::Api;
use crate::support::command::windlass_under;
use crate::support::dev::Dev;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::otlp::{Collector, Receiver};
use crate::support::until::{SOON, until};

/// A caller's trace.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

/// The metrics of the latest export, by name, with the service that sent them.
fn latest(receiver: &Receiver) -> Option<(String, BTreeMap<String, Metric>)> {
    let exports = receiver.exports();
    let mut all = BTreeMap::new();
    let mut service = String::new();
    for export in exports.iter().filter(|it| it.path == "/v1/metrics") {
        let request = ExportMetricsServiceRequest::decode(&*export.body).unwrap();
        for of in request.resource_metrics {
            let attributes = of.resource.map(|it| it.attributes).unwrap_or_default();
            let named = attributes.iter().find(|it| it.key == "service.name");
            service = format!("{:?}", named.and_then(|it| it.value.clone()));
            let metrics = of.scope_metrics.into_iter().flat_map(|it| it.metrics);
            all.extend(metrics.map(|it| (it.name.clone(), it)));
        }
    }
    (!all.is_empty()).then_some((service, all))
}

fn count(metrics: &BTreeMap<String, Metric>, name: &str) -> i64 {
    let Some(metric::Data::Sum(sum)) = metrics.get(name).and_then(|it| it.data.as_ref()) else {
        return 0;
    };
    let value = |it: &Option<number_data_point::Value>| match it {
        Some(number_data_point::Value::AsInt(value)) => *value,
        _ => 0,
    };
    sum.data_points.iter().map(|it| value(&it.value)).sum()
}

fn spread<'m>(
    metrics: &'m BTreeMap<String, Metric>,
    name: &str,
) -> Vec<&'m ExponentialHistogramDataPoint> {
    match metrics.get(name).and_then(|it| it.data.as_ref()) {
        Some(metric::Data::ExponentialHistogram(data)) => data.data_points.iter().collect(),
        _ => Vec::new(),
    }
}

/// Starts a server that pushes to `endpoint`, lets three instances end, and gives what came once
/// all three are in it.
async fn pushed(flags: &[&str], receiver: &Receiver) -> BTreeMap<String, Metric> {
    let owned = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let soon = ["env", "OTEL_METRIC_EXPORT_INTERVAL=200"];
    let dev = Dev::wrapped(&owned(&soon), &owned(flags)).await;
    let text = "document: { dsl: '1.0.3', namespace: seen, name: fine, version: '1.0.0' }\n\
                do: [{ one: { wait: { milliseconds: 20 } } }]\n";
    let workflow = dev.api.deploy(text).await;
    for _ in 0..3 {
        dev.api.run(&workflow, &json!({})).await;
    }
    let metrics = until(SOON, "three ends in an export", || async {
        let (service, metrics) = latest(receiver)?;
        assert!(service.contains("windlass"), "{service}");
        (count(&metrics, "windlass_instances_ended_total") == 3).then_some(metrics)
    })
    .await;
    let text = shown(&dev.api, "text/plain").await;
    let families = text.lines().filter_map(|it| it.strip_prefix("# TYPE ")?.split(' ').next());
    for family in families {
        assert!(metrics.contains_key(family), "{family} is shown and not pushed");
    }
    metrics
}

/// Of less than an interval, and of one that faults.
#[tokio::test]
async fn a_run_pushes_its_metrics_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.yaml");
    for (task, code, status) in [
        ("set: { a: 1 }", 0, "completed"),
        ("raise: { error: { type: 'https://example.com/none', status: 500 } }", 1, "faulted"),
    ] {
        let text = format!(
            "document: {{ dsl: '1.0.3', namespace: seen, name: once, version: '1.0.0' }}\n\
             do: [{{ one: {{ {task} }} }}]\n"
        );
        std::fs::write(&file, text).unwrap();
        let receiver = Receiver::start().await;
        let url = receiver.url();
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())];
        windlass_under(&variables, &["run", file.to_str().unwrap()]).await.exits(code);
        let (service, metrics) = latest(&receiver).unwrap();
        assert!(service.contains("windlass"), "{service}");
        let ended = &metrics["windlass_instances_ended_total"];
        let counted = format!("{ended:?}");
        assert!(counted.contains(status), "{counted}");
        assert_eq!(count(&metrics, "windlass_instances_started_total"), 1);
        assert_eq!(count(&metrics, "windlass_instances_ended_total"), 1, "{counted}");
        for name in ["windlass_build_info", "windlass_telemetry_items_total"] {
            assert!(metrics.contains_key(name), "{name}");
        }
    }
}

fn check(metrics: &BTreeMap<String, Metric>) {
    let samples = samples();
    for (name, metric) in metrics {
        let family = table::all().find(|it| it.name == name).unwrap();
        assert_eq!((&*metric.unit, &*metric.description), (family.unit(), family.help));
        assert!(samples.contains_key(&family.sample_names()[0]));
    }
    let durations = spread(metrics, "windlass_instance_duration_seconds");
    assert_eq!(durations.len(), 1);
    let point = durations[0];
    let buckets = point.positive.as_ref().map_or(0, |it| it.bucket_counts.iter().sum::<u64>());
    assert_eq!((point.count, point.scale, point.zero_count + buckets), (3, 2, 3));
    assert!(point.sum.is_some_and(|it| it > 0.0), "{point:?}");
    let exemplar = point.exemplars.first().expect("a trace to look at");
    assert!(exemplar.trace_id.iter().any(|it| *it > 0) && exemplar.trace_id.len() == 16);
    let requests = spread(metrics, "windlass_http_request_duration_seconds");
    let started = requests.iter().filter(|it| !it.exemplars.is_empty());
    assert!(started.count() > 0, "the answer to a start leads to the instance: {requests:#?}");
    assert!(!spread(metrics, "windlass_journal_commit_duration_seconds").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_by_http_what_metrics_show() {
    let receiver = Receiver::start().await;
    let collector = Collector::before(&receiver).await;
    check(&pushed(&["--otlp-endpoint", &collector.http()], &receiver).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_by_grpc_what_metrics_show() {
    let receiver = Receiver::start().await;
    let collector = Collector::before(&receiver).await;
    let flags = ["--otlp-endpoint", &collector.grpc(), "--otlp-protocol", "grpc"];
    check(&pushed(&flags, &receiver).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_what_a_worker_measures() {
    let receiver = Receiver::start().await;
    let nats = Nats::start().await;
    let url = receiver.url();
    let layout = Layout::on(&nats.url(), 1).worker(&["--otlp-endpoint", &url, "--allow", "shell"]);
    let mut fleet = Fleet::prepare(layout).await;
    let interval = ("OTEL_METRIC_EXPORT_INTERVAL".to_owned(), "200".to_owned());
    fleet.workers[0].variables.push(interval);
    fleet.start_all().await;
    let text = "document: { dsl: '1.0.3', namespace: seen, name: shell, version: '1.0.0' }\n\
                do: [{ one: { run: { shell: { command: 'true' } } } }]\n";
    fleet.api.deploy(text).await;
    let body = json!({"workflow": {"namespace": "seen", "name": "shell"}});
    let request = fleet.api.request(Method::POST, "/v1/instances?wait=60s").json(&body);
    let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let ended = Api::send(request.header("traceparent", traceparent)).await.unwrap().ok();
    assert_eq!(ended["status"], "completed");
    until(SOON, "the attempt in an export", || async {
        let (service, metrics) = latest(&receiver)?;
        assert!(service.contains("windlass-worker"), "{service}");
        let attempts = spread(&metrics, "windlass_worker_attempt_duration_seconds");
        let attempt = attempts.first().filter(|it| it.count == 1)?;
        let traces: Vec<_> = attempt.exemplars.iter().map(|it| hex(&it.trace_id)).collect();
        assert_eq!(traces, [TRACE]);
        Some(())
    })
    .await;
    let text = shown(&fleet.api, "application/openmetrics-text").await;
    for of in ["windlass_task_run_seconds", "windlass_http_request_duration_seconds"] {
        let leads = |it: &str| it.starts_with(&format!("{of}_bucket")) && it.contains(TRACE);
        assert!(text.lines().any(leads), "{of}: {text}");
    }
    fleet.assert_sound();
}
