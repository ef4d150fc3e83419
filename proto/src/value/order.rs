//! Equality and order as jq defines them: null, false, true, numbers, strings, arrays, objects.
//!
//! A sealed value stands for a number or a string: what that tells is told, the rest ends the
//! evaluation.

use std::cmp::Ordering;

use super::{Members, Value};
use crate::expression::meter;

/// A number ready to compute with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

impl Value {
    /// The number, big literals rounded to what 64-bit floating point holds.
    pub(super) fn as_number(&self) -> Option<Number> {
        match self {
            Self::Int(number) => Some(Number::Int(*number)),
            Self::Float(number) => Some(Number::Float(*number)),
            Self::Big(digits) => Some(Number::Float(digits.parse().unwrap_or(f64::INFINITY))),
            _ => {
                self.touch();
                None
            }
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(false) => 1,
            Self::Bool(true) => 2,
            Self::Int(_) | Self::Float(_) | Self::Big(_) => 3,
            Self::String(_) => 4,
            // Between the strings and what is never sealed: as far as that tells, it is in order.
            Self::Sealed(_) => 5,
            Self::Array(_) => 6,
            Self::Object(_) => 7,
        }
    }

    /// True when only what is sealed tells how `self` and `other` compare, of which one is sealed.
    fn is_close_to_sealed(&self, other: &Self) -> bool {
        (3..=5).contains(&self.rank()) && (3..=5).contains(&other.rank())
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::String(a), Self::String(b)) => {
                if a.len() != b.len() {
                    return false;
                }
                meter::scan(a.len());
                a == b
            }
            (Self::Big(a), Self::Big(b)) => a == b,
            // Two encryptions of one value differ: outside of evaluations this may miss equal
            // values.
            (Self::Sealed(_), _) | (_, Self::Sealed(_)) => {
                if self.is_close_to_sealed(other) {
                    meter::touch();
                }
                matches!((self, other), (Self::Sealed(a), Self::Sealed(b)) if a == b)
            }
            (Self::Array(a), Self::Array(b)) => {
                if a.elements.len() != b.elements.len() {
                    return false;
                }
                meter::scan(a.elements.len());
                a.elements == b.elements
            }
            (Self::Object(a), Self::Object(b)) => {
                if a.members.len() != b.members.len() {
                    return false;
                }
                meter::scan(a.members.len() * 8);
                a.members == b.members
            }
            _ => match (self.as_number(), other.as_number()) {
                #[allow(clippy::float_cmp)]
                (Some(a), Some(b)) => a.as_f64() == b.as_f64(),
                _ => false,
            },
        }
    }
}

// Not-a-number differs from itself, as in jq; nothing keys a map with values.
impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        meter::step(1);
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => {
                meter::scan(a.len().min(b.len()));
                a.cmp(b)
            }
            (Self::Array(a), Self::Array(b)) => a.elements.cmp(&b.elements),
            (Self::Object(a), Self::Object(b)) => compare_members(&a.members, &b.members),
            (Self::Sealed(_), _) | (_, Self::Sealed(_)) => {
                if self.is_close_to_sealed(other) {
                    meter::touch();
                }
                match (self, other) {
                    (Self::Sealed(a), Self::Sealed(b)) => a.cmp(b),
                    _ => self.rank().cmp(&other.rank()),
                }
            }
            _ => match (self.as_number(), other.as_number()) {
                (Some(a), Some(b)) => compare_floats(a.as_f64(), b.as_f64()),
                _ => self.rank().cmp(&other.rank()),
            },
        }
    }
}

/// Not-a-number comes first, as when jq sorts.
fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// First the sorted keys, then the values in the order of the keys.
fn compare_members(a: &Members, b: &Members) -> Ordering {
    let sorted = |members: &Members| {
        meter::scan(members.len() * 16);
        let mut indices: Vec<usize> = (0..members.len()).collect();
        indices.sort_by(|x, y| {
            let key = |at: usize| members.get_index(at).map(|(key, _)| key);
            key(*x).cmp(&key(*y))
        });
        indices
    };
    let (left, right) = (sorted(a), sorted(b));
    let keys = |members: &Members, order: &[usize]| {
        order.iter().filter_map(|at| members.get_index(*at)).map(|(key, _)| key.clone()).collect()
    };
    let (left_keys, right_keys): (Vec<_>, Vec<_>) = (keys(a, &left), keys(b, &right));
    left_keys.cmp(&right_keys).then_with(|| {
        let value = |members: &Members, at: usize| members.get_index(at).map(|(_, it)| it.clone());
        for (x, y) in left.iter().zip(&right) {
            let order = value(a, *x).cmp(&value(b, *y));
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    })
}
