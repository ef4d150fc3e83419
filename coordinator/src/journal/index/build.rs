//! Making segments, and keeping them right.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::super::ordered::Ordered;
use super::super::record::{push_varint, read_varint};
use super::super::space::{Change, Order, Space};
use super::super::store::{Store, stored_head};
use super::super::{Head, Journal, JournalError, head, keys, record};
use super::segment::{self, State};
use super::{Index, PART_BYTES, Partition, Place, Segment};

/// Opens the index of a journal; makes it anew where it does not fit the heads.
///
/// # Errors
/// When the store cannot be read or written.
pub(in super::super) fn open<O: Ordered>(store: &Store<O>) -> Result<Index, JournalError> {
    let mut index = Index::default();
    let era = store.body(Space::Common, &meta())?;
    if let Some(era) = era.and_then(|it| it.try_into().ok()).map(u64::from_be_bytes) {
        index.era = era;
        match recover(store, &index) {
            Ok(Some(partitions)) => {
                *index.write() = partitions;
                return Ok(index);
            }
            Ok(None) => tracing::warn!("the search index does not fit the journal: rebuilding it"),
            Err(error @ JournalError::Damaged(_)) => {
                tracing::warn!(%error, "the search index is damaged: rebuilding it");
            }
            Err(error) => return Err(error),
        }
    }
    // What the last one left under its keys is never met again.
    index.era = uuid::Uuid::new_v4().as_u64_pair().0;
    anew(store, &index)?;
    Ok(index)
}

pub(in super::super) fn meta() -> Vec<u8> {
    [keys::INDEX, b"m"].concat()
}

/// What is known of an index, if it has all heads.
fn recover<O: Ordered>(
    store: &Store<O>,
    index: &Index,
) -> Result<Option<Vec<Partition>>, JournalError> {
    let mut partitions = Vec::new();
    for number in 0..store.partitions() {
        let partition = PartitionId(number);
        let key = index.key(b'p', partition, &[]);
        let (mut segments, mut base, mut unreadable) = (0, 0, 0);
        if let Some(body) = store.body(Space::Common, &key)? {
            let read = read_varint(&body).and_then(|(segments, rest)| {
                let (base, rest) = read_varint(rest)?;
                // An earlier version did not say.
                let unreadable = read_varint(rest).map_or(0, |it| it.0);
                Some((u32::try_from(segments).ok()?, base, unreadable))
            });
            (segments, base, unreadable) = read.ok_or_else(|| damaged(&key))?;
        }
        let mut known = Vec::new();
        let mut instances = 0;
        for segment in 0..segments {
            let state = state(store, index, partition, segment)?;
            push(&mut known, &state);
            instances += state.count - state.gone.count();
        }
        let segments = known.into();
        let mut of = Partition { segments, base, unreadable, ..Partition::default() };
        while let Some(record) = arrivals(store, index, partition, of.next())? {
            for (_, id) in &record {
                let key = keys::of_instance(keys::HEAD, *id);
                let head = store.ordered.get(Space::Partition(partition), &key)?;
                instances += usize::from(head.is_some());
            }
            of.tail.push_back(record);
        }
        if instances as u64 + unreadable != store.heads_due(partition) {
            return Ok(None);
        }
        partitions.push(of);
    }
    Ok(Some(partitions))
}

fn push(segments: &mut Vec<Segment>, state: &State) {
    let before = segments.last().map_or(Timestamp(0), |it| it.until);
    segments.push(known(state, before));
}

/// What is known of a segment in this state, after others whose last start was `before`.
fn known(state: &State, before: Timestamp) -> Segment {
    Segment {
        generation: state.generation,
        count: state.count,
        first: state.first,
        last: state.last,
        until: state.last.max(before),
        open: state.open.count(),
        gone: state.gone.count(),
        starts: state.starts.clone().into(),
    }
}

fn arrivals<O: Ordered>(
    store: &Store<O>,
    index: &Index,
    partition: PartitionId,
    number: u64,
) -> Result<Option<Vec<Place>>, JournalError> {
    let key = index.arrivals(partition, number);
    let Some(body) = store.body(Space::Common, &key)? else { return Ok(None) };
    let (records, rest) = body.as_chunks::<24>();
    if records.is_empty() || !rest.is_empty() {
        return Err(damaged(&key));
    }
    let place = |it: &[u8; 24]| {
        let (started, id) = it.split_first_chunk::<8>()?;
        let id = uuid::Uuid::from_slice(id).ok()?;
        Some((Timestamp(u64::from_be_bytes(*started)), InstanceId(id)))
    };
    Ok(Some(records.iter().filter_map(place).collect()))
}

