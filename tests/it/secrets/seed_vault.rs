//! The three workflows the project grew from, on a fleet whose secrets are in OpenBao.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::house::{House, Wishes};
use crate::seed::{HOSTS, cases};
use crate::support::stub::{Reply, Stub};

const KEY: &str = "Kq7/zP+9=api&x\"w%first~>";
const NEXT: &str = "Kq7/zP+9=api&x\"w%second~>";
const CLIENT: &str = "Vv3/tR+1=oauth&y\"k%c4nary~<";

/// The page's hosts, with an API key that can be changed.
async fn hosts(key: &Arc<Mutex<String>>) -> Stub {
    let key = key.clone();
    Stub::https(&HOSTS, move |seen| {
        let bearer = seen.header("authorization").unwrap_or("").to_owned();
        match (seen.host.as_str(), seen.path.as_str()) {
            ("auth.example.com", "/oauth2/token") => Reply::Json(
                200,
                json!({"access_token": "granted", "token_type": "Bearer", "expires_in": 3600}),
            ),
            ("api.example.com", "/customers") if bearer == "Bearer granted" => {
                Reply::Json(200, json!([{"customer": "Ada"}]))
            }
            ("api.example.com", "/data" | "/protected")
                if bearer == format!("Bearer {}", key.lock().unwrap()) =>
            {
                Reply::Json(200, json!({"accepted": true}))
            }
            _ => Reply::Text(401, "wrong credentials".into()),
        }
    })
    .await
}

async fn house(stub: &Stub) -> House {
    House::with(Wishes { workers: 2, worker: stub.flags(&HOSTS), ..Wishes::default() }).await
}

/// The versions of secrets that the history of a run names.
async fn used(house: &House, outcome: &Value) -> Vec<String> {
    let history = house.fleet.api.history(outcome["id"].as_str().unwrap()).await;
    let secrets = history.iter().filter_map(|it| it["data"]["secrets"].as_array()).flatten();
    secrets.map(|it| it.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_carries_what_the_store_holds_and_after_a_change_the_new_value() {
    let key = Arc::new(Mutex::new(KEY.to_owned()));
    let stub = hosts(&key).await;
    let house = house(&stub).await;
    for case in cases("seed 1 on bao", "01-header-from-secret.yaml", "secret-header.yaml") {
        let workflow = house.fleet.api.deploy(&case.text()).await;
        let namespace = workflow["namespace"].as_str().unwrap();
        for (value, version) in [(KEY, 1), (NEXT, 2)] {
            value.clone_into(&mut key.lock().unwrap());
            house.put(namespace, "api-key-secret", json!({"value": value})).await;
            let before = house
                .bao
                .read(&format!("secret/metadata/production/{namespace}/api-key-secret"))
                .await;
            let current = before.ok()["data"]["current_version"].clone();
            let outcome = house.fleet.api.run(&workflow, &json!({})).await;
            assert_eq!(outcome["output"], json!({"accepted": true}), "{version}: {outcome}");
            assert_eq!(used(&house, &outcome).await, [format!("api-key-secret@{current}")]);
        }
    }
    house.fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_request_carries_the_client_secret_that_the_store_holds() {
    let stub = hosts(&Arc::default()).await;
    let house = house(&stub).await;
    for case in cases("seed 2 on bao", "02-oauth2-client-secret.yaml", "secret-oauth2.yaml") {
        let workflow = house.fleet.api.deploy(&case.text()).await;
        let namespace = workflow["namespace"].as_str().unwrap();
        house.put(namespace, "oauth-client-secret", json!({"value": CLIENT})).await;
        let outcome = house.fleet.api.run(&workflow, &json!({})).await;
        assert_eq!(outcome["output"], json!([{"customer": "Ada"}]), "{outcome}");
        let seen = stub.seen();
        let asked = seen.iter().find(|it| it.host == "auth.example.com").expect("a token request");
        let decoded = percent_encoding::percent_decode_str(&asked.body).decode_utf8().unwrap();
        assert!(decoded.contains(CLIENT), "the token request does not carry the secret");
    }
    house.fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_caught_by_the_page_s_own_catch() {
    let stub = hosts(&Arc::default()).await;
    let house = house(&stub).await;
    for case in cases("seed 3 on bao", "03-missing-secret-caught.yaml", "secret-missing.yaml") {
        let workflow = house.fleet.api.deploy(&case.text()).await;
        let outcome = house.fleet.api.run(&workflow, &json!({})).await;
        assert_eq!(outcome["status"], "completed", "{outcome}");
    }
    assert!(stub.seen().is_empty(), "nothing may be sent without the secret");
    house.fleet.assert_sound();
}

/// Catches what reading the secret `key` gives, as the specification writes it.
fn catching(url: &str) -> String {
    format!(
        "document: {{dsl: '1.0.3', namespace: seed, name: catching, version: '1.0.0'}}
use: {{secrets: [key, elsewhere]}}
do:
- a:
    try:
    - b:
        call: http
        with: {{method: get, endpoint: '{url}', headers: {{x: '${{ .which as $it | $secrets[$it] }}'}}}}
    catch:
      errors: {{with: {{type: 'https://serverlessworkflow.io/spec/1.0.0/errors/authorization', status: 403}}}}
      as: error
      do:
      - c: {{set: {{detail: '${{ $error.detail }}', instance: '${{ $error.instance }}'}}}}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_and_forbidden_secrets_are_authorization_errors_that_name_no_path() {
    let stub = Stub::http(|_| Reply::Json(200, json!({}))).await;
    // Nobody gave tasks the right to this place: it is added after the setup.
    let house = House::new().await;
    let mut text = std::fs::read_to_string(house.config_file()).unwrap();
    text.push_str("\n[vault.secret.elsewhere]\nengine = \"kv2\"\nmount = \"secret\"\npath = \"vault-of-others\"\n");
    std::fs::write(house.config_file(), text).unwrap();
    let mut house = house;
    house.fleet.restart_worker(0).await;
    house.put("seed", "key", json!({"value": "there"})).await;

    let workflow = house.fleet.api.deploy(&catching(&stub.url("/"))).await;
    let outcome = house.fleet.api.run(&workflow, &json!({"which": "key"})).await;
    // Which secret is meant is computed, so all declared ones are read: the forbidden one refuses.
    let detail = outcome["output"]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("elsewhere") && detail.contains("not permit"), "{outcome}");
    assert!(!detail.contains("vault-of-others"), "{detail}");
    assert_eq!(outcome["output"]["instance"], "/do/0/a/try/0/b", "{outcome}");
    assert!(stub.seen().is_empty());

    house.bao.delete("secret/metadata/production/seed/key").await;
    let outcome = house.fleet.api.run(&workflow, &json!({"which": "key"})).await;
    let detail = outcome["output"]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("secret"), "{outcome}");
    assert!(!detail.contains("production/seed"), "{detail}");
}
