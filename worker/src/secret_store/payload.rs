//! What stores hold, as secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use windlass_proto::value::Value;
use zeroize::{Zeroize as _, Zeroizing};

use super::{SecretData, SecretError};

/// Text, or base64 of what is none: a key store, say, which its user decodes.
pub(super) fn from_bytes(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => STANDARD.encode(bytes),
    })
}

/// Text as it stands.
pub(super) fn text(mut text: Zeroizing<String>) -> SecretData {
    SecretData::Text(std::mem::take(&mut text))
}

/// The structure that a text holds when it is a JSON object, as consoles and command lines of
/// clouds write secrets of several fields; else the text.
#[cfg(any(feature = "aws", feature = "google"))]
pub(super) fn object_or_text(plain: Zeroizing<String>) -> SecretData {
    let looks = plain.trim_start().starts_with('{');
    let value = looks.then(|| Value::from_json(&plain).ok()).flatten();
    match value.filter(|it| it.as_object().is_some()) {
        Some(value) => SecretData::from_value(&value),
        None => text(plain),
    }
}

/// The structure that a text is said to be; the text when it is none.
#[cfg(feature = "azure")]
pub(super) fn json_or_text(plain: Zeroizing<String>) -> SecretData {
    match Value::from_json(&plain) {
        Ok(value) => SecretData::from_value(&value),
        Err(_) => text(plain),
    }
}

/// The field of a structured secret, or all of it where none is asked for.
pub(super) fn take(mut data: SecretData, field: Option<&str>) -> Result<SecretData, SecretError> {
    let Some(field) = field else { return Ok(data) };
    let found = match &mut data {
        SecretData::Map(entries) => entries
            .iter_mut()
            .find(|(key, _)| key == field)
            .map(|(_, value)| std::mem::replace(value, SecretData::Scalar(Value::Null))),
        _ => None,
    };
    data.zeroize();
    found.ok_or(SecretError::Missing)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use zeroize::Zeroizing;

    use super::{SecretError, Value, from_bytes, take, text};
    use crate::secret_store::SecretData;

    #[test]
    fn what_is_no_text_becomes_base64() {
        assert_eq!(*from_bytes("ключ".as_bytes()), "ключ");
        assert_eq!(*from_bytes(&[0xff, 0xfe]), "//4=");
    }

    #[test]
    fn a_field_is_taken_of_a_map_only() {
        let map = || SecretData::from_value(&Value::from_json(r#"{"a":"x","b":1}"#).unwrap());
        assert_eq!(take(map(), Some("a")).unwrap().to_value(), Value::from("x"));
        assert_eq!(take(map(), Some("c")).err(), Some(SecretError::Missing));
        assert_eq!(take(map(), None).unwrap().to_value().to_json(), r#"{"a":"x","b":1}"#);
        let plain = text(Zeroizing::new("x".to_owned()));
        assert_eq!(take(plain, Some("a")).err(), Some(SecretError::Missing));
    }

    #[cfg(any(feature = "aws", feature = "google"))]
    #[test]
    fn only_objects_are_structures() {
        for (given, expected) in [
            (r#" {"a":"x"}"#, r#"{"a":"x"}"#),
            ("12", r#""12""#),
            (r#"["a"]"#, r#""[\"a\"]""#),
            ("{a", r#""{a""#),
        ] {
            let data = super::object_or_text(Zeroizing::new(given.to_owned()));
            assert_eq!(data.to_value().to_json(), expected);
        }
    }
}
