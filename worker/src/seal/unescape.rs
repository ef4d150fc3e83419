//! What a text says once its escapes are undone: those of JSON and of programming languages, of
//! URLs, and of HTML and XML.
//!
//! Which characters an encoder escapes, and how, is up to the encoder; so escapes are undone and
//! the secret itself is looked for, instead of looking for every way to write it. A mark in front
//! of a secret can belong to it or not: where marks of several kinds are in a text, each kind is
//! undone by itself as well as all at once.

use windlass_proto::limits;

/// Escapes that are undone together.
#[derive(Clone, Copy)]
struct Kinds {
    /// `\n`, `\"`, `\x2f`, `\u00e9`, `\u{e9}`, `\U000000e9`, `\303`
    backslash: bool,
    /// `%2F`, `%u00e9`
    percent: bool,
    /// `&quot;`, `&#39;`, `&#x27;`
    ampersand: bool,
}

/// A text without escapes.
pub(super) struct Reading {
    pub(super) bytes: Vec<u8>,
    /// For each round, the places from which on the bytes are those from a place in the text
    /// before.
    rounds: Vec<Places>,
}

/// Where bytes come from: here, and there.
type Places = Vec<(usize, usize)>;

impl Reading {
    /// Where in the text it is that byte `at` comes from.
    pub(super) fn place(&self, at: usize) -> usize {
        self.rounds.iter().rev().fold(at, |at, places| {
            let before = places.partition_point(|(here, _)| *here <= at);
            let last = before.checked_sub(1).and_then(|it| places.get(it));
            last.map_or(at, |(here, there)| there + (at - here))
        })
    }
}

/// Shows `visit` each reading of `text` that differs from it, until it says that it has seen
/// enough. Places are kept where they are `placed`: they take memory.
pub(super) fn each_reading(text: &str, placed: bool, mut visit: impl FnMut(&Reading) -> bool) {
    let has = |mark: char| text.contains(mark);
    let none = Kinds { backslash: false, percent: false, ampersand: false };
    let single = [
        Kinds { backslash: has('\\'), ..none },
        Kinds { percent: has('%'), ..none },
        Kinds { ampersand: has('&'), ..none },
    ];
    let count = single.iter().filter(|it| it.any()).count();
    // What is undone may be of another kind than what was seen.
    let all = Kinds { backslash: true, percent: true, ampersand: true };
    let single = single.into_iter().filter(|it| it.any() && count > 1);
    for kinds in single.chain((count > 0).then_some(all)) {
        let Some((bytes, places)) = undo(text.as_bytes(), kinds, placed) else { continue };
        let mut reading = Reading { bytes, rounds: vec![places] };
        for _ in 1..limits::UNESCAPE_ROUNDS {
            if visit(&reading) {
                return;
            }
            let Some((bytes, places)) = undo(&reading.bytes, kinds, placed) else { break };
            reading.bytes = bytes;
            reading.rounds.push(places);
        }
        if visit(&reading) {
            return;
        }
    }
}

