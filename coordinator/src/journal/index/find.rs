//! Searching and counting.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;
use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::super::ordered::Ordered;
use super::super::space::Space;
use super::super::store::Store;
use super::super::{Counted, Filter, Found, Head, Journal, JournalError, SearchCursor, error_word};
use super::bits::Bits;
use super::segment::{self, Body, Property, Term};
use super::{Place, Segment, build};

/// What one call may read.
struct Budget {
    heads: usize,
    segments: usize,
}

impl Budget {
    fn of(heads: usize) -> Self {
        Self { heads, segments: limits::SEARCH_SEGMENTS }
    }

    fn is_spent(&self) -> bool {
        self.heads == 0 || self.segments == 0
    }
}

/// Those of a segment's instances that may match: of those that are open, all whose unchanging
/// properties do.
struct Selected {
    generation: u64,
    /// How many there are in all.
    count: usize,
    may: Bits,
    open: Bits,
}

/// A segment that is looked at, as far as it is needed.
struct Look<'a, O> {
    store: &'a Store<O>,
    partition: PartitionId,
    number: u32,
    known: Segment,
}

/// What was to be read is of another generation by now.
struct Changed;

impl<O: Ordered> Look<'_, O> {
    fn part(&self, kind: u8, number: u16) -> Vec<u8> {
        let of = (self.partition, self.number, self.known.generation);
        self.store.index.part(kind, of, number)
    }

    fn damaged(&self) -> JournalError {
        build::damaged(&self.store.index.state(self.partition, self.number))
    }

    /// Leaves those that have any of the terms, or are in `others`.
    fn keep(
        &self,
        may: &mut Bits,
        terms: impl Iterator<Item = Term>,
        others: &Bits,
    ) -> Result<Result<(), Changed>, JournalError> {
        let mut any = others.clone();
        for term in terms {
            let after = self.known.starts.partition_point(|it| *it <= term);
            let Some(number) = after.checked_sub(1) else { continue };
            let key = self.part(b't', u16::try_from(number).unwrap_or(u16::MAX));
            let Some(part) = self.store.body(Space::Common, &key)? else { return Ok(Err(Changed)) };
            let with = segment::with(term, &part, self.known.count);
            any.or(&with.ok_or_else(|| self.damaged())?);
        }
        may.and(&any);
        Ok(Ok(()))
    }

    fn select(&self, filter: &Filter) -> Result<Result<Selected, Changed>, JournalError> {
        let (count, generation) = (self.known.count, self.known.generation);
        let (mut may, mut open, none) = (Bits::all(count), Bits::none(count), Bits::none(count));
        if self.known.open > 0 || self.known.gone > 0 {
            let index = &self.store.index;
            let state = build::state(self.store, index, self.partition, self.number)?;
            if state.generation != generation {
                return Ok(Err(Changed));
            }
            may.without(&state.gone);
            open = state.open;
        }
        let fixed = filter.version.as_deref().map(Property::Version).into_iter();
        let labels = filter.labels.iter().map(|(name, value)| Property::Label(name, value));
        let fixed = fixed.chain(labels).chain(filter.root.map(Property::Root));
        for property in fixed.chain(filter.parent.map(Property::Parent)) {
            if let Err(changed) = self.keep(&mut may, [property.term()].into_iter(), &none)? {
                return Ok(Err(changed));
            }
        }
        let statuses = filter.statuses.iter().map(|it| Property::Status(*it));
        let errors = filter.errors.iter().map(|it| Property::Error(error_word(it)));
        for any in [statuses.collect::<Vec<_>>(), errors.collect()] {
            let terms = any.iter().map(|it| it.term());
            if !any.is_empty()
                && may.count() > 0
                && let Err(changed) = self.keep(&mut may, terms, &open)?
            {
                return Ok(Err(changed));
            }
        }
        if may.count() > 0 && (filter.has_times() || filter.is_by_workflow()) {
            let of = (self.partition, self.number, generation);
            let Some(bytes) = build::parts(self.store, &self.store.index, b'b', of)? else {
                return Ok(Err(Changed));
            };
            let Some(body) = Body::read(&bytes).filter(|it| it.times.len() == count) else {
                return Ok(Err(Changed));
            };
            may.and(&by_body(&body, &open, filter));
        }
        Ok(Ok(Selected { generation, count, may, open }))
    }
}

