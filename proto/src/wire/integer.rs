//! Whole numbers, also as languages without integers write them.
//!
//! JavaScript has one type of number, and its MessagePack libraries write what does not fit 32 bits
//! as a float. In a key that is still the number meant.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{Error, Unexpected, Visitor};

use crate::id::{FrameId, PartitionId};

/// The largest whole number up to which every one is a float of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a number that is not negative, for `deserialize_with`.
///
/// # Errors
/// When it is none, has a fraction, or does not fit.
pub(super) fn integer<'de, D: Deserializer<'de>, T: TryFrom<u64>>(from: D) -> Result<T, D::Error> {
    from.deserialize_any(Whole(PhantomData))
}

/// [`integer`], for a frame.
///
/// # Errors
/// As [`integer`].
pub(super) fn frame<'de, D: Deserializer<'de>>(from: D) -> Result<FrameId, D::Error> {
    integer(from).map(FrameId)
}

/// [`integer`], for a partition.
///
/// # Errors
/// As [`integer`].
pub(super) fn partition<'de, D: Deserializer<'de>>(from: D) -> Result<PartitionId, D::Error> {
    integer(from).map(PartitionId)
}

struct Whole<T>(PhantomData<T>);

impl<T: TryFrom<u64>> Visitor<'_> for Whole<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a whole number from 0 to {}",
            match size_of::<T>() {
                1 => u64::from(u8::MAX),
                2 => u64::from(u16::MAX),
                4 => u64::from(u32::MAX),
                _ => u64::MAX,
            }
        )
    }

    fn visit_u64<E: Error>(self, it: u64) -> Result<T, E> {
        T::try_from(it).map_err(|_| E::invalid_value(Unexpected::Unsigned(it), &self))
    }

    fn visit_i64<E: Error>(self, it: i64) -> Result<T, E> {
        match u64::try_from(it) {
            Ok(it) => self.visit_u64(it),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(it), &self)),
        }
    }

    fn visit_f64<E: Error>(self, it: f64) -> Result<T, E> {
        if it.fract() != 0.0 || !(0.0..=EXACT).contains(&it) {
            return Err(E::invalid_value(Unexpected::Float(it), &self));
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        self.visit_u64(it as u64)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use crate::wire::message::{decode, encode};

    #[derive(Debug, Serialize, Deserialize)]
    struct Read(#[serde(deserialize_with = "super::integer")] u64);

    #[derive(Debug, Serialize, Deserialize)]
    struct Small(#[serde(deserialize_with = "super::integer")] u16);

    #[test]
    fn whole_floats_are_numbers_and_others_are_not() {
        let read = |it: f64| decode::<Read>(&encode(&it).unwrap()).map(|it| it.0).ok();
        assert_eq!(read(4_294_967_296.0), Some(1 << 32));
        assert_eq!(read(9_007_199_254_740_991.0), Some((1 << 53) - 1));
        for it in [0.5, -1.0, 1e300, f64::NAN, f64::INFINITY] {
            assert_eq!(read(it), None, "{it}");
        }
        let small = |it: i64| decode::<Small>(&encode(&it).unwrap()).map(|it| it.0);
        assert_eq!(small(65_535).unwrap(), 65_535);
        assert!(small(65_536).unwrap_err().to_string().contains("from 0 to 65535"));
        assert!(small(-1).is_err());
    }
}
