//! Processes to whom another time is shown.

use std::path::Path;
use std::process::Command;

use super::fleet::Role;
use super::paths;

/// Whether there is a faketime that works.
pub(crate) fn works() -> Result<(), String> {
    let tried = Command::new("faketime").args(["-f", "-7m", "true"]).output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("faketime fails: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("faketime is not installed ({error})")),
    }
}

/// Shows a process, from its next launch on, a time of day that is off by `offset`, as `-7m`.
pub(crate) fn wrap(role: &mut Role, offset: &str) {
    role.wrapper = ["faketime", "-f", offset].map(str::to_owned).to_vec();
    // Only the time of day is off; intervals are what they are.
    role.variables.push(("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()));
    role.variables.push(("DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()));
}

/// faketime leaves shared memory behind when it is killed, and does not start where an earlier
/// process of the same number has left some.
pub(crate) fn forget_the_dead() {
    for path in paths::files(Path::new("/dev/shm")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some((_, process)) = name.rsplit_once('_').filter(|_| name.contains("faketime")) else {
            continue;
        };
        if !Path::new("/proc").join(process).exists() {
            // Another test may have been faster.
            let _ = std::fs::remove_file(&path);
        }
    }
}
