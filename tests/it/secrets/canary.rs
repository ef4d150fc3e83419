//! Unlikely secrets go through everything a task can do, and fail at; then everything that could
//! keep or show one is searched, raw and in every usual encoding.

mod workflow;

use std::path::Path;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use windlass_coordinator::journal::sled::{Missing, Options, SledJournal};
use windlass_coordinator::journal::{Filter, Journal};

use super::house::{House, SHARED, Wishes};
use crate::support::command::windlass;
use crate::support::grpc::Server;
use crate::support::leak::Needles;
use crate::support::nats::Nats;
use crate::support::otlp::{Collector, Receiver, SeenSpan};
use crate::support::stub::{Reply, Seen, Stub};
use crate::support::until::{SOON, until};
use crate::support::{paths, ports};
use workflow::Servers;

/// Three bytes, which no text of ours holds.
const SHORTEST: &str = "⍰";

/// The values, by the names of their secrets.
fn canaries() -> Vec<(&'static str, Value)> {
    let mut random = fastrand::Rng::with_seed(8192);
    let long: String = (0..8192).map(|_| random.alphanumeric()).collect();
    vec![
        ("shortest", json!(SHORTEST)),
        ("short", json!("≋~⌬")),
        ("plain", json!("c4nary-Zk8vQ2xT7pLw9sRd")),
        ("unicode", json!("каnарейка 金絲雀 🐤 Ünïcode")),
        ("quotes", json!("it's \"q\\uoted\" <b>&amp; c4nary\nsecond line of the c4nary\tits end")),
        ("long", json!(long)),
        (
            "object",
            json!({
                "username": "c4nary-user-Xw3", "password": "pa$$ c4nary/+=%41",
                "nested": {"keys": ["c4nary-nested-77", 918_273_645_546_372_i64]},
                "base64": "3q2-7_aBcDeF0123456789-_zz",
            }),
        ),
        ("looks-like-json", json!("{\"c4nary\": [\"inside-a-text\"]}")),
    ]
}

/// Answers with everything it was sent, in many encodings.
fn echo(seen: &Seen) -> Reply {
    let all = format!("{}?{}\n{}", seen.path, seen.query, seen.body);
    let hex: String = all.bytes().map(|it| format!("{it:02x}")).collect();
    let base64 = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(&all)
    };
    let header = |name: &str| seen.header(name).unwrap_or_default().to_owned();
    let body = json!({
        "method": seen.method, "all": all, "hex": hex, "base64": base64, "query": seen.query,
        "body": serde_json::from_str::<Value>(&seen.body).unwrap_or(Value::Null),
        "authorization": header("authorization"), "x-it": header("x-it"),
        "html": all.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;"),
    });
    match seen.path.as_str() {
        "/fail" => Reply::Json(500, body),
        "/broken" => Reply::Raw(200, "application/json", all.into_bytes()),
        "/redirect" => Reply::Redirect(302, format!("/gone?{}", seen.query)),
        "/gone" => Reply::Text(410, all),
        "/oauth2/token" => {
            Reply::Json(400, json!({"error": "invalid_client", "error_description": all}))
        }
        "/digest" => Reply::Json(401, body),
        "/openapi.json" => Reply::Json(200, openapi()),
        "/mcp" => mcp(&all, seen),
        "/agent-card" => Reply::Json(200, json!({"url": format!("/a2a?{}", seen.query)})),
        "/a2a" => a2a(&all, seen),
        "/asyncapi.json" => Reply::Json(200, asyncapi(seen)),
        path if path.starts_with("/heard/") => {
            let event = format!("data: {body}\n\n");
            Reply::Raw(200, "text/event-stream", event.into_bytes())
        }
        "/echo.proto" => Reply::Raw(200, "text/plain", PROTO.as_bytes().to_vec()),
        _ => Reply::Json(200, body),
    }
}

