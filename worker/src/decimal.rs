//! Numbers by what they are worth: programs and types write the same one in different ways.

use windlass_proto::limits;

/// Digits without zeros at either end, times a power of ten; zero has no digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// The number that `text` is in JSON; none where it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (mantissa, ""),
        };
        let is_whole = whole == "0" || !whole.is_empty() && !whole.starts_with('0');
        let digits = format!("{whole}{fraction}");
        if !is_whole || !digits.bytes().all(|it| it.is_ascii_digit()) {
            return None;
        }
        let significant = digits.trim_end_matches('0');
        if significant.is_empty() {
            return Some(Self { negative: false, digits: String::new(), exponent: 0 });
        }
        let dropped = i64::try_from(digits.len() - significant.len()).ok()?;
        let exponent = i64::from(exponent) - i64::try_from(fraction.len()).ok()? + dropped;
        let digits = significant.trim_start_matches('0').to_owned();
        Some(Self { negative, digits, exponent })
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// The double nearest to the number that `text` is: what is left of it where a program or a
    /// type knows no other numbers.
    pub(crate) fn rounded(text: &str) -> Option<Self> {
        Self::parse(text)?;
        let nearest = text.parse::<f64>().ok().filter(|it| it.is_finite())?;
        Self::parse(&format!("{nearest:e}"))
    }

    /// In digits alone; none for fractions, and where there are too many.
    pub(crate) fn plain(&self) -> Option<String> {
        if self.is_zero() {
            return Some("0".to_owned());
        }
        let zeros = usize::try_from(self.exponent).ok()?;
        let fits = self.digits.len().saturating_add(zeros) <= limits::SECRET_NUMBER_DIGITS;
        fits.then(|| format!("{}{}{}", self.sign(), self.digits, "0".repeat(zeros)))
    }

    /// With an exponent, up to the letter in front of it; none where so little is left that it
    /// would be found in many other numbers.
    pub(crate) fn mantissa(&self) -> Option<String> {
        let fits = (limits::SECRET_MANTISSA_DIGITS..=limits::SECRET_NUMBER_DIGITS)
            .contains(&self.digits.len());
        let (first, rest) = self.digits.split_at_checked(1).filter(|_| fits)?;
        Some(format!("{}{first}.{rest}", self.sign()))
    }

    fn sign(&self) -> &'static str {
        if self.negative { "-" } else { "" }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Decimal;

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        for all in [
            &["815162342", "815162342.0", "8.15162342e8", "815162342000E-3", "8.15162342e+08"][..],
            &["1000", "1e3", "1.0E+3", "1000.000"],
            &["-0.125", "-1.25e-1", "-125e-3"],
        ] {
            let first = Decimal::parse(all[0]).unwrap();
            assert!(all.iter().all(|it| Decimal::parse(it).as_ref() == Some(&first)), "{all:?}");
        }
        assert_ne!(Decimal::parse("815162342"), Decimal::parse("815162400.0"));
        assert_ne!(Decimal::parse("5"), Decimal::parse("-5"));
        for zero in ["0", "-0", "0.00", "-0.0e3"] {
            let zero = Decimal::parse(zero).unwrap();
            assert_eq!((zero.is_zero(), zero.plain().as_deref()), (true, Some("0")));
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "-", "007", "1.", ".5", "1e", "1e+-5", "1e99999999999", "0x10", "1_0"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn spellings_are_those_of_programs() {
        let spelled = |it: Decimal| (it.plain(), it.mantissa());
        let some = |text: &str| Some(text.to_owned());
        let of = |text: &str| spelled(Decimal::parse(text).unwrap());
        assert_eq!(of("815162342.0"), (some("815162342"), some("8.15162342")));
        assert_eq!(of("-1e5"), (some("-100000"), None));
        assert_eq!(of("12345.5"), (None, some("1.23455")));
        assert_eq!(of("1e300"), (None, None));
        let double = Decimal::rounded("123456789012345678901234").unwrap();
        assert_eq!(spelled(double), (some("123456789012345690000000"), some("1.2345678901234569")));
        assert_eq!(Decimal::rounded("1e999"), None);
        assert_eq!(Decimal::rounded("NaN"), None);
    }
}
