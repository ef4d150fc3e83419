//! How far the clocks of stores of secrets are from ours, as far as that matters to identities.

use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::message::StoreTime;

/// By how many milliseconds the store's clock is ahead of ours, which shows `now`.
pub(super) fn ahead_ms(store: StoreTime, now: Timestamp) -> i64 {
    // It shows whole seconds: in the middle it is half of one further.
    let shown = store.at.0.saturating_add(500).saturating_add(store.ago_ms);
    let signed = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    signed(shown).saturating_sub(signed(now.0))
}

/// True for half of what stores are set up to tolerate: time to do something about it.
pub(super) fn is_large(ahead_ms: i64) -> bool {
    ahead_ms.unsigned_abs() >= limits::IDENTITY_LEEWAY_S * 1_000 / 2
}

/// The one that is furthest off.
pub(super) fn worst(all: impl Iterator<Item = i64>) -> Option<i64> {
    all.max_by_key(|it| it.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use windlass_proto::time::Timestamp;
    use windlass_proto::wire::message::StoreTime;

    use super::{ahead_ms, is_large, worst};

    #[test]
    fn a_clock_is_compared_as_of_now() {
        let store = |at, ago_ms| StoreTime { at: Timestamp(at), ago_ms };
        assert_eq!(ahead_ms(store(100_000, 0), Timestamp(100_500)), 0);
        assert_eq!(ahead_ms(store(100_000, 3_000), Timestamp(103_500)), 0);
        assert_eq!(ahead_ms(store(92_000, 0), Timestamp(100_500)), -8_000);
        assert!(ahead_ms(store(u64::MAX, u64::MAX), Timestamp(0)) > 0);
        assert!(ahead_ms(store(0, 0), Timestamp(u64::MAX)) < 0);
        assert!(!is_large(-14_999) && is_large(-15_000) && is_large(15_000));
        assert_eq!(worst([3, -9, 4].into_iter()), Some(-9));
    }
}
