//! Workers over HTTP that say what cannot be read, take what is another's, or are given too much.

use serde_json::{Value, json};

use super::{ACT, Hand, Python, definition, output};
use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::until::{SOON, until};

/// The deliveries of an answer's calls, by the `n` of their arguments.
fn delivery_of(answer: &Value, n: u64) -> String {
    let calls = answer["calls"].as_array().unwrap();
    let call = calls.iter().find(|it| it["arguments"]["n"] == n).unwrap();
    call["delivery"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_read_is_the_error_of_its_task_alone() {
    let dev = Dev::start().await;
    let workflow = dev.api.deploy(&definition("act", ACT)).await;
    let bad = dev.api.start(&workflow, &json!({"n": 1})).await;
    let good = dev.api.start(&workflow, &json!({"n": 2})).await;
    let hand = Hand::join(&dev.api, "ugly-1").await;
    // Both may come in one answer, or one after the other.
    let (mut seen, mut calls) = (0, Vec::new());
    while calls.len() < 2 {
        let held: Vec<_> = calls.iter().map(|it: &Value| it["delivery"].clone()).collect();
        let told = hand.turn(json!({"seen": seen, "held": held})).await.ok();
        seen = told["number"].as_u64().unwrap();
        calls.extend(told["calls"].as_array().unwrap().clone());
    }
    let all = json!({"calls": calls});
    let (first, second) = (delivery_of(&all, 1), delivery_of(&all, 2));
    let big = "-123456789012345678901234567890";
    let said = format!(
        "{{\"seen\": {seen}, \"held\": [\"{first}\", \"{second}\"], \"reports\": [\
         {{\"delivery\": \"{first}\", \"output\": 1e999}}, \
         {{\"delivery\": \"none\"}}, \
         {{\"delivery\": \"{second}\", \"output\": {{\"n\": {big}}}}}]}}"
    );
    let answer = hand.turn_text(said).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let refused = answer["refused"].as_array().unwrap();
    assert_eq!(refused.len(), 2, "{answer}");
    assert_eq!((&refused[0]["delivery"], &refused[0]["ended"]), (&json!(first), &json!(true)));
    assert_eq!((&refused[1]["index"], &refused[1]["ended"]), (&json!(1), &json!(false)));
    let ended = dev.api.ends(&bad).await;
    assert_eq!(ended["status"], "faulted", "{ended}");
    assert!(ended["error"]["detail"].as_str().unwrap().contains("cannot be read"), "{ended}");
    assert_eq!(dev.api.ends(&good).await["status"], "completed");
    let path = format!("/v1/instances/{good}");
    let shown = dev.api.request(reqwest::Method::GET, &path).send().await.unwrap();
    let shown = shown.text().await.unwrap();
    assert!(shown.contains(&format!("\"n\":{big}")), "digits are kept: {shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_ends_the_worker_of_the_example() {
    let (dev, folder) = (Dev::start().await, tempfile::tempdir().unwrap());
    let tasks = "- a: {call: ugly, with: {which: '${ .which }'}, \
                 output: {as: '${ {length: tostring | length} }'}}";
    let workflow = dev.api.deploy(&definition("ugly", tasks)).await;
    let worker = Python::start(&dev.api.base(), folder.path()).await;
    let start = |which: &'static str| {
        let (api, workflow) = (&dev.api, &workflow);
        async move { api.start(workflow, &json!({ "which": which })).await }
    };
    let mut bad = Vec::new();
    for which in ["deep", "digits", "large"] {
        bad.push((which, start(which).await));
    }
    // Half a pair of surrogates is read as U+FFFD.
    let odd = start("surrogate").await;
    let mut good = vec![start("big").await];
    for _ in 0..4 {
        good.push(start("many").await);
    }
    for (which, instance) in bad {
        assert_eq!(dev.api.ends(&instance).await["status"], "faulted", "{which}");
    }
    assert_eq!(output(&dev.api, &odd).await, json!({"length": 1}));
    for instance in good {
        assert!(output(&dev.api, &instance).await["length"].as_u64() > Some(20));
    }
    worker.joined(1).await;
    let joins = worker.process.stderr().text().matches("joined as").count();
    assert_eq!(joins, 1, "the worker was never gone");
}

/// A server that asks everybody who they are, and two who have tokens of workers.
async fn two_owners() -> (Dev, Api, Api, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut file = String::new();
    let mut tokens = Vec::new();
    for (name, role) in [("shop", "worker"), ("other", "worker"), ("root", "admin")] {
        let token = windlass_coordinator::access::generate().unwrap().expose().clone();
        let hash = windlass_coordinator::access::sha256(&token);
        file.push_str(&format!(
            "[[token]]\nname = \"{name}\"\nsha256 = \"{hash}\"\n\
             grants = [{{ role = \"{role}\", namespaces = [\"*\"] }}]\n"
        ));
        tokens.push(token);
    }
    let path = folder.path().join("auth.toml");
    std::fs::write(&path, file).unwrap();
    let dev = Dev::with(&["--auth".to_owned(), path.display().to_string()]).await;
    let (shop, other) = (dev.api.bearing(&tokens[0]), dev.api.bearing(&tokens[1]));
    (dev, shop, other, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_takes_neither_an_identity_nor_a_pool_of_others() {
    let (_dev, shop, other, _folder) = two_owners().await;
    let theirs = Hand::join(&shop, "shop-1").await;
    theirs.turn(json!({"waitMs": 0})).await.ok();
    let me = json!({"identity": "shop-1", "functions": ["act"]});
    // It lives while it is asked, so that no lease ends.
    for _ in 0..3 {
        let refused = other.post("/v1/worker-sessions", &me).await.problem(409);
        assert_eq!(refused["code"], "WL0577");
        theirs.turn(json!({"waitMs": 0})).await.ok();
    }
    // One that has joined and said nothing yet is somebody's, too.
    let fresh = Hand::join(&shop, "shop-2").await;
    let me = json!({"identity": "shop-2", "functions": ["act"]});
    other.post("/v1/worker-sessions", &me).await.problem(409);
    let stolen = Hand { api: &other, session: fresh.session.clone() };
    assert_eq!(stolen.turn(json!({})).await.status.as_u16(), 404);
    // The same token is the same process again.
    let again = Hand::join(&shop, "shop-1").await;
    again.turn(json!({"waitMs": 0})).await.ok();

    let me = json!({"identity": "shop-3", "functions": ["act"], "pool": "payroll"});
    let refused = shop.post("/v1/worker-sessions", &me).await.problem(409);
    assert_eq!(refused["code"], "WL0577");
    assert!(refused["detail"].as_str().unwrap().contains("`default`"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_holds_no_more_than_it_should_and_no_call_is_left_behind() {
    let dev = Dev::start().await;
    // Arguments of some 2 MiB, and of more than may be sent at all, out of a small input.
    let tasks = "- a: {call: act, with: {n: '${ .n }', text: '${ \"0123456789abcdef\" * .times }'}, \
                 output: {as: '${ {got: true} }'}}";
    let workflow = dev.api.deploy(&definition("large", tasks)).await;
    let mut instances = Vec::new();
    for n in 0..6 {
        let input = json!({"n": n, "times": 131_072});
        instances.push(dev.api.start(&workflow, &input).await);
    }
    let huge = dev.api.start(&workflow, &json!({"n": 9, "times": 1_200_000})).await;
    let hand = Hand::join_of(&dev.api, "large-1", 8).await;
    let (mut seen, mut held) = (0, Vec::<Value>::new());
    while held.len() < 6 {
        let told = hand.turn(json!({"seen": seen, "held": held})).await.ok();
        assert!(told.to_string().len() < 5 << 20, "an answer of {}", told.to_string().len());
        seen = told["number"].as_u64().unwrap();
        held.extend(told["calls"].as_array().unwrap().iter().map(|it| it["delivery"].clone()));
    }
    let ended = dev.api.ends(&huge).await;
    assert_eq!(ended["status"], "faulted", "{ended}");
    assert!(
        ended["error"]["detail"].as_str().unwrap().contains("larger than"),
        "{}",
        ended["error"]
    );
    let reports: Vec<_> = held.iter().map(|it| json!({"delivery": it, "output": 1})).collect();
    hand.turn(json!({"seen": seen, "held": held, "reports": reports})).await.ok();
    for instance in instances {
        assert_eq!(output(&dev.api, &instance).await, json!({"got": true}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_given_nothing_more() {
    let dev = Dev::start().await;
    let hand = Hand::join(&dev.api, "leaving-1").await;
    // It is ready, and asks for nothing: what is started now is assigned, and lies there.
    hand.turn(json!({"waitMs": 0})).await.ok();
    let workflow = dev.api.deploy(&definition("act", ACT)).await;
    let first = dev.api.start(&workflow, &json!({"n": 1})).await;
    let second = dev.api.start(&workflow, &json!({"n": 2})).await;
    until(SOON, "calls that are assigned", || async {
        let workers = dev.api.get("/v1/workers").await.ok();
        let worker = workers["items"][0].clone();
        // On a slow machine its lease may have ended: then nothing can be assigned to it.
        (worker.is_null() || worker["inFlight"] == 2).then_some(())
    })
    .await;
    let last = hand.turn(json!({"leaving": true, "waitMs": 0})).await;
    if last.status.is_success() {
        assert_eq!(last.body["calls"], json!([]), "{}", last.body);
    }
    let other = Hand::join(&dev.api, "leaving-2").await;
    let (mut seen, mut held) = (0, Vec::<Value>::new());
    while held.len() < 2 {
        let told = other.turn(json!({"seen": seen, "held": held})).await.ok();
        seen = told["number"].as_u64().unwrap();
        held.extend(told["calls"].as_array().unwrap().iter().map(|it| it["delivery"].clone()));
    }
    let reports: Vec<_> = held.iter().map(|it| json!({"delivery": it, "output": {}})).collect();
    other.turn(json!({"seen": seen, "held": held, "reports": reports})).await.ok();
    for instance in [first, second] {
        output(&dev.api, &instance).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_says_what_it_has_seen_is_told_everything_once() {
    let dev = Dev::start().await;
    let workflow = dev.api.deploy(&definition("act", ACT)).await;
    let instance = dev.api.start(&workflow, &json!({"n": 1})).await;
    let hand = Hand::join(&dev.api, "deaf-1").await;
    let told = hand.call().await;
    let delivery = told["calls"][0]["delivery"].clone();
    let report = json!({"delivery": delivery, "output": {}});
    // It names one delivery many times, reports it again and again, and reads no answer.
    let said = json!({"held": [delivery, delivery, delivery], "reports": [report, report]});
    let again = hand.turn(said.clone()).await.ok();
    assert_eq!(again["refused"].as_array().map(Vec::len), Some(1), "{again}");
    assert_eq!(again["number"], told["number"], "it has not seen it");
    output(&dev.api, &instance).await;
    for _ in 0..20 {
        hand.turn(said.clone()).await.ok();
    }
    let after = until(SOON, "the settlement", || async {
        let told = hand.turn(json!({"seen": told["number"], "held": [delivery]})).await.ok();
        (told["settled"] != json!([])).then_some(told)
    })
    .await;
    assert_eq!(after["settled"].as_array().map(Vec::len), Some(1), "{after}");
    assert!(after["cancelled"].as_array().unwrap().len() <= 1, "{after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_functions_are_bounded() {
    let dev = Dev::start().await;
    for name in [String::new(), "f".repeat(257)] {
        let me = json!({"identity": "names-1", "functions": [name]});
        let refused = dev.api.post("/v1/worker-sessions", &me).await.problem(400);
        assert_eq!(refused["code"], "WL0510");
    }
}
