//! Instances that have failed: retried, suspended instead, skipped, in whole processes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::client::Api;
use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::fleet::Fleet;
use crate::support::nats::Nats;
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, until};

/// A service whose path `/charge` is out of order until it is mended.
struct Shop {
    stub: Stub,
    mended: Arc<AtomicBool>,
}

impl Shop {
    async fn new() -> Self {
        let mended = Arc::new(AtomicBool::new(false));
        let works = mended.clone();
        let stub = Stub::http(move |seen| {
            let works = works.load(Ordering::Relaxed) || !seen.path.starts_with("/charge");
            match works {
                true => Reply::Json(200, json!({"done": seen.path})),
                false => Reply::Json(503, json!({})),
            }
        })
        .await;
        Self { stub, mended }
    }

    fn mend(&self) {
        self.mended.store(true, Ordering::Relaxed);
    }

    /// A workflow that orders, charges beside a picking, and ships; each call has the input's id in
    /// its path.
    fn definition(&self, metadata: &str) -> String {
        let call = |name: &str| {
            format!(
                "{{ call: http, with: {{ method: post, endpoint: '{}/${{ $workflow.input.id }}', \
                 body: {{}} }}, input: {{ from: '$context' }} }}",
                self.stub.url(&format!("/{name}"))
            )
        };
        format!(
            "document: {{ dsl: 1.0.3, namespace: repair, name: order, version: 1.0.0{metadata} }}\n\
             do:\n- order: {}\n- both:\n    fork:\n      branches:\n      - pick: {}\n      - \
             pay:\n          do:\n          - check: {}\n          - charge: {}\n- ship: {}\n",
            call("order"),
            call("pick"),
            call("check"),
            call("charge"),
            call("ship"),
        )
    }

    /// How often each path was called, with how many keys.
    fn calls(&self, id: &str) -> BTreeMap<String, (usize, usize)> {
        let suffix = format!("/{id}");
        let all = self.stub.by_path().into_iter();
        all.filter_map(|(path, (count, keys))| {
            Some((path.strip_suffix(&suffix)?.to_owned(), (count, keys.len())))
        })
        .collect()
    }
}

async fn retry(api: &Api, id: &str) -> Value {
    api.post(&format!("/v1/instances/{id}/retry"), &json!({"reason": "mended"})).await.ok()
}

