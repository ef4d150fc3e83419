//! Calls that lead where they should not: literal addresses, names, redirects, names that change.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::response::Redirect;
use axum::routing::any;
use windlass_proto::audit::AuditAction;
use windlass_proto::definition::{Options, load};
use windlass_proto::metric::Snapshot;
use windlass_proto::metric::text::Format;
use windlass_proto::plan::Kind;
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use crate::testing::{
    Audited, Given, assignment, builder, http, json, kind_of, no_proxy, perform_with, source, task,
};
use crate::{CancellationToken, Egress, HttpOptions, Worker};

/// A server on an address of the loopback that counts what it is asked, and redirects from
/// `/away?to`.
struct Stub {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
}

impl Stub {
    async fn at(ip: [u8; 4]) -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::from(ip), 0)).await.unwrap();
        Self::on(listener)
    }

    fn on(listener: tokio::net::TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let count = calls.clone();
        let answer = move |uri: axum::http::Uri| async move {
            count.fetch_add(1, Ordering::SeqCst);
            match uri.query() {
                Some(to) => Err(Redirect::temporary(&format!("http://{to}"))),
                // So that the next call looks the name up anew.
                None => Ok(([("connection", "close")], "reached")),
            }
        };
        let router = Router::new().fallback(any(answer));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, calls }
    }

    fn port(&self) -> u16 {
        self.address.port()
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

fn allowing(rules: &[&str]) -> Egress {
    rules.iter().fold(Egress::public(), |it, rule| it.allow(rule.parse().unwrap()))
}

fn options(egress: Egress) -> HttpOptions {
    HttpOptions { egress, ..no_proxy() }
}

async fn get(egress: Egress, url: &str) -> Result<Value, Problem> {
    let worker = builder(Given(vec![])).http(options(egress));
    let mut call = http("get", url);
    call.redirect = true;
    let call = task(Kind::Http(Box::new(call)));
    perform_with(worker, call, assignment(Value::Null)).await
}

#[track_caller]
fn assert_refused(problem: &Problem, part: &str) {
    let detail = problem.detail.as_deref().unwrap_or_default();
    assert_eq!(kind_of(problem), ("authorization".into(), 403), "{detail}");
    assert!(detail.contains(part), "{detail}");
}

#[tokio::test]
async fn no_spelling_of_an_address_gets_past() {
    let stub = Stub::at([127, 0, 0, 1]).await;
    let port = stub.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "①②⑦.⓪.⓪.①",
        "127%2E0%2E0%2E1",
        "user:password@127.0.0.1",
        "0.0.0.0",
        "0",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST",
    ] {
        let url = format!("http://{host}:{port}/");
        let problem = get(allowing(&[]), &url).await.unwrap_err();
        assert_refused(&problem, "the egress policy of this worker refuses");
        assert!(!problem.detail.unwrap().contains("password"));
    }
    assert_eq!(stub.calls(), 0);
    for (url, rule) in [("http://127.1", "127.0.0.0/8"), ("http://localhost", "localhost")] {
        let reached = get(allowing(&[rule]), &format!("{url}:{port}/")).await;
        assert_eq!(reached.unwrap(), Value::from("reached"), "{url}");
    }
    assert_eq!(stub.calls(), 2);
}

#[tokio::test]
async fn a_redirect_leads_nowhere_else() {
    let (open, closed) = (Stub::at([127, 0, 0, 1]).await, Stub::at([127, 0, 0, 2]).await);
    let to = |host: &str| format!("http://{}/away?{host}:{}/", open.address, closed.port());
    for host in ["127.0.0.2", "2130706434", "[::ffff:127.0.0.2]", "inside.test"] {
        let egress = allowing(&["127.0.0.1"]).resolving(names);
        assert_refused(&get(egress, &to(host)).await.unwrap_err(), "a loopback address");
    }
    assert_eq!((open.calls(), closed.calls()), (4, 0));
    let egress = allowing(&["127.0.0.1", "inside.test"]).resolving(names);
    assert_eq!(get(egress, &to("inside.test")).await.unwrap(), Value::from("reached"));
}

fn names(name: &str) -> Option<Vec<IpAddr>> {
    let of = |last| IpAddr::from([127, 0, 0, last]);
    match name {
        "inside.test" => Some(vec![of(2)]),
        "both.test" => Some(vec![of(2), of(1)]),
        _ => None,
    }
}

