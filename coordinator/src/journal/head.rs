//! How a head is written: what filters ask for first, so that a scan decodes no more than that.
//!
//! ```text
//! digest | length of summary: varint | summary: MessagePack | output and error: MessagePack
//! ```

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use windlass_proto::id::{Digest, InstanceId, WorkflowId};
use windlass_proto::problem::Problem;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::record::{damaged, push_varint, read_varint};
use super::{Filter, Head, JournalError, Status};

/// Everything but digest, output and error, by position.
#[derive(Serialize, Deserialize)]
struct Summary(
    WorkflowId,
    u8,
    Timestamp,
    Option<Timestamp>,
    Vec<(Arc<str>, Arc<str>)>,
    Option<InstanceId>,
    #[serde(default)] Option<InstanceId>,
);

/// A problem leaves out what it has not, so it goes by name.
#[derive(Serialize, Deserialize)]
struct Ending {
    // A list of none or one: `null` is an output too.
    #[serde(rename = "o", default, skip_serializing_if = "Vec::is_empty")]
    output: Vec<Value>,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
}

pub(super) fn encode(head: &Head) -> Result<Vec<u8>, JournalError> {
    let summary = rmp_serde::to_vec(&Summary(
        head.workflow.clone(),
        code(head.status),
        head.started_at,
        head.ended_at,
        head.labels.clone(),
        head.parent,
        head.root,
    ))
    .map_err(unwritable)?;
    let mut body = Vec::with_capacity(summary.len() + 40);
    push_digest(&mut body, &head.digest);
    push_varint(&mut body, summary.len() as u64);
    body.extend_from_slice(&summary);
    if head.output.is_some() || head.error.is_some() {
        let ending =
            Ending { output: head.output.iter().cloned().collect(), error: head.error.clone() };
        rmp_serde::encode::write_named(&mut body, &ending).map_err(unwritable)?;
    }
    Ok(body)
}

/// A head of which output and error are not decoded yet.
pub(super) struct Partial<'a> {
    head: Head,
    ending: &'a [u8],
}

/// Decodes what filters ask for; `body` may lack its end. `None` when it is malformed or lacks
/// too much.
pub(super) fn summary(body: &[u8]) -> Option<Partial<'_>> {
    let (digest, rest) = read_digest(body)?;
    let (length, rest) = read_varint(rest)?;
    let (summary, ending) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    let Summary(workflow, status, started_at, ended_at, labels, parent, root) = decoded(summary)?;
    let status = status_of(status)?;
    let head = Head {
        workflow,
        digest,
        status,
        started_at,
        ended_at,
        labels,
        parent,
        root,
        output: None,
        error: None,
    };
    Some(Partial { head, ending })
}

impl Partial<'_> {
    /// When the instance started.
    pub(super) fn started_at(&self) -> Timestamp {
        self.head.started_at
    }

    /// Whether the instance has ended.
    pub(super) fn is_final(&self) -> bool {
        self.head.status.is_final()
    }

    /// The head as far as it is decoded: without output and error.
    pub(super) fn without_ending(self) -> Head {
        self.head
    }

    /// The workflow, while the instance has not ended.
    pub(super) fn open_of(&self) -> Option<&WorkflowId> {
        (!self.head.status.is_final()).then_some(&self.head.workflow)
    }

    /// True when all conditions given hold but those on the error, which is not decoded yet.
    pub(super) fn may_match(&self, filter: &Filter) -> bool {
        self.head.matches_without_error(filter)
    }
}

/// Decodes the whole head.
pub(super) fn decode(key: &[u8], body: &[u8]) -> Result<Head, JournalError> {
    let unreadable = || damaged(key, "is not a head");
    let Partial { mut head, ending } = summary(body).ok_or_else(unreadable)?;
    if !ending.is_empty() {
        let ending: Ending = decoded(ending).ok_or_else(unreadable)?;
        head.output = ending.output.into_iter().next();
        head.error = ending.error;
    }
    Ok(head)
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    rmp_serde::from_slice(bytes).ok()
}

fn unwritable(error: rmp_serde::encode::Error) -> JournalError {
    JournalError::Store(format!("a head cannot be encoded: {error}"))
}

/// A digest takes half its length when it is what it should be: hexadecimal.
fn push_digest(body: &mut Vec<u8>, digest: &Digest) {
    let text = digest.0.as_bytes();
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let packed: Option<Vec<u8>> = text
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _ => None,
        })
        .collect();
    if let (64, Some(packed)) = (text.len(), packed) {
        body.push(1);
        body.extend_from_slice(&packed);
    } else {
        body.push(0);
        push_varint(body, text.len() as u64);
        body.extend_from_slice(text);
    }
}

