//! Commands on a pseudo-terminal, as people have them.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::process::Command;

use super::binary;
use super::until::{SOON, within};

/// What a command wrote on its terminal, standard output and standard error as one.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Exit code; absent when a signal ended it.
    pub(crate) code: Option<i32>,
    /// All that it wrote, control sequences included.
    pub(crate) text: String,
}

/// Runs `windlass` with these arguments in `folder`, its input and outputs a terminal of 80 by 24.
pub(crate) async fn windlass_on_terminal(folder: &Path, arguments: &[&str]) -> Screen {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&master, size).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = File::from(rustix::fs::open(name, flags, Mode::empty()).unwrap());
    let end = || Stdio::from(slave.try_clone().unwrap());
    let mut command = Command::new(binary::windlass());
    command.current_dir(folder).args(arguments).process_group(0).kill_on_drop(true);
    command.env("TERM", "xterm-256color").stdin(end()).stdout(end()).stderr(end());
    let mut child = command.spawn().unwrap();
    // The terminal is over when nobody holds this end any more.
    drop((command, slave));
    let screen = tokio::task::spawn_blocking(move || read(File::from(master)));
    let status = within(SOON, "the end of a command", child.wait()).await.unwrap();
    let text = within(SOON, "the end of the terminal", screen).await.unwrap();
    Screen { code: status.code(), text }
}

/// All that is written to a terminal until nobody holds its other end.
fn read(mut terminal: File) -> String {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        match terminal.read(&mut part) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // So Linux says that the other end was closed.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => break,
            Err(error) => panic!("the terminal cannot be read: {error}"),
        }
    }
    String::from_utf8(bytes).unwrap()
}
