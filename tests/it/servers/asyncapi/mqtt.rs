//! mosquitto.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use super::super::{Server, Unpacked};
use super::{VERSION_2, publishes, subscribes, with};
use crate::support::dev::Dev;
use crate::support::grpc::{error, output, run};
use crate::support::until::{SOON, within};

/// A broker, and its clients.
struct Broker {
    server: Server,
    unpacked: Unpacked,
}

impl Broker {
    /// With these lines in its configuration.
    async fn start(test: &str, more: &str) -> Option<Self> {
        let unpacked = Unpacked::get(test, &["mosquitto", "mosquitto-clients"]).await?;
        let server = Server::start(|port, folder| {
            let file = folder.join("mosquitto.conf");
            let more = more.replace("FOLDER", &folder.display().to_string());
            // As whoever runs the tests, as it would be a user that may not be there.
            let text = format!("listener {port} 127.0.0.1\nuser root\n{more}\n");
            std::fs::write(&file, text).unwrap();
            std::fs::write(folder.join("acl"), "user ada\ntopic sensors/#\n").unwrap();
            std::fs::write(folder.join("users"), USERS).unwrap();
            let mut command = unpacked.command("usr/sbin/mosquitto");
            command.arg("-c").arg(file);
            command
        })
        .await;
        Some(Self { server, unpacked })
    }

    /// What a client that ends by itself writes.
    async fn client(&self, name: &str, arguments: &[&str]) -> String {
        let mut command: Command = self.unpacked.command(&format!("usr/bin/{name}"));
        command.args(["-h", "127.0.0.1", "-p", &self.server.port.to_string()]).args(arguments);
        let told = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let told = within(SOON, "a client of mosquitto", told).await.unwrap();
        assert!(told.status.success(), "{name} {arguments:?}: {told:?}");
        String::from_utf8(told.stdout).unwrap()
    }
}

/// The user `ada` with the password `haul away`, as mosquitto_passwd writes it.
const USERS: &str = "ada:$7$101$d2luZGxhc3MtdHN0$\
     gf7s5w2gC9bD8WGPSeMPMVhZWxG7byKsEn4anMIrZRBvE+PcFi6XHwmdGhYf\
     N9P4MHZK38zLxvI2BXNOaFlpuw==\n";

const OPEN: &str = "allow_anonymous true";

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_version_5_go_and_come_with_all_they_have() {
    let test = "messages_of_version_5_go_and_come_with_all_they_have";
    let Some(broker) = Broker::start(test, OPEN).await else { return };
    let dev = Dev::start().await;
    let at_broker = |operation: &str, room: Option<&str>| {
        let mut with = with(operation, "broker5", broker.server.port);
        if let Some(room) = room {
            with["server"]["variables"]["room"] = json!(room);
        }
        with
    };
    // It is kept by the broker, so whoever asks later hears it.
    let call =
        publishes(at_broker("measure", Some("hall")), &json!({"t": 21.5}), &json!({"x-a": "b"}));
    assert_eq!(output(&run(&dev.api, "measure", &call).await), &json!({}));
    let told = broker
        .client(
            "mosquitto_sub",
            &["-V", "5", "-t", "sensors/#", "-C", "1", "-W", "30", "-F", "%t|%q|%r|%C|%P|%p"],
        )
        .await;
    let mut parts = told.trim_end().split('|');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    assert_eq!(
        (next(), next(), next()),
        ("sensors/hall/temperature".into(), "0".into(), "1".into())
    );
    assert_eq!(next(), "application/json", "{told}");
    let properties = next();
    assert!(properties.contains("x-a:b") && properties.contains("idempotency-key:"), "{told}");
    assert_eq!(next(), "{\"t\":21.5}", "{told}");

    let more = ["-V", "5", "-t", "sensors/attic/temperature", "-r", "-m", "{\"t\": 30}", "-q", "1"];
    let properties = [
        "-D",
        "publish",
        "correlation-data",
        "c7",
        "-D",
        "publish",
        "content-type",
        "application/json",
        "-D",
        "publish",
        "user-property",
        "unit",
        "C",
    ];
    broker.client("mosquitto_pub", &[&more[..], &properties[..]].concat()).await;
    let subscription = json!({"filter": "${ .payload.t > 25 }", "consume": {"amount": 1}});
    // A parameter that is left open is any value.
    let got =
        run(&dev.api, "observe", &subscribes(at_broker("observe", None), &subscription)).await;
    let expected = json!({"payload": {"t": 30}, "headers": {"unit": "C"}, "correlationId": "c7"});
    assert_eq!(output(&got), &json!([expected]));
}

