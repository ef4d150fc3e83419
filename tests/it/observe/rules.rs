//! The alerts: each asks for what there is, fires by its cause, ends, and is in the runbook.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{observe, prometheus, promtool, queries};
use crate::support::{paths, yaml};

/// The alerts of the rules.
fn alerts() -> Vec<Value> {
    let text = std::fs::read_to_string(observe("prometheus/rules.yaml")).unwrap();
    let groups = yaml::parse(&text)["groups"].as_array().unwrap().clone();
    let rules = groups.iter().flat_map(|it| it["rules"].as_array().unwrap().clone());
    rules.collect()
}

fn name(alert: &Value) -> &str {
    alert["alert"].as_str().unwrap()
}

#[test]
fn alerts_ask_for_what_there_is_and_stand_in_the_runbook() {
    let runbook = std::fs::read_to_string(paths::root().join("docs/runbook.md")).unwrap();
    let mut entries: BTreeSet<&str> =
        runbook.lines().filter_map(|it| it.strip_prefix("### ")).collect();
    let mut wrong = Vec::new();
    for alert in &alerts() {
        let name = name(alert);
        wrong.extend(queries::wrong(alert["expr"].as_str().unwrap()));
        assert!(entries.remove(name), "{name} is not in the runbook");
        let anchor = format!("docs/runbook.md#{}", name.to_lowercase());
        assert_eq!(alert["annotations"]["runbook"], anchor.as_str());
        assert!(["page", "ticket"].contains(&alert["labels"]["severity"].as_str().unwrap()));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(entries.is_empty(), "the runbook has alerts that are not there: {entries:?}");
    let samples = super::samples();
    for word in runbook.split(|it: char| !(it.is_ascii_alphanumeric() || it == '_')) {
        let known = samples.contains_key(word) || samples.values().any(|it| it.name == word);
        assert!(!word.starts_with("windlass_") || known, "the runbook: no metric {word}");
    }
}

/// A test of each alert in which it fires, and then does not any more.
#[test]
fn each_alert_has_a_test_in_which_it_fires_and_ends() {
    let text = std::fs::read_to_string(observe("prometheus/tests.yaml")).unwrap();
    let tests = yaml::parse(&text)["tests"].as_array().unwrap().clone();
    for alert in &alerts() {
        let checks: Vec<_> = tests
            .iter()
            .flat_map(|it| it["alert_rule_test"].as_array().unwrap())
            .filter(|it| it["alertname"] == name(alert))
            .map(|it| !it["exp_alerts"].as_array().unwrap().is_empty())
            .collect();
        assert_eq!(checks, [false, true, false], "{}", name(alert));
    }
}

#[tokio::test]
async fn prometheus_takes_the_rules_and_each_alert_fires_and_ends() {
    let test = "prometheus_takes_the_rules_and_each_alert_fires_and_ends";
    let Some(tools) = prometheus(test).await else { return };
    let folder = observe("prometheus");
    for arguments in [
        ["check", "rules", "rules.yaml"],
        ["test", "rules", "tests.yaml"],
        ["check", "config", "prometheus.yaml"],
    ] {
        let (content, said) = promtool(&tools, &folder, &arguments).await;
        assert!(content, "{arguments:?}: {said}");
    }
    // A rule that never fires is found.
    let scratch = tempfile::tempdir().unwrap();
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let deaf =
        read("rules.yaml").replace("windlass_journal_paused == 1", "windlass_journal_paused == 2");
    std::fs::write(scratch.path().join("rules.yaml"), deaf).unwrap();
    std::fs::write(scratch.path().join("tests.yaml"), read("tests.yaml")).unwrap();
    let (content, said) = promtool(&tools, scratch.path(), &["test", "rules", "tests.yaml"]).await;
    assert!(!content && said.contains("WindlassJournalPaused"), "{said}");
}
