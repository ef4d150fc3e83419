//! Sets of places in a segment.

use super::super::record::{push_varint, read_varint};

/// Some of the places 0 to `length` - 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Bits {
    length: usize,
    words: Vec<u64>,
}

impl Bits {
    pub(super) fn none(length: usize) -> Self {
        Self { length, words: vec![0; length.div_ceil(64)] }
    }

    pub(super) fn all(length: usize) -> Self {
        let mut bits = Self { length, words: vec![u64::MAX; length.div_ceil(64)] };
        if let (Some(last), rest @ 1..) = (bits.words.last_mut(), length % 64) {
            *last = (1 << rest) - 1;
        }
        bits
    }

    pub(super) fn set(&mut self, place: usize) {
        if let Some(word) = self.words.get_mut(place / 64).filter(|_| place < self.length) {
            *word |= 1 << (place % 64);
        }
    }

    pub(super) fn has(&self, place: usize) -> bool {
        self.words.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    pub(super) fn count(&self) -> usize {
        self.words.iter().map(|it| it.count_ones() as usize).sum()
    }

    pub(super) fn and(&mut self, other: &Self) {
        self.each(other, |word, other| word & other);
    }

    pub(super) fn or(&mut self, other: &Self) {
        self.each(other, |word, other| word | other);
    }

    pub(super) fn without(&mut self, other: &Self) {
        self.each(other, |word, other| word & !other);
    }

    fn each(&mut self, other: &Self, change: impl Fn(u64, u64) -> u64) {
        for (index, word) in self.words.iter_mut().enumerate() {
            *word = change(*word, other.words.get(index).copied().unwrap_or_default());
        }
    }

    /// The places, smallest first.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.checked_sub(1)?;
                Some(index * 64 + bit)
            })
        })
    }

    /// As few bytes as it takes: a list of the places, or a bit for each.
    ///
    /// ```text
    /// count << 1 | dense: varint | { distance from the last place: varint }… or { 8 places: u8 }…
    /// ```
    pub(super) fn push(&self, bytes: &mut Vec<u8>) {
        let count = self.count();
        let dense = count > self.length / 8;
        push_varint(bytes, (count as u64) << 1 | u64::from(dense));
        if dense {
            let packed = self.words.iter().flat_map(|it| it.to_le_bytes());
            bytes.extend(packed.take(self.length.div_ceil(8)));
            return;
        }
        let mut next = 0;
        for place in self.places() {
            push_varint(bytes, (place - next) as u64);
            next = place + 1;
        }
    }

    pub(super) fn read(bytes: &[u8], length: usize) -> Option<(Self, &[u8])> {
        let mut bits = Self::none(length);
        let (head, mut rest) = read_varint(bytes)?;
        if head & 1 == 1 {
            let (packed, rest) = rest.split_at_checked(length.div_ceil(8))?;
            for (word, bytes) in bits.words.iter_mut().zip(packed.chunks(8)) {
                let mut whole = [0; 8];
                whole.get_mut(..bytes.len())?.copy_from_slice(bytes);
                *word = u64::from_le_bytes(whole);
            }
            return Some((bits, rest));
        }
        let mut next = 0_usize;
        for _ in 0..head >> 1 {
            let (distance, after) = read_varint(rest)?;
            let place = next.checked_add(usize::try_from(distance).ok()?)?;
            if place >= length {
                return None;
            }
            bits.set(place);
            (next, rest) = (place + 1, after);
        }
        Some((bits, rest))
    }

    /// What follows a set that is not of interest.
    pub(super) fn skip(bytes: &[u8], length: usize) -> Option<&[u8]> {
        let (head, mut rest) = read_varint(bytes)?;
        if head & 1 == 1 {
            return rest.get(length.div_ceil(8)..);
        }
        for _ in 0..head >> 1 {
            rest = read_varint(rest)?.1;
        }
        Some(rest)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Bits;

    #[test]
    fn sets_come_back_and_can_be_skipped() {
        for length in [0, 1, 63, 64, 65, 512] {
            for step in [1, 2, 9, 100] {
                let mut bits = Bits::none(length);
                (0..length).step_by(step).for_each(|it| bits.set(it));
                bits.set(length);
                assert_eq!(bits.count(), length.div_ceil(step), "{length} by {step}");
                let mut bytes = Vec::new();
                bits.push(&mut bytes);
                bytes.push(7);
                assert_eq!(Bits::read(&bytes, length).unwrap(), (bits.clone(), &[7][..]));
                assert_eq!(Bits::skip(&bytes, length).unwrap(), [7]);
                let places: Vec<_> = bits.places().collect();
                assert_eq!(places, (0..length).step_by(step).collect::<Vec<_>>());
                for cut in 0..bytes.len() - 1 {
                    assert!(Bits::read(&bytes[..cut], length).is_none());
                }
            }
        }
    }

    #[test]
    fn all_are_all_and_no_more() {
        for length in [0, 1, 64, 70] {
            let all = Bits::all(length);
            assert_eq!((all.count(), all.has(length)), (length, false));
            let mut none = all.clone();
            none.without(&all);
            assert_eq!(none, Bits::none(length));
        }
    }
}
