//! Traces of instances.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::client::Api;
use crate::support::command::{windlass, windlass_under};
use crate::support::dev::Dev;
use crate::support::otlp::{Collector, Receiver, SeenSpan};
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, until};

/// A caller's trace.
pub(super) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
/// The span of the caller that starts an instance.
pub(super) const CALLER: &str = "b7ad6b7169203331";

fn flags(url: &str) -> Vec<String> {
    vec!["--otlp-endpoint".to_owned(), url.to_owned()]
}

/// Starts an instance in a trace and waits for its end; gives its id.
async fn run(api: &Api, name: &str, traceparent: Option<&str>) -> String {
    let body = json!({"workflow": {"namespace": "t", "name": name}});
    let mut request = api.request(Method::POST, "/v1/instances?wait=60s").json(&body);
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
    }
    let answer = Api::send(request).await.unwrap().ok();
    assert!(answer["status"] == "completed" || answer["status"] == "faulted", "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

pub(super) fn definition(name: &str, body: &str) -> String {
    format!("document: {{dsl: '1.0.3', namespace: t, name: {name}, version: '1.0.0'}}\n{body}\n")
}

/// Asserts that spans make one tree below `root`, none twice, each within its parent.
pub(super) fn connected(spans: &[SeenSpan], root: &str) {
    connected_within(spans, root, 0);
}

/// As [`connected`], of processes whose clocks may be so many nanoseconds apart.
pub(super) fn connected_within(spans: &[SeenSpan], root: &str, slack: u64) {
    let ids: BTreeSet<_> = spans.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids.len(), spans.len(), "one came twice: {spans:#?}");
    let by_id: BTreeMap<_, _> = spans.iter().map(|it| (it.id.as_str(), it)).collect();
    for span in spans {
        assert!(span.start <= span.end, "{span:?}");
        if span.parent == root {
            continue;
        }
        let parent = by_id.get(span.parent.as_str());
        let parent = parent.unwrap_or_else(|| panic!("no parent of {span:?} in {spans:#?}"));
        let (earliest, latest) = (span.start + slack, parent.end + slack);
        assert!(parent.start <= earliest && span.end <= latest, "{span:?} in {parent:?}");
    }
}

/// Those of the coordinator; workers tell theirs inside them.
pub(super) fn ours(spans: Vec<SeenSpan>) -> Vec<SeenSpan> {
    let is_ours = |it: &SeenSpan| {
        ["workflow ", "task ", "deliver "].iter().any(|kind| it.name.starts_with(kind))
    };
    spans.into_iter().filter(is_ours).collect()
}

pub(super) fn named<'s>(spans: &'s [SeenSpan], name: &str) -> Vec<&'s SeenSpan> {
    spans.iter().filter(|it| it.name == name).collect()
}

