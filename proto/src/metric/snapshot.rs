//! What there is to tell at one moment: samples of families of the table.

use std::sync::Arc;

use super::counter::Counter;
use super::family::Family;
use super::histogram::{Distribution, Histogram};

/// Samples, family by family in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot(Vec<Entry>);

/// A family with its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The family.
    pub family: &'static Family,
    /// Its samples.
    pub samples: Vec<Sample>,
}

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The values of the family's labels, in their order.
    pub labels: Vec<Arc<str>>,
    /// What was measured.
    pub value: Measured,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    /// A whole number.
    Number(u64),
    /// Any number.
    Float(f64),
    /// Many, of a histogram.
    Spread(Distribution),
}

impl Snapshot {
    /// Adds a sample of a family without labels.
    pub fn add(&mut self, family: &'static Family, value: impl Into<Measured>) {
        self.labelled::<&str>(family, [], value);
    }

    /// Adds a sample of a family with labels.
    pub fn labelled<L: Into<Arc<str>>>(
        &mut self,
        family: &'static Family,
        labels: impl IntoIterator<Item = L>,
        value: impl Into<Measured>,
    ) {
        let labels: Vec<Arc<str>> = labels.into_iter().map(Into::into).collect();
        debug_assert_eq!(labels.len(), family.labels.len(), "labels of {}", family.name);
        let sample = Sample { labels, value: value.into() };
        // The samples of a family stand together, which both formats want.
        match self.0.iter_mut().find(|it| std::ptr::eq(it.family, family)) {
            Some(entry) => entry.samples.push(sample),
            None => self.0.push(Entry { family, samples: vec![sample] }),
        }
    }

    /// The families, with their samples.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }
}

impl From<u64> for Measured {
    fn from(value: u64) -> Self {
        Self::Number(value)
    }
}

impl From<usize> for Measured {
    fn from(value: usize) -> Self {
        Self::Number(value as u64)
    }
}

impl From<bool> for Measured {
    fn from(value: bool) -> Self {
        Self::Number(u64::from(value))
    }
}

impl From<f64> for Measured {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&Counter> for Measured {
    fn from(counter: &Counter) -> Self {
        Self::Number(counter.count())
    }
}

impl From<Distribution> for Measured {
    fn from(spread: Distribution) -> Self {
        Self::Spread(spread)
    }
}

impl From<&Histogram> for Measured {
    fn from(histogram: &Histogram) -> Self {
        Self::Spread(histogram.distribution())
    }
}
