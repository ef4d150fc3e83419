//! Messages of a topic as they come, from all brokers that have partitions of it.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::time::Instant;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};

use super::cluster::{Cluster, Partition, pause};
use super::connection::ANSWER;
use super::group::Group;
use super::records::Batches;
use super::refusal::{
    ILLEGAL_GENERATION, OFFSET_OUT_OF_RANGE, REBALANCING, UNKNOWN_MEMBER, UNKNOWN_TOPIC, is_moved,
    refused,
};
use super::wire::{FETCH, LIST_OFFSETS, Read, Reader, Writer};
use crate::attempt::Attempt;
use crate::perform::asyncapi::message::Incoming;

/// A subscription.
pub(in crate::perform::asyncapi) struct Subscribed {
    cluster: Cluster,
    topic: String,
    /// Whether what was there before counts, where no group has begun.
    is_earliest: bool,
    group: Option<Group>,
    /// Those that are this member's, or all.
    partitions: BTreeMap<i32, Progress>,
    /// What was asked of which broker, and not answered: offsets by partition.
    asked: BTreeMap<i32, BTreeMap<i32, i64>>,
    /// What has come and was not looked at yet.
    ready: VecDeque<Batches>,
    /// Whether who leads is to be asked.
    is_moved: bool,
    /// How often it was asked since something came.
    moves: u32,
    /// How often nothing came of what has come.
    stuck: u32,
    /// Counts what is asked, so that each partition comes first in turn.
    turn: usize,
}

/// What of a connection has come.
type Filled<'a> = Pin<Box<dyn Future<Output = Result<(), Problem>> + Send + 'a>>;

/// How far a partition is read.
#[derive(Clone, Debug)]
struct Progress {
    number: i32,
    leader: i32,
    /// The offset of the record that is wanted next, once that is known.
    position: Option<i64>,
    /// That of the first that was not taken, where some were.
    taken: Option<i64>,
    /// Whether the group was asked from where on; what it says may be gone meanwhile.
    is_begun: bool,
}

/// What a broker has of a partition.
struct Fetched {
    number: i32,
    code: i16,
    bytes: bytes::Bytes,
}

impl Subscribed {
    /// One that knows where it begins.
    pub(super) async fn begin(
        attempt: &Attempt<'_>,
        cluster: Cluster,
        topic: String,
        group: Option<&str>,
        is_earliest: bool,
    ) -> Result<Self, Problem> {
        let group = group.map(|name| Group::new(name, &topic, cluster.first().clone()));
        let mut subscribed = Self {
            cluster,
            topic,
            is_earliest,
            group,
            partitions: BTreeMap::new(),
            asked: BTreeMap::new(),
            ready: VecDeque::new(),
            is_moved: false,
            moves: 0,
            stuck: 0,
            turn: 0,
        };
        if subscribed.group.is_none() {
            let all = subscribed.cluster.partitions(attempt, &subscribed.topic).await?;
            subscribed.partitions = all.iter().map(|it| (it.number, Progress::of(*it))).collect();
        }
        subscribed.settle(attempt).await?;
        while subscribed.partitions.values().any(|it| it.position.is_none()) {
            subscribed.settle(attempt).await?;
        }
        Ok(subscribed)
    }

    /// The next message.
    pub(in crate::perform::asyncapi) async fn next(
        &mut self,
        attempt: &Attempt<'_>,
    ) -> Result<Incoming, Problem> {
        loop {
            if let Some(incoming) = self.ready()? {
                return Ok(incoming);
            }
            self.settle(attempt).await?;
            self.ask(attempt).await?;
            self.wait().await?;
            self.hear()?;
        }
    }

    /// The next of what has come.
    fn ready(&mut self) -> Result<Option<Incoming>, Problem> {
        while let Some(batches) = self.ready.front_mut() {
            let number = batches.partition;
            let incoming = batches.next();
            let (position, is_stuck) = (batches.position, batches.is_stuck());
            let Some(progress) = self.partitions.get_mut(&number) else {
                self.ready.pop_front();
                continue;
            };
            let incoming = incoming.map_err(|why| self.cluster.first().failed(why))?;
            progress.position = Some(position);
            if incoming.is_some() {
                progress.taken = Some(position);
                self.stuck = 0;
                return Ok(incoming);
            }
            self.ready.pop_front();
            // A batch that has no room beside those of other partitions comes first another time.
            self.stuck = if is_stuck { self.stuck + 1 } else { 0 };
            if self.stuck > limits::KAFKA_TRIES {
                let why = "its messages do not go on from where they are asked for";
                return Err(self.cluster.first().failed(why));
            }
        }
        Ok(None)
    }