/// The whole shop, faulted and retried, on a server.
async fn retried(api: &Api, shop: &Shop) {
    let workflow = api.deploy(&shop.definition("")).await;
    let id = api.start(&workflow, &json!({"id": "a"})).await;
    let faulted = api.ends(&id).await;
    assert_eq!(faulted["status"], "faulted", "{faulted}");
    let before = shop.calls("a");
    assert_eq!(before["/charge"], (1, 1));
    shop.mend();
    let answer = retry(api, &id).await;
    assert_eq!((&answer["predecessor"], &answer["repeated"]), (&json!(id), &json!(false)));
    let next = answer["id"].as_str().unwrap().to_owned();
    let ended = api.ends(&next).await;
    assert_eq!(ended["output"], json!({"done": "/ship/a"}), "{ended}");
    let after = shop.calls("a");
    assert_eq!(after["/charge"], (2, 2), "once more, under a new key");
    assert_eq!((after["/order"], after["/check"], after["/ship"]), ((1, 1), (1, 1), (1, 1)));
    let again = retry(api, &id).await;
    assert_eq!((&again["id"], &again["repeated"]), (&json!(next), &json!(true)));

    let (old, new) = (api.show(&id).await, api.show(&next).await);
    assert_eq!((&old["status"], &old["successors"]), (&json!("faulted"), &json!([next])));
    assert_eq!((&new["predecessor"], &new["successors"]), (&json!(id), &Value::Null));
    assert!(new["startedAt"].as_str() >= old["endedAt"].as_str(), "{new}");
    let told = |all: &[Value], event: &str| {
        all.iter()
            .find(|it| it["event"] == event)
            .map(|it| (it["task"].clone(), it["data"].clone()))
    };
    let (old, new) = (api.history(&id).await, api.history(&next).await);
    let (_, data) = told(&old, "instance.continued").unwrap();
    assert_eq!(data, json!({"successor": next}));
    let (task, data) = told(&new, "instance.continues").unwrap();
    assert_eq!(data, json!({"predecessor": id}));
    assert_eq!(task, "/do/1/both/fork/branches/1/pay/do/1/charge");
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    assert!(same >= 6, "it begins with what had happened: {new:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_goes_on_at_the_task_that_failed() {
    let (mut dev, shop) = (Dev::start().await, Shop::new().await);
    retried(&dev.api, &shop).await;
    let listed = dev.api.get("/v1/instances?namespace=repair").await.ok();
    let listed = listed["items"].as_array().unwrap().clone();
    dev.restart().await;
    let again = dev.api.get("/v1/instances?namespace=repair").await.ok();
    assert_eq!((listed.len(), &listed), (2, again["items"].as_array().unwrap()));
    let trail = dev.api.get("/v1/audit").await.ok();
    let is_told = |it: &&Value| {
        let detail = it["detail"].as_str().unwrap_or_default();
        // What came of it is told once more.
        it["intent"].is_null() && detail.starts_with("retry ") && detail.ends_with(": mended")
    };
    assert_eq!(trail["items"].as_array().unwrap().iter().filter(is_told).count(), 2, "{trail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_goes_to_the_workers_of_a_fleet() {
    let (nats, shop) = (Nats::start().await, Shop::new().await);
    let mut fleet = Fleet::start(&nats, 2).await;
    retried(&fleet.api, &shop).await;
    fleet.restart_coordinator().await;
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_retried_says_why() {
    let dev = Dev::start().await;
    let text = |name: &str, tasks: &str| {
        format!(
            "document: {{ dsl: 1.0.3, namespace: repair, name: {name}, version: 1.0.0 }}\n{tasks}\n"
        )
    };
    let refused = |id: String| {
        let api = &dev.api;
        async move { api.post(&format!("/v1/instances/{id}/retry"), &json!({})).await }
    };
    let done = dev.api.deploy(&text("done", "do: [{ a: { set: { x: 1 } } }]")).await;
    let id = dev.api.run(&done, &json!({})).await["id"].as_str().unwrap().to_owned();
    assert_eq!(refused(id).await.problem(409)["code"], "WL0505");
    let own = "timeout: { after: { milliseconds: 50 } }\ndo: [{ a: { wait: PT1H } }]";
    let own = dev.api.deploy(&text("own", own)).await;
    let id = dev.api.run(&own, &json!({})).await["id"].as_str().unwrap().to_owned();
    assert_eq!(refused(id).await.problem(409)["code"], "WL0549");
    let unknown = "0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f".to_owned();
    assert_eq!(refused(unknown).await.problem(404)["code"], "WL0503");
    let failing = "do: [{ a: { raise: { error: { type: runtime, status: 500 } } } }]";
    let failing = dev.api.deploy(&text("failing", failing)).await;
    let id = dev.api.run(&failing, &json!({})).await["id"].as_str().unwrap().to_owned();
    dev.api.post("/v1/workflows/repair/failing/suspend", &json!({})).await.ok();
    assert_eq!(refused(id.clone()).await.problem(409)["code"], "WL0525");
    dev.api.post("/v1/workflows/repair/failing/resume", &json!({})).await.ok();
    // It fails again, and can be retried in its turn.
    let mut chain = vec![id];
    for _ in 0..3 {
        let next = retry(&dev.api, chain.last().unwrap()).await["id"].as_str().unwrap().to_owned();
        assert_eq!(dev.api.ends(&next).await["status"], "faulted");
        chain.push(next);
    }
    assert_eq!(dev.api.show(&chain[2]).await["predecessor"], *chain[1]);
}

/// Instances that fault, and which the process is killed over while they are retried.
const MANY: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_among_retries_leaves_one_new_run_each() {
    let (mut dev, shop) = (Dev::start().await, Shop::new().await);
    let workflow = dev.api.deploy(&shop.definition("")).await;
    let names: Vec<String> = (0..MANY).map(|number| number.to_string()).collect();
    let inputs = names.iter().map(|name| json!({"id": name})).collect::<Vec<_>>();
    let ids = join_all(inputs.iter().map(|input| dev.api.start(&workflow, input))).await;
    for id in &ids {
        assert_eq!(dev.api.ends(id).await["status"], "faulted");
    }
    shop.mend();
    let (api, retried) = (dev.api.clone(), ids.clone());
    let answers = tokio::spawn(async move {
        let retry = |id: &String| {
            let path = format!("/v1/instances/{id}/retry");
            Api::send(api.request(reqwest::Method::POST, &path).json(&json!({})))
        };
        join_all(retried.iter().map(retry)).await
    });
    let ships = || shop.stub.by_path().keys().any(|it| it.starts_with("/ship/"));
    let some = || async { ships().then_some(()) };
    until(SOON, "a retry that comes to its end", some).await;
    dev.restart().await;
    let answered = answers.await.unwrap().into_iter().flatten().filter(|it| it.status.is_success());
    let named: BTreeMap<String, String> = answered
        .map(|it| it.ok())
        .map(|it| {
            let text = |name: &str| it[name].as_str().unwrap().to_owned();
            (text("predecessor"), text("id"))
        })
        .collect();
    let mut successors = BTreeSet::new();
    for (id, name) in ids.iter().zip(&names) {
        let next = retry(&dev.api, id).await["id"].as_str().unwrap().to_owned();
        if let Some(named) = named.get(id) {
            assert_eq!(&next, named, "what was answered is kept");
        }
        assert_eq!(dev.api.ends(&next).await["output"], json!({"done": format!("/ship/{name}")}));
        assert_eq!(dev.api.show(id).await["successors"], json!([next]));
        let calls = shop.calls(name);
        assert_eq!((calls["/order"].0, calls["/check"].0), (1, 1), "{calls:?}");
        assert_eq!(calls["/charge"].1, 2, "one new run, whatever was killed: {calls:?}");
        successors.insert(next);
    }
    assert_eq!(successors.len(), MANY);
    let all = dev.api.get("/v1/instances?namespace=repair&limit=1000").await.ok();
    assert_eq!(all["items"].as_array().unwrap().len(), 2 * MANY);
}

const SUSPENDS: &str = ", metadata: { windlass: { onFault: suspend } }";

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_suspends_and_resume_tries_again_under_the_same_key() {
    let (mut dev, shop) = (Dev::start().await, Shop::new().await);
    let workflow = dev.api.deploy(&shop.definition(SUSPENDS)).await;
    let id = dev.api.start(&workflow, &json!({"id": "a"})).await;
    let view = dev.api.reaches(&id, "suspended").await;
    assert_eq!(view["error"]["status"], 503, "{view}");
    let failed = view["open"].as_array().unwrap().iter().find(|it| it["name"] == "charge").unwrap();
    assert_eq!(failed["state"], "failed, waiting for an operator");
    let listed = dev.api.get("/v1/instances?status=suspended").await.ok();
    assert_eq!(listed["items"][0]["error"]["status"], 503, "{listed}");
    let metrics = dev.api.get("/metrics").await.body.to_string().replace("\\\"", "\"");
    let line = "windlass_incidents_total{namespace=\"repair\",workflow=\"order\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    let picked = || async { shop.calls("a").contains_key("/pick").then_some(()) };
    until(SOON, "the other branch ends what it is at", picked).await;
    dev.restart().await;
    assert_eq!(dev.api.show(&id).await["error"]["status"], 503);
    // It fails once more, and waits once more.
    dev.api.post(&format!("/v1/instances/{id}/resume"), &json!({})).await.ok();
    let twice = || async { (shop.calls("a")["/charge"].0 == 2).then_some(()) };
    until(SOON, "the second try", twice).await;
    dev.api.reaches(&id, "suspended").await;
    shop.mend();
    dev.api.post(&format!("/v1/instances/{id}/resume"), &json!({})).await.ok();
    assert_eq!(dev.api.ends(&id).await["output"], json!({"done": "/ship/a"}));
    let calls = shop.calls("a");
    assert_eq!(calls["/charge"], (3, 1), "tried again as another attempt is");
    assert_eq!(calls["/order"], (1, 1));
    let history = dev.api.history(&id).await;
    let count = |event: &str| history.iter().filter(|it| it["event"] == event).count();
    assert_eq!((count("task.suspended"), count("instance.resumed")), (2, 2), "{history:?}");
    assert_eq!(count("task.faulted"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_give_outputs_by_the_command_line() {
    let (dev, shop) = (Dev::start().await, Shop::new().await);
    let url = dev.api.base();
    let workflow = dev.api.deploy(&shop.definition(SUSPENDS)).await;
    let id = dev.api.start(&workflow, &json!({"id": "a"})).await;
    dev.api.reaches(&id, "suspended").await;
    let large = r#"{"paid":12345678901234567890}"#;
    let skip = ["skip", &id, "--output", large, "--reason", "by hand", "--url", &url];
    windlass(&skip).await.exits(0);
    assert_eq!(dev.api.ends(&id).await["output"], json!({"done": "/ship/a"}));
    let history = dev.api.history(&id).await;
    let given = history.iter().position(|it| it["event"] == "task.overridden").unwrap();
    assert_eq!(history[given + 1]["event"], "task.completed", "{history:?}");
    assert_eq!(history[given + 1]["data"]["output"].to_string(), large, "to the last digit");
    let text = windlass(&skip).await.exits(1).stderr;
    assert!(text.contains("WL0505"), "{text}");

    let waits = "document: { dsl: 1.0.3, namespace: repair, name: waits, version: 1.0.0 }\n\
                 do: [{ a: { wait: PT1H } }, { b: { wait: PT1H } }, { c: { set: { x: '${ . }' } } }]\n";
    let workflow = dev.api.deploy(waits).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    dev.api.reaches(&id, "waiting").await;
    let none = ["skip", &id, "--output", "1", "--url", &url];
    let text = windlass(&none).await.exits(1).stderr;
    assert!(text.contains("0 tasks") && text.contains("wait for an operator"), "{text}");
    for task in ["/do/0/a", "/do/1/b"] {
        windlass(&["skip", &id, "--task", task, "--output", "7", "--url", &url]).await.exits(0);
    }
    assert_eq!(dev.api.ends(&id).await["output"], json!({"x": 7}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_what_a_fault_has_suspended() {
    let (dev, shop) = (Dev::start().await, Shop::new().await);
    let workflow = dev.api.deploy(&shop.definition(SUSPENDS)).await;
    let id = dev.api.start(&workflow, &json!({"id": "a"})).await;
    dev.api.reaches(&id, "suspended").await;
    dev.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
    assert_eq!(dev.api.ends(&id).await["status"], "cancelled");
    let view = dev.api.show(&id).await;
    assert_eq!((&view["error"], &view["open"]), (&Value::Null, &json!([])), "{view}");
}

async fn reset(api: &Api, id: &str, body: &Value, key: Option<&str>) -> Value {
    let path = format!("/v1/instances/{id}/reset");
    let request = api.request(reqwest::Method::POST, &path).json(body);
    let request = match key {
        Some(key) => request.header("Idempotency-Key", key),
        None => request,
    };
    Api::send(request).await.unwrap().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_begins_where_it_is_told_and_a_dry_run_says_so_before() {
    let (dev, shop) = (Dev::start().await, Shop::new().await);
    shop.mend();
    let workflow = dev.api.deploy(&shop.definition("")).await;
    let id = dev.api.start(&workflow, &json!({"id": "a"})).await;
    assert_eq!(dev.api.ends(&id).await["status"], "completed");
    let before = shop.calls("a");
    let order = json!({"to": "/do/2/ship", "dryRun": true});
    let told = reset(&dev.api, &id, &order, None).await;
    assert_eq!((&told["id"], &told["to"]["visit"]), (&Value::Null, &json!(1)), "{told}");
    let named = |name: &str| {
        let all = told[name].as_array().unwrap().iter();
        all.map(|it| it["task"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(named("again"), BTreeSet::from(["/do/2/ship".to_owned()]));
    let kept = named("kept");
    for task in ["/do/0/order", "/do/1/both/fork/branches/0/pick", "/do/1/both"] {
        assert!(kept.contains(task), "{kept:?}");
    }
    assert_eq!(shop.calls("a"), before, "a dry run does nothing");
    let one = dev.api.get("/v1/instances?namespace=repair").await.ok();
    assert_eq!(one["items"].as_array().unwrap().len(), 1);

    let order = json!({"to": "/do/2/ship[1]", "reason": "again"});
    let done = reset(&dev.api, &id, &order, None).await;
    let next = done["id"].as_str().unwrap().to_owned();
    assert_eq!(dev.api.ends(&next).await["output"], json!({"done": "/ship/a"}));
    let after = shop.calls("a");
    assert_eq!(after["/ship"], (2, 2), "under a new key");
    for (path, calls) in &before {
        assert!(path == "/ship" || after[path] == *calls, "{path} is called again: {after:?}");
    }
    let (old, new) = (dev.api.show(&id).await, dev.api.show(&next).await);
    assert_eq!((&old["status"], &old["successors"]), (&json!("completed"), &json!([next])));
    assert_eq!(new["predecessor"], json!(id));

    let path = format!("/v1/instances/{id}/reset");
    for (body, status, code) in [
        (json!({"to": "/do/2/ship[2]"}), 409, "WL0549"),
        (json!({"to": "/do/9/none"}), 409, "WL0549"),
        (json!({"to": "ship"}), 400, "WL0510"),
        (json!({"to": "/do/2/ship", "set": 1}), 400, "WL0510"),
        (json!({"to": "/do/2/ship", "children": "reuse"}), 400, "WL0510"),
    ] {
        let refused = dev.api.post(&path, &body).await.problem(status);
        assert_eq!(refused["code"], code, "{body}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_goes_on_by_a_mended_definition_or_says_where_it_would_not_have() {
    let (dev, shop) = (Dev::start().await, Shop::new().await);
    let url = dev.api.base();
    let text = shop.definition("");
    let workflow = dev.api.deploy(&text).await;
    let id = dev.api.start(&workflow, &json!({"id": "m"})).await;
    assert_eq!(dev.api.ends(&id).await["status"], "faulted");
    let before = shop.calls("m");
    // What failed is left out, and something is put behind it.
    let version = |number: &str, text: &str| {
        assert!(!text.contains(number), "another version");
        text.replace("version: 1.0.0", &format!("version: {number}"))
    };
    let charge = text.split("- charge: ").nth(1).unwrap().split('\n').next().unwrap();
    let mended = text.replace(charge, "{ set: { paid: by hand } }");
    dev.api.deploy(&version("1.0.1", &mended)).await;
    let other = mended.replace("- order: {", "- order: { export: { as: '{ other: 1 }' },");
    assert_ne!(other, mended);
    dev.api.deploy(&version("2.0.0", &other)).await;
    let to = "/do/1/both/fork/branches/1/pay/do/1/charge";
    let words = |definition: &str, dry: bool| {
        let mut words = vec!["reset", &id, "--to", to, "--url", &url, "--definition"];
        words.push(definition);
        words.extend(dry.then_some("--dry-run"));
        words.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = async |definition: &str, dry: bool| {
        let words = words(definition, dry);
        windlass(&words.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    for dry in [true, false] {
        let refused = run("2.0.0", dry).await.exits(1).stderr;
        assert!(refused.contains("WL0549") && refused.contains("at /do/0/order"), "{refused}");
    }
    assert!(run("3.0.0", true).await.exits(1).stderr.contains("WL0502"));
    let told = run("1.0.1", true).await.exits(0).json();
    assert_eq!((&told["workflow"]["version"], &told["id"]), (&json!("1.0.1"), &Value::Null));
    assert_eq!(shop.calls("m"), before, "a dry run does nothing");
    let done = run("1.0.1", false).await.exits(0).json();
    let next = dev.api.ends(done["id"].as_str().unwrap()).await;
    assert_eq!(
        (&next["status"], &next["output"]),
        (&json!("completed"), &json!({"done": "/ship/m"}))
    );
    assert_eq!((&next["digest"], &next["workflow"]), (&told["digest"], &told["workflow"]));
    let after = shop.calls("m");
    assert_eq!((after["/order"], after["/check"], after["/charge"]), ((1, 1), (1, 1), (1, 1)));
    let history = dev.api.history(next["id"].as_str().unwrap()).await;
    assert!(history.iter().any(|it| it["name"] == "charge"), "{history:?}");
    let latest = json!({"to": to, "definition": "latest"});
    let refused = dev.api.post(&format!("/v1/instances/{id}/reset"), &latest).await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("/do/0/order"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_gives_other_data_by_the_command_line() {
    let dev = Dev::start().await;
    let url = dev.api.base();
    let text = "document: { dsl: 1.0.3, namespace: repair, name: rates, version: 1.0.0 }\n\
                do:\n- rate: { set: { rate: 2 }, export: { as: '{ rate: .rate }' } }\n\
                - each: { for: { in: '[1, 2, 3]' }, do: [{ sum: { set: { n: '${ (.n // 0) + $item * $context.rate }' } } }] }\n";
    let workflow = dev.api.deploy(text).await;
    let ended = dev.api.run(&workflow, &json!({})).await;
    assert_eq!(ended["output"], json!({"n": 12}));
    let id = ended["id"].as_str().unwrap();
    let history = dev.api.history(id).await;
    let task = history.iter().find(|it| it["name"] == "sum").unwrap()["task"].as_str().unwrap();
    let to = format!("{task}[2]");
    let words =
        ["reset", id, "--to", &to, "--set", "rate=10", "--input", "{\"n\": 100}", "--url", &url];
    let answer = windlass(&words).await.exits(0).json();
    let next = answer["id"].as_str().unwrap();
    assert_eq!(dev.api.ends(next).await["output"], json!({"n": 150}), "100 + 2 * 10 + 3 * 10");
    let dry = ["reset", id, "--to", &to, "--dry-run", "--output", "table", "--url", &url];
    let shown = windlass(&dry).await.exits(0).stdout;
    assert!(shown.contains("kept") && shown.contains("done again"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_name_the_same_instance_and_other_orders_none() {
    let dev = Dev::start().await;
    let text = "document: { dsl: 1.0.3, namespace: repair, name: keyed, version: 1.0.0 }\n\
                do:\n- a: { set: { n: 1 }, export: { as: '{ rate: 2 }' } }\n- b: { set: '${ . }' }\n\
                - c: { raise: { error: { type: runtime, status: 500 } } }\n";
    let workflow = dev.api.deploy(text).await;
    let id = dev.api.run(&workflow, &json!({})).await["id"].as_str().unwrap().to_owned();
    let (path, api) = (format!("/v1/instances/{id}/reset"), &dev.api);
    let send = |key: &'static str, body: Value| {
        let request = api.request(reqwest::Method::POST, &path).json(&body);
        let request = request.header("Idempotency-Key", key);
        async move { Api::send(request).await.unwrap() }
    };
    let order = json!({"to": "/do/1/b", "input": {"n": 7}, "set": {"rate": 3}});
    let first = send("k", order.clone()).await.ok()["id"].clone();
    let next = retry(api, &id).await["id"].clone();
    let others = [
        json!({"to": "/do/2/c", "input": {"n": 7}, "set": {"rate": 3}}),
        json!({"to": "/do/1/b", "input": {"n": 8}, "set": {"rate": 3}}),
        json!({"to": "/do/1/b", "set": {"rate": 3}}),
        json!({"to": "/do/1/b", "input": {"n": 7}, "set": {"rate": 4}}),
        json!({"to": "/do/1/b", "input": {"n": 7}}),
    ];
    for other in &others {
        let refused = send("k", other.clone()).await.problem(409);
        assert_eq!(refused["code"], "WL0526", "{other}: {refused}");
    }
    api.post("/v1/workflows/repair/keyed/suspend", &json!({})).await.ok();
    assert_eq!(send("other", order.clone()).await.problem(409)["code"], "WL0525");
    assert_eq!(send("k", others[0].clone()).await.problem(409)["code"], "WL0526");
    let again = send("k", order).await.ok();
    assert_eq!((&again["id"], &again["repeated"]), (&first, &json!(true)));
    let again = retry(api, &id).await;
    assert_eq!((&again["id"], &again["repeated"]), (&next, &json!(true)));
    assert_eq!(api.show(&id).await["successors"], json!([first, next]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_among_resets_leaves_one_new_run_for_each_key() {
    let (mut dev, shop) = (Dev::start().await, Shop::new().await);
    shop.mend();
    let workflow = dev.api.deploy(&shop.definition("")).await;
    let names: Vec<String> = (0..MANY).map(|number| number.to_string()).collect();
    let inputs = names.iter().map(|name| json!({"id": name})).collect::<Vec<_>>();
    let ids = join_all(inputs.iter().map(|input| dev.api.start(&workflow, input))).await;
    for id in &ids {
        assert_eq!(dev.api.ends(id).await["status"], "completed");
    }
    let (api, all) = (dev.api.clone(), ids.clone());
    let order = json!({"to": "/do/2/ship"});
    let asked = order.clone();
    let asking = tokio::spawn(async move {
        let ask = |id: &String| {
            let path = format!("/v1/instances/{id}/reset");
            let request = api.request(reqwest::Method::POST, &path).json(&asked);
            Api::send(request.header("Idempotency-Key", "once"))
        };
        join_all(all.iter().map(ask)).await
    });
    let some = || async { (shop.stub.by_path().values().any(|it| it.0 > 1)).then_some(()) };
    until(SOON, "a reset that ships once more", some).await;
    dev.restart().await;
    asking.await.unwrap();
    for (id, name) in ids.iter().zip(&names) {
        let next = reset(&dev.api, id, &order, Some("once")).await["id"].clone();
        let again = reset(&dev.api, id, &order, Some("once")).await;
        assert_eq!((&again["id"], &again["repeated"]), (&next, &json!(true)));
        let next = next.as_str().unwrap();
        assert_eq!(dev.api.ends(next).await["output"], json!({"done": format!("/ship/{name}")}));
        assert_eq!(dev.api.show(id).await["successors"], json!([next]));
        let calls = shop.calls(name);
        assert_eq!((calls["/order"], calls["/charge"]), ((1, 1), (1, 1)), "{calls:?}");
        assert_eq!(calls["/ship"].1, 2, "one new run, whatever was killed: {calls:?}");
    }
}
