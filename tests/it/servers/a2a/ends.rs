//! Calls that do not come to their own end, and tasks that take longer than a call.

use std::path::Path;

use serde_json::{Value, json};

use super::super::Server;
use super::super::tries::{noted, workflow};
use super::{SDKS, agent, call, told};
use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;

/// Lets the agent with this log go on with what is held.
fn release(folder: &Path) {
    std::fs::write(folder.join("log.go"), "").unwrap();
}

async fn start(api: &Api, text: &str) -> String {
    api.start(&api.deploy(text).await, &json!({})).await
}

/// The parameters that begin what is held, and do not wait for it.
fn begun() -> Value {
    let mut parameters = told("held it");
    parameters["configuration"] = json!({"blocking": false});
    parameters
}

/// A workflow as `docs/a2a.md` has it for tasks that take long.
fn polling(name: &str, agent: &Server) -> String {
    let begin = call(agent, "message/send", begun());
    let get = call(agent, "tasks/get", json!({"id": "${ .id }"}));
    let works = r#"${ .status.state | IN("submitted", "working") }"#;
    format!(
        "document: {{ dsl: '1.0.3', namespace: servers, name: {name}, version: '1.0.0' }}\n\
         do:\n\
         - begin: {{call: a2a, with: {begin}}}\n\
         - look: {{call: a2a, with: {get}}}\n\
         - again:\n    switch:\n    - works: {{when: '{works}', then: pause}}\n    \
             - over: {{then: end}}\n\
         - pause: {{wait: PT0.05S, then: look}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_take_long_are_looked_at_followed_and_cancelled() {
    let dev = Dev::start().await;
    for (at_work, sdk) in SDKS.iter().enumerate() {
        let agent = agent(sdk).await;
        let place = agent.folder.path();
        let call = |method: &str, parameters| call(&agent, method, parameters);

        let ended = [
            ("begun", call("message/send", begun())),
            ("ended", call("tasks/cancel", json!({"id": "${ $context.begun.id }"}))),
        ];
        let text = workflow("a2a", &format!("ended-{at_work}"), &ended);
        let output = dev.api.ends(&start(&dev.api, &text).await).await["output"].clone();
        assert_eq!(output["ended"]["status"]["state"], "canceled", "{sdk}: {output}");
        noted(place, "cancelled", 1).await;

        let followed = [
            ("begun", call("message/send", begun())),
            ("followed", call("tasks/resubscribe", json!({"id": "${ $context.begun.id }"}))),
        ];
        let looked = start(&dev.api, &polling(&format!("looked-{at_work}"), &agent)).await;
        let text = workflow("a2a", &format!("followed-{at_work}"), &followed);
        let followed = start(&dev.api, &text).await;
        noted(place, "held it began", 3).await;
        // Once it is followed: nothing is told of it to who asks later.
        agent.logged("followed", 1).await;
        release(place);
        let view = dev.api.ends(&looked).await;
        assert_eq!(view["output"]["status"]["state"], "completed", "{sdk}: {view}");
        let view = dev.api.ends(&followed).await;
        let all = view["output"]["followed"].as_array().unwrap();
        assert_eq!(all.last().unwrap()["status"]["state"], "completed", "{sdk}: {view}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_an_agent_goes_on_when_nobody_waits_for_it() {
    let dev = Dev::start().await;
    for (at_work, sdk) in SDKS.iter().enumerate() {
        let agent = agent(sdk).await;
        let place = agent.folder.path();
        let held = |what: &str| {
            let with = call(&agent, "message/send", told(&format!("held {what}")));
            workflow("a2a", &format!("{what}-{at_work}"), &[("it", with)])
        };
        let late = held("late").replace("call: a2a,", "timeout: {after: PT3S}, call: a2a,");
        let view = dev.api.ends(&start(&dev.api, &late).await).await;
        assert_eq!(view["output"]["it"]["error"]["status"], 408, "{view}");

        let id = start(&dev.api, &held("cancelled")).await;
        noted(place, "held cancelled began", 1).await;
        dev.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
        assert_eq!(dev.api.ends(&id).await["status"], "cancelled");
        release(place);
        noted(place, "held cancelled ended", 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_not_sent_again_when_its_worker_is_killed() {
    let nats = Nats::start().await;
    let layout = Layout::on(&nats.url(), 1).coordinator(&["--lease", "5s"]);
    let mut fleet = Fleet::with(layout).await;
    for (at_work, sdk) in SDKS.iter().enumerate() {
        for method in ["message/send", "message/stream"] {
            let agent = agent(sdk).await;
            let place = agent.folder.path();
            let held = [("it", call(&agent, method, told("held it")))];
            let name = format!("killed-{}-{at_work}", method.replace('/', "-"));
            let id = start(&fleet.api, &workflow("a2a", &name, &held)).await;
            noted(place, "held it began", 1).await;
            fleet.workers[0].kill().await;
            fleet.workers[0].launch();
            let is_newer = sdk.contains("==1.");
            if is_newer {
                // It looks for the task, and goes on with that.
                agent.logged("looked for", 1).await;
            } else {
                // Where tasks cannot be listed, the agent can tell by the id that it has it.
                let began = noted(place, "held it began", 2).await;
                assert_eq!(began[0], began[1]);
            }
            release(place);
            let view = fleet.api.ends(&id).await;
            let output = &view["output"]["it"];
            let last = output.as_array().and_then(|it| it.last()).unwrap_or(output);
            assert_eq!(last["status"]["state"], "completed", "{sdk} {method}: {view}");
            let began = noted(place, "held it began", 1).await.len();
            assert_eq!(began, if is_newer { 1 } else { 2 }, "{sdk} {method}");
        }
    }
}
