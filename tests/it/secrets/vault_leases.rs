//! Tokens and leases while a task runs, and when it does not end as it should.

use std::time::{Duration, Instant};

use serde_json::json;
use windlass_proto::audit::{AuditAction, AuditEvent};
use windlass_worker::SecretData;

use super::vault_setup::{Setup, Task, read, task};
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, until};

#[tokio::test]
async fn a_token_lasts_as_long_as_its_task() {
    let setup = Setup::with_role(json!({"token_ttl": "2s", "token_max_ttl": "1h"})).await;
    let source = setup.source("");
    let tokens = setup.accessors().await.len();
    let mut session = setup.session(&source, &task());
    let begun = Instant::now();
    read(&mut *session, "key").await.unwrap();
    until(SOON, "two renewals", || async {
        (setup.told.of(AuditAction::Renewed).len() >= 2).then_some(())
    })
    .await;
    assert!(begun.elapsed() > Duration::from_secs(2), "renewed too often");
    read(&mut *session, "key").await.unwrap();
    session.release().await;
    assert_eq!(setup.accessors().await.len(), tokens);

    // An attempt that is dropped, as in a crash, renews no more, and its token ends.
    let renewed = setup.told.of(AuditAction::Renewed).len();
    let mut session = setup.session(&source, &task());
    read(&mut *session, "key").await.unwrap();
    assert_eq!(setup.accessors().await.len(), tokens + 1);
    drop(session);
    setup.until_tokens(tokens).await;
    assert_eq!(setup.told.of(AuditAction::Renewed).len(), renewed);
}

#[tokio::test]
async fn nothing_is_renewed_beyond_the_deadline() {
    let setup = Setup::with_role(json!({"token_ttl": "2s", "token_max_ttl": "1h"})).await;
    let source = setup.source("");
    let tokens = setup.accessors().await.len();
    let task = Task { time: Some(Duration::from_secs(3)), ..task() };
    let mut session = setup.session(&source, &task);
    read(&mut *session, "key").await.unwrap();
    // It ends although the attempt is still there.
    setup.until_tokens(tokens).await;
    // Every renewal reaches to the deadline or takes two thirds of the token's time.
    assert!(setup.told.of(AuditAction::Renewed).len() <= 2);
    session.release().await;
    assert_eq!(setup.told.of(AuditAction::Expired).len(), 1);
    assert_eq!(setup.told.of(AuditAction::Revoked).len(), 0);
}

#[tokio::test]
async fn a_token_does_not_outlive_its_task_by_far() {
    let setup = Setup::with_role(json!({"token_ttl": "1h"})).await;
    let source = setup.source("");
    let before = setup.accessors().await;
    for (seconds, least, most) in [(None, 3_500, 3_600), (Some(10), 1, 70)] {
        let task = Task { time: seconds.map(Duration::from_secs), ..task() };
        let mut session = setup.session(&source, &task);
        read(&mut *session, "key").await.unwrap();
        let now = setup.accessors().await;
        let accessor = now.iter().find(|it| !before.contains(it)).unwrap();
        let body = json!({"accessor": accessor});
        let looked = setup.bao.write("auth/token/lookup-accessor", body).await;
        let ttl = looked["data"]["ttl"].as_u64().unwrap();
        assert!(ttl >= least && ttl <= most, "{seconds:?}: {ttl}");
        session.release().await;
    }
}

/// Stands for a broker whose users the store makes and takes away.
async fn broker() -> Stub {
    Stub::http(|_| Reply::Raw(204, "application/json", Vec::new())).await
}

/// How many users were taken away.
fn removed(broker: &Stub) -> usize {
    broker.seen().iter().filter(|it| it.method == "DELETE").count()
}

