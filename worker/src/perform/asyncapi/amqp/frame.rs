//! Frames of AMQP 0-9-1, and the numbers, texts and tables that they are made of.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use windlass_proto::limits;

/// What each frame ends with.
const END: u8 = 0xce;

/// What each frame begins with: kind, channel, and the size of what it carries.
type Head = [u8; 7];

/// Bytes of a frame around what it carries.
pub(super) const fn around() -> usize {
    size_of::<Head>() + size_of_val(&END)
}

/// What is sent before the first frame.
pub(super) const GREETING: &[u8] = b"AMQP\x00\x00\x09\x01";

/// A class and a method of it.
pub(super) type Name = (u16, u16);

/// A frame that came.
#[derive(Debug)]
pub(super) enum Frame {
    Method(Name, Reader),
    /// What is said before the bytes of a message.
    Header(Reader),
    Body(Bytes),
    Heartbeat,
}

/// Takes the next frame out of `bytes`; none where it is not complete.
///
/// # Errors
/// When it is no frame, or too large, in words.
pub(super) fn read(bytes: &mut BytesMut) -> Result<Option<Frame>, String> {
    if bytes.starts_with(b"AMQP") {
        return Err("it speaks another version of AMQP than 0-9-1".to_owned());
    }
    let Some(head) = bytes.first_chunk::<{ size_of::<Head>() }>() else { return Ok(None) };
    let [kind, _, _, size @ ..] = *head;
    let size = u32::from_be_bytes(size) as usize;
    if size > limits::AMQP_FRAME_BYTES as usize {
        return Err(format!("a frame has more than {} bytes", limits::AMQP_FRAME_BYTES));
    }
    if bytes.len() < size + around() {
        return Ok(None);
    }
    let mut frame = bytes.split_to(size + around()).freeze();
    if frame.last() != Some(&END) {
        return Err("it sends what is no frame of AMQP 0-9-1".to_owned());
    }
    let mut content = Reader(frame.split_off(size_of::<Head>()).slice(..size));
    let read = match kind {
        1 => Frame::Method((content.short()?, content.short()?), content),
        2 => Frame::Header(content),
        3 => Frame::Body(content.0),
        8 => Frame::Heartbeat,
        _ => return Err("it sends a frame of an unknown kind".to_owned()),
    };
    Ok(Some(read))
}

/// Reads the parts of a frame, one after the other.
#[derive(Debug)]
pub(super) struct Reader(Bytes);

impl Reader {
    fn take(&mut self, count: usize) -> Result<Bytes, String> {
        if self.0.len() < count {
            return Err("a frame ends too early".to_owned());
        }
        Ok(self.0.split_to(count))
    }

    pub(super) fn octet(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?.get_u8())
    }

    pub(super) fn short(&mut self) -> Result<u16, String> {
        Ok(self.take(2)?.get_u16())
    }

    pub(super) fn long(&mut self) -> Result<u32, String> {
        Ok(self.take(4)?.get_u32())
    }

    pub(super) fn longlong(&mut self) -> Result<u64, String> {
        Ok(self.take(8)?.get_u64())
    }

    pub(super) fn short_text(&mut self) -> Result<String, String> {
        let length = self.octet()?;
        Ok(String::from_utf8_lossy(&self.take(length.into())?).into_owned())
    }

    pub(super) fn long_bytes(&mut self) -> Result<Bytes, String> {
        let length = self.long()?;
        self.take(length as usize)
    }

    /// A table, with what of it are texts, numbers and truth values. Tables in it are passed over.
    pub(super) fn table(&mut self) -> Result<Vec<(String, String)>, String> {
        let mut inner = Self(self.long_bytes()?);
        let mut members = Vec::new();
        while !inner.0.is_empty() {
            let name = inner.short_text()?;
            members.extend(inner.value()?.map(|it| (name, it)));
        }
        Ok(members)
    }

    fn value(&mut self) -> Result<Option<String>, String> {
        Ok(match self.octet()? {
            b't' => Some((self.octet()? != 0).to_string()),
            b'b' => Some(self.take(1)?.get_i8().to_string()),
            b'B' => Some(self.octet()?.to_string()),
            b's' => Some(self.take(2)?.get_i16().to_string()),
            b'u' => Some(self.short()?.to_string()),
            b'I' => Some(self.take(4)?.get_i32().to_string()),
            b'i' => Some(self.long()?.to_string()),
            b'l' | b'L' => Some(self.take(8)?.get_i64().to_string()),
            b'f' => Some(self.take(4)?.get_f32().to_string()),
            b'd' => Some(self.take(8)?.get_f64().to_string()),
            b'T' => Some(self.longlong()?.to_string()),
            b'S' => Some(String::from_utf8_lossy(&self.long_bytes()?).into_owned()),
            b'D' => {
                self.take(5)?;
                None
            }
            // Bytes, lists and tables have their length in front.
            b'x' | b'A' | b'F' => {
                self.long_bytes()?;
                None
            }
            b'V' => None,
            _ => return Err("a header has a value of an unknown kind".to_owned()),
        })
    }
}

/// Writes frames, one after the other.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) BytesMut);

