//! Reads a turn of a worker: each report by itself, and no more of a list than a turn may have.

use std::collections::HashSet;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use windlass_proto::limits::{
    CLAIM_SHOWN_CHARACTERS, HTTP_WORKER_CONCURRENCY, HTTP_WORKER_DELIVERIES,
};
use windlass_proto::value::Value;
use windlass_proto::wire::message::{Held, TokenReport};

use super::{CallReport, RefusedReport, Turn};
use crate::accept::problem::ApiProblem;
use crate::code::Code;
use crate::dispatch::http::{HttpTurn, held, report, unreadable};

/// The first [`HTTP_WORKER_DELIVERIES`] of a list, and how many follow: those take no memory.
#[derive(Debug)]
pub(super) struct Few<T> {
    pub(super) first: Vec<T>,
    pub(super) more: usize,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { first: Vec::new(), more: 0 }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(FewVisitor(PhantomData))
    }
}

struct FewVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FewVisitor<T> {
    type Value = Few<T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Few<T>, A::Error> {
        let mut few = Few::default();
        while few.first.len() < HTTP_WORKER_DELIVERIES {
            match from.next_element()? {
                Some(element) => few.first.push(element),
                None => return Ok(few),
            }
        }
        while from.next_element::<IgnoredAny>()?.is_some() {
            few.more += 1;
        }
        Ok(few)
    }
}

/// Reads a turn, and says which of its reports cannot be taken.
///
/// # Errors
/// When it names deliveries that are none.
pub(super) fn read(turn: Turn) -> Result<(HttpTurn, Vec<RefusedReport>), ApiProblem> {
    let wrong = |why: String| ApiProblem::new(Code::BadBody, why);
    let named = |text: &String| {
        held(text).ok_or_else(|| wrong("a delivery is none that was given".to_owned()))
    };
    if turn.held.more + turn.released.more > 0 {
        let most = HTTP_WORKER_DELIVERIES;
        return Err(wrong(format!("held, released: at most {most} each")));
    }
    let (reports, refused) = judged(&turn.reports);
    let released = turn.released.first.iter().map(|it| Ok(named(it)?.key));
    let mut held = turn.held.first.iter().map(named).collect::<Result<Vec<Held>, ApiProblem>>()?;
    let mut seen = HashSet::new();
    held.retain(|it| seen.insert(it.key.clone()));
    let turn = HttpTurn {
        seen: turn.seen,
        held,
        concurrency: turn.concurrency.unwrap_or(u32::MAX).min(HTTP_WORKER_CONCURRENCY),
        leaving: turn.leaving,
        goodbye: turn.goodbye,
        reports,
        released: released.collect::<Result<_, ApiProblem>>()?,
        // The session knows how long it may be at most.
        wait: turn.wait_ms.map_or(Duration::MAX, Duration::from_millis),
        kept: None,
    };
    Ok((turn, refused))
}

/// Reads each report by itself: what is wrong with one is the error of its task, and nobody else's.
fn judged(reports: &Few<Box<RawValue>>) -> (Vec<TokenReport>, Vec<RefusedReport>) {
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for (index, text) in reports.first.iter().enumerate() {
        let mut refuse = |delivery: Option<String>, reason: String, ended| {
            refused.push(RefusedReport { index, delivery, reason, ended });
        };
        let (delivery, of) = match addressed(text) {
            Ok(addressed) => addressed,
            Err(why) => {
                refuse(None, why, false);
                continue;
            }
        };
        if !seen.insert(of.key.clone()) {
            refuse(Some(delivery), "this turn reports the delivery twice".to_owned(), false);
        } else {
            match result(text) {
                Ok((result, retry_after_ms)) => taken.push(report(of, result, retry_after_ms)),
                Err(why) => {
                    taken.push(unreadable(of, &why));
                    refuse(Some(delivery), why, true);
                }
            }
        }
    }
    if reports.more > 0 {
        let (index, most, more) = (reports.first.len(), HTTP_WORKER_DELIVERIES, reports.more);
        let reason =
            format!("a turn takes {most} reports: send this and what follows ({more}) later");
        refused.push(RefusedReport { index, delivery: None, reason, ended: false });
    }
    (taken, refused)
}

/// The beginning of what is wrong: it may cite what was sent.
fn cut(why: &impl std::fmt::Display) -> String {
    why.to_string().chars().take(CLAIM_SHOWN_CHARACTERS).collect()
}

/// The delivery of a report, whatever else is in it.
fn addressed(text: &RawValue) -> Result<(String, Held), String> {
    #[derive(Deserialize)]
    struct Addressed {
        delivery: String,
    }
    let read = serde_json::from_str::<Addressed>(text.get());
    let Addressed { delivery } = read.map_err(|error| cut(&format_args!("the report: {error}")))?;
    match held(&delivery) {
        Some(held) => Ok((delivery, held)),
        None => Err("its delivery is none that was given".to_owned()),
    }
}

