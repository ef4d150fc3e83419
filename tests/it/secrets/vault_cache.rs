//! Using a secret again, where the configuration allows it.

use serde_json::json;

use super::vault_setup::{Setup, Task, read, task, text};
use crate::support::until::{SOON, until};

const PATH: &str = "secret/data/test/acme/key";

#[tokio::test]
async fn without_a_cache_every_attempt_reads_what_is_there_now() {
    let setup = Setup::start().await;
    let source = setup.source("");
    for number in 1..=3 {
        let value = format!("c4nary-{number}");
        setup.bao.write(PATH, json!({"data": {"value": value}})).await;
        let mut session = setup.session(&source, &task());
        assert_eq!(text(&read(&mut *session, "key").await.unwrap()), value);
    }
    assert_eq!(setup.requests("read", PATH), 3);
}

#[tokio::test]
async fn a_cached_secret_is_for_the_same_identity_and_for_a_while() {
    let setup = Setup::start().await;
    let source = setup.source("cache = \"8s\"\n");
    let first = async || {
        let mut session = setup.session(&source, &task());
        text(&read(&mut *session, "key").await.unwrap())
    };
    assert_eq!(first().await, "c4nary-1");
    setup.bao.write(PATH, json!({"data": {"value": "c4nary-2"}})).await;
    assert_eq!(first().await, "c4nary-1");
    assert_eq!(setup.requests("read", PATH), 1);
    assert_eq!(setup.requests("update", "auth/windlass/login"), 1, "nothing was needed");

    // Another identity, although the path is the same.
    let other = Task { secrets: vec!["key", "other"], ..task() };
    let mut session = setup.session(&source, &other);
    assert_eq!(text(&read(&mut *session, "key").await.unwrap()), "c4nary-2");

    // A second read within an attempt asks the store, and all profit from it.
    let mut session = setup.session(&source, &task());
    assert_eq!(text(&read(&mut *session, "key").await.unwrap()), "c4nary-1");
    assert_eq!(text(&read(&mut *session, "key").await.unwrap()), "c4nary-2");
    assert_eq!(first().await, "c4nary-2");

    setup.bao.write(PATH, json!({"data": {"value": "c4nary-3"}})).await;
    until(SOON, "the end of the entry", || async { (first().await == "c4nary-3").then_some(()) })
        .await;
}