fn by_body(body: &Body<'_>, open: &Bits, filter: &Filter) -> Bits {
    let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|it| it == found);
    let mut may = body.of_workflows(|namespace, name| {
        is(&filter.namespace, namespace)
            && is(&filter.name, name)
            && filter.visible.has(namespace, name)
    });
    let mut within = Bits::none(body.times.len());
    for (place, (started, ended)) in body.times.iter().enumerate() {
        if filter.is_within(*started, *ended, open.has(place)) {
            within.set(place);
        }
    }
    may.and(&within);
    may
}

/// Finds what may match in a segment.
fn select<O: Ordered>(
    store: &Store<O>,
    (partition, number): (PartitionId, u32),
    filter: &Filter,
) -> Result<Selected, JournalError> {
    for _ in 0..limits::READ_ATTEMPTS {
        let Some(known) = store.index.segment(partition, number) else { break };
        let look = Look { store, partition, number, known };
        if let Ok(selected) = look.select(filter)? {
            return Ok(selected);
        }
    }
    Err(changes_too_fast())
}

/// A partition as a search goes through it, newest first.
struct Source {
    partition: PartitionId,
    segments: Arc<Vec<Segment>>,
    /// How many of the segments, oldest first, were not read yet.
    left: usize,
    /// What may match of what was read, oldest first.
    may: Vec<Place>,
}

impl Source {
    /// Nothing that is still to come is newer.
    fn bound(&self) -> Option<Place> {
        self.may.last().copied().max(self.unread())
    }

    /// The same, of the segments that were not read yet.
    fn unread(&self) -> Option<Place> {
        let last = self.segments.get(self.left.checked_sub(1)?)?;
        Some((last.until, InstanceId(Uuid::max())))
    }

    /// Reads the next segment, or the head of what may match next.
    fn step<O: Ordered>(
        &mut self,
        store: &Store<O>,
        search: &Search<'_>,
        budget: &mut Budget,
    ) -> Result<Option<(Place, Head)>, JournalError> {
        let unread = self.unread();
        if unread.is_some() && unread >= self.may.last().copied() {
            self.left -= 1;
            self.read(store, search, budget)?;
            return Ok(None);
        }
        let Some(place) = self.may.pop() else { return Ok(None) };
        budget.heads = budget.heads.saturating_sub(1);
        let head = build::readable(store, place.1)?.filter(|it| it.matches(search.filter));
        Ok(head.map(|head| (place, head)))
    }

    fn read<O: Ordered>(
        &mut self,
        store: &Store<O>,
        search: &Search<'_>,
        budget: &mut Budget,
    ) -> Result<(), JournalError> {
        let Some(segment) = self.segments.get(self.left) else { return Ok(()) };
        if !search.may_have(segment) {
            return Ok(());
        }
        budget.segments = budget.segments.saturating_sub(1);
        let number = u32::try_from(self.left).unwrap_or(u32::MAX);
        let Selected { generation, count, may, .. } =
            select(store, (self.partition, number), search.filter)?;
        if may.count() == 0 {
            return Ok(());
        }
        let of = (self.partition, number, generation);
        let ids = build::ids(store, &store.index, of, count)?;
        let body = build::parts(store, &store.index, b'b', of)?;
        let times = body.as_deref().and_then(Body::read).map(|it| it.times);
        let Some((ids, times)) = ids.zip(times.filter(|it| it.len() == count)) else {
            // Made anew in this moment: it is read once more.
            self.left += 1;
            return Ok(());
        };
        let place = |it: usize| Some((times.get(it)?.0, *ids.get(it)?));
        self.may.extend(may.places().filter_map(place).filter(|it| search.is_after(*it)));
        self.may.sort_unstable();
        Ok(())
    }
}

/// What is searched for, from where.
struct Search<'a> {
    filter: &'a Filter,
    /// Only what is older.
    before: Option<Place>,
}

impl Search<'_> {
    fn is_after(&self, place: Place) -> bool {
        self.before.is_none_or(|before| place < before)
    }

    fn may_have(&self, segment: &Segment) -> bool {
        self.before.is_none_or(|before| segment.first <= before.0)
            && self.filter.started_before.is_none_or(|it| segment.first < it)
            && self.filter.started_after.is_none_or(|it| segment.last >= it)
    }
}

