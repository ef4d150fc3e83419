//! What a file of tests can be made of, for editors: see [`windlass_proto::definition::shape`].

use windlass_proto::definition::shape::{Object, Property, Shape, object, of};

/// A file of tests.
pub(crate) static SUITE: Object = object(
    ("suite", ""),
    "Tests of a Windlass workflow: what it is given, what answers its calls, what is to come of it",
    &["workflow", "cases"],
    &[
        &[
            of("workflow", Shape::Text, "The file of the workflow, from this one"),
            of("with", Shape::List(&Shape::Text), "Files of workflows that it runs"),
            of("cases", Shape::List(&Shape::Of(&CASE)), "The tests"),
        ],
        AROUND,
    ],
);

/// A file of mocks.
pub(crate) static SURROUNDINGS: Object =
    object(("mocks", ""), "What answers the calls of a workflow that is played", &[], &[AROUND]);

static AROUND: &[Property] = &[
    of("now", Shape::Text, "The time when it begins, such as 2026-01-31T08:00:00Z"),
    of("secrets", Shape::Mapping, "Secrets, by name"),
    of("mocks", Shape::List(&Shape::Of(&MOCK)), "What answers calls; the first that fits counts"),
    of("events", Shape::List(&Shape::Of(&EVENT)), "Events that are sent"),
];

static CASE: Object = object(
    ("case", ""),
    "A test",
    &["name"],
    &[
        &[
            of("name", Shape::Text, "What it is called"),
            of("input", Shape::Any, "What the workflow is given"),
            of("schedule", Shape::Number(1, i64::MAX), "In place of an input: so many starts"),
            of("expect", Shape::Of(&EXPECT), "What is to come of it"),
        ],
        AROUND,
    ],
);

const TARGET: &[Property] = &[
    of("task", Shape::Text, "The task that calls, by name or JSON pointer"),
    of("http", Shape::Text, "The request: `POST https://pay.example.com/*`"),
    of("function", Shape::Text, "The function that is called"),
];

static MOCK: Object = object(
    ("mock", ""),
    "What answers a call",
    &[],
    &[
        TARGET,
        &[
            of("when", Shape::Expression, "Only where this is true of what is sent"),
            of("answer", Shape::Of(&ANSWER), "The answer"),
            of("answers", Shape::List(&Shape::Of(&ANSWER)), "Answers, one call after the other"),
        ],
    ],
);

static ANSWER: Object = object(
    ("answer", ""),
    "The answer to a call",
    &[],
    &[&[
        of("output", Shape::Any, "What the task gets"),
        of("compute", Shape::Expression, "What it gets, made of what was sent"),
        of("status", Shape::Number(100, 599), "The status of a response"),
        of("headers", Shape::Mapping, "Its headers"),
        of("body", Shape::Any, "Its body"),
        of("error", Shape::Of(&ERROR), "The error that it ends with"),
        of("never", Shape::Flag, "It is never answered"),
        of("delay", Shape::Duration, "How long it takes"),
        of("times", Shape::Number(1, 4_294_967_295), "It answers so many calls"),
    ]],
);

const ERROR_PARTS: &[Property] = &[
    of("type", Shape::Text, "Its type: a URI, or a standard one such as timeout"),
    of("status", Shape::Number(100, 599), "Its status"),
    of("title", Shape::Text, "Its title"),
    of("detail", Shape::Text, "Its detail"),
];

static ERROR: Object = object(("mockedError", ""), "An error", &["type"], &[ERROR_PARTS]);
static EXPECTED_ERROR: Object = object(("expectedError", ""), "An error", &[], &[ERROR_PARTS]);

static EVENT: Object = object(
    ("sentEvent", ""),
    "An event that is sent",
    &["event"],
    &[&[
        of("at", Shape::Duration, "So long after the begin"),
        of("event", Shape::Mapping, "Its attributes: `type` is enough"),
        of("consumed", Shape::Flag, "Whether something is to take it [default: true]"),
    ]],
);

