//! Packages of npm: those that a `package.json` pins, installed into a folder of their own, or one
//! file of one.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::install::{make, run};

/// Installs what the `package.json` in `folder` names, unless that is there already; gives the
/// folder that has it in `node_modules`.
pub(super) async fn install(folder: &Path) -> Result<PathBuf, String> {
    let manifest = folder.join("package.json");
    let text = std::fs::read_to_string(&manifest)
        .map_err(|error| format!("{}: {error}", manifest.display()))?;
    let digest = windlass_proto::id::Digest::of(&text).to_string();
    make(&format!("node-{}", &digest[..16]), async |_, target| {
        std::fs::write(target.join("package.json"), text)
            .map_err(|error| format!("{}: {error}", target.display()))?;
        let mut command = Command::new("npm");
        command.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
        run(command.arg(target)).await.map(drop)
    })
    .await
}

/// Fetches one file of `package`, given as `name@version`, unless it is there already: of a package
/// so large that unpacking it whole would cost more than the file is worth.
pub(super) async fn file(package: &str, file: &str) -> Result<PathBuf, String> {
    let name = format!("npm-{}", package.trim_start_matches('@').replace(['/', '@'], "-"));
    let place = make(&name, async |scratch, target| {
        let mut command = Command::new("npm");
        command.args(["pack", "--silent", "--pack-destination"]).arg(scratch);
        let packed = run(command.arg(package)).await?;
        let mut command = Command::new("tar");
        command.arg("-xzf").arg(scratch.join(packed.trim())).arg("-C").arg(target);
        run(command.arg(format!("package/{file}"))).await.map(drop)
    });
    Ok(place.await?.join("package").join(file))
}
