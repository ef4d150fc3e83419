//! Finding secrets in data, and putting something else in their places.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use windlass_proto::sealed::Sealed;
use windlass_proto::value::{Members, Value};
use zeroize::Zeroizing;

use super::{Content, Origin, SHOWN, Seal};

/// A string or a number, as what it is found by.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Leaf {
    is_text: bool,
    pub(super) text: Arc<str>,
}

/// What `value` is found by, which is neither an array nor an object.
pub(super) fn leaf(value: &Value) -> Leaf {
    match value {
        Value::String(text) => Leaf { is_text: true, text: text.clone() },
        _ => Leaf { is_text: false, text: value.to_json().into() },
    }
}

/// What must be sealed of a result.
#[derive(Default)]
pub(crate) struct Found {
    /// Strings and numbers with secrets in them, in the order of the data.
    leaves: Vec<(Value, Vec<usize>)>,
    places: HashSet<Leaf>,
    keys: HashSet<Arc<str>>,
}

/// What stands for the strings and numbers of a result.
#[derive(Default)]
pub(crate) struct Replacements(HashMap<Leaf, Arc<Sealed>>);

impl Found {
    /// True when there is no secret in the result.
    pub(crate) fn is_empty(&self) -> bool {
        self.leaves.is_empty() && self.keys.is_empty()
    }

    fn add(&mut self, value: &Value, secrets: impl FnOnce() -> Vec<usize>) {
        if self.places.insert(leaf(value)) {
            self.leaves.push((value.clone(), secrets()));
        }
    }
}

impl Replacements {
    /// Adds what stands for each of `contents`, in their order.
    pub(crate) fn add(&mut self, contents: &[Content], sealed: Vec<Sealed>) {
        let sealed = contents.iter().zip(sealed);
        self.0.extend(sealed.map(|(content, sealed)| (leaf(&content.value), Arc::new(sealed))));
    }
}

impl Seal {
    /// Finds what must be sealed in `value`.
    pub(crate) fn find(&self, value: &Value) -> Found {
        let mut found = Found::default();
        if !self.is_empty() {
            self.search(value, &mut found);
        }
        found
    }

    fn search(&self, value: &Value, found: &mut Found) {
        match value {
            Value::Null | Value::Bool(_) | Value::Sealed(_) => {}
            Value::String(text) => {
                if self.found_in(text) {
                    found.add(value, || self.matcher().found(text));
                }
            }
            Value::Int(_) | Value::Float(_) | Value::Big(_) => {
                if let Some(place) = self.number(value) {
                    found.add(value, || vec![place]);
                }
            }
            Value::Array(_) => {
                value.as_array().unwrap_or_default().iter().for_each(|it| self.search(it, found));
            }
            Value::Object(_) => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if self.found_in(key) {
                        found.keys.insert(key.clone());
                    }
                    self.search(value, found);
                }
            }
        }
    }

    /// What has to be encrypted of what was found, and what is already: a value that was opened and
    /// is given on as it was.
    pub(crate) fn contents(&self, found: &Found) -> (Vec<Content>, Replacements) {
        let mut replacements = Replacements::default();
        let mut contents = Vec::new();
        for (value, secrets) in &found.leaves {
            let leaf = leaf(value);
            match self.opened.get(&leaf) {
                Some(sealed) => {
                    replacements.0.insert(leaf, sealed.clone());
                }
                None => {
                    let mut secrets = self.inner(secrets);
                    // The value as a whole goes without saying.
                    secrets.retain(|it| **it != *leaf.text.trim());
                    contents.push(Content { value: value.clone(), secrets });
                }
            }
        }
        (contents, replacements)
    }

    /// The texts to recognise where something is opened in which these were found. A line goes
    /// without saying where its secret is there, and so does a sealed value where the secrets in it
    /// are: it would grow with every task that it passes.
    fn inner(&self, found: &[usize]) -> Vec<Zeroizing<String>> {
        let mut wanted: Vec<usize> = Vec::new();
        for place in found {
            match self.known.get(*place).map(|known| &known.origin) {
                Some(Origin::Secret) => wanted.push(*place),
                Some(Origin::Line(whole)) if !found.contains(whole) => wanted.push(*place),
                Some(Origin::Sealed(inner)) if !inner.iter().any(|it| found.contains(it)) => {
                    wanted.push(*place);
                    wanted.extend(inner);
                }
                Some(Origin::Line(_) | Origin::Sealed(_)) | None => {}
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        wanted.iter().filter_map(|it| self.known.get(*it)).map(|it| it.text.clone()).collect()
    }

    /// `value` with what was found replaced: by what is given for it, or by a text.
    pub(crate) fn replace(
        &self,
        value: Value,
        found: &Found,
        replacements: &Replacements,
    ) -> Value {
        match value {
            Value::Null | Value::Bool(_) | Value::Sealed(_) => value,
            Value::String(_) | Value::Int(_) | Value::Float(_) | Value::Big(_) => {
                let leaf = leaf(&value);
                match replacements.0.get(&leaf) {
                    _ if !found.places.contains(&leaf) => value,
                    Some(sealed) => Value::Sealed(sealed.clone()),
                    None if leaf.is_text => Value::from(self.text(&leaf.text)),
                    None => Value::from(SHOWN),
                }
            }
            Value::Array(_) => {
                let elements = value.into_elements().unwrap_or_default().into_iter();
                let replaced = elements.map(|it| self.replace(it, found, replacements));
                Value::array(replaced.collect())
            }
            Value::Object(_) => {
                let members = value.into_members().unwrap_or_default();
                let member = |(key, value): (Arc<str>, Value)| {
                    let hidden = found.keys.contains(&key);
                    let key = if hidden { self.text(&key).into() } else { key };
                    (key, self.replace(value, found, replacements))
                };
                Value::from(members.into_iter().map(member).collect::<Members>())
            }
        }
    }

    /// `value` with secrets replaced by text: for what people read.
    pub(crate) fn shown(&self, value: Value) -> Value {
        let found = self.find(&value);
        if found.is_empty() {
            return value;
        }
        self.replace(value, &found, &Replacements::default())
    }
}