#[tokio::test]
async fn made_credentials_last_as_long_as_their_task() {
    let setup = Setup::start().await;
    let broker = broker().await;
    let source = setup.source(setup.broker(&broker, "3s").await);
    let mut session = setup.session(&source, &task());
    let value = read(&mut *session, "key").await.unwrap();
    let SecretData::Map(entries) = value.data.expose() else { panic!("no map") };
    assert!(entries.iter().any(|(key, _)| key == "username"));
    assert_eq!(broker.seen().iter().filter(|it| it.method == "PUT").count(), 2);
    let hash = value.lease.unwrap();
    let renewed = |it: &AuditEvent| it.success && it.lease.as_deref() == Some(&*hash);
    until(SOON, "two renewals", || async {
        let told = setup.told.of(AuditAction::Renewed);
        (told.iter().filter(|it| renewed(it)).count() >= 2).then_some(())
    })
    .await;
    assert_eq!(removed(&broker), 0, "the user is gone while the task runs");
    session.release().await;
    until(SOON, "the end of the user", || async { (removed(&broker) == 1).then_some(()) }).await;

    // Without a worker to renew them they end.
    let mut session = setup.session(&source, &task());
    read(&mut *session, "key").await.unwrap();
    drop(session);
    until(SOON, "the end of the user", || async { (removed(&broker) == 2).then_some(()) }).await;
}

#[tokio::test]
async fn made_credentials_do_not_outlive_their_task_by_far() {
    let setup = Setup::with_role(json!({"token_ttl": "2h"})).await;
    let broker = broker().await;
    let source = setup.source(setup.broker(&broker, "1h").await);
    for (seconds, least, most) in [(None, 3_500, 3_600), (Some(10), 1, 70)] {
        let task = Task { time: seconds.map(Duration::from_secs), ..task() };
        let mut session = setup.session(&source, &task);
        read(&mut *session, "key").await.unwrap();
        let held = setup.bao.list("sys/leases/lookup/rabbitmq/creds/orders").await;
        let body = json!({"lease_id": format!("rabbitmq/creds/orders/{}", held[0])});
        let looked = setup.bao.write("sys/leases/lookup", body).await;
        let ttl = looked["data"]["ttl"].as_u64().unwrap();
        assert!(ttl >= least && ttl <= most, "{seconds:?}: {ttl}");
        session.release().await;
        until(SOON, "the end of the lease", || async {
            let held = setup.bao.list("sys/leases/lookup/rabbitmq/creds/orders").await;
            held.is_empty().then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_a_token_that_cannot_be_revoked_leased_is_given_back() {
    let setup = Setup::with_role(json!({"token_type": "batch"})).await;
    let broker = broker().await;
    let source = setup.source(setup.broker(&broker, "50s").await);
    let mut session = setup.session(&source, &task());
    let hash = read(&mut *session, "key").await.unwrap().lease;
    session.release().await;
    assert_eq!(removed(&broker), 1);
    let revoked = setup.told.of(AuditAction::Revoked);
    assert_eq!((revoked.len(), &revoked[0].lease), (1, &hash));
}

#[tokio::test]
async fn tokens_that_cannot_be_revoked_end_by_themselves() {
    let setup = Setup::with_role(json!({"token_type": "batch"})).await;
    let source = setup.source("");
    let mut session = setup.session(&source, &task());
    read(&mut *session, "key").await.unwrap();
    session.release().await;
    assert_eq!(setup.requests("update", "auth/token/revoke-self"), 0);
    let expired = setup.told.of(AuditAction::Expired);
    assert_eq!((expired.len(), expired[0].success), (1, false));
}

#[tokio::test]
async fn a_release_waits_for_a_store_that_is_away_and_then_gives_up() {
    let mut setup = Setup::start().await;
    let source = setup.source("timeout = \"2s\"\n");
    let mut session = setup.session(&source, &task());
    read(&mut *session, "key").await.unwrap();
    setup.bao.kill().await;
    session.release().await;
    let expired = setup.told.of(AuditAction::Expired);
    assert_eq!((expired.len(), expired[0].success), (1, false));
}
