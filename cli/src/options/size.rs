//! Sizes as people write them.

/// The bytes that `text` says: a number and one of `units`, each with the power of two that it
/// stands for; none where it is something else, or more than can be counted.
pub(crate) fn of_units(text: &str, units: &[(&str, u32)]) -> Option<u64> {
    let (number, unit) =
        units.iter().find_map(|(unit, power)| Some((text.strip_suffix(unit)?, 1u64 << power)))?;
    number.trim().parse::<u64>().ok()?.checked_mul(unit)
}
