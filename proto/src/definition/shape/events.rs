//! Shapes of events: sent, waited for, and what starts by them.

use super::parts::{EXPORT, OUTPUT};
use super::{Object, Shape, TASKS, object, of, words};
use crate::definition::task::READS;

/// What of an event is taken.
pub(super) const READ: Shape = Shape::Words(|| words(READS));

/// Which events are waited for.
pub(super) const STRATEGY: Shape = Shape::Of(&STRATEGY_OBJECT);

static STRATEGY_OBJECT: Object = object(
    ("strategy", "`to`"),
    "Which events: one of `one`, `all` and `any`",
    &[],
    &[&[
        of("one", Shape::Of(&FILTER), "This one"),
        of("all", FILTERS, "All of these, in any order"),
        of("any", FILTERS, "Any of these; every event where there are none"),
        of(
            "until",
            Shape::Either(&[Shape::Expression, Shape::Flag, Shape::Of(&STRATEGY_OBJECT)]),
            "Of `any`: go on taking them until this is true, or was consumed",
        ),
    ]],
);

const FILTERS: Shape = Shape::List(&Shape::Of(&FILTER));

static FILTER: Object = object(
    ("eventFilter", "a filter of events"),
    "What an event has that is taken",
    &["with"],
    &[&[
        of("with", Shape::Mapping, "Its attributes, such as `type`, and `data`"),
        of("correlate", Shape::Names(&Shape::Of(&CORRELATION)), "What several have in common"),
    ]],
);

static CORRELATION: Object = Object {
    open: true,
    ..object(
        ("correlation", ""),
        "What several events have in common",
        &["from"],
        &[&[
            of("from", Shape::Expression, "What of each event"),
            of("expect", Shape::Any, "What that is; what the first one has where it is missing"),
        ]],
    )
};

/// What `listen` holds.
pub(super) static LISTEN: Object = object(
    ("listen", "`listen`"),
    "Waits for events",
    &["to"],
    &[&[
        of("to", STRATEGY, "Which events"),
        of("read", READ, "What of each event becomes the output"),
    ]],
);

/// What `emit` holds.
pub(super) static EMIT: Object = object(
    ("emit", "`emit`"),
    "Sends an event",
    &["event"],
    &[&[of("event", Shape::Of(&EVENT), "The event")]],
);

static EVENT: Object = Object {
    open: true,
    ..object(
        ("event", "`event`"),
        "An event that is sent",
        &["with"],
        &[&[of("with", Shape::Mapping, "Its attributes, of which `type` is needed, and `data`")]],
    )
};

/// What is done with each event or message.
pub(super) static SUBSCRIPTION: Object = object(
    ("subscription", "`foreach`"),
    "What is done with each of them as it comes",
    &[],
    &[&[
        of("item", Shape::Text, "What it is called in expressions [default: item]"),
        of("at", Shape::Text, "What its number is called [default: index]"),
        of("do", TASKS, "What is done with it"),
        of("output", Shape::Of(&OUTPUT), "What comes of it"),
        of("export", Shape::Of(&EXPORT), "What is kept of it"),
    ]],
);
