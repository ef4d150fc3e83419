//! What a task may read, and what everybody else may not: asked of OpenBao itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use super::hand::{Given, Hand};
use super::house::{House, Wishes};
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, until};

/// A workflow of this name that sends the secret `key` to `url`.
fn sending(namespace: &str, name: &str, url: &str) -> String {
    format!(
        "document: {{dsl: '1.0.3', namespace: {namespace}, name: {name}, version: '1.0.0'}}
use: {{secrets: [{name}-key]}}
do:
- send:
    call: http
    with: {{method: post, endpoint: '{url}', body: '${{ $secrets[\"{name}-key\"] }}'}}
"
    )
}

fn jwt(sent: &Given) -> String {
    let grant = sent.assignment.grant.as_ref().expect("a grant");
    grant.identity.as_ref().expect("an identity").expose().to_owned()
}

/// Logs in; the token, or the status of the refusal.
async fn login(house: &House, jwt: &str) -> Result<String, u16> {
    login_as(house, "task", jwt).await
}

async fn login_as(house: &House, role: &str, jwt: &str) -> Result<String, u16> {
    let body = json!({"role": role, "jwt": jwt});
    let answer = house.bao.anonymous(Method::POST, "auth/windlass/login", &body).await;
    match answer.status.is_success() {
        true => Ok(answer.body["auth"]["client_token"].as_str().unwrap().to_owned()),
        false => Err(answer.status.as_u16()),
    }
}

async fn status(house: &House, token: &str, path: &str) -> u16 {
    house.bao.with(token, Method::GET, path, &Value::Null).await.status.as_u16()
}

/// Two workflows of one namespace and one of another, with a secret each, and the same in another
/// environment. No worker but the thief's.
async fn house_with_secrets(url: &str) -> House {
    let house = House::with(Wishes::default()).await;
    for (namespace, name) in [("acme", "orders"), ("acme", "bills"), ("evil", "orders")] {
        house.fleet.api.deploy(&sending(namespace, name, url)).await;
        let key = format!("{name}-key");
        house.put(namespace, &key, json!({"value": format!("{namespace}-{name}")})).await;
        house.put_at("test", namespace, &key, json!({"value": "of the test"})).await;
    }
    house
}

