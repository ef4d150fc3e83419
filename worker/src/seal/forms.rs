//! The forms in which a secret is recognised.
//!
//! What encodes a text turns each character, or each three bytes, into something of its own, so that
//! the form of a secret's beginning is the beginning of its form. Only base64 depends on what stands
//! before the secret: there are three forms of it, of which only what no neighbour touches counts.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use windlass_proto::value::Value;

/// One way to write a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// Base64 after as many bytes beyond a multiple of three; in the alphabet for URLs or the other.
    Base64(usize, bool),
    /// Hexadecimal digits, of capital letters or small ones.
    Hex(bool),
    /// Percent-encoded.
    Percent(Reserved, bool),
    /// Inside a JSON string.
    Json(JsonEscapes),
    /// In HTML or XML.
    Html(HtmlEscapes),
    /// In small letters, as names of hosts are.
    Lower,
    /// As the name of a host: in small letters, and Punycode where it is not of ASCII.
    Host,
}

/// What percent-encoding leaves as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reserved {
    /// RFC 3986: all but the unreserved characters is encoded.
    Strict,
    /// The same, but `+` is a space.
    Plus,
    /// A form's rules.
    Form,
    /// `encodeURIComponent`
    Component,
    /// What may stand in the path of a URL.
    Path,
}

/// How far a JSON string is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JsonEscapes {
    /// `/` as `\/`
    slash: bool,
    /// Beyond ASCII as `\u00e9`; with capital digits when this is `Some(true)`.
    ascii: Option<bool>,
    /// `<`, `>` and `&` as `\u003c`, for inside HTML.
    html: bool,
}

/// How the special characters of HTML are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HtmlEscapes {
    /// By name, quotes left alone.
    Text,
    /// By name, and `'` as here.
    Named(&'static str),
    /// `<`, `>` and `&` by name, quotes by decimal number.
    Mixed,
    /// By decimal number.
    Decimal,
    /// By hexadecimal number, of capital letters or small ones.
    Hexadecimal(bool),
}

/// RFC 3986: what never needs encoding.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');
const COMPONENT: &AsciiSet =
    &UNRESERVED.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');
const PATH: &AsciiSet = &COMPONENT
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');

impl Form {
    /// Every form, the plain one first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let base64 = (0..3).flat_map(|skipped| [false, true].map(|url| Self::Base64(skipped, url)));
        let hex = [false, true].map(Self::Hex);
        let reserved =
            [Reserved::Strict, Reserved::Plus, Reserved::Form, Reserved::Component, Reserved::Path];
        let percent =
            reserved.into_iter().flat_map(|it| [true, false].map(|upper| Self::Percent(it, upper)));
        let json = [None, Some(false), Some(true)].into_iter().flat_map(|ascii| {
            [(false, false), (true, false), (false, true)]
                .map(|(slash, html)| Self::Json(JsonEscapes { slash, ascii, html }))
        });
        let html = [
            HtmlEscapes::Text,
            HtmlEscapes::Named("&#39;"),
            HtmlEscapes::Named("&apos;"),
            HtmlEscapes::Named("&#x27;"),
            HtmlEscapes::Mixed,
            HtmlEscapes::Decimal,
            HtmlEscapes::Hexadecimal(false),
            HtmlEscapes::Hexadecimal(true),
        ];
        std::iter::once(Self::Plain)
            .chain(base64)
            .chain(hex)
            .chain(percent)
            .chain(json)
            .chain(html.map(Self::Html))
            .chain([Self::Lower, Self::Host])
    }

    /// `text` in this form.
    pub(super) fn of(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Base64(skipped, url) => base64_at(text.as_bytes(), skipped, url),
            Self::Hex(upper) => hex(text.as_bytes(), upper),
            Self::Percent(reserved, upper) => percent(text, reserved, upper),
            Self::Json(escapes) => json(text, escapes),
            Self::Html(escapes) => html(text, escapes),
            Self::Lower => lower(text),
            Self::Host => host(text),
        }
    }
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

fn base64_at(bytes: &[u8], skipped: usize, url: bool) -> String {
    let mut padded = vec![0; skipped];
    padded.extend_from_slice(bytes);
    let start = (skipped * 8).div_ceil(6);
    let end = padded.len() * 8 / 6;
    let encoded = if url { URL_SAFE.encode(&padded) } else { STANDARD.encode(&padded) };
    encoded.get(start..end).unwrap_or_default().to_owned()
}

