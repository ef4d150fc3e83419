//! Ways into the store.

use std::time::Duration;

use serde_json::json;
use windlass_proto::audit::AuditAction;
use windlass_worker::SecretError;

use super::vault_setup::{Setup, Task, read, since_epoch, task, text, unavailable};
use crate::support::stub::{Reply, Stub};
use crate::support::tls;
use crate::support::until::{SOON, until};

const READ: &str = "path \"secret/data/*\" { capabilities = [\"read\"] }";

#[tokio::test]
async fn an_attempt_logs_in_once_when_it_needs_to_and_leaves_no_token() {
    let setup = Setup::start().await;
    let source = setup.source("");
    let tokens = setup.accessors().await.len();
    setup.session(&source, &task()).release().await;
    assert_eq!(setup.requests("update", "auth/windlass/login"), 0, "nothing was needed");

    setup.bao.write("secret/data/test/acme/other", json!({"data": {"value": "x"}})).await;
    let task = Task { secrets: vec!["key", "other"], ..task() };
    let mut session = setup.session(&source, &task);
    read(&mut *session, "key").await.unwrap();
    read(&mut *session, "other").await.unwrap();
    assert_eq!(setup.requests("update", "auth/windlass/login"), 1);
    assert_eq!(setup.accessors().await.len(), tokens + 1);
    session.release().await;
    assert_eq!(setup.accessors().await.len(), tokens, "the token is still there");

    let login = setup.told.of(AuditAction::Login);
    let revoked = setup.told.of(AuditAction::Revoked);
    assert_eq!((login.len(), revoked.len()), (1, 1));
    assert!(login[0].success && login[0].request.is_some());
    assert_eq!(login[0].lease, revoked[0].lease);
    assert!(!format!("{:?}", setup.told.all()).contains("secret/data"), "a path was told");
}

#[tokio::test]
async fn an_identity_that_the_store_refuses_is_told_as_such() {
    let setup = Setup::start().await;
    let source = setup.source("");
    let task = task();
    // Signed by somebody else.
    let stranger = Setup::start().await;
    let forged = stranger.identity(&task, Duration::from_secs(60));
    let mut session = source.session(setup.context(&task, forged));
    assert_eq!(read(&mut *session, "key").await.err(), Some(SecretError::LoginRefused));
    let told = setup.told.of(AuditAction::Login);
    assert!(!told[0].success && told[0].detail.is_some());

    // An hour ago: stores tolerate clocks that differ by minutes.
    let before = since_epoch() - Duration::from_secs(3_600);
    let expired = setup.identity_from(&task, before, Duration::from_secs(60));
    let mut session = source.session(setup.context(&task, expired));
    assert!(unavailable(read(&mut *session, "key").await).contains("expired"));
    let mut session = source.session(setup.context(&task, None));
    assert!(unavailable(read(&mut *session, "key").await).contains("no identity"));
}

#[tokio::test]
async fn a_worker_with_a_role_of_its_own_shares_one_token() {
    let setup = Setup::start().await;
    setup.bao.write("sys/policies/acl/read", json!({"policy": READ})).await;
    setup.bao.write("sys/auth/approle", json!({"type": "approle"})).await;
    let role = json!({"token_policies": ["read"], "token_ttl": "6s", "token_max_ttl": "1h"});
    setup.bao.write("auth/approle/role/worker", role).await;
    let id = setup.bao.read("auth/approle/role/worker/role-id").await.ok();
    let id = id["data"]["role_id"].as_str().unwrap().to_owned();
    let secret = setup.bao.write("auth/approle/role/worker/secret-id", json!({})).await;
    let file = setup.file("secret-id", secret["data"]["secret_id"].as_str().unwrap());
    let config = format!(
        "[vault.auth]\nmethod = \"approle\"\nrole-id = \"{id}\"\nsecret-id-file = \"{file}\"\n"
    );
    let source = setup.source(&config);
    for _ in 0..3 {
        let mut session = setup.session(&source, &task());
        assert_eq!(text(&read(&mut *session, "key").await.unwrap()), "c4nary-1");
        session.release().await;
    }
    assert_eq!(setup.requests("update", "auth/approle/login"), 1);

    // It is renewed as it is used, beyond the time it was given.
    let source_again = source.clone();
    until(SOON, "two renewals", || async {
        let mut session = setup.session(&source_again, &task());
        read(&mut *session, "key").await.unwrap();
        (setup.told.of(AuditAction::Renewed).len() >= 2).then_some(())
    })
    .await;
    assert_eq!(setup.requests("update", "auth/approle/login"), 1);

    // Somebody takes it away: a new one is had.
    let lost = setup.bao.list("auth/token/accessors").await;
    for accessor in lost {
        let looked =
            setup.bao.write("auth/token/lookup-accessor", json!({"accessor": accessor})).await;
        if looked["data"]["path"] == "auth/approle/login" {
            let body = json!({"accessor": accessor});
            setup.bao.write("auth/token/revoke-accessor", body).await;
        }
    }
    let mut session = setup.session(&source, &task());
    assert_eq!(text(&read(&mut *session, "key").await.unwrap()), "c4nary-1");
    assert_eq!(setup.requests("update", "auth/approle/login"), 2);

    setup.file("secret-id", "wrong");
    let mut session = setup.session(&setup.source(&config), &task());
    assert!(unavailable(read(&mut *session, "key").await).contains("refuses this worker"));
    std::fs::remove_file(setup.folder.path().join("secret-id")).unwrap();
    assert!(unavailable(read(&mut *session, "key").await).contains("cannot read its credential"));
}

#[tokio::test]
async fn a_worker_logs_in_with_its_service_account() {
    // Stands for the cluster, which says whose token that is.
    let cluster = Stub::http(|seen| {
        assert_eq!(seen.path, "/apis/authentication.k8s.io/v1/tokenreviews");
        let user = json!({
            "username": "system:serviceaccount:windlass:worker",
            "uid": "1-2-3",
            "groups": ["system:serviceaccounts"],
        });
        Reply::Json(201, json!({"status": {"authenticated": true, "user": user}}))
    })
    .await;
    let setup = Setup::start().await;
    setup.bao.write("sys/policies/acl/read", json!({"policy": READ})).await;
    setup.bao.write("sys/auth/kubernetes", json!({"type": "kubernetes"})).await;
    let config = json!({
        "kubernetes_host": cluster.url(""),
        "kubernetes_ca_cert": tls::certificates(&["cluster"]).authority,
        "disable_local_ca_jwt": true,
        "token_reviewer_jwt": Setup::service_account(),
    });
    setup.bao.write("auth/kubernetes/config", config).await;
    let role = json!({
        "bound_service_account_names": ["worker"],
        "bound_service_account_namespaces": ["windlass"],
        "token_policies": ["read"],
    });
    setup.bao.write("auth/kubernetes/role/worker", role).await;
    let file = setup.file("account", &Setup::service_account());
    let source = setup.source(&format!(
        "[vault.auth]\nmethod = \"kubernetes\"\nrole = \"worker\"\ntoken-file = \"{file}\"\n"
    ));
    let mut session = setup.session(&source, &task());
    assert_eq!(text(&read(&mut *session, "key").await.unwrap()), "c4nary-1");
    assert_eq!(setup.requests("update", "auth/kubernetes/login"), 1);
}
