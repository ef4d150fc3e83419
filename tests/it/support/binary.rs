//! The binary under test.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::paths;

/// The path of `windlass`, built on first use with the profile of this test binary.
///
/// `WINDLASS_BIN` names a binary built before, which is then used as it is.
pub(crate) fn windlass() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build).clone()
}

fn build() -> PathBuf {
    if let Some(path) = std::env::var_os("WINDLASS_BIN") {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "WINDLASS_BIN names {}, which is no file", path.display());
        return path;
    }
    // This test runs from <target>/<profile>/deps.
    let this = std::env::current_exe().unwrap();
    let folder = this.parent().unwrap().parent().unwrap();
    let profile = match folder.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(paths::root())
        .args(["build", "--quiet", "--package", "windlass", "--bin", "windlass"])
        .args(["--profile", profile, "--target-dir"])
        .arg(folder.parent().unwrap())
        .status()
        .expect("cargo must be on the path to build the binary under test");
    assert!(status.success(), "the binary under test does not build");
    folder.join("windlass")
}