/// A server of MCP that tells what it was asked, in either era of the protocol.
fn mcp(all: &str, seen: &Seen) -> Reply {
    let asked: Value = serde_json::from_str(&seen.body).unwrap_or_default();
    let result = match asked["method"].as_str() {
        Some("server/discover") => json!({"supportedVersions": ["2026-07-28"]}),
        Some("initialize") => json!({"protocolVersion": "2025-06-18"}),
        Some("tools/call") => json!({
            "content": [{"type": "text", "text": json!({"all": all}).to_string()}],
            "isError": seen.query.contains("fail"),
        }),
        _ => return Reply::Text(202, String::new()),
    };
    Reply::Json(200, json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}))
}

/// An agent of A2A that tells what it was asked: at once, in a stream, and as an error.
fn a2a(all: &str, seen: &Seen) -> Reply {
    let asked: Value = serde_json::from_str(&seen.body).unwrap_or_default();
    let answer = |key: &str, value: Value| json!({"jsonrpc": "2.0", "id": 1, key: value});
    let said = json!({"kind": "message", "parts": [{"kind": "text", "text": all}]});
    match asked["method"].as_str() {
        Some("message/stream") => {
            let event = format!("data: {}\n\n", answer("result", said));
            Reply::Raw(200, "text/event-stream", event.repeat(2).into_bytes())
        }
        Some("SendMessage") if seen.query.contains("fail") => {
            let error = json!({"code": -32603, "message": all, "data": {"all": all}});
            Reply::Json(200, answer("error", error))
        }
        Some("SendMessage" | "message/send") => Reply::Json(200, answer("result", said)),
        _ => Reply::Text(401, all.to_owned()),
    }
}

/// What of the gRPC server's service is called.
const PROTO: &str = "syntax = \"proto3\"; package acme.echo.v1; \
    service Echo { rpc Say(Words) returns (Words); rpc Fail(Failure) returns (Words); \
    rpc All(Everything) returns (Everything); } \
    message Everything { double exact = 7; string text = 9; bytes raw = 10; } \
    message Words { string text = 1; } message Failure { int32 status = 1; string message = 2; }";

/// A description of this server, of one of NATS and of one that is not there.
fn asyncapi(seen: &Seen) -> Value {
    let own = seen.header("host").unwrap_or_default();
    let server = |host: &str, protocol: &str| json!({"host": host, "protocol": protocol, "variables": {"port": {"default": "1"}}});
    let operation = |address: &str, server: &str| {
        let servers = [json!({"$ref": format!("#/servers/{server}")})];
        json!({"action": "send", "channel": {"address": address, "servers": servers}})
    };
    json!({
        "asyncapi": "3.0.0", "info": {"title": "echo", "version": "1"},
        "servers": {
            "web": server(own, "http"), "socket": server(own, "ws"),
            "bus": server("127.0.0.1:{port}", "nats"),
            "broker": server("127.0.0.1:{port}", "mqtt5"),
            "rabbit": server("127.0.0.1:{port}", "amqp"),
            "log": server("127.0.0.1:{port}", "kafka"),
        },
        "operations": {
            "say": operation("/echo/{it}", "web"), "hear": operation("/heard/{it}", "web"),
            "talk": operation("/echo/{it}", "socket"), "tell": operation("canary.it", "bus"),
            "measure": operation("a/{it}", "broker"), "ship": operation("a.{it}", "rabbit"),
            "note": operation("a.{it}", "log"),
        },
    })
}

fn openapi() -> Value {
    let parameter = json!({"name": "it", "in": "query", "schema": {"type": "string"}});
    json!({
        "openapi": "3.0.0", "info": {"title": "echo", "version": "1"},
        "paths": {"/echo": {"get": {"operationId": "echo", "parameters": [parameter],
            "responses": {"200": {"description": "ok"}}}}},
    })
}

/// Everything that was said on the bus since it began.
struct Tap(Arc<Mutex<Vec<u8>>>);

