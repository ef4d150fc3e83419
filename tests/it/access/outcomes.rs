//! What operators do and what came of it are in the audit trail, also when the server is killed
//! between the two.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Asking, greet, waits};
use crate::support::client::Api;
use crate::support::until::{SOON, until};

/// The trail, the oldest entry first.
async fn trail(root: &Api) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), "0".to_owned());
    loop {
        let page = root.get(&format!("/v1/audit?limit=1000&after={after}")).await.ok();
        let items = page["items"].as_array().unwrap().clone();
        if items.is_empty() {
            return all;
        }
        all.extend(items);
        after = page["next"].as_str().unwrap().to_owned();
    }
}

/// For each entry of a trail that says that its outcome follows: what it tells of, and its outcomes.
fn outcomes(trail: &[Value]) -> BTreeMap<String, (String, Vec<String>)> {
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let mut all = BTreeMap::new();
    for entry in trail {
        match (entry["outcome"].as_str(), entry["intent"].as_str()) {
            (Some("pending"), _) => {
                all.insert(text(&entry["id"]), (text(&entry["detail"]), Vec::new()));
            }
            (Some(outcome), Some(of)) => {
                if let Some((_, told)) = all.get_mut(of) {
                    told.push(outcome.to_owned());
                }
            }
            _ => {}
        }
    }
    all
}