    /// Makes what is known fit what has changed: the group, who leads, and where to go on.
    async fn settle(&mut self, attempt: &Attempt<'_>) -> Result<(), Problem> {
        if let Some(group) = self.group.as_mut().filter(|it| !it.is_joined) {
            let own = group.join(attempt, &mut self.cluster).await?;
            let all = self.cluster.partitions(attempt, &self.topic).await?;
            let mut before = std::mem::take(&mut self.partitions);
            self.ready.retain(|it| own.contains(&it.partition));
            for partition in all.into_iter().filter(|it| own.contains(&it.number)) {
                let mut progress =
                    before.remove(&partition.number).unwrap_or_else(|| Progress::of(partition));
                progress.leader = partition.leader;
                self.partitions.insert(partition.number, progress);
            }
        }
        if std::mem::take(&mut self.is_moved) {
            self.moves += 1;
            if self.moves > limits::KAFKA_TRIES {
                return Err(self.cluster.first().failed("nobody leads the topic"));
            }
            pause().await;
            for partition in self.cluster.partitions(attempt, &self.topic).await? {
                if let Some(progress) = self.partitions.get_mut(&partition.number) {
                    progress.leader = partition.leader;
                }
            }
        }
        self.find_positions(attempt).await
    }

    /// Finds where to begin, of partitions where that is not known: where the group is, or else at
    /// one end.
    async fn find_positions(&mut self, attempt: &Attempt<'_>) -> Result<(), Problem> {
        let open = |it: &&mut Progress| it.position.is_none();
        if let Some(group) = &mut self.group {
            let new: Vec<_> =
                self.partitions.values().filter(|it| !it.is_begun).map(|it| it.number).collect();
            if !new.is_empty() {
                let offsets = group.offsets(&new).await?;
                for progress in self.partitions.values_mut().filter(open) {
                    progress.position = offsets.get(&progress.number).copied();
                }
                self.partitions.values_mut().for_each(|it| it.is_begun = true);
            }
        }
        let mut leaders: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for progress in self.partitions.values_mut().filter(open) {
            leaders.entry(progress.leader).or_default().push(progress.number);
        }
        for (leader, numbers) in leaders {
            if leader < 0 {
                self.is_moved = true;
                continue;
            }
            let mut asks = Writer::default();
            // No replica, and the time that means one end.
            let end = if self.is_earliest { -2 } else { -1 };
            asks.int(-1);
            asks.of_topic(&self.topic, numbers.iter(), |it, number| it.int(*number).long(end));
            let broker = self.cluster.broker(attempt, leader).await?;
            let mut answer = broker.call(LIST_OFFSETS, &asks).await?;
            let told = answer.of_topic(|it| {
                let (number, code) = (it.int()?, it.short()?);
                it.long()?;
                Ok((number, code, it.long()?))
            });
            for (number, code, offset) in told.map_err(|why| broker.failed(why))? {
                match code {
                    0 if offset >= 0 => {
                        if let Some(progress) = self.partitions.get_mut(&number) {
                            progress.position = Some(offset);
                        }
                    }
                    code if is_moved(code) || code == 0 => self.is_moved = true,
                    code => return Err(refused(broker.peer(), code)),
                }
            }
        }
        Ok(())
    }

    /// Asks each broker that is not asked for what comes next, and says that this is alive.
    async fn ask(&mut self, attempt: &Attempt<'_>) -> Result<(), Problem> {
        if let Some(group) = &mut self.group {
            group.beats();
        }
        let mut leaders: BTreeMap<i32, BTreeMap<i32, i64>> = BTreeMap::new();
        for progress in self.partitions.values() {
            if progress.leader < 0 {
                self.is_moved = true;
            } else if let Some(position) = progress.position {
                leaders.entry(progress.leader).or_default().insert(progress.number, position);
            }
        }
        for (leader, offsets) in leaders {
            let broker = self.cluster.broker(attempt, leader).await?;
            if broker.is_waiting() {
                continue;
            }
            let mut asks = Writer::default();
            // No replica; as soon as there is something; also of transactions that are not over.
            asks.int(-1)
                .int(limits::KAFKA_WAIT_MS)
                .int(1)
                .int(2 * limits::KAFKA_FETCH_BYTES)
                .octet(0);
            let mut all: Vec<_> = offsets.iter().collect();
            let first = self.turn.checked_rem(all.len()).unwrap_or(0);
            all.rotate_left(first);
            asks.of_topic(&self.topic, all.into_iter(), |it, (number, offset)| {
                it.int(*number).long(*offset).int(limits::KAFKA_FETCH_BYTES)
            });
            broker.ask(FETCH, ANSWER, &asks);
            self.asked.insert(leader, offsets);
            self.turn = self.turn.wrapping_add(1);
        }
        Ok(())
    }

