//! Metrics: the table, what processes show, and what `deploy/observe` makes of it.

mod collector;
mod dashboards;
mod open;
mod push;
mod queries;
mod rules;
mod scrape;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::process::Command;
use windlass_proto::metric::{Family, table as families};

use crate::servers::Unpacked;
use crate::support::until::{SOON, within};
use crate::support::{client::Api, paths};

/// A file below `deploy/observe`.
fn observe(file: &str) -> PathBuf {
    paths::root().join("deploy/observe").join(file)
}

/// Prometheus and promtool, where there is a way to get them.
async fn prometheus(test: &str) -> Option<Unpacked> {
    Unpacked::get(test, &["prometheus"]).await
}

/// What promtool says, and whether it is content.
async fn promtool(tools: &Unpacked, folder: &Path, arguments: &[&str]) -> (bool, String) {
    run(tools.command("usr/bin/promtool").current_dir(folder).args(arguments)).await
}

async fn run(command: &mut Command) -> (bool, String) {
    let output = within(SOON, "promtool", command.kill_on_drop(true).output()).await.unwrap();
    let both = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&both).into_owned())
}

/// Every sample there may be, by its name.
fn samples() -> BTreeMap<String, &'static Family> {
    let named =
        |family: &'static Family| family.sample_names().into_iter().map(move |name| (name, family));
    families::all().flat_map(named).collect()
}

/// What a process shows, as it is sent.
async fn shown(api: &Api, accept: &str) -> String {
    let request = api.request(reqwest::Method::GET, "/metrics").header("accept", accept);
    let answer = Api::send(request).await.unwrap();
    assert!(answer.status.is_success(), "{answer:?}");
    answer.body.as_str().unwrap().to_owned()
}
