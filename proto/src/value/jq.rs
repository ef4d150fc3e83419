//! [`Value`] is what jaq computes with: nothing is converted on the way in or out.

use std::sync::Arc;

use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::path::Opt;
use jaq_core::val::Range;
use jaq_core::{Error, ValR, ValX};

use super::order::Number;
use super::{Members, Value, access, arithmetic, update};
use crate::expression::meter;

impl Value {
    /// A number written in a program or a string: an integer where it is one.
    pub(crate) fn computed_number(text: &str) -> Self {
        let text = text.strip_prefix('+').unwrap_or(text);
        let digits = text.strip_prefix('-').unwrap_or(text);
        match Self::parse_number(text, digits.bytes().all(|it| it.is_ascii_digit())) {
            Self::Float(number) => arithmetic::float(number),
            number => number,
        }
    }

    /// An array an expression builds: refused when it is too large.
    pub(crate) fn checked_array(elements: Vec<Self>) -> Self {
        let array = super::Array::new(elements);
        meter::check(array.weight, array.depth);
        Self::Array(Arc::new(array))
    }

    /// An object an expression builds: refused when it is too large.
    pub(crate) fn checked_object(members: Members) -> Self {
        let object = super::Object::new(members);
        meter::check(object.weight, object.depth);
        Self::Object(Arc::new(object))
    }

    /// A string an expression builds.
    pub(crate) fn charged_text(text: String) -> Self {
        meter::bytes(text.len());
        Self::String(text.into())
    }
}

impl From<bool> for Value {
    fn from(it: bool) -> Self {
        Self::Bool(it)
    }
}

impl From<isize> for Value {
    fn from(it: isize) -> Self {
        Self::Int(it as i64)
    }
}

impl From<usize> for Value {
    fn from(it: usize) -> Self {
        Self::Int(i64::try_from(it).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value {
    fn from(it: f64) -> Self {
        arithmetic::float(it)
    }
}

impl From<Range<Self>> for Value {
    fn from(range: Range<Self>) -> Self {
        let bounds = [("start", range.start), ("end", range.end)];
        Self::object(bounds.map(|(name, bound)| (name, bound.unwrap_or_default())))
    }
}

impl FromIterator<Self> for Value {
    fn from_iter<T: IntoIterator<Item = Self>>(values: T) -> Self {
        let values = values.into_iter();
        let mut elements = Vec::with_capacity(values.size_hint().0.min(1024));
        for value in values {
            meter::bytes(size_of::<Self>());
            elements.push(value);
        }
        Self::checked_array(elements)
    }
}

impl jaq_core::ValT for Value {
    fn from_num(text: &str) -> ValR<Self> {
        Ok(Self::computed_number(text))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(entries: I) -> ValR<Self> {
        let mut members = Members::new();
        for (key, value) in entries {
            meter::bytes(arithmetic::MEMBER_BYTES);
            match key {
                Self::String(key) => {
                    meter::scan(key.len());
                    members.insert(key, value);
                }
                key => {
                    key.touch();
                    return Err(Error::str(format_args!(
                        "object keys must be strings, not {} ({key})",
                        key.kind()
                    )));
                }
            }
        }
        Ok(Self::checked_object(members))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        match self {
            Self::Array(array) => Box::new(
                access::elements(array).enumerate().map(|(at, it)| Ok((Self::from(at), it))),
            ),
            Self::Object(object) => {
                Box::new(access::members(object).map(|(key, value)| Ok((Self::String(key), value))))
            }
            other => box_once(Err(other.refuse_iteration())),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        match self {
            Self::Array(array) => Box::new(access::elements(array).map(Ok)),
            Self::Object(object) => Box::new(access::members(object).map(|(_, value)| Ok(value))),
            other => box_once(Err(other.refuse_iteration())),
        }
    }

    fn index(self, index: &Self) -> ValR<Self> {
        self.find(index).map(Option::unwrap_or_default)
    }

    fn range(self, range: Range<&Self>) -> ValR<Self> {
        self.slice(range)
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        change: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        update::map_values(self, opt, change)
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        change: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        update::map_index(self, index, opt, change)
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<&Self>,
        opt: Opt,
        change: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        update::map_range(self, range, opt, change)
    }

    fn as_bool(&self) -> bool {
        self.is_truthy()
    }

    fn into_string(self) -> Self {
        if matches!(self, Self::String(_)) { self } else { self.charged_json() }
    }
}

impl Value {
    /// JSON text built by an expression.
    pub(crate) fn charged_json(&self) -> Self {
        self.touch_deeply();
        meter::check(self.weight(), 0);
        meter::step(self.weight() / 64);
        Self::String(self.to_charged_json().into())
    }
}

impl jaq_std::ValT for Value {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self {
            Self::Array(array) => {
                meter::step(array.elements.len() as u64 / 8);
                Ok(access::elements(array).collect())
            }
            other => Err(other),
        }
    }

    fn is_int(&self) -> bool {
        self.touch();
        matches!(self, Self::Int(_) | Self::Big(_))
    }

    fn as_isize(&self) -> Option<isize> {
        self.touch();
        match self {
            Self::Int(number) => isize::try_from(*number).ok(),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        self.as_number().map(Number::as_f64)
    }

    fn is_utf8_str(&self) -> bool {
        self.touch();
        matches!(self, Self::String(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        let text = self.as_str()?;
        meter::scan(text.len());
        Some(text.as_bytes())
    }

    fn as_sub_str(&self, part: &[u8]) -> Self {
        let text = String::from_utf8_lossy(part);
        meter::bytes(text.len());
        Self::String(Arc::from(&*text))
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        let text = String::from_utf8_lossy(bytes.as_ref());
        meter::bytes(text.len());
        Self::String(Arc::from(&*text))
    }
}
