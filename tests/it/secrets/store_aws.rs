//! Secrets of AWS Secrets Manager, against moto, which plays AWS; what moto cannot do is played by
//! a stub.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::process::Command;
use windlass_worker::{AwsConfig, AwsSecrets, SecretError, SecretStore};

use super::stores::{CANARY, Content, Subject, contract, read, unavailable};
use crate::support::process::Process;
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, within};
use crate::support::{ports, tls, tools};

const PACKAGES: [&str; 3] = ["moto==5.2.5", "flask==3.1.2", "flask-cors==6.0.1"];
/// How often another port is tried when one was taken in the moment between.
const TRIES: usize = 5;

struct Moto {
    process: Process,
    url: String,
    /// Has the credentials of the store.
    _folder: tempfile::TempDir,
    store: Arc<AwsSecrets>,
}

impl Moto {
    /// Does one thing to the secrets.
    async fn call(&self, what: &str, input: Value) -> Result<Value, Value> {
        tls::provider();
        let scope = "Credential=a/20260101/eu-central-1/secretsmanager/aws4_request";
        let request = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .post(&self.url)
            .header("x-amz-target", format!("secretsmanager.{what}"))
            .header("content-type", "application/x-amz-json-1.1")
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=x"),
            )
            .body(input.to_string());
        let answer = within(SOON, "an answer of moto", request.send()).await.unwrap();
        let success = answer.status().is_success();
        let body: Value = answer.json().await.unwrap();
        if success { Ok(body) } else { Err(body) }
    }
}

/// A file with credentials that moto takes, as it takes all.
fn credentials() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    let text = "[worker]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = s3cret\n";
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

fn store(url: &str, timeout: &str) -> (tempfile::TempDir, Arc<AwsSecrets>) {
    let (folder, file) = credentials();
    let settings = json!({"region": "eu-central-1", "endpoint": url, "credentials-file": file,
        "profile": "worker", "timeout": timeout,
        "secret": {"by-arn": {"path": "arn:aws:secretsmanager:eu-central-1:1:secret:x", "field": "a"}}});
    let config: AwsConfig = serde_json::from_value(settings).unwrap();
    (folder, Arc::new(AwsSecrets::new(config).unwrap()))
}

impl Subject for Moto {
    async fn start(timeout: &str) -> Self {
        let python = tools::python(&PACKAGES).await;
        for _ in 0..TRIES {
            let port = ports::free();
            let mut command = Command::new(&python);
            command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
            let process = Process::spawn(command);
            let ready = process.stderr().find(|line| line.contains("Running on").then_some(()));
            if within(SOON, "the start of moto", ready).await.is_some() {
                let url = format!("http://127.0.0.1:{port}");
                let (_folder, store) = store(&url, timeout);
                return Self { process, url, _folder, store };
            }
            let said = process.stderr().text();
            assert!(said.contains("in use"), "moto does not start:\n{said}");
        }
        panic!("each of {TRIES} free ports was taken in the moment before moto had it")
    }

    fn store(&self) -> Arc<dyn SecretStore> {
        self.store.clone()
    }

    async fn plant(&self, environment: &str, name: &str, content: &Content) {
        let (name, text) = (format!("{environment}/acme/{name}"), content.document());
        let made = self.call("CreateSecret", json!({"Name": name, "SecretString": text})).await;
        if made.is_err() {
            let new = json!({"SecretId": name, "SecretString": text});
            self.call("PutSecretValue", new).await.unwrap();
        }
    }

    async fn hang(&self) {
        self.process.stop().await;
    }

    async fn stop(&mut self) {
        self.process.kill().await;
    }
}

contract!(super::Moto:
    text, structured, unicode, large, missing, gone, slow, rotated, environments);

#[tokio::test(flavor = "multi_thread")]
async fn versions_requests_binary_and_deleted_secrets_are_those_of_aws() {
    let moto = Moto::start("10s").await;
    let store = moto.store();
    let binary = json!({"Name": "production/acme/bin", "SecretBinary": STANDARD.encode([0xff, 0])});
    let made = moto.call("CreateSecret", binary).await.unwrap();
    let found = read(&store, "production", "bin").await.unwrap();
    assert_eq!(found.value, STANDARD.encode([0xff, 0]));
    assert_eq!(found.version.as_deref(), made["VersionId"].as_str());
    let delete = json!({"SecretId": "production/acme/bin", "RecoveryWindowInDays": 7});
    moto.call("DeleteSecret", delete).await.unwrap();
    assert_eq!(read(&store, "production", "bin").await, Err(SecretError::Missing));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_faults_are_told_apart() {
    let said: Arc<std::sync::Mutex<(u16, String)>> = Arc::default();
    let say = said.clone();
    let stub = Stub::http(move |_| {
        let (status, body) = say.lock().unwrap().clone();
        Reply::Raw(status, "application/x-amz-json-1.1", body.into_bytes())
    })
    .await;
    let (_folder, store) = store(&stub.url(""), "10s");
    let store: Arc<dyn SecretStore> = store;
    let answer = |status: u16, code: &str| {
        let body = json!({"__type": code, "Message": format!("production/acme/key {CANARY}")});
        *said.lock().unwrap() = (status, body.to_string());
    };
    for code in
        ["AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException"]
    {
        answer(400, code);
        let found = read(&store, "production", "key").await;
        assert_eq!(found, Err(SecretError::Forbidden), "{code}");
    }
    let faults = [(400, "ThrottlingException"), (500, "InternalServiceError"), (503, "")];
    for (status, code) in faults {
        answer(status, code);
        unavailable(read(&store, "production", "key").await);
    }
    for body in [CANARY, "", "{}}"] {
        *said.lock().unwrap() = (200, body.to_owned());
        unavailable(read(&store, "production", "key").await);
    }
    *said.lock().unwrap() =
        (200, json!({"SecretString": r#"{"a":"x"}"#, "VersionId": "v"}).to_string());
    assert_eq!(read(&store, "production", "by-arn").await.unwrap().value, "x");
    let seen = stub.seen().pop().unwrap();
    assert_eq!(seen.header("x-amz-target"), Some("secretsmanager.GetSecretValue"));
    assert!(seen.header("authorization").unwrap().contains("AKIAEXAMPLE/"));
    let arn = "arn:aws:secretsmanager:eu-central-1:1:secret:x";
    assert_eq!(seen.body, json!({"SecretId": arn}).to_string());
    // A name is no way to an ARN.
    assert_eq!(read(&store, "production", arn).await, Err(SecretError::Missing));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_credentials_asks_for_nothing() {
    let stub = Stub::http(|_| Reply::Never).await;
    let (_folder, file) = credentials();
    let settings = json!({"region": "eu-central-1", "endpoint": stub.url(""),
        "credentials-file": file, "profile": "nobody"});
    let config: AwsConfig = serde_json::from_value(settings).unwrap();
    let store: Arc<dyn SecretStore> = Arc::new(AwsSecrets::new(config).unwrap());
    let reason = unavailable(read(&store, "production", "key").await);
    assert!(reason.contains("credentials"), "{reason}");
    assert!(stub.seen().is_empty());
}
