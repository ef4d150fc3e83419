//! A WebSocket server of Python's websockets.

use serde_json::{Value, json};
use tokio::process::Command;

use super::super::Server;
use super::{publishes, subscribes, with};
use crate::support::dev::Dev;
use crate::support::grpc::{error, output, run};
use crate::support::until::{SOON, until};
use crate::support::{paths, tools};

/// The server: see `websocket.py`.
pub(super) async fn start() -> Server {
    let python = tools::python(&["websockets==17.4"]).await;
    Server::start(|port, _| {
        let mut command = Command::new(&python);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        let program = paths::root().join("tests/it/servers/asyncapi/websocket.py");
        command.arg(program).arg(port.to_string());
        command
    })
    .await
}

/// What it has told of `event` in `room`, once that is as much as `count`.
pub(super) async fn told(server: &Server, event: &str, room: &str, count: usize) -> Vec<Value> {
    until(SOON, &format!("{count} times {event} in {room}"), async || {
        let text = server.process.stdout().text();
        let all = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let told: Vec<_> = all.filter(|it| it["event"] == event && it["room"] == room).collect();
        (told.len() >= count).then_some(told)
    })
    .await
}

/// The call of a room.
pub(super) fn room(server: &Server, room: &str) -> Value {
    let mut with = with("chat", "socket", server.port);
    with["server"]["variables"]["room"] = json!(room);
    with
}

fn header(opened: &Value, name: &str) -> Option<String> {
    let all = opened["headers"].as_array().unwrap();
    let is_it = |it: &&Value| it[0].as_str().unwrap().eq_ignore_ascii_case(name);
    all.iter().find(is_it).map(|it| it[1].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_one_frame() {
    let (server, dev) = (start().await, Dev::start().await);
    let call = publishes(room(&server, "hall"), &json!({"t": "größer"}), &json!({"x-a": "b"}));
    assert_eq!(output(&run(&dev.api, "say", &call).await), &json!({}));
    let said = told(&server, "message", "hall", 1).await;
    assert_eq!(said[0]["text"], "{\"t\":\"größer\"}");
    let opened = &told(&server, "open", "hall", 1).await[0];
    // A message has no headers; the handshake has.
    assert_eq!(header(opened, "x-a").as_deref(), Some("b"));
    assert!(header(opened, "idempotency-key").unwrap().contains("/do/0/it"));
    assert_eq!(header(opened, "content-type"), None);
    // It was closed as it should be.
    assert_eq!(told(&server, "end", "hall", 1).await[0]["code"], 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_messages() {
    let (server, dev) = (start().await, Dev::start().await);
    let listen = |place: &str, amount: u32| {
        subscribes(room(&server, place), &json!({"consume": {"amount": amount}}))
    };
    let got = run(&dev.api, "greets", &listen("greets", 4)).await;
    let message = |payload: Value| json!({"payload": payload, "headers": {}});
    let expected = [json!({"n": 0}), json!({"n": 1}), json!("hello"), json!("AP8=")];
    assert_eq!(output(&got), &Value::from(expected.map(message).to_vec()));
    for (name, place, status, expected) in [
        ("closes", "closes", 503, "the server has closed it (1000)"),
        ("large", "large", 503, "a message is larger than 10485760 bytes"),
        ("secret", "secret", 401, "answered the handshake with 401"),
    ] {
        let (kind, found, detail) = error(&run(&dev.api, name, &listen(place, 9)).await);
        assert_eq!((kind.as_str(), found), ("communication", status), "{detail}");
        assert!(detail.contains(expected), "{detail}");
    }
    let mut known = room(&server, "secret");
    known["authentication"] = json!({"bearer": {"token": "t0ken"}});
    let call = subscribes(known, &json!({"consume": {"amount": 1}}));
    assert_eq!(output(&run(&dev.api, "known", &call).await), &json!([message(json!("in"))]));
}
