//! Real NATS servers.

mod bus;
mod cluster;

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Command;

use super::client::Api;
use super::process::Process;
use super::until::{SOON, until, within};
use super::{ports, tools};

pub(crate) use bus::Bus;
pub(crate) use cluster::Cluster;

/// How long a server may take to listen, recovery of its streams included.
const START: Duration = Duration::from_secs(30);
/// How often another port is tried when one was taken in the moment between.
const TRIES: usize = 5;

/// How long a request waits for its answer before it is made anew.
const ANSWER: Duration = Duration::from_secs(5);

/// The path of `nats-server`, installed on first use.
pub(crate) async fn binary() -> std::path::PathBuf {
    tools::program(&tools::NATS_SERVER).await
}

/// A server with JetStream on a port and a folder of its own; both go when this is dropped.
pub(crate) struct Nats {
    port: u16,
    monitor: Api,
    process: Option<Process>,
    /// Standard error of earlier processes.
    before: String,
    folder: tempfile::TempDir,
}

impl Nats {
    /// Starts one as it comes: no users, no limits but its own.
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// Starts one with this text at the end of its configuration.
    pub(crate) async fn with(more: &str) -> Self {
        for _ in 0..TRIES {
            let mut nats = Self::new("alone", ports::free(), more);
            nats.launch().await;
            if nats.listens().await {
                return nats;
            }
            assert!(nats.port_taken(), "nats-server does not start:\n{}", nats.stderr());
        }
        panic!("each of {TRIES} free ports was taken in the moment before nats-server had it")
    }

    /// One that is configured and does not run yet.
    fn new(name: &str, port: u16, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let monitor = ports::free();
        let store = folder.path().join("data");
        // A bound that is counted, not taken: accounts reserve their share of it.
        let text = format!(
            "server_name: {name}\nhost: 127.0.0.1\nport: {port}\nhttp: \"127.0.0.1:{monitor}\"\n\
             jetstream {{\n  store_dir: \"{}\"\n  max_file_store: 32GB\n}}\n{more}\n",
            store.display()
        );
        std::fs::write(folder.path().join("nats.conf"), text).unwrap();
        let monitor = Api::new(&format!("http://127.0.0.1:{monitor}"));
        Self { port, monitor, process: None, before: String::new(), folder }
    }

    /// Starts the process; it does not listen yet when this returns.
    async fn launch(&mut self) {
        let mut command = Command::new(binary().await);
        command.arg("--config").arg(self.folder.path().join("nats.conf"));
        self.process = Some(Process::spawn(command));
    }

    /// Waits until the process listens; false when it ended instead.
    async fn listens(&self) -> bool {
        let process = self.process.as_ref().expect("it was launched");
        let ready = process.stderr().find(|line| line.contains("Server is ready").then_some(()));
        within(START, "the start of nats-server", ready).await.is_some()
    }

    fn port_taken(&self) -> bool {
        self.stderr().contains("address already in use")
    }

