//! What workflows ask people: who may decide, once, and within the form.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use reqwest::Method;
use serde_json::{Value, json};

use super::Asking;
use crate::support::client::{Answer, Api, is_final};
use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::until::{SOON, until};

const ROLES: &str = "[roles.boss]\npermissions = [\"approval.decide\"]\n";

/// Asks a boss of a namespace, or who the input names.
fn pays(namespace: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: {namespace}, name: pay, version: '1.0.0' }}
do:
- sign:
    call: windlass.approval
    with:
      title: 'Pay ${{ .amount }}?'
      form: {{ type: object, properties: {{ costCentre: {{ type: integer }} }}, required: [costCentre] }}
      assignees: {{ roles: [boss], users: ['${{ .who }}'] }}
"
    )
}

/// The id of the approval that an instance waits for.
async fn asked(api: &Api, id: &str) -> String {
    let view = api.reaches(id, "waiting").await;
    view["open"][0]["approval"].as_str().unwrap_or_else(|| panic!("{view}")).to_owned()
}

/// Where an approval is.
fn path(id: &str, action: &str) -> String {
    let (instance, number) = id.split_once('.').unwrap();
    format!("/v1/instances/{instance}/approvals/{number}{action}")
}

async fn items(api: &Api, query: &str) -> Vec<Value> {
    let page = api.get(&format!("/v1/approvals{query}")).await.ok();
    page["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_decide_once_and_within_the_form() {
    let asking = Asking::start(ROLES).await;
    let workflow = asking.root.deploy(&pays("own")).await;
    let boss = asking.with_role("boss", "own").await;
    let other = asking.with_role("approver", "own").await;
    let stranger = asking.with_role("boss", "foreign").await;
    let viewer = asking.with_role("viewer", "own").await;
    let input = json!({"amount": 7, "who": "corp:ada"});
    let instance = asking.root.start(&workflow, &input).await;
    let id = asked(&asking.root, &instance).await;

    // What each of them sees of it.
    let listed = items(&boss, "?mine=true").await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    let question = &listed[0];
    assert_eq!((&question["id"], &question["yours"]), (&json!(id), &json!(true)));
    assert_eq!((&question["title"], &question["uri"]), (&json!("Pay 7?"), &json!(path(&id, ""))));
    assert_eq!(boss.get(&path(&id, "")).await.ok()["form"]["required"], json!(["costCentre"]));
    assert_eq!(items(&other, "").await[0]["yours"], false);
    assert_eq!(items(&other, "?mine=true").await, Vec::<Value>::new());
    assert_eq!(items(&boss, "?name=none").await, Vec::<Value>::new());
    assert_eq!(items(&stranger, "").await, Vec::<Value>::new());
    viewer.get("/v1/approvals").await.problem(403);
    for (who, status) in [(&stranger, 404), (&viewer, 403)] {
        who.get(&path(&id, "")).await.problem(status);
        who.post(&path(&id, "/approve"), &json!({})).await.problem(status);
        who.post(&path(&id, "/reject"), &json!({"reason": "no"})).await.problem(status);
    }

    // Who is not asked, what does not fit, and what is none.
    let good = json!({"data": {"costCentre": 12}, "reason": "as agreed"});
    for who in [&other, &asking.root] {
        assert_eq!(who.post(&path(&id, "/approve"), &good).await.problem(403)["code"], "WL0652");
    }
    for wrong in [json!({"data": {"costCentre": "x"}}), json!({})] {
        let refused = boss.post(&path(&id, "/approve"), &wrong).await.problem(422);
        assert_eq!(
            (&refused["code"], &refused["cause"]["instance"]),
            (&json!("WL0653"), &json!("/data"))
        );
    }
    boss.post(&path(&id, "/reject"), &json!({"reason": " "})).await.problem(400);
    let number = id.split_once('.').unwrap().1.parse::<u64>().unwrap();
    let none = format!("{instance}.{}", number - 1);
    assert_eq!(boss.get(&path(&none, "")).await.problem(404)["code"], "WL0650");
    assert_eq!(asking.root.show(&instance).await["status"], "waiting");

    // Of many at once one counts, and all others are told which.
    let rejects = json!({"reason": "too dear"});
    let orders = (0..8).map(|it| match it % 2 {
        0 => boss.request(Method::POST, &path(&id, "/approve")).json(&good),
        _ => boss.request(Method::POST, &path(&id, "/reject")).json(&rejects),
    });
    let answers: Vec<Answer> =
        join_all(orders.map(Api::send)).await.into_iter().map(Result::unwrap).collect();
    let taken = answers.iter().filter(|it| it.status == 200).count();
    let late = answers.iter().filter(|it| it.body["code"] == "WL0651").count();
    assert_eq!((taken, late), (1, 7), "{answers:?}");
    let told = answers.iter().find(|it| it.status == 200).unwrap();
    let members = (&told.body["id"], told.body.get("output"), told.body.get("error"));
    assert_eq!(members, (&json!(instance), None, None), "they may not read the instance");
    let ended = asking.root.ends(&instance).await;
    let output = &ended["output"];
    let who = boss.get("/v1/auth/whoami").await.ok();
    let name = format!("{}:{}", who["issuer"].as_str().unwrap(), who["subject"].as_str().unwrap());
    assert_eq!(output["by"], name, "{ended}");
    let (word, reason) = match output["approved"] == true {
        true => ("approved", "as agreed"),
        false => ("rejected", "too dear"),
    };
    assert_eq!(output["reason"], reason, "{ended}");
    let told = boss.get(&path(&id, "")).await.problem(409);
    assert!(told["detail"].as_str().unwrap().contains(&format!("was {word} by {name}")), "{told}");
    assert_eq!(items(&boss, "").await, Vec::<Value>::new());

    // It stands in the history and in the trail, with who was refused.
    let history = asking.root.history(&instance).await;
    let entry =
        |event: &str| history.iter().find(|it| it["event"] == event).unwrap()["data"].clone();
    assert_eq!(entry("approval.requested")["approval"], id);
    let decided = entry("approval.decided");
    assert_eq!(
        (&decided["actor"]["subject"], &decided["reason"]),
        (&who["subject"], &json!(reason))
    );
    let trail = asking.root.get("/v1/audit?limit=1000").await.ok().to_string();
    assert!(trail.contains(&format!("question {number} of {instance}")), "{trail}");
    assert!(trail.contains("is for others"), "{trail}");

    // Who is named by the input may as well.
    let input = json!({"amount": 8, "who": name});
    let others = pays("own").replace("roles: [boss], ", "").replace("1.0.0'", "2.0.0'");
    let named = asking.root.deploy(&others).await;
    let instance = asking.root.start(&named, &input).await;
    let id = asked(&asking.root, &instance).await;
    boss.post(&path(&id, "/approve"), &good).await.ok();
    assert_eq!(asking.root.ends(&instance).await["output"]["data"], json!({"costCentre": 12}));
}

/// Asks anybody, and goes on with what they say.
const ASKS: &str = "
document: { dsl: '1.0.3', namespace: approvals, name: asks, version: '1.0.0' }
do:
- sign: { call: windlass.approval, with: { title: 'Order ${ .n }' } }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_one_decision_or_none() {
    let mut dev = Dev::start().await;
    let workflow = dev.api.deploy(ASKS).await;
    let mut open = Vec::new();
    for n in 0..24 {
        let instance = dev.api.start(&workflow, &json!({"n": n})).await;
        open.push((asked(&dev.api, &instance).await, instance));
    }
    let api = dev.api.clone();
    let decides = |id: &str, reason: &str| {
        let request = api.request(Method::POST, &path(id, "/approve"));
        Api::send(request.json(&json!({"reason": reason})))
    };
    // All at once; the kill comes when some were answered, among the others.
    let mut orders: FuturesUnordered<_> =
        open.iter().map(async |(id, _)| (id.clone(), decides(id, "first").await)).collect();
    let mut answers = BTreeMap::new();
    for _ in 0..6 {
        answers.extend(orders.next().await);
    }
    let (rest, ()) = tokio::join!(orders.collect::<Vec<_>>(), dev.kill());
    answers.extend(rest);
    dev.launch();
    dev.ready().await;
    // Those that were not decided are asked still, and no other.
    let listed = items(&dev.api, "?namespace=approvals&limit=1000").await;
    let listed: Vec<&str> = listed.iter().map(|it| it["id"].as_str().unwrap()).collect();
    for (id, instance) in &open {
        let view = dev.api.show(instance).await;
        assert_eq!(listed.contains(&id.as_str()), !is_final(&view), "{view}");
        let was_told = answers[id].as_ref().is_ok_and(|it| it.status == 200);
        assert!(!was_told || is_final(&view), "it was answered and is lost: {view}");
        let again = decides(id, "second").await.unwrap();
        let expected = if is_final(&view) { 409 } else { 200 };
        assert_eq!(again.status, expected, "{}", again.body);
        let ended = dev.api.ends(instance).await;
        let reason = if expected == 409 { "first" } else { "second" };
        assert_eq!(ended["output"]["reason"], reason, "the first decision counts: {ended}");
    }
    assert_eq!(items(&dev.api, "").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_behind_what_views_show_is_decided_as_any() {
    let dev = Dev::start().await;
    let with = |n: usize| format!("with: {{ title: 'q{n}' }}");
    let asks = |n| format!("{{ q: {{ call: windlass.approval, {} }} }}", with(n));
    let branches: Vec<_> =
        (0..120).map(|n| format!("{{ b{n}: {{ do: [{}] }} }}", asks(n))).collect();
    let body = format!(
        "document: {{ dsl: '1.0.3', namespace: approvals, name: wide, version: '1.0.0' }}
do:
- f: {{ fork: {{ compete: true, branches: [{}] }} }}
",
        branches.join(", ")
    );
    let workflow = dev.api.deploy(&body).await;
    let instance = dev.api.start(&workflow, &json!({})).await;
    let all = until(SOON, "the questions", || async {
        Some(items(&dev.api, "?name=wide&limit=1000").await).filter(|it| it.len() == 120)
    })
    .await;
    let last = all.last().unwrap();
    let id = last["id"].as_str().unwrap();
    assert_eq!(dev.api.get(&path(id, "")).await.ok()["title"], last["title"]);
    dev.api.post(&path(id, "/approve"), &json!({})).await.ok();
    assert_eq!(dev.api.ends(&instance).await["output"]["approved"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_ends_with_its_task_and_the_command_line_decides() {
    let dev = Dev::start().await;
    let url = dev.api.base();
    let workflow = dev.api.deploy(ASKS).await;
    let start = async || {
        let instance = dev.api.start(&workflow, &json!({"n": 1})).await;
        (asked(&dev.api, &instance).await, instance)
    };
    // Pages of a list have each once.
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(start().await.0);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = dev.api.get(&format!("/v1/approvals?limit=2{cursor}")).await.ok();
        seen.extend(page["items"].as_array().unwrap().iter().map(|it| it["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, all);
    // Cancelled, skipped, reset.
    let (id, instance) = start().await;
    dev.api.post(&format!("/v1/instances/{instance}/cancel"), &json!({})).await.ok();
    let closed = dev.api.post(&path(&id, "/approve"), &json!({})).await.problem(409);
    assert_eq!(closed["code"], "WL0651", "{closed}");
    let reset = json!({"to": "/do/0/sign"});
    let next = dev.api.post(&format!("/v1/instances/{instance}/reset"), &reset).await.ok();
    let again = asked(&dev.api, next["id"].as_str().unwrap()).await;
    assert_ne!(id, again);
    let (id, instance) = start().await;
    dev.api
        .post(
            &format!("/v1/instances/{instance}/skip"),
            &json!({"output": 1, "task": "/do/0/sign"}),
        )
        .await
        .ok();
    dev.api.get(&path(&id, "")).await.problem(409);
    let open: Vec<_> = items(&dev.api, "").await.iter().map(|it| it["id"].clone()).collect();
    assert_eq!(open, [all.clone(), vec![again.clone()]].concat());
    // By hand.
    let list = windlass(&["approval", "list", "--output", "table", "--url", &url]).await.exits(0);
    assert!(list.stdout.contains(&again) && list.stdout.contains("Order 1"), "{}", list.stdout);
    let told =
        windlass(&["approve", &again, "--data", "12345678901234567890", "--url", &url]).await;
    assert!(told.exits(0).stdout.contains("12345678901234567890"), "numbers stay as they are");
    let rejects = ["reject", all[0].as_str(), "--reason", "no", "--url", &url];
    windlass(&rejects).await.exits(0);
    let refused = windlass(&rejects).await.exits(1);
    assert!(refused.stderr.contains("WL0651"), "{}", refused.stderr);
    let instance = all[0].split_once('.').unwrap().0.to_owned();
    let ended =
        until(SOON, "the end", || async { Some(dev.api.show(&instance).await).filter(is_final) });
    assert_eq!(ended.await["output"]["approved"], false);
}