#[tokio::test(flavor = "multi_thread")]
async fn version_3_has_payloads_alone() {
    let test = "version_3_has_payloads_alone";
    let Some(broker) = Broker::start(test, OPEN).await else { return };
    let dev = Dev::start().await;
    let older = |room: Option<&str>| {
        let mut with = with("", "broker", broker.server.port);
        with.as_object_mut().unwrap().remove("operation");
        with["document"]["endpoint"] = json!(VERSION_2);
        with["channel"] = json!("sensors/{room}/temperature");
        if let Some(room) = room {
            with["server"]["variables"]["room"] = json!(room);
        }
        with
    };
    // A session that is kept: what is published exactly once comes when it goes on.
    let session = ["-c", "-i", "observer", "-q", "2", "-t", "sensors/#"];
    broker.client("mosquitto_sub", &[&session[..], &["-E"]].concat()).await;
    let call = publishes(older(Some("hall")), &json!("21 °C"), &json!({}));
    assert_eq!(output(&run(&dev.api, "publish", &call).await), &json!({}));
    let more = ["-C", "1", "-W", "30", "-F", "%t|%q|%p"];
    let told = broker.client("mosquitto_sub", &[&session[..], &more[..]].concat()).await;
    assert_eq!(told, "sensors/hall/temperature|2|21 °C\n");

    let headers = publishes(older(Some("hall")), &json!(1), &json!({"x-a": "b"}));
    let (kind, _, detail) = error(&run(&dev.api, "headers", &headers).await);
    assert_eq!(kind, "configuration", "{detail}");

    for (room, payload) in [("a", "{\"id\": 7}"), ("b", "plain")] {
        let topic = format!("sensors/{room}/temperature");
        broker.client("mosquitto_pub", &["-t", &topic, "-r", "-q", "1", "-m", payload]).await;
    }
    let call = subscribes(older(None), &json!({"consume": {"amount": 2}}));
    let got = run(&dev.api, "subscribe", &call).await;
    let mut got = output(&got).as_array().unwrap().clone();
    got.sort_by_key(Value::to_string);
    let expected = json!([
        {"payload": "plain", "headers": {}},
        {"payload": {"id": 7}, "headers": {}, "correlationId": "7"},
    ]);
    assert_eq!(Value::from(got), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_knows_who_may_do_what() {
    let test = "a_broker_knows_who_may_do_what";
    let more = "allow_anonymous false\npassword_file FOLDER/users\nacl_file FOLDER/acl";
    let Some(broker) = Broker::start(test, more).await else { return };
    let dev = Dev::start().await;
    for server in ["broker", "broker5"] {
        let call = |operation: &str, password: &str| {
            let mut with = with(operation, server, broker.server.port);
            with["server"]["variables"]["room"] = json!("hall");
            with["authentication"] = json!({"basic": {"username": "ada", "password": password}});
            publishes(with, &json!({}), &json!({}))
        };
        output(&run(&dev.api, &format!("may-{server}"), &call("measure", "haul away")).await);
        let view = run(&dev.api, &format!("wrong-{server}"), &call("measure", "wrong")).await;
        let (kind, status, detail) = error(&view);
        assert_eq!((kind.as_str(), status), ("communication", 401), "{detail}");
    }
}
