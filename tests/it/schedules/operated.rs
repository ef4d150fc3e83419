//! Pauses, policies, new versions and triggers, by API and command line.

use serde_json::json;

use super::{QUICK, WAITS, fires, past, schedule, scheduled, started};
use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::until::{SOON, until};

#[tokio::test]
async fn a_schedule_is_listed_paused_triggered_and_resumed() {
    let dev = Dev::start().await;
    let hourly = "{ cron: '0 * * * *', every: PT0.2S }";
    dev.api
        .deploy(&scheduled("hourly", "1.0.0", hourly, "{ timezone: Europe/Berlin }", QUICK))
        .await;
    dev.api.deploy(&scheduled("beat", "1.0.0", "{ every: PT0.2S }", "{}", QUICK)).await;
    dev.api.deploy(&scheduled("other", "1.0.0", "{ every: P1D }", "{}", QUICK)).await;
    fires(&dev.api, "hourly", 2).await;
    let url = dev.api.base();
    let call = async |arguments: &[&str]| {
        let arguments: Vec<&str> = ["schedule"].iter().chain(arguments).copied().collect();
        windlass(&[&arguments[..], &["--url", &url]].concat()).await
    };
    let listed = call(&["list"]).await.exits(0).json();
    let mut names: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, ["beat", "hourly", "other"]);
    let first = dev.api.get("/v1/schedules?limit=1").await.ok();
    let rest = format!("/v1/schedules?cursor={}", first["next"].as_str().unwrap());
    let rest = dev.api.get(&rest).await.ok();
    let rest = rest["items"].as_array().unwrap();
    assert_eq!(rest.len(), 2);
    assert!(rest.iter().all(|it| it["name"] != first["items"][0]["name"]));

    call(&["pause", "test/hourly", "--reason", "closed"]).await.exits(0);
    let paused = schedule(&dev.api, "hourly").await;
    assert_eq!(paused["paused"]["reason"], "closed");
    assert_eq!((&paused["timezone"], &paused["next"]), (&json!("Europe/Berlin"), &json!([])));
    let id = call(&["trigger", "test/hourly"]).await.exits(0).json()["id"].clone();
    dev.api.reaches(id.as_str().unwrap(), "completed").await;
    let triggered = schedule(&dev.api, "hourly").await;
    assert_eq!(triggered["past"][0]["trigger"], "manual");
    assert_eq!(triggered["past"][0]["instance"], id);
    let fired = triggered["fired"].as_u64().unwrap();
    assert_eq!(fired, paused["fired"].as_u64().unwrap() + 1, "nothing fires by itself");

    // Some times of it pass: the other schedule has as many.
    let beats = schedule(&dev.api, "beat").await["fired"].as_u64().unwrap();
    fires(&dev.api, "beat", beats + 3).await;
    call(&["resume", "test/hourly"]).await.exits(0);
    let resumed = fires(&dev.api, "hourly", fired + 1).await;
    assert!(past(&resumed, "skipped").iter().any(|it| it["why"] == "paused"), "{resumed}");
    let shown = call(&["show", "test/hourly", "--output", "table"]).await.exits(0).stdout;
    assert!(shown.contains("0 * * * * (Europe/Berlin)") && shown.contains("paused"), "{shown}");

    call(&["show", "test/none"]).await.exits(1);
    let unknown = dev.api.post("/v1/schedules/test/none/trigger", &json!({})).await.problem(404);
    assert_eq!(unknown["code"], "WL0529");
    let backfill = json!({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"});
    dev.api.post("/v1/schedules/test/other/backfill", &backfill).await.problem(400);
}

#[tokio::test]
async fn what_overlaps_is_skipped_and_the_rest_follows_the_end() {
    let dev = Dev::start().await;
    let every = "{ every: PT0.2S }";
    dev.api.deploy(&scheduled("skips", "1.0.0", every, "{ overlap: skip }", WAITS)).await;
    dev.api.deploy(&scheduled("buffers", "1.0.0", every, "{ overlap: buffer-one }", WAITS)).await;
    dev.api.deploy(&scheduled("cancels", "1.0.0", every, "{ overlap: cancel }", WAITS)).await;
    // On a machine that stands still for a while, some are missed.
    let skips = until(SOON, "a due time that is skipped for the open one", || async {
        let view = schedule(&dev.api, "skips").await;
        past(&view, "skipped").iter().any(|it| it["why"] == "overlap").then_some(view)
    })
    .await;
    assert_eq!(skips["fired"], 1);
    let buffers = until(SOON, "one that waits", || async {
        let view = schedule(&dev.api, "buffers").await;
        (view["waiting"] == 1).then_some(view)
    })
    .await;
    assert_eq!(buffers["fired"], 1);
    let running = buffers["running"][0].as_str().unwrap();
    dev.api.post(&format!("/v1/instances/{running}/cancel"), &json!({})).await.ok();
    let buffers = fires(&dev.api, "buffers", 2).await;
    assert_eq!(buffers["running"].as_array().unwrap().len(), 1);

    let cancels = fires(&dev.api, "cancels", 3).await;
    assert!(cancels["running"].as_array().unwrap().len() <= 1, "{cancels}");
    let (_, first) = started(&dev.api, "cancels").await.remove(0);
    assert_eq!(dev.api.ends(&first).await["status"], "cancelled");
}

#[tokio::test]
async fn a_new_version_replaces_the_schedule_and_suspended_ones_do_not_start() {
    let dev = Dev::start().await;
    dev.api.deploy(&scheduled("moves", "1.0.0", "{ every: PT0.2S }", "{}", QUICK)).await;
    fires(&dev.api, "moves", 1).await;
    dev.api.deploy(&scheduled("moves", "1.1.0", "{ cron: '0 0 1 1 *' }", "{}", QUICK)).await;
    let moved = schedule(&dev.api, "moves").await;
    assert_eq!((&moved["version"], &moved["everyMs"]), (&json!("1.1.0"), &json!(null)));
    // A lower version changes nothing.
    dev.api.deploy(&scheduled("moves", "0.9.0", "{ every: PT0.2S }", "{}", QUICK)).await;
    assert_eq!(schedule(&dev.api, "moves").await["version"], "1.1.0");
    let without = "document: { dsl: '1.0.3', namespace: test, name: moves, version: '2.0.0' }\n\
                   do:\n  - done: { set: { ok: true } }\n";
    dev.api.deploy(without).await;
    dev.api.get("/v1/schedules/test/moves").await.problem(404);
    assert_eq!(started(&dev.api, "moves").await.len() as u64, moved["fired"].as_u64().unwrap());

    dev.api.post("/v1/namespaces/test/suspend", &json!({})).await.ok();
    dev.api.deploy(&scheduled("held", "1.0.0", "{ every: PT0.2S }", "{}", QUICK)).await;
    let held = until(SOON, "skipped due times", || async {
        let view = schedule(&dev.api, "held").await;
        (view["skipped"].as_u64().unwrap() >= 1).then_some(view)
    })
    .await;
    assert_eq!((&held["fired"], &held["past"][0]["why"]), (&json!(0), &json!("suspended")));
    dev.api.post("/v1/schedules/test/held/trigger", &json!({})).await.problem(409);
    dev.api.post("/v1/namespaces/test/resume", &json!({})).await.ok();
    fires(&dev.api, "held", 1).await;
}

#[tokio::test]
async fn run_starts_the_workflow_and_not_its_schedule() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("timed.yaml");
    let data = folder.path().join("data");
    let text = scheduled("once", "1.0.0", "{ after: PT0.1S }", "{}", QUICK);
    std::fs::write(&file, text).unwrap();
    let arguments = ["run", file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    assert_eq!(windlass(&arguments).await.exits(0).json(), json!({"ok": true}));
    let checked = windlass(&["fsck", data.to_str().unwrap()]).await.exits(0);
    assert_eq!(checked.json()["instances"], 1, "{checked:?}");
}
