#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::StreamExt as _;
use windlass_proto::limits;
use windlass_proto::plan::{A2aCall, Authentication, ExternalResource, Kind, Token};
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use crate::testing::{
    Given, assignment, builder, endpoint, json, kind_of, perform, perform_with, plan, source, task,
    template, text,
};
use crate::{CancellationToken, Worker};

/// A message as an agent saw it.
#[derive(Clone, Debug)]
struct Seen {
    /// `METHOD VERSION`
    what: String,
    key: Option<String>,
    authorization: Option<String>,
    parameters: Value,
}

/// An agent with a card, and what it was asked so far.
struct Fake {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    /// Answers what `answer` makes of the method and the parameters. In the card, `BASE` is the
    /// server.
    async fn new(
        card: &'static str,
        answer: impl Fn(&str, &Value) -> Response + Clone + Send + Sync + 'static,
    ) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let into = seen.clone();
        let handler = move |headers: HeaderMap, body: Bytes| {
            let message = Value::from_json_bytes(&body).unwrap();
            let header = |name: &str| headers.get(name).map(|it| it.to_str().unwrap().to_owned());
            let method = message.get("method").and_then(Value::as_str).unwrap_or_default();
            let parameters = message.get("params").cloned().unwrap_or_default();
            into.lock().unwrap().push(Seen {
                what: format!("{method} {}", header("a2a-version").unwrap_or_default()),
                key: header("idempotency-key"),
                authorization: header("authorization"),
                parameters: parameters.clone(),
            });
            std::future::ready(answer(method, &parameters))
        };
        let card = move |headers: HeaderMap| {
            let host = headers.get("host").unwrap().to_str().unwrap();
            std::future::ready(card.replace("BASE", &format!("http://{host}")))
        };
        let router = Router::new().route("/rpc", post(handler)).route("/card", get(card));
        let address = crate::testing::serve(router).await;
        Self { address, seen }
    }

    /// A call by the server's address.
    fn call(&self, method: &str, parameters: &str) -> A2aCall {
        A2aCall {
            agent_card: None,
            server: Some(endpoint(&format!("http://{}/rpc", self.address), None)),
            method: method.into(),
            parameters: Some(template(parameters)),
        }
    }

    /// A call by the agent's card.
    fn by_card(&self, authentication: Option<Authentication>) -> A2aCall {
        let uri = format!("http://{}/card", self.address);
        let card = ExternalResource { name: None, endpoint: endpoint(&uri, authentication) };
        A2aCall { agent_card: Some(card), server: None, ..self.call("message/send", SAY) }
    }

    async fn asked(&self, method: &str, parameters: &str) -> Result<Value, Problem> {
        done(self.call(method, parameters)).await
    }

    /// A call whose first delivery was lost with its worker.
    async fn asked_again(&self, method: &str, parameters: &str) -> Result<Value, Problem> {
        let mut again = assignment(Value::Null);
        again.key.delivery = 2;
        let call = Kind::A2a(Box::new(self.call(method, parameters)));
        perform_with(builder(Given(vec![])), task(call), again).await
    }

    fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// The methods it was asked since it was asked last for that.
    fn methods(&self) -> Vec<String> {
        self.seen().into_iter().map(|it| it.what).collect()
    }
}

async fn done(call: A2aCall) -> Result<Value, Problem> {
    perform(Kind::A2a(Box::new(call)), Value::Null).await
}

