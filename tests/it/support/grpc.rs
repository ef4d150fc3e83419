//! gRPC servers of other makes: grpcio, and grpc-js.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use super::client::Api;
use super::process::Process;
use super::until::{SOON, until, within};
use super::{paths, tools};

/// What it needs; each of the same release.
const PACKAGES: [&str; 3] = ["grpcio==1.85.1", "grpcio-reflection==1.85.1", "grpcio-tools==1.85.1"];

/// A first start compiles Python, on a loaded machine.
const START: Duration = Duration::from_secs(60);

/// `server.py`, running; it ends when this is dropped.
pub(crate) struct Server {
    pub(crate) port: u64,
    process: Process,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these arguments after the folder: `--reflect` to tell of its types, `--guarded` to tell
    /// them for a token only; certificate and key for TLS, and the authority of the certificates
    /// that clients have to show.
    pub(crate) async fn with(arguments: &[String]) -> Self {
        let mut command = Command::new(tools::python(&PACKAGES).await);
        let folder = paths::root().join("tests/it/grpc");
        command.arg(folder.join("server.py")).arg(folder.join("protos")).args(arguments);
        // It compiles its types beside nothing of ours.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        Self::spawn(command).await
    }

    /// The same of Node.js, which tells of its types.
    pub(crate) async fn of_node() -> Self {
        let folder = paths::root().join("tests/it/grpc");
        let packages = tools::node_modules(&folder.join("node")).await.join("node_modules");
        let mut command = Command::new("node");
        command.arg(folder.join("node/server.js")).arg(folder.join("protos")).arg(packages);
        Self::spawn(command).await
    }

    async fn spawn(command: Command) -> Self {
        let process = Process::spawn(command);
        let port = process.stdout().find(|line| {
            let told: Value = serde_json::from_str(line).ok()?;
            told["port"].as_u64()
        });
        let port = within(START, "the start of the gRPC server", port).await;
        let port = port.unwrap_or_else(|| panic!("no start:\n{}", process.stderr().text()));
        Self { port, process }
    }

    /// What it has told of calls of `method`, once that is as much as `count`.
    pub(crate) async fn told(&self, event: &str, method: &str, count: usize) -> Vec<Value> {
        until(SOON, &format!("{count} times {event} of {method}"), async || {
            let told = self.told_now(event, method);
            (told.len() >= count).then_some(told)
        })
        .await
    }

    /// The value of one piece of metadata, which came once or not at all.
    pub(crate) fn metadata(call: &Value, name: &str) -> Option<String> {
        let all = call["metadata"].as_array().unwrap();
        let found: Vec<_> = all.iter().filter(|it| it[0] == name).collect();
        assert!(found.len() < 2, "{name} twice: {call}");
        found.first().map(|it| it[1].as_str().unwrap().to_owned())
    }

    /// What it has told so far.
    pub(crate) fn told_now(&self, event: &str, method: &str) -> Vec<Value> {
        let text = self.process.stdout().text();
        let told = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        told.filter(|it| it["event"] == event && it["method"] == method).collect()
    }

    /// Kills it.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// A task that calls `method` with `arguments`, in YAML.
    pub(crate) fn call(&self, method: &str, arguments: &str) -> String {
        self.call_with(method, arguments, "")
    }

    /// A task that calls `method` with `arguments`, of which the server itself tells the types.
    pub(crate) fn call_by_reflection(
        &self,
        method: &str,
        arguments: &str,
        service: &str,
    ) -> String {
        let there = format!("grpc-reflection://localhost:{}", self.port);
        self.call_with(method, arguments, service).replace(PROTO, &there)
    }

    /// With more in `service`.
    pub(crate) fn call_with(&self, method: &str, arguments: &str, service: &str) -> String {
        let (proto, port) = (PROTO, self.port);
        format!(
            "call: grpc, with: {{proto: {{endpoint: '{proto}'}}, service: {{name: \
             acme.echo.v1.Echo, host: localhost, port: {port}{service}}}, method: {method}, \
             arguments: {arguments}}}"
        )
    }
}

/// The file of its service, as `windlass dev` reads it, which runs in the repository.
pub(crate) const PROTO: &str = "file://tests/it/grpc/protos/acme/echo/v1/echo.proto";

/// What an instance of one task comes to.
pub(crate) async fn run(api: &Api, name: &str, task: &str) -> Value {
    run_on(api, name, task, &json!({})).await
}

/// What an instance of one task comes to that may take a while on a busy machine.
pub(crate) async fn ended(api: &Api, name: &str, task: &str) -> Value {
    let workflow = api.deploy(&definition(name, task)).await;
    api.ends(&api.start(&workflow, &json!({})).await).await
}

/// What an instance of one task comes to with this input.
pub(crate) async fn run_on(api: &Api, name: &str, task: &str, input: &Value) -> Value {
    api.run(&api.deploy(&definition(name, task)).await, input).await
}

/// A workflow of one task.
pub(crate) fn definition(name: &str, task: &str) -> String {
    format!(
        "document: {{dsl: '1.0.3', namespace: rpc, name: {name}, version: '1.0.0'}}\n\
         do: [{{it: {{{task}}}}}]\n"
    )
}

/// What an instance must have given.
pub(crate) fn output(view: &Value) -> &Value {
    assert_eq!(view["status"], "completed", "{view}");
    &view["output"]
}

/// The error an instance must have ended with: type, status and detail.
pub(crate) fn error(view: &Value) -> (String, u64, String) {
    assert_eq!(view["status"], "faulted", "{view}");
    let text = |key: &str| view["error"][key].as_str().unwrap_or_default().to_owned();
    let kind = text("type").rsplit('/').next().unwrap_or_default().to_owned();
    (kind, view["error"]["status"].as_u64().unwrap_or_default(), text("detail"))
}