/// Instances that match, those that started last first.
///
/// # Errors
/// When records are damaged.
pub(in super::super) fn search<O: Ordered>(
    store: &Store<O>,
    filter: &Filter,
    cursor: Option<SearchCursor>,
    limit: usize,
) -> Result<Found, JournalError> {
    let search = Search { filter, before: cursor.map(|it| (it.started_at, it.instance)) };
    let mut budget = Budget::of(limits::LIST_SCAN);
    let mut sources: Vec<Source> = (0..store.partitions())
        .map(|number| {
            let partition = PartitionId(number);
            let known = store.index.of(partition);
            let mut may: Vec<Place> = known.tail.iter().flatten().copied().collect();
            may.retain(|it| search.is_after(*it) && filter.is_within(it.0, None, true));
            may.sort_unstable();
            Source { partition, left: known.segments.len(), segments: known.segments, may }
        })
        .collect();
    let mut found = BTreeMap::new();
    let mut page = Found::default();
    while let Some(source) = sources.iter_mut().max_by_key(|it| it.bound()) {
        let bound = source.bound();
        if let Some(best) = found.last_entry().filter(|it| Some(*it.key()) >= bound) {
            if page.items.len() >= limit {
                return Ok(page);
            }
            let ((started_at, instance), head) = best.remove_entry();
            page.next = Some(SearchCursor { started_at, instance });
            page.items.push((instance, head));
            continue;
        }
        let Some((started_at, instance)) = bound else { break };
        if budget.is_spent() {
            // What is at the bound was not looked at.
            page.next = Some(including(started_at, instance));
            return Ok(page);
        }
        if let Some((place, head)) = source.step(store, &search, &mut budget)? {
            found.insert(place, head);
        }
    }
    page.next = None;
    Ok(page)
}

/// The cursor of a page that goes on with this very place.
fn including(started_at: Timestamp, instance: InstanceId) -> SearchCursor {
    match instance.0.as_u128().checked_add(1) {
        Some(next) => SearchCursor { started_at, instance: InstanceId(Uuid::from_u128(next)) },
        None => SearchCursor { started_at: started_at.plus(1), instance: InstanceId(Uuid::nil()) },
    }
}

/// How many instances match: of what is in segments and has ended, no head is read.
///
/// # Errors
/// When records are damaged.
pub(in super::super) fn count<O: Ordered>(
    store: &Store<O>,
    filter: &Filter,
) -> Result<Counted, JournalError> {
    let search = Search { filter, before: None };
    let mut budget = Budget::of(limits::COUNT_SCAN);
    let mut counted = Counted { count: 0, is_whole: true };
    for number in 0..store.partitions() {
        let partition = PartitionId(number);
        let known = store.index.of(partition);
        for (started, id) in known.tail.iter().flatten() {
            if filter.is_within(*started, None, true) {
                counted.count += matches(store, *id, filter, &mut budget)?;
            }
        }
        for (place, segment) in (0_u32..).zip(known.segments.iter()) {
            if budget.is_spent() {
                return Ok(Counted { is_whole: false, ..counted });
            }
            if search.may_have(segment) {
                budget.segments = budget.segments.saturating_sub(1);
                counted.count += count_in(store, (partition, place), filter, &mut budget)?;
            }
        }
    }
    counted.is_whole = !budget.is_spent();
    Ok(counted)
}

/// One, or none, by the head of an instance.
fn matches<O: Ordered>(
    store: &Store<O>,
    instance: InstanceId,
    filter: &Filter,
    budget: &mut Budget,
) -> Result<u64, JournalError> {
    if budget.heads == 0 {
        return Ok(0);
    }
    budget.heads -= 1;
    Ok(u64::from(build::readable(store, instance)?.is_some_and(|it| it.matches(filter))))
}

fn count_in<O: Ordered>(
    store: &Store<O>,
    of: (PartitionId, u32),
    filter: &Filter,
    budget: &mut Budget,
) -> Result<u64, JournalError> {
    for _ in 0..limits::READ_ATTEMPTS {
        let Selected { generation, count: all, mut may, mut open } = select(store, of, filter)?;
        if !filter.asks_what_changes() {
            return Ok(may.count() as u64);
        }
        open.and(&may);
        may.without(&open);
        let mut count = may.count() as u64;
        if open.count() == 0 {
            return Ok(count);
        }
        let of = (of.0, of.1, generation);
        let Some(ids) = build::ids(store, &store.index, of, all)? else { continue };
        for id in open.places().filter_map(|it| ids.get(it)) {
            count += matches(store, *id, filter, budget)?;
        }
        return Ok(count);
    }
    Err(changes_too_fast())
}

fn changes_too_fast() -> JournalError {
    JournalError::Store("a part of the search index changes too fast to be read".to_owned())
}
