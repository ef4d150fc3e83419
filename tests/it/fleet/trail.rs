//! What nobody asks for by the API is in the audit trail too: workers that come, drain and go, and
//! a configuration file that changes.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::until::{SOON, until};

/// Entries of an action, oldest first: success and details.
async fn told(fleet: &Fleet, action: &str) -> Vec<Value> {
    let path = format!("/v1/audit?limit=1000&action={action}");
    let page = fleet.api.get(&path).await.ok();
    let items = page["items"].as_array().unwrap().iter().rev();
    items
        .filter(|it| it["intent"].is_null())
        .map(|it| json!([it["success"], it["worker"], it["detail"]]))
        .collect()
}

/// Waits until there are so many.
async fn so_many(fleet: &Fleet, action: &str, count: usize) -> Vec<Value> {
    let what = format!("{count} of {action}");
    until(SOON, &what, || async {
        let told = told(fleet, action).await;
        assert!(told.len() <= count, "{told:?}");
        (told.len() == count).then_some(told)
    })
    .await
}

async fn levels(fleet: &Fleet) -> (Value, Value) {
    let log = fleet.api.get("/v1/log").await.ok();
    (log["directives"].clone(), log["initial"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_and_the_configuration_file_are_in_the_audit_trail() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("windlass.toml");
    std::fs::write(&file, "[coordinator]\nlog = \"error\"\n").unwrap();
    let nats = Nats::start().await;
    let path = file.display().to_string();
    let mut fleet = Fleet::with(Layout::on(&nats.url(), 1).coordinator(&["--config", &path])).await;
    assert_eq!(levels(&fleet).await, (json!("error"), json!("error")));
    let began = so_many(&fleet, "configuration.changed", 1).await;
    assert!(began[0][2].as_str().unwrap().ends_with(", at the start"), "{began:?}");

    // In one step, as an editor does; the signal has it looked at now.
    let write = |text: &str| {
        let draft = folder.path().join("draft");
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, &file).unwrap();
        fleet.coordinator.signal(Signal::HUP);
    };
    write("[coordinator]\nlog = \"info\"\nretention-days = 7\n");
    so_many(&fleet, "configuration.changed", 2).await;
    until(SOON, "the level of the file", || async {
        (levels(&fleet).await == (json!("info"), json!("info"))).then_some(())
    })
    .await;
    let changed = so_many(&fleet, "log.changed", 1).await;
    let detail = format!("from error to info, as {path} has it");
    assert_eq!(changed, [json!([true, null, detail])]);
    // What makes no sense changes nothing, whatever else is in it.
    for (count, text, place) in [
        (3, "[coordinator]\nlog = \"debgu\"\n", "windlass.toml:2:1"),
        (4, "[coordinator]\nlog = \"warn\"\nlease = \"soon\"\n", "windlass.toml:3:1"),
        (5, "[coordinator\n", "windlass.toml:1:13"),
    ] {
        write(text);
        let all = so_many(&fleet, "configuration.changed", count).await;
        let last = &all[count - 1];
        assert_eq!(last[0], false, "{last}");
        assert!(last[2].as_str().unwrap().contains(place), "{last}");
        assert_eq!(levels(&fleet).await, (json!("info"), json!("info")));
    }
    write("[coordinator]\nretention-days = 7\n");
    so_many(&fleet, "configuration.changed", 6).await;
    until(SOON, "what is usual", || async {
        let (now, _) = levels(&fleet).await;
        now.as_str().unwrap().starts_with("warn,").then_some(())
    })
    .await;

    let admitted = so_many(&fleet, "worker.admitted", 1).await;
    assert_eq!(
        (&admitted[0][0], &admitted[0][2]),
        (&json!(true), &json!("pool default, over NATS"))
    );
    let worker = admitted[0][1].clone();
    assert!(worker.as_str().unwrap().starts_with("worker-0-"), "{worker}");
    let odd = json!({"identity": "a b", "functions": ["f"]});
    fleet.api.post("/v1/worker-sessions", &odd).await.problem(409);
    let refused = so_many(&fleet, "worker.refused", 1).await;
    assert_eq!(refused[0][0], false);
    assert!(fleet.workers[0].terminate().await.success());
    let draining = so_many(&fleet, "worker.draining", 1).await;
    let left = so_many(&fleet, "worker.left", 1).await;
    assert_eq!((&draining[0][1], &left[0][1]), (&worker, &worker));
    assert_eq!(left[0][2], "it said that it ends");
    fleet.assert_sound();
}
