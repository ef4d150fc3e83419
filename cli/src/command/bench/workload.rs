//! What is run: the definitions, and the outputs they must give.

use std::time::Duration;

use serde_json::{Value as Json, json};
use windlass_proto::value::Value;

/// What `--workload` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    W1,
    W2,
    W3,
    W4,
    W5,
    Events,
    Loop,
    History,
    Payload,
    Idle,
    Secrets,
    Schedules,
    Search,
    All,
}

/// How long each workflow of w4 waits, in seconds.
const WAIT_SECONDS: u32 = 5;

/// Events of the workload `events`, unless it is said.
const EVENTS: u64 = 20_000;

/// Bytes of the text that workflows of `payload` pass on.
const PAYLOAD: usize = 10 << 20;

/// How long `idle` leaves the coordinator alone.
const IDLE: Duration = Duration::from_secs(10);

/// The type of events that a listener of `events` takes.
const EVENT_TYPE: &str = "windlass.bench.event";

/// The namespace of the definitions, so that nobody takes them for their own on a server.
pub(super) const NAMESPACE: &str = "windlass-bench";

/// The secret that each step of `secrets` reads.
pub(super) const SECRET: &str = "bench-key";

/// How the attempts of `secrets` get at theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) login: Login,
    pub(super) tokens: Tokens,
}

/// Who logs in at the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Login {
    /// Each attempt
    Attempt,
    /// Attempts with the same rights together
    Shared,
}

/// What a login gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tokens {
    /// Tokens that the store keeps, and that are given back
    Service,
    /// Tokens that it does not keep: they end by themselves
    Batch,
}

impl Way {
    /// All ways, or those that fit what was asked for.
    pub(super) fn all(login: Option<Login>, tokens: Option<Tokens>) -> Vec<Self> {
        let ways = [Login::Attempt, Login::Shared].into_iter().flat_map(|login| {
            [Tokens::Service, Tokens::Batch].map(|tokens| Self { login, tokens })
        });
        let fits = |it: &Self| {
            login.is_none_or(|login| login == it.login)
                && tokens.is_none_or(|tokens| tokens == it.tokens)
        };
        ways.filter(fits).collect()
    }
}

impl Chosen {
    /// The word on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::W1 => "w1",
            Self::W2 => "w2",
            Self::W3 => "w3",
            Self::W4 => "w4",
            Self::W5 => "w5",
            Self::Events => "events",
            Self::Loop => "loop",
            Self::History => "history",
            Self::Payload => "payload",
            Self::Idle => "idle",
            Self::Secrets => "secrets",
            Self::Schedules => "schedules",
            Self::Search => "search",
            Self::All => "all",
        }
    }

    /// The most steps that a workflow of it may have: those of a loop are not in its definition.
    pub(super) fn most_steps(self) -> u32 {
        match self {
            Self::Loop | Self::History => 1_000_000,
            _ => 4_000,
        }
    }

    /// The single workloads it stands for.
    pub(super) fn workloads(self) -> Vec<Self> {
        match self {
            Self::All => vec![Self::W1, Self::W2, Self::W3, Self::W4],
            one => vec![one],
        }
    }
}

/// One workload with its numbers.
#[derive(Debug)]
pub(super) struct Load {
    /// The workload's word.
    pub(super) word: &'static str,
    /// Workflows to run.
    pub(super) workflows: u64,
    /// Steps of each of them.
    pub(super) steps: u32,
    /// Workflows under way at the same time.
    pub(super) concurrency: u32,
    /// True when all are started before any is waited for.
    pub(super) all_at_once: bool,
    /// Events that are sent, each to one of the workflows, which all listen; none where they run.
    pub(super) events: Option<u64>,
    /// True when what is measured is reading the history of each workflow, not running it.
    pub(super) reads_history: bool,
    /// How long nothing is done, where that is what is measured.
    pub(super) idle: Option<Duration>,
    /// How each step gets at a secret, where what is measured is the store it is in.
    pub(super) secrets: Option<Way>,
    /// True when they are started by schedules, one each.
    pub(super) scheduled: bool,
    /// True when what is measured is finding them again.
    pub(super) searched: bool,
    /// The definition's name.
    pub(super) name: String,
    /// The definition, as JSON.
    pub(super) definition: Json,
    /// What each workflow is started with.
    pub(super) input: Value,
    /// What each workflow must give. Shares with `input` what is the same: the load generator's
    /// memory counts too.
    pub(super) expected: Value,
}

