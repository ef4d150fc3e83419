//! Tasks on their way to workers, and reports on their way back.
//!
//! [`Queue`] is all that partitions know of workers. In one process it hands assignments straight
//! to a worker; over NATS it is [`crate::fleet`], which leaves the decisions to [`dispatcher`]: who
//! takes what, from the [`backlog`], and what is lost.

pub mod backlog;
pub mod backlog_counts;
pub mod dispatcher;
pub mod http;
#[cfg(test)]
pub(crate) mod testing;
mod view;

use futures_util::future::BoxFuture;
use windlass_proto::metric::Snapshot;
use windlass_proto::wire::{Assignment, AssignmentKey};

pub use self::dispatcher::Whereabouts;
pub use self::view::{FleetView, Totals};
pub use crate::partition::{Reporter, Verdict};

/// Takes assignments to workers.
pub trait Queue: Send + Sync + 'static {
    /// Hands over an assignment whose facts are durable. Must not block; how many can be open at
    /// once is bounded by what the coordinator admits.
    fn send(&self, assignment: Assignment);

    /// Hands over an assignment that was sent before the coordinator restarted, under the delivery
    /// number it had then. A worker that has survived the restart may hold it still, so a queue
    /// whose workers do must not send it to another one before it counts as lost. Where the workers
    /// have ended with the last coordinator nobody holds it, and it is sent. Must not block.
    fn recover(&self, assignment: Assignment) {
        self.send(assignment);
    }

    /// Tells that everything that was open before a restart has been handed over by
    /// [`Queue::recover`]: what a worker holds beside that is not wanted any more.
    fn recovered(&self) {}

    /// Tells that an assignment is no longer wanted. The worker may have finished it already.
    fn cancel(&self, key: AssignmentKey);

    /// Tells what became of a report, once that is durable: the worker need not repeat it any more.
    /// The key is the report's own. Runs between commits, so it must not block.
    fn settled(&self, _key: &AssignmentKey, _verdict: Verdict) {}

    /// False when so much of a namespace waits for workers that no more should be started in it.
    fn admits(&self, _namespace: &str) -> bool {
        true
    }

    /// The workers and what waits for them; none where there is no fleet, or it does not answer in
    /// time.
    fn view(&self) -> BoxFuture<'_, Option<FleetView>> {
        Box::pin(async { None })
    }

    /// Adds what there is to tell of the worker, where that is in this process.
    fn measured(&self, _snapshot: &mut Snapshot) {}

    /// Where assignments are, in the order of `keys`; nothing of those that are not known, and no
    /// answer at all where the worker is in this process or the fleet does not answer in time.
    fn whereabouts(&self, _keys: Vec<AssignmentKey>) -> BoxFuture<'_, Vec<Option<Whereabouts>>> {
        Box::pin(async { Vec::new() })
    }

    /// The way for workers over HTTP; none where none can come.
    fn http_workers(&self) -> Option<http::HttpWorkers> {
        None
    }

    /// Tells the workers that this coordinator ends, so that they look for the next one at once.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
