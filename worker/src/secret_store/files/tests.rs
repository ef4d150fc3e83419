#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use windlass_proto::limits;
use windlass_proto::secret::SecretName;

use super::{FileSecrets, FilesConfig};
use crate::secret_store::{SecretError, SecretStore as _};

async fn read(directory: &Path, path: &str) -> Result<String, SecretError> {
    let settings = serde_json::json!({"directory": directory, "path": "{name}",
        "secret": {"here": {"path": path}, "field": {"path": path, "field": "a"}}});
    let config: FilesConfig = serde_json::from_value(settings).unwrap();
    let store = FileSecrets::new(config).unwrap();
    let name = SecretName("here".into());
    let secret = store.read(&name, &crate::testing::secret_context()).await?;
    Ok(secret.data.expose().to_value().to_json())
}

#[tokio::test]
async fn one_line_break_at_the_end_is_not_part_of_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    for (text, expected) in [
        ("x\n", r#""x""#),
        ("x\r\n", r#""x""#),
        ("x\n\n", r#""x\n""#),
        ("\n", r#""""#),
        ("", r#""""#),
        (" x ", r#"" x ""#),
    ] {
        fs::write(folder.path().join("key"), text).unwrap();
        assert_eq!(read(folder.path(), "key").await.as_deref(), Ok(expected));
    }
    fs::write(folder.path().join("key"), [0xff, b'\n']).unwrap();
    assert_eq!(read(folder.path(), "key").await.as_deref(), Ok(r#""/w==""#));
}

#[tokio::test]
async fn structures_are_known_by_their_extension() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), r#"{"a":1}"#).unwrap();
    fs::write(folder.path().join("b.yml"), "a: [x]\n").unwrap();
    fs::write(folder.path().join("plain"), "a: 1").unwrap();
    fs::write(folder.path().join("bad.yaml"), "c4nary: [").unwrap();
    for path in ["a.json", "a"] {
        assert_eq!(read(folder.path(), path).await.as_deref(), Ok(r#"{"a":1}"#), "{path}");
    }
    assert_eq!(read(folder.path(), "b").await.as_deref(), Ok(r#"{"a":["x"]}"#));
    assert_eq!(read(folder.path(), "plain").await.as_deref(), Ok(r#""a: 1""#));
    let error = read(folder.path(), "bad").await.unwrap_err();
    assert!(
        matches!(&error, SecretError::Unavailable(text) if !text.contains("c4nary")),
        "{error}"
    );
}

/// A volume as the kubelet writes it.
fn volume(at: &Path, state: &str, files: &[(&str, &str)]) {
    let dated = at.join(format!("..{state}"));
    fs::create_dir_all(&dated).unwrap();
    for (name, text) in files {
        fs::write(dated.join(name), text).unwrap();
        let link = at.join(name);
        if !link.is_symlink() {
            symlink(format!("..data/{name}"), link).unwrap();
        }
    }
    symlink(format!("..{state}"), at.join("..data_tmp")).unwrap();
    fs::rename(at.join("..data_tmp"), at.join("..data")).unwrap();
}

#[tokio::test]
async fn volumes_of_kubernetes_are_maps_and_their_files_texts() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("db");
    volume(&at, "2026_1", &[("password", "one"), ("user", "app"), (".pgpass", "x")]);
    let all = r#"{".pgpass":"x","password":"one","user":"app"}"#;
    assert_eq!(read(folder.path(), "db").await.as_deref(), Ok(all));
    assert_eq!(read(folder.path(), "db/password").await.as_deref(), Ok(r#""one""#));
    volume(&at, "2026_2", &[("password", "two")]);
    fs::remove_dir_all(at.join("..2026_1")).unwrap();
    assert_eq!(read(folder.path(), "db").await.as_deref(), Ok(r#"{"password":"two"}"#));
    // The link of a file that is no more.
    assert_eq!(read(folder.path(), "db/user").await, Err(SecretError::Missing));
}

#[tokio::test]
async fn links_do_not_lead_out() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
    fs::create_dir_all(inside.join("map")).unwrap();
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("key"), "c4nary").unwrap();
    symlink(outside.join("key"), inside.join("file")).unwrap();
    symlink("../out", inside.join("folder")).unwrap();
    symlink("../../out/key", inside.join("map/key")).unwrap();
    symlink("../out/key", inside.join("doc.json")).unwrap();
    for path in ["file", "folder", "folder/key", "map", "doc", "doc.json"] {
        assert_eq!(read(&inside, path).await, Err(SecretError::Forbidden), "{path}");
    }
    fs::create_dir_all(inside.join("volume")).unwrap();
    symlink("../../out", inside.join("volume/..data")).unwrap();
    assert_eq!(read(&inside, "volume").await, Err(SecretError::Forbidden));
    // A link within the directory is one's own business.
    fs::write(inside.join("real"), "x").unwrap();
    symlink("real", inside.join("alias")).unwrap();
    assert_eq!(read(&inside, "alias").await.as_deref(), Ok(r#""x""#));
}

#[tokio::test]
async fn what_is_too_large_or_no_file_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("large"), vec![b'x'; limits::SECRET_BYTES + 1]).unwrap();
    fs::create_dir(at.join("many")).unwrap();
    for index in 0..=limits::SECRET_FILES {
        fs::write(at.join(format!("many/{index}")), "").unwrap();
    }
    fs::create_dir(at.join("sum")).unwrap();
    for name in ["a", "b"] {
        fs::write(at.join("sum").join(name), vec![b'x'; limits::SECRET_BYTES / 2 + 1]).unwrap();
    }
    for path in ["large", "many", "sum"] {
        let error = read(at, path).await.unwrap_err();
        assert!(matches!(error, SecretError::Unavailable(_)), "{path}");
    }
    let made = std::process::Command::new("mkfifo").arg(at.join("pipe")).status().unwrap();
    assert!(made.success());
    assert_eq!(read(at, "pipe").await, Err(SecretError::Missing));
    assert_eq!(read(at, "none").await, Err(SecretError::Missing));
    assert_eq!(read(at, "large/none").await, Err(SecretError::Missing));
    let error = read(&at.join("none"), "key").await.unwrap_err();
    assert!(matches!(error, SecretError::Unavailable(_)), "no directory: {error}");
}
