//! Reading files of configuration, and saying what is wrong with them without showing what they
//! hold.

use std::path::Path;

use zeroize::Zeroizing;

/// The text of a file of at most `most` bytes.
pub(crate) fn read(path: &Path, most: usize) -> Result<Zeroizing<String>, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > most as u64 {
        return Err(format!("it is larger than {most} bytes"));
    }
    std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| error.to_string())
}

/// Line and column, from one, of a byte of `text`.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// A parser's message in one line, without the text that was found: it may be a credential at the
/// wrong place.
pub(super) fn without_values(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    for kind in ["invalid type: string ", "invalid value: string "] {
        if let Some(rest) = line.strip_prefix(kind) {
            let expected = rest.rfind(", expected").map_or("", |at| &rest[at..]);
            return format!("{}{expected}", kind.trim_end());
        }
    }
    line.to_owned()
}