fn named(namespace: &str, name: &str) -> Value {
    json!({"namespace": namespace, "name": name, "version": "1.0.0"})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_reads_its_own_secrets_and_no_others() {
    let house = house_with_secrets("http://127.0.0.1:9/").await;
    let mut thief = Hand::join(&house.nats, &house.fleet, "thief").await;
    house.fleet.api.start(&named("acme", "orders"), &json!({})).await;
    let sent = thief.task().await;
    let token = login(&house, &jwt(&sent)).await.unwrap();
    assert_eq!(status(&house, &token, "secret/data/production/acme/orders-key").await, 200);
    for path in [
        "secret/data/production/acme/bills-key",
        "secret/data/production/evil/orders-key",
        "secret/data/test/acme/orders-key",
        "secret/metadata/production/acme/orders-key",
        "secret/data/production/acme/%2e%2e/acme/bills-key",
        "sys/mounts",
        "sys/policies/acl/windlass-task",
        "auth/token/accessors?list=true",
        "identity/entity/id?list=true",
    ] {
        let status = status(&house, &token, path).await;
        assert!(matches!(status, 400 | 403 | 404), "{path}: {status}");
    }
    // A role of fewer slots would take those of an identity that has more from all tokens of its
    // tasks: it is for identities of as many.
    let narrow = login_as(&house, "task-1", &jwt(&sent)).await.unwrap();
    assert_eq!(self::status(&house, &narrow, "secret/data/production/acme/orders-key").await, 200);
    assert_eq!(self::status(&house, &narrow, "secret/data/production/acme/bills-key").await, 403);
    assert_eq!(login_as(&house, "task-4", &jwt(&sent)).await, Err(400));
    // Nor may it write what it may read, or make itself another token.
    for (path, body) in [
        ("secret/data/production/acme/orders-key", json!({"data": {"value": "x"}})),
        ("auth/token/create", json!({})),
        ("transit/decrypt/windlass-evil", json!({"ciphertext": "vault:v1:AAAA"})),
    ] {
        let answer = house.bao.with(&token, Method::POST, path, &body).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_that_is_forged_altered_or_too_old_is_refused() {
    let house = house_with_secrets("http://127.0.0.1:9/").await;
    let mut thief = Hand::join(&house.nats, &house.fleet, "thief").await;
    house.fleet.api.start(&named("acme", "orders"), &json!({})).await;
    let sent = thief.task().await;
    let good = jwt(&sent);
    let [header, payload, signature] =
        <[&str; 3]>::try_from(good.split('.').collect::<Vec<_>>()).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    // It is dated half a minute early, for stores whose clocks are behind.
    assert!(life <= 90, "{claims}");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut claims = claims.clone();
        change(&mut claims);
        URL_SAFE_NO_PAD.encode(claims.to_string())
    };
    let other = with(&|it| it["windlass_secret_0"] = json!("bills-key"));
    let later = with(&|it| it["exp"] = json!(it["exp"].as_u64().unwrap() + 3600));
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    for (what, bad) in [
        ("another secret", format!("{header}.{other}.{signature}")),
        ("a longer life", format!("{header}.{later}.{signature}")),
        ("no algorithm", format!("{none}.{payload}.")),
        ("no signature", format!("{header}.{payload}.")),
        ("nothing", String::new()),
        ("the worker's key", house.fleet.key.clone()),
    ] {
        let refused = login(&house, &bad).await;
        assert!(matches!(refused, Err(400 | 403)), "{what}: {refused:?}");
    }
    // Used again inside its life it gives what it gave, and the store's log tells of both.
    let (first, second) =
        (login(&house, &good).await.unwrap(), login(&house, &good).await.unwrap());
    assert_eq!(status(&house, &first, "secret/data/production/acme/orders-key").await, 200);
    assert_eq!(status(&house, &second, "secret/data/production/acme/bills-key").await, 403);
    let logins = house.bao.audit_log().into_iter().filter(|it| {
        it["type"] == "response"
            && it["request"]["path"] == "auth/windlass/login"
            && it["auth"]["accessor"].is_string()
    });
    assert_eq!(logins.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_worker_without_a_task_can_read_nothing() {
    let house = house_with_secrets("http://127.0.0.1:9/").await;
    // All it has: its key, which lets it join, and the address of the store.
    let _thief = Hand::join(&house.nats, &house.fleet, "thief").await;
    for token in ["", &house.fleet.key] {
        let status = status(&house, token, "secret/data/production/acme/orders-key").await;
        assert_eq!(status, 403);
    }
    assert!(matches!(login(&house, &house.fleet.key).await, Err(400 | 403)));
    let config = std::fs::read_to_string(house.config_file()).unwrap();
    assert!(!config.contains("token"), "the configuration holds no right of its own: {config}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_at_the_same_time_never_see_each_other_s_rights() {
    let house = house_with_secrets("http://127.0.0.1:9/").await;
    let mut thief = Hand::join(&house.nats, &house.fleet, "thief").await;
    let mut tokens = Vec::new();
    for (namespace, name) in [("acme", "orders"), ("acme", "bills"), ("evil", "orders")] {
        house.fleet.api.start(&named(namespace, name), &json!({})).await;
        let sent = thief.task().await;
        let workflow = &sent.assignment.workflow;
        assert_eq!((&*workflow.namespace, &*workflow.name), (namespace, name));
        tokens.push((format!("{namespace}/{name}-key"), jwt(&sent)));
    }
    // Each logs in again between the reads of the others: rights must not move from login to login.
    for _ in 0..5 {
        for (own, jwt) in &tokens {
            let token = login(&house, jwt).await.unwrap();
            for (_, other) in &tokens {
                login(&house, other).await.unwrap();
            }
            for (path, _) in &tokens {
                let status =
                    status(&house, &token, &format!("secret/data/production/{path}")).await;
                assert_eq!(status, if path == own { 200 } else { 403 }, "{own} reads {path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_logs_in_once_gives_its_token_back_and_leaves_nothing_behind() {
    const RUNS: usize = 12;
    let stub = Stub::http(|_| Reply::Json(200, json!({"done": true}))).await;
    let house = House::with(Wishes { workers: 2, ..Wishes::default() }).await;
    for name in ["orders", "bills"] {
        house.fleet.api.deploy(&sending("acme", name, &stub.url("/"))).await;
        house.put("acme", &format!("{name}-key"), json!({"value": name})).await;
    }
    let run = |number: usize| {
        let name = if number.is_multiple_of(2) { "orders" } else { "bills" };
        let api = house.fleet.api.clone();
        async move { api.run(&named("acme", name), &json!({})).await }
    };
    for outcome in futures_util::future::join_all((0..RUNS).map(run)).await {
        assert_eq!(outcome["status"], "completed", "{outcome}");
    }
    let responses = |path: &str| {
        let of = |it: &Value| it["type"] == "response" && it["request"]["path"] == path;
        house.bao.audit_log().iter().filter(|it| of(it)).count()
    };
    until(SOON, "all tokens given back", || async {
        (responses("auth/token/revoke-self") == RUNS).then_some(())
    })
    .await;
    assert_eq!(responses("auth/windlass/login"), RUNS);
    assert_eq!(stub.seen().len(), RUNS);
    // Only root's token is left, and an identity a definition, not one a run.
    assert_eq!(house.bao.list("auth/token/accessors").await.len(), 1);
    assert_eq!(house.bao.list("identity/entity/id").await.len(), 2);
    // The log of the store and ours meet by the id of the request.
    let requests = house.bao.request_ids();
    let granted = until(SOON, "all grants on disk", || async {
        let file = house.fleet.data().join("audit.jsonl");
        let ours = std::fs::read_to_string(file).unwrap_or_default();
        // The last line may be half written.
        let events = ours.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let granted: Vec<_> = events.filter(|it| it["action"] == "secret.granted").collect();
        (granted.len() == RUNS).then_some(granted)
    })
    .await;
    for event in granted {
        let request = event["request"].as_str().expect("the id of the request");
        assert!(requests.contains(request), "{event}");
        assert!(event["worker"].as_str().is_some_and(|it| it.starts_with("worker-")), "{event}");
    }
    house.fleet.assert_sound();
}
