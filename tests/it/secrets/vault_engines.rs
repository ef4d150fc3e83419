//! What each engine of the store gives.

use serde_json::json;
use windlass_proto::audit::AuditAction;
use windlass_worker::{SecretData, SecretError};

use super::vault_setup::{Setup, Task, read, task, text};

#[tokio::test]
async fn a_versioned_secret_has_its_version_and_only_its_workflow_reads_it() {
    let setup = Setup::start().await;
    let source = setup.source("");
    let mut session = setup.session(&source, &task());
    let value = read(&mut *session, "key").await.unwrap();
    assert_eq!((&*text(&value), value.version.as_deref()), ("c4nary-1", Some("1")));
    let request = value.request.unwrap();
    let logged = setup.bao.audit_log();
    let entry = logged.iter().find(|it| it["request"]["id"] == *request).unwrap();
    assert_eq!(entry["request"]["path"], "secret/data/test/acme/key");
    assert_eq!(entry["auth"]["metadata"]["namespace"], "acme");

    setup.bao.write("secret/data/test/acme/key", json!({"data": {"value": "c4nary-2"}})).await;
    let value = read(&mut *session, "key").await.unwrap();
    assert_eq!((&*text(&value), value.version.as_deref()), ("c4nary-2", Some("2")));

    // Another secret, and the same one of another namespace or environment.
    setup.bao.write("secret/data/test/acme/other", json!({"data": {"value": "x"}})).await;
    assert_eq!(read(&mut *session, "other").await.err(), Some(SecretError::Forbidden));
    for stranger in
        [Task { namespace: "evil", ..task() }, Task { environment: "production", ..task() }]
    {
        let mut session = setup.session(&source, &stranger);
        assert_eq!(read(&mut *session, "key").await.err(), Some(SecretError::Missing));
    }
    // An identity of one task in the hands of another.
    let identity = setup.identity(&Task { namespace: "evil", ..task() }, super::vault_run::MINUTE);
    let mut session = source.session(setup.context(&task(), identity));
    assert_eq!(read(&mut *session, "key").await.err(), Some(SecretError::Forbidden));
}

#[tokio::test]
async fn what_was_never_there_or_was_deleted_is_missing() {
    let setup = Setup::start().await;
    let source = setup.source("");
    let task = Task { secrets: vec!["key", "never"], ..task() };
    let mut session = setup.session(&source, &task);
    assert_eq!(read(&mut *session, "never").await.err(), Some(SecretError::Missing));
    setup.bao.delete("secret/data/test/acme/key").await;
    assert_eq!(read(&mut *session, "key").await.err(), Some(SecretError::Missing));

    let asked = setup.bao.audit_log().len();
    for name in ["../acme/key", "a/b", "*", "{name}", ".."] {
        assert_eq!(read(&mut *session, name).await.err(), Some(SecretError::Forbidden), "{name}");
    }
    assert_eq!(setup.bao.audit_log().len(), asked, "the store was asked for such a name");
}

#[tokio::test]
async fn secrets_without_versions_and_single_fields_are_read() {
    let setup = Setup::start().await;
    setup.bao.write("sys/mounts/plain", json!({"type": "kv"})).await;
    let login = json!({"username": "somebody", "port": 5432, "tls": {"on": true}});
    setup.bao.write("plain/test/acme/login", login).await;
    let policy = json!({"policy": "path \"plain/*\" { capabilities = [\"read\"] }"});
    setup.bao.write("sys/policies/acl/plain", policy).await;
    let token = setup.token_file(json!({"policies": ["plain"]})).await;
    let source = setup.source(&format!(
        "[vault.auth]\nmethod = \"token\"\ntoken-file = \"{token}\"\n\
         [vault.paths]\nengine = \"kv1\"\nmount = \"plain\"\n\
         [vault.secret.user]\nengine = \"kv1\"\nmount = \"plain\"\n\
         path = \"{{environment}}/{{namespace}}/login\"\nfield = \"username\"\n\
         [vault.secret.wrong]\nengine = \"kv1\"\nmount = \"plain\"\npath = \"test/acme/login\"\n\
         field = \"pasword\"\n[vault.secret.nowhere]\nmount = \"gone\"\n"
    ));
    let mut session = setup.session(&source, &task());
    let value = read(&mut *session, "login").await.unwrap();
    assert!(value.version.is_none() && value.request.is_some());
    let SecretData::Map(entries) = value.data.expose() else { panic!("no map") };
    let mut keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["port", "tls", "username"]);
    assert_eq!(text(&read(&mut *session, "user").await.unwrap()), "somebody");
    assert_eq!(read(&mut *session, "wrong").await.err(), Some(SecretError::Missing));
    // The policy hides whether there is such a mount.
    assert_eq!(read(&mut *session, "nowhere").await.err(), Some(SecretError::Forbidden));
}

#[tokio::test]
async fn what_is_made_for_an_attempt_ends_with_it() {
    let setup = Setup::start().await;
    setup.certificates().await;
    let source = setup.source(
        "[vault.secret.key]\nengine = \"pki\"\npath = \"web\"\n\
         common-name = \"{workflow}.{namespace}.example\"\nttl = \"5m\"\n",
    );
    let mut session = setup.session(&source, &task());
    let value = read(&mut *session, "key").await.unwrap();
    let SecretData::Map(entries) = value.data.expose() else { panic!("no map") };
    let private = entries.iter().find(|(key, _)| key == "private_key").unwrap();
    assert!(matches!(&private.1, SecretData::Text(text) if text.contains("PRIVATE KEY")));
    let hash = value.lease.unwrap();
    assert_eq!(setup.leases().await, 1);

    session.release().await;
    setup.until_leases(0).await;
    let revoked = setup.told.of(AuditAction::Revoked);
    assert_eq!(revoked.len(), 2, "the token and what it leased");
    assert!(revoked.iter().any(|it| it.lease.as_deref() == Some(&*hash)));
}

#[tokio::test]
async fn a_shared_token_keeps_and_a_lease_ends() {
    let setup = Setup::start().await;
    setup.certificates().await;
    let policy = "path \"pki/issue/web\" { capabilities = [\"update\"] }\n\
                  path \"sys/leases/revoke\" { capabilities = [\"update\"] }";
    setup.bao.write("sys/policies/acl/issue", json!({"policy": policy})).await;
    let token = setup.token_file(json!({"policies": ["issue"]})).await;
    let source = setup.source(&format!(
        "[vault.auth]\nmethod = \"token\"\ntoken-file = \"{token}\"\n\
         [vault.secret.key]\nengine = \"pki\"\npath = \"web\"\ncommon-name = \"a.example\"\n"
    ));
    let tokens = setup.accessors().await.len();
    for _ in 0..2 {
        let mut session = setup.session(&source, &task());
        read(&mut *session, "key").await.unwrap();
        assert_eq!(setup.leases().await, 1);
        session.release().await;
        assert_eq!(setup.leases().await, 0);
    }
    assert_eq!(setup.accessors().await.len(), tokens);
    assert_eq!(setup.told.of(AuditAction::Login).len(), 1);
    assert_eq!(setup.told.of(AuditAction::Revoked).len(), 2);
}