impl Load {
    /// `workload` with the numbers given, or its own.
    pub(super) fn new(
        workload: Chosen,
        workflows: Option<u64>,
        steps: Option<u32>,
        concurrency: Option<u32>,
    ) -> Self {
        let (usual_workflows, usual_steps, usual_concurrency) = match workload {
            Chosen::W1 | Chosen::W5 | Chosen::All => (5_000, 5, 200),
            Chosen::W2 => (200, 5, 1),
            Chosen::W3 => (1, 1_000, 1),
            Chosen::W4 => (10_000, 1, u32::MAX),
            Chosen::Events => (10_000, 1, 200),
            Chosen::Loop => (1, 1_000, 1),
            Chosen::History => (1, 10_000, 1),
            Chosen::Payload => (1, 5, 1),
            Chosen::Idle => (1, 1, 1),
            Chosen::Secrets => (400, 5, 64),
            Chosen::Schedules => (10_000, 1, 200),
            Chosen::Search => (100_000, 1, 200),
        };
        let (sleeps, listens) = (workload == Chosen::W4, workload == Chosen::Events);
        let idles = workload == Chosen::Idle;
        let steps = steps.unwrap_or(usual_steps);
        let input = match workload {
            Chosen::Loop | Chosen::History => {
                value(json!({ "items": (1..=steps).collect::<Vec<_>>() }))
            }
            Chosen::Payload => payload(),
            _ => Value::empty_object(),
        };
        let (kind, tasks, expected) = match workload {
            Chosen::W3 => fork(steps),
            Chosen::W4 => sleep(),
            Chosen::Events => listen(),
            Chosen::Loop | Chosen::History => repeat(steps),
            Chosen::Payload => pass_on(steps),
            Chosen::Schedules => done(),
            Chosen::Search => fail_if_told(),
            _ => sequence(steps),
        };
        // Passed on, it is what came in.
        let expected = expected.map_or_else(|| input.clone(), value);
        let workflows = workflows.unwrap_or(usual_workflows);
        let events = listens.then_some(EVENTS);
        let most = u32::try_from(events.unwrap_or(workflows)).unwrap_or(u32::MAX);
        let name = format!("{kind}-{steps}");
        let definition = json!({
            "document": {
                "dsl": "1.0.3", "namespace": NAMESPACE, "name": name, "version": "1.0.0",
            },
            "do": tasks,
        });
        Self {
            word: workload.word(),
            workflows,
            steps,
            concurrency: concurrency.unwrap_or(usual_concurrency).min(most),
            all_at_once: sleeps,
            events,
            reads_history: workload == Chosen::History,
            idle: idles.then_some(IDLE),
            secrets: None,
            scheduled: workload == Chosen::Schedules,
            searched: workload == Chosen::Search,
            name,
            definition,
            input,
            expected,
        }
    }

    /// The same, with a secret that each task reads; the output does not show it.
    pub(super) fn reading(mut self, secret: &str) -> Self {
        self.name = format!("{}-with-{secret}", self.name);
        self.definition["document"]["name"] = json!(self.name);
        self.definition["use"] = json!({ "secrets": [secret] });
        let there = json!(format!("${{ $secrets[\"{secret}\"] != null }}"));
        replace(&mut self.definition["do"], &json!(true), &there);
        self
    }

    /// The same, with a secret of a store of its own that each task reads in this way.
    pub(super) fn reading_from_a_store(self, way: Way) -> Self {
        Self { secrets: Some(way), ..self.reading(SECRET) }
    }

    /// The same with so many events, where there are any.
    pub(super) fn sending(mut self, events: Option<u64>) -> Self {
        self.events = self.events.map(|usual| events.unwrap_or(usual));
        let most = u32::try_from(self.operations()).unwrap_or(u32::MAX);
        self.concurrency = self.concurrency.min(most);
        self
    }

    /// What is done over and over, and measured each time: events sent, or else workflows run.
    pub(super) fn operations(&self) -> u64 {
        self.events.unwrap_or(self.workflows)
    }

    /// The definition's namespace.
    pub(super) fn namespace(&self) -> &'static str {
        NAMESPACE
    }
}

/// Puts `new` in the place of every member `ok` that is `old`.
fn replace(value: &mut Json, old: &Json, new: &Json) {
    match value {
        Json::Array(elements) => elements.iter_mut().for_each(|it| replace(it, old, new)),
        Json::Object(members) => {
            for (key, member) in members {
                match key == "ok" && member == old {
                    true => *member = new.clone(),
                    false => replace(member, old, new),
                }
            }
        }
        _ => {}
    }
}

/// What step `number` is called with, and so gives.
fn argument(number: u32) -> Json {
    json!({"step": number, "ok": true, "msg": format!("hello {number}")})
}

fn echo(number: u32) -> Json {
    json!({(format!("step{number}")): {"call": "echo", "with": argument(number)}})
}

