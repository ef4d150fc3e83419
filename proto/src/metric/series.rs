//! Instruments by labels whose values users choose: as many as a bound allows, and one for the
//! others.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The value of a label that stands for all values beyond the bound.
pub const OTHER: &str = "_other";

/// Instruments by the values of their labels.
///
/// Looking one up takes a read lock: who counts often keeps what [`Series::get`] gave.
#[derive(Debug)]
pub struct Series<T, const LABELS: usize> {
    make: fn() -> T,
    most: usize,
    known: RwLock<HashMap<[Arc<str>; LABELS], Arc<T>>>,
    other: Arc<T>,
}

impl<T, const LABELS: usize> Series<T, LABELS> {
    /// None yet, and at most `most` beside the one for all others.
    pub fn new(most: usize, make: fn() -> T) -> Self {
        Self { make, most, known: RwLock::default(), other: Arc::new(make()) }
    }

    /// That of these values, made where there is none yet; that of all others once there are as
    /// many as may be.
    pub fn get(&self, labels: [&Arc<str>; LABELS]) -> Arc<T> {
        let labels = labels.map(Arc::clone);
        // A panic elsewhere cannot leave the map half changed.
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(instrument) = known.get(&labels) {
            return instrument.clone();
        }
        let full = known.len() >= self.most;
        drop(known);
        if full {
            return self.other.clone();
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.most && !known.contains_key(&labels) {
            return self.other.clone();
        }
        known.entry(labels).or_insert_with(|| Arc::new((self.make)())).clone()
    }

    /// All there are with the values of their labels, in their order; that of the others last, and
    /// only where there may be some.
    pub fn all(&self) -> Vec<([Arc<str>; LABELS], Arc<T>)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> =
            known.iter().map(|(labels, it)| (labels.clone(), it.clone())).collect();
        let full = known.len() >= self.most;
        drop(known);
        all.sort_by(|a, b| a.0.cmp(&b.0));
        if full {
            all.push((std::array::from_fn(|_| Arc::from(OTHER)), self.other.clone()));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{OTHER, Series};
    use crate::metric::Counter;

    #[test]
    fn what_is_beyond_the_bound_is_counted_together() {
        let series: Series<Counter, 2> = Series::new(2, Counter::default);
        let shared: Arc<str> = Arc::from("shop");
        for name in ["b", "a", "c", "d", "a"] {
            series.get([&shared, &Arc::from(name)]).one();
        }
        let counts: Vec<_> = series
            .all()
            .into_iter()
            .map(|([namespace, name], it)| format!("{namespace} {name} {}", it.count()))
            .collect();
        assert_eq!(counts, ["shop a 2", "shop b 1", &format!("{OTHER} {OTHER} 2")]);
    }
}