#[tokio::test]
async fn a_start_with_a_traceparent_is_one_connected_trace() {
    let receiver = Receiver::start().await;
    let collector = Collector::before(&receiver).await;
    let failures = std::sync::atomic::AtomicUsize::new(0);
    let stub =
        Stub::http(move |_| match failures.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Reply::Json(503, json!({})),
            _ => Reply::Json(200, json!({"ok": true})),
        })
        .await;
    let dev = Dev::with(&flags(&collector.http())).await;
    dev.api.deploy_text(&definition("child", "do: [{inner: {set: {a: 1}}}]")).await.ok();
    let body = format!(
        "do:\n- first: {{set: {{a: 1}}}}\n- tried:\n    try: [{{fetch: {{call: http, with: {{method: get, endpoint: '{}'}}}}}}]\n    \
         catch: {{errors: {{with: {{status: 503}}}}, retry: {{limit: {{attempt: {{count: 3}}}}}}}}\n\
         - sub: {{run: {{workflow: {{namespace: t, name: child, version: '1.0.0'}}}}}}\n\
         - told: {{emit: {{event: {{with: {{source: 'https://x.example', type: t.done}}}}}}}}",
        stub.url("/x")
    );
    dev.api.deploy_text(&definition("parent", &body)).await.ok();
    let id = run(&dev.api, "parent", Some(&format!("00-{TRACE}-{CALLER}-01"))).await;

    let spans = receiver.trace(TRACE, "workflow t/parent").await;
    let ours = ours(spans.clone());
    connected(&ours, CALLER);
    let root = named(&ours, "workflow t/parent")[0];
    assert_eq!((root.parent.as_str(), root.kind), (CALLER, 2), "a server's span: {root:?}");
    assert_eq!(root.attributes["windlass.instance.id"], json!(id));
    assert_eq!(root.attributes["windlass.instance.status"], json!("completed"));
    assert_eq!(root.resource["service.name"], json!("windlass"));
    assert_eq!(root.resource["deployment.environment.name"], json!("default"));
    let tried = named(&ours, "task tried")[0];
    assert_eq!(tried.attributes["windlass.task.attempts"], json!(2), "{tried:?}");
    assert!(tried.events.iter().any(|it| it == "retry"), "{tried:?}");
    let fetched = named(&ours, "task fetch");
    assert_eq!(fetched.len(), 2, "{ours:#?}");
    assert_eq!(fetched.iter().filter(|it| it.failed).count(), 1, "{fetched:?}");
    assert!(fetched.iter().all(|it| it.parent == tried.id));
    let sent = named(&ours, "deliver fetch");
    assert_eq!(sent.len(), 2);
    // What is called is called within the delivery's span, or one of the worker's inside it.
    let inside: BTreeSet<_> = spans.iter().map(|it| it.id.clone()).collect();
    for seen in stub.seen() {
        let parent = seen.header("traceparent").unwrap();
        assert_eq!(&parent[3..35], TRACE);
        assert!(inside.contains(&parent[36..52]), "{parent} is not among {spans:#?}");
        assert!(parent.ends_with("-01"));
    }
    // The child is a trace of its own, with links both ways.
    let sub = named(&ours, "task sub")[0];
    let child = sub.attributes["windlass.child.id"].as_str().unwrap().to_owned();
    let children = receiver.trace(&child, "workflow t/child").await;
    let root = named(&children, "workflow t/child")[0];
    assert_eq!(root.links, [(TRACE.to_owned(), sub.id.clone())]);
    assert_eq!(sub.links, [(root.trace.clone(), root.id.clone())]);
    let told = named(&ours, "task told")[0];
    assert_eq!(told.attributes["cloudevents.event_type"], json!("t.done"));
    assert!(spans.iter().all(|it| !it.attributes.values().any(Value::is_null)));
}

/// Tells it to end, and waits until it has.
async fn stop(dev: &mut Dev) {
    dev.process().signal(Signal::TERM);
    let status = dev.process().wait().await;
    assert!(status.success(), "{}", dev.stderr());
}

fn of(spans: &[SeenSpan], instance: &str) -> Vec<SeenSpan> {
    let trace = instance.replace('-', "");
    spans.iter().filter(|it| it.trace == trace).cloned().collect()
}

#[tokio::test]
async fn what_faults_is_told_whole_though_it_was_not_sampled() {
    let receiver = Receiver::start().await;
    let collector = Collector::before(&receiver).await;
    let mut flags = flags(&collector.grpc());
    flags.extend(["--otlp-protocol", "grpc", "--trace-ratio", "0"].map(str::to_owned));
    let mut dev = Dev::with(&flags).await;
    dev.api.deploy_text(&definition("good", "do: [{a: {set: {a: 1}}}]")).await.ok();
    let raise =
        "raise: {error: {type: 'https://x.example/broken', status: 500, title: hidden-title}}";
    let body = format!("do: [{{a: {{set: {{a: 1}}}}}}, {{b: {{do: [{{c: {{{raise}}}}}]}}}}]");
    dev.api.deploy_text(&definition("bad", &body)).await.ok();
    let good = run(&dev.api, "good", None).await;
    let bad = run(&dev.api, "bad", None).await;
    let called = run(&dev.api, "bad", Some(&format!("00-{TRACE}-{CALLER}-00"))).await;
    let told = receiver.trace(&bad, "workflow t/bad").await;
    connected(&told, "");
    let names: Vec<_> = told.iter().map(|it| (it.name.as_str(), it.failed)).collect();
    for expected in [("task a", false), ("task b", true), ("task c", true)] {
        assert!(names.contains(&expected), "{expected:?} in {names:?}");
    }
    let root = named(&told, "workflow t/bad")[0];
    assert_eq!(root.attributes["error.type"], json!("https://x.example/broken"));
    let told = receiver.trace(TRACE, "workflow t/bad").await;
    connected(&told, CALLER);
    assert_eq!(told[0].attributes["windlass.instance.id"], json!(called));
    stop(&mut dev).await;
    let spans = receiver.spans();
    assert_eq!(of(&spans, &good), Vec::new(), "nobody asked for it");
    let raw: Vec<u8> = receiver.exports().into_iter().flat_map(|it| it.body).collect();
    assert!(!String::from_utf8_lossy(&raw).contains("hidden-title"));
}

