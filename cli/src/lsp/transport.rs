//! Messages of JSON-RPC, each behind a header that says how long it is.

use std::io::{BufRead, Read as _, Write};

use serde_json::Value as Json;
use windlass_proto::limits::{LSP_HEADER_BYTES, LSP_MESSAGE_BYTES};

/// Why there is no further message.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    /// What came is none.
    #[error("{0}")]
    Malformed(String),
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

fn malformed(why: impl Into<String>) -> TransportError {
    TransportError::Malformed(why.into())
}

/// The next message; none at the end. What is no JSON is an error of its own, which does not end
/// the stream.
pub(super) fn read(
    from: &mut impl BufRead,
) -> Result<Option<Result<Json, String>>, TransportError> {
    let mut length = None;
    let mut left = LSP_HEADER_BYTES;
    loop {
        let mut line = Vec::new();
        let read = from.by_ref().take(left as u64).read_until(b'\n', &mut line)?;
        if read == 0 && length.is_none() && left == LSP_HEADER_BYTES {
            return Ok(None);
        }
        left = left.saturating_sub(read);
        if line.last() != Some(&b'\n') {
            return Err(malformed("a header ends too early, or is too long"));
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err(malformed("a header has no colon"));
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse::<usize>().ok();
        }
    }
    let Some(length) = length else { return Err(malformed("a message has no Content-Length")) };
    if length > LSP_MESSAGE_BYTES {
        return Err(malformed(format!("a message of more than {LSP_MESSAGE_BYTES} bytes")));
    }
    let mut body = Vec::new();
    if from.by_ref().take(length as u64).read_to_end(&mut body)? < length {
        return Err(malformed("a message ends too early"));
    }
    Ok(Some(serde_json::from_slice(&body).map_err(|error| error.to_string())))
}

/// Writes a message.
pub(super) fn write(to: &mut impl Write, message: &Json) -> std::io::Result<()> {
    let body = message.to_string();
    write!(to, "Content-Length: {}\r\n\r\n{body}", body.len())?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::{TransportError, read, write};

    #[test]
    fn messages_come_one_after_the_other() {
        let mut stream = Vec::new();
        for message in [serde_json::json!({"a": "é"}), serde_json::json!([1])] {
            assert!(write(&mut stream, &message).is_ok());
        }
        stream.extend(b"content-length: 1\r\nOther: x\r\n\r\n{");
        let mut from = &stream[..];
        let mut next = || read(&mut from).ok().flatten();
        assert_eq!(next(), Some(Ok(serde_json::json!({"a": "é"}))));
        assert_eq!(next(), Some(Ok(serde_json::json!([1]))));
        assert!(matches!(next(), Some(Err(_))), "no JSON, and the stream goes on");
        assert_eq!(next(), None);
    }

    #[test]
    fn nonsense_ends_the_stream_in_words() {
        let long = format!("X: {}\r\n", "x".repeat(100_000));
        for wrong in [
            "hello\r\n\r\n",
            "X: y\r\n\r\n",
            "Content-Length: 99999999999\r\n\r\n",
            "Content-Length: 5\r\n\r\nab",
            &long,
        ] {
            assert!(
                matches!(read(&mut wrong.as_bytes()), Err(TransportError::Malformed(_))),
                "{wrong:.30}"
            );
        }
    }
}
