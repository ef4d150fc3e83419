//! Takes credentials out of the environment and the command line of this process, where `/proc`
//! shows them to every process of the same user for as long as it lives.
//!
//! What a process was started with cannot be wiped from within by safe code: removing a variable
//! leaves its text where the kernel put it. So the process executes its own program once more,
//! under the same id, without them, and hands them to itself in an anonymous file that only it has
//! open. Whoever asks for a variable asks here.

mod sensitive;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::OnceLock;

use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use zeroize::{Zeroize as _, Zeroizing};

/// Says where they are: the process they are for, and the number of the descriptor.
const PLACE: &str = "WINDLASS_HANDOVER";

/// What was taken; none inside where there was nothing to take.
static TAKEN: OnceLock<Option<Taken>> = OnceLock::new();

/// What was taken out of sight.
struct Taken {
    arguments: Vec<Zeroizing<Vec<u8>>>,
    variables: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

/// What is handed over.
#[derive(Serialize, Deserialize)]
struct Handed {
    arguments: Vec<ByteBuf>,
    variables: Vec<(String, ByteBuf)>,
}

/// A variable of the environment, whether it was taken out of sight or not. To be used in place of
/// [`std::env::var_os`] for whatever may be a credential.
#[must_use]
pub fn variable(name: &str) -> Option<OsString> {
    let taken = TAKEN.get().and_then(Option::as_ref).and_then(|it| it.variables.get(name));
    match taken {
        Some(bytes) => Some(OsString::from_vec(bytes.to_vec())),
        None => std::env::var_os(name),
    }
}

/// All variables that are text, those that were taken out of sight as well.
#[must_use]
pub fn variables() -> Vec<(String, String)> {
    let visible = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let taken = TAKEN.get().and_then(Option::as_ref).into_iter().flat_map(|it| &it.variables);
    let taken = taken.filter_map(|(name, value)| {
        Some((name.clone(), std::str::from_utf8(value).ok()?.to_owned()))
    });
    visible.chain(taken).collect()
}

/// The arguments this process was started with, the program's name first: `/proc` shows them with
/// credentials left out.
#[must_use]
pub fn arguments() -> Vec<OsString> {
    match TAKEN.get() {
        Some(Some(taken)) => {
            taken.arguments.iter().map(|it| OsString::from_vec(it.to_vec())).collect()
        }
        _ => std::env::args_os().collect(),
    }
}

/// Takes out of sight what is sensitive. Does not return where there is something: the program
/// begins again, and finds it taken.
///
/// # Errors
/// When it cannot be done; everything is as it was then.
pub(crate) fn take() -> io::Result<()> {
    let mut failed = Ok(());
    TAKEN.get_or_init(|| match place() {
        Some(number) => receive(number).map(Some).unwrap_or_else(|error| {
            failed = Err(error);
            None
        }),
        None => {
            failed = hand_over();
            None
        }
    });
    failed
}

/// The number of the descriptor with what was taken, if this process was given one: a child that
/// inherits the variable is not meant.
fn place() -> Option<i32> {
    let place = std::env::var(PLACE).ok()?;
    let (process, number) = place.split_once(':')?;
    (process == std::process::id().to_string()).then(|| number.parse().ok())?
}

/// Executes this program again without what is sensitive; returns where there is nothing, or it
/// fails.
fn hand_over() -> io::Result<()> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let shown: Vec<OsString> = sensitive::without_credentials(&arguments);
    let variables: Vec<(String, OsString)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, value)| sensitive::is_credential(name, value))
        .collect();
    if variables.is_empty() && shown == arguments {
        return Ok(());
    }
    let bytes = |it: &OsStr| ByteBuf::from(it.as_bytes());
    let handed = Handed {
        arguments: arguments.iter().map(|it| bytes(it)).collect(),
        variables: variables.iter().map(|(name, it)| (name.clone(), bytes(it))).collect(),
    };
    let handed = rmp_serde::to_vec(&handed).map(Zeroizing::new).map_err(io::Error::other)?;
    // Without CLOEXEC, as it has to live through the execution.
    let mut file = File::from(memfd_create("handover", MemfdFlags::empty())?);
    file.write_all(&handed)?;
    // Without /proc there would be no way to it afterwards.
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let mut again = Command::new(program()?);
    if let Some((name, rest)) = shown.split_first() {
        again.arg0(name).args(rest);
    }
    for (name, _) in &variables {
        again.env_remove(name);
    }
    again.env(PLACE, format!("{}:{}", std::process::id(), file.as_raw_fd()));
    Err(again.exec())
}

/// The program that runs: by its name where it is still there, so that lists of processes show
/// that.
fn program() -> io::Result<std::path::PathBuf> {
    let program = std::env::current_exe()?;
    Ok(if program.exists() { program } else { "/proc/self/exe".into() })
}

/// Reads what was handed over, and leaves nothing of it in its place.
fn receive(number: i32) -> io::Result<Taken> {
    let path = format!("/proc/self/fd/{number}");
    let mut file = File::options().read(true).write(true).open(path)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.read_to_end(&mut bytes)?;
    file.set_len(0)?;
    drop(file);
    // The one that lived through the execution would go on to every child.
    nix::unistd::close(number).map_err(io::Error::from)?;
    let mut handed: Handed = rmp_serde::from_slice(&bytes).map_err(io::Error::other)?;
    let keep = |it: &mut ByteBuf| {
        let kept = Zeroizing::new(it.to_vec());
        it.zeroize();
        kept
    };
    let arguments = handed.arguments.iter_mut().map(keep).collect();
    let variables = handed.variables.iter_mut().map(|(name, it)| (name.clone(), keep(it)));
    Ok(Taken { arguments, variables: variables.collect() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