#[tokio::test]
async fn a_long_loop_is_a_bounded_number_of_spans() {
    let receiver = Receiver::start().await;
    let stub = Stub::http(|_| Reply::Json(200, json!({}))).await;
    let dev = Dev::with(&flags(&receiver.url())).await;
    let body = format!(
        "do:\n- all: {{for: {{each: i, in: '${{ [range(0; 1500)] }}'}}, do: [{{one: {{set: {{a: 1}}}}}}]}}\n\
         - last: {{call: http, with: {{method: get, endpoint: '{}'}}}}",
        stub.url("/x")
    );
    dev.api.deploy_text(&definition("loop", &body)).await.ok();
    let id = run(&dev.api, "loop", None).await;
    let spans = receiver.trace(&id, "workflow t/loop").await;
    connected(&spans, "");
    assert_eq!(named(&spans, "task one").len(), 999);
    let all = named(&spans, "task all")[0];
    assert_eq!(all.attributes["windlass.task.iterations"], json!(1500));
    assert_eq!(all.attributes["windlass.visits.untraced"], json!(501), "{all:?}");
    let durations = all.attributes["windlass.visits.untraced.durations"].as_array().unwrap();
    let counted: i64 = durations.iter().filter_map(Value::as_i64).sum();
    assert_eq!((durations.len(), counted), (8, 501));
    let root = named(&spans, "workflow t/loop")[0];
    assert_eq!(root.attributes["windlass.instance.visits"], json!(1502));
    assert_eq!(root.attributes["windlass.visits.untraced"], json!(1), "{root:?}");
    // Nor has a worker's attempt a span; whoever is called learns of the one around.
    assert!(!spans.iter().any(|it| it.name.ends_with(" last")), "{spans:#?}");
    let seen = stub.seen().pop().unwrap();
    let around = format!("00-{}-{}-00", root.trace, root.id);
    assert_eq!(seen.header("traceparent"), Some(around.as_str()));
}

#[tokio::test]
async fn a_restart_goes_on_with_the_same_trace() {
    let receiver = Receiver::start().await;
    let (open, gate) = tokio::sync::watch::channel(false);
    let stub = Stub::http(move |_| {
        Reply::Gated(gate.clone(), Box::new(Reply::Json(200, json!({"ok": true}))))
    })
    .await;
    let mut dev = Dev::with(&flags(&receiver.url())).await;
    let body = format!(
        "do: [{{first: {{set: {{a: 1}}}}}}, {{inside: {{do: [{{slow: {{call: http, with: {{method: get, \
         endpoint: '{}'}}}}}}]}}}}, {{last: {{set: {{a: 2}}}}}}]",
        stub.url("/slow")
    );
    dev.api.deploy_text(&definition("slow", &body)).await.ok();
    let body = json!({"workflow": {"namespace": "t", "name": "slow"}});
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let request = dev.api.request(Method::POST, "/v1/instances").json(&body);
    Api::send(request.header("traceparent", traceparent)).await.unwrap().ok();
    until(SOON, "the call", || std::future::ready((stub.count("/slow") > 0).then_some(()))).await;
    // What has ended is with the receiver, so that it would come twice if it were told again.
    receiver.trace(TRACE, "task first").await;
    // And it is known here: what is on its way when a process is killed may come twice.
    until(SOON, "the answer of the collector", || async {
        let metrics = dev.api.get("/metrics").await.body;
        let taken = "windlass_telemetry_items_total{signal=\"traces\",outcome=\"exported\"}";
        let mut lines = metrics.as_str().unwrap().lines();
        lines.any(|it| it.starts_with(taken) && !it.ends_with(" 0")).then_some(())
    })
    .await;
    dev.restart().await;
    open.send_replace(true);
    let spans = receiver.trace(TRACE, "workflow t/slow").await;
    stop(&mut dev).await;
    let spans: Vec<_> =
        receiver.spans().into_iter().filter(|it| spans[0].trace == it.trace).collect();
    let ours = ours(spans.clone());
    connected(&ours, CALLER);
    for name in
        ["workflow t/slow", "task first", "task inside", "task slow", "deliver slow", "task last"]
    {
        assert_eq!(named(&ours, name).len(), 1, "{name}: {ours:#?}");
    }
    let parents: BTreeSet<_> =
        stub.seen().iter().map(|it| it.header("traceparent").unwrap().to_owned()).collect();
    assert!(!parents.is_empty() && parents.iter().all(|it| &it[3..35] == TRACE));
}

