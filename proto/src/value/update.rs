//! Changing values in place: what `|=` and its kin call.

use std::ops::Range;
use std::sync::Arc;

use jaq_core::path::Opt;
use jaq_core::{Error, Exn, ValX};

use super::access::{bounds, position, text_bounds};
use super::arithmetic::{MEMBER_BYTES, own};
use super::{Array, Members, Value};
use crate::expression::meter;

type Changed<'a> = ValX<'a, Value>;

fn fail<'a>(opt: Opt, value: Value, error: impl FnOnce(&Value) -> Error<Value>) -> Changed<'a> {
    opt.fail(value, |value| Exn::from(error(&value)))
}

fn own_array(array: &mut Arc<Array>) -> &mut Array {
    if Arc::get_mut(array).is_none() {
        meter::step(array.elements.len() as u64 / 8);
    }
    Arc::make_mut(array)
}

pub(super) fn map_values<'a, I: Iterator<Item = Changed<'a>>>(
    value: Value,
    opt: Opt,
    change: impl Fn(Value) -> I,
) -> Changed<'a> {
    match value {
        Value::Array(array) => super::access::elements(array).flat_map(change).collect(),
        Value::Object(object) => {
            meter::bytes(object.members.len() * MEMBER_BYTES);
            let mut members = Members::with_capacity(object.members.len());
            for (key, value) in super::access::members(object) {
                if let Some(value) = change(value).next() {
                    members.insert(key, value?);
                }
            }
            Ok(Value::checked_object(members))
        }
        value => fail(opt, value, Value::refuse_iteration),
    }
}

pub(super) fn map_index<'a, I: Iterator<Item = Changed<'a>>>(
    value: Value,
    index: &Value,
    opt: Opt,
    change: impl Fn(Value) -> I,
) -> Changed<'a> {
    index.touch();
    match (value, index) {
        (
            value @ (Value::Null | Value::String(_) | Value::Array(_) | Value::Sealed(_)),
            Value::Object(range),
        ) => {
            let bound = |name| range.members.get(name);
            map_range(value, bound("start")..bound("end"), opt, change)
        }
        (Value::Null, Value::String(_)) => map_index(Value::empty_object(), index, opt, change),
        (Value::Null, _) if index.as_number().is_some() => {
            map_index(Value::array(Vec::new()), index, opt, change)
        }
        (Value::Object(mut object), Value::String(key)) => {
            meter::scan(key.len());
            let members = own(&mut object);
            let old = members.members.get_mut(&**key).map(std::mem::take);
            let (weight, depth) = old.as_ref().map_or((0, 0), |it| (it.weight(), it.depth()));
            let known = old.is_some();
            if known {
                // The place now holds null; put its weight in the books.
                members.weight = members.weight.saturating_sub(weight) + super::SCALAR_WEIGHT;
            }
            match change(old.unwrap_or_default()).next().transpose()? {
                Some(new) => {
                    meter::bytes(if known { 0 } else { MEMBER_BYTES });
                    members.insert(key.clone(), new);
                }
                None if known => {
                    members.members.shift_remove(&**key);
                    let gone = super::SCALAR_WEIGHT + key.len() as u64;
                    members.weight = members.weight.saturating_sub(gone);
                }
                None => {}
            }
            members.shrink(depth);
            meter::check(members.weight, members.depth);
            Ok(Value::Object(object))
        }
        (Value::Array(array), _) if index.as_number().is_some() => {
            map_element(array, index, opt, change)
        }
        (value @ Value::Array(_), Value::Array(_)) => {
            fail(opt, value, |_| Error::str("Cannot update field at array index of array"))
        }
        (value, _) => fail(opt, value, |value| value.refuse_index(index)),
    }
}

/// Elements of an array, as far as jq goes: the budget ends an evaluation far below that.
const MOST_ELEMENTS: usize = 1 << 29;

