//! The open connections: how many there are, what each is at, and which one goes when there are too
//! many.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::Notify;

use windlass_proto::limits::{API_BODY_MS, API_HEAD_MS, API_IDLE_MS, API_STALL_MS, API_UNMOVED_MS};

use crate::accept::limits::ConnectionLimits;

/// What a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::accept) enum Phase {
    /// No request has begun.
    Idle,
    /// The head of a request is coming.
    Head,
    /// The body of one is coming.
    Body,
    /// One is worked on, or answered.
    Working,
    /// The client does not take its answer.
    Stalled,
}

impl Phase {
    const ALL: [Self; 5] = [Self::Idle, Self::Head, Self::Body, Self::Working, Self::Stalled];

    /// How long it may last, in milliseconds. Work has bounds of its own.
    fn longest(self) -> u64 {
        match self {
            Self::Idle => API_IDLE_MS,
            Self::Head => API_HEAD_MS,
            Self::Body => API_BODY_MS,
            Self::Working => u64::MAX,
            Self::Stalled => API_STALL_MS,
        }
    }

    /// The word that metrics use.
    pub(in crate::accept) fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Head => "head",
            Self::Body => "body",
            Self::Working => "working",
            Self::Stalled => "stalled",
        }
    }
}

/// One connection, as it is known outside of its task.
pub(in crate::accept) struct Socket {
    client: IpAddr,
    began: Instant,
    /// A [`Phase`].
    phase: AtomicU8,
    /// Milliseconds from `began` to the beginning of the phase.
    since: AtomicU64,
    /// True once a request was answered.
    proven: AtomicBool,
    close: Notify,
}

impl Socket {
    fn new(client: IpAddr) -> Self {
        Self {
            client,
            began: Instant::now(),
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU64::new(0),
            proven: AtomicBool::new(false),
            close: Notify::new(),
        }
    }

    /// Where the client is.
    pub(in crate::accept) fn client(&self) -> IpAddr {
        self.client
    }

    pub(in crate::accept) fn phase(&self) -> Phase {
        let phase = usize::from(self.phase.load(Ordering::Acquire));
        Phase::ALL.get(phase).copied().unwrap_or(Phase::Working)
    }

    /// The connection is at this from now on.
    pub(in crate::accept) fn enters(&self, phase: Phase) {
        self.since.store(millis(self.began), Ordering::Release);
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// A request was answered, and no other one has begun.
    pub(super) fn answered(&self) {
        self.proven.store(true, Ordering::Release);
        self.enters(Phase::Idle);
    }

    /// True until a request was answered, while none is worked on.
    fn is_unproven(&self) -> bool {
        !self.proven.load(Ordering::Acquire)
            && matches!(self.phase(), Phase::Idle | Phase::Head | Phase::Body)
    }

    /// How little is lost when it is closed; nothing when it works. Those that never had a request
    /// answered, and requests that do not come on, go before those that have been of use.
    fn dispensable(&self) -> Option<u8> {
        let rank = match self.phase() {
            Phase::Idle | Phase::Head if self.is_unproven() => 4,
            Phase::Head | Phase::Body if self.lasts() > API_UNMOVED_MS => 4,
            Phase::Idle => 3,
            Phase::Head => 2,
            Phase::Body => 1,
            Phase::Stalled => 0,
            Phase::Working => return None,
        };
        Some(rank)
    }

    /// Milliseconds it has been at what it is at.
    fn lasts(&self) -> u64 {
        millis(self.began).saturating_sub(self.since.load(Ordering::Acquire))
    }

    /// Returns when it must be closed.
    pub(super) async fn closed(&self) {
        self.close.notified().await;
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// All connections.
pub(in crate::accept) struct Sockets {
    pub(in crate::accept) limits: ConnectionLimits,
    open: Mutex<Open>,
    /// Closed before their client closed them, by what they were at.
    ended: [AtomicU64; Phase::ALL.len()],
    /// Not taken at all.
    refused: AtomicU64,
}

#[derive(Default)]
struct Open {
    sockets: HashMap<u64, Arc<Socket>>,
    clients: HashMap<IpAddr, usize>,
    next: u64,
}

impl Open {
    fn remove(&mut self, number: u64) -> Option<Arc<Socket>> {
        let socket = self.sockets.remove(&number)?;
        if let Some(count) = self.clients.get_mut(&socket.client) {
            *count -= 1;
            if *count == 0 {
                self.clients.remove(&socket.client);
            }
        }
        Some(socket)
    }

    /// True when so many have never had a request answered.
    fn crowded(&self, most: usize) -> bool {
        let unproven = || self.sockets.values().filter(|it| it.is_unproven()).count();
        self.sockets.len() >= most && unproven() >= most
    }

    /// The one that is missed least; of several, the one that has been at what it is at for
    /// longest.
    fn least(&self, fits: impl Fn(&Socket) -> bool) -> Option<u64> {
        let open = self.sockets.iter().filter(|(_, socket)| fits(socket));
        let ranked = open
            .filter_map(|(number, it)| Some(((it.dispensable()?, it.lasts(), *number), *number)));
        ranked.max().map(|(_, number)| number)
    }
}

/// A place among the connections; given back when dropped.
pub(super) struct Place {
    pub(super) socket: Arc<Socket>,
    number: u64,
    sockets: Arc<Sockets>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sockets.open().remove(self.number);
    }
}

impl Sockets {
    pub(in crate::accept) fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            open: Mutex::default(),
            ended: Default::default(),
            refused: AtomicU64::new(0),
        }
    }