#[tokio::test]
async fn what_a_crash_kept_from_the_collector_is_told_after_it() {
    let receiver = Receiver::start().await;
    // Nothing is sent before the crash.
    let wrapper = ["env", "OTEL_BSP_SCHEDULE_DELAY=600000"].map(str::to_owned);
    let mut dev = Dev::wrapped(&wrapper, &flags(&receiver.url())).await;
    let body = "do: [{a: {set: {a: 1}}}, {b: {do: [{c: {set: {a: 1}}}]}}]";
    dev.api.deploy_text(&definition("early", body)).await.ok();
    let early = run(&dev.api, "early", None).await;
    dev.restart().await;
    let late = run(&dev.api, "early", None).await;
    stop(&mut dev).await;
    let spans = receiver.spans();
    for instance in [&early, &late] {
        let spans = of(&spans, instance);
        connected(&spans, "");
        assert_eq!(spans.len(), 4, "{spans:#?}");
    }
    // What a collector has is not told again.
    dev.launch();
    dev.ready().await;
    run(&dev.api, "early", None).await;
    stop(&mut dev).await;
    for instance in [&early, &late] {
        assert_eq!(of(&receiver.spans(), instance).len(), 4);
    }
}

#[tokio::test]
async fn what_found_no_room_is_told_by_the_processes_after_it_and_then_no_more() {
    let receiver = Receiver::start().await;
    // Nothing is sent before the end.
    let small = ["env", "OTEL_BSP_SCHEDULE_DELAY=600000", "OTEL_BSP_MAX_QUEUE_SIZE=3"];
    let wrapper = small.map(str::to_owned);
    let mut dev = Dev::wrapped(&wrapper, &flags(&receiver.url())).await;
    // One process tells no more than three.
    let body = "do: [{a: {set: {a: 1}}}, {b: {do: [{c: {set: {a: 1}}}, {d: {set: {a: 1}}}]}}]";
    dev.api.deploy_text(&definition("many", body)).await.ok();
    let id = run(&dev.api, "many", None).await;
    for _ in 0..3 {
        stop(&mut dev).await;
        let spans = of(&receiver.spans(), &id);
        let ids: BTreeSet<_> = spans.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(spans.len(), ids.len(), "one came twice: {spans:#?}");
        let lives = std::fs::read_to_string(dev.data().join("traces.lives")).unwrap();
        assert_eq!(lives.is_empty(), spans.len() == 5, "{lives}");
        dev.launch();
        dev.ready().await;
        // What is left is read from the journal, and waits.
        let waits =
            format!("windlass_telemetry_items_waiting{{signal=\"traces\"}} {}", 5 - ids.len());
        until(SOON, "what is left", || async {
            let metrics = dev.api.get("/metrics").await.body;
            metrics.as_str().unwrap().lines().any(|it| it == waits).then_some(())
        })
        .await;
    }
    assert_eq!(of(&receiver.spans(), &id).len(), 5);
    connected(&of(&receiver.spans(), &id), "");
}

#[tokio::test]
async fn what_ran_without_telemetry_is_not_told_later() {
    let receiver = Receiver::start().await;
    // Nothing is sent before a crash.
    let wrapper = ["env", "OTEL_BSP_SCHEDULE_DELAY=600000"].map(str::to_owned);
    let on = flags(&receiver.url());
    let mut dev = Dev::wrapped(&wrapper, &on).await;
    dev.api.deploy_text(&definition("one", "do: [{a: {set: {a: 1}}}]")).await.ok();
    let recorded = run(&dev.api, "one", None).await;
    dev.flags(&[]);
    dev.restart().await;
    let quiet = run(&dev.api, "one", None).await;
    dev.flags(&on);
    dev.restart().await;
    stop(&mut dev).await;
    assert_eq!(of(&receiver.spans(), &recorded).len(), 2, "a crash kept it from the collector");
    assert_eq!(of(&receiver.spans(), &quiet), Vec::new(), "nobody asked for it");
    // Nor is what a smaller share has left out.
    dev.flags(&[on.clone(), ["--trace-ratio", "0"].map(str::to_owned).to_vec()].concat());
    dev.launch();
    dev.ready().await;
    let left_out = run(&dev.api, "one", None).await;
    dev.flags(&on);
    dev.restart().await;
    stop(&mut dev).await;
    assert_eq!(of(&receiver.spans(), &left_out), Vec::new());
    assert_eq!(of(&receiver.spans(), &recorded).len(), 2, "and what was told is not told again");
}

