//! Tests of workflows: what a file of them says, what happens in one, and what is made of that.
//!
//! ```text
//!  text ─> read ─> Suite ─> play (a rehearsal, a worker, mocks) ─> Played ─> judge ─> Outcome
//! ```
//!
//! Files are read and written at the edges (`command/test`); from a suite and the texts of its
//! workflows to its outcomes nothing is done but to play, and the same comes out each time.
//!
//! Reading order: here (the words), `read`, `mocks` (answers in place of calls), `play` (one case),
//! `judge` (what was expected), `reach` (coverage), `report` (for people and programs).

pub(crate) mod golden;
pub(crate) mod judge;
pub(crate) mod mocks;
pub(crate) mod play;
pub(crate) mod reach;
pub(crate) mod read;
pub(crate) mod report;
pub(crate) mod shape;
pub(crate) mod texts;

use std::path::PathBuf;

use windlass_proto::expression::Program;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

/// When cases begin that do not say it: as good as any, and the same for all.
pub(crate) const BEGINNING: Timestamp = Timestamp(1_767_225_600_000);

/// A file of tests.
pub(crate) struct Suite {
    /// The definition that is tested, as the file names it.
    pub(crate) workflow: PathBuf,
    /// Further ones, which it runs as children.
    pub(crate) with: Vec<PathBuf>,
    /// The cases, in order.
    pub(crate) cases: Vec<Case>,
}

/// What surrounds an instance.
#[derive(Clone, Default)]
pub(crate) struct Surroundings {
    /// What the time is when it starts.
    pub(crate) now: Option<Timestamp>,
    /// Secrets by name: none of them is one.
    pub(crate) secrets: Vec<(String, Value)>,
    /// Answers in place of calls; the first that fits counts.
    pub(crate) mocks: Vec<Mock>,
    /// Events that come.
    pub(crate) events: Vec<SentEvent>,
}

/// One test.
pub(crate) struct Case {
    /// Its name.
    pub(crate) name: String,
    /// The line of the file where it begins.
    pub(crate) line: usize,
    /// What starts the workflow.
    pub(crate) start: Start,
    /// What surrounds it.
    pub(crate) around: Surroundings,
    /// What is expected.
    pub(crate) expect: Expectation,
}

/// What starts a workflow.
#[derive(Clone)]
pub(crate) enum Start {
    /// Somebody, with an input.
    Input(Value),
    /// Its schedule; the instance that is looked at is the one with this number, from 1.
    Schedule(usize),
}

/// Answers in place of some calls.
#[derive(Clone)]
pub(crate) struct Mock {
    /// Which calls.
    pub(crate) target: Target,
    /// What must hold of what is sent.
    pub(crate) when: Option<Program>,
    /// The answers in order, at least one; the last one is given again and again.
    pub(crate) answers: Vec<Answer>,
}

/// Which calls.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    /// Those of a task: its name, or its JSON pointer.
    Task(String),
    /// Requests of HTTP with this method, if one is given, to URLs of this pattern.
    Http(Option<String>, String),
    /// Calls of a function by its name.
    Function(String),
}

/// One answer.
#[derive(Clone)]
pub(crate) struct Answer {
    /// What is answered.
    pub(crate) given: Given,
    /// After so many milliseconds.
    pub(crate) delay: u64,
    /// How often in a row; as often as it is asked for where it is the last one.
    pub(crate) times: u32,
}

/// What is answered.
#[derive(Clone)]
pub(crate) enum Given {
    /// An output.
    Output(Value),
    /// What this gives for what was sent.
    Computed(Program),
    /// A response of HTTP.
    Response { status: u16, headers: Vec<(String, String)>, body: Value },
    /// An error.
    Failure(windlass_proto::problem::Problem),
    /// Nothing, ever.
    Never,
}

/// An event that comes.
#[derive(Clone)]
pub(crate) struct SentEvent {
    /// So many milliseconds after the start; without it as soon as something listens.
    pub(crate) at: Option<u64>,
    /// Its attributes, those that are missing to be added.
    pub(crate) event: Value,
    /// Whether an instance is to take it.
    pub(crate) consumed: bool,
    /// The line where it stands.
    pub(crate) line: usize,
}

/// What is expected of a case.
#[derive(Default)]
pub(crate) struct Expectation {
    /// The output.
    pub(crate) output: Option<(Value, usize)>,
    /// What must hold of the output.
    pub(crate) checks: Vec<Check>,
    /// The error it ends with.
    pub(crate) error: Option<ExpectedError>,
    /// How often tasks run.
    pub(crate) tasks: Vec<ExpectedTask>,
    /// What is called.
    pub(crate) calls: Vec<ExpectedCall>,
    /// The events that are emitted, in order.
    pub(crate) emitted: Option<(Vec<Value>, usize)>,
    /// How long it takes, in milliseconds: at least and at most.
    pub(crate) duration: Option<(u64, u64, usize)>,
    /// The file that has its history.
    pub(crate) history: Option<(PathBuf, usize)>,
}

/// A condition, and where it stands.
pub(crate) struct Check {
    /// The condition.
    pub(crate) program: Program,
    /// The line of the file.
    pub(crate) line: usize,
}

/// An error that is expected; what is not given may be anything.
pub(crate) struct ExpectedError {
    /// Its type, as definitions write it.
    pub(crate) kind: Option<String>,
    /// Its status.
    pub(crate) status: Option<u16>,
    /// Its title.
    pub(crate) title: Option<String>,
    /// A part of its detail.
    pub(crate) detail: Option<String>,
    /// The line of the file.
    pub(crate) line: usize,
}

/// How often a task is expected to run.
pub(crate) struct ExpectedTask {
    /// Its name, or its JSON pointer.
    pub(crate) task: String,
    /// At least so often.
    pub(crate) least: u64,
    /// At most so often.
    pub(crate) most: u64,
    /// The line of the file.
    pub(crate) line: usize,
}

/// Calls that are expected.
pub(crate) struct ExpectedCall {
    /// Which.
    pub(crate) target: Target,
    /// How often; at least once where that is not said.
    pub(crate) times: Option<u64>,
    /// Which one `sent` is about, from 1; all where that is not said.
    pub(crate) number: Option<usize>,
    /// What must hold of what was sent.
    pub(crate) sent: Vec<Check>,
    /// The line of the file.
    pub(crate) line: usize,
}
