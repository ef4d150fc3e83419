//! The dashboards: every query asks for what there is, and Prometheus can read it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{observe, prometheus, promtool, queries};
use crate::support::{paths, yaml};

/// The dashboards, by their files' names.
fn dashboards() -> Vec<(String, Value)> {
    let files = paths::files(&observe("grafana/dashboards"));
    let read = |file: std::path::PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_str(&text).unwrap())
    };
    let all: Vec<(String, Value)> = files.into_iter().map(read).collect();
    assert_eq!(all.len(), 4);
    all
}

/// The queries of a dashboard with what Grafana puts in place of its variables.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|it| it["targets"].as_array()).flatten();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let plain = |target: &Value| {
        let mut text = target["expr"].as_str().unwrap().replace("$__rate_interval", "5m");
        for variable in variables {
            let name = format!("${}", variable["name"].as_str().unwrap());
            text = text.replace(&name, ".*");
        }
        assert!(!text.contains('$'), "an unknown variable: {text}");
        text
    };
    targets.map(plain).collect()
}

#[test]
fn every_query_asks_for_what_there_is() {
    let (mut wrong, mut ids) = (Vec::new(), BTreeSet::new());
    for (name, dashboard) in &dashboards() {
        assert_eq!(dashboard["uid"], name.as_str());
        let queries = expressions(dashboard);
        assert!(queries.len() > 5, "{name}");
        wrong.extend(queries.iter().flat_map(|it| queries::wrong(it)));
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            let Some(query) = variable["query"]["query"].as_str() else { continue };
            let inside = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
            let (selector, label) = inside.rsplit_once(", ").unwrap();
            let asked = format!("sum by ({label}) ({selector})");
            wrong.extend(queries::wrong(&asked));
        }
        for panel in dashboard["panels"].as_array().unwrap() {
            let id = (name, panel["id"].as_u64().unwrap());
            assert!(ids.insert(id), "{id:?} is there twice");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Exemplars name a data source of traces, which is there, at a server that compose starts with it.
#[test]
fn exemplars_lead_to_traces_that_somebody_keeps() {
    let read = |path| yaml::parse(&std::fs::read_to_string(path).unwrap());
    let sources = read(observe("grafana/datasource.yaml"))["datasources"].clone();
    let sources = sources.as_array().unwrap();
    let of = |uid: &Value| sources.iter().find(|it| it["uid"] == *uid).cloned().unwrap();
    let compose = read(paths::root().join("deploy/compose/compose.yaml"));
    for source in sources {
        let url = source["url"].as_str().unwrap().strip_prefix("http://").unwrap();
        let (host, _) = url.split_once(':').unwrap();
        assert_eq!(compose["services"][host]["profiles"][0], "observe", "{url}");
    }
    let metrics = of(&"windlass-prometheus".into());
    let leads = &metrics["jsonData"]["exemplarTraceIdDestinations"][0];
    // As `proto/metric` labels exemplars.
    assert_eq!(leads["name"], "trace_id");
    let traces = of(&leads["datasourceUid"]);
    assert_eq!(traces["type"], "jaeger");
    let back = &traces["jsonData"]["tracesToMetrics"];
    assert_eq!(back["datasourceUid"], metrics["uid"]);
    let queries = back["queries"].as_array().unwrap();
    let wrong: Vec<_> = queries
        .iter()
        .map(|it| it["query"].as_str().unwrap().replace("$__tags", "").replace("$__interval", "5m"))
        .flat_map(|it| queries::wrong(&it))
        .collect();
    assert!(!queries.is_empty() && wrong.is_empty(), "{wrong:#?}");
    // Who looks at traces by the profile has them sent there.
    for service in ["coordinator", "worker"] {
        let variables = &compose["services"][service]["environment"];
        let of = |name: &str| variables[name].as_str().unwrap().to_owned();
        assert_eq!(
            of("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
            "${OTEL_EXPORTER_OTLP_TRACES_ENDPOINT:-}"
        );
    }
}

#[tokio::test]
async fn prometheus_can_read_every_query() {
    let Some(tools) = prometheus("prometheus_can_read_every_query").await else { return };
    let mut rules = "groups:\n- name: dashboards\n  rules:\n".to_owned();
    for (_, dashboard) in &dashboards() {
        for query in expressions(dashboard) {
            let number = rules.matches("record:").count();
            rules += &format!(
                "  - record: query:number{number}\n    expr: {}\n",
                serde_json::json!(query)
            );
        }
    }
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("rules.yaml"), rules).unwrap();
    let arguments = ["check", "rules", "rules.yaml"];
    let (content, said) = promtool(&tools, scratch.path(), &arguments).await;
    assert!(content, "{said}");
}
