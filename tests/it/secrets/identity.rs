//! Identities of tasks, as a store of secrets sees them.

use std::path::Path;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use windlass_proto::value::Value as Output;

use super::hand::Hand;
use super::{call, deploy_call};
use crate::support::client::Api;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::paths;
use crate::support::stub::{Reply, Stub};

/// The published keys.
async fn keys(api: &Api) -> JwkSet {
    let discovery = api.get("/.well-known/openid-configuration").await.ok();
    let issuer = discovery["issuer"].as_str().unwrap();
    assert_eq!(discovery["jwks_uri"], format!("{issuer}/.well-known/jwks.json"));
    let answer = api.get("/.well-known/jwks.json").await;
    assert_eq!(answer.headers["cache-control"], "public, max-age=300");
    serde_json::from_value(answer.ok()).unwrap()
}

/// The claims of a token, when the keys verify it.
fn verify(token: &str, keys: &JwkSet, issuer: &str) -> Option<Value> {
    let id = decode_header(token).unwrap().kid.unwrap();
    let key = DecodingKey::from_jwk(keys.find(&id)?).unwrap();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&["windlass"]);
    validation.set_issuer(&[issuer]);
    validation.validate_nbf = true;
    validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    decode::<Value>(token, &key, &validation).ok().map(|it| it.claims)
}

/// True when a file in the folder, or below it, has these bytes.
pub(super) fn somewhere_in(folder: &Path, text: &str) -> bool {
    let files = paths::files(folder);
    assert!(files.len() > 3, "{files:?}");
    files.into_iter().filter(|it| it.is_file()).any(|it| {
        let bytes = std::fs::read(it).unwrap();
        bytes.windows(text.len()).any(|it| it == text.as_bytes())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_keys_verify_what_a_worker_was_given() {
    let nats = Nats::start().await;
    let layout = Layout::on(&nats.url(), 0).coordinator(&["--environment", "test"]);
    let mut fleet = Fleet::prepare(layout).await;
    fleet.coordinator.variables.push(("WINDLASS_LOG".to_owned(), "debug".to_owned()));
    fleet.coordinator.launch();
    fleet.coordinator_ready().await;
    let workflow = deploy_call(&fleet, "http://127.0.0.1:1/").await;
    let mut hand = Hand::join(&nats, &fleet, "hand-1").await;
    let id = fleet.api.start(&workflow, &json!({})).await;
    let sent = hand.task().await;
    let grant = sent.assignment.grant.clone().unwrap();
    assert_eq!((&*grant.environment, grant.secrets.len()), ("test", 1));
    let token = grant.identity.unwrap().expose().to_owned();
    let claims = verify(&token, &keys(&fleet.api).await, &fleet.api.base()).unwrap();
    for (name, expected) in [
        ("windlass_namespace", "acme"),
        ("windlass_workflow", "order"),
        ("windlass_version", "1.0.0"),
        ("windlass_task", "/do/0/pay"),
        ("windlass_instance", &*id),
        ("windlass_environment", "test"),
        ("windlass_attempt", "1"),
        ("windlass_secret_0", "api-key"),
        ("windlass_secret_1", "-"),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    // It is dated half a minute early, for stores whose clocks are behind.
    assert_eq!(life, 90);
    hand.report(&sent, Output::from("paid")).await;
    assert_eq!(fleet.api.ends(&id).await["output"], "paid");

    // A task that has nothing to do with secrets proves nothing.
    let plain = call("http://127.0.0.1:1/").replace("order", "plain");
    let plain = plain.replace("${ $secrets.\"api-key\" }", "none");
    let workflow = fleet.api.deploy(&plain).await;
    let id = fleet.api.start(&workflow, &json!({})).await;
    let sent = hand.task().await;
    assert!(sent.assignment.grant.is_none());
    hand.report(&sent, Output::from("done")).await;
    fleet.api.ends(&id).await;

    // Nothing of a token stays anywhere; its kind is found where it is, so the search works.
    let signature = token.rsplit('.').next().unwrap();
    for part in [signature, token.split('.').nth(1).unwrap()] {
        assert!(!somewhere_in(&fleet.data(), part), "a token is in the data directory");
        assert!(!fleet.stderr().contains(part), "a token is in the log");
    }
    assert!(somewhere_in(&fleet.data(), "\"format\":1"));
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_outlive_the_key_that_signed_them_and_the_next_one_was_announced() {
    let nats = Nats::start().await;
    let mut fleet = Fleet::start(&nats, 0).await;
    let issuer = fleet.api.base();
    let port = issuer.rsplit(':').next().unwrap().to_owned();
    let workflow = deploy_call(&fleet, "http://127.0.0.1:1/").await;
    let token = async |fleet: &Fleet, name: &str| {
        let mut hand = Hand::join(&nats, fleet, name).await;
        let id = fleet.api.start(&workflow, &json!({})).await;
        let sent = hand.task().await;
        hand.report(&sent, Output::Null).await;
        fleet.api.ends(&id).await;
        hand.beat(0).await;
        sent.assignment.grant.unwrap().identity.unwrap().expose().to_owned()
    };
    let first = token(&fleet, "hand-1").await;
    let ahead = keys(&fleet.api).await;
    assert_eq!(ahead.keys.len(), 2);
    // A day goes by while it is off.
    fleet.coordinator.kill().await;
    let file = fleet.data().join("identity.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut kept: Value = serde_json::from_str(&text).unwrap();
    kept["since"] = json!(kept["since"].as_u64().unwrap() - 24 * 3_600_000);
    std::fs::write(&file, kept.to_string()).unwrap();
    let bind = fleet.coordinator.arguments.iter().position(|it| it == "127.0.0.1:0").unwrap();
    fleet.coordinator.arguments[bind] = format!("127.0.0.1:{port}");
    fleet.coordinator.launch();
    fleet.coordinator_ready().await;

    let second = token(&fleet, "hand-2").await;
    assert_ne!(decode_header(&first).unwrap().kid, decode_header(&second).unwrap().kid);
    let now = keys(&fleet.api).await;
    assert!(verify(&first, &now, &issuer).is_some(), "an old token, the new list of keys");
    assert!(verify(&second, &ahead, &issuer).is_some(), "a new token, the old list of keys");
    assert_eq!(now.keys.len(), 3);
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_with_too_many_secrets_fails_and_no_worker_sees_it() {
    let nats = Nats::start().await;
    let stub = Stub::http(|_| Reply::Json(200, json!({}))).await;
    let fleet = Fleet::start(&nats, 1).await;
    let names: Vec<_> = (0..17).map(|it| format!("s{it}")).collect();
    let all = call(&stub.url("/")).replace("$secrets.\"api-key\"", "$secrets | tostring");
    let workflow = fleet.api.deploy(&all.replace("api-key", &names.join(", "))).await;
    let ended = fleet.api.run(&workflow, &json!({})).await;
    assert_eq!(ended["status"], "faulted", "{ended}");
    let error = &ended["error"];
    assert!(error["type"].as_str().unwrap().ends_with("/configuration"), "{ended}");
    assert!(error["detail"].as_str().unwrap().contains("17 secrets"), "{ended}");
    assert!(stub.seen().is_empty());
    fleet.assert_sound();
}
