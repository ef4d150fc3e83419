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
    assert_eq!(stub.seen().len(), 1);
}
