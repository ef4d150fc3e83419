//! Shapes of tasks.

use super::parts::{CATCH, ERROR, EXPORT, INPUT, METADATA, OUTPUT, TIMEOUT};
use super::{ByWord, Object, Property, Shape, TASKS, calls, events, object, of, words};
use crate::definition::task::RETURNS;

/// What every task can have.
pub(super) static COMMON: &[Property] = &[
    of("if", Shape::Expression, "It is done only where this is true"),
    of("input", Shape::Of(&INPUT), "What goes into the task"),
    of("output", Shape::Of(&OUTPUT), "What comes out of the task"),
    of("export", Shape::Of(&EXPORT), "What becomes the context, `$context`"),
    of("timeout", TIMEOUT, "How long it may take"),
    of("then", Shape::Flow, "Where the flow goes on"),
    of("metadata", Shape::Of(&METADATA), "For people and tools, and for Windlass"),
];

/// The key that tells a task, and what has it. A key that others have as well comes after them.
pub(super) static KINDS: &[(&str, &Object)] = &[
    ("for", &FOR),
    ("try", &TRY),
    ("listen", &LISTEN),
    ("call", &CALL),
    ("do", &DO),
    ("emit", &EMIT),
    ("fork", &FORK),
    ("raise", &RAISE),
    ("run", &RUN),
    ("set", &SET),
    ("switch", &SWITCH),
    ("wait", &WAIT),
];

/// A kind of task.
const fn task(
    name: &'static str,
    about: &'static str,
    required: &'static [&'static str],
    properties: &'static [&'static [Property]],
) -> Object {
    object((name, ""), about, required, properties)
}

static FOR: Object = task(
    "forTask",
    "Does tasks for each item of a list",
    &["for"],
    &[
        &[
            of("for", Shape::Of(&LOOP), "Of which list, and what its items are called"),
            of("while", Shape::Expression, "It ends before the first item where this is false"),
            of("do", TASKS, "What is done for each"),
        ],
        COMMON,
    ],
);

static LOOP: Object = object(
    ("loop", "`for`"),
    "Of which list, and what its items are called",
    &["in"],
    &[&[
        of("each", Shape::Text, "What an item is called in expressions [default: item]"),
        of("in", Shape::Either(&[Shape::Expression, Shape::List(&Shape::Any)]), "The list"),
        of("at", Shape::Text, "What its number is called [default: index]"),
    ]],
);

static TRY: Object = task(
    "tryTask",
    "Does tasks, and something about their errors",
    &["try", "catch"],
    &[
        &[
            of("try", TASKS, "What is tried"),
            of(
                "catch",
                Shape::Either(&[Shape::Of(&CATCH), Shape::List(&Shape::Of(&CATCH))]),
                "What is done about an error; `catch: {}` catches every one",
            ),
        ],
        COMMON,
    ],
);

static LISTEN: Object = task(
    "listenTask",
    "Waits for events",
    &["listen"],
    &[
        &[
            of("listen", Shape::Of(&events::LISTEN), "Which events"),
            of("foreach", Shape::Of(&events::SUBSCRIPTION), "What is done with each as it comes"),
        ],
        COMMON,
    ],
);

static CALL: Object = Object {
    by_word: Some(ByWord { key: "call", of: "with", table: calls::TABLE }),
    ..task(
        "callTask",
        "Calls a service or a function",
        &["call"],
        &[
            &[
                of(
                    "call",
                    Shape::Text,
                    "A protocol (http, openapi, grpc, asyncapi, a2a, mcp), windlass.approval, or a \
                     function's name",
                ),
                of("with", Shape::Values, "What it is called with"),
            ],
            COMMON,
        ],
    )
};

static DO: Object = task(
    "doTask",
    "Does tasks one after the other",
    &["do"],
    &[&[of("do", TASKS, "The tasks")], COMMON],
);

static EMIT: Object = task(
    "emitTask",
    "Sends an event",
    &["emit"],
    &[&[of("emit", Shape::Of(&events::EMIT), "The event")], COMMON],
);

static FORK: Object = task(
    "forkTask",
    "Does tasks side by side",
    &["fork"],
    &[&[of("fork", Shape::Of(&BRANCHES), "The branches")], COMMON],
);

static BRANCHES: Object = object(
    ("branches", "`fork`"),
    "Tasks that are done side by side",
    &["branches"],
    &[&[
        of("branches", TASKS, "A task each"),
        of("compete", Shape::Flag, "The first to end wins, and the others are cancelled"),
    ]],
);

static RAISE: Object = task(
    "raiseTask",
    "Raises an error",
    &["raise"],
    &[&[of("raise", Shape::Of(&RAISED), "The error")], COMMON],
);

