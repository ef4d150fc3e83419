//! Data that flows through a workflow: JSON, shared instead of copied.
//!
//! Cloning is cheap (composite values are reference-counted) and every composite knows its weight
//! and depth, so that limits are checked in constant time. Objects keep the order of their keys.

mod access;
mod arithmetic;
mod codec;
mod jq;
mod json;
mod order;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod update;

use std::sync::Arc;

pub use codec::exact;
pub use json::JsonError;

use indexmap::IndexMap;

use crate::expression::meter;
use crate::sealed::Sealed;

/// Members of an object, in the author's order.
pub type Members = IndexMap<Arc<str>, Value>;

/// One JSON value.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number that is an integer and fits 64 bits.
    Int(i64),
    /// Any other number; never a literal that [`Value::Big`] keeps.
    Float(f64),
    /// An integer literal beyond 64 bits, kept digit for digit until something computes with it.
    Big(Arc<str>),
    /// A string.
    String(Arc<str>),
    /// An array.
    Array(Arc<Array>),
    /// An object.
    Object(Arc<Object>),
    /// A string or number that contains a secret, as only workers can read it. Whoever shows it
    /// shows [`crate::sealed::SHOWN`]; an expression that looks into it is ended (see
    /// [`crate::expression::EvaluationError::sealed`]).
    Sealed(Arc<Sealed>),
}

/// Elements of an array, with their weight and depth.
#[derive(Clone, Debug)]
pub struct Array {
    elements: Vec<Value>,
    weight: u64,
    depth: u32,
    /// True when a sealed value may be inside; stays so when it is taken out.
    sealed: bool,
}

/// Members of an object, with their weight and depth.
#[derive(Clone, Debug)]
pub struct Object {
    members: Members,
    weight: u64,
    depth: u32,
    /// True when a sealed value may be inside; stays so when it is taken out.
    sealed: bool,
}

/// Bytes a value costs beside its text: the size of the enum itself.
const SCALAR_WEIGHT: u64 = 16;

impl Array {
    fn new(elements: Vec<Value>) -> Self {
        let weight = elements.iter().map(Value::weight).fold(SCALAR_WEIGHT, u64::saturating_add);
        let depth = deepest(&elements).saturating_add(1);
        let sealed = elements.iter().any(Value::may_hold_sealed);
        Self { elements, weight, depth, sealed }
    }

    /// The elements.
    pub(crate) fn elements(&self) -> &[Value] {
        &self.elements
    }

    pub(crate) fn may_hold_sealed(&self) -> bool {
        self.sealed
    }

    fn push(&mut self, value: Value) {
        self.weight = self.weight.saturating_add(value.weight());
        self.depth = self.depth.max(value.depth().saturating_add(1));
        self.sealed |= value.may_hold_sealed();
        self.elements.push(value);
    }
}

impl Object {
    fn new(members: Members) -> Self {
        let mut weight = SCALAR_WEIGHT;
        let mut depth = 0;
        let mut sealed = false;
        for (key, value) in &members {
            weight = weight.saturating_add(member_weight(key, value));
            depth = depth.max(value.depth());
            sealed |= value.may_hold_sealed();
        }
        Self { members, weight, depth: depth.saturating_add(1), sealed }
    }

    pub(crate) fn may_hold_sealed(&self) -> bool {
        self.sealed
    }

    fn insert(&mut self, key: Arc<str>, value: Value) {
        self.weight = self.weight.saturating_add(member_weight(&key, &value));
        self.depth = self.depth.max(value.depth().saturating_add(1));
        self.sealed |= value.may_hold_sealed();
        if let (index, Some(old)) = self.members.insert_full(key, value) {
            let key_length = self.members.get_index(index).map_or(0, |(key, _)| key.len());
            self.weight =
                self.weight.saturating_sub(old.weight().saturating_add(key_length as u64));
            self.shrink(old.depth());
        }
    }

    /// Restores the depth after a member of depth `gone` left.
    fn shrink(&mut self, gone: u32) {
        if gone.saturating_add(1) == self.depth {
            self.depth = deepest(self.members.values()).saturating_add(1);
        }
    }
}

fn member_weight(key: &str, value: &Value) -> u64 {
    value.weight().saturating_add(key.len() as u64)
}

fn deepest<'a>(children: impl IntoIterator<Item = &'a Value>) -> u32 {
    children.into_iter().map(Value::depth).max().unwrap_or(0)
}

impl Value {
    /// Ends the running evaluation, if there is one, when this is sealed.
    pub(crate) fn touch(&self) {
        if matches!(self, Self::Sealed(_)) {
            meter::touch();
        }
    }

    /// [`Self::touch`] for what looks at everything inside.
    pub(crate) fn touch_deeply(&self) {
        if self.has_sealed() {
            meter::touch();
        }
    }

