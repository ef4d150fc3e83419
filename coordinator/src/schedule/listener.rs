//! What starts instances by `on`: events.
//!
//! The engine does the listening. A listener is an instance of the workflow of one `listen` that a
//! plan keeps for its schedule; it is kept with the schedule's state and nobody sees it as an
//! instance. When it has what it waits for, its output is the input of an instance to start, and
//! the next one listens.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;
use uuid::Uuid;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::limits::SCHEDULE_EVENT_BYTES;
use windlass_proto::plan::{Plan, Schedule};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::time::Timestamp;
use windlass_proto::trace::TraceContext;
use windlass_proto::value::Value;

use super::{Due, ScheduleId, State, Trigger, Turn, Why};
use crate::engine::{self, Body, Effect, Ending, Filtered, Input, Instance, Interest, Listening};

/// Listens for what makes the next start due.
#[derive(Clone, Debug)]
pub struct Listener {
    instance: Instance,
    /// How many before it have ended.
    number: u32,
}

/// What an instance gets that events have started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Given {
    /// The start.
    pub due: Due,
    /// Its input.
    pub input: Value,
    /// The trace that the last of the events was sent in.
    pub trace: Option<TraceContext>,
}

/// What came of an event.
enum Heard {
    /// It is not waited for.
    Nothing,
    /// It counts, and more are waited for.
    Gathered,
    /// It was the last one.
    Satisfied(Value),
    /// It counts, and what was gathered is of no use.
    Failed(Problem),
}

impl ScheduleId {
    /// Under which its listener is found among those that wait for events.
    #[must_use]
    pub fn listener(self) -> InstanceId {
        InstanceId(Uuid::from_bytes(self.0))
    }

    /// The schedule that this is the listener of, if it is one.
    #[must_use]
    pub fn of_listener(id: InstanceId) -> Self {
        Self(id.0.into_bytes())
    }
}

impl Listener {
    /// The first one of a definition, or the one after `number` others.
    pub(super) fn new(id: ScheduleId, plan: &Plan, now: Timestamp, number: u32) -> Self {
        let origin = engine::Origin::default();
        let (mut instance, _) =
            engine::create(plan, id.listener(), now, Value::empty_object(), origin);
        instance.changes = engine::Changes::default();
        Self { instance, number }
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Which events can concern it.
    #[must_use]
    pub fn interest(&self, plan: &Plan) -> Option<Interest> {
        engine::interest(plan, &self.instance, self.listening()?.0)
    }

    /// How many events it has gathered.
    #[must_use]
    pub fn gathered(&self) -> usize {
        self.listening().map_or(0, |(_, listening)| listening.outputs.len())
    }

    /// Why it does not listen, where the definition is to blame.
    #[must_use]
    pub fn fault(&self) -> Option<&Problem> {
        match &self.instance.ending {
            Some(Ending::Faulted(problem)) => Some(problem),
            _ => None,
        }
    }

    /// Bytes of what it has gathered.
    fn weight(&self) -> u64 {
        self.listening().map_or(0, |(_, listening)| listening.weight)
    }

    fn listening(&self) -> Option<(FrameId, &Listening)> {
        self.instance.frames.iter().find_map(|(id, frame)| match &frame.body {
            Body::Listening(listening) => Some((*id, &**listening)),
            _ => None,
        })
    }

    /// Offers it an event, for which its filters may take `steps`.
    fn hear(
        &mut self,
        plan: &Plan,
        now: Timestamp,
        event: &CloudEvent,
        steps: u64,
    ) -> (Heard, Filtered) {
        let (decided, filtered) = engine::offer(plan, &mut self.instance, now, event, steps);
        let Ok(mut decision) = decided else { return (Heard::Nothing, filtered) };
        while decision.effects.contains(&Effect::Yield) {
            match engine::decide(plan, &mut self.instance, now, Input::Continue) {
                Ok(next) => decision = next,
                Err(_) => break,
            }
        }
        self.instance.changes = engine::Changes::default();
        let heard = match &self.instance.ending {
            None if self.weight() > SCHEDULE_EVENT_BYTES => Heard::Failed(too_much()),
            None => Heard::Gathered,
            Some(Ending::Completed(output)) => Heard::Satisfied(output.clone()),
            Some(Ending::Faulted(problem)) => Heard::Failed(problem.clone()),
            Some(Ending::Cancelled(_)) => Heard::Nothing,
        };
        (heard, filtered)
    }
}

impl State {
    /// Offers it an event, for which its filters may take `steps`: what follows, or nothing when
    /// the event is not waited for. `held` says that starts of the workflow are suspended.
    pub fn hear(
        &mut self,
        id: ScheduleId,
        schedule: &Schedule,
        (event, now): (&CloudEvent, Timestamp),
        (steps, held): (u64, bool),
    ) -> (Option<Turn>, Filtered) {
        let (Some(plan), Some(listener)) = (&schedule.on, &mut self.listener) else {
            return (None, Filtered::default());
        };
        let (heard, filtered) = listener.hear(plan, now, event, steps);
        let mut turn = Turn::default();
        let due = Due { at: now, trigger: Trigger::On, number: listener.number };
        if matches!(heard, Heard::Satisfied(_) | Heard::Failed(_)) {
            **listener = Listener::new(id, plan, now, listener.number.wrapping_add(1));
        }
        match heard {
            Heard::Nothing => return (None, filtered),
            Heard::Gathered => {}
            Heard::Failed(problem) => {
                turn.skip(due, Why::Failed);
                turn.failed = Some(problem);
            }
            Heard::Satisfied(_) if self.paused.is_some() => turn.skip(due, Why::Paused),
            Heard::Satisfied(_) if held => turn.skip(due, Why::Suspended),
            Heard::Satisfied(input) => {
                turn.given.push(Given { due, input, trace: event.trace() });
                self.admit(schedule, due, &mut turn);
            }
        }
        self.tidy();
        (Some(turn), filtered)
    }
}

fn too_much() -> Problem {
    let detail = format!(
        "the events gathered for one start take more than {SCHEDULE_EVENT_BYTES} bytes: end the \
         gathering earlier with `until`, or gather them in a workflow, with `listen`"
    );
    Problem::new(Standard::Runtime, detail)
}

impl PartialEq for Listener {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |it: &Self| it.instance.to_bytes().ok();
        self.number == other.number && bytes(self) == bytes(other)
    }
}

impl Serialize for Listener {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let bytes = self.instance.to_bytes().map_err(serde::ser::Error::custom)?;
        (ByteBuf::from(bytes), self.number).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Listener {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (bytes, number) = <(ByteBuf, u32)>::deserialize(from)?;
        let instance = Instance::from_bytes(&bytes).map_err(serde::de::Error::custom)?;
        Ok(Self { instance, number })
    }
}
