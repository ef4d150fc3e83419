//! Reading inside values: `.a`, `.[0]`, `.[1:3]`, `.[]`.

use std::ops::Range;
use std::sync::Arc;

use jaq_core::Error;

use super::arithmetic::{Result, whole};
use super::order::Number;
use super::{Array, Object, Value};
use crate::expression::meter;

impl Value {
    /// `.[index]`, or nothing where there is no such element or member.
    pub(crate) fn find(&self, index: &Self) -> std::result::Result<Option<Self>, Error<Self>> {
        index.touch();
        match (self, index) {
            (Self::Object(object), Self::String(key)) => {
                meter::scan(key.len());
                Ok(object.members.get(&**key).cloned())
            }
            (Self::Array(array), _) if index.as_number().is_some() => {
                let at = index.as_number().and_then(|it| position(it, array.elements.len()));
                Ok(at.and_then(|at| array.elements.get(at)).cloned())
            }
            (Self::Null, Self::String(_) | Self::Int(_) | Self::Float(_) | Self::Null) => {
                meter::endless();
                Ok(None)
            }
            (
                Self::Null | Self::Array(_) | Self::String(_) | Self::Sealed(_),
                Self::Object(range),
            ) => {
                let bound = |name| range.members.get(name);
                self.slice(bound("start")..bound("end")).map(Some)
            }
            (Self::Array(_), Self::Array(_)) => self.indices(index).map(Some),
            _ => Err(self.refuse_index(index)),
        }
    }

    pub(super) fn refuse_index(&self, index: &Self) -> Error<Self> {
        Error::str(format_args!("Cannot index {} with {} ({index})", self.kind(), index.kind()))
    }

    /// `.[from:to]`.
    pub(crate) fn slice(&self, range: Range<Option<&Self>>) -> Result {
        match self {
            Self::Null => {
                meter::endless();
                Ok(Self::Null)
            }
            Self::Array(array) => {
                meter::endless();
                let range = bounds(range, array.elements.len())?;
                Ok(array.elements.get(range).unwrap_or_default().iter().cloned().collect())
            }
            Self::String(text) => {
                meter::endless();
                meter::scan(text.len());
                let range = text_bounds(text, range)?;
                let part = text.get(range).unwrap_or_default();
                meter::bytes(part.len());
                Ok(Self::from(part))
            }
            _ => {
                self.touch();
                Err(Error::str(format_args!("cannot take a slice of {} ({self})", self.kind())))
            }
        }
    }

    /// Where `wanted` stands in this array or string.
    pub(crate) fn indices(&self, wanted: &Self) -> Result {
        #[allow(clippy::cast_possible_wrap)]
        let index = |at: usize| Self::Int(at as i64);
        self.touch();
        match (self, wanted) {
            (Self::Null, _) => Ok(Self::Null),
            (Self::String(text), Self::String(part)) => {
                meter::scan(text.len() + part.len());
                let mut found = Vec::new();
                let (mut from, mut characters) = (0, 0);
                while !part.is_empty() {
                    let Some(at) = text.get(from..).and_then(|rest| rest.find(&**part)) else {
                        break;
                    };
                    meter::step(1 + part.len() as u64 / 16);
                    characters += text.get(from..from + at).unwrap_or_default().chars().count();
                    found.push(index(characters));
                    let next = text.get(from + at..).and_then(|rest| rest.chars().next());
                    from += at + next.map_or(1, char::len_utf8);
                    characters += 1;
                }
                Ok(found.into_iter().collect())
            }
            (Self::Array(array), Self::Array(part)) => {
                if part.elements.is_empty() {
                    return Ok(Self::Null);
                }
                meter::scan(array.elements.len() * 4);
                let windows = array.elements.windows(part.elements.len()).enumerate();
                Ok(windows
                    .filter(|(_, it)| {
                        meter::step(1);
                        it == &part.elements
                    })
                    .map(|(at, _)| index(at))
                    .collect())
            }
            (Self::Array(array), _) => {
                let all = array.elements.iter().enumerate();
                Ok(all
                    .filter(|(_, it)| {
                        meter::step(1);
                        *it == wanted
                    })
                    .map(|(at, _)| index(at))
                    .collect())
            }
            _ => {
                wanted.touch();
                Err(self.refuse_index(wanted))
            }
        }
    }

