//! The specification's conformance test kit, unchanged and offline, through the API of a running
//! `windlass dev`; `fleet` runs it through a coordinator and workers apart.
//!
//! `WINDLASS_CTK` lists folders with feature files, separated as in `PATH`. Without it the kits of
//! the reference material beside the project are read; where there are none the test is skipped.

pub(crate) mod hosts;
mod scenario;

use std::path::{Path, PathBuf};

use gherkin::{Feature, GherkinEnv};

use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::{paths, skip};

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_of_the_conformance_kit_passes() {
    let folders = folders();
    if folders.is_empty() {
        return skip("ctk", MISSING, "ctk");
    }
    let stub = hosts::serve().await;
    let dev = Dev::with(&stub.flags(&hosts::HOSTS)).await;
    pass(&dev.api, &folders, || dev.stderr()).await;
}

/// Why the kit is skipped.
pub(crate) const MISSING: &str = "no feature files; set WINDLASS_CTK to a folder of them";

/// Runs every scenario below `folders` against a server whose workers reach the hosts of
/// [`hosts::serve`]; all must pass. `stderr` is what to show when not.
pub(crate) async fn pass(api: &Api, folders: &[PathBuf], stderr: impl Fn() -> String) {
    let (mut passed, mut failed) = (0, Vec::new());
    for folder in folders {
        for feature in features(folder) {
            for scenario in &feature.scenarios {
                let background = feature.background.iter().flat_map(|it| &it.steps);
                let steps = background.chain(&scenario.steps);
                let name = format!("{} / {} / {}", folder.display(), feature.name, scenario.name);
                match scenario::run(api, steps).await {
                    Ok(()) => {
                        println!("ctk passed  {name}");
                        passed += 1;
                    }
                    Err(reason) => {
                        println!("ctk FAILED  {name}: {reason}");
                        failed.push(format!("{name}\n    {reason}"));
                    }
                }
            }
        }
    }
    assert!(passed + failed.len() > 0, "no scenario in {folders:?}");
    assert!(
        failed.is_empty(),
        "{} of {} scenarios failed:\n  {}\nserver said:\n{}",
        failed.len(),
        passed + failed.len(),
        failed.join("\n  "),
        stderr()
    );
}

/// The folders of the kit's editions; none when there is no kit here.
pub(crate) fn folders() -> Vec<PathBuf> {
    match std::env::var_os("WINDLASS_CTK") {
        Some(list) => std::env::split_paths(&list).collect(),
        None => ["spec/ctk/features", "spec/ctk-serverlessworkflow"]
            .into_iter()
            .filter_map(paths::shared)
            .collect(),
    }
}

fn features(folder: &Path) -> Vec<Feature> {
    let mut files = paths::files(folder);
    files.retain(|it| it.extension().is_some_and(|it| it == "feature"));
    assert!(!files.is_empty(), "no feature file in {}", folder.display());
    let parse = |path: &PathBuf| {
        // A file may end without a line end, which the parser wants after a doc string.
        let text = std::fs::read_to_string(path).unwrap() + "\n";
        Feature::parse(text, GherkinEnv::default())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files.iter().map(parse).collect()
}
