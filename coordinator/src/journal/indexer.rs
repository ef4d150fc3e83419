//! The thread that keeps the search index up to date.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use windlass_proto::limits;

use super::{Journal, JournalError};

/// A thread that indexes what was committed; it ends when this is dropped.
pub(super) struct Indexer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Indexer {
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start(journal: Arc<dyn Journal>) -> Result<Self, JournalError> {
        // One word that there is something to do is as good as many.
        let (wake, woken) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("search-index".to_owned())
            .spawn(move || run(&*journal, &woken))
            .map_err(|error| JournalError::Store(format!("no thread to index: {error}")))?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    /// Has what was committed indexed, if that is enough by now.
    pub(super) fn committed(&self, journal: &dyn Journal) {
        if journal.is_index_due()
            && let Some(wake) = &self.wake
        {
            // It knows already, or has ended.
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the search index panicked");
        }
    }
}

fn run(journal: &dyn Journal, woken: &Receiver<()>) {
    // Now and then without a word: instances end, and parts of the index can be made anew.
    let patience = Duration::from_millis(limits::SEARCH_REFRESH_MS);
    loop {
        let ended = woken.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected);
        if ended {
            return;
        }
        loop {
            if journal.room().paused {
                break;
            }
            match journal.index() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "the search index was not brought up to date");
                    break;
                }
            }
            if woken.try_recv() == Err(mpsc::TryRecvError::Disconnected) {
                return;
            }
        }
    }
}
