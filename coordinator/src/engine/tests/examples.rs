//! The specification's own examples, driven with plausible answers.
//!
//! `WINDLASS_SPEC` names the folder of the specification; without it, one beside the repository is
//! looked for, and where there is none the test is skipped.

use std::path::{Path, PathBuf};

use windlass_proto::problem::{Problem, Standard, same_type};

use super::driver::{Answer, Run, plan, problem};
use super::{json, shown};
use crate::engine::Ending;

/// How an example ends.
enum End {
    Completes,
    /// With this kind of error, for this reason.
    Faults(&'static str, &'static str),
    /// It goes on listening, after this many calls.
    Listens(usize),
}

struct Example {
    file: &'static str,
    input: &'static str,
    /// Task and what a worker gives for it; a number is the status of an error.
    answers: &'static [(&'static str, &'static str)],
    /// Events beside `id`, `source` and `type`, which `type` gives.
    events: &'static [(&'static str, &'static str)],
    end: End,
}

const fn example(file: &'static str, input: &'static str, end: End) -> Example {
    Example { file, input, answers: &[], events: &[], end }
}

const fn heard(file: &'static str, events: &'static [(&'static str, &'static str)]) -> Example {
    Example { file, input: "{}", answers: &[], events, end: End::Completes }
}

const HOT: (&str, &str) =
    ("com.fake-hospital.vitals.measurements.temperature", r#"{"data":{"temperature":39}}"#);
const COOL: (&str, &str) =
    ("com.fake-hospital.vitals.measurements.temperature", r#"{"data":{"temperature":37}}"#);
const FAST: (&str, &str) = ("com.fake-hospital.vitals.measurements.bpm", r#"{"data":{"bpm":130}}"#);
const ROOM: &str = r#"{"source":"https://my.home.com/sensor","roomid":"r1","data":{"reading":7}}"#;

/// All others start with an empty object, their calls give their input, and they complete.
const SPECIAL: &[Example] = &[
    Example {
        events: &[("my.home.sensors.temperature", ROOM), ("my.home.sensors.humidity", ROOM)],
        ..example(
            "accumulate-room-readings",
            "{}",
            End::Faults("expression", "`.data.reading` is asked of the array that `listen` gives"),
        )
    },
    Example {
        answers: &[(
            "getStarWarsCharacter",
            r#"{"statusCode":200,"content":{"homeworld":"https://swapi.dev/api/planets/1"}}"#,
        )],
        ..example("star-wars-homeworld", r#"{"id":1}"#, End::Completes)
    },
    example("star-wars-homeworld", "{}", End::Faults("validation", "the id is required")),
    example("for", r#"{"pets":[{"id":1},{"id":2}]}"#, End::Completes),
    Example {
        events: &[("com.fake.petclinic.pets.checkup.completed.v2", r#"{"data":{}}"#)],
        ..example(
            "for",
            r#"{"pets":[{"id":1},{"id":2}],"vet":"Dr. Who"}"#,
            End::Faults("expression", "`.pets` is asked of the array that `listen` gives"),
        )
    },
    example("fork", r#"{"patient":{"fullName":"P"},"room":{"number":7}}"#, End::Completes),
    heard("listen-to-all", &[COOL, FAST, HOT]),
    heard("listen-to-all read-envelope", &[HOT, FAST]),
    heard("listen-to-any", &[("anything", "{}")]),
    heard("listen-to-any-filter", &[COOL, FAST]),
    heard("listen-to-any-until-condition", &[("a", "{}"), ("b", "{}"), ("c", "{}"), ("d", "{}")]),
    heard(
        "listen-to-any-until-consumed",
        &[HOT, FAST, ("com.fake-hospital.patient.checked-out", "{}")],
    ),
    Example {
        events: &[("gossip", r#"{"data":1}"#), ("gossip", r#"{"data":2}"#)],
        ..example("listen-to-any-forever-foreach", "{}", End::Listens(2))
    },
    heard("listen-to-one", &[("com.virtual-wf-powered-race.events.race.started.v1", "{}")]),
    example(
        "raise-inline",
        "{}",
        End::Faults("https://serverlessworkflow.io/errors/not-implemented", "it raises"),
    ),
    example(
        "raise-reusable",
        "{}",
        End::Faults("https://serverlessworkflow.io/errors/not-implemented", "it raises"),
    ),
    example("conditional-task", r#"{"customer":{"age":20},"bet":5}"#, End::Completes),
    example(
        "conditional-task",
        r#"{"customer":{"age":17}}"#,
        End::Faults("https://superbet-casinos.com/customer/access-forbidden", "it raises"),
    ),
    example(
        "call-custom-function-cataloged",
        "{}",
        End::Faults("configuration", "nobody has fetched its function"),
    ),
    example("call-http-query-headers-expressions", r#"{"searchQuery":"luke"}"#, End::Completes),
    example("call-http-query-parameters", r#"{"searchQuery":"luke"}"#, End::Completes),
    example("call-http-redirect", r#"{"searchQuery":"luke"}"#, End::Completes),
    example("call-openapi-redirect", r#"{"searchQuery":"luke"}"#, End::Completes),
    example("schedule-event-driven", r#"[{"data":{"patient":{"id":1}}}]"#, End::Completes),
    example("set", r#"[{"data":1}]"#, End::Completes),
    example("set-expression", r#"[{"data":1}]"#, End::Completes),
    Example {
        answers: &[("getPet", "404")],
        ..example("try-catch", r#"{"petId":1}"#, End::Completes)
    },
    Example {
        answers: &[("getPet", "500")],
        ..example("try-catch", r#"{"petId":1}"#, End::Faults("communication", "only 404 is caught"))
    },
    Example {
        answers: &[("getPet", "404")],
        ..example("try-catch-then", r#"{"petId":1}"#, End::Completes)
    },
    Example {
        answers: &[("callExternalService", "503")],
        ..example("try-catch-then-directive", "{}", End::Completes)
    },
    Example {
        answers: &[("getPet", "503")],
        ..example(
            "try-catch-retry-inline",
            "{}",
            End::Faults("communication", "after five retries"),
        )
    },
    Example {
        answers: &[("getPet", "503")],
        ..example(
            "try-catch-retry-reusable",
            "{}",
            End::Faults("communication", "after five retries"),
        )
    },
];

fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec");
    let folder = std::env::var_os("WINDLASS_SPEC").map_or(beside, PathBuf::from).join("examples");
    folder.is_dir().then_some(folder)
}

#[test]
#[allow(clippy::print_stderr)]
fn the_examples_of_the_specification_run() {
    let Some(folder) = folder() else {
        eprintln!("skipped: set WINDLASS_SPEC to the folder of the specification");
        return;
    };
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "yaml") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let plain = example("", "{}", End::Completes);
        let special: Vec<&Example> = SPECIAL.iter().filter(|it| it.file == name).collect();
        let all = if special.is_empty() { vec![&plain] } else { special };
        for example in all {
            count += 1;
            if let Err(reason) = drive(&text, example) {
                wrong.push(format!("{name} with {}: {reason}", example.input));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} runs:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 66, "{count} examples");
}

fn drive(text: &str, example: &Example) -> Result<(), String> {
    let answers = example.answers;
    let mut run = Run::planned(plan(text)).input(example.input).script(move |job| {
        let answer = answers.iter().find(|(name, _)| *name == &*job.name);
        match answer.map(|(_, answer)| (answer, answer.parse())) {
            None => Answer::Echo,
            Some((_, Ok(status))) => Answer::Fail(problem(Standard::Communication, status)),
            Some((value, Err(_))) => Answer::Give(json(value)),
        }
    });
    run.begin();
    run.wait(0);
    for (number, (kind, more)) in example.events.iter().enumerate() {
        let mut event = json(more).into_members().unwrap();
        event.insert("id".into(), format!("e{number}").into());
        event.insert("type".into(), (*kind).into());
        event.insert("specversion".into(), "1.0".into());
        event.entry("source".into()).or_insert_with(|| "/test".into());
        let _ = run.event(&windlass_proto::value::Value::from(event).to_json());
        run.wait(0);
    }
    run.settle();
    let fits = match (&example.end, &run.state.ending) {
        (End::Completes, Some(Ending::Completed(_))) => true,
        (End::Faults(kind, _), Some(Ending::Faulted(Problem { kind: got, .. }))) => {
            same_type(kind, got)
        }
        (End::Listens(calls), None) => run.jobs.len() == *calls,
        _ => false,
    };
    let wanted = match example.end {
        End::Completes => "completion".to_owned(),
        End::Faults(kind, why) => format!("{kind} ({why})"),
        End::Listens(calls) => format!("listening after {calls} calls"),
    };
    let got = shown(run.state.ending.as_ref());
    if fits { Ok(()) } else { Err(format!("wanted {wanted}, got {got}")) }
}
