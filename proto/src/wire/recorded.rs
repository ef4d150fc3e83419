//! Messages as earlier versions wrote them, in `proto/tests/recorded`: they must be read for as
//! long as their protocol is spoken. `WINDLASS_RECORD=1` writes those that are not there.

mod samples;
mod tree;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Assignment;
use super::hello::{Hello, Introduction, Welcome, receive};
use super::message::{ToCoordinator, ToWorker, decode, encode};
use super::outcome::Outcome;
use super::packed::Packed;
use super::session::{Channel, End, SessionId};
use crate::value::Value;
use samples::{Pair, SESSION};
use tree::Tree;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded")
}

/// The bytes of a recorded file: hexadecimal digits, white space between them is of no meaning.
fn recorded(name: &str) -> Vec<u8> {
    let path = folder().join(format!("{name}.hex"));
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|it| panic!("{}: {it}", path.display()));
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|it| std::str::from_utf8(it).unwrap());
    pairs.map(|it| u8::from_str_radix(it, 16).unwrap()).collect()
}

/// Asserts that a message is written today as it was recorded.
fn same(name: &str, bytes: &[u8]) {
    let path = folder().join(format!("{name}.hex"));
    if std::env::var_os("WINDLASS_RECORD").is_some() && !path.exists() {
        let lines = bytes.chunks(40).map(|line| {
            let digits: String = line.iter().map(|it| format!("{it:02x}")).collect();
            digits + "\n"
        });
        std::fs::write(&path, lines.collect::<String>()).unwrap();
    }
    assert_eq!(bytes, recorded(name), "{name} is not written as it was recorded");
}

/// Reads a message and writes it again.
fn again<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let message: T = decode(bytes).map_err(|error| error.to_string())?;
    encode(&message).map_err(|error| error.to_string())
}

#[test]
fn messages_are_written_and_read_as_recorded() {
    let (hello, welcome) = (samples::hello(), samples::answer());
    same("introduction", &encode(&samples::introduction()).unwrap());
    same("hello", &hello);
    same("welcome", &encode(&samples::welcome()).unwrap());
    same("refusal", &encode(&samples::refusal()).unwrap());
    same("answer", &welcome);
    same("refused", &samples::refused());
    same("worker_key", samples::Pair::fixed().worker_key.to_text().as_bytes());
    same("assignment", &encode(&samples::assignment()).unwrap());
    same("arguments", &encode(&samples::value()).unwrap());
    same("sealed", &encode(&samples::sealed()).unwrap());
    for (name, outcome) in ["outcome_ok", "outcome_err"].iter().zip(samples::outcomes()) {
        same(name, &encode(&outcome).unwrap());
        let read = Outcome::unpack(&Packed::from_bytes(recorded(name)));
        assert_eq!(read.result, outcome.result, "{name}");
    }
    same("to_worker", &encode(&samples::to_worker()).unwrap());
    same("to_coordinator", &encode(&samples::to_coordinator()).unwrap());
    for (name, read) in [
        ("introduction", again::<Introduction>(&recorded("introduction"))),
        ("hello", again::<Hello>(&recorded("hello"))),
        ("welcome", again::<Welcome>(&recorded("welcome"))),
        ("refusal", again::<Welcome>(&recorded("refusal"))),
        ("assignment", again::<Assignment>(&recorded("assignment"))),
        ("arguments", again::<Value>(&recorded("arguments"))),
        ("sealed", again::<Value>(&recorded("sealed"))),
        ("to_worker", again::<ToWorker>(&recorded("to_worker"))),
        ("to_coordinator", again::<ToCoordinator>(&recorded("to_coordinator"))),
    ] {
        assert_eq!(read, Ok(recorded(name)), "{name}");
    }
}

