//! Real OpenBao servers, which speak Vault's protocol.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use super::client::{Answer, Api};
use super::process::Process;
use super::until::{SOON, until, within};
use super::{ports, tls, tools};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(30);
/// How often other ports are tried when one was taken in the moment between.
const TRIES: usize = 5;

/// A server on a port and a folder of its own, initialised and unsealed; both go when this is
/// dropped. Every request it answers is in its audit log. Starting one takes about two seconds.
pub(crate) struct Bao {
    api: Api,
    port: u16,
    process: Option<Process>,
    /// Standard error of earlier processes.
    before: String,
    unseal_key: String,
    root_token: String,
    folder: tempfile::TempDir,
}

impl Bao {
    /// Starts one that speaks plain HTTP.
    pub(crate) async fn start() -> Self {
        Self::launch_on_free_ports(None).await
    }

    /// Starts one that speaks HTTPS with a certificate for 127.0.0.1, whose authority is in
    /// [`Self::ca_file`].
    pub(crate) async fn start_tls() -> Self {
        Self::launch_on_free_ports(Some(tls::certificates(&["127.0.0.1"]))).await
    }

    async fn launch_on_free_ports(certificates: Option<tls::Certificates>) -> Self {
        for _ in 0..TRIES {
            let mut bao = Self::new(ports::free(), ports::free(), certificates.as_ref());
            bao.launch().await;
            if bao.listens().await {
                bao.initialise().await;
                bao.unseal().await;
                return bao;
            }
            assert!(bao.port_taken(), "bao does not start:\n{}", bao.stderr());
        }
        panic!("each of {TRIES} free ports was taken in the moment before bao had it")
    }

    /// One that is configured and does not run yet.
    fn new(port: u16, cluster: u16, certificates: Option<&tls::Certificates>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir(path("data")).unwrap();
        let (scheme, listener, authority) = match certificates {
            None => ("http", "tls_disable = true".to_owned(), None),
            Some(all) => {
                std::fs::write(path("ca.pem"), &all.authority).unwrap();
                std::fs::write(path("server.pem"), &all.server.0).unwrap();
                std::fs::write(path("server.key"), &all.server.1).unwrap();
                let listener = format!(
                    "tls_cert_file = \"{}\"\n  tls_key_file = \"{}\"",
                    path("server.pem"),
                    path("server.key")
                );
                ("https", listener, Some(all.authority.as_str()))
            }
        };
        let (data, audit) = (path("data"), path("audit.jsonl"));
        let text = format!(
            r#"api_addr = "{scheme}://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{cluster}"
listener "tcp" {{
  address = "127.0.0.1:{port}"
  {listener}
}}
storage "raft" {{
  path = "{data}"
  node_id = "alone"
  performance_multiplier = 1
}}
audit "file" "to-file" {{
  options {{
    file_path = "{audit}"
  }}
}}
"#
        );
        std::fs::write(path("bao.hcl"), text).unwrap();
        let base = format!("{scheme}://127.0.0.1:{port}");
        let api = match authority {
            None => Api::new(&base),
            Some(authority) => Api::trusting(&base, authority),
        };
        let (unseal_key, root_token) = (String::new(), String::new());
        Self { api, port, process: None, before: String::new(), unseal_key, root_token, folder }
    }

    /// Starts the process; it does not listen yet when this returns.
    async fn launch(&mut self) {
        let mut command = Command::new(tools::program(&tools::OPENBAO).await);
        command.args(["server", "-config"]).arg(self.folder.path().join("bao.hcl"));
        self.process = Some(Process::spawn(command));
    }

    /// Waits until the process listens; false when it ended instead.
    async fn listens(&self) -> bool {
        let process = self.process.as_ref().expect("it was launched");
        until(START, "the start of bao", || async {
            if process.stderr().ended() {
                return Some(false);
            }
            std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok().then_some(true)
        })
        .await
            // Who listens may be somebody else, which had the port first.
            && !within(SOON, "the health of bao", self.health()).await.is_null()
            && !process.stderr().ended()
    }

