#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use windlass_proto::secret::SecretName;

use super::{PlaceConfig, Places, Rule};
use crate::secret_store::{SecretContext, SecretError};

fn rule() -> Rule {
    Rule { allowed: |it| it.is_ascii_alphanumeric() || "-_./".contains(it), longest: 40 }
}

fn places(path: &str) -> Result<Places, String> {
    Places::new(path, None, &BTreeMap::new(), rule()).map_err(|error| error.to_string())
}

fn context(namespace: &str) -> SecretContext {
    let mut context = crate::testing::secret_context();
    context.workflow.namespace = namespace.into();
    context
}

fn place(path: &str, namespace: &str, name: &str) -> Result<String, SecretError> {
    let name = SecretName(name.into());
    places(path).unwrap().of(&name, &context(namespace)).map(|(path, _)| path)
}

#[test]
fn every_variable_is_filled_in() {
    let path = "w/{environment}/{namespace}/{workflow}/{name}.txt";
    assert_eq!(place(path, "acme", "key").as_deref(), Ok("w/default/acme/test/key.txt"));
}

#[test]
fn templates_that_mean_nothing_are_refused() {
    for (path, reason) in [
        ("", "empty"),
        ("{name", "without }"),
        ("{nam}", "only"),
        ("{namespace}{name}", "between"),
        ("{namespace}", "{name}"),
        ("a b/{name}", "characters"),
        ("../{name}", ".."),
        ("{name}}", "characters"),
    ] {
        let error = places(path).err().expect(path);
        assert!(error.contains(reason), "{path}: {error}");
    }
}

#[test]
fn values_that_could_lead_elsewhere_have_no_place() {
    let long = "x".repeat(40);
    for name in ["", ".", "..", "a/b", "a\\b", "a*", "a?", "[a]", "{name}", "a\nb", "a%2fb"]
        .into_iter()
        .chain(["a..b", "a:b", "a#b", "ключ", "a b", "arn:aws", &long])
    {
        let found = place("{namespace}/{name}", "acme", name);
        assert_eq!(found, Err(SecretError::Missing), "{name}");
    }
    assert_eq!(place("{namespace}/.{name}", "acme", ".a"), Err(SecretError::Missing));
}

#[test]
fn no_two_secrets_share_a_place() {
    // With one hyphen these two would read the same.
    assert_eq!(place("{namespace}-{name}", "a", "b-c").as_deref(), Ok("a-b-c"));
    assert_eq!(place("{namespace}-{name}", "a-b", "c"), Err(SecretError::Forbidden));
    assert_eq!(place("{namespace}--{name}", "a-b", "c").as_deref(), Ok("a-b--c"));
    assert_eq!(place("{namespace}--{name}", "a-", "c"), Err(SecretError::Forbidden));
    assert_eq!(place("{namespace}--{name}", "a--b", "c"), Err(SecretError::Forbidden));
    // What follows the last variable separates it from nothing.
    assert_eq!(place("{namespace}/{name}-x", "a", "b-x").as_deref(), Ok("a/b-x-x"));
}

#[test]
fn a_secret_may_have_a_place_of_its_own() {
    let config = PlaceConfig { path: "legacy/db".into(), field: Some("password".into()) };
    let own = BTreeMap::from([("orders".to_owned(), config)]);
    let places = Places::new("{name}", Some("value"), &own, rule()).unwrap();
    let of = |name: &str| {
        let (path, field) = places.of(&SecretName(name.into()), &context("a")).unwrap();
        (path, field.unwrap().to_owned())
    };
    assert_eq!(of("orders"), ("legacy/db".into(), "password".into()));
    assert_eq!(of("other"), ("other".into(), "value".into()));
}
