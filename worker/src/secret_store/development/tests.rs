#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use windlass_proto::secret::SecretName;
use windlass_proto::value::Value;

use super::{DevelopmentSecrets, DevelopmentSecretsError};
use crate::secret_store::{SecretError, SecretStore as _};

async fn read(store: &DevelopmentSecrets, name: &str) -> Result<Value, SecretError> {
    let context = crate::testing::secret_context();
    let secret = store.read(&SecretName(name.into()), &context).await?;
    Ok(secret.data.expose().to_value())
}

#[tokio::test]
async fn options_come_before_the_file_and_the_file_before_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secrets.json");
    let text =
        r#"{"given":"file","both":"file","one":{"value":"only"},"map":{"a":1,"b":[true,"x"]}}"#;
    std::fs::write(&path, text).unwrap();
    let variables = ["WINDLASS_SECRET_API_KEY=env", "WINDLASS_SECRET_BOTH=env", "HOME=/root"];
    let variables = variables.map(|it| it.split_once('=').unwrap());
    let store = DevelopmentSecrets::new()
        .pair("given=o=k")
        .unwrap()
        .file(&path)
        .unwrap()
        .environment(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    for (name, expected) in [
        ("given", r#""o=k""#),
        ("both", r#""file""#),
        ("api-key", r#""env""#),
        ("one", r#""only""#),
        ("map", r#"{"a":1,"b":[true,"x"]}"#),
    ] {
        assert_eq!(read(&store, name).await, Ok(Value::from_json(expected).unwrap()), "{name}");
    }
    assert_eq!(read(&store, "home").await, Err(SecretError::Missing));
}

#[test]
fn errors_do_not_show_what_was_given() {
    let refused = |store: Result<DevelopmentSecrets, DevelopmentSecretsError>| match store {
        Ok(_) => panic!("it was accepted"),
        Err(error) => error.to_string(),
    };
    for option in ["c4nary", "=c4nary"] {
        let error = refused(DevelopmentSecrets::new().pair(option));
        assert!(!error.contains("c4nary"), "{error}");
    }
    let directory = tempfile::tempdir().unwrap();
    for text in ["{c4nary", "\"c4nary\"", "\tc4nary: ["] {
        let path = directory.path().join("file");
        std::fs::write(&path, text).unwrap();
        let error = refused(DevelopmentSecrets::new().file(&path));
        assert!(!error.contains("c4nary"), "{error}");
    }
    assert!(matches!(
        DevelopmentSecrets::new().file(&directory.path().join("none")),
        Err(DevelopmentSecretsError::Unreadable { .. })
    ));
}
