//! Values as the validator sees them: every look is charged.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, JsonNumber, Node, NodeIdentity, Object};
use serde_json::Value as Plain;

use crate::expression::meter;
use crate::sealed::SHOWN;
use crate::value::{Members, Value};

/// What looks at a value cost under one schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prices {
    /// Steps of any look at a value: what the validator may do before it looks again.
    pub(super) look: u64,
    /// States of the automata that one text may be given to.
    pub(super) text: u64,
    /// States of the automata that one name of a member may be given to.
    pub(super) name: u64,
}

impl Prices {
    pub(super) const LOWEST: Self = Self { look: 1, text: 0, name: 0 };

    fn charge(&self) {
        meter::step(self.look);
    }

    /// Charges for searching `text`: an automaton whose states are all alive is the worst case, 64
    /// of which are a step.
    fn search(text: &str, states: u64) {
        meter::step((text.len() as u64).saturating_mul(states.max(1)) / 64);
    }
}

/// Bytes of an error beside the place it names.
const ERROR_BYTES: usize = 512;

/// The representation.
pub(super) struct Metered;

impl Json for Metered {
    type Node<'a> = Looked<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = Value;

    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>(buffer: &mut Value, string: &str, f: impl FnOnce(Looked<'_>) -> T) -> T {
        *buffer = Value::from(string);
        f(Looked::new(buffer, &Prices::LOWEST))
    }
}

/// A value, and what to charge for it.
#[derive(Clone, Copy)]
pub(super) struct Looked<'a> {
    value: &'a Value,
    prices: &'a Prices,
    /// Bytes of the pointer to it: an error holds it.
    place: usize,
}

impl<'a> Looked<'a> {
    pub(super) fn new(value: &'a Value, prices: &'a Prices) -> Self {
        Self { value, prices, place: 0 }
    }

    fn below(self, value: &'a Value, name: usize) -> Self {
        Self { value, place: self.place.saturating_add(name + 1), ..self }
    }

    /// JSON has no not-a-number; it is written as null.
    fn is_nothing(self) -> bool {
        match self.value {
            Value::Null => true,
            Value::Float(number) => number.is_nan(),
            _ => false,
        }
    }

    fn text(self) -> Option<&'a str> {
        match self.value {
            Value::String(text) => Some(text),
            Value::Sealed(_) => Some(SHOWN),
            _ => None,
        }
    }
}

impl<'a> Node<'a, Metered> for Looked<'a> {
    type Object = LookedObject<'a>;
    type Array = LookedArray<'a>;
    type Number = LookedNumber<'a>;

    fn as_object(&self) -> Option<LookedObject<'a>> {
        meter::call();
        self.prices.charge();
        self.value.as_object().map(|members| LookedObject { members, node: *self })
    }

    fn as_array(&self) -> Option<LookedArray<'a>> {
        meter::call();
        self.prices.charge();
        self.value.as_array().map(|elements| LookedArray { elements, node: *self })
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        self.prices.charge();
        let text = self.text()?;
        Prices::search(text, self.prices.text);
        Some(Cow::Borrowed(text))
    }

    fn as_number(&self) -> Option<LookedNumber<'a>> {
        self.prices.charge();
        let number = match self.value {
            Value::Big(digits) => {
                meter::scan(digits.len());
                true
            }
            Value::Int(_) | Value::Float(_) => !self.is_nothing(),
            _ => false,
        };
        number.then_some(LookedNumber(self.value))
    }

    fn as_boolean(&self) -> Option<bool> {
        self.prices.charge();
        match self.value {
            Value::Bool(it) => Some(*it),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        self.prices.charge();
        self.is_nothing()
    }

    fn json_type(&self) -> JsonType {
        self.prices.charge();
        match self.value {
            _ if self.is_nothing() => JsonType::Null,
            Value::Bool(_) => JsonType::Boolean,
            Value::String(_) | Value::Sealed(_) => JsonType::String,
            Value::Array(_) => JsonType::Array,
            Value::Object(_) => JsonType::Object,
            Value::Null | Value::Int(_) | Value::Float(_) | Value::Big(_) => JsonType::Number,
        }
    }

    fn string_length(&self) -> Option<u64> {
        self.prices.charge();
        let text = self.text()?;
        meter::scan(text.len());
        Some(text.chars().count() as u64)
    }

    fn equals_value(&self, expected: &Plain) -> bool {
        self.prices.charge();
        equals(self.value, expected)
    }

    /// Only errors hold it, and of an array they tell only how many elements it has.
    fn to_value(&self) -> Cow<'a, Plain> {
        meter::bytes(self.place.saturating_mul(2).saturating_add(ERROR_BYTES));
        Cow::Owned(match self.value {
            _ if self.is_nothing() => Plain::Null,
            Value::Bool(it) => Plain::Bool(*it),
            Value::Array(array) => {
                let length = array.elements().len();
                meter::bytes(length.saturating_mul(size_of::<Plain>()));
                Plain::Array(vec![Plain::Null; length])
            }
            Value::Object(_) => Plain::Object(serde_json::Map::new()),
            Value::Int(_) | Value::Float(_) | Value::Big(_) => {
                Plain::Number(LookedNumber(self.value).to_number().into_owned())
            }
            Value::Null | Value::String(_) | Value::Sealed(_) => Plain::String(String::new()),
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        self.prices.charge();
        Some(NodeIdentity::new(std::ptr::from_ref(self.value).addr()))
    }

    fn container_identity(&self) -> Option<NodeIdentity> {
        match self.value {
            Value::Array(_) | Value::Object(_) => self.identity(),
            _ => None,
        }
    }
}

/// Equality of JSON Schema: numbers by what they are, members in any order.
fn equals(value: &Value, expected: &Plain) -> bool {
    meter::step(1);
    match (value, expected) {
        (Value::Null, Plain::Null) => true,
        (Value::Bool(a), Plain::Bool(b)) => a == b,
        (Value::Int(_) | Value::Float(_) | Value::Big(_), Plain::Number(b)) => {
            let nothing = matches!(value, Value::Float(number) if number.is_nan());
            !nothing && jsonschema::json::cmp::equal_numbers(&LookedNumber(value), b)
        }
        (Value::String(a), Plain::String(b)) => {
            meter::scan(a.len().min(b.len()));
            **a == **b
        }
        (Value::Sealed(_), Plain::String(b)) => SHOWN == b,
        (Value::Array(_), Plain::Array(b)) => {
            let a = value.as_array().unwrap_or_default();
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equals(a, b))
        }
        (Value::Object(_), Plain::Object(b)) => value.as_object().is_some_and(|a| {
            a.len() == b.len()
                && b.iter().all(|(key, b)| a.get(&**key).is_some_and(|a| equals(a, b)))
        }),
        _ => false,
    }
}

