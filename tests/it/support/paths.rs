//! Where things lie.

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// A file of `examples/`.
pub(crate) fn example(name: &str) -> PathBuf {
    root().join("examples").join(name)
}

/// A file or folder of the reference material that lies beside the project, when it is there.
/// `WINDLASS_SHARED` names its folder; without it, `shared` is looked for beside the workspace
/// and one level above.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let folder = match std::env::var_os("WINDLASS_SHARED") {
        Some(folder) => vec![PathBuf::from(folder)],
        None => vec![root().join("../shared"), root().join("../../shared")],
    };
    folder.into_iter().map(|it| it.join(path)).find(|it| it.exists())
}

/// Every file below `folder`, sorted; nothing when it does not exist.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        // Files come and go below a running process: what has just gone is not there.
        let Ok(entries) = std::fs::read_dir(&next) else { continue };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    found
}
