//! Which events can concern a listening visit, said so that they are found by what they hold.
//!
//! Each filter gives a route: the type of event it asks for, the places in the envelope that must
//! be equal to something, and a digest of what they must be equal to. A route leaves out only
//! events that surely do not match; those that take it are still held against the filter. What it
//! rests on does not change while the visit listens, but for the context and correlations that an
//! event fixes: evolving names the visits for which these change (`Changes::subscribed`).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use windlass_proto::expression::{Operand, Piece, Program, Template};
use windlass_proto::id::FrameId;
use windlass_proto::limits;
use windlass_proto::plan::{EventFilter, Kind, Listen, Plan, Strategy};
use windlass_proto::value::Value;

use super::filter::{Place, is_pattern};
use super::strategies;
use crate::engine::instance::{Body, Instance, Listening};
use crate::engine::scope::{FrameScope, Locals};

/// Which events can concern a listening visit: what the partition routes by. It is kept in the
/// journal, so that no instance is read to find out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Interest {
    /// Events of these types: as written before there were routes.
    Types(Vec<Arc<str>>),
    /// Any event: as written before there were routes.
    All,
    /// Events that take one of these routes.
    Routes(Vec<Route>),
}

/// What an event must hold at least to match a filter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Route {
    /// Its type; `None` for any.
    pub kind: Option<Arc<str>>,
    /// Places in its envelope, each as the keys that lead there, in order.
    pub places: Vec<Vec<Arc<str>>>,
    /// The digest of what stands in these places; see [`Key`].
    pub digest: u64,
}

impl Interest {
    /// The routes of events that can concern the visit.
    #[must_use]
    pub fn into_routes(self) -> Vec<Route> {
        let typed = |kind| Route { kind, places: Vec::new(), digest: Key::digest(&[]) };
        match self {
            Self::Types(types) => types.into_iter().map(|kind| typed(Some(kind))).collect(),
            Self::All => vec![typed(None)],
            Self::Routes(routes) => routes,
        }
    }
}

/// What tells a value from others: values that are equal have equal keys.
///
/// Digests of keys are in the journal, so how they are made is part of its format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Key<'v> {
    /// Null, or nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number, as the bits of a float.
    Number(u64),
    /// A text of at most [`limits::ROUTE_BYTES`].
    Text(&'v str),
}

impl<'v> Key<'v> {
    /// The key of a value; `None` for what is equal to no value that has one.
    #[must_use]
    pub fn of(value: &'v Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::Null),
            Value::Bool(it) => Some(Self::Bool(*it)),
            #[allow(clippy::cast_precision_loss)]
            Value::Int(number) => Self::number(*number as f64),
            Value::Float(number) => Self::number(*number),
            // As it is compared with other numbers.
            Value::Big(digits) => Self::number(digits.parse().unwrap_or(f64::INFINITY)),
            Value::String(text) => (text.len() <= limits::ROUTE_BYTES).then_some(Self::Text(text)),
            Value::Array(_) | Value::Object(_) | Value::Sealed(_) => None,
        }
    }

    fn number(number: f64) -> Option<Self> {
        // Both zeros are equal.
        (!number.is_nan()).then(|| Self::Number((number + 0.0).to_bits()))
    }

    /// The key of what stands at `place` in an envelope; what is missing is null there.
    #[must_use]
    pub fn at(envelope: &'v Value, place: &[Arc<str>]) -> Option<Self> {
        let found = place.iter().try_fold(envelope, |value, key| value.get(key));
        found.map_or(Some(Self::Null), Self::of)
    }

    /// The digest of several keys.
    #[must_use]
    pub fn digest(keys: &[Key<'_>]) -> u64 {
        let mut hash = Sha256::new();
        keys.iter().for_each(|key| key.feed(&mut hash));
        short(hash)
    }

    fn feed(self, hash: &mut Sha256) {
        match self {
            Self::Null => hash.update([0]),
            Self::Bool(it) => hash.update([1, u8::from(it)]),
            Self::Number(bits) => {
                hash.update([2]);
                hash.update(bits.to_be_bytes());
            }
            Self::Text(text) => {
                hash.update([3]);
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text);
            }
        }
    }
}