    /// Waits until something has come, or it is time to say something.
    async fn wait(&mut self) -> Result<(), Problem> {
        let until = match &self.group {
            Some(group) => group.beat,
            None => Instant::now() + Duration::from_millis(limits::KAFKA_BEAT_MS),
        };
        let brokers = self.cluster.conversations.values_mut();
        let keeper = self.group.as_mut().and_then(|it| it.conversation.as_mut());
        let all = brokers.chain(keeper).filter(|it| it.is_waiting());
        let all: Vec<Filled<'_>> = all.map(|it| Box::pin(it.fill()) as Filled<'_>).collect();
        if all.is_empty() {
            if !self.is_moved {
                tokio::time::sleep_until(until).await;
            }
            return Ok(());
        }
        match tokio::time::timeout_at(until, select_all(all)).await {
            Ok((filled, ..)) => filled,
            Err(_) => Ok(()),
        }
    }

    /// Takes what has come.
    fn hear(&mut self) -> Result<(), Problem> {
        if let Some(group) = &mut self.group {
            group.hear()?;
        }
        let all = self.cluster.conversations.values().map(|it| it.buffered());
        if all.sum::<usize>() > limits::KAFKA_BUFFERED_BYTES {
            let why = "its brokers send more at once than is taken";
            return Err(self.cluster.first().failed(why));
        }
        let mut told = Vec::new();
        for (id, broker) in &mut self.cluster.conversations {
            while let Some((_, mut answer)) = broker.answer()? {
                let fetched = fetched(&mut answer).map_err(|why| broker.failed(why))?;
                told.push((*id, broker.peer().clone(), fetched));
            }
        }
        for (id, peer, fetched) in told {
            let asked = self.asked.remove(&id).unwrap_or_default();
            for fetched in fetched {
                self.fetched(&peer, &asked, fetched)?;
            }
        }
        Ok(())
    }

    fn fetched(
        &mut self,
        peer: &crate::http_client::connect::Peer,
        asked: &BTreeMap<i32, i64>,
        fetched: Fetched,
    ) -> Result<(), Problem> {
        let Fetched { number, code, bytes } = fetched;
        let Some(progress) = self.partitions.get_mut(&number) else { return Ok(()) };
        let position = asked.get(&number).copied();
        // Asked for before the group has given it to another and back.
        let Some(position) = position.filter(|it| progress.position == Some(*it)) else {
            return Ok(());
        };
        match code {
            0 if bytes.is_empty() => self.moves = 0,
            0 => {
                self.moves = 0;
                self.ready.push_back(Batches::new(number, position, bytes));
            }
            // What is wanted is gone, or was never there.
            OFFSET_OUT_OF_RANGE => progress.position = None,
            code if is_moved(code) || code == UNKNOWN_TOPIC => self.is_moved = true,
            code => return Err(refused(peer, code)),
        }
        Ok(())
    }

    /// Tells the group what was taken, and ends.
    ///
    /// # Errors
    /// Where it is not known that the group knows: others will get what was taken.
    pub(in crate::perform::asyncapi) async fn close(
        mut self,
        attempt: &Attempt<'_>,
    ) -> Result<(), Problem> {
        if self.group.is_none() {
            return Ok(());
        }
        let settled = tokio::time::timeout(ANSWER, self.commit(attempt)).await;
        let settled = settled
            .unwrap_or_else(|_| Err(self.cluster.first().failed("it does not answer in time")));
        settled.map_err(unsettled)?;
        if let Some(group) = &mut self.group {
            group.leave().await;
        }
        Ok(())
    }

    async fn commit(&mut self, attempt: &Attempt<'_>) -> Result<(), Problem> {
        for _ in 0..limits::KAFKA_TRIES {
            let taken = self.partitions.values().filter_map(|it| Some((it.number, it.taken?)));
            let taken = taken.collect();
            let Some(group) = &mut self.group else { return Ok(()) };
            match group.commit(&taken).await? {
                Ok(()) => return Ok(()),
                // What is another member's by then, that one will take.
                Err(REBALANCING | ILLEGAL_GENERATION | UNKNOWN_MEMBER) => {
                    group.is_joined = false;
                    self.settle(attempt).await?;
                }
                Err(code) => return Err(group.refused(code)),
            }
        }
        Err(self.cluster.first().failed("the group does not come to rest"))
    }
}

impl Progress {
    fn of(partition: Partition) -> Self {
        let Partition { number, leader } = partition;
        Self { number, leader, position: None, taken: None, is_begun: false }
    }
}

fn fetched(answer: &mut Reader) -> Read<Vec<Fetched>> {
    answer.int()?;
    answer.of_topic(|it| {
        let (number, code) = (it.int()?, it.short()?);
        // How far it goes, and what of it is not over.
        it.long()?;
        it.long()?;
        it.each(|it| Ok((it.long()?, it.long()?)))?;
        Ok(Fetched { number, code, bytes: it.bytes()? })
    })
}

/// The problem of offsets that the group may not have.
fn unsettled(problem: Problem) -> Problem {
    let why = problem.detail.as_deref().unwrap_or_default();
    let detail = format!(
        "it is not known whether the group knows which messages were taken: it may give them out \
         again: {why}"
    );
    Problem::new(Standard::Communication, detail).with_status(problem.status)
}
