//! The screen of a terminal: another page that is drawn anew, and keys without Enter. What was
//! there before is there again however the command ends, but for what nobody can catch (SIGKILL).

use std::io::{self, Read as _, Write};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::sync::mpsc;

use crate::error::CliError;

/// The other page, without a cursor; and back.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// To the first place, and nothing behind what is written.
const HOME: &str = "\u{1b}[H";
const REST_OF_LINE: &str = "\u{1b}[K";
const REST_OF_PAGE: &str = "\u{1b}[J";

/// No key is this signal's.
const NO_KEY: u8 = if cfg!(target_os = "linux") { 0 } else { 0xff };

/// A key with a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Enough.
    Quit,
}

/// A terminal that is drawn on.
pub(super) struct Screen {
    before: Termios,
    keys: mpsc::Receiver<u8>,
}

/// Keys on a thread of their own: a read of them cannot be given up.
fn keys() -> mpsc::Receiver<u8> {
    let (sender, keys) = mpsc::channel(1);
    std::thread::spawn(move || {
        for byte in io::stdin().lock().bytes() {
            // Nobody waits for one any more.
            if byte.ok().is_none_or(|it| sender.blocking_send(it).is_err()) {
                return;
            }
        }
    });
    keys
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn open() -> Result<Self, CliError> {
        let failed = |error: rustix::io::Errno| {
            CliError::Usage(format!("the terminal cannot be used: {error}; --times 1 needs none"))
        };
        let before = tcgetattr(io::stdin()).map_err(failed)?;
        let mut modes = before.clone();
        // Ctrl-C stays a signal. Those that stop or kill at once would leave the terminal so.
        modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        for code in [SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT] {
            modes.special_codes[code] = NO_KEY;
        }
        tcsetattr(io::stdin(), OptionalActions::Now, &modes).map_err(failed)?;
        let screen = Self { before, keys: keys() };
        write(ENTER);
        Ok(screen)
    }

    /// Draws a page, as much of it as there is room for.
    pub(super) fn draw(&mut self, text: &str) {
        let (rows, columns) = tcgetwinsize(io::stdout())
            .map_or((24, 80), |it| (usize::from(it.ws_row), usize::from(it.ws_col)));
        let mut page = String::from(HOME);
        for line in text.lines().take(rows.max(3) - 2) {
            page.extend(line.chars().take(columns.max(20)));
            page.push_str(REST_OF_LINE);
            page.push_str("\r\n");
        }
        page.push_str(REST_OF_PAGE);
        page.push_str("q ends");
        write(&page);
    }

    /// Waits for a key with a meaning.
    pub(super) async fn key(&mut self) -> Key {
        loop {
            match self.keys.recv().await {
                // The terminal is gone.
                None => return Key::Quit,
                Some(b'q' | b'Q') => return Key::Quit,
                Some(_) => {}
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        write(LEAVE);
        // Nothing more can be done about it.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

fn write(text: &str) {
    let mut out = io::stdout().lock();
    // Who looks at it may be gone, which is found when a key is waited for.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