#[tokio::test]
async fn a_name_is_judged_by_its_addresses_and_by_rules_about_it() {
    let stub = Stub::at([127, 0, 0, 2]).await;
    let port = stub.port();
    let url = format!("http://inside.test:{port}/");
    let with = |rules: &[&str]| allowing(rules).resolving(names);
    let at = |host: &str, port: u16| format!("{host}:{port}");
    let elsewhere = if port == 1 { 2 } else { 1 };
    for rules in [vec![], vec![at("inside.test", elsewhere)], vec![at("127.0.0.2", elsewhere)]] {
        let rules: Vec<_> = rules.iter().map(String::as_str).collect();
        let problem = get(with(&rules), &url).await.unwrap_err();
        assert_refused(&problem, "inside.test: it resolves to a loopback address");
    }
    assert_eq!(stub.calls(), 0);
    for rule in [at("inside.test", port), at("127.0.0.2", port), "*.test".into(), "*".into()] {
        assert_eq!(get(with(&[&rule]), &url).await.unwrap(), Value::from("reached"), "{rule}");
    }
    let denied = with(&["*"]).deny("127.0.0.2".parse().unwrap());
    assert_refused(&get(denied, &url).await.unwrap_err(), "a rule of --egress-deny");
    assert_eq!(stub.calls(), 4);
}

#[tokio::test]
async fn of_many_addresses_those_that_are_allowed_are_called() {
    let open = Stub::at([127, 0, 0, 1]).await;
    let closed = tokio::net::TcpListener::bind(("127.0.0.2", open.port())).await.unwrap();
    let closed = Stub::on(closed);
    let egress = allowing(&["127.0.0.1"]).resolving(names);
    let url = format!("http://both.test:{}/", open.port());
    assert_eq!(get(egress, &url).await.unwrap(), Value::from("reached"));
    assert_eq!((open.calls(), closed.calls()), (1, 0));
}

#[tokio::test]
async fn a_name_that_changes_is_judged_anew() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    fn rebinding(_: &str) -> Option<Vec<IpAddr>> {
        let first = ASKED.fetch_add(1, Ordering::SeqCst) == 0;
        Some(vec![IpAddr::from([127, 0, 0, if first { 1 } else { 2 }])])
    }
    let open = Stub::at([127, 0, 0, 1]).await;
    let closed = tokio::net::TcpListener::bind(("127.0.0.2", open.port())).await.unwrap();
    let closed = Stub::on(closed);
    let worker =
        builder(Given(vec![])).http(options(allowing(&["127.0.0.1"]).resolving(rebinding)));
    let url = format!("http://changing.test:{}/", open.port());
    let call = task(Kind::Http(Box::new(http("get", &url))));
    let plan = Arc::new(crate::testing::plan(call));
    let worker: Worker = worker.plans(source(plan)).build().unwrap();
    let run = || worker.perform(assignment(Value::Null), CancellationToken::new());
    assert_eq!(run().await.result.unwrap(), Value::from("reached"));
    assert_refused(&run().await.result.unwrap_err(), "changing.test");
    assert_eq!((open.calls(), closed.calls()), (1, 0));
    // One look-up for each connection, which goes to what that look-up gave.
    assert_eq!(ASKED.load(Ordering::SeqCst), 2);
}

