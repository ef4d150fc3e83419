//! Text from bytes and back, in the charset that is declared: whole, or a reason why not.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use windlass_proto::limits;

/// The text of a body with this `Content-Type`: in its charset, in that of its byte order mark or
/// its XML or HTML, else in UTF-8.
///
/// # Errors
/// Why it cannot be read: an unknown charset, or bytes that are none of it.
pub(crate) fn text(content_type: &str, body: &[u8]) -> Result<String, String> {
    let label = match charset(content_type) {
        Some(label) => Some(label),
        None => declared(content_type, body),
    };
    decode(label.map_or(Ok(UTF_8), |label| known(&label))?, body)
}

/// The text of a JSON body. JSON is UTF-8 whatever its `Content-Type` says, but some servers mean
/// it.
///
/// # Errors
/// As [`text`].
pub(crate) fn json(content_type: &str, body: &[u8]) -> Result<String, String> {
    let label = charset(content_type);
    let encoding = label.as_deref().and_then(|it| Encoding::for_label(it.as_bytes()));
    let wide = encoding.filter(|it| [UTF_16LE, UTF_16BE].contains(it));
    match (wide, decode(UTF_8, body), label) {
        (Some(wide), ..) => decode(wide, body),
        (None, Ok(text), _) => Ok(text),
        (None, Err(_), Some(label)) => decode(known(&label)?, body),
        (None, Err(why), None) => Err(why),
    }
}

/// The bytes of `text` for a body with this `Content-Type`.
///
/// # Errors
/// When the charset is unknown, cannot be written, or has not all characters of the text.
pub(crate) fn encode(content_type: &str, text: &str) -> Result<Vec<u8>, String> {
    let Some(label) = charset(content_type) else { return Ok(text.as_bytes().to_vec()) };
    let encoding = known(&label)?;
    let (bytes, used, has_unknown) = encoding.encode(text);
    if used != encoding {
        return Err(format!("text cannot be written in {}", encoding.name()));
    }
    if has_unknown {
        return Err(format!("{} does not have all characters of it", encoding.name()));
    }
    Ok(bytes.into_owned())
}

/// The parameter `charset` of a `Content-Type`.
fn charset(content_type: &str) -> Option<String> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let label = value.trim().trim_matches(['"', '\'']).trim();
        (name.trim().eq_ignore_ascii_case("charset") && !label.is_empty()).then(|| label.to_owned())
    })
}

/// What XML or HTML says of itself.
fn declared(content_type: &str, body: &[u8]) -> Option<String> {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let start = &body[..body.len().min(limits::CHARSET_DECLARATION_BYTES)];
    let start = String::from_utf8_lossy(start).to_ascii_lowercase();
    let rest = if media == "text/html" {
        start.split_once("<meta")?.1.split_once("charset=")?.1
    } else if media.ends_with("/xml") || media.ends_with("+xml") {
        let declaration = start.strip_prefix("<?xml")?.split_once("?>")?.0;
        declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start()
    } else {
        return None;
    };
    let label = rest.trim_start_matches(['"', '\'']);
    let label = label.split(['"', '\'', ' ', '>', '/', ';']).next()?;
    // A declaration that can be read byte by byte is not in a charset that has two for each.
    let is_wide = label.starts_with("utf-16");
    Some(if is_wide { "utf-8".to_owned() } else { label.to_owned() })
}

fn known(label: &str) -> Result<&'static Encoding, String> {
    Encoding::for_label(label.as_bytes())
        .ok_or_else(|| format!("its charset {label:?} is not known here"))
}

fn decode(encoding: &'static Encoding, body: &[u8]) -> Result<String, String> {
    let (text, used, is_damaged) = encoding.decode(body);
    if is_damaged {
        return Err(format!("it is not {}", used.name()));
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::{encode, json, text};

    #[test]
    fn text_is_read_in_its_charset() {
        for (kind, body, expected) in [
            ("text/plain", "é".as_bytes(), "é"),
            ("text/plain", b"\xef\xbb\xbfx", "x"),
            ("text/plain; charset=\"Windows-1252\"", b"\x80 \xe9", "€ é"),
            ("text/plain;format=flowed; CHARSET=latin1", b"caf\xe9", "café"),
            ("text/plain; charset=utf-16", b"a\0\xe9\0", "aé"),
            ("text/plain; charset=utf-16", b"\xfe\xff\0a", "a"),
            ("text/plain; charset=utf-16be", b"\0a\0\xe9", "aé"),
            ("text/plain; charset=shift_jis", b"\x93\xfa", "日"),
            ("text/plain; charset=", b"x", "x"),
            (
                "application/xml",
                b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>",
                "<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>",
            ),
            ("text/html", b"<META Charset=windows-1252><p>\xe9", "<META Charset=windows-1252><p>é"),
            (
                "text/xml; charset=utf-8",
                "<?xml encoding='latin1'?>é".as_bytes(),
                "<?xml encoding='latin1'?>é",
            ),
        ] {
            assert_eq!(text(kind, body).as_deref(), Ok(expected), "{kind}");
        }
        for (kind, body, expected) in [
            ("text/plain", b"caf\xe9".as_slice(), "it is not UTF-8"),
            ("text/plain; charset=utf-8", b"\xff", "it is not UTF-8"),
            ("text/plain; charset=utf-16le", b"a", "it is not UTF-16LE"),
            ("text/plain; charset=ebcdic", b"a", "its charset \"ebcdic\" is not known here"),
            (
                "application/xml",
                b"<?xml encoding='none'?>",
                "its charset \"none\" is not known here",
            ),
        ] {
            assert_eq!(text(kind, body).unwrap_err(), expected, "{kind}");
        }
    }

    #[test]
    fn json_is_utf_8_where_it_can_be() {
        for (kind, body) in [
            ("application/json", "\"é\"".as_bytes()),
            ("application/json", b"\xef\xbb\xbf\"\xc3\xa9\""),
            ("application/json; charset=iso-8859-1", "\"é\"".as_bytes()),
            ("application/json; charset=iso-8859-1", b"\"\xe9\""),
            ("application/json; charset=utf-16le", b"\"\0\xe9\0\"\0"),
            ("application/json; charset=anything", "\"é\"".as_bytes()),
            ("application/json", b"\xff\xfe\"\0\xe9\0\"\0"),
        ] {
            assert_eq!(json(kind, body).as_deref(), Ok("\"é\""), "{kind}");
        }
        assert!(json("application/json", b"\"\xe9\"").is_err());
        assert!(json("application/json; charset=anything", b"\"\xe9\"").is_err());
    }

    #[test]
    fn text_is_written_in_its_charset() {
        assert_eq!(encode("text/plain", "é"), Ok("é".into()));
        assert_eq!(encode("text/plain; charset=utf-8", "é"), Ok("é".into()));
        assert_eq!(encode("text/plain; charset=iso-8859-1", "é"), Ok(b"\xe9".to_vec()));
        for kind in ["latin1", "utf-16", "ebcdic"] {
            let kind = format!("text/plain; charset={kind}");
            assert!(encode(&kind, "日").is_err(), "{kind}");
        }
    }
}
