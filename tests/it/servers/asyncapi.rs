//! Brokers and servers that descriptions of AsyncAPI tell of: nats-server, mosquitto,
//! RabbitMQ, a broker of Kafka, and a WebSocket server of Python's websockets.

mod amqp;
mod ends;
mod http;
mod kafka;
mod mqtt;
mod nats;
mod websocket;

use serde_json::{Value, json};

/// The descriptions, as `windlass dev` reads them, which runs in the repository.
const VERSION_2: &str = "file://tests/it/servers/asyncapi/version_2.yaml";
const VERSION_3: &str = "file://tests/it/servers/asyncapi/version_3.yaml";

/// The same over HTTP, for workers without files.
async fn served() -> crate::support::stub::Stub {
    use crate::support::stub::{Reply, Stub};
    let text = include_bytes!("asyncapi/version_3.yaml");
    Stub::http(|_| Reply::Raw(200, "application/yaml", text.to_vec())).await
}

/// What every call has: the operation, and the server with its port.
fn with(operation: &str, server: &str, port: u16) -> Value {
    json!({
        "document": {"endpoint": VERSION_3},
        "operation": operation,
        "server": {"name": server, "variables": {"port": port}},
    })
}

/// A task that publishes.
fn publishes(mut with: Value, payload: &Value, headers: &Value) -> String {
    with["message"] = json!({"payload": payload, "headers": headers});
    task(&with)
}

/// A task that subscribes.
fn subscribes(mut with: Value, subscription: &Value) -> String {
    with["subscription"] = subscription.clone();
    task(&with)
}

fn task(with: &Value) -> String {
    format!("call: asyncapi, with: {with}")
}