static RAISED: Object = object(
    ("raised", "`raise`"),
    "An error that is raised",
    &["error"],
    &[&[of(
        "error",
        Shape::Either(&[Shape::Text, Shape::Of(&ERROR)]),
        "In place, or the name of one in `use.errors`",
    )]],
);

static RUN: Object = task(
    "runTask",
    "Runs a container, a script, a shell command or a workflow",
    &["run"],
    &[&[of("run", Shape::Of(&PROCESS), "What runs")], COMMON],
);

static PROCESS: Object = object(
    ("process", "`run`"),
    "What runs: one of `container`, `script`, `shell` and `workflow`",
    &[],
    &[&[
        of("container", Shape::Of(&CONTAINER), "A container"),
        of("script", Shape::Of(&SCRIPT), "A script"),
        of("shell", Shape::Of(&SHELL), "A shell command"),
        of("workflow", Shape::Of(&WORKFLOW), "Another workflow"),
        of("await", Shape::Flag, "Whether the flow waits for its end [default: true]"),
        of("return", Shape::Words(|| words(RETURNS)), "What of it becomes the output"),
    ]],
);

const ARGUMENTS: Shape =
    Shape::Either(&[Shape::List(&Shape::Text), Shape::Mapping, Shape::Expression]);

static CONTAINER: Object = object(
    ("container", "`container`"),
    "A container",
    &["image"],
    &[&[
        of("image", Shape::Text, "Its image"),
        of("name", Shape::Text, "Its name"),
        of("command", Shape::Text, "What runs in it, in place of what the image says"),
        of("ports", Shape::Mapping, "Ports of the host, and the container's"),
        of("volumes", Shape::Mapping, "Volumes, and where they are in the container"),
        of("environment", Shape::Mapping, "Its variables"),
        of("stdin", Shape::Text, "Its standard input"),
        of("arguments", ARGUMENTS, "Its arguments"),
        of("lifetime", Shape::Of(&LIFETIME), "When it is removed"),
        of(
            "pullPolicy",
            Shape::Words(|| vec!["ifNotPresent", "always", "never"]),
            "When the image is pulled",
        ),
    ]],
);

static LIFETIME: Object = object(
    ("lifetime", "`lifetime`"),
    "When a container is removed",
    &["cleanup"],
    &[&[
        of("cleanup", Shape::Words(|| vec!["always", "never", "eventually"]), "Whether it is"),
        of("after", Shape::Duration, "So long after its end, for `eventually`"),
    ]],
);

static SCRIPT: Object = object(
    ("script", "`script`"),
    "A script",
    &["language"],
    &[&[
        of("language", Shape::Words(|| vec!["js", "python"]), "Its language"),
        of("code", Shape::Text, "Its text, in place"),
        of("source", Shape::Of(&super::access::RESOURCE), "Its text, elsewhere"),
        of("stdin", Shape::Text, "Its standard input"),
        of("arguments", ARGUMENTS, "Its arguments"),
        of("environment", Shape::Values, "Its variables"),
    ]],
);

static SHELL: Object = object(
    ("shell", "`shell`"),
    "A shell command",
    &["command"],
    &[&[
        of("command", Shape::Text, "The command; data goes into `arguments` or `environment`"),
        of("stdin", Shape::Text, "Its standard input"),
        of("arguments", ARGUMENTS, "Its arguments, `$1` and so on"),
        of("environment", Shape::Values, "Its variables"),
    ]],
);

static WORKFLOW: Object = object(
    ("subWorkflow", "`workflow`"),
    "Another workflow",
    &["namespace", "name", "version"],
    &[&[
        of("namespace", Shape::Text, "Its namespace"),
        of("name", Shape::Text, "Its name"),
        of("version", Shape::Text, "Its version, or `latest`"),
        of("input", Shape::Any, "What goes into it"),
    ]],
);

static SET: Object =
    task("setTask", "Makes data", &["set"], &[&[of("set", Shape::Values, "The data")], COMMON]);

static SWITCH: Object = task(
    "switchTask",
    "Goes on elsewhere, depending on data",
    &["switch"],
    &[
        &[of(
            "switch",
            Shape::List(&Shape::One(&Shape::Of(&CASE))),
            "Cases, of which the first that fits counts",
        )],
        COMMON,
    ],
);

static CASE: Object = object(
    ("case", ""),
    "A case",
    &["then"],
    &[&[
        of("when", Shape::Expression, "It fits where this is true; always where it is missing"),
        of("then", Shape::Flow, "Where the flow goes on"),
    ]],
);

static WAIT: Object = task(
    "waitTask",
    "Waits for some time",
    &["wait"],
    &[&[of("wait", Shape::Duration, "How long")], COMMON],
);