fn rpc(key: &str, value: &str) -> String {
    json(&format!(r#"{{"jsonrpc": "2.0", "id": 1, "{key}": {value}}}"#)).to_json()
}

fn answered(key: &str, value: &str) -> Response {
    ([("content-type", "application/json")], rpc(key, value)).into_response()
}

fn refused(code: i64) -> Response {
    answered("error", &format!(r#"{{"code": {code}, "message": "no"}}"#))
}

fn events(all: &[String]) -> Response {
    let text: String = all.iter().map(|it| format!("data: {it}\n\n")).collect();
    ([("content-type", "text/event-stream")], text).into_response()
}

const SAY: &str = r#"{"message": {"parts": [{"kind": "text", "text": "hello"}]}}"#;

/// What the message of a visit is called.
fn message_id(seen: &Seen) -> String {
    let id = seen.parameters.get("message").and_then(|it| it.get("messageId")).cloned();
    id.unwrap_or_default().to_text()
}

/// An agent of 1.x that knows one task, of the message that it was sent first.
fn with_task(state: &'static str) -> impl Fn(&str, &Value) -> Response + Clone {
    let id: Arc<Mutex<Option<Value>>> = Arc::default();
    move |method, parameters| {
        let history = id.lock().unwrap().clone().unwrap_or_default().to_json();
        let task = format!(
            r#"{{"id": "t1", "status": {{"state": "{state}"}},
                "history": [{{"messageId": {history}, "role": "ROLE_USER"}}]}}"#
        );
        match method {
            "SendMessage" | "SendStreamingMessage" => {
                let message = parameters.get("message").unwrap();
                *id.lock().unwrap() = message.get("messageId").cloned();
                answered("result", r#"{"message": {"role": "ROLE_AGENT", "parts": []}}"#)
            }
            "GetTask" => answered("result", &task),
            "ListTasks" => answered("result", &format!(r#"{{"tasks": [{task}]}}"#)),
            "SubscribeToTask" => events(&[rpc("result", &format!(r#"{{"task": {task}}}"#))]),
            _ => refused(-32_601),
        }
    }
}

#[tokio::test]
async fn one_definition_is_understood_by_agents_of_both_versions() {
    let older = Fake::new("", |method, parameters| match method {
        "message/send" => {
            let expected = r#"[{"kind": "text", "text": "hello"}]"#;
            let message = parameters.get("message").unwrap();
            assert_eq!(message.get("parts"), Some(&json(expected)));
            assert_eq!(message.get("role"), Some(&Value::from("user")));
            answered("result", r#"{"kind": "message", "role": "agent", "parts": []}"#)
        }
        _ => refused(-32_601),
    })
    .await;
    let newer = Fake::new("", |method, parameters| match method {
        "SendMessage" => {
            let message = parameters.get("message").unwrap();
            assert_eq!(message.get("parts"), Some(&json(r#"[{"text": "hello"}]"#)));
            assert_eq!(message.get("role"), Some(&Value::from("ROLE_USER")));
            answered("result", r#"{"message": {"role": "ROLE_AGENT", "parts": []}}"#)
        }
        _ => refused(-32_009),
    })
    .await;
    let expected = Ok(json(r#"{"kind": "message", "role": "agent", "parts": []}"#));
    let mut ids = Vec::new();
    for (fake, all) in
        [(&older, &["SendMessage 1.0", "message/send 0.3"][..]), (&newer, &["SendMessage 1.0"])]
    {
        assert_eq!(fake.asked("message/send", SAY).await, expected);
        let seen = fake.seen();
        assert_eq!(seen.iter().map(|it| &*it.what).collect::<Vec<_>>(), all);
        ids.extend(seen.iter().map(message_id));
        let key = assignment(Value::Null).idempotency_key();
        assert_eq!(seen[0].key.as_deref(), Some(&*key));
        let again = format!("{key}-0.3");
        assert!(seen.iter().skip(1).all(|it| it.key.as_deref() == Some(&*again)), "{seen:?}");
    }
    assert!(uuid::Uuid::parse_str(&ids[0]).is_ok(), "{ids:?}");
    assert!(ids.iter().all(|it| *it == ids[0]), "the same wherever it is sent: {ids:?}");
}

#[tokio::test]
async fn the_version_of_an_agent_is_remembered_until_it_is_another() {
    let is_newer = Arc::new(Mutex::new(false));
    let now = is_newer.clone();
    let fake = Fake::new("", move |method, _| match (method, *now.lock().unwrap()) {
        ("GetTask", true) | ("tasks/get", false) => answered("result", r#"{"id": "t1"}"#),
        _ => refused(-32_601),
    })
    .await;
    let plan = plan(task(Kind::A2a(Box::new(fake.call("tasks/get", r#"{"id": "t1"}"#)))));
    let worker: Worker = builder(Given(vec![])).plans(source(Arc::new(plan))).build().unwrap();
    let perform = async || {
        let done = worker.perform(assignment(Value::Null), CancellationToken::new()).await;
        assert_eq!(done.result, Ok(json(r#"{"id": "t1", "kind": "task"}"#)));
        fake.methods()
    };
    assert_eq!(perform().await, ["GetTask 1.0", "tasks/get 0.3"]);
    assert_eq!(perform().await, ["tasks/get 0.3"]);
    *is_newer.lock().unwrap() = true;
    assert_eq!(perform().await, ["tasks/get 0.3", "GetTask 1.0"]);
    assert_eq!(perform().await, ["GetTask 1.0"]);
}

#[tokio::test]
async fn a_card_says_where_and_how() {
    let card = r#"{"supportedInterfaces": [
        {"url": "BASE/none", "protocolBinding": "GRPC", "protocolVersion": "1.0"},
        {"url": "/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0", "tenant": "acme"}
    ]}"#;
    let fake = Fake::new(card, |_, parameters| {
        assert_eq!(parameters.get("tenant"), Some(&Value::from("acme")));
        answered("result", r#"{"message": {"parts": []}}"#)
    })
    .await;
    let expected = Ok(json(r#"{"kind": "message", "parts": []}"#));
    assert_eq!(done(fake.by_card(None)).await, expected);
    assert_eq!(fake.methods(), ["SendMessage 1.0"]);

    let card = r#"{"url": "BASE/rpc", "protocolVersion": "0.3.0"}"#;
    let fake =
        Fake::new(card, |_, _| answered("result", r#"{"kind": "message", "parts": []}"#)).await;
    assert_eq!(done(fake.by_card(None)).await, expected);
    assert_eq!(fake.methods(), ["message/send 0.3"]);
}

#[tokio::test]
async fn a_card_that_cannot_be_called_by_is_said() {
    for (card, expected) in [
        ("[", "neither JSON nor YAML"),
        (r#"{"supportedInterfaces": []}"#, "it offers nothing"),
        (r#"{"url": "ftp://a"}"#, "none of HTTP"),
    ] {
        let fake = Fake::new(card, |_, _| unreachable!()).await;
        let problem = done(fake.by_card(None)).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("runtime".into(), 500), "{card}");
        assert!(problem.detail.as_deref().unwrap().contains(expected), "{problem:?}");
    }
    let fake = Fake::new("", |_, _| unreachable!()).await;
    let mut call = fake.by_card(None);
    let none = endpoint(&format!("http://{}/none", fake.address), None);
    call.agent_card = Some(ExternalResource { name: None, endpoint: none });
    let problem = done(call).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("runtime".into(), 404));
}

#[tokio::test]
async fn what_a_card_is_read_with_goes_to_its_own_host_only() {
    let bearer = || Some(Authentication::Bearer(Token::Inline(text("t0ken"))));
    let answer = |_: &str, _: &Value| answered("result", r#"{"kind": "message"}"#);
    let own = Fake::new(r#"{"url": "BASE/rpc"}"#, answer).await;
    done(own.by_card(bearer())).await.unwrap();
    assert_eq!(own.seen()[0].authorization.as_deref(), Some("Bearer t0ken"));

    let other = Fake::new("", answer).await;
    let card = format!(r#"{{"url": "http://{}/rpc"}}"#, other.address);
    let elsewhere = Fake::new(card.leak(), answer).await;
    done(elsewhere.by_card(bearer())).await.unwrap();
    assert_eq!(other.seen()[0].authorization, None);
}

#[tokio::test]
async fn who_is_refused_is_told_what_the_card_asks_for() {
    let card = r#"{"url": "/rpc", "security": [{"key": []}]}"#;
    let fake = Fake::new(card, |_, _| (StatusCode::UNAUTHORIZED, "not you").into_response()).await;
    let problem = done(fake.by_card(None)).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("runtime".into(), 401));
    let detail = problem.detail.as_deref().unwrap();
    assert!(detail.contains("not you") && detail.contains("asks for key"), "{detail}");
    assert_eq!(fake.methods(), ["message/send 0.3"], "nothing else is tried");
}

#[tokio::test]
async fn errors_are_those_of_the_agent() {
    let fake = Fake::new("", |method, _| match method {
        "GetTask" => {
            let error = r#"{"code": -32001, "message": "Task not found", "data": {"id": "t9"}}"#;
            answered("error", error)
        }
        "CancelTask" => (StatusCode::NOT_FOUND, "what?").into_response(),
        _ => refused(-32_601),
    })
    .await;
    for (method, status, expected) in [
        ("tasks/get", 500, "answered tasks/get with the error -32001: Task not found"),
        ("tasks/list", 500, "answered tasks/list with the error -32601: no"),
        ("tasks/cancel", 404, "no answer of an A2A agent: what?"),
    ] {
        let problem = fake.asked(method, r#"{"id": "t9"}"#).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("runtime".into(), status), "{method}");
        assert!(problem.detail.as_deref().unwrap().contains(expected), "{problem:?}");
    }
    let list = ["ListTasks 1.0", "tasks/list 0.3"];
    assert_eq!(fake.methods(), [&["GetTask 1.0"], &list[..], &["CancelTask 1.0"]].concat());
    let problem = fake.asked("tasks/get", "[1]").await.unwrap_err();
    assert_eq!(kind_of(&problem), ("expression".into(), 400));
}

#[tokio::test]
async fn a_stream_is_an_array_of_its_results() {
    let working = r#"{"statusUpdate": {"status": {"state": "TASK_STATE_WORKING"}}}"#;
    let fake = Fake::new("", move |method, parameters| {
        let whole = [rpc("result", r#"{"task": {"id": "t1"}}"#), rpc("result", working)];
        let said = parameters.get("message").and_then(|it| it.get("contextId")?.as_str());
        match (method, said) {
            ("SendStreamingMessage", Some("breaks")) => {
                let error = rpc("error", r#"{"code": -32603, "message": "lost it"}"#);
                events(&[whole[0].clone(), error])
            }
            ("SendStreamingMessage", Some("empty")) => events(&[]),
            ("SendStreamingMessage", Some("plain")) => answered("result", working),
            ("SendStreamingMessage", _) => events(&whole),
            ("SubscribeToTask", _) => events(&whole[..1]),
            _ => refused(-32_601),
        }
    })
    .await;
    let first = r#"{"id": "t1", "kind": "task"}"#;
    let second = r#"{"kind": "status-update", "status": {"state": "working"}, "final": false}"#;
    let all = Ok(json(&format!("[{first}, {second}]")));
    assert_eq!(fake.asked("message/stream", SAY).await, all);
    let again = fake.asked("tasks/resubscribe", r#"{"id": "t1"}"#).await;
    assert_eq!(again, Ok(json(&format!("[{first}]"))));
    let with = |said: &str| format!(r#"{{"message": {{"contextId": "{said}", "parts": []}}}}"#);
    let plain = fake.asked("message/stream", &with("plain")).await;
    assert_eq!(plain, Ok(json(&format!("[{second}]"))));
    let broken = fake.asked("message/stream", &with("breaks")).await.unwrap_err();
    assert!(broken.detail.as_deref().unwrap().contains("-32603: lost it"), "{broken:?}");
    let empty = fake.asked("message/stream", &with("empty")).await.unwrap_err();
    assert!(empty.detail.as_deref().unwrap().contains("ended before the A2A agent"), "{empty:?}");
}

#[tokio::test]
async fn a_stream_that_stays_open_is_left_at_its_last_event() {
    let card = r#"{"url": "/rpc"}"#;
    let fake = Fake::new(card, |_, _| {
        let event = |last: bool| {
            let result = format!(r#"{{"kind": "status-update", "final": {last}}}"#);
            let event = Bytes::from(format!("data: {}\n\n", rpc("result", &result)));
            Ok::<_, std::io::Error>(event)
        };
        let all = futures_util::stream::iter([event(false), event(true)]);
        let body = Body::from_stream(all.chain(futures_util::stream::pending()));
        ([("content-type", "text/event-stream")], body).into_response()
    })
    .await;
    let mut call = fake.by_card(None);
    call.method = "message/stream".into();
    let got = done(call).await.unwrap();
    let expected =
        r#"[{"kind": "status-update", "final": false}, {"kind": "status-update", "final": true}]"#;
    assert_eq!(got, json(expected));
}

#[tokio::test]
async fn a_message_that_was_sent_already_is_looked_for_and_not_sent_again() {
    let fake = Fake::new("", with_task("TASK_STATE_COMPLETED")).await;
    // Nothing is there yet: it is sent.
    fake.asked_again("message/send", SAY).await.unwrap();
    assert_eq!(fake.methods(), ["ListTasks 1.0", "SendMessage 1.0"]);
    let task = fake.asked_again("message/send", SAY).await.unwrap();
    assert_eq!(task.get("kind"), Some(&Value::from("task")));
    assert_eq!(task.get("status"), Some(&json(r#"{"state": "completed"}"#)));
    let seen = fake.seen();
    assert_eq!(
        seen.iter().map(|it| &*it.what).collect::<Vec<_>>(),
        ["ListTasks 1.0", "GetTask 1.0"]
    );
    assert!(seen.iter().all(|it| it.key.is_none()), "what looks has no key: {seen:?}");
    // Where the task is named, it alone is looked at.
    let named = r#"{"message": {"taskId": "t1", "parts": [{"kind": "text", "text": "hello"}]}}"#;
    fake.asked_again("message/send", named).await.unwrap();
    assert_eq!(fake.methods(), ["GetTask 1.0", "GetTask 1.0"]);
    // A stream of what is over is what became of it.
    let all = fake.asked_again("message/stream", SAY).await.unwrap();
    assert_eq!(all.as_array().map(<[Value]>::len), Some(1));
    assert_eq!(fake.methods(), ["ListTasks 1.0", "GetTask 1.0"]);
    // An id of the author's may be that of another message.
    let own = r#"{"message": {"messageId": "mine", "parts": []}}"#;
    fake.asked_again("message/send", own).await.unwrap();
    assert_eq!(fake.methods(), ["SendMessage 1.0"]);
}

#[tokio::test]
async fn a_message_is_sent_where_the_agent_cannot_tell_whether_it_has_it() {
    for status in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::FORBIDDEN] {
        let fake = Fake::new("", move |method, _| match method {
            "SendMessage" => answered("result", r#"{"message": {"parts": []}}"#),
            _ => status.into_response(),
        })
        .await;
        fake.asked_again("message/send", SAY).await.unwrap();
        assert_eq!(fake.methods(), ["ListTasks 1.0", "SendMessage 1.0"]);
        let named = r#"{"message": {"taskId": "t1", "parts": []}}"#;
        fake.asked_again("message/send", named).await.unwrap();
        assert_eq!(fake.methods(), ["GetTask 1.0", "SendMessage 1.0"]);
    }
}

#[tokio::test]
async fn a_message_is_looked_for_on_so_many_pages_of_its_context() {
    let fake = Fake::new("", |method, parameters| {
        if method == "SendMessage" {
            return answered("result", r#"{"message": {"parts": []}}"#);
        }
        assert_eq!(parameters.get("contextId"), Some(&Value::from("c1")));
        // Each page names the next one, without end.
        let page = parameters.get("pageToken").map_or("0", |it| it.as_str().unwrap());
        let next = page.parse::<usize>().unwrap() + 1;
        answered("result", &format!(r#"{{"tasks": [{{}}], "nextPageToken": "{next}"}}"#))
    })
    .await;
    let told = r#"{"message": {"contextId": "c1", "parts": []}}"#;
    fake.asked_again("message/send", told).await.unwrap();
    let mut seen = fake.seen();
    assert_eq!(seen.pop().map(|it| it.what).as_deref(), Some("SendMessage 1.0"));
    assert_eq!(seen.len(), limits::A2A_TASK_PAGES);
    let last = seen.last().and_then(|it| it.parameters.get("pageToken").cloned());
    assert_eq!(last, Some(Value::from((limits::A2A_TASK_PAGES - 1).to_string())));
}

#[tokio::test]
async fn a_task_that_still_works_is_followed() {
    let fake = Fake::new("", with_task("TASK_STATE_WORKING")).await;
    fake.asked("message/stream", SAY).await.unwrap();
    fake.seen();
    let all = fake.asked_again("message/stream", SAY).await.unwrap();
    assert_eq!(all.as_array().map(<[Value]>::len), Some(1));
    assert_eq!(fake.methods(), ["ListTasks 1.0", "SubscribeToTask 1.0"]);

    // Who does not want to wait does not.
    let at_once = r#"{"message": {"parts": [{"kind": "text", "text": "hello"}]},
        "configuration": {"blocking": false}}"#;
    let task = fake.asked_again("message/send", at_once).await.unwrap();
    assert_eq!(task.get("status"), Some(&json(r#"{"state": "working"}"#)));
    assert_eq!(fake.methods(), ["ListTasks 1.0", "GetTask 1.0"]);

    let mut again = assignment(Value::Null);
    again.key.delivery = 2;
    let plan = plan(task_of(fake.call("message/send", SAY)));
    let worker: Worker = builder(Given(vec![])).plans(source(Arc::new(plan))).build().unwrap();
    let cancelled = CancellationToken::new();
    let performed = tokio::spawn({
        let cancelled = cancelled.clone();
        async move { worker.perform(again, cancelled).await.result }
    });
    let looks = async {
        while fake.seen.lock().unwrap().len() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looks).await.expect("it is looked at again");
    cancelled.cancel();
    let problem = performed.await.unwrap().unwrap_err();
    assert_eq!(problem.detail.as_deref(), Some("the task was cancelled"));
    let methods = fake.methods();
    assert_eq!(methods[0], "ListTasks 1.0");
    assert!(methods[1..].iter().all(|it| it == "GetTask 1.0"), "{methods:?}");
}

fn task_of(call: A2aCall) -> windlass_proto::plan::Task {
    task(Kind::A2a(Box::new(call)))
}

#[tokio::test]
async fn secrets_reach_parameters_addresses_and_authentication() {
    let secret = || Given(vec![("key", Ok(Value::from("c4nary")))]);
    let fake = Fake::new(r#"{"url": "/rpc"}"#, |_, _| {
        answered("result", r#"{"kind": "message", "parts": []}"#)
    })
    .await;
    let own = || Some(Authentication::Bearer(Token::Inline(text("${ $secrets.key }"))));
    let told = r#"{"message": {"parts": [{"kind": "text", "text": "${ $secrets.key }"}]}}"#;
    let mut by_card = fake.by_card(own());
    by_card.parameters = Some(template(told));
    let mut at_server = fake.call("message/send", told);
    let uri = format!(r#"${{ "http://{}/rpc?key=" + $secrets.key }}"#, fake.address);
    at_server.server = Some(endpoint(&uri, own()));
    for call in [by_card, at_server] {
        perform_with(builder(secret()), task_of(call), assignment(Value::Null)).await.unwrap();
        let seen = fake.seen().pop().unwrap();
        assert_eq!(seen.authorization.as_deref(), Some("Bearer c4nary"));
        assert!(seen.parameters.to_json().contains("c4nary"), "{seen:?}");
    }
    // What is not looked at reads no secret.
    let mut ignored = fake.by_card(None);
    ignored.server = Some(endpoint("${ $secrets.login }", None));
    perform_with(builder(secret()), task_of(ignored), assignment(Value::Null)).await.unwrap();
}
