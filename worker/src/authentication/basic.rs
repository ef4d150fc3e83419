//! `basic`: RFC 7617.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use windlass_proto::secret::Secret;
use zeroize::Zeroizing;

use super::Authorization;

pub(super) fn authorization(name: &str, password: &str) -> Authorization {
    Authorization::Header {
        scheme: "Basic",
        parameter: Arc::new(Secret::new(pair(name, password))),
    }
}

/// `name:password` in base64.
pub(super) fn pair(name: &str, password: &str) -> String {
    let plain = Zeroizing::new(format!("{name}:{password}"));
    STANDARD.encode(plain.as_bytes())
}