#[tokio::test]
async fn events_say_of_the_trace_they_were_sent_in() {
    let receiver = Receiver::start().await;
    let dev = Dev::with(&flags(&receiver.url())).await;
    let body = "do: [{heard: {listen: {to: {one: {with: {type: t.told}}}, read: envelope}}}]";
    dev.api.deploy_text(&definition("hears", body)).await.ok();
    let body = "do: [{told: {emit: {event: {with: {source: 'https://x.example', type: t.told}}}}}]";
    dev.api.deploy_text(&definition("tells", body)).await.ok();
    let body = json!({"workflow": {"namespace": "t", "name": "hears"}});
    let hears = dev.api.post("/v1/instances", &body).await.ok()["id"].as_str().unwrap().to_owned();
    dev.api.reaches(&hears, "waiting").await;
    let tells = run(&dev.api, "tells", None).await;
    let told = receiver.trace(&tells, "workflow t/tells").await;
    let told = named(&told, "task told")[0].clone();
    assert_eq!(told.kind, 4, "a producer: {told:?}");
    let heard = receiver.trace(&hears, "workflow t/hears").await;
    let heard = named(&heard, "task heard")[0];
    assert_eq!(heard.links, [(told.trace.clone(), told.id.clone())]);
    let output = dev.api.get(&format!("/v1/instances/{hears}/output")).await.ok();
    let parent = output["output"][0]["traceparent"].as_str().unwrap_or_else(|| panic!("{output}"));
    assert_eq!(parent, format!("00-{}-{}-01", told.trace, told.id));
}

#[tokio::test]
async fn a_collector_that_fails_stops_nobody() {
    type Answer = Box<dyn Fn(&crate::support::stub::Seen) -> Reply + Send + Sync>;
    let cases: [(&str, bool, Answer); 6] = [
        ("too many", true, Box::new(|_| Reply::Json(429, json!({})))),
        ("too large", true, Box::new(|_| Reply::Json(413, json!({})))),
        ("redirects", true, Box::new(|_| Reply::Redirect(302, "/elsewhere".to_owned()))),
        ("silent", true, Box::new(|_| Reply::Never)),
        ("slow", true, Box::new(|_| Reply::After(SOON, Box::new(Reply::Json(200, json!({})))))),
        ("garbage", false, Box::new(|_| Reply::Text(200, "\u{1}\u{2}garbage".repeat(100)))),
    ];
    for (what, is_told, answer) in cases {
        let stub = Stub::http(answer).await;
        let mut dev = Dev::with(&flags(&stub.url(""))).await;
        dev.api.deploy_text(&definition("good", "do: [{a: {set: {a: 1}}}]")).await.ok();
        run(&dev.api, "good", None).await;
        stop(&mut dev).await;
        let told = dev.stderr().contains("not all telemetry has reached the collector");
        assert_eq!(told, is_told, "{what}: {}", dev.stderr());
        assert_eq!(stub.count("/elsewhere"), 0, "redirects are not followed");
        assert!(stub.count("/v1/traces") > 0, "{what}");
    }
    // Nobody is there at all.
    let port = crate::support::ports::free();
    let mut dev = Dev::with(&flags(&format!("http://127.0.0.1:{port}"))).await;
    dev.api.deploy_text(&definition("good", "do: [{a: {set: {a: 1}}}]")).await.ok();
    run(&dev.api, "good", None).await;
    stop(&mut dev).await;
}

#[tokio::test]
async fn what_makes_no_sense_is_said_at_the_start() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
    ];
    let output = windlass_under(&variables, &["dev", "--bind", "127.0.0.1:0"]).await.exits(1);
    assert!(output.stderr.contains("WL0717"), "{output:?}");
    assert!(output.stderr.contains("OTEL_TRACES_SAMPLER"), "{output:?}");
    // What is no text is not as if it had not been set.
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", OsStr::from_bytes(b"http://127.0.0.1\xff:9"))];
    let output = windlass_under(&variables, &["dev", "--bind", "127.0.0.1:0"]).await.exits(1);
    assert!(output.stderr.contains("OTEL_EXPORTER_OTLP_ENDPOINT: write a URL"), "{output:?}");
}

