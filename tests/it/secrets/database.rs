//! Credentials that PostgreSQL makes when a task asks for them.

use std::time::Duration;

use serde_json::{Value, json};

use super::house::{House, SHARED, Wishes};
use crate::support::client::workflow;
use crate::support::postgres::{ADMIN, PASSWORD, Postgres};
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, until};

/// Where the database's credentials are.
const CONFIG: &str =
    "[vault.secret.orders-db]\nengine = \"database\"\nmount = \"database\"\npath = \"readonly\"\n";

/// Seconds after which a credential that nobody renews is gone: enough for a slow machine to renew
/// it in time.
const TTL: u64 = 8;

/// With further lines of `[vault]`.
async fn house(postgres: &Postgres, vault: &str) -> House {
    let (config, vault) = (CONFIG.to_owned(), vault.to_owned());
    let house = House::with(Wishes { workers: 1, config, vault, ..Wishes::default() }).await;
    house.bao.write("sys/mounts/database", json!({"type": "database"})).await;
    let connection = format!(
        "postgresql://{{{{username}}}}:{{{{password}}}}@{}/postgres?sslmode=disable",
        postgres.address()
    );
    let config = json!({
        "plugin_name": "postgresql-database-plugin", "allowed_roles": "readonly",
        "connection_url": connection, "username": ADMIN, "password": PASSWORD,
    });
    house.bao.write("database/config/orders", config).await;
    let create = "create role \"{{name}}\" with login password '{{password}}' \
                  valid until '{{expiration}}'";
    let role = json!({
        "db_name": "orders", "creation_statements": [create],
        "default_ttl": TTL, "max_ttl": 3600,
    });
    house.bao.write("database/roles/readonly", role).await;
    house
}

/// Sends the credential to a server that answers when it pleases.
fn calling(url: &str) -> String {
    format!(
        "document: {{dsl: '1.0.3', namespace: shop, name: query, version: '1.0.0'}}
use: {{secrets: [orders-db]}}
do:
- ask:
    call: http
    with: {{method: post, endpoint: '{url}', body: '${{ $secrets[\"orders-db\"] }}'}}
"
    )
}

/// The credential in the first request that the server has seen.
async fn credential(stub: &Stub) -> (String, String) {
    let body =
        until(SOON, "the task's request", || async { Some(stub.seen().first()?.body.clone()) })
            .await;
    let body: Value = serde_json::from_str(&body).unwrap();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (text("username"), text("password"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_works_while_its_task_runs_however_long_and_is_gone_after() {
    let postgres = Postgres::start().await;
    let house = house(&postgres, "").await;
    let (open, gate) = tokio::sync::watch::channel(false);
    let stub = Stub::http(move |_| {
        Reply::Gated(gate.clone(), Box::new(Reply::Json(200, json!({"rows": 3}))))
    })
    .await;
    let text = calling(&stub.url("/query"));
    house.fleet.api.deploy(&text).await;
    let id = house.fleet.api.start(&workflow(&text), &json!({})).await;

    let (user, password) = credential(&stub).await;
    assert_eq!(postgres.made_users().await, std::slice::from_ref(&user));
    assert_eq!(postgres.query_as(&user, &password, "select 6 * 7").await.as_deref(), Ok("42"));
    // Twice its life: somebody renews it.
    let renewed = tokio::time::Instant::now() + Duration::from_secs(2 * TTL);
    until(SOON, "twice the life of the credential", || async {
        (tokio::time::Instant::now() > renewed).then_some(())
    })
    .await;
    assert_eq!(postgres.query_as(&user, &password, "select 6 * 7").await.as_deref(), Ok("42"));

    open.send(true).unwrap();
    let outcome = house.fleet.api.ends(&id).await;
    assert_eq!(outcome["output"], json!({"rows": 3}), "{outcome}");
    postgres.users(0).await;
    assert!(postgres.query_as(&user, &password, "select 1").await.is_err());
    house.fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_worker_held_is_gone_after_its_time() {
    let postgres = Postgres::start().await;
    let mut house = house(&postgres, "").await;
    let stub = Stub::http(|_| Reply::Never).await;
    let text = calling(&stub.url("/query"));
    house.fleet.api.deploy(&text).await;
    house.fleet.api.start(&workflow(&text), &json!({})).await;
    let (user, _) = credential(&stub).await;
    house.fleet.workers[0].kill().await;
    assert_eq!(postgres.made_users().await, [user], "nobody was there to give it back");
    postgres.users(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_is_given_back_when_its_task_is_cancelled_or_its_worker_drains() {
    is_given_back("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_is_of_one_attempt_and_goes_with_it_where_logins_are_shared() {
    is_given_back(SHARED).await;
}

async fn is_given_back(vault: &str) {
    let postgres = Postgres::start().await;
    let mut house = house(&postgres, vault).await;
    let stub = Stub::http(|_| Reply::Never).await;
    let text = calling(&stub.url("/query"));
    house.fleet.api.deploy(&text).await;
    for drain in [false, true] {
        let id = house.fleet.api.start(&workflow(&text), &json!({})).await;
        postgres.users(1).await;
        match drain {
            false => {
                let path = format!("/v1/instances/{id}/cancel");
                house.fleet.api.post(&path, &json!({})).await.ok();
            }
            true => {
                house.fleet.workers[0].terminate().await;
            }
        }
        // Well before it would end by itself, if the machine is not very slow; in any case it ends.
        postgres.users(0).await;
    }
}