impl Tap {
    async fn on(url: &str) -> Self {
        let client = async_nats::connect(url).await.unwrap();
        let mut all = client.subscribe(">").await.unwrap();
        client.flush().await.unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = heard.clone();
        tokio::spawn(async move {
            // The client lives as long as its subscription is read.
            let _client = client;
            while let Some(message) = all.next().await {
                let mut heard = into.lock().unwrap();
                heard.extend_from_slice(message.subject.as_bytes());
                heard.extend_from_slice(format!("{:?}", message.headers).as_bytes());
                heard.extend_from_slice(&message.payload);
            }
        });
        Self(heard)
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

/// Whatever keeps or shows something of what a fleet does.
struct Places(Vec<(String, Vec<u8>)>);

impl Places {
    async fn of(
        house: &House,
        tap: &Tap,
        receiver: &Receiver,
        health: &str,
        ids: &[String],
    ) -> Self {
        let api = &house.fleet.api;
        let mut all = vec![
            ("the bus".to_owned(), tap.bytes()),
            ("the logs".to_owned(), house.fleet.stderr().into_bytes()),
        ];
        for path in [
            "/v1/instances",
            "/v1/approvals",
            "/v1/workflows",
            "/v1/workers",
            "/v1/secrets",
            "/v1/audit",
            "/v1/audit?after=0&heads=true&limit=1000",
            "/v1/audit/key",
            "/v1/secrets/policy",
            "/metrics",
            "/openapi.json",
            "/.well-known/jwks.json",
        ] {
            all.push((format!("GET {path}"), api.get(path).await.body.to_string().into_bytes()));
        }
        for path in [
            "approvals",
            "secrets",
            "who",
            "bulk",
            "schedules",
            "definitions",
            "audit",
            "events/canary",
        ] {
            let path = format!("/ui/{path}");
            let page = api.get(&path).await;
            assert!(page.status.is_success(), "{path}: {}", page.body);
            let page = page.body.as_str().unwrap_or_default().as_bytes().to_vec();
            all.push((format!("GET {path}"), page));
        }
        let kept = api.get("/v1/namespaces/canary/events").await.ok()["items"].clone();
        let kept = kept.as_array().unwrap();
        assert!(!kept.is_empty(), "what was emitted is kept for who listens later");
        for event in kept {
            let path = format!("/v1/namespaces/canary/events/{}", event["key"].as_str().unwrap());
            let shown = api.get(&path).await.ok().to_string();
            all.push((format!("GET {path}"), shown.into_bytes()));
        }
        let health = crate::support::client::Api::new(health).get("/metrics").await;
        all.push(("a worker's metrics".to_owned(), health.body.to_string().into_bytes()));
        for id in ids {
            for path in ["", "/history", "/history?from=20&limit=1000"] {
                let path = format!("/ui/instances/{id}{path}");
                let page = api.get(&path).await;
                assert!(page.status.is_success(), "{path}: {}", page.body);
                let page = page.body.as_str().unwrap_or_default().as_bytes().to_vec();
                all.push((format!("GET {path}"), page));
            }
            for part in ["", "/history", "/output", "/input"] {
                let path = format!("/v1/instances/{id}{part}");
                all.push((
                    format!("GET {path}"),
                    api.get(&path).await.body.to_string().into_bytes(),
                ));
            }
            for command in ["show", "history"] {
                let told = windlass(&[command, id, "--url", &api.base()]).await;
                let text = format!("{}{}", told.stdout, told.stderr);
                all.push((format!("windlass {command}"), text.into_bytes()));
            }
        }
        let data = house.fleet.data().display().to_string();
        for words in [
            &["audit", "list", "--url", &api.base()][..],
            &["audit", "export", "--url", &api.base()],
            &["audit", "verify", "--output", "table", &data],
        ] {
            let told = windlass(words).await;
            let text = format!("{}{}", told.stdout, told.stderr);
            all.push((format!("windlass audit {}", words[1]), text.into_bytes()));
        }
        for folder in [house.fleet.data(), house.nats.data()] {
            for file in paths::files(&folder) {
                all.push((file.display().to_string(), std::fs::read(&file).unwrap()));
            }
        }
        // Its records are packed, which may split what they hold.
        all.push(("the journal, unpacked".to_owned(), unpacked(&house.fleet.data())));
        all.push(("the collector".to_owned(), receiver.bytes()));
        Self(all)
    }

    /// The places in which a needle is, by what they are called.
    fn with(&self, needles: &Needles) -> Vec<String> {
        let found = self.0.iter().map(|(place, bytes)| (place, needles.found_in(bytes)));
        found
            .filter(|(_, names)| !names.is_empty())
            .map(|(place, names)| format!("{place}: {names:?}"))
            .collect()
    }
}

/// What a journal holds of all its instances: a copy, as it is in use.
fn unpacked(data: &Path) -> Vec<u8> {
    let copy = tempfile::tempdir().unwrap();
    for file in paths::files(data) {
        let to = copy.path().join(file.strip_prefix(data).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(&file, to).unwrap();
    }
    // It may have been written while it was copied.
    let options = Options { missing: Missing::Accept, ..Options::default() };
    let journal = SledJournal::open(copy.path(), &options).unwrap();
    let (mut bytes, mut cursor) = (Vec::new(), None);
    loop {
        let page = journal.list(&Filter::default(), cursor, 100).unwrap();
        for (id, head) in &page.items {
            bytes.extend(serde_json::to_vec(head).unwrap());
            bytes.extend(
                journal.facts(*id, 0, usize::MAX).unwrap().into_iter().flat_map(|it| it.facts),
            );
            let snapshot = journal.snapshot(*id, u64::MAX).unwrap();
            bytes.extend(snapshot.into_iter().flat_map(|(_, state)| state));
        }
        cursor = page.next;
        if cursor.is_none() {
            return bytes;
        }
    }
}

/// Takes `name` through everything; gives the instance's id once it has ended.
async fn run_through(house: &House, name: &str, servers: &Servers) -> String {
    let workflow = house.fleet.api.deploy(&workflow::text(name, servers)).await;
    let id = house.fleet.api.start(&workflow, &json!({})).await;
    let view = house.fleet.api.ends(&id).await;
    assert_eq!(view["status"], "completed", "{name}: {view}");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_anywhere_but_where_it_was_sent_to() {
    search_for_canaries("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_anywhere_else_where_logins_are_shared() {
    search_for_canaries(SHARED).await;
}

/// With further lines of `[vault]` in the worker's configuration.
async fn search_for_canaries(vault: &str) {
    let stub = Stub::http(echo).await;
    let grpc = Server::with(&["--reflect", "--guarded"].map(str::to_owned)).await;
    // Not the bus of the fleet, on which none of it may be. It reads passwords of any length.
    let messages = Nats::with("max_control_line: 65536").await;
    let received = Tap::on(&messages.url()).await;
    let servers = Servers {
        echo: stub.url(""),
        closed: format!("http://127.0.0.1:{}", ports::free()),
        grpc: grpc.port,
        bus: messages.port(),
        dead: ports::free(),
    };
    let health = format!("127.0.0.1:{}", ports::free());
    let policy = tempfile::NamedTempFile::new().unwrap();
    let rules = "[[allow]]\n[sealing]\nnamespaces = {open = \"expose\"}\n";
    std::fs::write(policy.path(), rules).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let collector = Collector::before(&receiver).await;
    let mut variables = collector.variables();
    variables.push(("WINDLASS_OTLP_LOG".to_owned(), "trace".to_owned()));
    let allowed = "shell,script,mcp.stdio";
    let mut flags = vec!["--health", &health, "--allow", allowed];
    flags.extend(["--trace-url-path", "127.0.0.1", "--egress-deny", "*.denied.test"]);
    let mut house = House::with(Wishes {
        workers: 1,
        worker: flags.into_iter().map(str::to_owned).collect(),
        coordinator: vec![
            "--secret-policy".to_owned(),
            policy.path().display().to_string(),
            "--lifecycle".to_owned(),
            "task".to_owned(),
            "--ui".to_owned(),
        ],
        variables,
        trace: true,
        core_dumps: true,
        temporary: Some(temporary.path().to_owned()),
        vault: vault.to_owned(),
        ..Wishes::default()
    })
    .await;
    let tap = Tap::on(&house.nats.url()).await;
    house.fleet.api.deploy(&workflow::child(&servers)).await;
    house.fleet.api.deploy(workflow::LATE).await;
    let canaries = canaries();
    let mut ids = Vec::new();
    for (name, value) in &canaries {
        let data = if value.is_object() { value.clone() } else { json!({"value": value}) };
        house.put("canary", name, data).await;
        ids.push(run_through(&house, name, &servers).await);
    }
    // What was sent arrived as it is: the secrets were really there.
    let sent: String = stub.seen().iter().map(|it| it.body.clone()).collect();
    let plain = Needles::of(canaries.iter().map(|(name, value)| (*name, value)));
    let arrived = plain.found_in(sent.as_bytes());
    assert!(sent.contains(SHORTEST));
    for (name, _) in canaries.iter().skip(1) {
        assert!(
            arrived.iter().any(|it| it.starts_with(name)),
            "{name} was never sent: {arrived:?}"
        );
    }
    assert!(grpc.told_now("call", "Say").len() > canaries.len(), "gRPC was called");
    assert!(grpc.told_now("call", "Fail").len() >= canaries.len(), "gRPC was called");
    assert!(grpc.told_now("call", "All").len() >= canaries.len(), "numbers and bytes were sent");
    let reflected = grpc.told_now("call", "ServerReflectionInfo").len();
    // Answers are kept for a while, so not each call asks.
    assert!(reflected > 1, "{reflected} times gRPC was asked for its types");
    let again = stub.seen().iter().filter(|it| it.path == "/again").count();
    assert!(again >= 2 * canaries.len(), "{again} sealed values were used again");

    let received = plain.found_in(&received.bytes());
    for (name, _) in canaries.iter().skip(1) {
        let arrived = received.iter().any(|it| it.starts_with(name));
        assert!(arrived, "{name} was never published: {received:?}");
    }
    let told = stub.seen();
    for path in ["/echo/", "/heard/"] {
        let asked = told.iter().filter(|it| it.path.starts_with(path)).count();
        assert!(asked >= canaries.len(), "{path} was asked {asked} times by AsyncAPI");
    }
    let mcp = told.iter().filter(|it| it.path == "/mcp" && it.body.contains("tools/call"));
    assert!(mcp.count() >= 2 * canaries.len(), "MCP servers were asked");
    let a2a = told.iter().filter(|it| it.path == "/a2a").count();
    // One secret has lines, so it can be no bearer token.
    assert!(a2a >= 5 * canaries.len() - 1, "A2A agents were asked {a2a} times");
    for id in &ids {
        let view = house.fleet.api.show(id).await;
        let program = &view["output"]["mcp_program"]["echo"]["params"];
        assert!(program["arguments"].is_object(), "an MCP program was asked: {}", view["output"]);
    }

    let refused = house.fleet.api.get("/v1/audit?action=egress.denied&limit=1000").await.ok();
    let hosts = refused["items"].as_array().unwrap().iter().map(|it| it["detail"].to_string());
    let sealed = hosts.filter(|it| it.contains("«sealed»: a rule of")).count();
    assert!(sealed >= 3, "hosts with a secret in them are in the audit trail: {refused}");

    // A namespace in which secrets are let through shows that the search looks everywhere.
    let planted = json!("planted-8c1fD0v3");
    house.put("open", "planted", json!({"value": planted})).await;
    let open = "document: {dsl: '1.0.3', namespace: open, name: planted, version: '1.0.0'}\n\
                use: {secrets: [planted]}\n\
                do:\n- a: {set: {it: '${ $secrets.planted }'}}\n\
                - b: {emit: {event: {with: {source: /open, type: com.example.open, data: '${ . }'}}}}\n";
    let workflow = house.fleet.api.deploy(open).await;
    let exposed = house.fleet.api.run(&workflow, &json!({})).await;
    assert_eq!(exposed["output"]["data"], json!({"it": planted}), "{exposed}");
    ids.push(exposed["id"].as_str().unwrap().to_owned());
    let needle = Needles::of([("planted", &planted)]);
    until(SOON, "the planted value on the bus", || async {
        (!needle.found_in(&tap.bytes()).is_empty()).then_some(())
    })
    .await;

    limits_of_memory(&house);
    house.fleet.workers[0].terminate().await;
    house.fleet.workers[0].launch();
    house.fleet.joins(0, 1).await;
    passed_on(&receiver, &ids).await;
    let places = Places::of(&house, &tap, &receiver, &format!("http://{health}"), &ids).await;
    let shown = places.with(&needle).join("\n");
    for place in [
        "the bus",
        "GET /v1/instances/",
        "windlass show",
        "windlass history",
        "/data/",
        ".blk",
        "the journal, unpacked",
    ] {
        assert!(shown.contains(place), "the planted value is not seen in {place}:\n{shown}");
    }
    let logs = house.fleet.stderr();
    for mark in ["log-marker", "INFO", "«sealed»", " trace_id="] {
        assert!(logs.contains(mark), "the logs do not hold {mark}");
    }

    // Three bytes are in ciphertexts by chance, so only texts are searched for them.
    for (place, bytes) in &places.0 {
        if let Ok(text) = std::str::from_utf8(bytes) {
            assert!(!text.contains(SHORTEST), "{place} holds the shortest secret");
        }
    }
    let found = places.with(&plain);
    assert!(found.is_empty(), "secrets are found in\n{}", found.join("\n"));
    let left: Vec<_> = paths::files(temporary.path()).into_iter().collect();
    for file in left {
        plain.absent_from(&file.display().to_string(), &std::fs::read(&file).unwrap());
    }
    house.fleet.assert_sound();
}

/// Waits until a collector has passed on what was told of all instances; then it is a place as any
/// other.
async fn passed_on(receiver: &Receiver, ids: &[String]) {
    let spans = until(SOON, "spans of all instances, of both sides", || async {
        let spans = receiver.spans();
        let has = |name: &str, id: &String| {
            let of = |it: &&SeenSpan| it.attributes.get("windlass.instance.id") == Some(&json!(id));
            spans.iter().filter(of).any(|it| it.name.starts_with(name))
        };
        let all = ids.iter().all(|id| has("workflow ", id) && has("attempt ", id));
        all.then_some(spans)
    })
    .await;
    for name in ["lease", "seal", "POST", "attempt echo_body_itself"] {
        assert!(spans.iter().any(|it| it.name == name), "no span {name} was passed on");
    }
    let records = receiver.records();
    for event in ["windlass.secret.granted", "windlass.secret.sealed"] {
        assert!(records.iter().any(|it| it.event == event), "no event {event} was passed on");
    }
    for text in ["log-marker", "«sealed»", "the vault answered"] {
        let says = |it: &Value| it.as_str().is_some_and(|it| it.contains(text));
        assert!(records.iter().any(|it| says(&it.body)), "no line {text} was passed on");
    }
}

/// No process of ours leaves its memory in a file when it dies.
fn limits_of_memory(house: &House) {
    for role in house.fleet.workers.iter().chain([&house.fleet.coordinator]) {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", role.id())).unwrap();
        let cores = limits.lines().find(|it| it.starts_with("Max core file size")).unwrap();
        assert_eq!(cores.split_whitespace().nth(4), Some("0"), "{cores}");
    }
}
