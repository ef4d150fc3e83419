//! Which connections have carried an answer before.
//!
//! A server may close an idle connection at the very moment a request is sent over it. Then the
//! request was not looked at, and may be sent again; on a connection that is fresh the same failure
//! means that the server did not want it, or died of it.

use std::collections::HashMap;
use std::error::Error as _;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::http::Extensions;
use hyper_util::client::legacy::connect::HttpInfo;
use windlass_proto::limits;

/// Both ends of a connection.
type Ends = (SocketAddr, SocketAddr);

/// See the module. Those that were idle for so long that they were closed are forgotten.
#[derive(Default)]
pub(crate) struct Connections(Mutex<HashMap<Ends, Instant>>);

impl Connections {
    /// Takes note that a connection has carried an answer, to its end.
    pub(crate) fn answered(&self, ends: Option<Ends>) {
        let Some(ends) = ends else { return };
        let now = Instant::now();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= limits::KNOWN_CONNECTIONS {
            known.retain(|_, since| is_fresh(*since, now));
        }
        if known.len() < limits::KNOWN_CONNECTIONS {
            known.insert(ends, now);
        }
    }

    /// True for the failure of a request over a connection that had carried an answer before, and
    /// was closed before the head of the next one was complete.
    pub(crate) fn was_closed_while_idle(&self, error: &reqwest::Error) -> bool {
        let mut source = error.source();
        let mut ends = None;
        let mut is_closed = false;
        while let Some(error) = source {
            if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
                let mut extensions = Extensions::new();
                if let Some(connection) = error.connect_info() {
                    connection.get_extras(&mut extensions);
                }
                ends = ends_in(&extensions);
            }
            is_closed |= error
                .downcast_ref::<hyper::Error>()
                .is_some_and(hyper::Error::is_incomplete_message);
            is_closed |= error.downcast_ref::<std::io::Error>().is_some_and(|it| {
                matches!(it.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
            });
            source = error.source();
        }
        let Some(ends) = ends.filter(|_| is_closed) else { return false };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&ends).is_some_and(|since| is_fresh(since, Instant::now()))
    }
}

/// The ends of the connection that a response came over.
pub(crate) fn ends_of(response: &reqwest::Response) -> Option<Ends> {
    ends_in(response.extensions())
}

fn ends_in(extensions: &Extensions) -> Option<Ends> {
    extensions.get::<HttpInfo>().map(|it| (it.local_addr(), it.remote_addr()))
}

/// False for a connection that was closed here meanwhile; the ends may be another one's by now.
/// There is some room for a clock that ticks in between.
fn is_fresh(since: Instant, now: Instant) -> bool {
    now.duration_since(since) < Duration::from_millis(limits::IDLE_CONNECTION_MS + 1_000)
}