    /// A place for a connection of `client`. Where there is none, another connection is closed for
    /// it; `None` when all of them work.
    pub(super) fn enter(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let client = network(client);
        let mut open = self.open();
        let of_client = open.clients.get(&client).copied().unwrap_or(0);
        let evicted = if of_client >= self.limits.client {
            self.evict(&mut open, |it| it.client == client)
        } else if open.crowded(self.limits.all / 2) {
            // However many come at once, they do not push out those that have been of use.
            self.evict(&mut open, Socket::is_unproven)
        } else if open.sockets.len() >= self.limits.all {
            self.evict(&mut open, |_| true)
        } else {
            true
        };
        if !evicted {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let number = open.next;
        open.next += 1;
        *open.clients.entry(client).or_default() += 1;
        let socket = Arc::new(Socket::new(client));
        open.sockets.insert(number, socket.clone());
        Some(Place { socket, number, sockets: self.clone() })
    }

    /// Closes the connection that is missed least, of those that fit.
    fn evict(&self, open: &mut Open, fits: impl Fn(&Socket) -> bool) -> bool {
        let Some(socket) = open.least(fits).and_then(|number| open.remove(number)) else {
            return false;
        };
        self.end(&socket);
        true
    }

    /// Closes one connection because descriptors are short; false when all of them work.
    pub(super) fn make_room(&self) -> bool {
        self.evict(&mut self.open(), |_| true)
    }

    /// Closes the connection whose body has taken longest, because memory for bodies is short.
    pub(in crate::accept) fn shed_body(&self) {
        self.evict(&mut self.open(), |it| it.phase() == Phase::Body);
    }

    /// Closes those whose time is over.
    pub(super) fn sweep(&self) {
        let mut open = self.open();
        let over = |it: &Socket| it.lasts() > it.phase().longest();
        let late = open.sockets.iter().filter(|(_, socket)| over(socket)).map(|(it, _)| *it);
        for number in late.collect::<Vec<_>>() {
            if let Some(socket) = open.remove(number) {
                self.end(&socket);
            }
        }
    }

    fn end(&self, socket: &Socket) {
        let ended = self.ended.get(socket.phase() as usize);
        ended.map(|it| it.fetch_add(1, Ordering::Relaxed));
        socket.close.notify_one();
    }

    /// How many are open.
    pub(in crate::accept) fn count(&self) -> usize {
        self.open().sockets.len()
    }

    /// How many were closed before their client closed them, by what they were at.
    pub(in crate::accept) fn ended(&self) -> impl Iterator<Item = (Phase, u64)> + '_ {
        Phase::ALL.into_iter().zip(self.ended.iter().map(|it| it.load(Ordering::Relaxed)))
    }

    /// How many were not taken at all.
    pub(in crate::accept) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(|it| it.into_inner())
    }
}

/// What counts as one client: whoever has one address of IPv6 has its whole network.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(it) if !it.is_loopback() => {
            let [a, b, c, d, ..] = it.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        other => other,
    }
}

/// Callers that wait for outcomes.
pub(in crate::accept) struct Waits {
    most: usize,
    waiting: Mutex<std::collections::BTreeMap<u64, Arc<Notify>>>,
    next: AtomicU64,
    shed: AtomicUsize,
}

/// One caller that waits.
pub(in crate::accept) struct Wait<'w> {
    waits: &'w Waits,
    number: u64,
    over: Arc<Notify>,
}

impl Waits {
    pub(in crate::accept) fn new(most: usize) -> Self {
        let (waiting, next, shed) = Default::default();
        Self { most: most.max(1), waiting, next, shed }
    }

