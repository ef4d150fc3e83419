//! Backups of real processes, and what is made of them elsewhere.

mod damage;
mod fleet;
mod recorded;
mod repair;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_coordinator::access;

use crate::support::client::Api;
use crate::support::command::{Output, windlass};
use crate::support::dev::Dev;
use crate::support::fleet::{Fleet, Layout};
use crate::support::until::{SOON, until};

/// Waits for an event, sleeps, then ends with what the event said.
const WAITS: &str = "
document: { dsl: '1.0.3', namespace: backup, name: waits, version: '1.0.0' }
do:
  - told:
      listen: { to: { one: { with: { type: backup.go } } } }
  - sleeps: { wait: PT1S }
  - ends: { set: { told: '${ .[0].told }' } }
";

/// Sleeps for an hour.
const SLEEPS: &str = "
document: { dsl: '1.0.3', namespace: backup, name: sleeps, version: '1.0.0' }
do:
  - sleeps: { wait: PT1H }
";

/// Ends at once.
const ENDS: &str = "
document: { dsl: '1.0.3', namespace: backup, name: ends, version: '1.0.0' }
do:
  - ends: { set: { answer: '${ .number * 2 }' } }
";

/// A place for backups, what opens them, and who may take them.
struct Kept {
    folder: TempDir,
    token: String,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("passphrase"), "correct horse battery staple\n").unwrap();
        let token = access::generate().unwrap().expose().clone();
        std::fs::write(folder.path().join("token"), &token).unwrap();
        let hash = access::sha256(&token);
        let rules = format!(
            "[[token]]\nname = \"root\"\nsha256 = \"{hash}\"\n\
             grants = [{{ role = \"admin\", namespaces = [\"*\"] }}]\n"
        );
        std::fs::write(folder.path().join("auth.toml"), rules).unwrap();
        Self { folder, token }
    }

    /// What makes a server ask who takes a backup: it gives none to anybody else.
    fn flags(&self) -> [String; 2] {
        ["--auth".to_owned(), self.path("auth.toml").display().to_string()]
    }

    async fn dev(&self) -> Dev {
        let mut dev = Dev::with(&self.flags()).await;
        dev.api = dev.api.bearing(&self.token);
        dev
    }

    async fn fleet(&self, layout: Layout) -> Fleet {
        let mut fleet =
            Fleet::with(layout.coordinator(&self.flags().each_ref().map(|it| &**it))).await;
        fleet.api = fleet.api.bearing(&self.token);
        fleet
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command with the passphrase.
    async fn windlass(&self, arguments: &[&str]) -> Output {
        let passphrase = self.path("passphrase").display().to_string();
        windlass(&[arguments, &["--passphrase-file", &passphrase]].concat()).await
    }

    /// Backs a server up, once the one that may be under way has ended.
    async fn take(&self, api: &Api, to: &Path) -> Value {
        until(SOON, "a backup", || async {
            let taken = self.tried(api, to).await;
            (!taken.stderr.contains("WL0580")).then(|| taken.exits(0).json())
        })
        .await
    }

    /// The same, whatever comes of it.
    async fn tried(&self, api: &Api, to: &Path) -> Output {
        let (to, url) = (to.display().to_string(), api.base());
        let token = self.path("token").display().to_string();
        self.windlass(&["backup", "--to", &to, "--url", &url, "--token-file", &token]).await
    }

    /// Restores the last backup in `from` to the data directory of a new folder.
    async fn restore(&self, from: &Path) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (from.display().to_string(), folder.path().join("data"));
        let to = to.display().to_string();
        self.windlass(&["restore", &from, "--to", &to]).await.exits(0);
        folder
    }
}

/// Everything that people see of the instances of a server: its list, and each history.
async fn all_of(api: &Api) -> Vec<Value> {
    let list = api.get("/v1/instances?limit=1000").await.ok();
    let mut all = vec![list.clone()];
    for item in list["items"].as_array().unwrap() {
        let id = item["id"].as_str().unwrap();
        all.push(json!({ "id": id, "history": api.history(id).await }));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_copy_has_all_that_was_backed_up_and_goes_on() {
    let kept = Kept::new();
    let mut dev = kept.dev().await;
    let ends = dev.api.deploy(ENDS).await;
    let (sleeps, waits) = (dev.api.deploy(SLEEPS).await, dev.api.deploy(WAITS).await);
    for number in 0..20 {
        dev.api.run(&ends, &json!({ "number": number })).await;
    }
    let sleeping = dev.api.start(&sleeps, &json!({})).await;
    let waiting = dev.api.start(&waits, &json!({})).await;
    for id in [&sleeping, &waiting] {
        dev.api.reaches(id, "waiting").await;
    }

    let (directory, archive) = (kept.path("all"), kept.path("one.backup"));
    std::fs::create_dir(&directory).unwrap();
    let first = kept.take(&dev.api, &directory).await;
    let second = kept.take(&dev.api, &directory).await;
    let alone = kept.take(&dev.api, &archive).await;
    assert_eq!(first["damaged_records"], 0);
    let added = |it: &Value| it["added_bytes"].as_u64().unwrap();
    assert!(added(&second) < added(&first), "{second} after {first}");
    assert!(alone["records"].as_u64().unwrap() > 20, "{alone}");
    let before = all_of(&dev.api).await;
    dev.kill().await;
    // Of one that is stopped, too.
    let (data, stopped) = (dev.data().display().to_string(), kept.path("stopped.backup"));
    let to = stopped.display().to_string();
    kept.windlass(&["backup", "--data", &data, "--to", &to]).await.exits(0);

    for from in [&directory, &archive, &stopped] {
        let of = from.display().to_string();
        kept.windlass(&["backup", "verify", &of]).await.exits(0);
        let listed = kept.windlass(&["backup", "list", &of]).await.exits(0).json();
        let count = if *from == directory { 2 } else { 1 };
        assert_eq!(listed["items"].as_array().unwrap().len(), count, "{listed}");
        let copy = Dev::on(kept.restore(from).await).await;
        assert_eq!(all_of(&copy.api).await, before, "{of}");
        let event = json!({ "type": "backup.go", "source": "/t", "id": "1",
            "specversion": "1.0", "data": { "told": of } });
        assert_eq!(copy.api.event(&event).await["consumed"], 1);
        assert_eq!(copy.api.ends(&waiting).await["output"], json!({ "told": of }));
        assert_eq!(copy.api.show(&sleeping).await["status"], "waiting");
        let audit = copy.api.get("/v1/audit?action=backup.restored").await.ok();
        assert_eq!(audit["items"].as_array().unwrap().len(), 1, "{audit}");
    }
}
