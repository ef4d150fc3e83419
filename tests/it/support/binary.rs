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
    built().join("windlass")
}

/// The path of the example worker, built on first use.
pub(crate) fn rust_worker() -> PathBuf {
    built().join("rust-worker")
}

/// The folder of the programs, which are built on first use with the profile of this test binary.
fn built() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(cargo_build).clone()
}

fn cargo_build() -> PathBuf {
    // This test runs from <target>/<profile>/deps.
    let this = std::env::current_exe().unwrap();
    let folder = this.parent().unwrap().parent().unwrap();
    let profile = match folder.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What cargo says of this test's package would make build scripts that look at it run again,
    // and half of the dependencies be built again, here and at the next build of who runs the
    // tests.
    for (name, _) in std::env::vars_os() {
        let said = name
            .to_str()
            .is_some_and(|it| it.starts_with("CARGO_PKG_") || it.starts_with("CARGO_MANIFEST_"));
        if said {
            command.env_remove(name);
        }
    }
    // It opens unstable options of test programs, and would have everything built again.
    command.env_remove("RUSTC_BOOTSTRAP");
    // This test program among them, whole workspace: so each crate has the features that it has for
    // `cargo test --workspace`, and none is built once more. They have the stores of secrets that
    // this package asks for.
    let status = command
        .current_dir(paths::root())
        .args(["build", "--quiet", "--workspace", "--test", "it"])
        .args(["--bin", "windlass", "--bin", "rust-worker"])
        .args(["--profile", profile, "--target-dir"])
        .arg(folder.parent().unwrap())
        .status()
        .expect("cargo must be on the path to build the binary under test");
    assert!(status.success(), "the programs under test do not build");
    folder.to_owned()
}
