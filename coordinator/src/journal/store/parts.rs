//! Records put together from their parts.

use windlass_proto::limits;

use super::super::ordered::Ordered;
use super::super::space::Space;
use super::super::{JournalError, keys, record};
use super::Store;

impl<O: Ordered> Store<O> {
    /// The body of the record under `key`, put together from its parts.
    pub(in super::super) fn body(
        &self,
        space: Space,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, JournalError> {
        match self.ordered.get(space, key)? {
            Some(value) => self.whole(space, key, value),
            None => Ok(None),
        }
    }

    /// The whole body of which `value`, found under `key`, is the first part; that of a later value
    /// when the record changed meanwhile, and none when it went.
    pub(in super::super) fn whole(
        &self,
        space: Space,
        key: &[u8],
        mut value: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, JournalError> {
        for _ in 0..limits::READ_ATTEMPTS {
            let error = match self.assemble(space, key, &value) {
                Err(error @ JournalError::Damaged(_)) => error,
                done => return done.map(Some),
            };
            // Parts that do not fit may belong to what has just replaced the first one.
            match self.ordered.get(space, key)? {
                Some(now) if now == value => return Err(error),
                Some(now) => value = now,
                None => return Ok(None),
            }
        }
        Err(JournalError::Store("a record changes too fast to be read".to_owned()))
    }

    fn assemble(&self, space: Space, key: &[u8], value: &[u8]) -> Result<Vec<u8>, JournalError> {
        let opened = record::open(key, value)?;
        let (parts, length) = (opened.parts(), opened.length);
        let mut body = opened.first.into_owned();
        for number in (0_u32..).take(parts) {
            let part = keys::part(key, number);
            let value = self.ordered.get(space, &part)?;
            let value = value.ok_or_else(|| record::damaged(key, "lacks parts"))?;
            body.extend_from_slice(&record::open(&part, &value)?.first);
        }
        if body.len() == length {
            Ok(body)
        } else {
            Err(record::damaged(key, "has parts of the wrong length"))
        }
    }
}
