//! Logins that attempts with the same rights share.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use windlass_proto::audit::AuditAction;
use windlass_worker::SecretError;

use super::vault_setup::{Setup, Task, read, seal, task, text};
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, until};

const SHARED: &str = "login = \"shared\"\n";
const LOGIN: &str = "auth/windlass/login";
const PATH: &str = "secret/data/test/acme/key";

#[tokio::test]
async fn attempts_with_the_same_rights_share_a_login_that_is_given_back_when_idle() {
    let setup = Setup::start().await;
    let source = setup.source(SHARED);
    let before = setup.accessors().await.len();
    let sessions = (0..12).map(|_| async {
        let mut session = setup.session(&source, &task());
        assert_eq!(text(&read(&mut *session, "key").await.unwrap()), "c4nary-1");
        seal(&mut *session, "result").await.unwrap();
        session
    });
    let sessions = join_all(sessions).await;
    assert_eq!(setup.requests("update", LOGIN), 1);
    assert_eq!(setup.requests("read", PATH), 12, "each reads for itself");
    assert_eq!(setup.accessors().await.len(), before + 1);

    // Each tells of its own, and where the store's log has it.
    let logins = setup.told.of(AuditAction::Login);
    let made = logins.iter().filter(|it| it.detail.is_none()).count();
    assert_eq!((logins.len(), made), (12, 1));
    assert!(logins.iter().all(|it| it.success && it.request == logins[0].request));
    let known = setup.bao.request_ids();
    let is_known =
        |it: &Option<std::sync::Arc<str>>| it.as_deref().is_some_and(|it| known.contains(it));
    assert!(is_known(&logins[0].request));

    // As long as one uses it, it is there.
    let mut sessions = sessions.into_iter();
    let last = sessions.next().unwrap();
    for session in sessions {
        session.release().await;
    }
    assert_eq!(setup.accessors().await.len(), before + 1);
    last.release().await;
    setup.until_tokens(before).await;
    let revoked =
        until(SOON, "the end of the login", || async { setup.told.of(AuditAction::Revoked).pop() })
            .await;
    assert_eq!((&revoked.lease, revoked.success), (&logins[0].lease, true));
    assert_eq!(setup.requests("update", "auth/token/revoke-self"), 1);
}

#[tokio::test]
async fn nobody_shares_a_login_of_other_rights() {
    let setup = Setup::start().await;
    setup.bao.write("secret/data/test/acme/other", json!({"data": {"value": "other"}})).await;
    setup.bao.write("secret/data/test/evil/key", json!({"data": {"value": "evil"}})).await;
    let source = setup.source(SHARED);
    let both = Task { secrets: vec!["key", "other"], ..task() };
    let evil = Task { namespace: "evil", ..task() };
    let mut held = Vec::new();
    for task in [task(), both.clone(), evil] {
        let mut session = setup.session(&source, &task);
        read(&mut *session, "key").await.unwrap();
        held.push(session);
    }
    assert_eq!(setup.requests("update", LOGIN), 3);
    assert_eq!(text(&read(&mut *held[1], "other").await.unwrap()), "other");
    assert_eq!(text(&read(&mut *held[2], "key").await.unwrap()), "evil");
    // What its own identity does not name it gets by no login, whoever holds one.
    for session in [&mut held[0], &mut setup.session(&source, &task())] {
        let refused = read(&mut **session, "other").await.err();
        assert_eq!(refused, Some(SecretError::Forbidden));
    }
    // An identity that says it has the same rights in words, and whose grant says otherwise.
    let context = setup.context(&task(), setup.identity(&both, Duration::from_secs(60)));
    let mut session = source.session(context);
    read(&mut *session, "key").await.unwrap();
    assert_eq!(setup.requests("update", LOGIN), 4, "it had to show it");
}

#[tokio::test]
async fn a_login_that_the_store_does_not_know_any_more_is_replaced() {
    let setup = Setup::start().await;
    let source = setup.source(SHARED);
    let before = setup.accessors().await;
    let mut session = setup.session(&source, &task());
    read(&mut *session, "key").await.unwrap();
    let now = setup.accessors().await;
    let accessor = now.iter().find(|it| !before.contains(it)).unwrap();
    setup.bao.write("auth/token/revoke-accessor", json!({"accessor": accessor})).await;
    assert_eq!(text(&read(&mut *session, "key").await.unwrap()), "c4nary-1");
    let mut other = setup.session(&source, &task());
    read(&mut *other, "key").await.unwrap();
    assert_eq!(setup.requests("update", LOGIN), 2);

    // What the store forbids is forbidden at once, login or not.
    let none = json!({"policy": "path \"auth/token/lookup-self\" { capabilities = [\"read\"] }"});
    setup.bao.write("sys/policies/acl/windlass-task", none).await;
    for session in [&mut session, &mut other] {
        assert_eq!(read(&mut **session, "key").await.err(), Some(SecretError::Forbidden));
    }
    assert_eq!(setup.requests("update", LOGIN), 2);
}