fn map_element<'a, I: Iterator<Item = Changed<'a>>>(
    mut array: Arc<Array>,
    index: &Value,
    opt: Opt,
    change: impl Fn(Value) -> I,
) -> Changed<'a> {
    let number = index.as_number();
    let at = number.and_then(|it| position(it, array.elements.len()));
    let Some(at) = at.filter(|it| *it < MOST_ELEMENTS) else {
        return fail(opt, Value::Array(array), |_| {
            Error::str(match number {
                Some(number) if number.as_f64().is_nan() => "Cannot set array element at NaN index",
                _ if at.is_some() => "Array index too large",
                _ => "Out of bounds negative array index",
            })
        });
    };
    if at >= array.elements.len() {
        let Some(new) = change(Value::Null).next().transpose()? else {
            return Ok(Value::Array(array));
        };
        meter::bytes((at - array.elements.len()).saturating_mul(size_of::<Value>()));
        let array_mut = own_array(&mut array);
        while array_mut.elements.len() < at {
            array_mut.push(Value::Null);
        }
        array_mut.push(new);
        meter::check(array_mut.weight, array_mut.depth);
        return Ok(Value::Array(array));
    }
    let owned = own_array(&mut array);
    let old = owned.elements.get_mut(at).map(std::mem::take).unwrap_or_default();
    let (weight, depth) = (old.weight(), old.depth());
    owned.weight = owned.weight.saturating_sub(weight);
    if let Some(new) = change(old).next().transpose()? {
        owned.weight = owned.weight.saturating_add(new.weight());
        owned.depth = owned.depth.max(new.depth().saturating_add(1));
        owned.sealed |= new.may_hold_sealed();
        if let Some(place) = owned.elements.get_mut(at) {
            *place = new;
        }
    } else {
        meter::step(owned.elements.len() as u64 / 64);
        owned.elements.remove(at);
    }
    if depth > 0 && depth + 1 == owned.depth {
        owned.depth = super::deepest(&owned.elements) + 1;
    }
    meter::check(owned.weight, owned.depth);
    Ok(Value::Array(array))
}

pub(super) fn map_range<'a, I: Iterator<Item = Changed<'a>>>(
    value: Value,
    range: Range<Option<&Value>>,
    opt: Opt,
    change: impl Fn(Value) -> I,
) -> Changed<'a> {
    match value {
        Value::Null => map_range(Value::array(Vec::new()), range, opt, change),
        Value::Array(array) => {
            let range = match bounds(range, array.elements.len()) {
                Ok(range) => range,
                Err(error) => return fail(opt, Value::Array(array), |_| error),
            };
            let part = array.elements.get(range.clone()).unwrap_or_default();
            let new = match change(part.iter().cloned().collect()).next().transpose()? {
                None => Vec::new(),
                Some(new) => match new.into_elements() {
                    Some(elements) => elements,
                    None => {
                        return Err(Error::str("a slice can only be replaced by an array").into());
                    }
                },
            };
            let mut all = array.elements.clone();
            all.splice(range, new);
            Ok(all.into_iter().collect())
        }
        Value::String(text) => {
            let range = match text_bounds(&text, range) {
                Ok(range) => range,
                Err(error) => return fail(opt, Value::String(text), |_| error),
            };
            let part = Value::from(text.get(range.clone()).unwrap_or_default());
            let new = change(part).next().transpose()?.unwrap_or_else(|| Value::from(""));
            let Some(new) = new.as_str() else {
                return Err(
                    Error::str("a slice of a string can only be replaced by a string").into()
                );
            };
            let mut all = text.to_string();
            all.replace_range(range, new);
            Ok(Value::charged_text(all))
        }
        value => {
            // Of a number there is none, of a string there is.
            value.touch();
            fail(opt, value, |value| {
                Error::str(format_args!("cannot take a slice of {} ({value})", value.kind()))
            })
        }
    }
}

impl Value {
    /// This without what is at `indices`, each of which counts in it as it is now.
    pub(crate) fn without(self, indices: &[&Self]) -> jaq_core::ValR<Self> {
        let Self::Array(array) = &self else {
            return indices.iter().try_fold(self, |value, index| {
                value.find(index)?;
                let removed = map_index(value, index, Opt::Essential, |_| std::iter::empty());
                removed.map_err(|exception: Exn<'_, Self>| match exception.get_err() {
                    Ok(error) => error,
                    Err(_) => Error::str("a path cannot be left while it is deleted"),
                })
            });
        };
        let length = array.elements.len();
        meter::step(length as u64 / 8);
        let mut gone = vec![false; length];
        for index in indices {
            index.touch();
            let places = match index {
                Self::Object(range) => {
                    let bound = |name| range.members.get(name);
                    bounds(bound("start")..bound("end"), length)?
                }
                _ => match index.as_number() {
                    Some(number) => position(number, length).map_or(0..0, |at| at..at + 1),
                    None => {
                        return Err(Error::str(format_args!(
                            "Cannot delete field at {} index of array",
                            index.kind()
                        )));
                    }
                },
            };
            meter::step(places.len() as u64 / 8);
            gone.get_mut(places).into_iter().flatten().for_each(|it| *it = true);
        }
        let kept = array.elements.iter().zip(gone).filter(|(_, is_gone)| !is_gone);
        Ok(kept.map(|(element, _)| element.clone()).collect())
    }
}
