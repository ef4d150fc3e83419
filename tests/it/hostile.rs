//! Attacks: one tenant does what it can to harm others, and the others' calls all succeed.
//!
//! Each attack says how small or large it is (`WINDLASS_HOSTILE_SIZE`, 1 unless given, up to 10 for
//! the forms that once took a server down), and prints what the victims saw. Nothing here is judged
//! by time: what must hold are outcomes, and calls that are counted at a stub.

mod connections;
mod filters;
mod memory;
mod spawn;
mod victim;

use crate::support::dev::Dev;

/// How large the attacks are.
fn size() -> usize {
    usize::try_from(crate::load::setting("WINDLASS_HOSTILE_SIZE", 1)).unwrap().max(1)
}

/// The most memory that the server has had so far, in MB.
fn peak_memory(dev: &mut Dev) -> u64 {
    let status = format!("/proc/{}/status", dev.process().id());
    let status = std::fs::read_to_string(status).unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    let kilobytes = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0);
    kilobytes / 1024
}
