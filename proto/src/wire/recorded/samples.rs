//! One message of each kind with every field set, from keys that never change.

use std::sync::Arc;

use crypto_box::aead::Aead as _;
use crypto_box::{SalsaBox, SecretKey};
use serde_bytes::ByteBuf;
use uuid::Uuid;

use crate::id::{Digest, FrameId, InstanceId, PartitionId, WorkflowId};
use crate::plan::TaskIx;
use crate::problem::Problem;
use crate::sealed::Sealed;
use crate::time::Timestamp;
use crate::value::Value;
use crate::wire::hello::{Answer, Hello, Introduction, Joining, Welcome};
use crate::wire::key::{CoordinatorKey, WorkerKey};
use crate::wire::message::{
    Beat, Call, Definition, Held, Sent, Settled, ToCoordinator, ToWorker, TokenReport, encode,
};
use crate::wire::outcome::Outcome;
use crate::wire::packed::Packed;
use crate::wire::session::SessionId;
use crate::wire::{Assignment, AssignmentKey, Field, Work};

/// The coordinator's secret: 32 bytes of 1.
const COORDINATOR: &str = "ck1_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
/// The worker's secret.
const WORKER: [u8; 32] = [2; 32];
/// The nonce of both boxes of a registration.
const NONCE: [u8; 24] = [3; 24];
/// The session.
pub(super) const SESSION: SessionId = SessionId([4; 16]);

/// Both ends of a registration.
pub(super) struct Pair {
    pub(super) coordinator: CoordinatorKey,
    pub(super) worker_key: WorkerKey,
    pub(super) cipher: SalsaBox,
    pub(super) joining: Joining,
}

impl Pair {
    pub(super) fn fixed() -> Self {
        let coordinator = CoordinatorKey::parse(COORDINATOR).unwrap();
        let worker_key = coordinator.worker_key(Some("gpu"));
        let shared = || SalsaBox::new(&worker_key.coordinator, &SecretKey::from(WORKER));
        let (cipher, joining) = (shared(), Joining { cipher: shared() });
        Self { coordinator, worker_key, cipher, joining }
    }

    fn seal(&self, plain: &[u8]) -> ByteBuf {
        ByteBuf::from(self.cipher.encrypt((&NONCE).into(), plain).unwrap())
    }
}

pub(super) fn introduction() -> Introduction {
    Introduction {
        enrolment: ByteBuf::from(Pair::fixed().worker_key.enrolment.to_vec()),
        pool: "gpu".into(),
        identity: "press-0a1b2c3d".into(),
        version: "0.1.0".into(),
        capabilities: vec!["function:charge-card".into()],
        concurrency: 256,
        evaluates: false,
        isolation: None,
    }
}

pub(super) fn hello() -> Vec<u8> {
    let key = SecretKey::from(WORKER).public_key().as_bytes().to_vec();
    let hello = Hello {
        protocols: vec![2],
        key: ByteBuf::from(key),
        nonce: ByteBuf::from(NONCE.to_vec()),
        sealed: Pair::fixed().seal(&encode(&introduction()).unwrap()),
    };
    encode(&hello).unwrap()
}

pub(super) fn welcome() -> Welcome {
    let session = ByteBuf::from(SESSION.0.to_vec());
    Welcome { session, protocol: 2, lease_ms: 6_000, beat_ms: 2_000, refused: None }
}

pub(super) fn refusal() -> Welcome {
    let refused = Some("its key does not admit it to the pool `gpu`".to_owned());
    Welcome { session: ByteBuf::new(), protocol: 0, refused, ..welcome() }
}

pub(super) fn answer() -> Vec<u8> {
    let sealed = Pair::fixed().seal(&encode(&welcome()).unwrap());
    encode(&Answer { nonce: ByteBuf::from(NONCE.to_vec()), sealed }).unwrap()
}

/// The answer that has [`refusal`] in it.
pub(super) fn refused() -> Vec<u8> {
    let sealed = Pair::fixed().seal(&encode(&refusal()).unwrap());
    encode(&Answer { nonce: ByteBuf::from(NONCE.to_vec()), sealed }).unwrap()
}