/// Makes the index of all heads there are.
fn anew<O: Ordered>(store: &Store<O>, index: &Index) -> Result<(), JournalError> {
    let mut partitions = Vec::new();
    for number in 0..store.partitions() {
        let partition = PartitionId(number);
        let places = starts(store, partition)?;
        let unreadable = store.heads_due(partition).saturating_sub(places.len() as u64);
        let mut of = Partition { unreadable, ..Partition::default() };
        let mut segments = Vec::new();
        for (segment, places) in (0_u32..).zip(places.chunks(limits::SEARCH_SEGMENT)) {
            let built = segment::build(heads(store, partition, places)?, 0);
            push(&mut segments, &built.state);
            let mut changes = Vec::new();
            put(&mut changes, index, (partition, segment), &built);
            store.ordered.write(changes)?;
        }
        of.segments = segments.into();
        let mut changes = Vec::new();
        let counts = (of.segments.len(), 0, of.unreadable);
        put_partition(&mut changes, index, partition, counts);
        store.ordered.write(changes)?;
        partitions.push(of);
    }
    // Last: only a whole one is met again.
    let mut changes = Vec::new();
    record::put(&mut changes, Space::Common, meta(), &[&index.era.to_be_bytes()]);
    store.ordered.write(changes)?;
    *index.write() = partitions;
    Ok(())
}

