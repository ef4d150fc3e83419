//! A message of a worker that is too large to be taken: what can be read of its beginning.
//!
//! Dropped in silence, what it reports would be sent again for ever, and its tasks would never end.
//! So the reports before the cut are taken as they are, and the one that does not fit even alone
//! can be answered by its key and token, which come before its outcome.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_bytes::ByteBuf;

use super::AssignmentKey;
use super::message::TokenReport;
use super::packed::Packed;

/// What the beginning of a message holds.
#[derive(Debug, Default)]
pub struct Truncated {
    /// Reports that are whole.
    pub whole: Vec<TokenReport>,
    /// Key and token of the report at which it breaks off.
    pub broken: Option<(AssignmentKey, ByteBuf)>,
}

impl Truncated {
    /// Reads the beginning of a message, up to where it breaks off.
    #[must_use]
    pub fn of(beginning: &[u8]) -> Self {
        let mut cut = Self::default();
        // It ends in an error, as the message breaks off; what came before that is noted.
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(beginning);
        let _ = Part::Message(&mut cut).deserialize(&mut deserializer);
        cut
    }
}

/// A part of the message that is looked into.
enum Part<'c> {
    Message(&'c mut Truncated),
    Reports(&'c mut Truncated),
    Report(&'c mut Truncated),
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message of a worker")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<(), A::Error> {
        match self {
            Self::Reports(cut) => while all.next_element_seed(Part::Report(cut))?.is_some() {},
            Self::Message(_) | Self::Report(_) => {
                while all.next_element::<IgnoredAny>()?.is_some() {}
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<(), A::Error> {
        let cut = match self {
            Self::Message(cut) => {
                while let Some(name) = all.next_key::<String>()? {
                    match name.as_str() {
                        "reports" => all.next_value_seed(Part::Reports(cut))?,
                        _ => drop(all.next_value::<IgnoredAny>()?),
                    }
                }
                return Ok(());
            }
            Self::Reports(cut) | Self::Report(cut) => cut,
        };
        let (mut key, mut token, mut outcome) = (None, None, Packed::default());
        while let Some(name) = all.next_key::<String>()? {
            match name.as_str() {
                "key" => key = Some(all.next_value::<AssignmentKey>()?),
                "token" => token = Some(all.next_value::<ByteBuf>()?),
                "outcome" => {
                    cut.broken = key.clone().zip(token.clone());
                    outcome = all.next_value()?;
                }
                _ => drop(all.next_value::<IgnoredAny>()?),
            }
        }
        cut.broken = None;
        if let (Some(key), Some(token)) = (key, token) {
            cut.whole.push(TokenReport { key, token, outcome });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::super::message::{Beat, ToCoordinator, TokenReport, encode};
    use super::super::packed::Packed;
    use super::Truncated;
    use crate::id::{FrameId, InstanceId, PartitionId};
    use crate::wire::AssignmentKey;

    fn report(delivery: u32, bytes: usize) -> TokenReport {
        let instance = InstanceId(uuid::Uuid::from_u128(7));
        let (frame, partition) = (FrameId(1), PartitionId(0));
        let key = AssignmentKey { instance, frame, delivery, partition, epoch: 1 };
        let token = ByteBuf::from(vec![3; 32]);
        TokenReport { key, token, outcome: Packed::from_bytes(vec![0xc0; bytes]) }
    }

    #[test]
    fn whole_reports_are_taken_and_the_one_that_breaks_off_is_named() {
        let reports = vec![report(1, 10), report(2, 20), report(3, 5_000)];
        let beat = Some(Beat::default());
        let message = encode(&ToCoordinator { reports, beat, ..Default::default() }).unwrap();
        let deliveries =
            |cut: &Truncated| cut.whole.iter().map(|it| it.key.delivery).collect::<Vec<_>>();
        let cut = Truncated::of(&message[..message.len() - 2_000]);
        assert_eq!(deliveries(&cut), [1, 2]);
        assert_eq!(cut.whole[1].outcome.len(), 20);
        let (key, token) = cut.broken.unwrap();
        assert_eq!((key.delivery, token.len()), (3, 32));
        // Wherever it breaks off, nothing is made up.
        for end in 0..message.len() {
            let cut = Truncated::of(&message[..end]);
            let broken = cut.broken.as_ref().map(|(key, _)| key.delivery);
            let next = u32::try_from(cut.whole.len()).unwrap() + 1;
            assert!(broken.is_none_or(|it| it == next), "{end}: {cut:?}");
            assert_eq!(deliveries(&cut), (1..next).collect::<Vec<_>>(), "{end}");
        }
        assert!(Truncated::of(b"\xc1").whole.is_empty());
    }
}