/// The kind of a workflow, its tasks, and the output, where that is not the input.
type Made = (&'static str, Json, Option<Json>);

/// Steps one after the other: the output is the last one's.
fn sequence(steps: u32) -> Made {
    ("steps", (1..=steps).map(echo).collect(), Some(argument(steps)))
}

/// Branches side by side: the output is an array of theirs.
fn fork(branches: u32) -> Made {
    let all: Json = (1..=branches).map(echo).collect();
    let tasks = json!([{"all": {"fork": {"compete": false, "branches": all}}}]);
    ("fork", tasks, Some((1..=branches).map(argument).collect()))
}

/// A step for each item of the input: the output is the last one's.
fn repeat(items: u32) -> Made {
    let step = json!({"step": {"call": "echo", "with": {"step": "${ $item }", "ok": true, "msg": "hello"}}});
    let each = json!({"for": {"each": "item", "in": "${ .items }"}, "do": [step]});
    let last = json!({"step": items, "ok": true, "msg": "hello"});
    ("loop", json!([{ "all": each }]), Some(last))
}

/// Tasks that pass the input on, each as a value of its own: the output is as large as the input.
fn pass_on(steps: u32) -> Made {
    let set = |number| json!({(format!("step{number}")): {"set": {"text": "${ .text }"}}});
    ("payload", (1..=steps).map(set).collect(), None)
}

fn value(json: Json) -> Value {
    serde_json::from_value(json).unwrap_or_default()
}

/// A text of [`PAYLOAD`] bytes that no packing makes smaller: the digits of a linear congruential
/// generator, in an alphabet of 64.
fn payload() -> Value {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 1_u64;
    let digit = |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(ALPHABET[(state >> 58) as usize])
    };
    Value::object([("text", Value::from((0..PAYLOAD).map(digit).collect::<String>()))])
}

/// Next to nothing, and no assignment.
fn done() -> Made {
    ("done", json!([{"done": {"set": {"ok": true}}}]), Some(json!({"ok": true})))
}

/// Faults where the input says so: else the output is the input.
fn fail_if_told() -> Made {
    let error = json!({"type": "https://windlass.example/errors/bench", "status": 500});
    let tasks = json!([{"check": {"if": "${ .fail }", "raise": {"error": error}}}]);
    ("search", tasks, None)
}

/// A wait: the output is the input.
fn sleep() -> Made {
    ("sleep", json!([{"sleep": {"wait": {"seconds": WAIT_SECONDS}}}]), None)
}

/// Takes the events for one listener, as long as they come.
fn listen() -> Made {
    let own = "${ .listener == $input.listener }";
    let tasks = json!([{"listen": {
        "listen": {"to": {
            "any": [{"with": {"type": EVENT_TYPE, "data": own}}],
            "until": {"one": {"with": {"type": "windlass.bench.end", "data": own}}},
        }},
        "foreach": {"output": {"as": "${ null }"}},
    }}]);
    ("listen", tasks, Some(json!([])))
}

/// The input of the listener with this number.
pub(super) fn listener(number: u64) -> Json {
    json!({ "listener": number })
}

/// An event that this listener takes and no other; `number` tells events of one `run` apart.
pub(super) fn event(run: &str, number: u64, listener: u64) -> Json {
    json!({
        "specversion": "1.0", "id": number.to_string(), "source": format!("/windlass/bench/{run}"),
        "type": EVENT_TYPE, "data": {"listener": listener, "text": "some event"},
    })
}

#[cfg(test)]
mod tests {
    use windlass_proto::definition::{self, Options};

    use super::{Chosen, Load, Login, SECRET, Tokens, Way};

    #[test]
    fn a_secret_is_read_by_every_task() {
        let load = Load::new(Chosen::W1, None, Some(3), None).reading("bench-key");
        let text = load.definition.to_string();
        assert_eq!(text.matches("$secrets[\\\"bench-key\\\"] != null").count(), 3, "{text}");
        assert!(!load.expected.to_string().contains("secrets"));
        assert!(definition::load(&text, &Options::default()).plan.is_some());
    }

    #[test]
    fn a_store_is_measured_in_each_way_or_in_those_asked_for() {
        assert_eq!(Way::all(None, None).len(), 4);
        let shared = Way::all(Some(Login::Shared), None);
        assert!(shared.len() == 2 && shared.iter().all(|it| it.login == Login::Shared));
        let one = Way { login: Login::Attempt, tokens: Tokens::Batch };
        assert_eq!(Way::all(Some(Login::Attempt), Some(Tokens::Batch)), [one]);
        let load = Load::new(Chosen::Secrets, None, None, None).reading_from_a_store(one);
        assert_eq!(load.secrets, Some(one));
        assert!(load.definition["use"]["secrets"][0] == SECRET);
    }

    #[test]
    fn the_definitions_have_no_findings() {
        let functions = Some(vec!["echo".into()]);
        for workload in
            [Chosen::W1, Chosen::W3, Chosen::W4, Chosen::Loop, Chosen::Events, Chosen::Payload]
        {
            let load = Load::new(workload, None, None, None);
            let options =
                Options { functions: functions.clone(), strict: true, ..Options::default() };
            let loaded = definition::load(&load.definition.to_string(), &options);
            assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
            let id = loaded.plan.map(|it| (it.id.namespace.clone(), it.id.name.clone()));
            assert_eq!(id, Some((load.namespace().into(), load.name.into())));
        }
    }
}
