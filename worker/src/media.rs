//! Media types of bodies.

use reqwest::header::{CONTENT_TYPE, HeaderMap};

/// The `Content-Type`; empty where there is none.
pub(crate) fn content_type(headers: &HeaderMap) -> String {
    let kind = headers.get(CONTENT_TYPE).map(|it| String::from_utf8_lossy(it.as_bytes()));
    kind.unwrap_or_default().into_owned()
}

/// True for JSON, and for what is written in it.
pub(crate) fn is_json(media: &str) -> bool {
    media == "application/json" || media.ends_with("+json")
}

/// The media type of a `Content-Type`, in lower case and without parameters.
pub(crate) fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
