//! What a session knows of its worker where that asks over HTTP.

use std::sync::Arc;
use std::time::Instant;

use crate::dispatch::http::{HttpAnswer, Owner, Reply};

/// What is known of a worker over HTTP.
pub(super) struct HttpLink {
    /// Whose session it is.
    pub(super) owner: Owner,
    /// Calls that it takes at once, as it has said when it joined.
    pub(super) concurrency: u32,
    /// The number of the last answer.
    pub(super) number: u64,
    /// Turns so far, which are its beats.
    pub(super) turns: u64,
    /// The last answer with something in it, until it is known to have arrived.
    pub(super) unseen: Option<Arc<HttpAnswer>>,
    /// Who waits for the next one, and how long.
    pub(super) asks: Option<(Reply<Arc<HttpAnswer>>, Instant)>,
}

impl HttpLink {
    pub(super) fn new(owner: Owner, concurrency: u32) -> Self {
        Self { owner, concurrency, number: 0, turns: 0, unseen: None, asks: None }
    }

    /// Tells who waits that there is nothing.
    pub(super) fn nothing(&mut self) {
        if let Some((reply, _)) = self.asks.take() {
            let number = self.number;
            // Who asked may have gone.
            let _ = reply.send(Ok(Arc::new(HttpAnswer { number, ..HttpAnswer::default() })));
        }
    }
}
