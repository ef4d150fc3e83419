//! Secrets in files, and in the environment.

use std::sync::Arc;

use serde_json::json;
use windlass_worker::{
    EnvironmentConfig, EnvironmentSecrets, FileSecrets, FilesConfig, SecretError, SecretStore,
};

use super::stores::{Content, Subject, contract, read};

struct Files {
    folder: tempfile::TempDir,
    store: Arc<FileSecrets>,
}

impl Files {
    fn place(&self, environment: &str, name: &str) -> std::path::PathBuf {
        self.folder.path().join(environment).join("acme").join(name)
    }
}

impl Subject for Files {
    async fn start(timeout: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = json!({"directory": folder.path(), "timeout": timeout});
        let config: FilesConfig = serde_json::from_value(config).unwrap();
        Self { folder, store: Arc::new(FileSecrets::new(config).unwrap()) }
    }

    fn store(&self) -> Arc<dyn SecretStore> {
        self.store.clone()
    }

    async fn plant(&self, environment: &str, name: &str, content: &Content) {
        let place = self.place(environment, name);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        match content {
            Content::Text(text) => std::fs::write(place, format!("{text}\n")).unwrap(),
            Content::Fields(fields) => {
                std::fs::create_dir(&place).unwrap();
                for (key, value) in fields {
                    std::fs::write(place.join(key), value).unwrap();
                }
            }
        }
    }

    async fn forbid(&self, name: &str) {
        let (place, outside) = (self.place("production", name), self.folder.path());
        let outside = outside.with_extension("outside");
        std::fs::rename(&place, &outside).unwrap();
        std::os::unix::fs::symlink(&outside, place).unwrap();
    }

    async fn stop(&mut self) {
        std::fs::remove_dir_all(self.folder.path()).unwrap();
    }
}

contract!(super::Files:
    text, structured, unicode, large, missing, forbidden, gone, rotated, environments);

#[tokio::test]
async fn a_variable_is_a_secret_of_every_environment() {
    let variables = [("WINDLASS_SECRET_API_KEY", "x"), ("API_KEY", "y")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let store = EnvironmentSecrets::of(EnvironmentConfig::default(), variables).unwrap();
    let store: Arc<dyn SecretStore> = Arc::new(store);
    for environment in ["production", "test"] {
        assert_eq!(read(&store, environment, "api-key").await.unwrap().value, "x");
    }
    assert_eq!(read(&store, "test", "key").await, Err(SecretError::Missing));
}
