//! Servers of NATS as others set them up: behind WebSockets, without JetStream of their own.

use serde_json::json;

use super::{Gate, call};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::{Bus, Nats};
use crate::support::ports;
use crate::support::tls::{Certificates, certificates};
use crate::support::until::{SOON, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_goes_through_websockets() {
    let (gate, port) = (Gate::new().await, ports::free());
    let _nats =
        Nats::with(&format!("websocket {{ listen: \"127.0.0.1:{port}\", no_tls: true }}")).await;
    let fleet = Fleet::with(Layout::on(&format!("ws://127.0.0.1:{port}"), 1)).await;
    let workflow = gate.deploy(&fleet).await;
    let view = fleet.api.run(&workflow, &call("quick", "a")).await;
    assert_eq!(view["output"], json!({"path": "/quick/a"}), "{view}");
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_goes_through_websockets_with_tls() {
    let (gate, port) = (Gate::new().await, ports::free());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let Certificates { authority, server, .. } = certificates(&["127.0.0.1"]);
    for (name, text) in [("ca.pem", authority), ("server.pem", server.0), ("key.pem", server.1)] {
        std::fs::write(path(name), text).unwrap();
    }
    let nats = Nats::with(&format!(
        "websocket {{ listen: \"127.0.0.1:{port}\", tls {{ cert_file: \"{}\", key_file: \"{}\" }} }}",
        path("server.pem"),
        path("key.pem")
    ))
    .await;
    let url = format!("wss://127.0.0.1:{port}");
    let trusts = ["--nats-ca", &path("ca.pem")];
    let mut fleet = Fleet::with(Layout::on(&url, 1).coordinator(&trusts).worker(&trusts)).await;
    let workflow = gate.deploy(&fleet).await;
    let view = fleet.api.run(&workflow, &call("quick", "a")).await;
    assert_eq!(view["output"], json!({"path": "/quick/a"}), "{view}");
    // One that does not know the authority stays outside.
    let stranger = fleet.add_worker(&url);
    fleet.workers[stranger].arguments.retain(|it| !trusts.contains(&&**it));
    fleet.workers[stranger].launch();
    until(SOON, "the server refusing the connection", async || {
        nats.stderr().contains("TLS handshake error").then_some(())
    })
    .await;
    let workers = fleet.api.get("/v1/workers").await.ok();
    assert_eq!(workers["items"].as_array().unwrap().len(), 1, "{workers}");
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_at_a_leaf_uses_the_streams_of_the_hub() {
    let (port, folder) = (ports::free(), tempfile::tempdir().unwrap());
    let hub = Nats::with(&format!(
        "jetstream {{ store_dir: \"{}\", domain: hub }}\n\
         leafnodes {{ listen: \"127.0.0.1:{port}\" }}",
        folder.path().display()
    ))
    .await;
    let remote =
        format!("leafnodes {{ remotes: [ {{ url: \"nats-leaf://127.0.0.1:{port}\" }} ] }}");
    let leaf = Nats::with(&format!("jetstream: disabled\n{remote}")).await;
    let layout = Layout::on(&leaf.url(), 1).coordinator(&["--nats-domain", "hub"]);
    let fleet = Fleet::with(layout).await;
    let text = "document: {dsl: '1.0.3', namespace: fleet, name: hears, version: '1.0.0'}\n\
                do:\n- hear: {listen: {to: {one: {with: {type: said}}}}}\n";
    let id = fleet.api.start(&fleet.api.deploy(text).await, &json!({})).await;
    fleet.api.reaches(&id, "waiting").await;
    until(SOON, "the stream of events", async || {
        let metrics = fleet.api.get("/metrics").await.ok();
        let ready = "windlass_stream_ready{stream=\"events\"} 1";
        metrics.as_str().unwrap().contains(ready).then_some(())
    })
    .await;
    let event = json!({"specversion": "1.0", "id": "1", "source": "/t", "type": "said", "data": 7});
    let mut bus = Bus::connect(hub.port()).await;
    bus.publish("windlass.event.fleet", event.to_string().as_bytes()).await;
    assert_eq!(fleet.api.ends(&id).await["output"], json!([7]));
    fleet.assert_sound();
}
