//! What is inside a sealed value.

use serde::{Deserialize, Serialize};
use windlass_proto::value::Value;
use zeroize::Zeroizing;

/// A string or number of a result, and the secrets that were found in it: whoever opens the value
/// must recognise those as well, not only the value as a whole.
///
/// Workers of different versions read one another's: fields may be added, none may change.
#[derive(Serialize, Deserialize)]
pub(crate) struct Content {
    /// The value.
    #[serde(rename = "v")]
    pub(crate) value: Value,
    /// The secrets in it; none where it is one.
    #[serde(rename = "s")]
    pub(crate) secrets: Vec<Zeroizing<String>>,
}

impl Content {
    /// Its bytes, which are encrypted.
    pub(crate) fn to_bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        rmp_serde::to_vec_named(self).map(Zeroizing::new).ok()
    }

    /// What such bytes hold; none when they are something else.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let content: Self = rmp_serde::from_slice(bytes).ok()?;
        let is_leaf = matches!(
            content.value,
            Value::String(_) | Value::Int(_) | Value::Float(_) | Value::Big(_)
        );
        is_leaf.then_some(content)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use windlass_proto::value::Value;
    use zeroize::Zeroizing;

    use super::Content;

    #[test]
    fn what_other_versions_sealed_is_read() {
        let content = Content {
            value: Value::from("Bearer x"),
            secrets: vec![Zeroizing::new("x".to_owned())],
        };
        let recorded = b"\x82\xa1v\xa8Bearer x\xa1s\x91\xa1x";
        assert_eq!(**content.to_bytes().unwrap(), *recorded);
        let more = b"\x83\xa1z\xc3\xa1v\x07\xa1s\x90";
        let read = Content::from_bytes(more).unwrap();
        assert_eq!((read.value, read.secrets.len()), (Value::Int(7), 0));
        for other in [&b"\x82\xa1v\x90\xa1s\x90"[..], b"\x82\xa1v\xc0\xa1s\x90", b"\x07", b""] {
            assert!(Content::from_bytes(other).is_none(), "{other:?}");
        }
    }
}