/// All instances of a partition, in order of their starts.
fn starts<O: Ordered>(
    store: &Store<O>,
    partition: PartitionId,
) -> Result<Vec<Place>, JournalError> {
    let (space, end) = (Space::Partition(partition), keys::end_of(&[keys::HEAD]));
    let (mut places, mut cut) = (Vec::new(), Vec::new());
    store.ordered.scan(space, &[keys::HEAD], &end, Order::Up, &mut |key, value| {
        let (instance, _) = keys::instance(key)?;
        // What cannot be read is damage, of which others tell.
        let Ok(opened) = record::open(key, value) else { return Ok(ControlFlow::Continue(())) };
        let head = stored_head(&opened.first).and_then(|(head, _)| head::summary(head));
        match head {
            Some(head) => places.push((head.started_at(), instance)),
            None => cut.push(instance),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    for instance in cut {
        places.extend(readable(store, instance)?.map(|head| (head.started_at, instance)));
    }
    places.sort_unstable();
    Ok(places)
}

/// The heads of instances; those that were removed are left out.
///
/// What started together lies together: a scan unpacks each block once, where reading one head
/// after the other would for each of them.
fn heads<O: Ordered>(
    store: &Store<O>,
    partition: PartitionId,
    places: &[Place],
) -> Result<Vec<(InstanceId, Head)>, JournalError> {
    let space = Space::Partition(partition);
    let ids = || places.iter().map(|(_, id)| *id);
    let (Some(first), Some(last)) = (ids().min(), ids().max()) else { return Ok(Vec::new()) };
    let from = keys::of_instance(keys::HEAD, first);
    let to = keys::end_of(&keys::of_instance(keys::HEAD, last));
    // Ids that follow from keys lie anywhere: then the scan ends before it has them all.
    let near = store.entries(space, &from, &to, Order::Up, 2 * places.len())?;
    let near: HashMap<Vec<u8>, Vec<u8>> = near.into_iter().collect();
    let mut heads = Vec::with_capacity(places.len());
    for id in ids() {
        let key = keys::of_instance(keys::HEAD, id);
        let found = near.get(&key).and_then(|value| whole_head(&key, value));
        let head = match found {
            Some(head) => Some(head),
            None => readable(store, id)?,
        };
        if let Some(mut head) = head {
            head.output = None;
            heads.push((id, head));
        }
    }
    Ok(heads)
}

/// The head in a record, if it is in one part and can be read.
fn whole_head(key: &[u8], value: &[u8]) -> Option<Head> {
    let opened = record::open(key, value).ok().filter(|it| it.parts() == 0)?;
    let (head, _) = stored_head(&opened.first)?;
    head::decode(key, head).ok()
}

/// The head of an instance, if there is one that can be read: of damage others tell, and the rest
/// is found all the same.
pub(super) fn readable<O: Ordered>(
    store: &Store<O>,
    instance: InstanceId,
) -> Result<Option<Head>, JournalError> {
    match store.head(instance) {
        Err(JournalError::Damaged(_)) => Ok(None),
        read => read,
    }
}

fn put_partition(
    changes: &mut Vec<Change>,
    index: &Index,
    partition: PartitionId,
    (segments, base, unreadable): (usize, u64, u64),
) {
    let mut body = Vec::new();
    push_varint(&mut body, segments as u64);
    push_varint(&mut body, base);
    push_varint(&mut body, unreadable);
    record::put(changes, Space::Common, index.key(b'p', partition, &[]), &[&body]);
}

fn put(
    changes: &mut Vec<Change>,
    index: &Index,
    (partition, segment): (PartitionId, u32),
    built: &segment::Built,
) {
    let of = (partition, segment, built.state.generation);
    for (kind, bytes) in [(b'b', &built.body), (b'i', &built.ids)] {
        for (number, part) in (0_u16..).zip(bytes.chunks(PART_BYTES)) {
            record::put(changes, Space::Common, index.part(kind, of, number), &[part]);
        }
    }
    for (number, part) in (0_u16..).zip(&built.terms) {
        record::put(changes, Space::Common, index.part(b't', of, number), &[part]);
    }
    put_state(changes, index, (partition, segment), &built.state);
}

pub(super) fn put_state(
    changes: &mut Vec<Change>,
    index: &Index,
    (partition, segment): (PartitionId, u32),
    state: &State,
) {
    let key = index.state(partition, segment);
    record::put(changes, Space::Common, key, &[&state.encode()]);
}

/// The state of a segment.
pub(super) fn state<O: Ordered>(
    store: &Store<O>,
    index: &Index,
    partition: PartitionId,
    segment: u32,
) -> Result<State, JournalError> {
    let key = index.state(partition, segment);
    let body = store.body(Space::Common, &key)?.ok_or_else(|| damaged(&key))?;
    State::decode(&body).ok_or_else(|| damaged(&key))
}

/// The body (`b`) or the ids (`i`) of a segment; none when it was made anew meanwhile. It may lack
/// its end then: who reads it sees that by the number of instances in it.
pub(super) fn parts<O: Ordered>(
    store: &Store<O>,
    index: &Index,
    kind: u8,
    of: (PartitionId, u32, u64),
) -> Result<Option<Vec<u8>>, JournalError> {
    let mut bytes = Vec::new();
    for number in 0..=u16::MAX {
        let key = index.part(kind, of, number);
        match store.body(Space::Common, &key)? {
            Some(part) => bytes.extend_from_slice(&part),
            None if number == 0 => return Ok(None),
            None => break,
        }
        if !bytes.len().is_multiple_of(PART_BYTES) {
            break;
        }
    }
    Ok(Some(bytes))
}

/// The ids of a segment of so many instances; none when it was made anew meanwhile.
pub(super) fn ids<O: Ordered>(
    store: &Store<O>,
    index: &Index,
    of: (PartitionId, u32, u64),
    count: usize,
) -> Result<Option<Vec<InstanceId>>, JournalError> {
    let ids = parts(store, index, b'i', of)?.map(|it| segment::ids(&it));
    Ok(ids.filter(|it| it.len() == count))
}

pub(super) fn damaged(key: &[u8]) -> JournalError {
    record::damaged(key, "does not hold what the search index needs")
}

/// Makes segments of arrivals, and anew those of which much has ended: bounded work a call, while
/// commits go on. True when there is more to do.
///
/// # Errors
/// When the store cannot be read or written.
pub(in super::super) fn indexed<O: Ordered>(store: &Store<O>) -> Result<bool, JournalError> {
    let index = &store.index;
    for number in 0..store.partitions() {
        let partition = PartitionId(number);
        let (mut taken, mut count) = (Vec::new(), 0);
        for record in index.of(partition).tail {
            if count >= limits::SEARCH_SEGMENT {
                break;
            }
            count += record.len();
            taken.push(record);
        }
        if count >= limits::SEARCH_SEGMENT {
            make(store, partition, &taken)?;
        }
    }
    refresh(store)?;
    Ok(index.is_due())
}

/// Makes a segment of the first records of a partition's tail.
fn make<O: Ordered>(
    store: &Store<O>,
    partition: PartitionId,
    taken: &[Vec<Place>],
) -> Result<(), JournalError> {
    let index = &store.index;
    let places = taken.concat();
    let mut built = segment::build(heads(store, partition, &places)?, 0);
    let ids = segment::ids(&built.ids);
    let _exclusive = store.exclusive();
    let known = index.of(partition);
    // What happened to them since their heads were read.
    let started: HashMap<InstanceId, Timestamp> = places.iter().map(|it| (it.1, it.0)).collect();
    for (place, id) in ids.iter().enumerate().filter(|(_, id)| known.touched.contains(id)) {
        match readable(store, *id)? {
            Some(head) if started.get(id) == Some(&head.started_at) => built.state.open.set(place),
            // Or it is another one's by now, which has arrived since.
            Some(_) | None => built.state.gone.set(place),
        }
    }
    let number = u32::try_from(known.segments.len()).unwrap_or(u32::MAX);
    let mut changes = Vec::new();
    put(&mut changes, index, (partition, number), &built);
    let mut base = known.base;
    for record in taken {
        let key = index.arrivals(partition, base);
        changes.push(Change { space: Space::Common, key, value: None });
        base += record.len() as u64;
    }
    let counts = (known.segments.len() + 1, base, known.unreadable);
    put_partition(&mut changes, index, partition, counts);
    store.write(changes)?;
    let mut segments = known.segments.to_vec();
    push(&mut segments, &built.state);
    if let Some(known) = index.write().get_mut(usize::from(partition.0)) {
        known.segments = segments.into();
        known.base = base;
        known.tail.drain(..taken.len().min(known.tail.len()));
        places.iter().for_each(|(_, id)| _ = known.touched.remove(id));
    }
    Ok(())
}

/// Makes segments anew of whose instances many have ended or are gone. Each call looks at some, and
/// the next one goes on there.
fn refresh<O: Ordered>(store: &Store<O>) -> Result<(), JournalError> {
    let index = &store.index;
    // Of each partition as many, so that none waits for another one's.
    let each = limits::SEARCH_REFRESHES.div_ceil(usize::from(store.partitions()));
    for number in 0..store.partitions() {
        let partition = PartitionId(number);
        let known = index.of(partition);
        let segments = (0_u32..).zip(known.segments.iter());
        let due = segments.filter(|(it, segment)| {
            let is_left = segment.gone * limits::SEARCH_REFRESH_SHARE > segment.count;
            *it >= known.refreshed && (segment.open > 0 || is_left)
        });
        let mut refreshed = 0;
        for (looked_at, (segment, _)) in due.enumerate() {
            if looked_at == each {
                refreshed = segment;
                break;
            }
            refresh_one(store, partition, segment)?;
        }
        if let Some(known) = index.write().get_mut(usize::from(partition.0)) {
            known.refreshed = refreshed;
        }
    }
    Ok(())
}

fn refresh_one<O: Ordered>(
    store: &Store<O>,
    partition: PartitionId,
    segment: u32,
) -> Result<(), JournalError> {
    let index = &store.index;
    let known = state(store, index, partition, segment)?;
    let of = (partition, segment, known.generation);
    let Some(ids) = ids(store, index, of, known.count)? else { return Ok(()) };
    let mut ended = 0;
    for id in known.open.places().filter_map(|it| ids.get(it)) {
        ended += usize::from(readable(store, *id)?.is_none_or(|it| it.status.is_final()));
    }
    let has_ended = ended > 0 && ended * limits::SEARCH_REFRESH_SHARE >= known.open.count();
    let is_left = known.gone.count() * limits::SEARCH_REFRESH_SHARE > known.count;
    if !has_ended && !is_left {
        return Ok(());
    }
    let _exclusive = store.exclusive();
    // What is gone by now may have left its id to another one.
    let known = state(store, index, partition, segment)?;
    if known.generation != of.2 {
        return Ok(());
    }
    let left = ids.iter().enumerate().filter(|(place, _)| !known.gone.has(*place));
    let places: Vec<Place> = left.map(|(_, it)| (Timestamp(0), *it)).collect();
    let built = segment::build(heads(store, partition, &places)?, known.generation + 1);
    let mut changes = Vec::new();
    let length = |kind| parts(store, index, kind, of).map(|it| it.map_or(0, |it| it.len()));
    for (kind, old) in [
        (b'b', length(b'b')?.div_ceil(PART_BYTES)),
        (b'i', length(b'i')?.div_ceil(PART_BYTES)),
        (b't', known.starts.len()),
    ] {
        for number in (0_u16..).take(old) {
            let key = index.part(kind, of, number);
            changes.push(Change { space: Space::Common, key, value: None });
        }
    }
    put(&mut changes, index, (partition, segment), &built);
    store.write(changes)?;
    set(index, partition, segment, &built.state);
    Ok(())
}

pub(super) fn set(index: &Index, partition: PartitionId, segment: u32, state: &State) {
    if let Some(of) = index.write().get_mut(usize::from(partition.0))
        && let Some(it) = Arc::make_mut(&mut of.segments).get_mut(segment as usize)
    {
        // What remains of it is not later than what there was.
        *it = Segment { until: it.until, ..known(state, Timestamp(0)) };
    }
}

#[cfg(test)]
impl<O: Ordered> Store<O> {
    /// Leaves the journal as a version that knows of no index does.
    pub(in super::super) fn without_index(&self) -> Result<(), JournalError> {
        self.ordered.write(vec![Change { space: Space::Common, key: meta(), value: None }])
    }

    /// Leaves the index without the last arrivals.
    pub(in super::super) fn forget_last_arrival(&self) -> Result<(), JournalError> {
        let mut changes = Vec::new();
        for (number, known) in (0..).zip(self.index.read().iter()) {
            let last = known.tail.back().map_or(0, |it| it.len() as u64);
            let key = self.index.arrivals(PartitionId(number), known.next() - last);
            changes.push(Change { space: Space::Common, key, value: None });
        }
        self.ordered.write(changes)
    }
}
