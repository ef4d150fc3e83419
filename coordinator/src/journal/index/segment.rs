//! What a segment says of its instances.
//!
//! ```text
//! body:  count: varint | { started, from the last one: varint | 0, or 1 + time to the end: varint }…
//!        | count: varint | { namespace | name: length and text | places }…          workflows
//! terms: { term: u64 | places }…                 sorted, in parts that begin with a term each
//! ids:   { id: 16 bytes }…
//! state: generation | count | first, last start: varints | open | gone: places | { term: u64 }…
//! ```
//!
//! The terms at the end of the state are those that parts begin with: who looks for one reads one
//! part. Only the places of the state change within a generation, when an instance that had ended
//! goes on, or is removed.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::Digest as _;
use windlass_proto::id::InstanceId;
use windlass_proto::time::Timestamp;

use super::super::record::{push_varint, read_varint};
use super::super::{Head, Status};
use super::bits::Bits;

/// What instances have in common, by which they are found: eight bytes of a SHA-256.
pub(super) type Term = u64;

/// Something that a term is made of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Property<'a> {
    Version(&'a str),
    Label(&'a str, &'a str),
    Root(InstanceId),
    Parent(InstanceId),
    Status(Status),
    /// See [`Head::error_word`].
    Error(&'a str),
}

impl Property<'_> {
    pub(super) fn term(self) -> Term {
        let mut hasher = sha2::Sha256::new();
        match self {
            Self::Version(version) => hasher.update([b"v", version.as_bytes()].concat()),
            Self::Label(name, value) => {
                // The length of the name keeps `a=b=c` apart from itself.
                hasher.update([b"l", (name.len() as u64).to_le_bytes().as_slice()].concat());
                hasher.update([name.as_bytes(), value.as_bytes()].concat());
            }
            Self::Root(id) => hasher.update([b"r", id.0.as_bytes().as_slice()].concat()),
            Self::Parent(id) => hasher.update([b"p", id.0.as_bytes().as_slice()].concat()),
            Self::Status(status) => hasher.update([b"s", status.word().as_bytes()].concat()),
            Self::Error(word) => hasher.update([b"e", word.as_bytes()].concat()),
        }
        let digest = hasher.finalize();
        digest.first_chunk::<8>().map_or(0, |it| u64::from_le_bytes(*it))
    }
}

/// The terms of an instance: those that never change and, once it has ended, how it did.
fn terms(head: &Head) -> Vec<Term> {
    let mut properties = vec![Property::Version(&head.workflow.version)];
    properties.extend(head.labels.iter().map(|(name, value)| Property::Label(name, value)));
    properties.extend(head.root.map(Property::Root));
    properties.extend(head.parent.map(Property::Parent));
    if head.status.is_final() {
        properties.push(Property::Status(head.status));
        properties.extend(head.error_word().map(Property::Error));
    }
    properties.into_iter().map(Property::term).collect()
}

/// A segment made of its instances.
pub(super) struct Built {
    pub(super) body: Vec<u8>,
    pub(super) terms: Vec<Vec<u8>>,
    pub(super) ids: Vec<u8>,
    pub(super) state: State,
}

/// Makes a segment; `instances` may come in any order.
pub(super) fn build(mut instances: Vec<(InstanceId, Head)>, generation: u64) -> Built {
    instances.sort_by_key(|(id, head)| (head.started_at, *id));
    let count = instances.len();
    let (mut ids, mut body) = (Vec::with_capacity(16 * count), Vec::new());
    let mut workflows = BTreeMap::<(Arc<str>, Arc<str>), Bits>::new();
    let mut by_term = BTreeMap::<Term, Bits>::new();
    let mut open = Bits::none(count);
    push_varint(&mut body, count as u64);
    let mut before = 0;
    for (place, (id, head)) in instances.iter().enumerate() {
        ids.extend_from_slice(id.0.as_bytes());
        push_varint(&mut body, head.started_at.0 - before);
        before = head.started_at.0;
        let ended = head.ended_at.filter(|_| head.status.is_final());
        push_varint(&mut body, ended.map_or(0, |it| it.0.saturating_sub(before) + 1));
        let workflow = (head.workflow.namespace.clone(), head.workflow.name.clone());
        workflows.entry(workflow).or_insert_with(|| Bits::none(count)).set(place);
        for term in terms(head) {
            by_term.entry(term).or_insert_with(|| Bits::none(count)).set(place);
        }
        if !head.status.is_final() {
            open.set(place);
        }
    }
    push_varint(&mut body, workflows.len() as u64);
    for ((namespace, name), places) in &workflows {
        for text in [namespace, name] {
            push_varint(&mut body, text.len() as u64);
            body.extend_from_slice(text.as_bytes());
        }
        places.push(&mut body);
    }
    let (terms, starts) = parts_of(&by_term);
    let start = |it: Option<&(InstanceId, Head)>| it.map_or(Timestamp(0), |it| it.1.started_at);
    let (first, last) = (start(instances.first()), start(instances.last()));
    let gone = Bits::none(count);
    let state = State { generation, first, last, count, open, gone, starts };
    Built { body, terms, ids, state }
}

