//! Servers of other makes, as they come: what they compress, redirect, ask for and describe is what
//! a workflow must cope with.

mod a2a;
mod apache;
mod asyncapi;
mod fastapi;
mod github;
mod lighttpd;
mod mcp;
mod nginx;
pub(crate) mod oidc;
mod tries;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::support::client::Api;
use crate::support::process::Process;
use crate::support::until::{SOON, until};
use crate::support::{ports, skip, tools};

/// How often another port is tried when one was taken in the moment between.
const TRIES: usize = 5;

/// Where Debian has the program itself, without the script around it.
pub(crate) const CHROMIUM: &str = "usr/lib/chromium/chromium";

/// A server's programs and libraries, unpacked.
pub(crate) struct Unpacked(PathBuf);

impl Unpacked {
    /// These packages of Debian; none, and a word about it, where there are none to be had.
    pub(crate) async fn get(test: &str, packages: &[&str]) -> Option<Self> {
        let root = tools::debian(packages).await.map(Self);
        if root.is_none() {
            skip(test, "there is no apt-get to fetch the server with", "servers");
        }
        root
    }

    /// Chromium: the one that is installed, or that of Debian.
    pub(crate) async fn chromium(test: &str) -> Option<Self> {
        let root = PathBuf::from("/");
        if root.join(CHROMIUM).exists() {
            return Some(Self(root));
        }
        Self::get(test, &["chromium"]).await
    }

    /// A path in it, for a configuration.
    pub(crate) fn at(&self, path: &str) -> String {
        self.0.join(path).display().to_string()
    }

    /// A program in it, which finds its libraries.
    pub(crate) fn command(&self, path: &str) -> Command {
        let mut command = Command::new(self.0.join(path));
        command.env("LD_LIBRARY_PATH", self.libraries());
        command
    }

    /// Where its programs find their libraries, for `LD_LIBRARY_PATH`.
    pub(crate) fn libraries(&self) -> OsString {
        let of = |folder: &str| std::fs::read_dir(self.0.join(folder)).into_iter().flatten();
        let folders = ["usr/lib", "lib"].into_iter().flat_map(of).map(|it| it.unwrap().path());
        let mut libraries: Vec<PathBuf> = folders.filter(|it| it.is_dir()).collect();
        // Those that a library keeps for itself.
        let own = libraries.iter().map(|it| it.join("pulseaudio")).filter(|it| it.is_dir());
        libraries.extend(own.collect::<Vec<_>>());
        let others = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        libraries.extend(std::env::split_paths(&others));
        std::env::join_paths(libraries).unwrap()
    }
}

/// A running server with a folder of its own, in which `log` has a line for each request.
pub(crate) struct Server {
    port: u16,
    pub(crate) folder: tempfile::TempDir,
    process: Process,
}

impl Server {
    /// Starts the command that `prepare` makes for a port and a folder; it listens when this
    /// returns.
    pub(crate) async fn start(prepare: impl Fn(u16, &Path) -> Command) -> Self {
        Self::start_within(SOON, prepare).await
    }

    /// As [`Self::start`], of one that has much to do before it listens.
    async fn start_within(patience: Duration, prepare: impl Fn(u16, &Path) -> Command) -> Self {
        for _ in 0..TRIES {
            let folder = tempfile::tempdir().unwrap();
            // Some give up their rights before they read what they serve.
            let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(folder.path(), all).unwrap();
            std::fs::create_dir(folder.path().join("files")).unwrap();
            let port = ports::free();
            let process = Process::spawn(prepare(port, folder.path()));
            let server = Self { port, folder, process };
            if server.listens(patience).await {
                return server;
            }
            let said = server.process.stderr().text();
            assert!(said.to_lowercase().contains("address already in use"), "no start:\n{said}");
        }
        panic!("each of {TRIES} free ports was taken in the moment before the server had it")
    }

    /// Waits until it listens; false when it ended instead.
    async fn listens(&self, patience: Duration) -> bool {
        let up = until(patience, "a server that listens", async || {
            let connected = TcpStream::connect(("127.0.0.1", self.port)).await.is_ok();
            (connected || self.process.stderr().ended()).then_some(connected)
        });
        up.await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it has said so far.
    pub(crate) fn stderr(&self) -> String {
        self.process.stderr().text()
    }

    /// Ends it.
    pub(crate) async fn stop(&mut self) {
        self.process.kill().await;
    }

    /// The lines of its log that hold `part`, once there are as many as `count`.
    async fn logged(&self, part: &str, count: usize) -> Vec<String> {
        until(SOON, "a line in the log of a server", async || {
            let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<_> = text.lines().filter(|it| it.contains(part)).collect();
            (lines.len() >= count).then(|| lines.into_iter().map(str::to_owned).collect())
        })
        .await
    }
}

/// Makes these calls, one after the other, in one workflow; each is a name and its `with`, in which
/// `BASE` is the server. Gives what they gave, by name.
async fn calls(api: &Api, base: &str, kind: &str, calls: &[(&str, &str)]) -> Value {
    let mut text = format!(
        "document: {{ dsl: '1.0.3', namespace: servers, name: {kind}, version: '1.0.0' }}\n\
         output: {{ as: $context }}\ndo:\n"
    );
    for (name, with) in calls {
        let with = with.replace("BASE", base);
        text.push_str(&format!(
            "- {name}:\n    call: {kind}\n    with: {with}\n    export: {{ as: '${{ $context + {{ {name}: . }} }}' }}\n"
        ));
    }
    let view = api.run(&api.deploy(&text).await, &json!({})).await;
    assert_eq!(view["status"], "completed", "{view}");
    view["output"].clone()
}

/// A JSON text that is worth to be compressed, and what it says.
fn document() -> (String, Value) {
    let value = json!({"words": vec!["größer als null, €"; 200]});
    (value.to_string(), value)
}
