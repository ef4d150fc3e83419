//! `+ - * / %` and negation, as jq computes them.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::sync::Arc;

use jaq_core::Error;

use super::order::Number;
use super::{Object, Value};
use crate::expression::meter;

pub(super) type Result = jaq_core::ValR<Value>;

/// A result of floating-point arithmetic: an integer where it is one, as jq prints it.
pub(super) fn float(number: f64) -> Value {
    // 2^53: beyond it not every integer is representable, so nothing tells it is meant as one.
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        #[allow(clippy::cast_possible_truncation)]
        Value::Int(number as i64)
    } else {
        Value::Float(number)
    }
}

fn compute(
    a: Number,
    b: Number,
    exact: impl Fn(i64, i64) -> Option<i64>,
    rounded: impl Fn(f64, f64) -> f64,
) -> Value {
    if let (Number::Int(a), Number::Int(b)) = (a, b)
        && let Some(result) = exact(a, b)
    {
        return Value::Int(result);
    }
    float(rounded(a.as_f64(), b.as_f64()))
}

fn refuse(a: &Value, b: &Value, what: &str) -> Result {
    Err(Error::str(format_args!("{} ({a}) and {} ({b}) cannot be {what}", a.kind(), b.kind())))
}

impl Add for Value {
    type Output = Result;

    fn add(self, other: Self) -> Result {
        meter::step(1);
        match (self, other) {
            (Self::Null, it) | (it, Self::Null) => Ok(it),
            (Self::Int(a), Self::Int(b)) => {
                Ok(compute(Number::Int(a), Number::Int(b), i64::checked_add, |a, b| a + b))
            }
            (Self::String(a), Self::String(b)) => {
                meter::scan((a.len() + b.len()) / 8);
                meter::bytes(b.len());
                meter::check(a.len() as u64 + b.len() as u64, 0);
                let mut text = String::with_capacity(a.len() + b.len());
                text.push_str(&a);
                text.push_str(&b);
                Ok(Self::String(text.into()))
            }
            (Self::Array(mut a), Self::Array(b)) => {
                meter::bytes(b.elements.len() * size_of::<Self>());
                if Arc::get_mut(&mut a).is_none() {
                    meter::step(a.elements.len() as u64 / 8);
                }
                let array = Arc::make_mut(&mut a);
                for element in &b.elements {
                    array.push(element.clone());
                }
                meter::check(array.weight, array.depth);
                Ok(Self::Array(a))
            }
            (Self::Object(mut a), Self::Object(b)) => {
                let object = own(&mut a);
                meter::bytes(b.members.len() * MEMBER_BYTES);
                meter::step(b.members.len() as u64);
                for (key, value) in &b.members {
                    object.insert(key.clone(), value.clone());
                }
                meter::check(object.weight, object.depth);
                Ok(Self::Object(a))
            }
            (a, b) => match (a.as_number(), b.as_number()) {
                (Some(x), Some(y)) => Ok(compute(x, y, i64::checked_add, |a, b| a + b)),
                _ => refuse(&a, &b, "added"),
            },
        }
    }
}

/// What a member costs in a hash map, roughly.
pub(super) const MEMBER_BYTES: usize = 64;

/// The object for changing it; copying a shared one is charged.
pub(super) fn own(object: &mut Arc<Object>) -> &mut Object {
    if Arc::get_mut(object).is_none() {
        meter::step(object.members.len() as u64 / 2);
    }
    Arc::make_mut(object)
}

impl Sub for Value {
    type Output = Result;

    fn sub(self, other: Self) -> Result {
        meter::step(1);
        match (self, other) {
            (Self::Array(a), Self::Array(b)) => {
                let mut gone: Vec<&Self> = b.elements.iter().collect();
                gone.sort();
                let kept = a.elements.iter().filter(|it| gone.binary_search(it).is_err());
                Ok(kept.cloned().collect())
            }
            (a, b) => match (a.as_number(), b.as_number()) {
                (Some(x), Some(y)) => Ok(compute(x, y, i64::checked_sub, |a, b| a - b)),
                _ => refuse(&a, &b, "subtracted"),
            },
        }
    }
}

impl Mul for Value {
    type Output = Result;