#[tokio::test]
async fn a_shared_login_lasts_while_it_is_used_and_not_by_far_longer() {
    let role = json!({"token_ttl": "2s", "token_max_ttl": "1h"});
    let setup = Setup::with_role(role).await;
    let source = setup.source(SHARED);
    let before = setup.accessors().await.len();
    let mut session = setup.session(&source, &task());
    read(&mut *session, "key").await.unwrap();
    until(SOON, "two renewals", || async {
        (setup.told.of(AuditAction::Renewed).len() >= 2).then_some(())
    })
    .await;
    read(&mut *session, "key").await.unwrap();
    assert_eq!(setup.requests("update", LOGIN), 1);
    // An attempt that is dropped, as in a panic, uses it no more.
    drop(session);
    setup.until_tokens(before).await;

    let setup = Setup::with_role(json!({"token_ttl": "1h"})).await;
    let source = setup.source(SHARED);
    let before = setup.accessors().await;
    let mut session = setup.session(&source, &task());
    read(&mut *session, "key").await.unwrap();
    let now = setup.accessors().await;
    let accessor = now.iter().find(|it| !before.contains(it)).unwrap();
    let looked = json!({"accessor": accessor});
    let looked = setup.bao.write("auth/token/lookup-accessor", looked).await;
    assert!(looked["data"]["ttl"].as_u64().unwrap() <= 60, "{looked}");
}

#[tokio::test]
async fn a_source_that_closes_gives_its_logins_back_when_they_are_not_used() {
    let setup = Setup::start().await;
    let source = setup.source(SHARED);
    let before = setup.accessors().await.len();
    let mut idle = setup.session(&source, &task());
    read(&mut *idle, "key").await.unwrap();
    idle.release().await;
    let used = Task { secrets: vec!["key", "other"], ..task() };
    let mut used = setup.session(&source, &used);
    read(&mut *used, "key").await.unwrap();
    assert!(!source.holds_nothing());
    tokio::join!(source.close(), async {
        read(&mut *used, "key").await.unwrap();
        used.release().await;
    });
    assert!(source.holds_nothing());
    assert_eq!(setup.accessors().await.len(), before);
    assert_eq!(setup.told.of(AuditAction::Revoked).len(), 2);
    // Who comes late keeps nothing.
    let mut late = setup.session(&source, &task());
    read(&mut *late, "key").await.unwrap();
    late.release().await;
    source.close().await;
    assert_eq!(setup.accessors().await.len(), before);
}

#[tokio::test]
async fn what_an_engine_makes_is_read_with_a_login_of_its_own() {
    let setup = Setup::start().await;
    let broker = Stub::http(|_| Reply::Raw(204, "application/json", Vec::new())).await;
    let source = setup.source(&format!("{SHARED}{}", setup.broker(&broker, "50s").await));
    let before = setup.accessors().await.len();
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let mut session = setup.session(&source, &task());
        read(&mut *session, "key").await.unwrap();
        sessions.push(session);
    }
    assert_eq!(setup.requests("update", LOGIN), 2);
    let removed = || broker.seen().iter().filter(|it| it.method == "DELETE").count();
    for gone in 1..=2 {
        sessions.remove(0).release().await;
        until(SOON, "the end of the user", || async { (removed() == gone).then_some(()) }).await;
    }
    assert_eq!(setup.accessors().await.len(), before);
}

#[tokio::test]
async fn batch_tokens_are_shared_too() {
    let setup = Setup::with_role(json!({"token_type": "batch"})).await;
    let source = setup.source(SHARED);
    for _ in 0..3 {
        let mut session = setup.session(&source, &task());
        read(&mut *session, "key").await.unwrap();
        session.release().await;
    }
    assert_eq!(setup.requests("update", LOGIN), 1);
    source.close().await;
    assert_eq!(setup.requests("update", "auth/token/revoke-self"), 0);
    assert_eq!(setup.told.of(AuditAction::Expired).len(), 1);
}

#[tokio::test]
async fn a_store_without_roles_for_few_secrets_is_found_out_once() {
    let setup = Setup::start().await;
    for role in ["task-1", "task-4"] {
        setup.bao.delete(&format!("auth/windlass/role/{role}")).await;
    }
    let source = setup.source("");
    for logins in [2, 3] {
        let mut session = setup.session(&source, &task());
        read(&mut *session, "key").await.unwrap();
        session.release().await;
        assert_eq!(setup.requests("update", LOGIN), logins);
    }
    assert_eq!(setup.told.of(AuditAction::Login).len(), 2, "of each attempt it is told once");
}

#[tokio::test]
async fn fields_of_one_path_are_read_by_one_request() {
    let setup = Setup::start().await;
    let place = |name: &str, field: &str| {
        format!("[vault.secret.{name}]\npath = \"test/acme/key\"\nfield = \"{field}\"\n")
    };
    let login = json!({"data": {"user": "c4nary-user", "password": "c4nary-password"}});
    setup.bao.write(PATH, login).await;
    let config = place("user", "user") + &place("password", "password");
    let source = setup.source(&config);
    // The policy knows slots: the identity names what is read, the grant what it is called.
    let named = Task { secrets: vec!["user", "password"], ..task() };
    let identity = setup.identity(&task(), Duration::from_secs(60));
    let mut session = source.session(setup.context(&named, identity));
    let user = read(&mut *session, "user").await.unwrap();
    let password = read(&mut *session, "password").await.unwrap();
    assert_eq!((&*text(&user), &*text(&password)), ("c4nary-user", "c4nary-password"));
    assert_eq!(user.request, password.request, "both are in the store's log under one id");
    assert_eq!(setup.requests("read", PATH), 1);

    // A second read asks again, and the other gets what belongs to it.
    let next = json!({"data": {"user": "c4nary-user-2", "password": "c4nary-password-2"}});
    setup.bao.with(setup.bao.root_token(), Method::POST, PATH, &next).await.ok();
    assert_eq!(text(&read(&mut *session, "user").await.unwrap()), "c4nary-user-2");
    assert_eq!(text(&read(&mut *session, "password").await.unwrap()), "c4nary-password-2");
    assert_eq!(setup.requests("read", PATH), 2);
}