fn short(hash: Sha256) -> u64 {
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = hash.finalize().into();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// What events a listening visit can want; `None` when it does not listen any more: what a turn
/// subscribes it may close again.
#[must_use]
pub fn interest(plan: &Plan, state: &Instance, id: FrameId) -> Option<Interest> {
    let frame = state.frame(id)?;
    let Kind::Listen(listen) = &plan.task(frame.task?).kind else { return None };
    let Body::Listening(listening) = frame.body.doing() else { return None };
    if listening.closed {
        return None;
    }
    let locals = Locals::default();
    let scope = FrameScope::at_rest(plan, state, id, &locals);
    let reader = Reader { listen, listening, scope };
    let mut routes = Vec::new();
    for strategy in strategies(listen) {
        let filters = strategy.filters();
        if filters.is_empty() && matches!(strategy, Strategy::Any { .. }) {
            routes.extend(Interest::All.into_routes());
        }
        routes.extend(filters.iter().flat_map(|filter| reader.filter(filter).routes()));
    }
    routes.sort();
    routes.dedup();
    if routes.len() > limits::ROUTES {
        routes = by_type(routes);
    }
    Some(Interest::Routes(routes))
}

/// Types of events that the tasks of a definition listen for; `None` among them for filters that
/// ask for no type in particular. A `listen` to all events names nothing that it waits for.
#[must_use]
pub fn awaited(plan: &Plan) -> BTreeSet<Option<Arc<str>>> {
    let listens = plan.tasks.iter().filter_map(|task| match &task.kind {
        Kind::Listen(listen) => Some(listen),
        _ => None,
    });
    let filters = listens.flat_map(|listen| strategies(listen).flat_map(Strategy::filters));
    let kind = |filter: &EventFilter| {
        let (_, wanted) = filter.with.iter().find(|(name, _)| &**name == "type")?;
        match wanted {
            Template::Constant(Value::String(kind)) if !is_pattern(kind) => Some(kind.clone()),
            _ => None,
        }
    };
    filters.map(kind).collect()
}

/// The same routes, by nothing but the type.
fn by_type(routes: Vec<Route>) -> Vec<Route> {
    let mut types: Vec<_> = routes.into_iter().map(|route| route.kind).collect();
    types.dedup();
    let all = |kind| Route { kind, places: Vec::new(), digest: Key::digest(&[]) };
    types.into_iter().map(all).collect()
}

/// Reads filters for the equalities in them.
struct Reader<'s> {
    listen: &'s Listen,
    listening: &'s Listening,
    scope: FrameScope<'s>,
}

impl Reader<'_> {
    /// What surely holds for events that pass the filter.
    fn filter(&self, filter: &EventFilter) -> Equalities {
        let mut found = Equalities::default();
        for correlation in &filter.correlate {
            let expected = self.listening.correlations.get(&correlation.key);
            if let (Some(expected), Some(place)) = (expected, correlation.from.path()) {
                found.add(place, expected, false);
            }
        }
        for (name, wanted) in &filter.with {
            let place = if &**name == "data" { Place::Data } else { Place::Attribute };
            self.template(place, vec![name.clone()], wanted, &mut found);
        }
        found
    }

    fn template(&self, place: Place, at: Vec<Arc<str>>, wanted: &Template, found: &mut Equalities) {
        let as_text = place == Place::Attribute;
        match wanted {
            Template::Constant(wanted) => literal(at, wanted, as_text, found),
            Template::Expression(program) => match program.fixed() {
                // A truth value is a verdict, and of data only the truth counts.
                Some(operand) if place != Place::Data => match self.value(&operand) {
                    None | Some(Value::Bool(_)) => {}
                    Some(value) => found.add(at, &value, as_text),
                },
                _ => self.program(&at, program, found),
            },
            Template::Object(members) => {
                for (key, wanted) in &**members {
                    let at = at.iter().chain([key]).cloned().collect();
                    self.template(Place::Member, at, wanted, found);
                }
            }
            Template::Text(pieces) => {
                if let Some(text) = self.text(pieces) {
                    found.add(at, &text, false);
                }
            }
            Template::Array(_) | Template::Uri(_) | Template::Loose(..) => {}
        }
    }

    /// What must be equal for a program on what stands at `at` to be true.
    fn program(&self, at: &[Arc<str>], program: &Program, found: &mut Equalities) {
        if program.uses_secrets() {
            return;
        }
        for equality in program.equalities() {
            if let Some(value) = self.value(&equality.operand) {
                let place = at.iter().chain(&equality.path).cloned().collect();
                found.add(place, &value, false);
            }
        }
    }

    /// A text with nothing in it that depends on the event.
    fn text(&self, pieces: &[Piece]) -> Option<Value> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Expression(program) => {
                    let value = self.value(&program.fixed()?)?;
                    // Only short texts are found by, and what is sealed is none.
                    Key::of(&value)?;
                    text.push_str(&value.to_text());
                }
            }
        }
        Some(Value::from(text))
    }

    /// The value of what does not depend on the event, where it stays the same while the visit
    /// listens.
    fn value(&self, operand: &Operand) -> Option<Value> {
        if let Operand::Variable(name, _) = operand {
            let own = self.listen.each.as_ref();
            if own.is_some_and(|each| [&each.item, &each.at].contains(&name)) {
                return None;
            }
            // These differ by version of the program, or by what is being evaluated.
            if matches!(&**name, "runtime" | "task" | "output") {
                return None;
            }
        }
        operand.value(&self.scope)
    }
}