    fn mul(self, other: Self) -> Result {
        meter::step(1);
        match (self, other) {
            (Self::Object(mut a), Self::Object(b)) => {
                merge(own(&mut a), &b)?;
                Ok(Self::Object(a))
            }
            (Self::String(text), number) | (number, Self::String(text))
                if number.as_number().is_some() =>
            {
                repeat(&text, number.as_number().map_or(0.0, Number::as_f64))
            }
            (a, b) => match (a.as_number(), b.as_number()) {
                (Some(x), Some(y)) => Ok(compute(x, y, i64::checked_mul, |a, b| a * b)),
                _ => refuse(&a, &b, "multiplied"),
            },
        }
    }
}

/// As in jq, less than no times a string is null, and a fraction does not count.
fn repeat(text: &str, times: f64) -> Result {
    if times.is_nan() || times < 0.0 {
        return Ok(Value::Null);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let times = times as usize;
    let length = text.len().saturating_mul(times);
    if length > LONGEST_TEXT {
        return Err(Error::str("Repeat string result too long"));
    }
    meter::scan(length / 8);
    meter::bytes(length);
    Ok(Value::String(if length == 0 { String::new() } else { text.repeat(times) }.into()))
}

/// Bytes of a text, as far as jq goes: the budget ends an evaluation far below that.
const LONGEST_TEXT: usize = i32::MAX as usize;

/// Merges deeply: objects on both sides merge, anything else replaces.
fn merge(a: &mut Object, b: &Object) -> std::result::Result<(), Error<Value>> {
    meter::step(b.members.len() as u64);
    meter::bytes(b.members.len() * MEMBER_BYTES);
    for (key, value) in &b.members {
        let merged = match (a.members.get(key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                let mut old = Arc::clone(old);
                merge(own(&mut old), new)?;
                Value::Object(old)
            }
            _ => value.clone(),
        };
        a.insert(key.clone(), merged);
    }
    meter::check(a.weight, a.depth);
    Ok(())
}

impl Div for Value {
    type Output = Result;

    fn div(self, other: Self) -> Result {
        meter::step(1);
        match (&self, &other) {
            (Self::String(text), Self::String(separator)) => Ok(split(text, separator)),
            _ => match (self.as_number(), other.as_number()) {
                (Some(_), Some(y)) if y.as_f64() == 0.0 => {
                    refuse(&self, &other, "divided because the divisor is zero")
                }
                (Some(x), Some(y)) => {
                    let exact = |a: i64, b: i64| {
                        if a.checked_rem(b)? == 0 { a.checked_div(b) } else { None }
                    };
                    Ok(compute(x, y, exact, |a, b| a / b))
                }
                _ => refuse(&self, &other, "divided"),
            },
        }
    }
}

fn split(text: &str, separator: &str) -> Value {
    meter::scan(text.len());
    if text.is_empty() {
        Value::array(Vec::new())
    } else if separator.is_empty() {
        text.chars().map(|it| Value::from(it.to_string())).collect()
    } else {
        text.split(separator).map(Value::from).collect()
    }
}

impl Rem for Value {
    type Output = Result;

    fn rem(self, other: Self) -> Result {
        meter::step(1);
        let (Some(a), Some(b)) = (self.as_number(), other.as_number()) else {
            return refuse(&self, &other, "divided (remainder)");
        };
        if a.as_f64().is_nan() || b.as_f64().is_nan() {
            return Ok(Self::Float(f64::NAN));
        }
        let (a, b) = (whole(a), whole(b));
        match a.checked_rem(b) {
            Some(rest) => Ok(Self::Int(rest)),
            None if b == 0 => {
                refuse(&self, &other, "divided (remainder) because the divisor is zero")
            }
            None => Ok(Self::Int(0)),
        }
    }
}

/// The number without its fraction, clamped to 64 bits.
pub(super) fn whole(number: Number) -> i64 {
    match number {
        Number::Int(number) => number,
        #[allow(clippy::cast_possible_truncation)]
        Number::Float(number) => number as i64,
    }
}

impl Neg for Value {
    type Output = Result;

    fn neg(self) -> Result {
        match &self {
            Self::Int(number) => Ok(number.checked_neg().map_or(
                #[allow(clippy::cast_precision_loss)]
                Self::Float(-(*number as f64)),
                Self::Int,
            )),
            Self::Float(number) => Ok(Self::Float(-number)),
            Self::Big(digits) => Ok(Self::Big(
                digits.strip_prefix('-').map_or_else(|| format!("-{digits}"), str::to_owned).into(),
            )),
            _ => {
                self.touch();
                Err(Error::str(format_args!("{} ({self}) cannot be negated", self.kind())))
            }
        }
    }
}
