//! Commands on a pseudo-terminal, as people have them.

use std::fs::File;
use std::io::{ErrorKind, Read, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{SpecialCodeIndex, Termios, Winsize, tcgetattr, tcsetwinsize};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::binary;
use super::until::{SOON, until, within};

/// What a command wrote on its terminal, standard output and standard error as one.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Exit code; absent when a signal ended it.
    pub(crate) code: Option<i32>,
    /// All that it wrote, control sequences included.
    pub(crate) text: String,
    /// True when the modes of the terminal are what they were before it began.
    pub(crate) is_as_before: bool,
}

/// A command that has a terminal.
pub(crate) struct OnTerminal {
    child: Child,
    keyboard: File,
    before: Termios,
    written: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl OnTerminal {
    /// Waits until it has written this.
    pub(crate) async fn shows(&self, text: &str) {
        until(SOON, &format!("`{text}` on a terminal"), async || {
            let shown = self.text();
            assert!(!self.reader.is_finished() || shown.contains(text), "it has ended:\n{shown}");
            shown.contains(text).then_some(())
        })
        .await;
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("it runs");
        kill_process(Pid::from_raw(id.try_into().unwrap()).unwrap(), signal).unwrap();
    }

    /// The modes of its terminal.
    pub(crate) fn modes(&self) -> Termios {
        tcgetattr(&self.keyboard).unwrap()
    }

    /// Types these keys.
    pub(crate) fn types(&self, keys: &[u8]) {
        (&self.keyboard).write_all(keys).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ends(mut self) -> Screen {
        let status = within(SOON, "the end of a command", self.child.wait()).await.unwrap();
        within(SOON, "the end of the terminal", &mut self.reader).await.unwrap();
        let modes = self.modes();
        let is_as_before = modes.local_modes == self.before.local_modes
            && modes.special_codes[SpecialCodeIndex::VSUSP]
                == self.before.special_codes[SpecialCodeIndex::VSUSP];
        Screen { code: status.code(), text: self.text(), is_as_before }
    }
}

/// Runs `windlass` with these arguments in `folder`, its input and outputs a terminal of 80 by 24.
pub(crate) async fn windlass_on_terminal(folder: &Path, arguments: &[&str]) -> Screen {
    on_terminal(folder, &[], arguments).ends().await
}

/// Starts the same, with these variables.
pub(crate) fn on_terminal(
    folder: &Path,
    variables: &[(&str, &str)],
    arguments: &[&str],
) -> OnTerminal {
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
    let child = command.envs(variables.iter().copied()).spawn().unwrap();
    // The terminal is over when nobody holds this end any more.
    drop((command, slave));
    let master = File::from(master);
    let (keyboard, before) = (master.try_clone().unwrap(), tcgetattr(&master).unwrap());
    let written = Arc::default();
    let to = Arc::clone(&written);
    let reader = tokio::task::spawn_blocking(move || read(master, &to));
    OnTerminal { child, keyboard, before, written, reader }
}

/// Reads what is written to a terminal until nobody holds its other end.
fn read(mut terminal: File, to: &Mutex<Vec<u8>>) {
    let mut part = [0; 4096];
    loop {
        match terminal.read(&mut part) {
            Ok(0) => break,
            Ok(count) => to.lock().unwrap().extend_from_slice(&part[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // So Linux says that the other end was closed.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => break,
            Err(error) => panic!("the terminal cannot be read: {error}"),
        }
    }
}