/// What a literal asks for: members of objects, equal leaves.
fn literal(at: Vec<Arc<str>>, wanted: &Value, as_text: bool, found: &mut Equalities) {
    match wanted {
        Value::Object(_) => {
            for (key, wanted) in wanted.as_object().into_iter().flatten() {
                let at = at.iter().chain([key]).cloned().collect();
                literal(at, wanted, false, found);
            }
        }
        Value::String(text) if is_pattern(text) => {}
        wanted => found.add(at, wanted, as_text),
    }
}

/// What surely holds for events that pass a filter.
#[derive(Default)]
struct Equalities {
    kind: Option<Arc<str>>,
    /// By place, with the digests of all spellings of the values that may stand there.
    others: Vec<(Vec<Arc<str>>, Value, bool)>,
}

impl Equalities {
    /// At `place` stands `value`, or its text when `as_text`.
    fn add(&mut self, place: Vec<Arc<str>>, value: &Value, as_text: bool) {
        if Key::of(value).is_none()
            || place.iter().map(|it| it.len()).sum::<usize>() > limits::ROUTE_BYTES
        {
            return;
        }
        // Types are always texts.
        if place.len() == 1 && place.first().is_some_and(|key| &**key == "type") {
            if let Value::String(kind) = value {
                self.kind = Some(kind.clone());
            }
            return;
        }
        let scalar = matches!(value, Value::Bool(_) | Value::Int(_) | Value::Float(_));
        let known = self.others.iter().any(|(other, ..)| *other == place);
        if !known && self.others.len() < limits::ROUTE_EQUALITIES {
            self.others.push((place, value.clone(), as_text && scalar));
        }
    }

    /// A route for each spelling of the values.
    fn routes(mut self) -> Vec<Route> {
        self.others.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        let mut places = Vec::new();
        let mut hashes = vec![Sha256::new()];
        for (place, value, or_text) in self.others {
            let Some(key) = Key::of(&value) else { continue };
            if or_text && 2 * hashes.len() > limits::ROUTE_SPELLINGS {
                continue;
            }
            let text = or_text.then(|| value.to_text());
            let keys = [Some(key), text.as_deref().map(Key::Text)];
            let each = |hash: &Sha256, key: Key<'_>| {
                let mut hash = hash.clone();
                key.feed(&mut hash);
                hash
            };
            let spelled = keys.into_iter().flatten();
            hashes =
                spelled.flat_map(|key| hashes.iter().map(move |hash| each(hash, key))).collect();
            places.push(place);
        }
        let route =
            |hash| Route { kind: self.kind.clone(), places: places.clone(), digest: short(hash) };
        hashes.into_iter().map(route).collect()
    }
}
