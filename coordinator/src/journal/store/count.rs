//! Counting what a batch changes, into the batch itself.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use super::super::ordered::Ordered;
use super::super::space::{Change, Space};
use super::super::{JournalError, keys, record};
use super::tally::{Tally, is_covered};
use super::verify::Verification;
use super::{Store, lock};

/// What stands once a batch is durable.
pub(super) struct Counted {
    pub(super) tally: Tally,
    pub(super) verification: Option<Verification>,
}

impl<O: Ordered> Store<O> {
    /// Adds the tally as it will be to a batch, and leaves out what changes nothing. `None` for a
    /// batch that the tally does not cover. The caller holds [`Store::exclusive`].
    pub(super) fn tally_with(
        &self,
        changes: &mut Vec<Change>,
    ) -> Result<Option<Counted>, JournalError> {
        if !changes.iter().any(|it| is_covered(it.space, &it.key)) {
            return Ok(None);
        }
        let mut tally = lock(&self.tally).clone();
        let mut verification = lock(&self.verification).clone();
        let mut touched = BTreeSet::new();
        let mut idle = BTreeSet::new();
        // What the batch itself leaves under a key: of several changes the last one counts.
        let mut staged: HashMap<(Space, &[u8]), Option<&[u8]>> = HashMap::new();
        for (index, change) in changes.iter().enumerate() {
            let Change { space, key, value } = change;
            if !is_covered(*space, key) {
                continue;
            }
            let old = match staged.get(&(*space, key.as_slice())) {
                Some(staged) => staged.map(Cow::Borrowed),
                None => self.ordered.get(*space, key)?.map(Cow::Owned),
            };
            if old.is_none() && value.is_none() {
                idle.insert(index);
                continue;
            }
            let passed = verification.as_mut().and_then(|it| it.passed(*space, key));
            for sum in [tally.sum(*space), passed].into_iter().flatten() {
                if let Some(old) = &old {
                    sum.subtract(*space, key, old);
                }
                if let Some(new) = value {
                    sum.add(*space, key, new);
                }
            }
            touched.insert(*space);
            staged.insert((*space, key), value.as_deref());
        }
        let mut index = 0;
        changes.retain(|_| {
            index += 1;
            !idle.contains(&(index - 1))
        });
        if touched.is_empty() {
            return Ok(None);
        }
        for space in touched {
            if let Some(sum) = tally.sum(space) {
                sum.commits = sum.commits.saturating_add(1);
            }
        }
        record::put(changes, Space::Common, keys::TALLY.to_vec(), &[&tally.encode()]);
        Ok(Some(Counted { tally, verification }))
    }
}