    /// `nats://127.0.0.1:PORT`, the same over restarts.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port clients connect to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// SIGKILL, at whatever it is doing.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await;
            self.before.push_str(&process.stderr().text());
        }
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub(crate) async fn stop(&self) {
        self.process.as_ref().expect("it runs").stop().await;
    }

    /// SIGCONT.
    pub(crate) fn cont(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// SIGKILL if it runs, then a start on the same port and folder.
    pub(crate) async fn restart(&mut self) {
        self.kill().await;
        for _ in 0..TRIES {
            self.launch().await;
            if self.listens().await {
                return;
            }
            let text = self.stderr();
            self.kill().await;
            assert!(text.contains("address already in use"), "nats-server did not start:\n{text}");
            let port = self.port;
            until(SOON, "the port of nats-server", || async move {
                std::net::TcpListener::bind(("127.0.0.1", port)).ok()
            })
            .await;
        }
        panic!("the port {} of nats-server stays taken", self.port)
    }

    /// SIGKILL, the loss of all its data, then a start.
    pub(crate) async fn wipe(&mut self) {
        self.kill().await;
        std::fs::remove_dir_all(self.data()).unwrap();
        self.restart().await;
    }

    /// Where JetStream keeps its streams.
    pub(crate) fn data(&self) -> std::path::PathBuf {
        Path::join(self.folder.path(), "data")
    }

    /// What the monitoring port says at `path`, such as `/connz` or `/jsz?streams=true`.
    pub(crate) async fn monitor(&self, path: &str) -> Value {
        self.monitor.get(path).await.ok()
    }

    /// As `monitor`, of a server that may be down.
    async fn monitor_if_up(&self, path: &str) -> Option<Value> {
        let request = self.monitor.request(reqwest::Method::GET, path);
        let answer = Api::send(request.timeout(Duration::from_secs(2))).await.ok()?;
        answer.status.is_success().then_some(answer.body)
    }

    /// Names of all streams.
    pub(crate) async fn streams(&self) -> Vec<String> {
        // A node that has just joined a cluster may take a request and not answer it.
        let answer = until(SOON, "the names of streams", || async {
            let mut bus = Bus::connect(self.port).await;
            let asked = bus.request("$JS.API.STREAM.NAMES", "");
            tokio::time::timeout(ANSWER, asked).await.ok()
        })
        .await;
        let names = answer["streams"].as_array().cloned().unwrap_or_default();
        names.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
    }

    /// Deletes every stream, key-value buckets among them; gives how many there were.
    pub(crate) async fn delete_streams(&self) -> usize {
        let names = self.streams().await;
        let mut bus = Bus::connect(self.port).await;
        for name in &names {
            let answer = bus.request(&format!("$JS.API.STREAM.DELETE.{name}"), "").await;
            // Another answer than success means that it has gone by itself.
            assert!(answer["success"] == true || answer["error"]["code"] == 404, "{answer}");
        }
        names.len()
    }

    /// Everything all its processes wrote to standard error.
    pub(crate) fn stderr(&self) -> String {
        let now = self.process.as_ref().map(|it| it.stderr().text()).unwrap_or_default();
        format!("{}{now}", self.before)
    }
}

#[tokio::test]
async fn a_server_keeps_port_and_streams_over_a_kill_and_loses_them_when_wiped() {
    let mut nats = Nats::start().await;
    let stream = r#"{"name": "KEPT", "subjects": ["kept.>"], "storage": "file"}"#;
    let made = Bus::connect(nats.port()).await.request("$JS.API.STREAM.CREATE.KEPT", stream).await;
    assert!(made["error"].is_null(), "{made}");
    assert_eq!(nats.streams().await, ["KEPT"]);
    let url = nats.url();

    nats.restart().await;
    assert_eq!((nats.url(), nats.streams().await), (url.clone(), vec!["KEPT".to_owned()]));
    assert_eq!(nats.monitor("/jsz").await["streams"], 1);

    nats.wipe().await;
    assert_eq!((nats.url(), nats.streams().await), (url, Vec::<String>::new()));

    let made = Bus::connect(nats.port()).await.request("$JS.API.STREAM.CREATE.KEPT", stream).await;
    assert!(made["error"].is_null(), "{made}");
    assert_eq!(nats.delete_streams().await, 1);
    assert_eq!(nats.streams().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_stopped_server_answers_after_it_goes_on() {
    let nats = Nats::with("max_payload: 4096").await;
    let mut bus = Bus::connect(nats.port()).await;
    nats.stop().await;
    let mut asked = std::pin::pin!(bus.request("$JS.API.INFO", ""));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut asked).await;
    assert!(early.is_err(), "a stopped server answered");
    nats.cont();
    assert_eq!(asked.await["type"], "io.nats.jetstream.api.v1.account_info_response");
    assert_eq!(nats.monitor("/varz").await["max_payload"], 4096);
}