    /// One more waits. Where there are too many, the one that has waited longest is told to stop.
    pub(in crate::accept) fn enter(&self) -> Wait<'_> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let over = Arc::new(Notify::new());
        let mut waiting = self.waiting.lock().unwrap_or_else(|it| it.into_inner());
        if waiting.len() >= self.most
            && let Some((_, oldest)) = waiting.pop_first()
        {
            self.shed.fetch_add(1, Ordering::Relaxed);
            oldest.notify_one();
        }
        waiting.insert(number, over.clone());
        Wait { waits: self, number, over }
    }

    /// How many wait, and how many were told to stop before their time.
    pub(in crate::accept) fn counts(&self) -> (usize, usize) {
        let waiting = self.waiting.lock().unwrap_or_else(|it| it.into_inner()).len();
        (waiting, self.shed.load(Ordering::Relaxed))
    }
}

impl Wait<'_> {
    /// Returns when it must end, as others want to wait.
    pub(in crate::accept) async fn over(&self) {
        self.over.notified().await;
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.waits.waiting.lock().unwrap_or_else(|it| it.into_inner()).remove(&self.number);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use futures_util::FutureExt;

    use super::{ConnectionLimits, Phase, Sockets, Waits, network};

    fn sockets(all: usize, client: usize) -> Arc<Sockets> {
        Arc::new(Sockets::new(ConnectionLimits { all, client }))
    }

    fn client(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn the_one_that_is_missed_least_goes_for_a_new_one() {
        let sockets = sockets(4, 4);
        let places: Vec<_> = [Phase::Working, Phase::Head, Phase::Idle, Phase::Idle]
            .into_iter()
            .map(|phase| {
                let place = sockets.enter(client(1)).unwrap();
                place.socket.answered();
                place.socket.enters(phase);
                place
            })
            .collect();
        let mut late = Vec::new();
        for _ in 0..3 {
            let place = sockets.enter(client(2)).unwrap();
            place.socket.enters(Phase::Working);
            late.push(place);
        }
        let closed: Vec<bool> =
            places.iter().map(|it| it.socket.closed().now_or_never().is_some()).collect();
        assert_eq!(closed, [false, true, true, true]);
        assert!(sockets.enter(client(3)).is_none(), "all work");
        assert_eq!((sockets.count(), sockets.refused()), (4, 1));
        drop(late);
        assert!(sockets.enter(client(3)).is_some());
    }

    #[test]
    fn one_that_was_of_use_stays_before_one_that_never_was() {
        let sockets = sockets(2, 2);
        let useful = sockets.enter(client(1)).unwrap();
        useful.socket.answered();
        let half_sent = sockets.enter(client(1)).unwrap();
        half_sent.socket.enters(Phase::Head);
        let new = sockets.enter(client(1));
        assert!(new.is_some());
        assert!(half_sent.socket.closed().now_or_never().is_some());
        assert!(useful.socket.closed().now_or_never().is_none());
    }

    #[test]
    fn a_crowd_of_new_ones_pushes_out_none_that_was_of_use() {
        let sockets = sockets(8, 8);
        let useful: Vec<_> = (0..4).map(|_| sockets.enter(client(1)).unwrap()).collect();
        useful.iter().for_each(|it| it.socket.answered());
        let crowd: Vec<_> = (0..20)
            .map(|_| {
                let place = sockets.enter(client(2)).unwrap();
                place.socket.enters(Phase::Body);
                place
            })
            .collect();
        assert!(useful.iter().all(|it| it.socket.closed().now_or_never().is_none()));
        let closed = crowd.iter().filter(|it| it.socket.closed().now_or_never().is_some());
        assert_eq!(closed.count(), 16);
    }

    #[test]
    fn a_client_that_has_its_share_closes_its_own() {
        let sockets = sockets(10, 2);
        let other = sockets.enter(client(2)).unwrap();
        let own: Vec<_> = (0..2).map(|_| sockets.enter(client(1)).unwrap()).collect();
        let third = sockets.enter(client(1));
        assert!(third.is_some());
        assert!(other.socket.closed().now_or_never().is_none());
        assert_eq!(own.iter().filter(|it| it.socket.closed().now_or_never().is_some()).count(), 1);
        drop((own, third));
        assert_eq!(sockets.count(), 1);
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(network(address("2001:db8::1")), network(address("2001:db8::2")));
        assert_ne!(network(address("2001:db8::1")), network(address("2001:db8:0:1::1")));
        assert_eq!(network(address("::ffff:10.0.0.1")), client(1));
    }

    #[test]
    fn who_has_waited_longest_makes_room() {
        let waits = Waits::new(2);
        let all: Vec<_> = (0..3).map(|_| waits.enter()).collect();
        let over: Vec<bool> = all.iter().map(|it| it.over().now_or_never().is_some()).collect();
        assert_eq!((over, waits.counts()), (vec![true, false, false], (2, 1)));
        drop(all);
        assert_eq!(waits.counts().0, 0);
    }
}
