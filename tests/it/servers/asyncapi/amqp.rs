//! RabbitMQ.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use super::super::{Server, Unpacked};
use super::{publishes, subscribes};
use crate::support::dev::Dev;
use crate::support::grpc::{ended, error, output};
use crate::support::until::{SOON, until, within};
use crate::support::{paths, ports, tls, tools};

/// A broker, and a client by another author.
struct Broker {
    server: Server,
    python: PathBuf,
    /// Where it speaks TLS.
    secure: u16,
}

/// The one entry of `folder` that begins with `name`.
fn only(folder: &Path, name: &str) -> PathBuf {
    let all = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let is_it = |it: &PathBuf| it.file_name().unwrap().to_string_lossy().starts_with(name);
    all.into_iter().find(is_it).unwrap_or_else(|| panic!("{name} in {}", folder.display()))
}

/// Two users, of whom one may do something in `shop` alone, a queue in each of two virtual hosts,
/// and an exchange.
fn definitions() -> Value {
    let user = |name: &str, hash: &str| {
        let kind = "rabbit_password_hashing_sha256";
        json!({"name": name, "password_hash": hash, "hashing_algorithm": kind, "tags": ""})
    };
    let may = |user: &str, host: &str| json!({"user": user, "vhost": host, "configure": ".*", "write": ".*", "read": ".*"});
    let queue = |host: &str| {
        let arguments = json!({"x-max-priority": 5});
        json!({"name": "parcels", "vhost": host, "durable": true, "auto_delete": false, "arguments": arguments})
    };
    json!({
        "vhosts": [{"name": "/"}, {"name": "shop"}],
        // The second one's password is `haul away`.
        "users": [
            user("guest", "c2FsdDRwMuw4kgNZhm0cEYx1m4NAR6BCdplxDdFbnDjbRIKq"),
            user("ada", "c2FsdM7Sa6TdrlunSA50BgOg9+KJAWgXMB002CmZ1w5ueZhs"),
        ],
        "permissions": [may("guest", "/"), may("ada", "shop")],
        "queues": [queue("/"), queue("shop")],
        "exchanges": [{
            "name": "reports", "vhost": "/", "type": "topic", "durable": true,
            "auto_delete": false, "internal": false, "arguments": {},
        }],
        "bindings": [],
    })
}

/// The broker on `port`, with all that it writes below `folder`.
fn rabbit(unpacked: &Unpacked, port: u16, secure: u16, folder: &Path) -> Command {
    let ours = PathBuf::from(unpacked.at("usr/lib/erlang"));
    let erlang = if ours.is_dir() { ours } else { PathBuf::from("/usr/lib/erlang") };
    let programs = only(&erlang, "erts-").join("bin");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("definitions.json", &definitions().to_string());
    let place = folder.display();
    let certificates = tls::certificates(&["localhost"]);
    write("ca.pem", &certificates.authority);
    write("cert.pem", &certificates.server.0);
    write("key.pem", &certificates.server.1);
    let settings = format!(
        "load_definitions = {place}/definitions.json\nlisteners.ssl.1 = 127.0.0.1:{secure}\n\
         ssl_options.cacertfile = {place}/ca.pem\nssl_options.certfile = {place}/cert.pem\n\
         ssl_options.keyfile = {place}/key.pem\n"
    );
    write("rabbitmq.conf", &settings);
    // The one that comes along knows itself at its usual place alone. Erlang finds others by a
    // program on a port of its own, which ends with the broker here.
    let erl = format!(
        "#!/bin/sh\nexport ROOTDIR={} BINDIR={} EMU=beam PROGNAME=erl\nexec \"$BINDIR/erlexec\" \"$@\"\n",
        erlang.display(),
        programs.display()
    );
    write("erl", &erl);
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.join("erl"), all).unwrap();
    let server = only(Path::new(&unpacked.at("usr/lib/rabbitmq/lib")), "rabbitmq_server-");
    let (names, other) = (ports::free(), ports::free());
    let script = format!(
        "{}/epmd -port {names} & exec {}/sbin/rabbitmq-server >&2",
        programs.display(),
        server.display()
    );
    let libraries = unpacked.command("usr/sbin/rabbitmq-server");
    let libraries = libraries.as_std().get_envs();
    let mut command = Command::new("sh");
    command.envs(libraries.filter_map(|(name, value)| Some((name, value?))));
    let path = std::env::var("PATH").unwrap_or_default();
    command.args(["-c", &script]).env("PATH", format!("{place}:{path}"));
    command.env("HOME", folder).env("ERL_EPMD_ADDRESS", "127.0.0.1");
    command.env("ERL_EPMD_PORT", names.to_string());
    for (name, value) in [
        ("NODENAME", "rabbit@localhost".to_owned()),
        ("NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
        ("NODE_PORT", port.to_string()),
        ("DIST_PORT", other.to_string()),
        ("LOGS", "-".to_owned()),
        ("CONFIG_FILE", format!("{place}/rabbitmq.conf")),
        ("CONF_ENV_FILE", format!("{place}/none")),
        ("ENABLED_PLUGINS_FILE", format!("{place}/plugins")),
        ("GENERATED_CONFIG_DIR", format!("{place}/generated")),
        ("LOG_BASE", format!("{place}/logs")),
        ("MNESIA_BASE", format!("{place}/mnesia")),
        ("PID_FILE", format!("{place}/pid")),
        ("SCHEMA_DIR", format!("{place}/schema")),
    ] {
        command.env(format!("RABBITMQ_{name}"), value);
    }
    command
}