#[tokio::test]
async fn without_telemetry_a_callers_trace_is_passed_on_as_it_came() {
    let stub = Stub::http(|_| Reply::Json(200, json!({"ok": true}))).await;
    let dev = Dev::start().await;
    let body = "do: [{heard: {listen: {to: {one: {with: {type: t.told}}}, read: envelope}}}]";
    dev.api.deploy_text(&definition("hears", body)).await.ok();
    let body = format!(
        "do:\n- fetch: {{call: http, with: {{method: get, endpoint: '{}'}}}}\n\
         - told: {{emit: {{event: {{with: {{source: 'https://x.example', type: t.told}}}}}}}}",
        stub.url("/x")
    );
    dev.api.deploy_text(&definition("tells", &body)).await.ok();
    let hears = json!({"workflow": {"namespace": "t", "name": "hears"}});
    let sent = format!("00-{TRACE}-{CALLER}-00");
    for traceparent in [Some(sent.as_str()), None] {
        let started = dev.api.post("/v1/instances", &hears).await.ok();
        let id = started["id"].as_str().unwrap();
        dev.api.reaches(id, "waiting").await;
        run(&dev.api, "tells", traceparent).await;
        let output = dev.api.ends(id).await;
        let event = &output["output"][0];
        assert_eq!(event.get("traceparent").and_then(Value::as_str), traceparent, "{output}");
        assert_eq!(stub.seen().last().unwrap().header("traceparent"), traceparent);
    }
}

/// What vendors add to a trace goes where the trace goes, whoever takes spans meanwhile.
#[tokio::test]
async fn what_vendors_add_to_a_trace_goes_on_with_it() {
    let stub = Stub::http(|_| Reply::Json(200, json!({"ok": true}))).await;
    let receiver = Receiver::start().await;
    let hears = "do: [{heard: {listen: {to: {one: {with: {type: t.told}}}, read: envelope}}}]";
    let tells = format!(
        "do:\n- fetch: {{call: http, with: {{method: get, endpoint: '{}'}}}}\n\
         - told: {{emit: {{event: {{with: {{source: 'https://x.example', type: t.told}}}}}}}}",
        stub.url("/x")
    );
    let start = json!({"workflow": {"namespace": "t", "name": "tells"}});
    for flags in [Vec::new(), flags(&receiver.url())] {
        let dev = Dev::with(&flags).await;
        dev.api.deploy_text(&definition("hears", hears)).await.ok();
        dev.api.deploy_text(&definition("tells", &tells)).await.ok();
        for (state, kept) in [(" rojo=1,, a@b=2 ", Some("rojo=1,a@b=2")), ("Rojo=1", None)] {
            let body = json!({"workflow": {"namespace": "t", "name": "hears"}});
            let started = dev.api.post("/v1/instances", &body).await.ok();
            let id = started["id"].as_str().unwrap();
            dev.api.reaches(id, "waiting").await;
            let request = dev.api.request(Method::POST, "/v1/instances?wait=60s").json(&start);
            let request = request.header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
            Api::send(request.header("tracestate", state)).await.unwrap().ok();
            assert_eq!(stub.seen().last().unwrap().header("tracestate"), kept, "{flags:?}");
            let output = dev.api.ends(id).await;
            let event = &output["output"][0];
            assert_eq!(event.get("tracestate").and_then(Value::as_str), kept, "{output}");
        }
        if !flags.is_empty() {
            let spans = receiver.trace(TRACE, "workflow t/tells").await;
            let states: BTreeSet<_> = spans.iter().map(|it| it.state.as_str()).collect();
            assert!(states.contains("rojo=1,a@b=2"), "{states:?}");
        }
    }
}

#[tokio::test]
async fn a_start_by_the_command_line_takes_a_traceparent() {
    let receiver = Receiver::start().await;
    let dev = Dev::with(&flags(&receiver.url())).await;
    dev.api.deploy_text(&definition("good", "do: [{a: {set: {a: 1}}}]")).await.ok();
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let url = dev.api.base();
    let start = ["start", "t/good", "--wait", "60s", "--url", &url, "--traceparent", &traceparent];
    let state = ["--tracestate", "a=1"];
    windlass(&[&start[..], &state].concat()).await.exits(0);
    let spans = receiver.trace(TRACE, "workflow t/good").await;
    let span = named(&spans, "workflow t/good")[0];
    assert_eq!((span.parent.as_str(), span.state.as_str()), (CALLER, "a=1"));
    windlass(&[&start[..], &["--tracestate", "A"]].concat()).await.exits(2);
    let refused = ["start", "t/good", "--url", &url, "--traceparent", "00-1-2-01"];
    windlass(&refused).await.exits(2);
}
