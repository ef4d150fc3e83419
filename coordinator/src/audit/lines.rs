//! Lines of a file, one at a time, none of which takes more than a bounded part of the memory.

use std::io::{self, BufRead as _, BufReader, Read};

use windlass_proto::limits;

/// One line.
pub(super) struct RawLine {
    /// Without its end; only the first bytes of one that is too long to be ours.
    pub(super) bytes: Vec<u8>,
    /// True when it has an end.
    pub(super) whole: bool,
}

/// Reads lines.
pub(super) struct Lines<R> {
    input: BufReader<R>,
}

/// Bytes of a line that are looked at.
const MOST: usize = 2 * limits::AUDIT_EVENT_BYTES;

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        let buffer = usize::try_from(limits::AUDIT_BLOCK_BYTES).unwrap_or(0);
        Self { input: BufReader::with_capacity(buffer, input) }
    }

    /// The next line.
    pub(super) fn next(&mut self) -> io::Result<Option<RawLine>> {
        let mut line = RawLine { bytes: Vec::new(), whole: false };
        let mut any = false;
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                return Ok(any.then_some(line));
            }
            any = true;
            let end = buffer.iter().position(|it| *it == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            let room = MOST.saturating_sub(line.bytes.len());
            line.bytes.extend_from_slice(&part[..part.len().min(room)]);
            let taken = part.len() + usize::from(end.is_some());
            self.input.consume(taken);
            if end.is_some() {
                line.whole = true;
                return Ok(Some(line));
            }
        }
    }
}