fn read_digest(body: &[u8]) -> Option<(Digest, &[u8])> {
    match body.split_first()? {
        (1, rest) => {
            let (packed, rest) = rest.split_first_chunk::<32>()?;
            let hex = |nibble: u8| char::from_digit(u32::from(nibble), 16);
            let text: Option<String> =
                packed.iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 15)]).collect();
            Some((Digest(text?.into()), rest))
        }
        (0, rest) => {
            let (length, rest) = read_varint(rest)?;
            let (text, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            Some((Digest(std::str::from_utf8(text).ok()?.into()), rest))
        }
        _ => None,
    }
}

fn code(status: Status) -> u8 {
    match status {
        Status::Pending => 0,
        Status::Running => 1,
        Status::Waiting => 2,
        Status::Suspended => 3,
        Status::Cancelled => 4,
        Status::Faulted => 5,
        Status::Completed => 6,
    }
}

fn status_of(code: u8) -> Option<Status> {
    Some(match code {
        0 => Status::Pending,
        1 => Status::Running,
        2 => Status::Waiting,
        3 => Status::Suspended,
        4 => Status::Cancelled,
        5 => Status::Faulted,
        6 => Status::Completed,
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use uuid::Uuid;
    use windlass_proto::id::{Digest, InstanceId, WorkflowId};
    use windlass_proto::problem::{Problem, Standard};
    use windlass_proto::time::Timestamp;
    use windlass_proto::value::Value;

    use super::super::{Head, Status};
    use super::{code, decode, encode, status_of};

    #[test]
    fn heads_come_back_as_they_were() {
        let plain = Head {
            workflow: WorkflowId {
                namespace: "n".into(),
                name: "w".into(),
                version: "1.0.0".into(),
            },
            digest: Digest::of("text"),
            status: Status::Running,
            started_at: Timestamp(1_700_000_000_000),
            ended_at: None,
            labels: Vec::new(),
            parent: None,
            root: None,
            output: None,
            error: None,
        };
        let body = encode(&plain).unwrap();
        assert!(body.len() < 100, "{} bytes", body.len());
        assert_eq!(decode(b"k", &body).unwrap(), plain);
        let full = Head {
            digest: Digest("not hexadecimal".into()),
            status: Status::Faulted,
            ended_at: Some(Timestamp(1_700_000_000_001)),
            labels: vec![("team".into(), "blue".into())],
            parent: Some(InstanceId(Uuid::from_u128(9))),
            root: Some(InstanceId(Uuid::from_u128(8))),
            output: Some(Value::object([("a", Value::Null)])),
            error: Some(Problem::new(Standard::Timeout, "too slow")),
            ..plain
        };
        let body = encode(&full).unwrap();
        assert_eq!(decode(b"k", &body).unwrap(), full);
        for length in 0..body.len() {
            // Cut short: an error or, where only the ending is gone, a head without it.
            if let Ok(head) = decode(b"k", &body[..length]) {
                assert_eq!((head.output, head.error), (None, None));
            }
        }
    }

    #[test]
    fn an_output_of_null_is_not_a_missing_output() {
        let head = Head {
            workflow: WorkflowId {
                namespace: "n".into(),
                name: "w".into(),
                version: "1.0.0".into(),
            },
            digest: Digest::of("text"),
            status: Status::Completed,
            started_at: Timestamp(1),
            ended_at: Some(Timestamp(2)),
            labels: Vec::new(),
            parent: None,
            root: None,
            output: Some(Value::Null),
            error: None,
        };
        assert_eq!(decode(b"k", &encode(&head).unwrap()).unwrap(), head);
    }

    #[test]
    fn heads_from_before_roots_were_kept_have_none() {
        #[derive(serde::Serialize)]
        struct Before(WorkflowId, u8, Timestamp, Option<Timestamp>, [u8; 0], Option<InstanceId>);
        let workflow =
            WorkflowId { namespace: "n".into(), name: "w".into(), version: "1.0.0".into() };
        let parent = Some(InstanceId(Uuid::from_u128(9)));
        let before = Before(workflow, 1, Timestamp(1), None, [], parent);
        let summary = rmp_serde::to_vec(&before).unwrap();
        let mut body = Vec::new();
        super::push_digest(&mut body, &Digest::of("text"));
        super::push_varint(&mut body, summary.len() as u64);
        body.extend_from_slice(&summary);
        let head = decode(b"k", &body).unwrap();
        assert_eq!((head.parent, head.root), (parent, None));
    }

    #[test]
    fn every_status_has_a_code_of_its_own() {
        for status in [
            Status::Pending,
            Status::Running,
            Status::Waiting,
            Status::Suspended,
            Status::Cancelled,
            Status::Faulted,
            Status::Completed,
        ] {
            assert_eq!(status_of(code(status)), Some(status));
        }
    }
}
