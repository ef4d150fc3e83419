//! The forms in which a secret is recognised.
//!
//! What encodes a text turns each character, or each three bytes, into something of its own, so
//! that the form of a secret's beginning is the beginning of its form. Only base64 and base32
//! depend on what stands before the secret: there are three and five forms of them, of which only
//! what no neighbour touches counts. Escapes are no forms: they are undone (see `unescape`).

use std::fmt::Write as _;

use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{
    NO_PAD, STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD,
};
use base64::{Engine as _, alphabet};
use data_encoding::BASE32;
use windlass_proto::limits;

use crate::decimal::Decimal;

/// One way to write a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// As it is, and `+` for spaces: so do forms of web pages.
    Plus,
    /// Base64 after as many bytes beyond a multiple of three; in the alphabet for URLs or the
    /// other.
    Base64(usize, bool),
    /// Base32 after as many bytes beyond a multiple of five.
    Base32(usize),
    /// Hexadecimal digits, of capital letters or small ones.
    Hex(bool),
    /// In small letters, as names of hosts are.
    Lower,
    /// As the name of a host: in small letters, and Punycode where it is not of ASCII.
    Host,
    /// Base64, which it is itself, in the alphabet for URLs or the other.
    Alphabet(bool),
    /// Likewise, written anew from its bytes: without padding, and without what an encoder other
    /// than this one has left in the bits of its last character that count for nothing.
    Recoded(bool),
    /// A number, which it is itself, in digits alone; the nearest double, or as it is.
    Digits(bool),
    /// A number with an exponent, up to the letter in front of that, a capital or a small one; the
    /// nearest double, or as it is.
    Exponent(bool, bool),
}

// The beginning of a long secret is written anew as the whole is.
const _: () = assert!(limits::SECRET_HEAD_BYTES.is_multiple_of(4));

/// Reads base64 as generously as readers of it do.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, NO_PAD.with_decode_allow_trailing_bits(true));

impl Form {
    /// Every form, the plain one first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let base64 = (0..3).flat_map(|skipped| [false, true].map(|url| Self::Base64(skipped, url)));
        [Self::Plain, Self::Plus]
            .into_iter()
            .chain(base64)
            .chain((0..5).map(Self::Base32))
            .chain([false, true].map(Self::Hex))
            .chain([Self::Lower, Self::Host])
            .chain([false, true].into_iter().flat_map(|it| {
                [Self::Alphabet(it), Self::Recoded(it), Self::Digits(it)]
                    .into_iter()
                    .chain([false, true].map(|capital| Self::Exponent(it, capital)))
            }))
    }

    /// `text` in this form.
    pub(super) fn of(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Plus => text.replace(' ', "+"),
            Self::Base64(skipped, url) => {
                let engine = if url { URL_SAFE } else { STANDARD };
                base_at(text.as_bytes(), skipped, 6, |padded| engine.encode(padded))
            }
            Self::Base32(skipped) => {
                base_at(text.as_bytes(), skipped, 5, |padded| BASE32.encode(padded))
            }
            Self::Hex(upper) => hex(text.as_bytes(), upper),
            Self::Lower => lower(text),
            Self::Host => host(text),
            Self::Alphabet(url) => in_alphabet(text, url),
            Self::Recoded(url) => recoded(text, url).unwrap_or_else(|| text.to_owned()),
            Self::Digits(rounded) => {
                let digits = number(text, rounded).and_then(|it| it.plain());
                digits.unwrap_or_else(|| text.to_owned())
            }
            Self::Exponent(rounded, capital) => {
                let mantissa = number(text, rounded).and_then(|it| it.mantissa());
                let letter = if capital { 'E' } else { 'e' };
                mantissa.map_or_else(|| text.to_owned(), |it| format!("{it}{letter}"))
            }
        }
    }
}

fn number(text: &str, rounded: bool) -> Option<Decimal> {
    if rounded { Decimal::rounded(text) } else { Decimal::parse(text) }
}

fn in_alphabet(text: &str, url: bool) -> String {
    if url {
        text.replace('+', "-").replace('/', "_")
    } else {
        text.replace('-', "+").replace('_', "/")
    }
}

