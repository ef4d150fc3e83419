//! A real Prometheus with the configuration and the rules of `deploy/observe`.

use std::path::Path;

use serde_json::{Value, json};

use super::{observe, prometheus};
use crate::servers::Unpacked;
use crate::support::client::Api;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::ports;
use crate::support::process::Process;
use crate::support::until::{SOON, until};

/// How often another port is tried when one was taken in the moment between.
const TRIES: usize = 5;

/// The configuration and the rules, with targets of this machine, looked at each second and with
/// alerts that do not wait.
fn configure(folder: &Path, coordinator: &str, worker: &str) {
    let read = |file: &str| std::fs::read_to_string(observe("prometheus").join(file)).unwrap();
    let configuration = read("prometheus.yaml");
    let (head, _) = configuration.split_once("    dns_sd_configs:").unwrap();
    let configuration = format!("{head}    static_configs: [{{ targets: [\"{worker}\"] }}]\n")
        .replace("coordinator:7400", coordinator)
        .replace("15s", "1s");
    std::fs::write(folder.join("prometheus.yaml"), configuration).unwrap();
    let rules = read("rules.yaml");
    let at_once = rules.lines().filter(|it| !it.trim_start().starts_with("for: "));
    std::fs::write(folder.join("rules.yaml"), at_once.collect::<Vec<_>>().join("\n")).unwrap();
}

/// Starts Prometheus on a folder that was configured; it answers when this returns.
async fn start(tools: &Unpacked, folder: &Path) -> (Process, Api) {
    for _ in 0..TRIES {
        let port = ports::free();
        let mut command = tools.command("usr/bin/prometheus");
        command.current_dir(folder).args([
            "--config.file=prometheus.yaml",
            "--storage.tsdb.path=data",
            "--enable-feature=exemplar-storage",
            &format!("--web.listen-address=127.0.0.1:{port}"),
        ]);
        let process = Process::spawn(command);
        let api = Api::new(&format!("http://127.0.0.1:{port}"));
        let ready = until(SOON, "Prometheus being ready", async || {
            let request = api.request(reqwest::Method::GET, "/-/ready");
            let ready = Api::send(request).await.is_ok_and(|it| it.status.is_success());
            (ready || process.stderr().ended()).then_some(ready)
        });
        if ready.await {
            return (process, api);
        }
        let said = process.stderr().text();
        assert!(said.contains("address already in use"), "{said}");
    }
    panic!("each of {TRIES} free ports was taken in the moment before Prometheus had it")
}

/// The state of an alert: `firing`, `pending`, or none.
async fn state(prometheus: &Api, name: &str) -> Option<String> {
    let all = prometheus.get("/api/v1/alerts").await.ok();
    let alerts = all["data"]["alerts"].as_array().unwrap();
    let alert = alerts.iter().find(|it| it["labels"]["alertname"] == name)?;
    alert["state"].as_str().map(str::to_owned)
}

/// The values that a query gives, by their labels.
async fn query(prometheus: &Api, query: &str) -> Vec<Value> {
    let encoded = percent_encoding::utf8_percent_encode(query, percent_encoding::NON_ALPHANUMERIC);
    let answer = prometheus.get(&format!("/api/v1/query?query={encoded}")).await.ok();
    answer["data"]["result"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_without_a_worker_are_an_alert_that_ends_when_one_comes() {
    let test = "tasks_without_a_worker_are_an_alert_that_ends_when_one_comes";
    let Some(tools) = prometheus(test).await else { return };
    let nats = Nats::start().await;
    let health = format!("127.0.0.1:{}", ports::free());
    let layout = Layout::on(&nats.url(), 1).worker(&["--health", &health, "--allow", "shell"]);
    let mut fleet = Fleet::prepare(layout).await;
    fleet.coordinator.launch();
    fleet.coordinator_ready().await;
    let folder = tempfile::tempdir().unwrap();
    let base = fleet.api.base();
    configure(folder.path(), base.trim_start_matches("http://"), &health);
    let (_process, prometheus) = start(&tools, folder.path()).await;

    let text = "document: { dsl: '1.0.3', namespace: seen, name: waits, version: '1.0.0' }\n\
                do: [{ one: { run: { shell: { command: 'true' } } } }]\n";
    let workflow = fleet.api.deploy(text).await;
    let id = fleet.api.start(&workflow, &json!({})).await;
    for name in ["WindlassNoWorkers", "WindlassWorkerDown"] {
        until(SOON, &format!("{name} firing"), || async {
            (state(&prometheus, name).await.as_deref() == Some("firing")).then_some(())
        })
        .await;
    }
    assert_eq!(state(&prometheus, "WindlassCoordinatorDown").await, None);

    fleet.workers[0].launch();
    fleet.ready().await;
    assert_eq!(fleet.api.ends(&id).await["status"], "completed");
    for name in ["WindlassNoWorkers", "WindlassWorkerDown"] {
        until(SOON, &format!("{name} being over"), || async {
            state(&prometheus, name).await.is_none().then_some(())
        })
        .await;
    }
    // Histograms and labels have come through as well.
    let asked = "windlass_task_run_seconds_count{kind=\"shell\",pool=\"default\"} == 1";
    until(SOON, "the run of the task in Prometheus", || async {
        (query(&prometheus, asked).await.len() == 1).then_some(())
    })
    .await;
    fleet.assert_sound();
}