impl Broker {
    async fn start(test: &str) -> Option<Self> {
        let unpacked = Unpacked::get(test, &["rabbitmq-server"]).await?;
        let python = tools::python(&["pika==1.4.4"]).await;
        let secure = ports::free();
        let start = |port, folder: &Path| rabbit(&unpacked, port, secure, folder);
        let server = Server::start_within(3 * SOON, start).await;
        Some(Self { server, python, secure })
    }

    /// What the other client writes.
    async fn client(&self, arguments: &[&str]) -> String {
        let program = paths::root().join("tests/it/servers/asyncapi/amqp.py");
        let mut command = Command::new(&self.python);
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(program);
        command.arg(self.server.port.to_string()).args(arguments).stdin(Stdio::null());
        let told = within(SOON, "a client", command.kill_on_drop(true).output()).await.unwrap();
        assert!(told.status.success(), "{arguments:?}: {told:?}");
        String::from_utf8(told.stdout).unwrap().trim().to_owned()
    }

    fn with(&self, operation: &str, server: &str) -> Value {
        json!({
            "document": {"endpoint": "file://tests/it/servers/asyncapi/amqp.yaml"},
            "operation": operation,
            "server": {"name": server, "variables": {"port": self.server.port}},
        })
    }

    /// Waits until as many messages wait in the queue.
    async fn has(&self, count: &str) {
        let told = async || (self.client(&["count", "parcels"]).await == count).then_some(());
        until(SOON, "messages in the queue", told).await;
    }
}

/// One broker for all, as it takes seconds to start.
#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_keeps_messages_until_a_task_has_taken_them() {
    let test = "rabbitmq_keeps_messages_until_a_task_has_taken_them";
    let Some(broker) = Broker::start(test).await else { return };
    let dev = Dev::start().await;
    goes(&broker, &dev).await;
    waits(&broker, &dev).await;
    comes(&broker, &dev).await;
    hears(&broker, &dev).await;
    refuses(&broker, &dev).await;
    hides(&broker, &dev).await;
}

/// What is published has all that the call and its bindings say.
async fn goes(broker: &Broker, dev: &Dev) {
    let ship = |payload: Value| {
        publishes(broker.with("ship", "rabbit"), &payload, &json!({"x-a": "größer"}))
    };
    // One that takes more than one frame.
    let long = "x".repeat(300_000);
    assert_eq!(output(&ended(&dev.api, "ship", &ship(json!({"t": long}))).await), &json!({}));
    let told = broker.client(&["get", "parcels"]).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["body"], json!({"t": long}).to_string());
    let properties = &told["properties"];
    for (name, value) in [
        ("content_type", json!("application/json")),
        ("delivery_mode", json!(2)),
        ("priority", json!(3)),
        ("expiration", json!("600000")),
    ] {
        assert_eq!(properties[name], value, "{properties}");
    }
    assert_eq!(properties["headers"]["x-a"], "größer", "{properties}");
    let key = &properties["headers"]["idempotency-key"];
    assert!(key.as_str().is_some_and(|it| it.contains("/do/0/it")), "{properties}");
    assert_eq!(&properties["message_id"], key, "{properties}");
}

/// Whoever gives up in the middle has taken nothing.
async fn waits(broker: &Broker, dev: &Dev) {
    let unpack = |subscription: Value| subscribes(broker.with("unpack", "rabbit"), &subscription);
    broker.client(&["put", "parcels", "{\"t\": 1}"]).await;
    let waits = unpack(json!({"consume": {"amount": 2}}));
    let text = crate::support::grpc::definition("waits", &waits);
    let waiting = dev.api.start(&dev.api.deploy(&text).await, &json!({})).await;
    broker.has("0").await;
    dev.api.post(&format!("/v1/instances/{waiting}/cancel"), &json!({})).await.ok();
    assert_eq!(dev.api.ends(&waiting).await["status"], "cancelled");
    broker.has("1").await;
    broker.client(&["put", "parcels", "{\"t\": 2}"]).await;
    let both = json!({"consume": {"amount": 2}, "foreach": {"output": {"as": "${ .payload.t + $index }"}}});
    assert_eq!(output(&ended(&dev.api, "both", &unpack(both)).await), &json!([1, 3]));
    broker.has("0").await;
}

