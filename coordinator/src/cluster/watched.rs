//! Who leads, as the lease says: looked at as it changes, for those who pass requests on and for
//! the one that it is given on to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio::sync::{Notify, watch};
use tokio::time::{Interval, MissedTickBehavior};
use windlass_proto::limits;

use super::lease::Leases;

/// What a standby knows.
#[derive(Clone, Debug, Default)]
pub struct StandbyView {
    /// Who leads and answers, if somebody does.
    pub leader: Option<Leader>,
    /// When there last was one, where there is none.
    pub lost: Option<Instant>,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The name of its process.
    pub(super) id: String,
    /// Where it answers.
    pub url: String,
}

impl StandbyView {
    /// True while requests can be passed on, or soon can be again.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let patience = Duration::from_millis(limits::CLUSTER_READY_MS);
        self.leader.is_some() || self.lost.is_some_and(|it| it.elapsed() < patience)
    }

    /// What the lease says; true where that is news.
    fn see(&mut self, leader: Option<Leader>) -> bool {
        if self.leader == leader {
            return false;
        }
        if self.leader.is_some() {
            self.lost = Some(Instant::now());
        }
        self.leader = leader;
        true
    }
}

/// Waits for the next look at the lease: by the clock, or as it is given on to this one.
pub(super) async fn next_beat(beats: &mut Interval, named: &Notify) {
    tokio::select! {
        _ = beats.tick() => {}
        () = named.notified() => {}
    }
}

/// Who knows who leads, as the lease says.
pub(super) struct Watched {
    pub(super) id: String,
    pub(super) view: Arc<watch::Sender<StandbyView>>,
    pub(super) named: Arc<Notify>,
}

impl Watched {
    /// Looks at the lease as it changes. Does not end by itself.
    pub(super) async fn run(self, leases: Arc<Leases>) {
        let Self { id, view, named } = self;
        let mut beats = tokio::time::interval(leases.beat());
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = None;
        loop {
            if heard.is_none() {
                heard = leases.heard().await.ok();
            }
            let came = async {
                match &mut heard {
                    Some(heard) => heard.next().await,
                    None => std::future::pending().await,
                }
            };
            let came = tokio::select! {
                came = came => Some(came),
                _ = beats.tick() => None,
            };
            if let Some(None) = came {
                heard = None;
            }
            let said = came.flatten().and_then(|it| leases.read_lease(&it.payload));
            // What was heard may be of one who is refused the lease, or not be in the stream yet.
            for _ in 0..limits::CLUSTER_LOOKS {
                // While the stream has no leader it says nothing; who led may well go on, and
                // whoever asks it finds out.
                let Ok(held) = leases.look().await else { break };
                if held.as_ref().is_some_and(|it| it.is_given_to(&id)) {
                    named.notify_one();
                }
                let by = held.and_then(|it| it.by);
                let is_so = said.as_ref().is_none_or(|said| {
                    by.as_ref().is_some_and(|it| {
                        (&it.id, it.answers, &it.to) == (&said.id, said.answers, &said.to)
                    })
                });
                let leader = by.filter(|it| it.answers).map(|it| Leader { id: it.id, url: it.url });
                view.send_if_modified(|it| it.see(leader));
                if is_so {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(limits::CLUSTER_LOOK_MS)).await;
            }
        }
    }
}