/// Waits until each entry has its outcome.
async fn settled(root: &Api) -> BTreeMap<String, (String, Vec<String>)> {
    until(SOON, "an outcome of each entry", || async {
        let all = outcomes(&trail(root).await);
        all.values().all(|(_, told)| !told.is_empty()).then_some(all)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_say_who_asked_for_what() {
    let asking = Asking::start("").await;
    let root = &asking.root;
    let workflow = root.deploy(&waits("shop")).await;
    let id = root.start(&workflow, &json!({})).await;
    let ada = asking.dev.api.bearing(&asking.token("operator", "shop").await);
    for (action, reason) in
        [("suspend", "stock is counted"), ("resume", ""), ("cancel", "recalled")]
    {
        let body = if reason.is_empty() { json!({}) } else { json!({"reason": reason}) };
        ada.post(&format!("/v1/instances/{id}/{action}"), &body).await.ok();
    }
    let history = root.get(&format!("/v1/instances/{id}/history")).await.ok();
    let is_request = |it: &&Value| it["event"] == "instance.requested";
    let requests = history["items"].as_array().unwrap().iter().filter(is_request);
    let requests: Vec<Value> = requests.map(|it| it["data"].clone()).collect();
    let actor = |subject: &str| json!({"issuer": "token", "subject": subject, "method": "token"});
    let by = |subject: &str, action: &str| json!({"action": action, "actor": actor(subject)});
    let ada_did = |action: &str, reason: &str| {
        let mut all = by("", action);
        all["actor"] = requests[1]["actor"].clone();
        all["reason"] = reason.into();
        all
    };
    assert_eq!(requests[0], by("root", "start"));
    assert_eq!(requests[1], ada_did("suspend", "stock is counted"));
    assert_eq!(requests[2]["action"], "resume");
    assert!(requests[2].get("reason").is_none(), "{requests:?}");
    assert_eq!(requests[3], ada_did("cancel", "recalled"));
    assert_ne!(requests[1]["actor"], requests[0]["actor"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_action_has_an_outcome() {
    let asking = Asking::start("").await;
    let root = &asking.root;
    root.deploy(&greet("shop")).await;
    root.post("/v1/namespaces/shop/suspend", &json!({})).await.ok();
    // Once more is refused, after it was written down.
    root.post("/v1/namespaces/shop/suspend", &json!({})).await.problem(409);
    let start = json!({"workflow": {"namespace": "shop", "name": "greet"}});
    root.post("/v1/instances", &start).await.problem(409);
    root.post("/v1/namespaces/shop/resume", &json!({})).await.ok();
    root.post("/v1/instances", &start).await.ok();
    let policy = root.request(reqwest::Method::PUT, "/v1/secrets/policy");
    let policy = policy.header("content-type", "application/toml").body("[[allow]]\n");
    Api::send(policy).await.unwrap().ok();
    let token = asking.token("viewer", "shop").await;

    let all = settled(root).await;
    let of = |what: &str| -> Vec<_> {
        let found = all.values().filter(|(detail, _)| detail.starts_with(what));
        found.flat_map(|(_, told)| told.clone()).collect()
    };
    assert_eq!(of("deploy shop/greet"), ["done"], "{all:?}");
    let mut suspended = of("suspend starts of");
    suspended.sort();
    assert_eq!(suspended, ["done", "failed"], "{all:?}");
    assert_eq!(of("resume starts of"), ["done"], "{all:?}");
    assert_eq!(of("tag "), ["done"], "{all:?}");
    assert_eq!(of("create token viewer"), ["done"], "{all:?}");
    let entries = trail(root).await;
    let failed = entries.iter().find(|it| it["outcome"] == "failed").unwrap();
    assert_eq!(failed["actor"]["subject"], "root", "{failed}");
    assert!(failed["detail"].as_str().unwrap().ends_with("status 409, WL0505"), "{failed}");
    // Of starts there are too many: the instance is the outcome.
    let started: Vec<_> = entries.iter().filter(|it| it["action"] == "instance.started").collect();
    assert!(started.len() == 1 && started[0]["outcome"].is_null(), "{started:?}");
    assert!(!json!(entries).to_string().contains(&token));
}

/// How often the server is killed.
const KILLS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn no_action_is_without_a_trace_when_the_server_is_killed() {
    let mut asking = Asking::start("").await;
    let (mut answered, mut next) = (BTreeSet::new(), 0);
    for kill in 0..KILLS {
        let (mut actions, done) = (tokio::task::JoinSet::new(), tokio::sync::mpsc::channel(1_000));
        let (tell, mut told) = done;
        for _ in 0..4 {
            let (root, tell, from) = (asking.root.clone(), tell.clone(), next);
            next += 1_000;
            actions.spawn(async move {
                for number in from..from + 1_000 {
                    let path = format!("/v1/namespaces/n{number}/suspend");
                    let sent =
                        Api::send(root.request(reqwest::Method::POST, &path).json(&json!({})));
                    match sent.await {
                        Ok(answer) if answer.status == 200 => _ = tell.send(number).await,
                        _ => return,
                    }
                }
            });
        }
        drop(tell);
        // So many are done, and some are under way.
        for _ in 0..=5 * kill {
            answered.insert(told.recv().await.expect("actions are done"));
        }
        asking.dev.kill().await;
        actions.join_all().await;
        while let Ok(number) = told.try_recv() {
            answered.insert(number);
        }
        asking.dev.launch();
        asking.dev.ready().await;
        asking.root = asking.dev.api.bearing(&asking.admin);
    }
    let list = asking.root.get("/v1/suspensions").await.ok();
    let items = list["items"].as_array().unwrap();
    let done: BTreeSet<String> =
        items.iter().map(|it| it["namespace"].as_str().unwrap().to_owned()).collect();
    let all = settled(&asking.root).await;
    let of = |namespace: &str| {
        let detail = format!("suspend starts of namespace {namespace}");
        all.values().find(|it| it.0 == detail).map(|it| it.1.clone())
    };
    for namespace in &done {
        let told = of(namespace).unwrap_or_else(|| panic!("{namespace} is not in the trail"));
        assert!(told.len() == 1 && told[0] != "failed", "{namespace}: {told:?}");
    }
    for number in answered {
        assert!(done.contains(&format!("n{number}")), "what was answered was done: {number}");
    }
    let verified = ["audit", "verify", &asking.dev.data().display().to_string()].map(str::to_owned);
    crate::support::command::windlass(&verified).await.exits(0);
}