    pub(super) fn refuse_iteration(&self) -> Error<Self> {
        Error::str(format_args!("Cannot iterate over {} ({self})", self.kind()))
    }
}

/// The place an index means in an array of `length`, counted from the end when negative.
pub(super) fn position(index: Number, length: usize) -> Option<usize> {
    if index.as_f64().is_nan() {
        return None;
    }
    let index = match index {
        Number::Int(index) => index,
        Number::Float(index) => whole(Number::Float(index.floor())),
    };
    if index < 0 {
        length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
    } else {
        usize::try_from(index).ok()
    }
}

/// The range of places a slice means, inside `0..length`.
pub(super) fn bounds(
    range: Range<Option<&Value>>,
    length: usize,
) -> std::result::Result<Range<usize>, Error<Value>> {
    let bound = |value: Option<&Value>, default: usize, round: fn(f64) -> f64| match value {
        None | Some(Value::Null) => Ok(default),
        Some(value) => match value.as_number() {
            None => Err(Error::str("the start and the end of a slice must be numbers")),
            Some(Number::Float(it)) if it.is_nan() => Ok(default),
            Some(number) => {
                let number = match number {
                    Number::Int(it) => it,
                    Number::Float(it) => whole(Number::Float(round(it))),
                };
                let back = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
                Ok(if number < 0 { length.saturating_sub(back) } else { back.min(length) })
            }
        },
    };
    let start = bound(range.start, 0, f64::floor)?;
    let end = bound(range.end, length, f64::ceil)?;
    Ok(start..end.max(start))
}

/// The same in bytes of a text, for bounds that count characters.
pub(super) fn text_bounds(
    text: &str,
    range: Range<Option<&Value>>,
) -> std::result::Result<Range<usize>, Error<Value>> {
    let range = bounds(range, text.chars().count())?;
    let mut places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let start = places.nth(range.start).unwrap_or(text.len());
    let end = match range.len().checked_sub(1) {
        None => start,
        Some(more) => places.nth(more).unwrap_or(text.len()),
    };
    Ok(start..end)
}

/// Elements of an array; copied one by one when the array is shared.
pub(super) fn elements(array: Arc<Array>) -> Box<dyn Iterator<Item = Value>> {
    match Arc::try_unwrap(array) {
        Ok(array) => Box::new(array.elements.into_iter()),
        Err(array) => Box::new(
            (0..array.elements.len()).filter_map_exact(move |at| array.elements.get(at).cloned()),
        ),
    }
}

/// Members of an object; copied one by one when the object is shared.
pub(super) fn members(object: Arc<Object>) -> Box<dyn Iterator<Item = (Arc<str>, Value)>> {
    match Arc::try_unwrap(object) {
        Ok(object) => Box::new(object.members.into_iter()),
        Err(object) => Box::new((0..object.members.len()).filter_map_exact(move |at| {
            object.members.get_index(at).map(|(key, value)| (key.clone(), value.clone()))
        })),
    }
}

/// Indexing that knows its length, which jaq uses to save work for single outputs.
trait Exact: Iterator<Item = usize> + Sized {
    fn filter_map_exact<T, F: FnMut(usize) -> Option<T>>(self, each: F) -> Indexed<Self, F>;
}

impl<I: Iterator<Item = usize>> Exact for I {
    fn filter_map_exact<T, F: FnMut(usize) -> Option<T>>(self, each: F) -> Indexed<Self, F> {
        Indexed { places: self, each }
    }
}

struct Indexed<I, F> {
    places: I,
    each: F,
}

impl<T, I: Iterator<Item = usize>, F: FnMut(usize) -> Option<T>> Iterator for Indexed<I, F> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        (self.each)(self.places.next()?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}
