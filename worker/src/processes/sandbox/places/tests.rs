use std::ffi::OsString;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::{Places, SandboxOptions};
use crate::processes::TaskUser;

/// What a sandbox of `options` for processes in `directory` is made of, a word a line.
fn arranged(options: SandboxOptions, user: Option<TaskUser>, directory: &Path) -> String {
    let places = Places::new(&options, user).unwrap();
    let mut all: Vec<OsString> = Vec::new();
    places.arrange(directory, None, &mut all);
    all.iter().map(|it| format!("{}\n", it.to_string_lossy())).collect()
}

fn hiding(paths: &[&Path], shown: &Path) -> SandboxOptions {
    SandboxOptions {
        readable: vec![shown.to_owned()],
        hidden: paths.iter().map(PathBuf::from).collect(),
        ..SandboxOptions::default()
    }
}

#[test]
fn temporary_folders_are_the_tasks_own_and_the_folder_of_the_worker_comes_back() {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let path = folder.path().display();
    let all = arranged(SandboxOptions::default(), None, folder.path());
    let (own, back) = (all.find("--tmpfs\n/tmp\n"), all.find(&format!("--ro-bind-try\n{path}\n")));
    assert!(own.is_some() && own < back, "{all}");
    // Not a home, or all temporary files.
    for whole in ["/tmp", "/home", "/root", "/run", "/usr"] {
        let all = arranged(SandboxOptions::default(), None, Path::new(whole));
        assert!(!all.contains(&format!("--ro-bind-try\n{whole}\n")), "{all}");
    }
}

#[test]
fn keys_are_hidden_on_top_of_all_and_with_the_folder_of_a_link() {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let root = folder.path().canonicalize().unwrap();
    for name in ["data", "version"] {
        std::fs::create_dir(root.join(name)).unwrap();
    }
    let at = |name: &str| root.join(name);
    std::fs::write(at("key"), "").unwrap();
    std::fs::write(at("version/key"), "").unwrap();
    symlink("key", at("version/linked")).unwrap();
    let shown = |it: &Path| it.display().to_string();
    let given = [at("key"), at("data"), at("gone"), at("version/linked")];
    let given: Vec<&Path> = given.iter().map(PathBuf::as_path).collect();
    let all = arranged(hiding(&given, &root), None, Path::new("/"));
    let (_, top) = all.split_once(&format!("--ro-bind-try\n{0}\n{0}\n", shown(&root))).unwrap();
    assert!(top.contains(&format!("--ro-bind\n/dev/null\n{}\n", shown(&at("key")))), "{top}");
    for folder in ["data", "version"] {
        let folder = shown(&at(folder));
        assert!(top.contains(&format!("--tmpfs\n{folder}\n--remount-ro\n{folder}\n")), "{top}");
    }
    assert!(!top.contains("gone") && !top.contains("linked"), "{top}");
    assert!(!top.contains("version/key"), "{top}");
    // What nobody sees needs no hiding.
    let all = arranged(hiding(&given, Path::new("/usr")), None, Path::new("/"));
    assert!(!all.contains("/dev/null"), "{all}");
}

#[test]
fn what_the_tasks_user_cannot_get_to_is_left_alone() {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "").unwrap();
    let open = |mode| {
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode)).unwrap();
    };
    for (mode, is_hidden) in [(0o755, true), (0o750, false)] {
        open(mode);
        let options = hiding(&[&key], folder.path());
        let all = arranged(options, Some(TaskUser::NOBODY), Path::new("/"));
        assert_eq!(all.contains("/dev/null"), is_hidden, "{mode:o} {all}");
    }
    open(0o755);
}

#[test]
fn a_folder_that_is_not_there_is_refused() {
    let options = SandboxOptions { writable: vec!["/no/such".into()], ..Default::default() };
    let refused = Places::new(&options, None).unwrap_err().to_string();
    assert!(refused.contains("/no/such"), "{refused}");
}