    /// An array of `elements`.
    #[must_use]
    pub fn array(elements: Vec<Self>) -> Self {
        Self::Array(Arc::new(Array::new(elements)))
    }

    /// An object of `members`; a later key replaces an earlier one in its place.
    pub fn object<K: Into<Arc<str>>>(members: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::from(members.into_iter().map(|(key, value)| (key.into(), value)).collect::<Members>())
    }

    /// The empty object.
    #[must_use]
    pub fn empty_object() -> Self {
        Self::from(Members::new())
    }

    /// The text of a string; none of a sealed one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => {
                self.touch();
                None
            }
        }
    }

    /// The elements of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(array) => Some(&array.elements),
            _ => None,
        }
    }

    /// The members of an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&Members> {
        match self {
            Self::Object(object) => Some(&object.members),
            _ => None,
        }
    }

    /// The members, taken out without copying where this is the only owner.
    #[must_use]
    pub fn into_members(self) -> Option<Members> {
        match self {
            Self::Object(object) => {
                Some(Arc::try_unwrap(object).map_or_else(|it| it.members.clone(), |it| it.members))
            }
            _ => None,
        }
    }

    /// The elements, taken out without copying where this is the only owner.
    #[must_use]
    pub fn into_elements(self) -> Option<Vec<Self>> {
        match self {
            Self::Array(array) => {
                Some(Arc::try_unwrap(array).map_or_else(|it| it.elements.clone(), |it| it.elements))
            }
            _ => None,
        }
    }

    /// The member `key` of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_object()?.get(key)
    }

    /// The number as an integer, when it is one and fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 =>
            {
                #[allow(clippy::cast_possible_truncation)]
                Some(*number as i64)
            }
            _ => {
                self.touch();
                None
            }
        }
    }

    /// True for the specification's falsy values' opposite: everything but `null` and `false`.
    #[must_use]
    pub fn is_truthy(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    /// True for `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// True when both are the same scalar or share the same storage: a cheap test that may miss
    /// equal values.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Array(a), Self::Array(b)) => Arc::ptr_eq(a, b),
            (Self::Object(a), Self::Object(b)) => Arc::ptr_eq(a, b),
            (Self::String(a), Self::String(b)) => Arc::ptr_eq(a, b),
            (Self::Sealed(a), Self::Sealed(b)) => Arc::ptr_eq(a, b),
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            _ => false,
        }
    }

    /// True when both are the same, or objects of few members that are the same one by one: as
    /// cheap as [`Value::is_same`], and enough for an object that was only put together again.
    #[must_use]
    pub fn has_same_members(&self, other: &Self) -> bool {
        /// More are not looked through.
        const FEW: usize = 64;
        match (self, other) {
            (Self::Object(a), Self::Object(b)) if !Arc::ptr_eq(a, b) => {
                let (a, b) = (&a.members, &b.members);
                a.len() == b.len()
                    && a.len() <= FEW
                    && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && a.1.is_same(b.1))
            }
            _ => self.is_same(other),
        }
    }

    /// Where what it shares with its clones lies: the same number for two values that live at the
    /// same time says that they are one. `None` for what is copied.
    #[must_use]
    pub fn address(&self) -> Option<usize> {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => None,
            Self::Big(text) | Self::String(text) => Some(Arc::as_ptr(text).addr()),
            Self::Array(array) => Some(Arc::as_ptr(array).addr()),
            Self::Object(object) => Some(Arc::as_ptr(object).addr()),
            Self::Sealed(sealed) => Some(Arc::as_ptr(sealed).addr()),
        }
    }

    /// Approximate bytes this value takes, counting shared parts as often as they appear.
    #[must_use]
    pub fn weight(&self) -> u64 {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => SCALAR_WEIGHT,
            Self::Big(text) | Self::String(text) => SCALAR_WEIGHT + text.len() as u64,
            Self::Array(array) => array.weight,
            Self::Object(object) => object.weight,
            Self::Sealed(sealed) => SCALAR_WEIGHT + sealed.weight(),
        }
    }

    /// Levels of nesting: 0 for a scalar.
    #[must_use]
    pub fn depth(&self) -> u32 {
        match self {
            Self::Array(array) => array.depth,
            Self::Object(object) => object.depth,
            _ => 0,
        }
    }

    /// A string's own text, any other value as compact JSON: what jq's `tostring` gives. A sealed
    /// value is [`crate::sealed::SHOWN`].
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::String(text) => text.to_string(),
            Self::Sealed(_) => crate::sealed::SHOWN.to_owned(),
            _ => self.to_json(),
        }
    }
}

impl From<Members> for Value {
    fn from(members: Members) -> Self {
        Self::Object(Arc::new(Object::new(members)))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Self::String(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<Vec<Value>> for Value {
    fn from(elements: Vec<Value>) -> Self {
        Self::array(elements)
    }
}
