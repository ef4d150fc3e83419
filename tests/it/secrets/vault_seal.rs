//! Sealing with keys that never leave the store.

use std::time::Duration;

use windlass_proto::audit::AuditAction;
use windlass_proto::id::InstanceId;
use windlass_proto::sealed::Sealed;
use windlass_worker::SecretError;
use zeroize::Zeroizing;

use super::vault_setup::{Setup, Task, seal, task, unavailable};

#[tokio::test]
async fn what_is_sealed_opens_in_its_namespace_only() {
    let setup = Setup::start().await;
    let source = setup.source("");
    let mut session = setup.session(&source, &task());
    let texts: Vec<Zeroizing<Vec<u8>>> =
        ["c4nary", "", "\u{1f980}\0"].iter().map(|it| it.as_bytes().to_vec().into()).collect();
    let sealed = session.seal(&texts).await.unwrap();
    // The first one makes the key.
    assert_eq!(setup.requests("create", "transit/encrypt/windlass-acme"), 1, "one request");
    assert_eq!(setup.requests("update", "transit/encrypt/windlass-acme"), 0, "one request");
    for one in &sealed {
        assert_eq!((&*one.key, &*one.namespace), ("windlass-acme", "acme"));
        assert!(!String::from_utf8_lossy(&one.ciphertext).contains("c4nary"));
    }
    // Another instance of the namespace, at another worker.
    let other = setup.source("");
    let mut later = setup.session(&other, &Task { instance: 8, ..task() });
    assert!(later.open(&sealed).await.unwrap() == texts);

    let mut stranger = setup.session(&source, &Task { namespace: "evil", ..task() });
    assert_eq!(stranger.open(&sealed).await.err(), Some(SecretError::Forbidden));
    // Whoever lies about where it is from gets nowhere either.
    let ours = seal(&mut *stranger, "x").await.unwrap();
    let relabelled =
        Sealed { key: ours.key.clone(), namespace: "evil".into(), ..sealed[0].clone() };
    assert_eq!(stranger.open(&[relabelled]).await.err(), Some(SecretError::Forbidden));
    let moved = Sealed { instance: InstanceId(uuid::Uuid::from_u128(9)), ..sealed[0].clone() };
    assert_eq!(later.open(&[moved]).await.err(), Some(SecretError::Forbidden));
    let garbage = Sealed { ciphertext: vec![0xff, 0], ..sealed[0].clone() };
    assert_eq!(later.open(&[garbage]).await.err(), Some(SecretError::Forbidden));

    let told = setup.told.of(AuditAction::Sealed);
    assert!(told.iter().all(|it| it.success && it.request.is_some()), "{told:?}");
    let opened: Vec<bool> =
        setup.told.of(AuditAction::Opened).iter().map(|it| it.success).collect();
    assert_eq!(opened, [true, false, false, false, false]);
}

#[tokio::test]
async fn nothing_is_sealed_without_the_store() {
    let mut setup = Setup::start().await;
    let source = setup.source("timeout = \"1s\"\n");
    let mut session = setup.session(&source, &task());
    assert!(session.seal(&[]).await.unwrap().is_empty());
    let sealed = seal(&mut *session, "c4nary").await.unwrap();
    setup.bao.kill().await;
    assert!(!unavailable(seal(&mut *session, "c4nary").await).is_empty());
    assert!(!unavailable(session.open(&[sealed]).await).is_empty());
    tokio::time::timeout(Duration::from_secs(30), session.release()).await.unwrap();
}
