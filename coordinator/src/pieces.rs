//! Bytes in pieces: what facts are encoded into, so that a large text in them is not copied but
//! shared with the value that it belongs to.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use windlass_proto::limits::{FACT_PIECE_BYTES, FACT_TEXT_SHARED_BYTES, FACT_USUAL_BYTES};
use windlass_proto::value::Value;

/// Bytes in pieces; cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// The first one, which is the only one of most: it is copied to where its count of owners is,
    /// in one allocation of the right size.
    first: Arc<[u8]>,
    more: Option<Arc<[Bytes]>>,
    length: usize,
}

impl Pieces {
    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The pieces, none of them empty.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let more = self.more.iter().flat_map(|it| it.iter()).map(|it| &**it);
        std::iter::once(&*self.first).chain(more).filter(|it| !it.is_empty())
    }
}

impl From<Vec<u8>> for Pieces {
    fn from(bytes: Vec<u8>) -> Self {
        let length = bytes.len();
        if length < FACT_TEXT_SHARED_BYTES {
            return Self { first: bytes.into(), more: None, length };
        }
        Self { first: Arc::default(), more: Some(Arc::from([bytes.into()])), length }
    }
}

impl From<Pieces> for Vec<u8> {
    fn from(pieces: Pieces) -> Self {
        let mut bytes = Self::with_capacity(pieces.length);
        pieces.iter().for_each(|it| bytes.extend_from_slice(it));
        bytes
    }
}

/// Writes [`Pieces`].
#[derive(Debug, Default)]
pub struct PieceWriter {
    closed: Vec<Bytes>,
    /// Bytes of all that are closed.
    length: usize,
    last: Vec<u8>,
    texts: Vec<Arc<str>>,
}

/// A text as the owner of its bytes.
struct Text(Arc<str>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl PieceWriter {
    /// How many bytes were written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length + self.last.len()
    }

    /// True when nothing was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has the texts of a value shared that are worth it, wherever they are written.
    pub fn share(&mut self, value: &Value) {
        if value.weight() < FACT_TEXT_SHARED_BYTES as u64 {
            return;
        }
        match value {
            Value::String(text) => self.texts.push(text.clone()),
            Value::Array(_) => value.as_array().into_iter().flatten().for_each(|it| self.share(it)),
            Value::Object(_) => {
                let members = value.as_object().into_iter().flat_map(|it| it.values());
                members.for_each(|it| self.share(it));
            }
            // Sealed values and numbers are written otherwise than they are kept.
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Big(_)
            | Value::Sealed(_) => {}
        }
    }

    /// Where a little is written, far less than a piece may have: encoders write to this fastest.
    pub fn small(&mut self) -> &mut Vec<u8> {
        if self.last.len() >= FACT_PIECE_BYTES {
            self.close();
        }
        if self.last.is_empty() {
            self.last.reserve(FACT_USUAL_BYTES);
        }
        &mut self.last
    }

    /// What was written; begins anew.
    pub fn take(&mut self) -> Pieces {
        self.texts.clear();
        let last = std::mem::take(&mut self.last);
        if self.closed.is_empty() {
            return Pieces { length: last.len(), first: last.into(), more: None };
        }
        self.push(last.into());
        let more = std::mem::take(&mut self.closed);
        let length = std::mem::take(&mut self.length);
        Pieces { first: Arc::default(), more: Some(more.into()), length }
    }

    /// What comes is a piece of its own.
    fn close(&mut self) {
        let last = std::mem::take(&mut self.last);
        self.push(last.into());
    }

    fn push(&mut self, piece: Bytes) {
        self.length += piece.len();
        if !piece.is_empty() {
            self.closed.push(piece);
        }
    }
}

impl io::Write for PieceWriter {
    // Nearly all that encoders write is a few bytes.
    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.last.len() + bytes.len() < FACT_PIECE_BYTES.min(FACT_TEXT_SHARED_BYTES) {
            self.last.extend_from_slice(bytes);
            return Ok(());
        }
        self.write(bytes).map(drop)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Encoders hand over a text as it is; one that did not would only have it copied.
        let is_it = |text: &&Arc<str>| std::ptr::eq(text.as_bytes(), bytes);
        let large = bytes.len() >= FACT_TEXT_SHARED_BYTES;
        match self.texts.iter().filter(|_| large).find(is_it).cloned() {
            Some(text) => {
                self.close();
                self.push(Bytes::from_owner(Text(text)));
            }
            None => self.last.extend_from_slice(bytes),
        }
        if self.last.len() >= FACT_PIECE_BYTES {
            self.close();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;

    use windlass_proto::value::Value;

    use super::{FACT_PIECE_BYTES, FACT_TEXT_SHARED_BYTES, PieceWriter};

    #[test]
    fn a_large_text_is_shared_and_the_rest_is_copied() {
        let (large, small) =
            (Value::from("x".repeat(FACT_TEXT_SHARED_BYTES)), Value::from("y".repeat(9)));
        let all = Value::object([
            ("a", large.clone()),
            ("b", small),
            ("c", Value::array(vec![Value::Null, large.clone()])),
        ]);
        let mut writer = PieceWriter::default();
        writer.write_all(b"before").unwrap();
        writer.share(&all);
        rmp_serde::encode::write(&mut writer, &all).unwrap();
        let written = writer.len();
        let pieces = writer.take();
        assert!(writer.is_empty() && written == pieces.len());
        let address = large.address().unwrap();
        // An `Arc` has its counts before the text.
        let shared = pieces.iter().filter(|it| it.as_ptr().addr().wrapping_sub(address) < 64);
        assert_eq!(shared.count(), 2);
        let due = [&b"before"[..], &rmp_serde::to_vec(&all).unwrap()].concat();
        assert_eq!(pieces.len(), due.len());
        assert_eq!(Vec::from(pieces), due);
    }

    #[test]
    fn pieces_are_bounded_and_none_is_empty() {
        let mut writer = PieceWriter::default();
        assert!(writer.take().is_empty());
        (0..3 * FACT_PIECE_BYTES / 1_000).for_each(|_| writer.write_all(&[8; 1_000]).unwrap());
        let pieces = writer.take();
        assert!(pieces.iter().all(|it| !it.is_empty() && it.len() < FACT_PIECE_BYTES + 1_000));
        assert!(pieces.iter().count() > 2);
        assert_eq!(Vec::from(pieces), vec![8; 3 * FACT_PIECE_BYTES / 1_000 * 1_000]);
    }
}
