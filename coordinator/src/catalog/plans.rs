//! Compiled definitions, as many as there is memory for: those used last stay.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use windlass_proto::id::Digest;
use windlass_proto::plan::Plan;

/// A bounded cache. What is dropped from it lives on with the instances that use it.
pub(super) struct Plans {
    most: usize,
    bytes: usize,
    entries: HashMap<Digest, Entry>,
    clock: AtomicU64,
}

struct Entry {
    plan: Arc<Plan>,
    /// Bytes of its text.
    bytes: usize,
    used: AtomicU64,
}

impl Plans {
    /// For plans of texts of `most` bytes together; the one used last is kept whatever its size.
    pub(super) fn new(most: usize) -> Self {
        Self { most, bytes: 0, entries: HashMap::new(), clock: AtomicU64::new(0) }
    }

    pub(super) fn get(&self, digest: &Digest) -> Option<Arc<Plan>> {
        let entry = self.entries.get(digest)?;
        entry.used.store(self.tick(), Ordering::Relaxed);
        Some(entry.plan.clone())
    }

    pub(super) fn insert(&mut self, plan: Arc<Plan>, bytes: usize) {
        let used = AtomicU64::new(self.tick());
        let entry = Entry { plan: plan.clone(), bytes, used };
        let before = self.entries.insert(plan.digest.clone(), entry);
        self.bytes = self.bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_sub(before.map_or(0, |it| it.bytes));
        if self.bytes > self.most {
            self.make_room();
        }
    }

    /// Drops what was used longest ago, more than there has to be: finding it takes a look at all.
    fn make_room(&mut self) {
        let used = |(digest, entry): (&Digest, &Entry)| {
            (entry.used.load(Ordering::Relaxed), digest.clone())
        };
        let mut oldest: Vec<_> = self.entries.iter().map(used).collect();
        oldest.sort_unstable();
        // The one used last stays.
        oldest.pop();
        for (_, digest) in oldest {
            if self.bytes <= self.most / 8 * 7 {
                return;
            }
            let gone = self.entries.remove(&digest);
            self.bytes = self.bytes.saturating_sub(gone.map_or(0, |it| it.bytes));
        }
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use windlass_proto::definition::{Options, load};
    use windlass_proto::plan::Plan;

    use super::Plans;

    fn plan(name: &str) -> Arc<Plan> {
        let text = format!(
            "document: {{dsl: '1.0.3', namespace: n, name: {name}, version: '1.0.0'}}\ndo: []\n"
        );
        load(&text, &Options::default()).plan.unwrap()
    }

    #[test]
    fn those_used_last_stay() {
        let (a, b, c, large) = (plan("a"), plan("b"), plan("c"), plan("large"));
        let mut plans = Plans::new(100);
        plans.insert(a.clone(), 40);
        plans.insert(b.clone(), 40);
        plans.insert(b.clone(), 40);
        assert!(plans.get(&a.digest).is_some(), "the same one twice counts once");
        plans.insert(c.clone(), 40);
        let held = |plans: &Plans| [&a, &b, &c].map(|it| plans.get(&it.digest).is_some());
        assert_eq!(held(&plans), [true, false, true]);
        plans.insert(large.clone(), 1_000);
        assert_eq!(held(&plans), [false; 3]);
        assert!(plans.get(&large.digest).is_some(), "the last one is kept whatever its size");
    }
}