fn percent(text: &str, reserved: Reserved, upper: bool) -> String {
    let set = match reserved {
        Reserved::Strict | Reserved::Plus => UNRESERVED,
        Reserved::Form => FORM,
        Reserved::Component => COMPONENT,
        Reserved::Path => PATH,
    };
    let mut out = String::with_capacity(text.len());
    for part in utf8_percent_encode(text, set) {
        match part {
            "%20" if matches!(reserved, Reserved::Plus | Reserved::Form) => out.push('+'),
            part if part.starts_with('%') && !upper => out.push_str(&part.to_ascii_lowercase()),
            part => out.push_str(part),
        }
    }
    out
}

fn json(text: &str, escapes: JsonEscapes) -> String {
    let quoted = Value::from(text).to_json();
    let inside = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    let mut out = String::with_capacity(inside.len());
    let mut units = [0; 2];
    for character in inside.chars() {
        match (character, escapes.ascii) {
            ('/', _) if escapes.slash => out.push_str("\\/"),
            ('<' | '>' | '&', _) if escapes.html => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            (character, Some(upper)) if !character.is_ascii() => {
                for unit in character.encode_utf16(&mut units) {
                    let _ = if upper {
                        write!(out, "\\u{unit:04X}")
                    } else {
                        write!(out, "\\u{unit:04x}")
                    };
                }
            }
            (character, _) => out.push(character),
        }
    }
    out
}

fn html(text: &str, escapes: HtmlEscapes) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if !matches!(character, '<' | '>' | '&' | '"' | '\'') {
            out.push(character);
            continue;
        }
        let code = u32::from(character);
        let _ = match (escapes, character) {
            (HtmlEscapes::Text, '"' | '\'') => write!(out, "{character}"),
            (HtmlEscapes::Named(apostrophe), '\'') => write!(out, "{apostrophe}"),
            (HtmlEscapes::Mixed, '"' | '\'') | (HtmlEscapes::Decimal, _) => {
                write!(out, "&#{code};")
            }
            (HtmlEscapes::Hexadecimal(false), _) => write!(out, "&#x{code:x};"),
            (HtmlEscapes::Hexadecimal(true), _) => write!(out, "&#x{code:X};"),
            (_, '<') => write!(out, "&lt;"),
            (_, '>') => write!(out, "&gt;"),
            (_, '&') => write!(out, "&amp;"),
            (_, _) => write!(out, "&quot;"),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn the_form_of_a_beginning_is_the_beginning_of_the_form() {
        let text = "a/b+c <&>\"'é😀~!*(x)$;=:@,\\\n\t0123456789";
        for form in Form::all() {
            let whole = form.of(text);
            for (at, _) in text.char_indices() {
                let head = form.of(&text[..at]);
                assert!(whole.starts_with(&head), "{form:?}: {head} of {whole}");
            }
        }
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
            // encodeURIComponent; a query string of browsers, of Python in small letters; curl.
            "%C3%A9%2F%3C'%22%20%2B%26~*%3E",
            "%C3%A9%2F%3C%27%22+%2B%26%7E*%3E",
            "%c3%a9%2f%3c%27%22+%2b%26~%2a%3e",
            "%C3%A9%2F%3C%27%22%20%2B%26~%2A%3E",
            // serde, PHP, Python, Go.
            "é/<'\\\" +&~*>",
            "\\u00e9\\/<'\\\" +&~*>",
            "\\u00e9/<'\\\" +&~*>",
            "\\u00E9/<'\\\" +&~*>",
            "é/\\u003c'\\\" +\\u0026~*\\u003e",
            // jq, Django, PHP, Go, XML.
            "é/&lt;&#39;&quot; +&amp;~*&gt;",
            "é/&lt;&#x27;&quot; +&amp;~*&gt;",
            "é/&lt;'\" +&amp;~*&gt;",
            "é/&lt;&#39;&#34; +&amp;~*&gt;",
            "é/&lt;&apos;&quot; +&amp;~*&gt;",
            "é/&#60;&#39;&#34; +&#38;~*&#62;",
            "é/&#x3c;&#x27;&#x22; +&#x26;~*&#x3e;",
            "é/&#x3C;&#x27;&#x22; +&#x26;~*&#x3E;",
            // xxd.
            "c3a92f3c2722202b267e2a3e",
            "C3A92F3C2722202B267E2A3E",
        ] {
            assert!(forms.iter().any(|form| form == written), "{written} in {forms:#?}");
        }
    }
}
