//! How much memory instances may take: all of them, and those of one namespace.
//!
//! What is counted: what instances in memory hold, what waits for a partition, and what waits for
//! the disk. Near the budget, starts are refused; at it, tasks fail that would add much. One
//! namespace may take half of the budget, so that whoever fills it leaves room for the others.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use windlass_proto::limits;

/// The budget, and what is taken of it.
pub struct Memory {
    budget: u64,
    used: AtomicU64,
    namespaces: Mutex<HashMap<Arc<str>, Arc<AtomicU64>>>,
    /// Whose half was told of: that of all, as none, and of namespaces.
    told: Mutex<HashSet<Option<Arc<str>>>>,
    /// How many that are.
    telling: AtomicUsize,
}

/// A share of the memory, given back when dropped.
pub struct Charge {
    memory: Arc<Memory>,
    namespace: Option<Arc<AtomicU64>>,
    bytes: u64,
}

/// Why a start is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// All instances together take too much.
    Process,
    /// Those of its namespace do.
    Namespace,
}

impl Memory {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(budget: u64) -> Arc<Self> {
        let (used, namespaces, told, telling) = Default::default();
        Arc::new(Self { budget, used, namespaces, told, telling })
    }

    /// Bytes that may be taken.
    #[must_use]
    pub fn budget(&self) -> u64 {
        self.budget
    }

    /// Bytes that are taken.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes that instances of a namespace take.
    #[must_use]
    pub fn used_by(&self, namespace: &str) -> u64 {
        let namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        namespaces.get(namespace).map_or(0, |used| used.load(Ordering::Relaxed))
    }

    /// Whether another instance of a namespace may begin with so many bytes.
    ///
    /// # Errors
    /// When too much is taken already.
    pub fn admit(&self, namespace: &str, bytes: u64) -> Result<(), Full> {
        for of in self.half_taken(namespace) {
            let (bytes, most) = match &of {
                Some(namespace) => (self.used_by(namespace), self.budget / 2),
                None => (self.used(), self.budget),
            };
            let namespace = of.as_deref().unwrap_or("all");
            tracing::warn!(
                namespace,
                bytes,
                most,
                "instances take more than half of the memory that they may; starts are refused at \
                 three quarters (--memory-budget)"
            );
        }
        // What is accepted must have room to go on.
        let starts = |most: u64| most - most / 4;
        if self.used().saturating_add(bytes) > starts(self.budget) {
            return Err(Full::Process);
        }
        if self.used_by(namespace).saturating_add(bytes) > starts(self.budget / 2) {
            return Err(Full::Namespace);
        }
        Ok(())
    }

    /// Whose budget has come to be taken by half since somebody asked: that of all, as none, and
    /// that of a namespace. Once it is well below that, it is told of again.
    fn half_taken(&self, namespace: &str) -> Vec<Option<Arc<str>>> {
        let shares = [
            (None, self.used(), self.budget),
            (Some(namespace), self.used_by(namespace), self.budget / 2),
        ];
        // Asked at each start: mostly there is nothing to tell.
        let is_quiet = shares.iter().all(|(_, used, most)| *used <= most / 2);
        if is_quiet && self.telling.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = Vec::new();
        for (of, used, most) in shares {
            let of: Option<Arc<str>> = of.map(Arc::from);
            if used > most / 2 {
                if told.insert(of.clone()) {
                    new.push(of);
                }
            } else if used < most / 8 * 3 {
                told.remove(&of);
            }
        }
        self.telling.store(told.len(), Ordering::Relaxed);
        new
    }

    /// Nothing yet of what an instance of this namespace will take.
    pub fn of_instance(self: &Arc<Self>, namespace: &Arc<str>) -> Charge {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        let used = namespaces.entry(namespace.clone()).or_default().clone();
        Charge { memory: self.clone(), namespace: Some(used), bytes: 0 }
    }

    /// What waits somewhere, whoever it is of, where it is much.
    pub fn waiting_if_large(self: &Arc<Self>, bytes: u64) -> Option<Charge> {
        (bytes >= limits::MEMORY_COUNTED_BYTES).then(|| self.waiting(bytes))
    }

