//! Every family of metrics there is. `docs/metrics.md` is made from it.
//!
//! Label values have few, fixed values, or a bound: see [`LABELS`] and `limits`. None is an
//! instance's id.

pub mod api;
pub mod backups;
pub mod cluster;
pub mod events;
pub mod fleet;
pub mod instances;
pub mod journal;
pub mod process;
pub mod schedules;
pub mod worker;

use super::family::Family;

/// Families of one part of Windlass.
#[derive(Debug)]
pub struct Part {
    /// What the part is called.
    pub title: &'static str,
    /// Who shows them.
    pub shown_by: &'static str,
    /// The families.
    pub families: &'static [&'static Family],
}

/// All families, part by part.
pub const PARTS: &[Part] = &[
    process::PART,
    api::PART,
    instances::PART,
    schedules::PART,
    fleet::PART,
    events::PART,
    journal::PART,
    backups::PART,
    cluster::PART,
    worker::PART,
];

/// What each label says, and which values it may have.
pub const LABELS: &[(&str, &str)] = &[
    ("class", "The class of an answer's status: `1xx` to `5xx`."),
    ("at", "What a connection was at: `idle`, `head`, `body`, `working`, `stalled`."),
    (
        "error",
        "The kind of an error: a standard one of the specification (`communication`, …), `_other`, or empty \
      where there was none.",
    ),
    (
        "kind",
        "What kind of task: `http`, `openapi`, `shell`, `script`, `function`, …; of a misfit, where it was met.",
    ),
    ("namespace", "The namespace of a workflow; `_other` for all workflows beyond the first 200."),
    ("outcome", "What came of it."),
    ("part", "A file of the journal: `log` (sled) or `wal` (the write-ahead log)."),
    ("pool", "The pool of workers; `_other` for all pools beyond the first 100."),
    (
        "reason",
        "Why a delivery was lost: `silent`, `left`, `handed_back`, `not_held`, `not_sent`, `not_shown`, `unknown`; \
         why the egress policy refused a call.",
    ),
    (
        "route",
        "The template of a path: `/v1/instances/{id}`; `_other` for paths that lead nowhere.",
    ),
    ("signal", "A kind of telemetry: `traces`, `logs`, `metrics`."),
    ("status", "How an instance ended: `completed`, `faulted`, `cancelled`."),
    ("stream", "A stream of JetStream: `events`, `lifecycle`, `audit`."),
    (
        "trigger",
        "What made a start due: `every`, `cron`, `after`, or an operator by `manual` and `backfill`.",
    ),
    ("version", "The version that runs."),
    (
        "why",
        "Why a due time was skipped: `missed`, `paused`, `suspended`, `overlap`, `superseded`, `quarantined`.",
    ),
    ("workflow", "The name of a workflow; `_other` for all workflows beyond the first 200."),
];

/// All families.
pub fn all() -> impl Iterator<Item = &'static Family> {
    PARTS.iter().flat_map(|part| part.families.iter().copied())
}

/// Declares families of a part: as statics, and as its list.
macro_rules! families {
    ($title:literal, $shown_by:literal;
     $($name:ident: $kind:expr, $text:literal [$($label:literal),*] $help:literal;)*) => {
        $(#[doc = $help] pub static $name: $crate::metric::Family = $crate::metric::Family {
            name: $text,
            kind: $kind,
            labels: &[$($label),*],
            help: $help,
        };)*

        /// All of them.
        pub const PART: super::Part = super::Part {
            title: $title,
            shown_by: $shown_by,
            families: &[$(&$name),*],
        };
    };
}
use families;

#[cfg(test)]
mod tests;
