//! What pages load: a style sheet, a script, an icon. They are in the program; a hash in their
//! names changes with what is in them, so browsers keep them for ever.

use std::io::Write as _;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use crate::accept::gate;

/// A file, as it is sent.
struct Asset {
    name: String,
    kind: &'static str,
    plain: &'static [u8],
    /// None where it cannot be had, which is never of what is in memory.
    packed: Option<Bytes>,
}

impl Asset {
    fn new(stem: &str, ending: &str, kind: &'static str, plain: &'static str) -> Self {
        let digest = Sha256::digest(plain.as_bytes());
        let hash: String = HEXLOWER.encode(&digest).chars().take(12).collect();
        let name = format!("{stem}-{hash}.{ending}");
        Self { name, kind, plain: plain.as_bytes(), packed: packed(plain.as_bytes()) }
    }
}

/// Where browsers find each.
struct Assets {
    style: Asset,
    script: Asset,
    icon: Asset,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: Asset::new("style", "css", "text/css; charset=utf-8", include_str!("static/style.css")),
    script: Asset::new(
        "pages",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("static/pages.js"),
    ),
    icon: Asset::new("icon", "svg", "image/svg+xml", include_str!("static/icon.svg")),
});

/// The path of the style sheet.
pub(super) fn style() -> String {
    path(&ASSETS.style)
}

/// The path of the script.
pub(super) fn script() -> String {
    path(&ASSETS.script)
}

/// The path of the icon.
pub(super) fn icon() -> String {
    path(&ASSETS.icon)
}

fn path(asset: &Asset) -> String {
    format!("/ui/static/{}", asset.name)
}

/// Sends one of them.
pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap, uri: Uri) -> Response {
    let Assets { style, script, icon } = &*ASSETS;
    let Some(asset) = [style, script, icon].into_iter().find(|it| it.name == name) else {
        return gate::unknown_path(uri).await.into_response();
    };
    let kept = (header::CACHE_CONTROL, "public, max-age=31536000, immutable");
    let kind = (header::CONTENT_TYPE, asset.kind);
    match asset.packed.as_ref().filter(|_| takes_gzip(&headers)) {
        Some(packed) => {
            let mut response = ([kept, kind], packed.clone()).into_response();
            marked_packed(response.headers_mut());
            response
        }
        None => ([kept, kind, (header::VARY, "accept-encoding")], asset.plain).into_response(),
    }
}

/// Whether who sends these headers reads gzip.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    accepted.filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(',')).any(|it| {
        let (name, quality) = it.split_once(';').unwrap_or((it, ""));
        let refused = matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// Says of a body that it is compressed.
pub(super) fn marked_packed(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
}

/// The bytes, compressed.
pub(super) fn packed(plain: &[u8]) -> Option<Bytes> {
    let mut packing = GzEncoder::new(Vec::new(), Compression::default());
    packing.write_all(plain).ok()?;
    packing.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::takes_gzip;

    #[test]
    fn only_who_reads_gzip_gets_it() {
        let takes = |text: &'static str| {
            let value = HeaderValue::from_static(text);
            takes_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]))
        };
        assert!(takes("br, gzip") && takes("GZIP;q=0.5") && !takes("br") && !takes("gzip;q=0"));
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
