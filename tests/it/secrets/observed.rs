//! What a collector hears of a task that uses a secret: one tree of spans, log lines and audit events
//! that lead to it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::house::{House, Wishes};
use crate::support::otlp::{Collector, Receiver, SeenSpan};
use crate::support::stub::{Reply, Seen, Stub};
use crate::support::until::{SOON, until};

const WORKFLOW: &str = "document: {dsl: '1.0.3', namespace: acme, name: observed, version: '1.0.0'}
use: {secrets: [api-key]}
do:
- tell: {call: log, with: {message: 'said within a task'}}
- pay:
    call: http
    with:
      method: post
      endpoint: {uri: 'ECHO/pay', authentication: {bearer: {token: '${ $secrets[\"api-key\"] }'}}}
      body: {it: 1}
      redirect: true
";

/// A redirect, and where it leads.
fn answer(seen: &Seen) -> Reply {
    match seen.path.as_str() {
        "/pay" => Reply::Redirect(307, "/paid".to_owned()),
        _ => Reply::Json(200, json!({"paid": true})),
    }
}

fn named<'a>(spans: &'a [SeenSpan], name: &str) -> Vec<&'a SeenSpan> {
    spans.iter().filter(|it| it.name == name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_lines_and_audit_events_of_a_task_lead_to_each_other() {
    let stub = Stub::http(answer).await;
    let receiver = Receiver::start().await;
    let collector = Collector::before(&receiver).await;
    let house = House::with(Wishes {
        workers: 1,
        variables: collector.variables(),
        worker: ["--log-format", "json"].map(str::to_owned).into(),
        ..Wishes::default()
    })
    .await;
    house.put("acme", "api-key", json!({"value": "k3y-of-the-observed"})).await;
    let workflow = house.fleet.api.deploy(&WORKFLOW.replace("ECHO", &stub.url(""))).await;
    let ended = house.fleet.api.run(&workflow, &json!({})).await;
    assert_eq!(ended["output"], json!({"paid": true}), "{ended}");
    let spans = until(SOON, "all spans", || async {
        let spans = receiver.spans();
        let all = !named(&spans, "workflow acme/observed").is_empty()
            && named(&spans, "report").len() == 2;
        all.then_some(spans)
    })
    .await;
    requests_are_spans(&spans, &stub);
    they_are_one_tree(&spans);
    audit_leads_to_spans(&house, &receiver, &spans).await;
    lines_lead_to_spans(&house, &receiver, &spans).await;
    house.fleet.assert_sound();
}

/// Each request, the redirected one too, carried the context of a span of its own.
fn requests_are_spans(spans: &[SeenSpan], stub: &Stub) {
    let posts = named(spans, "POST");
    let sent: BTreeSet<_> =
        posts.iter().map(|it| format!("00-{}-{}-01", it.trace, it.id)).collect();
    let header = |it: &Seen| it.header("traceparent").unwrap_or_default().to_owned();
    let seen: BTreeSet<_> = stub.seen().iter().map(header).collect();
    assert_eq!(sent, seen);
    assert_eq!(posts.len(), 2);
}

/// None without its parent, none twice, and each within the time of its parent.
fn they_are_one_tree(spans: &[SeenSpan]) {
    let ids: BTreeSet<_> = spans.iter().map(|it| &it.id).collect();
    assert_eq!(ids.len(), spans.len(), "a span came twice");
    for span in spans {
        if span.parent.is_empty() {
            assert_eq!(span.name, "workflow acme/observed");
            continue;
        }
        let parent = spans.iter().find(|it| it.id == span.parent);
        let parent = parent.unwrap_or_else(|| panic!("{span:?} has no parent"));
        assert_eq!(parent.trace, span.trace);
        // The coordinator tells whole milliseconds, workers less.
        let slack = 1_000_000;
        let within = span.start + slack >= parent.start && span.end <= parent.end + slack;
        assert!(within, "{span:?} is not within {parent:?}");
    }
    for (name, above) in [
        ("attempt pay", "deliver pay"),
        ("lease", "attempt pay"),
        ("intake", "attempt pay"),
        ("POST", "call"),
    ] {
        let span = named(spans, name)[0];
        let parent = spans.iter().find(|it| it.id == span.parent).unwrap();
        assert_eq!(parent.name, above, "above {name}");
        assert_eq!(span.resource["service.name"], "windlass-worker");
    }
}

/// Every event of the file has a trace, and a record with its name; those of the task lead to it.
async fn audit_leads_to_spans(house: &House, receiver: &Receiver, spans: &[SeenSpan]) {
    let text = std::fs::read_to_string(house.fleet.data().join("audit.jsonl")).unwrap();
    let lines = text.lines().map(|it| serde_json::from_str(it).unwrap());
    // Heads tell of nothing that was done.
    let lines: Vec<Value> = lines.filter(|it: &Value| it["action"] != "audit.head").collect();
    assert!(lines.len() >= 3, "{text}");
    for line in &lines {
        let record = until(SOON, "the record of an audit event", || async {
            let mut records = receiver.records().into_iter();
            records.find(|it| it.attributes.get("windlass.audit.id") == Some(&line["id"]))
        })
        .await;
        let action = line["action"].as_str().unwrap();
        assert_eq!(record.event, format!("windlass.{action}"));
        let context = format!("-{}-{}-", record.trace, record.span);
        let traceparent = line["traceparent"].as_str().unwrap_or_default();
        assert!(traceparent.contains(&context), "{action}: {traceparent:?} and {context}");
        if ["secret.requested", "secret.granted", "secret.login"].contains(&action) {
            assert_eq!(record.span, named(spans, "lease")[0].id, "{action}");
        }
    }
}

/// The line on standard error, a JSON object, and the record of it have the ids of the call.
async fn lines_lead_to_spans(house: &House, receiver: &Receiver, spans: &[SeenSpan]) {
    let stderr = house.fleet.workers[0].stderr();
    let lines: Vec<Value> = stderr.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let line = lines.iter().find(|it| it["message"] == "said within a task");
    let line = line.unwrap_or_else(|| panic!("{stderr}"));
    let record = until(SOON, "the record of a line", || async {
        receiver.records().into_iter().find(|it| it.body == "said within a task")
    })
    .await;
    assert_eq!((&line["trace_id"], &line["span_id"]), (&json!(record.trace), &json!(record.span)));
    let call = spans.iter().find(|it| it.id == record.span).unwrap();
    assert_eq!(call.name, "call");
    assert_eq!(call.resource["service.name"], "windlass-worker");
}