    /// What waits somewhere, whoever it is of.
    pub fn waiting(self: &Arc<Self>, bytes: u64) -> Charge {
        let mut charge = Charge { memory: self.clone(), namespace: None, bytes: 0 };
        charge.set(bytes);
        charge
    }
}

impl Charge {
    /// Changes what is taken.
    pub fn set(&mut self, bytes: u64) {
        let bytes =
            bytes.div_ceil(limits::MEMORY_GRAIN_BYTES).saturating_mul(limits::MEMORY_GRAIN_BYTES);
        let counters = [Some(&self.memory.used), self.namespace.as_deref()];
        for counter in counters.into_iter().flatten() {
            if bytes > self.bytes {
                counter.fetch_add(bytes - self.bytes, Ordering::Relaxed);
            } else if bytes < self.bytes {
                counter.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            }
        }
        self.bytes = bytes;
    }

    /// Bytes that are taken by this.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes an instance that holds `held` may hold, as much as is left for it. A small one may go
    /// on: it did not fill the budget.
    #[must_use]
    pub fn allowance(&self, held: u64) -> u64 {
        let budget = self.memory.budget;
        let namespace = self.namespace.as_ref().map_or(0, |it| it.load(Ordering::Relaxed));
        let left = budget.saturating_sub(self.memory.used());
        let left = left.min((budget / 2).saturating_sub(namespace));
        let most = held.saturating_add(left).max(limits::INSTANCE_FLOOR_BYTES);
        most.min(limits::INSTANCE_BYTES)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use windlass_proto::limits;

    use super::{Full, Memory};

    const MIB: u64 = 1 << 20;

    #[test]
    fn starts_are_refused_before_the_budget_is_spent_and_one_namespace_leaves_room() {
        let memory = Memory::new(400 * MIB);
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        let mut of_a = memory.of_instance(&a);
        of_a.set(140 * MIB);
        assert_eq!(memory.admit("a", 10 * MIB), Ok(()));
        assert_eq!(memory.admit("a", 11 * MIB), Err(Full::Namespace));
        assert_eq!(memory.admit("b", 11 * MIB), Ok(()));
        let waiting = memory.waiting(150 * MIB);
        assert_eq!(memory.admit("b", 11 * MIB), Err(Full::Process));
        drop(waiting);
        let mut of_b = memory.of_instance(&b);
        of_b.set(1);
        assert_eq!((memory.used(), memory.used_by("b")), (140 * MIB + 4096, 4096));
        drop((of_a, of_b));
        assert_eq!((memory.used(), memory.used_by("a"), memory.used_by("b")), (0, 0, 0));
    }

    #[test]
    fn half_of_a_budget_is_told_of_once_until_it_is_well_below() {
        let memory = Memory::new(400 * MIB);
        let mut of_a = memory.of_instance(&Arc::from("a"));
        of_a.set(100 * MIB);
        assert_eq!(memory.half_taken("a"), []);
        of_a.set(101 * MIB);
        assert_eq!(memory.half_taken("b"), []);
        assert_eq!(memory.half_taken("a"), [Some(Arc::from("a"))]);
        of_a.set(90 * MIB);
        assert_eq!(memory.half_taken("a"), []);
        of_a.set(201 * MIB);
        assert_eq!(memory.half_taken("a"), [None], "of the namespace it was told");
        of_a.set(10 * MIB);
        assert_eq!(memory.half_taken("a"), []);
        of_a.set(150 * MIB);
        assert_eq!(memory.half_taken("a"), [Some(Arc::from("a"))]);
    }

    #[test]
    fn an_instance_may_hold_what_is_left_and_a_small_one_goes_on() {
        let memory = Memory::new(200 * MIB);
        let name = Arc::from("a");
        let mut charge = memory.of_instance(&name);
        charge.set(20 * MIB);
        assert_eq!(charge.allowance(20 * MIB), limits::INSTANCE_BYTES);
        let mut other = memory.of_instance(&name);
        other.set(70 * MIB);
        assert_eq!(charge.allowance(20 * MIB), 30 * MIB, "half of the budget is the namespace's");
        other.set(200 * MIB);
        assert_eq!(charge.allowance(20 * MIB), 20 * MIB, "it may keep what it has");
        assert_eq!(charge.allowance(10), limits::INSTANCE_FLOOR_BYTES);
    }
}