    fn port_taken(&self) -> bool {
        self.stderr().contains("address already in use")
    }

    async fn health(&self) -> Value {
        Api::send(self.api.request(Method::GET, "/v1/sys/health"))
            .await
            .map_or(Value::Null, |answer| answer.body)
    }

    async fn initialise(&mut self) {
        let shares = json!({"secret_shares": 1, "secret_threshold": 1});
        let made = self.anonymous(Method::PUT, "sys/init", &shares).await.ok();
        made["keys_base64"][0].as_str().unwrap().clone_into(&mut self.unseal_key);
        made["root_token"].as_str().unwrap().clone_into(&mut self.root_token);
    }

    /// `http://127.0.0.1:PORT`, the same over restarts.
    pub(crate) fn address(&self) -> String {
        self.api.base()
    }

    /// The token that may do anything.
    pub(crate) fn root_token(&self) -> &str {
        &self.root_token
    }

    /// The authority's certificate, of one that speaks HTTPS.
    pub(crate) fn ca_file(&self) -> PathBuf {
        let path = self.folder.path().join("ca.pem");
        assert!(path.is_file(), "only a server that speaks HTTPS has a certificate");
        path
    }

    /// A request without a token; `path` is what follows `/v1/`.
    pub(crate) async fn anonymous(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.api.request(method, &format!("/v1/{path}")).json(body);
        Api::send(request).await.unwrap()
    }

