//! Tokens and leases while a task runs, and when it does not end as it should.

use std::time::{Duration, Instant};

use serde_json::json;
use windlass_proto::audit::AuditAction;

use super::vault_setup::{Setup, Task, read, task};
use crate::support::until::{SOON, until};

#[tokio::test]
async fn a_token_lasts_as_long_as_its_task() {
    let setup = Setup::with_role(json!({"token_ttl": "2s", "token_max_ttl": "1h"})).await;
    let source = setup.source("");
    let tokens = setup.accessors().await.len();
    let mut lease = setup.lease(&source, &task());
    let begun = Instant::now();
    read(&mut *lease, "key").await.unwrap();
    until(SOON, "two renewals", || async {
        (setup.told.of(AuditAction::Renewed).len() >= 2).then_some(())
    })
    .await;
    assert!(begun.elapsed() > Duration::from_secs(2), "renewed too often");
    read(&mut *lease, "key").await.unwrap();
    lease.release().await;
    assert_eq!(setup.accessors().await.len(), tokens);

    // An attempt that is dropped, as in a crash, renews no more, and its token ends.
    let renewed = setup.told.of(AuditAction::Renewed).len();
    let mut lease = setup.lease(&source, &task());
    read(&mut *lease, "key").await.unwrap();
    assert_eq!(setup.accessors().await.len(), tokens + 1);
    drop(lease);
    setup.until_tokens(tokens).await;
    assert_eq!(setup.told.of(AuditAction::Renewed).len(), renewed);
}

#[tokio::test]
async fn nothing_is_renewed_beyond_the_deadline() {
    let setup = Setup::with_role(json!({"token_ttl": "2s", "token_max_ttl": "1h"})).await;
    let source = setup.source("");
    let tokens = setup.accessors().await.len();
    let task = Task { time: Some(Duration::from_secs(3)), ..task() };
    let mut lease = setup.lease(&source, &task);
    read(&mut *lease, "key").await.unwrap();
    // It ends although the attempt is still there.
    setup.until_tokens(tokens).await;
    assert_eq!(setup.told.of(AuditAction::Renewed).len(), 1);
    lease.release().await;
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
        let mut lease = setup.lease(&source, &task);
        read(&mut *lease, "key").await.unwrap();
        let now = setup.accessors().await;
        let accessor = now.iter().find(|it| !before.contains(it)).unwrap();
        let body = json!({"accessor": accessor});
        let looked = setup.bao.write("auth/token/lookup-accessor", body).await;
        let ttl = looked["data"]["ttl"].as_u64().unwrap();
        assert!(ttl >= least && ttl <= most, "{seconds:?}: {ttl}");
        lease.release().await;
    }
}

#[tokio::test]
async fn tokens_that_cannot_be_revoked_end_by_themselves() {
    let setup = Setup::with_role(json!({"token_type": "batch"})).await;
    let source = setup.source("");
    let mut lease = setup.lease(&source, &task());
    read(&mut *lease, "key").await.unwrap();
    lease.release().await;
    assert_eq!(setup.requests("update", "auth/token/revoke-self"), 0);
    let expired = setup.told.of(AuditAction::Expired);
    assert_eq!((expired.len(), expired[0].success), (1, false));
}

#[tokio::test]
async fn a_release_waits_for_a_store_that_is_away_and_then_gives_up() {
    let mut setup = Setup::start().await;
    let source = setup.source("timeout = \"300ms\"\n");
    let mut lease = setup.lease(&source, &task());
    read(&mut *lease, "key").await.unwrap();
    setup.bao.kill().await;
    lease.release().await;
    let expired = setup.told.of(AuditAction::Expired);
    assert_eq!((expired.len(), expired[0].success), (1, false));
}
