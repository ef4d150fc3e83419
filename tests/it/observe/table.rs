//! The table of metrics: its document, and that processes show all of it and nothing else.

use std::collections::BTreeSet;

use serde_json::json;
use windlass_proto::metric::{Family, Kind, table};

use super::{prometheus, run, samples, shown};
use crate::support::client::Api;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::{paths, ports};

/// Families that are there only where something is so.
const SOMETIMES: [&str; 3] = [
    "windlass_secret_store_clock_ahead_seconds",
    "windlass_telemetry_items_total",
    "windlass_telemetry_items_waiting",
];

/// What a family's entry in the document says.
fn entry(family: &Family) -> String {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    let unit = match family.unit() {
        "s" => ", seconds",
        "By" => ", bytes",
        _ => "",
    };
    let labels: Vec<String> = family.labels.iter().map(|it| format!("`{it}`")).collect();
    let labels =
        if labels.is_empty() { String::new() } else { format!("; by {}", labels.join(", ")) };
    wrapped(&format!("- `{}` ({kind}{unit}{labels}): {}", family.name, family.help))
}

/// Broken into lines; those after the first are indented.
fn wrapped(text: &str) -> String {
    let (mut out, mut width) = (String::new(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > 118 {
            out.push_str("\n  ");
            width = 2;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out + "\n"
}

const HEAD: &str = "\
# Metrics

A coordinator shows its metrics at `/metrics` of its API, a worker where `--health` says: as Prometheus reads them, or
in OpenMetrics, with exemplars, for who accepts that. By OTLP the same go out under the same names, histograms with
exponential buckets of base 2^(1/4); Prometheus gets a few of their bounds, all powers of two. What is counted starts
with the process. [runbook.md](runbook.md) has the alerts, [deploy/observe](../deploy/observe/README.md) the dashboards.

This file is made from the table in `proto/src/metric/table`:
`WINDLASS_DOCS=write cargo test --workspace --test it observe::table`.
";

#[test]
fn the_document_of_metrics_is_made_from_the_table() {
    let mut text = HEAD.to_owned();
    for part in table::PARTS {
        text += &format!("\n## {}\n\nShown by: {}.\n\n", part.title, part.shown_by);
        part.families.iter().for_each(|it| text += &entry(it));
    }
    text += "\n## Labels\n\nNo label is ever an instance's id.\n\n";
    for (label, meaning) in table::LABELS {
        text += &wrapped(&format!("- `{label}`: {meaning}"));
    }
    let path = paths::root().join("docs/metrics.md");
    if std::env::var("WINDLASS_DOCS").is_ok_and(|it| it == "write") {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/metrics.md is out of date: \
         `WINDLASS_DOCS=write cargo test --workspace --test it observe::table`"
    );
}

/// The families that a text shows, each of which must be in the table, of that kind and with those
/// labels.
fn families(text: &str) -> BTreeSet<String> {
    let (mut found, samples) = (BTreeSet::new(), samples());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let family = samples.values().find(|it| it.name == name);
            let family = family.unwrap_or_else(|| panic!("{name} is not in the table"));
            let expected = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            assert_eq!(kind, expected, "{name}");
            found.insert(name.to_owned());
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = samples.get(name).unwrap_or_else(|| panic!("{line} is not in the table"));
            let inside = line.split_once('{').map_or("", |it| it.1);
            let labels = inside.split(['{', ',']).filter_map(|it| it.split_once("=\""));
            let strange: Vec<_> = labels
                .map(|it| it.0)
                .filter(|it| *it != "le" && !family.labels.contains(it))
                .collect();
            assert!(strange.is_empty(), "{line}: {strange:?}");
        }
    }
    found
}

/// A workflow that faults, and one with a task for the worker.
async fn work(api: &Api) {
    for (name, task) in [
        ("bad", "{ raise: { error: { type: 'https://example.com/none', status: 500 } } }"),
        ("shell", "{ run: { shell: { command: 'true' } } }"),
    ] {
        let text = format!(
            "document: {{ dsl: '1.0.3', namespace: seen, name: {name}, version: '1.0.0' }}\n\
             do: [{{ one: {task} }}]\n"
        );
        api.run(&api.deploy(&text).await, &json!({})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_show_the_table_and_promtool_finds_nothing() {
    let test = "processes_show_the_table_and_promtool_finds_nothing";
    let Some(tools) = prometheus(test).await else { return };
    let nats = Nats::start().await;
    let health = format!("127.0.0.1:{}", ports::free());
    let layout = Layout::on(&nats.url(), 1).worker(&["--health", &health, "--allow", "shell"]);
    let fleet = Fleet::with(layout).await;
    work(&fleet.api).await;
    let worker = Api::new(&format!("http://{health}"));
    let mut all = BTreeSet::new();
    for (of, api) in [("coordinator", &fleet.api), ("worker", &worker)] {
        let text = shown(api, "text/plain").await;
        all.extend(families(&text));
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("metrics");
        std::fs::write(&file, &text).unwrap();
        let mut check = tools.command("usr/bin/promtool");
        check.args(["check", "metrics"]).stdin(std::fs::File::open(&file).unwrap());
        let (content, said) = run(&mut check).await;
        assert!(content && said.trim().is_empty(), "{of}: {said}\n{text}");
        let open = shown(api, "application/openmetrics-text; version=1.0.0").await;
        assert!(open.ends_with("# EOF\n"), "{open}");
    }
    let known: BTreeSet<String> = table::all().map(|it| it.name.to_owned()).collect();
    // Those of a cluster are shown by its leader: `cluster` looks at them.
    let sometimes =
        SOMETIMES.into_iter().chain(table::cluster::PART.families.iter().map(|it| it.name));
    let sometimes: Vec<_> = sometimes.collect();
    let missing: Vec<_> =
        known.difference(&all).filter(|it| !sometimes.contains(&it.as_str())).collect();
    assert!(missing.is_empty(), "in the table and nowhere else: {missing:?}");
    let text = shown(&fleet.api, "text/plain").await;
    for line in [
        "windlass_instances_started_total{namespace=\"seen\",workflow=\"shell\"} 1",
        "windlass_instances_ended_total{namespace=\"seen\",workflow=\"shell\",status=\"completed\",error=\"\"} 1",
        "windlass_instances_ended_total{namespace=\"seen\",workflow=\"bad\",status=\"faulted\",error=\"_other\"} 1",
        "windlass_instance_duration_seconds_count{namespace=\"seen\",workflow=\"bad\"} 1",
        "windlass_task_run_seconds_count{pool=\"default\",kind=\"shell\"} 1",
        "windlass_task_schedule_to_start_seconds_count{pool=\"default\",kind=\"shell\"} 1",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    let text = shown(&worker, "text/plain").await;
    let attempt =
        "windlass_worker_attempt_duration_seconds_count{kind=\"shell\",outcome=\"completed\"} 1";
    assert!(text.lines().any(|it| it == attempt), "{text}");
    fleet.assert_sound();
}
