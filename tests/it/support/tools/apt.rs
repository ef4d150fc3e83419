//! Unpacking packages of Debian into a folder of their own.
//!
//! `apt-get download` and `dpkg -x` need no rights, start no service and leave the machine as it
//! is. What the packages depend on and the machine has not comes with them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::install::{make, run};

/// Unpacks `packages`, unless they are there already; gives the folder, which is to them what `/`
/// is to an installed package.
pub(super) async fn install(packages: &[&str]) -> Result<PathBuf, String> {
    make(&format!("apt-{}", packages.join("+")), async |scratch, target| {
        let failed = |error: std::io::Error| format!("{}: {error}", scratch.display());
        // The machine's lists of packages may be missing or old, and only root renews them: then
        // with lists of our own.
        if fetch(scratch, packages, &[]).await.is_err() {
            let own = own_lists(scratch).map_err(failed)?;
            run(Command::new("apt-get").args(&own).args(["-qq", "update"])).await?;
            fetch(scratch, packages, &own).await?;
        }
        for file in std::fs::read_dir(scratch).map_err(failed)? {
            let file = file.map_err(failed)?.path();
            if file.extension().is_some_and(|it| it == "deb") {
                run(Command::new("dpkg").arg("-x").arg(file).arg(target)).await?;
            }
        }
        Ok(())
    })
    .await
}

/// Downloads the files of `packages`, and of what they need and the machine has not, to `folder`.
async fn fetch(folder: &Path, packages: &[&str], options: &[String]) -> Result<(), String> {
    let apt = || {
        let mut command = Command::new("apt-get");
        command.current_dir(folder).args(options).args(["-qq", "-o", "Debug::NoLocking=1"]);
        command
    };
    let tell = ["install", "--print-uris", "--no-install-recommends"];
    // Each line is 'URI' FILE SIZE SUM, and a file is NAME_VERSION_ARCHITECTURE.deb.
    let told = run(apt().args(tell).args(packages)).await?;
    let missing = told.lines().filter_map(|line| line.split(' ').nth(1)?.split('_').next());
    let all: BTreeSet<&str> = missing.chain(packages.iter().copied()).collect();
    run(apt().arg("download").args(all)).await.map(drop)
}

/// Options that keep lists of packages below `folder`.
fn own_lists(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut options = Vec::new();
    for (name, place) in [("Dir::State::lists", "lists"), ("Dir::Cache", "cache")] {
        let place = folder.join(place);
        std::fs::create_dir_all(place.join("partial"))?;
        options.extend(["-o".to_owned(), format!("{name}={}", place.display())]);
    }
    Ok(options)
}