#[test]
fn a_recorded_registration_and_its_frames_open() {
    let Pair { coordinator, joining, .. } = Pair::fixed();
    let applicant = receive(&coordinator, &recorded("hello")).unwrap();
    assert_eq!(applicant.objection(&coordinator), None);
    assert_eq!(applicant.protocol, Some(2));
    assert_eq!(encode(&applicant.introduction.unwrap()).unwrap(), recorded("introduction"));
    let refused = Pair::fixed().joining.finish(&recorded("refused")).err().unwrap();
    assert!(refused.to_string().contains("the pool `gpu`"), "{refused}");
    let mut worker = joining.finish(&recorded("answer")).unwrap();
    assert_eq!((worker.session, worker.welcome.beat_ms), (SESSION, 2_000));

    let mut channel = Channel::new(Pair::fixed().cipher, SESSION, End::Coordinator);
    let message = recorded("to_worker");
    let half = message.len() / 2 + 64;
    for (number, frame) in (1..).zip(channel.seal(&message, half)) {
        same(&format!("frame_{number}"), &frame);
    }
    assert_eq!(worker.channel.open(&recorded("frame_1")), Ok(None));
    assert_eq!(worker.channel.open(&recorded("frame_2")), Ok(Some(message)));

    // The other way: the nonce has another direction, the counter begins at 1 as well.
    let message = recorded("to_coordinator");
    same("frame_back", &worker.channel.seal(&message, 4_096).remove(0));
    assert_eq!(channel.open(&recorded("frame_back")), Ok(Some(message)));
}

/// Names of maps that are a user's data, or tell a variant by their only key.
const NOT_OURS: &[&str] = &["input", "variables", "work"];

fn unknown_fields_are_skipped<T: DeserializeOwned + Serialize>(name: &str) {
    let bytes = recorded(name);
    let mut tree: Tree = decode(&bytes).unwrap();
    let added = tree.add("added-later", NOT_OURS);
    assert!(added > 0, "{name}");
    assert_eq!(again::<T>(&encode(&tree).unwrap()), Ok(bytes), "{name}");
}

#[test]
fn fields_that_are_not_known_are_skipped() {
    unknown_fields_are_skipped::<Hello>("hello");
    unknown_fields_are_skipped::<Introduction>("introduction");
    unknown_fields_are_skipped::<Welcome>("welcome");
    unknown_fields_are_skipped::<Assignment>("assignment");
    unknown_fields_are_skipped::<ToWorker>("to_worker");
    unknown_fields_are_skipped::<ToCoordinator>("to_coordinator");
}

#[test]
fn what_vendors_add_to_a_trace_travels_with_it() {
    let state = Some("rojo=00f067aa0ba902b7".into());
    let assignment = Assignment { tracestate: state.clone(), ..samples::assignment() };
    let read: Assignment = decode(&encode(&assignment).unwrap()).unwrap();
    assert_eq!(read.tracestate, state);
    let mut message = samples::to_worker();
    message.calls[0].tracestate = state.clone();
    let read: ToWorker = decode(&encode(&message).unwrap()).unwrap();
    assert_eq!(read.calls[0].tracestate, state);
}

/// The fields without which a message is read, as `map.field`.
fn optional<T: DeserializeOwned + Serialize>(name: &str) -> Vec<String> {
    let tree: Tree = decode(&recorded(name)).unwrap();
    let mut found: Vec<String> = tree
        .without_one(name, NOT_OURS)
        .into_iter()
        .filter(|(_, less)| again::<T>(&encode(less).unwrap()).is_ok())
        .map(|(path, _)| path)
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn fields_that_may_be_absent_are_those_that_the_protocol_names() {
    assert_eq!(optional::<Hello>("hello"), [""; 0]);
    assert_eq!(optional::<Introduction>("introduction"), ["introduction.evaluates"]);
    assert_eq!(optional::<Welcome>("refusal"), ["refusal.refused"]);
    let to_worker = [
        "assignments.remaining_ms",
        "calls.remaining_ms",
        "calls.traceparent",
        "definitions.text",
        "to_worker.assignments",
        "to_worker.beat",
        "to_worker.calls",
        "to_worker.cancelled",
        "to_worker.definitions",
        "to_worker.settled",
    ];
    assert_eq!(optional::<ToWorker>("to_worker"), to_worker);
    let assignment = ["assignment.deadline", "assignment.pool", "assignment.traceparent"];
    assert_eq!(optional::<Assignment>("assignment"), assignment);
    let to_coordinator = [
        "beat.concurrency",
        "beat.goodbye",
        "beat.held",
        "beat.leaving",
        "beat.number",
        "beat.seen",
        "reports.outcome",
        "to_coordinator.beat",
        "to_coordinator.released",
        "to_coordinator.reports",
        "to_coordinator.wanted",
    ];
    assert_eq!(optional::<ToCoordinator>("to_coordinator"), to_coordinator);
}

#[test]
fn a_session_id_is_written_in_subjects_as_recorded() {
    let subject = super::subject::Prefix::default().to_worker(SESSION);
    assert_eq!(subject, "windlass.worker.04040404040404040404040404040404");
    assert_eq!(super::subject::session_of(&subject), Some(SessionId([4; 16])));
}
