//! A coordinator and workers as processes of their own, over a real bus.

mod role;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::client::Api;
use super::command::windlass;
use super::nats::Nats;
use super::until::{until, within};

pub(crate) use role::Role;

/// How long a start may take: recovery, and finding the others on the bus.
const START: Duration = Duration::from_secs(60);
/// What a worker writes when it is registered, before the session's id.
const JOINED: &str = "windlass: joined as ";

/// What a fleet is made of.
pub(crate) struct Layout {
    /// The bus as the coordinator reaches it.
    pub(crate) coordinator: String,
    /// The bus as each worker reaches it.
    pub(crate) workers: Vec<String>,
    /// Further flags of the coordinator.
    pub(crate) coordinator_flags: Vec<String>,
    /// Further flags of every worker.
    pub(crate) worker_flags: Vec<String>,
}

impl Layout {
    /// A coordinator and `workers` workers straight on one server.
    pub(crate) fn on(url: &str, workers: usize) -> Self {
        Self {
            coordinator: url.to_owned(),
            workers: vec![url.to_owned(); workers],
            coordinator_flags: Vec::new(),
            worker_flags: Vec::new(),
        }
    }

    /// With these flags of the coordinator.
    pub(crate) fn coordinator(mut self, flags: &[&str]) -> Self {
        self.coordinator_flags.extend(flags.iter().map(|it| (*it).to_owned()));
        self
    }

    /// With these flags of every worker.
    pub(crate) fn worker<S: AsRef<str>>(mut self, flags: &[S]) -> Self {
        self.worker_flags.extend(flags.iter().map(|it| it.as_ref().to_owned()));
        self
    }
}

/// A running fleet; all of it ends when this is dropped.
pub(crate) struct Fleet {
    /// Talks to the coordinator, also after a restart.
    pub(crate) api: Api,
    /// The coordinator's process.
    pub(crate) coordinator: Role,
    /// The workers' processes.
    pub(crate) workers: Vec<Role>,
    /// What admits workers.
    pub(crate) key: String,
    worker_flags: Vec<String>,
    folder: tempfile::TempDir,
}

impl Fleet {
    /// Starts a coordinator and `workers` workers on a bus; all have joined when this returns.
    pub(crate) async fn start(nats: &Nats, workers: usize) -> Self {
        Self::with(Layout::on(&nats.url(), workers)).await
    }

    /// Starts what `layout` says; all have joined when this returns.
    pub(crate) async fn with(layout: Layout) -> Self {
        let mut fleet = Self::prepare(layout).await;
        fleet.start_all().await;
        fleet
    }

    /// Starts what was prepared; all have joined when this returns.
    pub(crate) async fn start_all(&mut self) {
        self.coordinator.launch();
        self.workers.iter_mut().for_each(Role::launch);
        self.ready().await;
    }

    /// Makes the key and the command lines; nothing runs yet.
    pub(crate) async fn prepare(layout: Layout) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = data_in(&folder).display().to_string();
        let made = windlass(&["coordinator", "key", "--data-dir", &data]).await.exits(0);
        let key = made.stdout.trim().to_owned();
        assert!(key.starts_with("wk1_") && !key.contains('\n'), "{made:?}");

        let mut arguments = words(&["coordinator", "--bind", "127.0.0.1:0", "--data-dir", &data]);
        arguments.extend(words(&["--nats", &layout.coordinator]));
        arguments.extend(layout.coordinator_flags);
        let mut fleet = Self {
            api: Api::new(""),
            coordinator: Role::new("the coordinator", arguments),
            workers: Vec::new(),
            key,
            worker_flags: layout.worker_flags,
            folder,
        };
        for url in &layout.workers {
            fleet.add_worker(url);
        }
        fleet
    }

    /// One more worker, which is not launched yet; gives its place.
    pub(crate) fn add_worker(&mut self, url: &str) -> usize {
        let name = format!("worker-{}", self.workers.len());
        let mut arguments = words(&["worker", "--nats", url, "--name", &name]);
        arguments.extend(self.worker_flags.iter().cloned());
        let mut role = Role::new("a worker", arguments);
        // As operators should: a command line can be read by everyone on the machine.
        role.variables.push(("WINDLASS_WORKER_KEY".to_owned(), self.key.clone()));
        // The servers that tests call are on this machine.
        role.variables.push(("WINDLASS_EGRESS_ALLOW".to_owned(), "127.0.0.0/8,::1".to_owned()));
        // The same on machines with and without bubblewrap; who wants one says so by a flag.
        role.variables.push(("WINDLASS_SANDBOX".to_owned(), "off".to_owned()));
        self.workers.push(role);
        self.workers.len() - 1
    }

    /// The coordinator's data directory.
    pub(crate) fn data(&self) -> PathBuf {
        data_in(&self.folder)
    }

    /// Waits until the coordinator listens and every worker that was launched has joined.
    pub(crate) async fn ready(&mut self) {
        self.coordinator_ready().await;
        for worker in self.workers.iter().filter(|it| it.runs()) {
            joined(worker).await;
        }
    }

    /// Waits until the coordinator listens.
    pub(crate) async fn coordinator_ready(&mut self) {
        let lines = self.coordinator.lines();
        let line = lines.after("windlass: listening on ");
        let Some(address) = within(START, "the start of the coordinator", line).await else {
            panic!("the coordinator ended before it listened:\n{}", self.coordinator.stderr());
        };
        self.api.moved(&address);
    }

    /// SIGKILL to the coordinator, then a start on the same directory; it listens when this
    /// returns.
    pub(crate) async fn restart_coordinator(&mut self) {
        self.coordinator.kill().await;
        self.coordinator.launch();
        self.coordinator_ready().await;
    }

    /// SIGKILL to a worker, then a start; it has joined when this returns.
    pub(crate) async fn restart_worker(&mut self, index: usize) {
        self.workers[index].kill().await;
        self.workers[index].launch();
        joined(&self.workers[index]).await;
    }

    /// Waits until the present process of a worker has joined this often.
    pub(crate) async fn joins(&self, index: usize, times: usize) {
        let lines = self.workers[index].lines();
        until(START, &format!("join number {times} of a worker"), || async {
            let count = lines.text().lines().filter(|it| it.starts_with(JOINED)).count();
            (count >= times).then_some(())
        })
        .await;
    }

    /// Everything all processes wrote to standard error, for messages.
    pub(crate) fn stderr(&self) -> String {
        let mut all = format!("-- coordinator\n{}", self.coordinator.stderr());
        for (index, worker) in self.workers.iter().enumerate() {
            all.push_str(&format!("-- worker {index}\n{}", worker.stderr()));
        }
        all
    }

    /// Asserts that no process panicked.
    pub(crate) fn assert_sound(&self) {
        let log = self.stderr();
        assert!(!log.contains("panicked at"), "{log}");
    }
}

impl Drop for Fleet {
    /// A test that fails shows what the processes said.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.stderr());
        }
    }
}

/// Waits until a worker has joined, for the first time since its process started.
pub(crate) async fn joined(worker: &Role) -> String {
    let lines = worker.lines();
    match within(START, "the joining of a worker", lines.after(JOINED)).await {
        Some(session) => session,
        None => panic!("a worker ended before it joined:\n{}", worker.stderr()),
    }
}

fn data_in(folder: &tempfile::TempDir) -> PathBuf {
    Path::join(folder.path(), "data")
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(|it| (*it).to_owned()).collect()
}
