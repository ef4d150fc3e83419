//! A backup on its way over the API, from the coordinator to whoever keeps it.
//!
//! ```text
//! "windlass backup stream\n" | format: u8 | frames
//! frame: kind: u8 | length: u32 | CRC-32 of kind and body: u32 | body
//! ```
//!
//! A stream without its last frame was cut off, and is no backup.

use std::io::{self, Read};

use windlass_proto::limits;

use super::{About, BackupError, FileHead, Sink, Totals};

const MAGIC: &[u8] = b"windlass backup stream\n";
const FORMAT: u8 = 1;

const ABOUT: u8 = b'a';
const PIECE: u8 = b'j';
const FILE: u8 = b'f';
const CONTENT: u8 = b'c';
const END: u8 = b'e';
/// Why there is no more.
const FAILED: u8 = b'x';

/// Makes frames, and hands them to a function.
pub struct Sender<F> {
    send: F,
}

impl<F: FnMut(Vec<u8>) -> Result<(), BackupError>> Sender<F> {
    /// Frames for `send`.
    pub fn new(send: F) -> Self {
        Self { send }
    }

    /// Says why there is no more.
    ///
    /// # Errors
    /// When that cannot be sent.
    pub fn failed(&mut self, why: &BackupError) -> Result<(), BackupError> {
        self.frame(FAILED, why.to_string().as_bytes())
    }

    fn frame(&mut self, kind: u8, body: &[u8]) -> Result<(), BackupError> {
        let length = u32::try_from(body.len()).map_err(|_| BackupError::unusable("too large"))?;
        let mut frame = Vec::with_capacity(body.len() + 9);
        frame.push(kind);
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(&checksum(kind, body).to_le_bytes());
        frame.extend_from_slice(body);
        (self.send)(frame)
    }

    fn json(&mut self, kind: u8, body: &impl serde::Serialize) -> Result<(), BackupError> {
        let body = serde_json::to_vec(body)
            .map_err(|error| BackupError::Unusable(format!("it cannot be written: {error}")))?;
        self.frame(kind, &body)
    }
}

impl<F: FnMut(Vec<u8>) -> Result<(), BackupError>> Sink for Sender<F> {
    fn begin(&mut self, about: About) -> Result<(), BackupError> {
        (self.send)([MAGIC, &[FORMAT]].concat())?;
        self.json(ABOUT, &about)
    }

    fn piece(&mut self, bytes: Vec<u8>) -> Result<(), BackupError> {
        self.frame(PIECE, &bytes)
    }

    fn file(&mut self, head: FileHead) -> Result<(), BackupError> {
        self.json(FILE, &head)
    }

    fn content(&mut self, bytes: Vec<u8>) -> Result<(), BackupError> {
        self.frame(CONTENT, &bytes)
    }

    fn end(&mut self, totals: Totals) -> Result<(), BackupError> {
        self.json(END, &totals)
    }
}

fn checksum(kind: u8, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(body);
    hasher.finalize()
}

/// Reads a stream to its end, and hands what is in it to `sink`.
///
/// # Errors
/// When it is cut off, or is no such stream, or `sink` does not take it.
pub fn receive(reader: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), BackupError> {
    let mut start = [0; MAGIC.len() + 1];
    reader.read_exact(&mut start).map_err(cut_off)?;
    match start.split_last() {
        Some((&FORMAT, MAGIC)) => {}
        Some((&found, MAGIC)) => {
            return Err(BackupError::Unusable(format!(
                "the server sends backups of format {found}, this version reads {FORMAT}: use the \
                 server's version of windlass"
            )));
        }
        _ => return Err(BackupError::unusable("the server does not send a backup")),
    }
    // Each step once, and in order.
    let (mut begun, mut in_file) = (false, false);
    loop {
        let (kind, body) = read_frame(reader)?;
        match kind {
            ABOUT if !begun => {
                begun = true;
                sink.begin(parse(&body)?)?;
            }
            PIECE if begun && !in_file => sink.piece(body)?,
            FILE if begun => {
                in_file = true;
                sink.file(parse(&body)?)?;
            }
            CONTENT if in_file => sink.content(body)?,
            END if begun => return sink.end(parse(&body)?),
            FAILED => {
                let why = String::from_utf8_lossy(&body);
                return Err(BackupError::Unusable(format!("the server says: {why}")));
            }
            _ => return Err(BackupError::unusable("the server sends what is no backup")),
        }
    }
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, BackupError> {
    serde_json::from_slice(body).map_err(|error| {
        BackupError::Unusable(format!("the server sends what is no backup: {error}"))
    })
}

fn read_frame(reader: &mut dyn Read) -> Result<(u8, Vec<u8>), BackupError> {
    let mut head = [0; 9];
    reader.read_exact(&mut head).map_err(cut_off)?;
    let [kind, a, b, c, d, crc @ ..] = head;
    let length = u32::from_le_bytes([a, b, c, d]);
    if u64::from(length) > limits::BACKUP_OBJECT_BYTES {
        return Err(BackupError::unusable("the server sends a frame that is too large"));
    }
    let mut body = Vec::new();
    reader.take(u64::from(length)).read_to_end(&mut body).map_err(cut_off)?;
    if body.len() as u64 != u64::from(length) {
        return Err(cut_off(io::ErrorKind::UnexpectedEof.into()));
    }
    if checksum(kind, &body) != u32::from_le_bytes(crc) {
        return Err(BackupError::unusable("what came of the backup is not what was sent"));
    }
    Ok((kind, body))
}

fn cut_off(error: io::Error) -> BackupError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => BackupError::unusable(
            "the backup broke off on its way: nothing was kept, take it again",
        ),
        _ => BackupError::Unusable(format!("the backup broke off on its way: {error}")),
    }
}
