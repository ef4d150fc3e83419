//! Looks for secret values, as they are and in every usual encoding.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// Encodings shorter than this are found in random bytes by chance.
const SHORTEST: usize = 6;

/// Values that must not be found, and how each is recognised.
pub(crate) struct Needles {
    all: Vec<Needle>,
    /// The needles by their first two bytes: a place of megabytes is gone through once.
    by_start: Vec<Vec<usize>>,
}

struct Needle {
    name: String,
    bytes: Vec<u8>,
}

impl Needles {
    /// The texts and numbers inside these values, each under its name.
    pub(crate) fn of<'a>(values: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Self {
        let mut all = Vec::new();
        for (name, value) in values {
            for leaf in leaves(value) {
                for (encoding, text) in encodings(&leaf) {
                    if text.len() >= SHORTEST {
                        let name = format!("{name} ({encoding})");
                        all.push(Needle { name, bytes: text.into_bytes() });
                    }
                }
            }
        }
        let mut by_start = vec![Vec::new(); 1 << 16];
        for (index, needle) in all.iter().enumerate() {
            by_start[start(&needle.bytes)].push(index);
        }
        Self { all, by_start }
    }

    /// Names of all that are in `bytes`.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> Vec<&str> {
        let mut found = vec![false; self.all.len()];
        for (at, pair) in bytes.windows(2).enumerate() {
            for &index in &self.by_start[start(pair)] {
                if bytes[at..].starts_with(&self.all[index].bytes) {
                    found[index] = true;
                }
            }
        }
        let names = self.all.iter().zip(found).filter(|(_, found)| *found);
        names.map(|(needle, _)| needle.name.as_str()).collect()
    }

    /// Asserts that none is in `bytes`.
    pub(crate) fn absent_from(&self, place: &str, bytes: &[u8]) {
        let found = self.found_in(bytes);
        assert!(found.is_empty(), "{place} holds {found:?}");
    }
}

fn start(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// The texts and numbers inside a value.
fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Number(number) => vec![number.to_string()],
        Value::Array(elements) => elements.iter().flat_map(leaves).collect(),
        Value::Object(members) => members.values().flat_map(leaves).collect(),
        Value::Null | Value::Bool(_) => Vec::new(),
    }
}

/// A value in the forms in which it may lie somewhere.
fn encodings(value: &str) -> Vec<(&'static str, String)> {
    let hex: String = value.bytes().map(|it| format!("{it:02x}")).collect();
    let json = json!(value).to_string();
    let markup = |it: &str| {
        let it = it.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        it.replace('"', "&quot;")
    };
    let html = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut all = vec![
        ("raw", value.to_owned()),
        ("hex", hex.clone()),
        ("base64 in the other alphabet", value.replace('-', "+").replace('_', "/")),
        ("HEX", hex.to_uppercase()),
        ("percent", utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()),
        ("json", json[1..json.len() - 1].to_owned()),
        ("debug", format!("{value:?}").trim_matches('"').to_owned()),
        ("html", html.replace('"', "&quot;").replace('\'', "&#39;")),
        ("html with apostrophes", markup(value)),
        ("json in html", markup(&json[1..json.len() - 1])),
    ];
    // Inside a longer text, base64 depends on where the value starts: three alignments, without
    // the characters at the edges that neighbours share.
    for skip in 0..3 {
        let padded = format!("{}{value}", "-".repeat(skip));
        let whole = padded.len() / 3 * 4;
        let from = [0, 4, 4][skip];
        for (name, engine) in [("base64", &STANDARD_NO_PAD), ("base64url", &URL_SAFE_NO_PAD)] {
            let encoded = engine.encode(&padded);
            all.push((name, encoded.get(from..whole).unwrap_or_default().to_owned()));
        }
    }
    all.sort_by(|(_, one), (_, other)| one.cmp(other));
    all.dedup_by(|(_, one), (_, other)| one == other);
    all
}

#[test]
fn the_search_finds_a_value_in_every_encoding() {
    let value = "Kq7/zP+9=api&x\"w%c4nary~>é";
    let needles = Needles::of([("KEY", &json!({"deep": [value]}))]);
    for text in [
        value.to_owned(),
        format!("Bearer {value}!"),
        STANDARD_NO_PAD.encode(format!("user:{value}")),
        STANDARD_NO_PAD.encode(format!("usera:{value}")),
        URL_SAFE_NO_PAD.encode(format!("userab:{value}{value}")),
        json!({"a": value}).to_string(),
        format!("{:?}", Some(value)),
        utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
        value.bytes().map(|it| format!("{it:02X}")).collect(),
    ] {
        assert!(!needles.found_in(text.as_bytes()).is_empty(), "{text}");
    }
    needles.absent_from("an innocent text", b"nothing to see, Kq7");
}