/// The terms in parts, and the first one of each.
fn parts_of(by_term: &BTreeMap<Term, Bits>) -> (Vec<Vec<u8>>, Vec<Term>) {
    let (mut parts, mut starts) = (Vec::<Vec<u8>>::new(), Vec::new());
    for (term, places) in by_term {
        let mut entry = term.to_le_bytes().to_vec();
        places.push(&mut entry);
        match parts.last_mut() {
            Some(part) if part.len() + entry.len() <= super::PART_BYTES => part.extend(entry),
            _ => {
                parts.push(entry);
                starts.push(*term);
            }
        }
    }
    (parts, starts)
}

/// What may change about a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Body and ids have it in their keys: a reader never meets parts of two.
    pub(super) generation: u64,
    /// When the first and the last of its instances started.
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) count: usize,
    /// Had not ended when the body was made, or changed since: their heads tell.
    pub(super) open: Bits,
    /// Were removed.
    pub(super) gone: Bits,
    /// The first term of each part of the terms.
    pub(super) starts: Vec<Term>,
}

impl State {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [self.generation, self.count as u64, self.first.0, self.last.0] {
            push_varint(&mut bytes, number);
        }
        self.open.push(&mut bytes);
        self.gone.push(&mut bytes);
        bytes.extend(self.starts.iter().flat_map(|it| it.to_le_bytes()));
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (generation, rest) = read_varint(bytes)?;
        let (count, rest) = read_varint(rest)?;
        let (first, rest) = read_varint(rest)?;
        let (last, rest) = read_varint(rest)?;
        let count = usize::try_from(count).ok().filter(|it| *it <= super::PLACES)?;
        let (open, rest) = Bits::read(rest, count)?;
        let (gone, rest) = Bits::read(rest, count)?;
        let (first, last) = (Timestamp(first), Timestamp(last));
        let (starts, rest) = rest.as_chunks::<8>();
        let starts = starts.iter().map(|it| u64::from_le_bytes(*it)).collect();
        rest.is_empty().then_some(Self { generation, first, last, count, open, gone, starts })
    }
}

/// A body that is read.
pub(super) struct Body<'a> {
    /// When each started and, unless it was open, ended.
    pub(super) times: Vec<(Timestamp, Option<Timestamp>)>,
    workflows: Vec<(&'a str, &'a str, Bits)>,
}

impl<'a> Body<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (count, mut rest) = read_varint(bytes)?;
        let count = usize::try_from(count).ok().filter(|it| *it <= super::PLACES)?;
        let mut times = Vec::with_capacity(count);
        let mut started = 0_u64;
        for _ in 0..count {
            let (after, following) = read_varint(rest)?;
            let (lasted, following) = read_varint(following)?;
            started = started.checked_add(after)?;
            let ended = lasted.checked_sub(1).map(|it| Timestamp(started.saturating_add(it)));
            times.push((Timestamp(started), ended));
            rest = following;
        }
        let (count_of_workflows, mut rest) = read_varint(rest)?;
        let mut workflows = Vec::new();
        for _ in 0..count_of_workflows {
            let (namespace, following) = read_text(rest)?;
            let (name, following) = read_text(following)?;
            let (places, following) = Bits::read(following, count)?;
            workflows.push((namespace, name, places));
            rest = following;
        }
        rest.is_empty().then_some(Self { times, workflows })
    }

    /// Those of workflows that are wanted.
    pub(super) fn of_workflows(&self, wanted: impl Fn(&str, &str) -> bool) -> Bits {
        let mut found = Bits::none(self.times.len());
        for (namespace, name, places) in &self.workflows {
            if wanted(namespace, name) {
                found.or(places);
            }
        }
        found
    }
}

/// Those with a term, of `count`, in the part where it would be; `None` for one that is damaged.
pub(super) fn with(term: Term, part: &[u8], count: usize) -> Option<Bits> {
    let mut rest = part;
    while let Some((found, following)) = rest.split_first_chunk::<8>() {
        match u64::from_le_bytes(*found).cmp(&term) {
            Ordering::Less => rest = Bits::skip(following, count)?,
            Ordering::Equal => return Some(Bits::read(following, count)?.0),
            Ordering::Greater => break,
        }
    }
    Some(Bits::none(count))
}

fn read_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = read_varint(bytes)?;
    let (text, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// The ids of a segment.
pub(super) fn ids(bytes: &[u8]) -> Vec<InstanceId> {
    let (chunks, _) = bytes.as_chunks::<16>();
    chunks.iter().map(|it| InstanceId(uuid::Uuid::from_bytes(*it))).collect()
}
