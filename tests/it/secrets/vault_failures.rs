//! A store that is sealed, silent, away, or asked too often: never "missing", and soon well again.

use std::time::{Duration, Instant};

use serde_json::json;
use windlass_worker::{SecretError, SecretSession};

use super::vault_setup::{Setup, read, task, text, unavailable};
use crate::support::bao::Bao;
use crate::support::until::SOON;

/// Reads until it works again; every failure until then must be the passing one.
async fn recovers(session: &mut dyn SecretSession) {
    let begun = Instant::now();
    loop {
        match read(session, "key").await {
            Ok(value) => return assert!(text(&value).starts_with("c4nary")),
            Err(SecretError::Unavailable(_)) => {}
            Err(other) => panic!("{other}"),
        }
        assert!(begun.elapsed() < SOON, "the store is not used again");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_sealed_store_is_unavailable_until_it_is_unsealed() {
    let setup = Setup::start().await;
    let source = setup.source("");
    let mut session = setup.session(&source, &task());
    read(&mut *session, "key").await.unwrap();
    setup.bao.seal().await;
    assert!(unavailable(read(&mut *session, "key").await).contains("sealed"));
    setup.bao.unseal().await;
    recovers(&mut *session).await;
}

#[tokio::test]
async fn a_store_that_hangs_is_left_alone_after_a_few_tries() {
    let setup = Setup::start().await;
    let source = setup.source("timeout = \"1s\"\n");
    let mut session = setup.session(&source, &task());
    read(&mut *session, "key").await.unwrap();
    setup.bao.stop().await;
    let mut reasons = Vec::new();
    for _ in 0..8 {
        reasons.push(unavailable(read(&mut *session, "key").await));
    }
    assert!(reasons[..5].iter().all(|it| it.contains("did not answer")), "{reasons:?}");
    assert!(reasons[5..].iter().any(|it| it.contains("is asked again in")), "{reasons:?}");
    setup.bao.cont();
    recovers(&mut *session).await;
}

#[tokio::test]
async fn a_store_that_was_killed_is_used_again_with_the_same_token() {
    let mut setup = Setup::start().await;
    let source = setup.source("timeout = \"4s\"\n");
    let mut session = setup.session(&source, &task());
    read(&mut *session, "key").await.unwrap();
    setup.bao.kill().await;
    assert!(unavailable(read(&mut *session, "key").await).contains("cannot be"));
    setup.bao.restart().await;
    assert!(unavailable(read(&mut *session, "key").await).contains("sealed"));
    setup.bao.unseal().await;
    recovers(&mut *session).await;
    assert_eq!(setup.requests("update", "auth/windlass/login"), 1);
}

#[tokio::test]
async fn a_store_that_asks_for_a_pause_gets_it() {
    let setup = Setup::start().await;
    // Only then does it say how long to wait.
    let headers = json!({"enable_rate_limit_response_headers": true});
    setup.bao.write("sys/quotas/config", headers).await;
    let quota = json!({"path": "secret/", "rate": 1, "interval": "10s"});
    setup.bao.write("sys/quotas/rate-limit/tight", quota).await;
    let source = setup.source("");
    let mut session = setup.session(&source, &task());
    // The store's own quota lets one or two through.
    let begun = Instant::now();
    let reason = loop {
        match read(&mut *session, "key").await {
            Err(SecretError::Unavailable(reason)) => break reason,
            other => drop(other.unwrap()),
        }
        assert!(begun.elapsed() < SOON, "the quota does not hold");
    };
    assert!(reason.contains("too many requests"), "{reason}");
    let asked = setup.bao.audit_log().len();
    let reason = unavailable(read(&mut *session, "key").await);
    assert!(reason.contains("is asked again in"), "{reason}");
    assert_eq!(setup.bao.audit_log().len(), asked, "it was asked in its pause");
    recovers(&mut *session).await;
}

#[tokio::test]
async fn requests_wait_for_their_turn() {
    let setup = Setup::start().await;
    let source = setup.source("concurrency = 1\nrequests-per-second = 4\n");
    let begun = Instant::now();
    let mut all = Vec::new();
    for _ in 0..3 {
        let mut session = setup.session(&source, &task());
        all.push(tokio::spawn(async move { read(&mut *session, "key").await.map(|it| text(&it)) }));
    }
    for one in all {
        assert_eq!(one.await.unwrap(), Ok("c4nary-1".to_owned()));
    }
    // Six requests, of which four pass at once.
    assert!(begun.elapsed() >= Duration::from_millis(490), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_store_s_certificate_must_be_of_the_configured_authority() {
    let setup = Setup::on(Bao::start_tls().await, json!({})).await;
    let trusting = setup.source(&format!("ca-file = \"{}\"\n", setup.bao.ca_file().display()));
    let mut session = setup.session(&trusting, &task());
    assert_eq!(text(&read(&mut *session, "key").await.unwrap()), "c4nary-1");
    let mut session = setup.session(&setup.source(""), &task());
    assert!(unavailable(read(&mut *session, "key").await).contains("cannot be reached"));
}

#[tokio::test]
async fn a_store_that_is_not_there_is_unavailable() {
    let mut setup = Setup::start().await;
    let source = setup.source("");
    setup.bao.kill().await;
    let mut session = setup.session(&source, &task());
    assert!(unavailable(read(&mut *session, "key").await).contains("cannot be reached"));
    let mut reasons = Vec::new();
    for _ in 0..8 {
        reasons.push(unavailable(read(&mut *session, "key").await));
    }
    assert!(reasons.iter().any(|it| it.contains("is asked again in")), "{reasons:?}");
}
