//! Packages of npm: those that a `package.json` pins, installed into a folder of their own, or one file
//! of one.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::install::{lock, run, tools};

/// Installs what the `package.json` in `folder` names, unless that is there already; gives the folder
/// that has it in `node_modules`.
pub(super) async fn install(folder: &Path) -> Result<PathBuf, String> {
    let manifest = folder.join("package.json");
    let text = std::fs::read_to_string(&manifest)
        .map_err(|error| format!("{}: {error}", manifest.display()))?;
    let tools = tools()?;
    let digest = windlass_proto::id::Digest::of(&text).to_string();
    let place = tools.join(format!("node-{}", &digest[..16]));
    if place.is_dir() {
        return Ok(place);
    }
    let _lock = lock(&tools.join(".lock")).await?;
    if place.is_dir() {
        return Ok(place);
    }
    let failed = |error: std::io::Error| format!("{}: {error}", tools.display());
    let temporary =
        tempfile::Builder::new().prefix(".installing-").tempdir_in(&tools).map_err(failed)?;
    let target = temporary.path().join("target");
    std::fs::create_dir(&target).map_err(failed)?;
    std::fs::write(target.join("package.json"), text).map_err(failed)?;
    let mut command = Command::new("npm");
    command.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
    run(command.arg(&target)).await?;
    std::fs::rename(&target, &place).map_err(failed)?;
    Ok(place)
}

/// Fetches one file of `package`, given as `name@version`, unless it is there already: of a package so
/// large that unpacking it whole would cost more than the file is worth.
pub(super) async fn file(package: &str, file: &str) -> Result<PathBuf, String> {
    let tools = tools()?;
    let name = package.replace(['/', '@'], "-");
    let place = tools.join(format!("npm{name}"));
    let found = place.join("package").join(file);
    if found.is_file() {
        return Ok(found);
    }
    let _lock = lock(&tools.join(".lock")).await?;
    if found.is_file() {
        return Ok(found);
    }
    let failed = |error: std::io::Error| format!("{}: {error}", tools.display());
    let temporary =
        tempfile::Builder::new().prefix(".installing-").tempdir_in(&tools).map_err(failed)?;
    let target = temporary.path().join("target");
    std::fs::create_dir(&target).map_err(failed)?;
    let mut command = Command::new("npm");
    command.args(["pack", "--silent", "--pack-destination"]).arg(temporary.path());
    let packed = run(command.arg(package)).await?;
    let mut command = Command::new("tar");
    command.arg("-xzf").arg(temporary.path().join(packed.trim())).arg("-C").arg(&target);
    run(command.arg(format!("package/{file}"))).await?;
    std::fs::rename(&target, &place).map_err(failed)?;
    Ok(found)
}