impl Writer {
    /// A frame of this kind with what `content` writes.
    fn frame(mut self, kind: u8, channel: u16, content: impl FnOnce(&mut Content)) -> Self {
        let mut inner = Content(BytesMut::new());
        content(&mut inner);
        self.0.put_u8(kind);
        self.0.put_u16(channel);
        self.0.put_slice(&length(inner.0.len()));
        self.0.put_slice(&inner.0);
        self.0.put_u8(END);
        self
    }

    pub(super) fn method(
        self,
        channel: u16,
        name: Name,
        arguments: impl FnOnce(&mut Content),
    ) -> Self {
        self.frame(1, channel, |it| {
            it.short(name.0);
            it.short(name.1);
            arguments(it);
        })
    }

    pub(super) fn header(self, channel: u16, content: impl FnOnce(&mut Content)) -> Self {
        self.frame(2, channel, content)
    }

    pub(super) fn body(self, channel: u16, bytes: &[u8]) -> Self {
        self.frame(3, channel, |it| it.0.put_slice(bytes))
    }

    pub(super) fn heartbeat(self) -> Self {
        self.frame(8, 0, |_| {})
    }
}

/// What is inside of a frame.
pub(super) struct Content(BytesMut);

impl Content {
    pub(super) fn octet(&mut self, value: u8) {
        self.0.put_u8(value);
    }

    pub(super) fn short(&mut self, value: u16) {
        self.0.put_u16(value);
    }

    pub(super) fn long(&mut self, value: u32) {
        self.0.put_u32(value);
    }

    pub(super) fn longlong(&mut self, value: u64) {
        self.0.put_u64(value);
    }

    /// A text of 255 bytes at most: see [`fits`].
    pub(super) fn short_text(&mut self, text: &str) {
        let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        self.0.put_u8(length);
        self.0.put_slice(&text.as_bytes()[..length.into()]);
    }

    pub(super) fn long_bytes(&mut self, bytes: &[u8]) {
        self.0.put_slice(&length(bytes.len()));
        self.0.put_slice(bytes);
    }

    /// A table of texts, which are written by `value` otherwise.
    pub(super) fn table(&mut self, members: impl FnOnce(&mut Table<'_>)) {
        let mut inner = Self(BytesMut::new());
        members(&mut Table(&mut inner));
        self.long_bytes(&inner.0);
    }
}

/// The members of a table.
pub(super) struct Table<'a>(&'a mut Content);

impl Table<'_> {
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.0.short_text(name);
        self.0.octet(b'S');
        self.0.long_bytes(value.as_bytes());
    }

    pub(super) fn flag(&mut self, name: &str) {
        self.0.short_text(name);
        self.0.octet(b't');
        self.0.octet(1);
    }

    pub(super) fn table(&mut self, name: &str, members: impl FnOnce(&mut Table<'_>)) {
        self.0.short_text(name);
        self.0.octet(b'F');
        self.0.table(members);
    }
}

/// True for a text that a name of AMQP can be.
pub(super) fn fits(text: &str) -> bool {
    text.len() <= usize::from(u8::MAX)
}

/// A length as the protocol writes it: messages are far from what four bytes cannot say.
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::BytesMut;

    use super::{Frame, Writer, read};

    #[test]
    fn what_is_written_is_read() {
        let written = Writer::default().method(1, (60, 40), |it| {
            it.short(7);
            it.short_text("größe");
            it.table(|it| {
                it.text("a", "b");
                it.table("deep", |it| it.flag("flag"));
                it.flag("yes");
            });
        });
        let whole = written.body(1, b"it").heartbeat().0;
        for cut in 0..whole.len() {
            // However it comes, nothing is taken before it is complete.
            let mut part = BytesMut::from(&whole[..cut]);
            while read(&mut part).unwrap().is_some() {}
        }
        let mut bytes = whole;
        let Some(Frame::Method((60, 40), mut it)) = read(&mut bytes).unwrap() else { panic!() };
        assert_eq!((it.short(), it.short_text()), (Ok(7), Ok("größe".to_owned())));
        let table = [("a", "b"), ("yes", "true")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(it.table().unwrap(), table);
        assert!(it.octet().is_err());
        assert!(matches!(read(&mut bytes), Ok(Some(Frame::Body(it))) if &*it == b"it"));
        assert!(matches!(read(&mut bytes), Ok(Some(Frame::Heartbeat))));
        assert!(bytes.is_empty());
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bytes in [
            &b"AMQP\x00\x00\x09\x01"[..],
            b"\x09\x00\x00\x00\x00\x00\x00\xce",
            b"\x08\x00\x00\x00\x00\x00\x00\x00",
            b"\x01\x00\x00\xff\xff\xff\xff",
            b"\x01\x00\x00\x00\x00\x00\x01\x00\xce",
        ] {
            assert!(read(&mut BytesMut::from(bytes)).is_err(), "{bytes:?}");
        }
        let mut wrong = Writer::default().header(1, |it| it.long(99)).0;
        let Some(Frame::Header(mut header)) = read(&mut wrong).unwrap() else { panic!() };
        assert!(header.table().is_err(), "longer than the frame");
    }
}