/// A server of each protocol on a port of the loopback, each with an operation of that name.
fn described(port: u16) -> String {
    let all = ["amqp", "nats", "mqtt", "ws", "http"].map(|it| {
        let server = json(&format!(r#"{{"host": "127.0.0.1:{port}", "protocol": "{it}"}}"#));
        let operation = json(&format!(
            r##"{{"action": "send", "channel":
                 {{"address": "a", "servers": [{{"$ref": "#/servers/{it}"}}]}}}}"##
        ));
        (it, server, operation)
    });
    let servers = Value::object(all.iter().map(|(it, server, _)| (*it, server.clone())));
    let operations = Value::object(all.iter().map(|(it, _, operation)| (*it, operation.clone())));
    let info = json(r#"{"title": "a", "version": "1"}"#);
    let version = Value::from("3.0.0");
    let whole = [("asyncapi", version), ("info", info), ("servers", servers)];
    Value::object(whole.into_iter().chain([("operations", operations)])).to_json()
}

#[tokio::test]
async fn every_kind_of_call_is_refused_and_counted() {
    let stub = Stub::at([127, 0, 0, 1]).await;
    let (url, port) = (format!("http://{}", stub.address), stub.port());
    let folder = tempfile::tempdir().unwrap();
    let proto = "syntax = \"proto3\"; message A {} service S { rpc M(A) returns (A); }";
    std::fs::write(folder.path().join("a.proto"), proto).unwrap();
    std::fs::write(folder.path().join("asyncapi.json"), described(port)).unwrap();
    let grpc = |proto: &str| {
        format!(
            "call: grpc\n    with: {{ proto: {{ endpoint: '{proto}' }}, method: M, service: {{ \
             name: S, host: 127.0.0.1, port: {port} }} }}"
        )
    };
    let asyncapi = |operation: &str, kind: &str| {
        format!(
            "call: asyncapi\n    with: {{ document: {{ endpoint: 'file:///asyncapi.json' }}, \
             operation: {operation}, {kind} }}"
        )
    };
    let heard = "subscription: { consume: { amount: 1 } }";
    let http = |authentication: &str| {
        format!(
            "call: http\n    with: {{ method: get, endpoint: {{ uri: 'http://1.1.1.1', \
             authentication: {authentication} }} }}"
        )
    };
    let oauth = format!(
        "{{ authority: '{url}', grant: client_credentials, client: {{ id: a, secret: b }} }}"
    );
    for call in [
        format!("call: http\n    with: {{ method: get, endpoint: '{url}' }}"),
        format!("call: openapi\n    with: {{ document: {{ endpoint: '{url}' }}, operationId: a }}"),
        grpc("file:///a.proto"),
        grpc(&url),
        grpc(&format!("grpc-reflection://127.0.0.1:{port}")),
        format!(
            "call: mcp\n    with: {{ method: tools/list, transport: {{ http: {{ endpoint: \
             '{url}' }} }} }}"
        ),
        format!(
            "call: a2a\n    with: {{ method: message/send, server: '{url}', parameters: {{ message: \
             {{ parts: [] }} }} }}"
        ),
        asyncapi("amqp", "message: { payload: 1 }"),
        asyncapi("nats", "message: { payload: 1 }"),
        asyncapi("mqtt", "message: { payload: 1 }"),
        asyncapi("ws", heard),
        asyncapi("http", "message: { payload: 1 }"),
        asyncapi("http", heard),
        http(&format!("{{ oauth2: {oauth} }}")),
        http(&format!("{{ oidc: {oauth} }}")),
        format!("run: {{ script: {{ language: javascript, source: {{ endpoint: '{url}' }} }} }}"),
        format!(
            "call: http\n    with: {{ method: get, endpoint: 'http://1.1.1.1' }}\n    input: {{ \
             schema: {{ resource: {{ endpoint: '{url}' }} }} }}"
        ),
    ] {
        let head = "document: { dsl: '1.0.3', namespace: a, name: a, version: '1.0.0' }";
        let loaded = load(&format!("{head}\ndo:\n- call:\n    {call}\n"), &Options::default());
        let plan = loaded.plan.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let task = plan.tasks.iter().find(|task| task.kind.is_dispatched()).unwrap().index;
        let files = Some(folder.path().to_owned());
        let http = HttpOptions { files, ..options(allowing(&[])) };
        let audited = Audited::default();
        let worker = builder(Given(vec![])).http(http).audit(Arc::new(audited.clone()));
        let worker = worker.plans(source(plan)).build().unwrap();
        let mut given = assignment(json("{}"));
        given.task = task;
        let problem = worker.perform(given, CancellationToken::new()).await.result.unwrap_err();
        assert_refused(&problem, "127.0.0.1: it is a loopback address");
        let mut told = Snapshot::default();
        worker.measured(&mut told);
        let text = Format::wanted(None).write(&told);
        let line = "windlass_worker_egress_refused_total{reason=\"loopback\"} 1\n";
        assert!(text.contains(line), "{call}: {text}");
        let told = audited.take();
        let [event] = &told[..] else { panic!("{call}: {told:?}") };
        assert_eq!(event.action, AuditAction::EgressDenied);
        assert_eq!(event.detail.as_deref(), Some("127.0.0.1: it is a loopback address"));
    }
    assert_eq!(stub.calls(), 0);
}