static EXPECT: Object = object(
    ("expect", ""),
    "What is to come of it",
    &[],
    &[&[
        of("output", Shape::Any, "The output"),
        of(
            "check",
            Shape::Either(&[Shape::Expression, Shape::List(&Shape::Expression)]),
            "What is true of the output",
        ),
        of("error", Shape::Either(&[Shape::Text, Shape::Of(&EXPECTED_ERROR)]), "The error"),
        of("tasks", Shape::Mapping, "How often tasks run: a number, true or false"),
        of("calls", Shape::List(&Shape::Of(&CALL)), "What is called"),
        of("events", Shape::List(&Shape::Any), "What is sent"),
        of(
            "duration",
            Shape::Either(&[Shape::Of(&BOUNDS), Shape::Duration]),
            "How long it takes, on the virtual clock",
        ),
        of("history", Shape::Text, "The file of the history, from this one"),
    ]],
);

static BOUNDS: Object = object(
    ("bounds", ""),
    "How long it takes",
    &[],
    &[&[
        of("min", Shape::Duration, "At least so long"),
        of("max", Shape::Duration, "At most so long"),
    ]],
);

static CALL: Object = object(
    ("expectedCall", ""),
    "A call that is made",
    &[],
    &[
        TARGET,
        &[
            of("times", Shape::Number(0, 4_294_967_295), "So often"),
            of("number", Shape::Number(1, 4_294_967_295), "The call of this number is meant"),
            of(
                "sent",
                Shape::Either(&[Shape::Expression, Shape::List(&Shape::Expression)]),
                "What is true of what is sent",
            ),
        ],
    ],
);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use windlass_proto::definition::{data, shape};
    use windlass_proto::schema::Schema;
    use windlass_proto::value::Value;

    use super::{SUITE, SURROUNDINGS};
    use crate::case::read;

    fn schema(of: &'static shape::Object) -> Schema {
        let text = serde_json::to_string(&shape::schema(of)).unwrap();
        Schema::compile(&Value::from_json(&text).unwrap()).unwrap()
    }

    #[test]
    fn the_schema_has_the_keys_that_are_read() {
        let schema = schema(&SUITE);
        // A key each that is not known, where each part is; and all that are.
        let all = "workflow: a\nwith: [ b ]\nnow: 2026-01-31T08:00:00Z\nsecrets: { s: t }\n\
            events: [ { at: PT1S, event: { type: t }, consumed: false } ]\nmocks:\n\
            - { task: a, when: .x, answers: [ { output: 1, delay: PT1S, times: 2 }, { compute: .a }, \
            { status: 200, headers: { a: b }, body: 1 }, { never: true }, \
            { error: { type: timeout, status: 408, title: t, detail: d } } ] }\n\
            - { http: GET http://a, answer: { output: 1 } }\n- { function: f, answer: { output: 1 } }\n\
            cases:\n- { name: a, input: 1, expect: { output: 1, check: [ .a ], tasks: { a: 1 }, \
            calls: [ { task: a, times: 1, number: 1, sent: .a } ], events: [ 1 ], \
            duration: { min: PT0S, max: PT1S }, history: h } }\n\
            - { name: b, schedule: 1, expect: { error: { type: t, status: 400, title: t, detail: d } } }\n";
        assert!(read::suite(all).is_ok(), "{:?}", read::suite(all).err());
        assert_eq!(schema.validate(&data(all).unwrap()), Ok(()));
        for (at, with) in [
            ("workflow: a", "workflow: a\nother: 1"),
            ("{ at: PT1S,", "{ other: 1, at: PT1S,"),
            ("{ task: a, when", "{ other: 1, task: a, when"),
            ("{ output: 1, delay", "{ other: 1, output: 1, delay"),
            ("{ type: timeout,", "{ other: 1, type: timeout,"),
            ("{ name: a,", "{ other: 1, name: a,"),
            ("{ output: 1, check", "{ other: 1, output: 1, check"),
            ("{ task: a, times", "{ other: 1, task: a, times"),
            ("{ min:", "{ other: 1, min:"),
            ("{ type: t, status", "{ other: 1, type: t, status"),
        ] {
            let text = all.replacen(at, with, 1);
            assert_ne!(text, all, "{at}");
            assert!(read::suite(&text).is_err(), "{with}");
            assert!(schema.validate(&data(&text).unwrap()).is_err(), "{with}");
        }
    }

    #[test]
    fn mocks_alone_are_a_file_of_their_own() {
        let schema = schema(&SURROUNDINGS);
        let text = "mocks: [ { task: a, answer: { output: 1 } } ]";
        assert!(schema.validate(&data(text).unwrap()).is_ok());
        assert!(schema.validate(&data("mokcs: []").unwrap()).is_err());
    }
}