/// What the other client has published comes as it says, until there is enough.
async fn comes(broker: &Broker, dev: &Dev) {
    let unpack = |subscription: Value| subscribes(broker.with("unpack", "rabbit"), &subscription);
    broker.client(&["put", "parcels", "{\"t\": 3}"]).await;
    broker.client(&["put", "parcels", "plain"]).await;
    let all = json!({"filter": "${ .payload != 3 }", "consume": {"while": "${ (.payload | type) == \"object\" }"}});
    let expected = json!([
        {"payload": {"t": 3}, "headers": {"unit": "kg", "count": "7"}, "correlationId": "c7"},
        {"payload": "plain", "headers": {"unit": "kg", "count": "7"}, "correlationId": "c7"},
    ]);
    assert_eq!(output(&ended(&dev.api, "all", &unpack(all)).await), &expected);
    let brief = json!({"consume": {"amount": 9, "for": "PT0.2S"}});
    assert_eq!(output(&ended(&dev.api, "brief", &unpack(brief)).await), &json!([]));
}

/// A queue of the attempt's own has what one routing key of an exchange gets meanwhile.
async fn hears(broker: &Broker, dev: &Dev) {
    let hears = subscribes(broker.with("report", "rabbit"), &json!({"consume": {"amount": 1}}));
    let text = crate::support::grpc::definition("hears", &hears);
    let hearing = dev.api.start(&dev.api.deploy(&text).await, &json!({})).await;
    let mut says = broker.with("report", "rabbit");
    says["server"]["variables"]["town"] = json!("Oslo");
    let says = publishes(says, &json!({"t": -3}), &json!({}));
    let text = crate::support::grpc::definition("says", &says);
    let says = dev.api.deploy(&text).await;
    let heard = async || {
        dev.api.run(&says, &json!({})).await;
        let view = dev.api.show(&hearing).await;
        (view["status"] == "completed").then_some(view)
    };
    let heard = until(SOON, "the message that is heard", heard).await;
    assert_eq!(heard["output"][0]["payload"], json!({"t": -3}), "{heard}");
}

/// The broker says why it refuses.
async fn refuses(broker: &Broker, dev: &Dev) {
    let call = |operation: &str, server: &str, who: Option<(&str, &str)>| {
        let mut with = broker.with(operation, server);
        if let Some((name, word)) = who {
            with["authentication"] = json!({"basic": {"username": name, "password": word}});
        }
        publishes(with, &json!({}), &json!({}))
    };
    let ada = Some(("ada", "haul away"));
    output(&ended(&dev.api, "may", &call("ship", "shop", ada)).await);
    for (name, operation, server, who, status, part) in [
        ("wrong", "ship", "shop", Some(("ada", "wrong")), 401, "ACCESS_REFUSED"),
        ("forbidden", "ship", "rabbit", ada, 403, "NOT_ALLOWED"),
        ("gone", "lose", "rabbit", None, 404, "NO_ROUTE"),
    ] {
        let (kind, got, detail) =
            error(&ended(&dev.api, name, &call(operation, server, who)).await);
        assert_eq!((kind.as_str(), got), ("communication", status), "{name}: {detail}");
        assert!(detail.contains(part) && !detail.contains("wrong"), "{name}: {detail}");
    }
    let lost = subscribes(broker.with("lose", "rabbit"), &json!({"consume": {"amount": 1}}));
    let (kind, status, detail) = error(&ended(&dev.api, "lost", &lost).await);
    assert_eq!((kind.as_str(), status), ("communication", 404), "{detail}");
    assert!(detail.contains("NOT_FOUND"), "{detail}");
}

/// Over TLS it is as well, to whoever trusts its certificate.
async fn hides(broker: &Broker, stranger: &Dev) {
    let authority = broker.server.folder.path().join("ca.pem").display().to_string();
    let dev = Dev::with(&["--ca-file".to_owned(), authority]).await;
    let mut with = broker.with("ship", "secure");
    with["server"]["variables"]["port"] = json!(broker.secure);
    let ship = publishes(with.clone(), &json!({"t": 8}), &json!({}));
    output(&ended(&dev.api, "hidden", &ship).await);
    with["operation"] = json!("unpack");
    let each = json!({"output": {"as": "${ .payload.t }"}});
    let filter = "${ .payload.t == 8 }";
    let unpack =
        subscribes(with, &json!({"filter": filter, "consume": {"amount": 1}, "foreach": each}));
    assert_eq!(output(&ended(&dev.api, "found", &unpack).await), &json!([8]));
    let (kind, status, detail) = error(&ended(&stranger.api, "strange", &ship).await);
    assert_eq!((kind.as_str(), status), ("communication", 503), "{detail}");
    assert!(detail.contains("TLS: ") && detail.contains("UnknownIssuer"), "{detail}");
}
