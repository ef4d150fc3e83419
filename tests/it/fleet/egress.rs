//! Workers of a fleet call the internet alone unless they are told otherwise; `dev` says that it
//! calls everything.

use serde_json::{Value, json};

use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::ports;
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, until};

/// A workflow that calls what its input says.
const CALLS: &str = "\
document: { dsl: '1.0.3', namespace: egress, name: calls, version: '1.0.0' }
do:
- call:
    call: http
    with: { method: get, endpoint: '${ .url }', redirect: true }
";

async fn stub() -> Stub {
    Stub::http(|seen| match seen.query.strip_prefix("to=") {
        Some(to) => Reply::Redirect(302, to.to_owned()),
        None => Reply::Json(200, json!("reached")),
    })
    .await
}

/// Runs the workflow at each URL; gives what became of it.
async fn called(api: &Api, workflow: &Value, url: &str) -> Value {
    let view = api.run(workflow, &json!({"url": url})).await;
    if view["status"] == "completed" { view["output"].clone() } else { view["error"].clone() }
}

/// Waits until the audit trail has these refusals, oldest first: tasks, and what was refused.
async fn audited(api: &Api, expected: &[(&str, &str)]) -> Vec<Value> {
    let expected: Vec<_> = expected.iter().map(|(task, why)| json!([task, why])).collect();
    let told = || async {
        let page = api.get("/v1/audit?after=0&limit=1000&action=egress.denied").await.ok();
        let items = page["items"].as_array().unwrap().clone();
        (items.len() >= expected.len()).then_some(items)
    };
    let told = until(SOON, "the refusals in the audit trail", told).await;
    let parts: Vec<_> = told.iter().map(|it| json!([it["task"]["task"], it["detail"]])).collect();
    assert_eq!(parts, expected);
    told
}