fn key(delivery: u32) -> AssignmentKey {
    AssignmentKey {
        instance: InstanceId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0007)),
        frame: FrameId(3),
        delivery,
        partition: PartitionId(12),
        epoch: 5,
    }
}

fn token(delivery: u32) -> ByteBuf {
    ByteBuf::from(Pair::fixed().coordinator.token(&key(delivery)).to_vec())
}

/// A value of every kind, with integers at and beyond the bounds of 64 bits.
pub(super) fn value() -> Value {
    let text = r#"{"none": null, "yes": true, "small": -1, "half": 0.5,
        "least": -9223372036854775808, "below": -9223372036854775809,
        "beyond": 18446744073709551616, "list": ["é", {}, []]}"#;
    Value::from_json(text).unwrap()
}

fn workflow() -> WorkflowId {
    WorkflowId { namespace: "shop".into(), name: "order".into(), version: "1.0.0".into() }
}

fn digest() -> Digest {
    Digest::of("a definition")
}

fn traceparent() -> &'static str {
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
}

/// A value that only workers of its namespace with the key can read.
pub(super) fn sealed() -> Value {
    let sealed = Sealed {
        key: "vault:transit".into(),
        namespace: "shop".into(),
        instance: key(1).instance,
        ciphertext: b"vault:v1:ciphertext".to_vec(),
    };
    Value::object([("card", Value::Sealed(Arc::new(sealed)))])
}

pub(super) fn assignment() -> Assignment {
    Assignment {
        key: key(1),
        workflow: workflow(),
        digest: digest(),
        task: TaskIx(4),
        reference: "/do/0/charge".into(),
        visit: 0x81d2_3fd7_003c_2305,
        work: Work::Perform,
        input: value(),
        variables: vec![("context".into(), Value::Int(7))],
        now: Timestamp(1_700_000_000_000),
        deadline: Some(Timestamp(1_700_000_060_000)),
        traceparent: Some(traceparent().into()),
        tracestate: None,
        pool: Some("gpu".into()),
        priority: 9,
        losses: 2,
        grant: None,
    }
}

pub(super) fn to_worker() -> ToWorker {
    let sent = |assignment: Assignment| Sent {
        key: key(1),
        assignment: Packed::of(&assignment).unwrap(),
        token: token(1),
        remaining_ms: Some(60_000),
    };
    let evaluate = Assignment { work: Work::Evaluate(Field::OutputAs), ..assignment() };
    let call = Call {
        key: key(2),
        token: token(2),
        function: "charge-card".into(),
        arguments: Packed::of(&value()).unwrap(),
        workflow: workflow(),
        reference: "/do/0/charge".into(),
        idempotency_key: assignment().idempotency_key(),
        remaining_ms: Some(60_000),
        traceparent: Some(traceparent().into()),
        tracestate: None,
    };
    ToWorker {
        assignments: vec![sent(assignment()), sent(evaluate)],
        calls: vec![call],
        cancelled: vec![key(3)],
        settled: vec![Settled { key: key(4), accepted: true }],
        definitions: vec![Definition { digest: digest(), text: Some("a definition".into()) }],
        beat: Some(17),
        ..ToWorker::default()
    }
}

/// What came of two calls.
pub(super) fn outcomes() -> [Outcome; 2] {
    let problem = Problem {
        kind: "https://example.com/errors/declined".into(),
        status: 402,
        title: Some("Declined".into()),
        detail: Some("ask the bank".into()),
        instance: None,
    };
    [Ok(value()), Err(problem)].map(Outcome::from)
}

pub(super) fn to_coordinator() -> ToCoordinator {
    let reports = (1..).zip(outcomes()).map(|(delivery, outcome)| TokenReport {
        key: key(delivery),
        token: token(delivery),
        outcome: outcome.pack().unwrap(),
    });
    ToCoordinator {
        reports: reports.collect(),
        released: vec![key(3)],
        wanted: vec![digest()],
        beat: Some(Beat {
            number: 17,
            seen: 23,
            held: vec![Held { key: key(1), token: token(1) }],
            concurrency: 256,
            leaving: true,
            goodbye: true,
            store: None,
        }),
        ..ToCoordinator::default()
    }
}
