//! Which partition a record goes to, as Java's client chooses by a record's key.

/// The partition of `key` among so many.
pub(super) fn of_key(key: &[u8], partitions: usize) -> usize {
    let hash = murmur2(key) & 0x7fff_ffff;
    usize::try_from(hash).unwrap_or(0).checked_rem(partitions).unwrap_or(0)
}

/// Murmur 2 of 32 bits with the seed that Kafka has.
fn murmur2(data: &[u8]) -> u32 {
    let factor = 0x5bd1_e995_u32;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let (words, tail) = data.as_chunks::<4>();
    let mut hash = words.iter().fold(0x9747_b28c ^ length, |hash, word| {
        let word = u32::from_le_bytes(*word).wrapping_mul(factor);
        let word = (word ^ word >> 24).wrapping_mul(factor);
        hash.wrapping_mul(factor) ^ word
    });
    if !tail.is_empty() {
        let tail = tail.iter().rev().fold(0, |all, octet| all << 8 | u32::from(*octet));
        hash = (hash ^ tail).wrapping_mul(factor);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(factor);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::murmur2;

    #[test]
    fn keys_are_hashed_as_java_does() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }
}