/// What came of a call, and how long whoever was asked wants to rest; why it cannot be read.
#[allow(clippy::type_complexity)]
fn result(text: &RawValue) -> Result<(Result<Value, Value>, Option<u64>), String> {
    let said: CallReport = serde_json::from_str(text.get()).map_err(|it| cut(&it))?;
    // Digits that serde's JSON would round are kept.
    let exact = |what: &str, it: &RawValue| {
        Value::from_json(it.get()).map_err(|error| format!("{what}: {error}"))
    };
    let result = match (&said.error, &said.output) {
        (Some(error), _) => Err(exact("error", error)?),
        (None, Some(output)) => Ok(exact("output", output)?),
        (None, None) => Ok(Value::Null),
    };
    Ok((result, said.retry_after_ms))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use windlass_proto::id::{FrameId, InstanceId, PartitionId};
    use windlass_proto::limits::HTTP_WORKER_DELIVERIES;
    use windlass_proto::value::Value;
    use windlass_proto::wire::AssignmentKey;
    use windlass_proto::wire::outcome::Outcome;

    use super::{Turn, read};
    use crate::dispatch::http::delivery;

    fn named(number: u32) -> String {
        let instance = InstanceId(uuid::Uuid::from_u128(7));
        let (frame, partition) = (FrameId(3), PartitionId(1));
        let key = AssignmentKey { instance, frame, delivery: number, partition, epoch: 9 };
        delivery(key, vec![1])
    }

    fn turn(text: &str) -> Turn {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn each_report_is_judged_by_itself() {
        let deep = "[".repeat(300) + &"]".repeat(300);
        let texts = [
            r#""output": {"n": -123456789012345678901234567890}"#.to_owned(),
            r#""output": "\ud800""#.to_owned(),
            format!(r#""output": {deep}"#),
            r#""output": 1e999"#.to_owned(),
            r#""output": 1, "unknown": 2"#.to_owned(),
            r#""error": {"type": "t", "status": 400, "detail": "\udfff"}"#.to_owned(),
            r#""retryAfterMs": -1"#.to_owned(),
            r#""output": null"#.to_owned(),
        ];
        let reports = texts
            .iter()
            .zip(0..)
            .map(|(text, number)| format!(r#"{{{text}, "delivery": "{}"}}"#, named(number)));
        let mut reports: Vec<_> = reports.collect();
        let again = format!(r#"{{"delivery": "{}"}}"#, named(0));
        reports.extend([again, r#"{"delivery": "é"}"#.to_owned(), "7".to_owned()]);
        let said = turn(&format!(r#"{{"reports": [{}]}}"#, reports.join(",")));
        let (taken, refused) = read(said).map_err(|_| "refused").unwrap();
        let ended: Vec<_> = refused.iter().map(|it| (it.index, it.ended)).collect();
        // Half a pair of surrogates is read as U+FFFD, as everywhere.
        let expected = [2, 3, 4, 6].map(|it| (it, true)).into_iter();
        let expected = expected.chain((8..=10).map(|it| (it, false)));
        assert_eq!(ended, expected.collect::<Vec<_>>(), "{refused:?}");
        assert!(refused[..5].iter().all(|it| it.delivery.is_some()), "{refused:?}");
        let results = taken.reports.iter().map(|it| Outcome::unpack(&it.outcome).result);
        let results: Vec<_> = results.collect();
        let exact = Value::from_json(r#"{"n":-123456789012345678901234567890}"#).unwrap();
        assert_eq!((results.len(), &results[0]), (8, &Ok(exact)));
        assert_eq!(results[1], Ok(Value::from("\u{fffd}")));
        for index in [2, 3, 4, 6] {
            let detail = results[index].as_ref().unwrap_err().detail.clone().unwrap();
            assert!(detail.contains("cannot be read"), "{detail}");
        }
        assert_eq!(results[7], Ok(Value::Null));
    }

    #[test]
    fn a_turn_carries_a_bounded_number_and_says_so() {
        let one = |number| format!(r#"{{"delivery": "{}"}}"#, named(number));
        let most = u32::try_from(HTTP_WORKER_DELIVERIES).unwrap();
        let reports: Vec<_> = (0..most + 3).map(one).collect();
        let said = turn(&format!(r#"{{"reports": [{}]}}"#, reports.join(",")));
        let (taken, refused) = read(said).map_err(|_| "refused").unwrap();
        assert_eq!((taken.reports.len(), refused.len()), (HTTP_WORKER_DELIVERIES, 1));
        assert!(refused[0].reason.contains("(3)"), "{refused:?}");
        let held = vec![named(1); 5];
        let said = turn(&serde_json::json!({ "held": held }).to_string());
        assert_eq!(read(said).map_err(|_| "refused").unwrap().0.held.len(), 1, "once is enough");
        let held: Vec<_> = (0..=most).map(named).collect();
        assert!(read(turn(&serde_json::json!({ "held": held }).to_string())).is_err());
    }
}