    /// A request with `token`; `path` is what follows `/v1/`.
    pub(crate) async fn with(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Answer {
        let request = self.api.request(method, &format!("/v1/{path}"));
        let request = request.header("x-vault-token", token);
        let request = if body.is_null() { request } else { request.json(body) };
        Api::send(request).await.unwrap()
    }

    /// Writes by root, which must succeed; null where the answer has no body.
    pub(crate) async fn write(&self, path: &str, body: Value) -> Value {
        self.with(self.root_token(), Method::POST, path, &body).await.ok()
    }

    /// Reads by root: the whole answer, whatever its status.
    pub(crate) async fn read(&self, path: &str) -> Answer {
        self.with(self.root_token(), Method::GET, path, &Value::Null).await
    }

    /// Mounts a key-value engine with versions and waits until it serves.
    pub(crate) async fn mount_kv2(&self, mount: &str) {
        let options = json!({"type": "kv", "options": {"version": "2"}});
        self.write(&format!("sys/mounts/{mount}"), options).await;
        // It refuses everything with 400 for a moment, while it becomes one with versions.
        let config = format!("{mount}/config");
        until(SOON, "an engine with versions", || async {
            self.read(&config).await.status.is_success().then_some(())
        })
        .await;
    }

    /// Deletes by root, which must succeed.
    pub(crate) async fn delete(&self, path: &str) {
        self.with(self.root_token(), Method::DELETE, path, &Value::Null).await.ok();
    }

    /// The keys below `path`, by root; none when there is nothing.
    pub(crate) async fn list(&self, path: &str) -> Vec<String> {
        let answer = self.read(&format!("{path}?list=true")).await;
        let keys = answer.body["data"]["keys"].as_array().cloned().unwrap_or_default();
        keys.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
    }

    /// The audit log so far: every request and every response, in which values are hashed.
    pub(crate) fn audit_log(&self) -> Vec<Value> {
        let path = self.folder.path().join("audit.jsonl");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The ids of the requests in its audit log, which audit events of ours name.
    pub(crate) fn request_ids(&self) -> BTreeSet<String> {
        let id = |it: &Value| Some(it["request"]["id"].as_str()?.to_owned());
        self.audit_log().iter().filter_map(id).collect()
    }

    /// Closes the store: requests get 503 until [`Self::unseal`].
    pub(crate) async fn seal(&self) {
        self.with(self.root_token(), Method::PUT, "sys/seal", &Value::Null).await.ok();
    }

    /// Opens the store and waits until it serves.
    pub(crate) async fn unseal(&self) {
        let key = json!({"key": self.unseal_key});
        self.anonymous(Method::PUT, "sys/unseal", &key).await.ok();
        // For a moment after that it is still a standby, which answers 429.
        until(SOON, "bao serves", || async {
            self.api.get("/v1/sys/health").await.status.is_success().then_some(())
        })
        .await;
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub(crate) async fn stop(&self) {
        self.process.as_ref().expect("it runs").stop().await;
    }

    /// SIGCONT.
    pub(crate) fn cont(&self) {
        self.process.as_ref().expect("it runs").signal(rustix::process::Signal::CONT);
    }

    /// SIGKILL, at whatever it is doing.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await;
            self.before.push_str(&process.stderr().text());
        }
    }

    /// SIGKILL if it runs, then a start on the same port and folder. It is sealed after that.
    pub(crate) async fn restart(&mut self) {
        self.kill().await;
        for _ in 0..TRIES {
            self.launch().await;
            if self.listens().await {
                return;
            }
            let text = self.stderr();
            self.kill().await;
            assert!(text.contains("address already in use"), "bao did not start:\n{text}");
            let port = self.port;
            until(SOON, "the port of bao", || async move {
                std::net::TcpListener::bind(("127.0.0.1", port)).ok()
            })
            .await;
        }
        panic!("the port {} of bao stays taken", self.port)
    }

    /// Everything all its processes wrote to standard error.
    pub(crate) fn stderr(&self) -> String {
        let now = self.process.as_ref().map(|it| it.stderr().text()).unwrap_or_default();
        format!("{}{now}", self.before)
    }
}

#[tokio::test]
async fn a_store_keeps_what_it_holds_over_seals_stops_and_kills() {
    let mut bao = Bao::start().await;
    bao.mount_kv2("secret").await;
    bao.write("secret/data/a/key", json!({"data": {"value": "c4nary"}})).await;
    let read = bao.read("secret/data/a/key").await.ok();
    assert_eq!(read["data"]["data"], json!({"value": "c4nary"}));
    assert_eq!(bao.list("secret/metadata/a").await, ["key"]);
    let logged = bao.audit_log();
    let entry = logged.iter().find(|it| it["request"]["id"] == read["request_id"]).unwrap();
    assert_eq!(entry["request"]["path"], "secret/data/a/key");
    assert!(!logged.iter().any(|it| it.to_string().contains("c4nary")));

    bao.seal().await;
    assert_eq!(bao.read("secret/data/a/key").await.status, 503);
    bao.unseal().await;

    bao.stop().await;
    {
        let mut asked = std::pin::pin!(bao.read("secret/data/a/key"));
        let early = tokio::time::timeout(Duration::from_millis(200), &mut asked).await;
        assert!(early.is_err(), "a stopped server answered");
        bao.cont();
        assert_eq!(asked.await.status, 200);
    }

    let address = bao.address();
    bao.restart().await;
    assert_eq!(bao.address(), address);
    assert_eq!(bao.read("secret/data/a/key").await.status, 503);
    bao.unseal().await;
    assert_eq!(bao.read("secret/data/a/key").await.ok()["data"]["data"]["value"], "c4nary");
    bao.delete("secret/metadata/a/key").await;
    assert_eq!(bao.list("secret/metadata/a").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_store_over_https_is_trusted_by_its_own_authority_only() {
    let bao = Bao::start_tls().await;
    assert!(bao.address().starts_with("https://"));
    assert_eq!(bao.read("sys/health").await.ok()["sealed"], false);
    assert!(std::fs::read_to_string(bao.ca_file()).unwrap().contains("BEGIN CERTIFICATE"));
    let stranger = Api::new(&bao.address());
    assert!(Api::send(stranger.request(Method::GET, "/v1/sys/health")).await.is_err());
}