/// None where `text` is not base64.
fn recoded(text: &str, url: bool) -> Option<String> {
    let bytes = BASE64.decode(in_alphabet(text.trim_end_matches('='), false)).ok()?;
    Some(if url { URL_SAFE_NO_PAD.encode(bytes) } else { STANDARD_NO_PAD.encode(bytes) })
}

/// Character by character: what follows one must not change how it is written.
fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// What a URL makes of a host of this name; in small letters what cannot be one.
fn host(text: &str) -> String {
    // Parsing would also drop a port or a user.
    let is_name = text.chars().all(|it| it.is_alphanumeric() || "-._".contains(it));
    let url = is_name.then(|| reqwest::Url::parse(&format!("http://{text}/")).ok()).flatten();
    url.and_then(|it| it.host_str().map(str::to_owned)).unwrap_or_else(|| lower(text))
}

fn hex(bytes: &[u8], upper: bool) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = if upper { write!(out, "{byte:02X}") } else { write!(out, "{byte:02x}") };
        out
    })
}

/// What `encode` makes of `bytes` after as many others, in characters of `bits`, without those that
/// depend on a neighbour.
fn base_at(
    bytes: &[u8],
    skipped: usize,
    bits: usize,
    encode: impl FnOnce(&[u8]) -> String,
) -> String {
    let mut padded = vec![0; skipped];
    padded.extend_from_slice(bytes);
    let start = (skipped * 8).div_ceil(bits);
    let end = padded.len() * 8 / bits;
    encode(&padded).get(start..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn the_form_of_a_beginning_is_the_beginning_of_the_form() {
        let text = "a/b+c <&>\"'é😀~!*(x)$;=:@,\\\n\t0123456789";
        // What depends on the whole of a text is found by its beginning where that has full groups,
        // as heads have; numbers are shorter than heads.
        let by_character =
            |it: &Form| !matches!(it, Form::Recoded(_) | Form::Digits(_) | Form::Exponent(..));
        for form in Form::all().filter(by_character) {
            let whole = form.of(text);
            for (at, _) in text.char_indices() {
                let head = form.of(&text[..at]);
                assert!(whole.starts_with(&head), "{form:?}: {head} of {whole}");
            }
        }
    }

    #[test]
    fn base64_and_numbers_are_written_anew() {
        let all = |text: &str| Form::all().map(|form| form.of(text)).collect::<Vec<_>>();
        for (text, written) in [
            // Standard and for URLs; its last character has bits that decoders drop.
            ("3q2-7_aBcDeF0123456789-_zz", "3q2+7/aBcDeF0123456789+/zw"),
            ("3q2-7_aBcDeF0123456789-_zz", "3q2+7/aBcDeF0123456789+/zz"),
            ("AAEC/w==", "AAEC_w"),
            ("815162342", "8.15162342e"),
            ("815162342", "8.15162342E"),
            ("815162342.0", "815162342"),
            ("12345678901234567890", "12345678901234567000"),
        ] {
            assert!(all(text).iter().any(|it| it == written), "{written} in {:#?}", all(text));
        }
        // The beginning of a secret is no form of it.
        assert!(!all("admin1").iter().any(|it| it == "admin"));
    }

    #[test]
    fn what_encoders_write_is_among_the_forms() {
        let hosts: Vec<String> = Form::all().map(|form| form.of("Bücher.Key_42")).collect();
        for written in ["bücher.key_42", "xn--bcher-kva.key_42"] {
            assert!(hosts.iter().any(|form| form == written), "{written} in {hosts:#?}");
        }
        let forms: Vec<String> = Form::all().map(|form| form.of("é/<'\" +&~*>")).collect();
        for written in [
            "é/<'\" +&~*>",
            "é/<'\"++&~*>",
            // xxd.
            "c3a92f3c2722202b267e2a3e",
            "C3A92F3C2722202B267E2A3E",
            // base32, of which the last character depends on what follows.
            "YOUS6PBHEIQCWJT6FI7",
        ] {
            assert!(forms.iter().any(|form| form.starts_with(written)), "{written} in {forms:#?}");
        }
    }
}
