//! Schedules: one start for each due time, whatever happens, and what operators do about it.
//!
//! `WINDLASS_SCHEDULE_KILLS` is how often the coordinator is killed when something is due,
//! `WINDLASS_SCHEDULE_CRONS` how many expressions are compared with other programs.

mod crons;
mod events;
mod kills;
mod operated;

use serde_json::{Value, json};

use crate::support::client::Api;
use crate::support::until::{SOON, until};

/// A workflow `test/NAME` with this schedule and these options, which does this.
fn scheduled(name: &str, version: &str, schedule: &str, options: &str, tasks: &str) -> String {
    format!(
        "document:\n  dsl: '1.0.3'\n  namespace: test\n  name: {name}\n  version: '{version}'\n  \
         metadata: {{ windlass: {{ schedule: {options} }} }}\nschedule: {schedule}\ndo:\n{tasks}"
    )
}

const QUICK: &str = "  - done: { set: { ok: true } }\n";
const WAITS: &str = "  - waits: { listen: { to: { one: { with: { type: go } } } } }\n";

async fn schedule(api: &Api, name: &str) -> Value {
    api.get(&format!("/v1/schedules/test/{name}")).await.ok()
}

/// Waits until a schedule has fired so often.
async fn fires(api: &Api, name: &str, times: u64) -> Value {
    until(SOON, &format!("firing number {times} of {name}"), || async {
        let view = schedule(api, name).await;
        (view["fired"].as_u64().unwrap() >= times).then_some(view)
    })
    .await
}

/// All instances of a workflow that its schedule has started, as `(due, id)`, by due time.
async fn started(api: &Api, name: &str) -> Vec<(String, String)> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/instances?namespace=test&name={name}&limit=500{cursor}");
        let page = api.get(&path).await.ok();
        for item in page["items"].as_array().unwrap() {
            let due = item["labels"]["windlass.due"].as_str().unwrap().to_owned();
            all.push((due, item["id"].as_str().unwrap().to_owned()));
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    all.sort();
    all
}

/// Due times of the past with this outcome, latest first.
fn past(view: &Value, outcome: &str) -> Vec<Value> {
    let past = view["past"].as_array().unwrap().iter();
    past.filter(|it| it["outcome"] == json!(outcome)).cloned().collect()
}