/// An object of which members are looked at.
pub(super) struct LookedObject<'a> {
    members: &'a Members,
    node: Looked<'a>,
}

impl<'a> Object<'a, Metered> for LookedObject<'a> {
    type Node = Looked<'a>;
    type MemberName = &'a str;
    type MembersIter = LookedMembers<'a>;

    fn len(&self) -> usize {
        self.members.len()
    }

    fn get(&self, key: &Box<str>) -> Option<Looked<'a>> {
        self.node.prices.charge();
        meter::scan(key.len());
        self.members.get(&**key).map(|value| self.node.below(value, key.len()))
    }

    fn members(&self) -> LookedMembers<'a> {
        LookedMembers { rest: self.members.iter(), node: self.node }
    }

    fn try_for_each_name_node<B>(
        &self,
        buffer: &mut Value,
        mut f: impl FnMut(Looked<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for (name, _) in self.members {
            self.node.prices.charge();
            *buffer = Value::String(Arc::clone(name));
            f(Looked { value: buffer, prices: self.node.prices, place: self.node.place })?;
        }
        ControlFlow::Continue(())
    }
}

/// Members one after the other.
pub(super) struct LookedMembers<'a> {
    rest: indexmap::map::Iter<'a, Arc<str>, Value>,
    node: Looked<'a>,
}

impl<'a> Iterator for LookedMembers<'a> {
    type Item = (&'a str, Looked<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.rest.next()?;
        self.node.prices.charge();
        Prices::search(name, self.node.prices.name);
        Some((name, self.node.below(value, name.len())))
    }
}

/// An array of which elements are looked at.
pub(super) struct LookedArray<'a> {
    elements: &'a [Value],
    node: Looked<'a>,
}

impl<'a> Array<'a, Metered> for LookedArray<'a> {
    type Node = Looked<'a>;
    type ElementsIter = LookedElements<'a>;

    fn len(&self) -> usize {
        self.elements.len()
    }

    fn elements(&self) -> LookedElements<'a> {
        LookedElements { rest: self.elements.iter(), node: self.node }
    }

    /// By sorting: the library's own way hashes, and values can be made to share a hash.
    fn is_unique(&self) -> bool {
        let mut sorted: Vec<&Value> = self.elements.iter().collect();
        sorted.sort();
        // Large numbers that differ may be in no order: each of such a run is compared with all.
        (1..sorted.len()).all(|at| {
            let Some((value, before)) = sorted.get(..=at).and_then(<[_]>::split_last) else {
                return true;
            };
            let run = before.iter().rev().take_while(|other| other.cmp(&value).is_eq());
            !run.into_iter().any(|other| other == value)
        })
    }
}

/// Elements one after the other.
pub(super) struct LookedElements<'a> {
    rest: std::slice::Iter<'a, Value>,
    node: Looked<'a>,
}

impl<'a> Iterator for LookedElements<'a> {
    type Item = Looked<'a>;

    fn next(&mut self) -> Option<Looked<'a>> {
        let value = self.rest.next()?;
        self.node.prices.charge();
        // An index has up to eight digits.
        Some(self.node.below(value, 8))
    }
}

/// A number; only made of one.
pub(super) struct LookedNumber<'a>(&'a Value);

impl JsonNumber for LookedNumber<'_> {
    fn as_u64(&self) -> Option<u64> {
        match self.0 {
            Value::Int(number) => u64::try_from(*number).ok(),
            Value::Big(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    fn as_i64(&self) -> Option<i64> {
        match self.0 {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn as_f64(&self) -> Option<f64> {
        match self.0 {
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(number.clamp(f64::MIN, f64::MAX)),
            Value::Big(digits) => digits.parse().ok().map(|it: f64| it.clamp(f64::MIN, f64::MAX)),
            _ => None,
        }
    }

    fn as_str(&self) -> Cow<'_, str> {
        match self.0 {
            Value::Big(digits) => Cow::Borrowed(digits),
            other => Cow::Owned(other.to_json()),
        }
    }

    fn to_number(&self) -> Cow<'_, serde_json::Number> {
        let number = match (self.as_i64(), self.as_u64()) {
            (Some(number), _) => Some(number.into()),
            (None, Some(number)) => Some(number.into()),
            (None, None) => self.as_f64().and_then(serde_json::Number::from_f64),
        };
        Cow::Owned(number.unwrap_or_else(|| 0.into()))
    }

    fn is_integer(&self) -> bool {
        match self.0 {
            Value::Float(number) => number.fract() == 0.0,
            _ => true,
        }
    }

    fn is_written_as_integer(&self) -> bool {
        !matches!(self.0, Value::Float(_))
    }
}