/// `bytes` without escapes, and where they come from; none where there is no escape.
fn undo(bytes: &[u8], kinds: Kinds, placed: bool) -> Option<(Vec<u8>, Places)> {
    let (mut out, mut places): (Vec<u8>, Places) = (Vec::new(), Places::new());
    let mut place = |here: usize, there: usize| {
        if placed && places.last() != Some(&(here, there)) {
            places.push((here, there));
        }
    };
    let (mut done, mut from) = (0, 0);
    while let Some(rest) = bytes.get(from..) {
        let Some(at) = rest.iter().position(|it| kinds.has(*it)) else { break };
        let at = from + at;
        from = at + 1;
        let Some((length, character)) = escape(bytes.get(at..).unwrap_or_default()) else {
            continue;
        };
        out.extend_from_slice(bytes.get(done..at).unwrap_or_default());
        place(out.len(), at);
        match character {
            Unit::Byte(byte) => out.push(byte),
            Unit::Char(it) => out.extend_from_slice(it.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        done = at + length;
        place(out.len(), done);
        from = done;
    }
    if done == 0 {
        return None;
    }
    out.extend_from_slice(bytes.get(done..).unwrap_or_default());
    Some((out, places))
}

impl Kinds {
    fn any(self) -> bool {
        self.backslash || self.percent || self.ampersand
    }

    fn has(self, byte: u8) -> bool {
        match byte {
            b'\\' => self.backslash,
            b'%' => self.percent,
            b'&' => self.ampersand,
            _ => false,
        }
    }
}

/// What an escape stands for.
enum Unit {
    /// A byte of UTF-8.
    Byte(u8),
    Char(char),
}

/// The escape that `text` begins with: its length, and what it stands for.
fn escape(text: &[u8]) -> Option<(usize, Unit)> {
    match text {
        [b'\\', b'u', b'{', rest @ ..] => {
            let end = rest.iter().take(7).position(|it| *it == b'}')?;
            let code = number(rest.get(..end)?, 16)?;
            Some((end + 4, Unit::Char(char::from_u32(code)?)))
        }
        [b'\\' | b'%', b'u', ..] => code_units(text),
        [b'\\', b'U', ..] => {
            let code = number(text.get(2..10)?, 16)?;
            Some((10, Unit::Char(char::from_u32(code)?)))
        }
        [b'\\', b'x' | b'X', ..] => Some((4, byte(text.get(2..4)?, 16)?)),
        [b'\\', b'0'..=b'3', ..] => Some((4, byte(text.get(1..4)?, 8)?)),
        [b'\\', name, ..] => {
            let byte = match name {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 0x08,
                b'f' => 0x0c,
                b' ' => b' ',
                other if other.is_ascii_punctuation() => *other,
                _ => return None,
            };
            Some((2, Unit::Byte(byte)))
        }
        [b'%', ..] => Some((3, byte(text.get(1..3)?, 16)?)),
        [b'&', b'#', ..] => {
            let end = text.iter().take(12).position(|it| *it == b';')?;
            let code = match text.get(2..end)? {
                [b'x' | b'X', digits @ ..] => number(digits, 16)?,
                digits => number(digits, 10)?,
            };
            Some((end + 1, Unit::Char(char::from_u32(code)?)))
        }
        [b'&', ..] => {
            const NAMES: [(&[u8], u8); 5] = [
                (b"&lt;", b'<'),
                (b"&gt;", b'>'),
                (b"&amp;", b'&'),
                (b"&quot;", b'"'),
                (b"&apos;", b'\''),
            ];
            let found = NAMES.iter().find(|(name, _)| text.starts_with(name));
            found.map(|(name, byte)| (name.len(), Unit::Byte(*byte)))
        }
        _ => None,
    }
}

/// `\u00e9`, or two of them for what UTF-16 has a pair for.
fn code_units(text: &[u8]) -> Option<(usize, Unit)> {
    let unit = |from: usize| {
        let code = number(text.get(from..from + 4)?, 16)?;
        u16::try_from(code).ok()
    };
    let first = unit(2)?;
    if let Some(alone) = char::from_u32(u32::from(first)) {
        return Some((6, Unit::Char(alone)));
    }
    let second = (text.get(6..8)? == text.get(..2)?).then(|| unit(8)).flatten()?;
    let pair = char::decode_utf16([first, second]).next()?.ok()?;
    Some((12, Unit::Char(pair)))
}

fn byte(digits: &[u8], radix: u32) -> Option<Unit> {
    number(digits, radix).and_then(|it| u8::try_from(it).ok()).map(Unit::Byte)
}

/// Digits only: no sign, not empty.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok()?;
    let plain = text.chars().all(|it| it.is_digit(radix));
    plain.then(|| u32::from_str_radix(text, radix).ok()).flatten()
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::each_reading;

    fn says(text: &str, wanted: &str) -> bool {
        let mut found = false;
        each_reading(text, false, |it| {
            found |= it.bytes == wanted.as_bytes();
            found
        });
        found
    }

    #[test]
    fn escapes_of_all_kinds_are_undone_however_they_are_mixed() {
        for (text, wanted) in [
            ("%c3%A9%2f%u00e9", "é/é"),
            (r#"\"\/\\\n\u00e9\u00E9\ud83d\ude00"#, "\"/\\\néé😀"),
            (r"\xc3\xa9\u{1f600}\U0001f600\303\251", "é😀😀é"),
            ("&lt;&#39;&#x27;&#X3c;&amp;&quot;&apos;&gt;", "<''<&\"'>"),
            (r#"{\\\"a\\\":\\\"b\\\"}"#, r#"{"a":"b"}"#),
            ("%5C%22&amp;", "\"&"),
        ] {
            assert!(says(text, wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_escape_is_left() {
        for text in [
            "plain",
            "100%",
            "%4",
            "%zz",
            "%+1",
            "\\",
            "\\q",
            "\\x4",
            "\\u12",
            "\\ud83d",
            "\\u{110000}",
            "\\u{12",
            "\\9",
            "&",
            "&#;",
            "&#x110000;",
            "&#-1;",
            "&lt",
            "&#00000000000065;",
        ] {
            each_reading(text, false, |it| panic!("{text} is read as {:?}", it.bytes));
        }
    }

    #[test]
    fn a_mark_that_belongs_to_something_else_does_not_hide_an_escape() {
        // The name of a domain, and a password that begins with an n.
        assert!(says(r"AD\n%2Fx", r"AD\n/x"));
    }

    #[test]
    fn places_lead_back_to_the_text() {
        let text = r"a\u00e9b\\u0041c";
        let mut places = Vec::new();
        each_reading(text, true, |reading| {
            let whole = reading.bytes == "aébAc".as_bytes();
            places = [0, 1, 3, 4, 5, 6].map(|at| reading.place(at)).to_vec();
            whole
        });
        assert_eq!(places, [0, 1, 7, 8, 15, 16]);
    }
}