#[track_caller]
fn assert_refused(error: &Value, part: &str) {
    let kind = error["type"].as_str().unwrap_or_default();
    assert!(kind.ends_with("/errors/authorization"), "{error}");
    assert_eq!(error["status"], 403, "{error}");
    assert!(error["detail"].as_str().unwrap().contains(part), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_calls_this_machine_only_where_it_is_allowed() {
    let (nats, stub, other) = (Nats::start().await, stub().await, stub().await);
    let health = format!("127.0.0.1:{}", ports::free());
    let layout = Layout::on(&nats.url(), 1).worker(&["--health", &health]);
    let mut fleet = Fleet::prepare(layout).await;
    let allow = |fleet: &mut Fleet, rules: String| {
        let variables = &mut fleet.workers[0].variables;
        variables.retain(|(name, _)| name != "WINDLASS_EGRESS_ALLOW");
        variables.push(("WINDLASS_EGRESS_ALLOW".to_owned(), rules));
    };
    allow(&mut fleet, "203.0.113.0/24".to_owned());
    fleet.coordinator.launch();
    fleet.workers[0].launch();
    fleet.ready().await;
    let workflow = fleet.api.deploy(CALLS).await;
    let port = stub.address.port();
    for host in ["127.0.0.1", "2130706433", "localhost", "[::ffff:127.0.0.1]"] {
        let error = called(&fleet.api, &workflow, &format!("http://{host}:{port}/")).await;
        assert_refused(&error, "a loopback address; whoever runs the worker can allow it with ");
    }
    let error = called(&fleet.api, &workflow, "http://169.254.169.254/latest/meta-data/").await;
    assert_refused(&error, "a cloud's metadata service");
    assert_eq!(stub.seen().len(), 0);
    let log = fleet.workers[0].stderr();
    assert!(log.contains("tasks may call addresses of the internet, 203.0.113.0/24"), "{log}");
    let line = log.lines().find(|it| it.contains("egress") && it.contains("localhost"));
    assert!(line.is_some_and(|it| it.contains("reason=\"loopback\"")), "{log}");
    let metrics = Api::new(&format!("http://{health}")).get("/metrics").await.body;
    let metrics = metrics.as_str().unwrap();
    for line in ["reason=\"loopback\"} 4\n", "reason=\"metadata\"} 1\n"] {
        let line = format!("windlass_worker_egress_refused_total{{{line}");
        assert!(metrics.contains(&line), "{metrics}");
    }

    allow(&mut fleet, format!("127.0.0.1:{port}"));
    fleet.restart_worker(0).await;
    let reached = called(&fleet.api, &workflow, &stub.url("/")).await;
    assert_eq!(reached, json!("reached"));
    let away = stub.url(&format!("/?to={}", other.url("/")));
    assert_refused(&called(&fleet.api, &workflow, &away).await, "a loopback address");
    assert_eq!((stub.seen().len(), other.seen().len()), (2, 0));
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_asked_for_names_only_where_it_is_trusted_or_they_are_allowed() {
    let (nats, proxy) = (Nats::start().await, stub().await);
    let mut fleet = Fleet::prepare(Layout::on(&nats.url(), 1)).await;
    let variables = &mut fleet.workers[0].variables;
    variables.retain(|(name, _)| name != "WINDLASS_EGRESS_ALLOW");
    variables.push(("WINDLASS_EGRESS_ALLOW".to_owned(), "allowed.test".to_owned()));
    for name in ["http_proxy", "HTTP_PROXY"] {
        variables.push((name.to_owned(), proxy.url("")));
    }
    for name in ["no_proxy", "NO_PROXY"] {
        variables.push((name.to_owned(), "localhost".to_owned()));
    }
    fleet.coordinator.launch();
    fleet.workers[0].launch();
    fleet.ready().await;
    let log = fleet.workers[0].stderr();
    assert!(log.contains("through the proxy only names that --egress-allow has"), "{log}");
    let workflow = fleet.api.deploy(CALLS).await;
    let reached = called(&fleet.api, &workflow, "http://allowed.test/").await;
    assert_eq!(reached, json!("reached"));
    let error = called(&fleet.api, &workflow, "http://other.test/").await;
    assert_refused(&error, "or leave all names to the proxy with --egress-trust-proxy");
    // Not through the proxy, which it is, and not to the proxy itself.
    let itself = format!("http://localhost:{}/", proxy.address.port());
    let error = called(&fleet.api, &workflow, &itself).await;
    assert_refused(&error, "it resolves to a loopback address");
    assert_eq!(proxy.seen().len(), 1);

    let trust = ("WINDLASS_EGRESS_TRUST_PROXY".to_owned(), "true".to_owned());
    fleet.workers[0].variables.push(trust);
    fleet.restart_worker(0).await;
    let reached = called(&fleet.api, &workflow, "http://other.test/").await;
    assert_eq!(reached, json!("reached"));
    for host in ["10.0.0.1", "0x7f000001", "[::1]", "localhost."] {
        let error = called(&fleet.api, &workflow, &format!("http://{host}/")).await;
        assert_refused(&error, "the egress policy of this worker refuses");
    }
    assert_eq!(proxy.seen().len(), 2);
    let hosts: Vec<_> = proxy.seen().iter().map(|it| it.host.clone()).collect();
    assert_eq!(hosts, ["allowed.test", "other.test"]);
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_calls_this_machine_and_says_so_unless_a_rule_refuses_it() {
    let stub = stub().await;
    let dev = Dev::start().await;
    let said = "tasks may call every address, those of this machine and its networks as well";
    until(SOON, "the message", || async { dev.stderr().contains(said).then_some(()) }).await;
    let workflow = dev.api.deploy(CALLS).await;
    assert_eq!(called(&dev.api, &workflow, &stub.url("/")).await, json!("reached"));
    let dev = Dev::with(&["--egress-deny", "127.0.0.0/8"].map(str::to_owned)).await;
    let workflow = dev.api.deploy(CALLS).await;
    let error = called(&dev.api, &workflow, &stub.url("/")).await;
    assert_refused(&error, "a rule of --egress-deny names it");
    let denied = "127.0.0.1: a rule of --egress-deny names it (127.0.0.0/8)";
    audited(&dev.api, &[("/do/0/call", denied)]).await;
    assert_eq!(stub.seen().len(), 1);
}

/// A description of a server of NATS and one of WebSocket that may not be called.
const DESCRIBED: &str = r##"{"asyncapi": "3.0.0", "info": {"title": "a", "version": "1"},
    "servers": {"bus": {"host": "127.0.0.2:4222", "protocol": "nats"},
                "web": {"host": "127.0.0.2:80", "protocol": "ws"}},
    "operations": {
      "bus": {"action": "send", "channel": {"address": "a", "servers": [{"$ref": "#/servers/bus"}]}},
      "web": {"action": "send", "channel": {"address": "a", "servers": [{"$ref": "#/servers/web"}]}}
    }}"##;

/// Calls of each kind that lead where they may not, each a task that fails and is caught.
fn refused_calls(stub: &str) -> Vec<(&'static str, String)> {
    let get = |endpoint: &str| format!("call: http\nwith: {{ method: get, {endpoint} }}");
    let oauth2 = "{ authority: 'http://id.denied.test/path-of-it', grant: client_credentials, \
                  client: { id: a, secret: word-of-it } }";
    let asyncapi = |operation: &str| {
        format!(
            "call: asyncapi\nwith: {{ document: {{ endpoint: '{stub}/asyncapi' }}, operation: \
             {operation}, message: {{ payload: 1 }} }}"
        )
    };
    vec![
        ("literal", get("endpoint: 'http://me:word-of-it@127.0.0.2/path-of-it?query-of-it=1'")),
        ("number", get("endpoint: 'http://2130706434/'")),
        ("name", get("endpoint: 'https://db.denied.test:8443/path-of-it'")),
        ("hop", get(&format!("endpoint: '{stub}/?to=http://127.0.0.2/path-of-it', redirect: true"))),
        (
            "token",
            get(&format!(
                "endpoint: {{ uri: '{stub}/', authentication: {{ oauth2: {oauth2} }} }}"
            )),
        ),
        (
            "grpc",
            "call: grpc\nwith: { proto: { endpoint: 'grpc-reflection://127.0.0.2:99' }, method: M, \
             service: { name: S, host: 127.0.0.2, port: 99 } }"
                .to_owned(),
        ),
        (
            "mcp",
            "call: mcp\nwith: { method: tools/list, transport: { http: { endpoint: \
             'http://127.0.0.2/path-of-it' } } }"
                .to_owned(),
        ),
        (
            "a2a",
            "call: a2a\nwith: { method: message/send, server: 'http://127.0.0.2/path-of-it', \
             parameters: { message: { parts: [] } } }"
                .to_owned(),
        ),
        ("bus", asyncapi("bus")),
        ("web", asyncapi("web")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_in_the_audit_trail() {
    let nats = Nats::start().await;
    let stub = Stub::http(|seen| match seen.query.strip_prefix("to=") {
        _ if seen.path == "/asyncapi" => Reply::Json(200, serde_json::from_str(DESCRIBED).unwrap()),
        Some(to) => Reply::Redirect(302, to.to_owned()),
        None => Reply::Json(200, json!("reached")),
    })
    .await;
    let mut fleet = Fleet::prepare(Layout::on(&nats.url(), 1)).await;
    let variables = &mut fleet.workers[0].variables;
    variables.retain(|(name, _)| name != "WINDLASS_EGRESS_ALLOW");
    for (name, rules) in [("ALLOW", "127.0.0.1"), ("DENY", "*.denied.test")] {
        variables.push((format!("WINDLASS_EGRESS_{name}"), rules.to_owned()));
    }
    fleet.coordinator.launch();
    fleet.workers[0].launch();
    fleet.ready().await;
    let calls = refused_calls(&stub.url(""));
    let mut text = CALLS.split("do:").next().unwrap().replace("calls", "refused") + "do:\n";
    for (name, call) in &calls {
        text += &format!("- {name}:\n    try:\n    - it:\n");
        call.lines().for_each(|line| text += &format!("        {line}\n"));
        text += "    catch: { errors: { with: { status: 403 } } }\n";
    }
    let view = fleet.api.run(&fleet.api.deploy(&text).await, &json!({})).await;
    assert_eq!(view["status"], "completed", "{view}");
    let (literal, name) = (
        "127.0.0.2: it is a loopback address",
        "db.denied.test: a rule of --egress-deny names it (*.denied.test)",
    );
    let expected: Vec<_> = calls
        .iter()
        .enumerate()
        .map(|(at, (task, _))| {
            let why = match *task {
                "name" => name.to_owned(),
                "token" => name.replace("db.", "id."),
                _ => literal.to_owned(),
            };
            (format!("/do/{at}/{task}/try/0/it"), why)
        })
        .collect();
    let expected: Vec<_> = expected.iter().map(|(task, why)| (&**task, &**why)).collect();
    let told = audited(&fleet.api, &expected).await;
    for event in &told {
        assert_eq!(event["success"], false, "{event}");
        assert_eq!(event["task"]["instance"], view["id"], "{event}");
        assert_eq!(event["task"]["workflow"]["namespace"], "egress", "{event}");
        assert!(event["worker"].as_str().is_some_and(|it| !it.is_empty()), "{event}");
        let text = event.to_string();
        assert!(!["path-of-it", "query-of-it", "word-of-it"].iter().any(|it| text.contains(it)));
    }
    fleet.assert_sound();
}
