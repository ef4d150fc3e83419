//! A JSON text of which only what is looked at is read: descriptions of interfaces have megabytes,
//! and a call needs a few places of them.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use indexmap::IndexMap;
use serde_json::value::RawValue;
use windlass_proto::value::Value;

/// A value inside a text. Every method takes that text.
pub(crate) struct Lazy {
    range: Range<usize>,
    inside: OnceLock<Inside>,
}

/// What is in a value, once somebody has asked.
enum Inside {
    Object(IndexMap<Arc<str>, Lazy>),
    Array(Vec<Lazy>),
    Scalar,
}

impl Lazy {
    /// All of `text`.
    ///
    /// # Errors
    /// Where it is no JSON.
    pub(crate) fn whole(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<&RawValue>(text).map(|raw| Self::of(raw, text))
    }

    fn of(raw: &RawValue, text: &str) -> Self {
        let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
        Self { range: start..start + raw.get().len(), inside: OnceLock::new() }
    }

    fn text<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.range.clone()).unwrap_or_default()
    }

    fn inside(&self, text: &str) -> &Inside {
        self.inside.get_or_init(|| {
            let own = self.text(text);
            let object = || serde_json::from_str::<IndexMap<Arc<str>, &RawValue>>(own).ok();
            let array = || serde_json::from_str::<Vec<&RawValue>>(own).ok();
            match own.as_bytes().first() {
                Some(b'{') => object().map_or(Inside::Scalar, |members| {
                    let members = members.into_iter();
                    Inside::Object(members.map(|(key, raw)| (key, Self::of(raw, text))).collect())
                }),
                Some(b'[') => array().map_or(Inside::Scalar, |elements| {
                    Inside::Array(elements.into_iter().map(|raw| Self::of(raw, text)).collect())
                }),
                _ => Inside::Scalar,
            }
        })
    }

    /// The member `key` of an object, or the element of that index.
    pub(crate) fn get(&self, text: &str, key: &str) -> Option<&Self> {
        match self.inside(text) {
            Inside::Object(members) => members.get(key),
            Inside::Array(elements) => elements.get(key.parse::<usize>().ok()?),
            Inside::Scalar => None,
        }
    }

    /// The members of an object; none of anything else.
    pub(crate) fn members(&self, text: &str) -> impl Iterator<Item = (&Arc<str>, &Self)> {
        let members = match self.inside(text) {
            Inside::Object(members) => Some(members),
            _ => None,
        };
        members.into_iter().flatten()
    }

    /// The value with all that is in it.
    ///
    /// # Errors
    /// When it nests too deep.
    pub(crate) fn value(&self, text: &str) -> Result<Value, String> {
        Value::from_json(self.text(text)).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Lazy;

    #[test]
    fn only_what_is_asked_for_is_read() {
        let text = r#" {"a": {"b/c": [1, {"d": "é"}]}, "e": 1e999, "f": {}, "f": {"g": null}} "#;
        let root = Lazy::whole(text).unwrap();
        let deep = ["a", "b/c", "1", "d"].iter().try_fold(&root, |at, key| at.get(text, key));
        assert_eq!(deep.unwrap().value(text).unwrap().as_str(), Some("é"));
        // What could not be read does no harm as long as nobody wants it.
        assert!(root.get(text, "e").unwrap().value(text).is_err());
        assert!(
            root.get(text, "f").unwrap().get(text, "g").unwrap().value(text).unwrap().is_null()
        );
        for missing in [&["x"][..], &["a", "b/c", "2"], &["a", "b/c", "x"], &["e", "x"]] {
            assert!(missing.iter().try_fold(&root, |at, key| at.get(text, key)).is_none());
        }
        let keys: Vec<_> = root.members(text).map(|(key, _)| &**key).collect();
        assert_eq!(keys, ["a", "e", "f"]);
        assert!(Lazy::whole("{\"a\": }").is_err());
    }
}
