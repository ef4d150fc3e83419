//! Pipes: streams of bytes between two coordinators of a cluster over the bus.
//!
//! ```text
//! frame: number: u64 | kind: u8 | nonce: 24 bytes | XChaCha20-Poly1305 of the body
//! sealed for: pipe | which end sent it | all before the nonce, under a key of the pipe's own
//! ```
//!
//! Both ends have drawn chance for the key, so nothing that was sent once counts again. Frames come
//! in order or the pipe breaks: a stream that has lost something ends without its end, and what
//! travels in it (HTTP, which says how long it is) is seen to be broken off. Who sends waits for
//! credit, so a slow reader holds up its own pipe alone, and takes a bounded memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::{Client, StatusCode};
use bytes::Bytes;
use chacha20poly1305::XChaCha20Poly1305;
use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use windlass_proto::limits::{
    CLUSTER_PIPE_FRAME_BYTES, CLUSTER_PIPE_FRAME_LEAST_BYTES, CLUSTER_PIPE_FRAMES,
    CLUSTER_PIPE_PING_MS, CLUSTER_PIPE_SILENT_MS, CLUSTER_PIPE_WINDOW_BYTES, CLUSTER_REQUEST_MS,
    CLUSTER_RETRY_MS,
};

use super::entry;

/// Bytes before the nonce.
const HEADER: usize = 9;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    /// What the pipe is for: the first one of who opened it.
    Purpose = 1,
    /// Bytes.
    Data = 2,
    /// So many bytes more may be sent.
    Credit = 3,
    /// No more bytes follow.
    End = 4,
    /// Is anybody there?
    Ping = 5,
    /// Somebody is.
    Pong = 6,
    /// It is over, whatever is missing.
    Broken = 7,
}

impl Kind {
    fn of(number: u8) -> Option<Self> {
        let all = [
            Self::Purpose,
            Self::Data,
            Self::Credit,
            Self::End,
            Self::Ping,
            Self::Pong,
            Self::Broken,
        ];
        all.into_iter().find(|it| *it as u8 == number)
    }
}

/// Why a pipe ended before its end.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct PipeError(&'static str);

/// What came for a pipe.
enum Arrived {
    Frame(Bytes),
    /// The process at the other end is gone.
    Gone,
}

/// The pipes of a process.
pub(super) struct Pipes {
    client: Client,
    /// What the subjects of its own pipes begin with.
    own: String,
    open: Mutex<HashMap<String, mpsc::Sender<Arrived>>>,
}

impl Pipes {
    /// Pipes that are heard of under `own`, a subject without its last token.
    pub(super) fn new(client: Client, own: String) -> Arc<Self> {
        Arc::new(Self { client, own, open: Mutex::default() })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Arrived>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands each frame to its pipe. Does not end by itself.
    pub(super) async fn run(&self) {
        loop {
            if let Ok(mut frames) = self.client.subscribe(format!("{}.*", self.own)).await {
                while let Some(message) = frames.next().await {
                    let is_gone = message.status == Some(StatusCode::NO_RESPONDERS);
                    let arrived = match is_gone {
                        true => Arrived::Gone,
                        false => Arrived::Frame(message.payload),
                    };
                    let pipe = message.subject.rsplit('.').next().unwrap_or_default();
                    let mut open = self.open();
                    // One whose sender minds no window breaks: the next frame is not its next one.
                    if open.get(pipe).is_some_and(|it| it.try_send(arrived).is_err()) {
                        open.remove(pipe);
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(CLUSTER_RETRY_MS)).await;
        }
    }

    /// A pipe to whoever hears of it under `peer`. `side` is 0 for who opens it, and 1 for who is
    /// asked.
    pub(super) fn pipe(
        self: &Arc<Self>,
        id: String,
        peer: &str,
        cipher: XChaCha20Poly1305,
        side: u8,
    ) -> Pipe {
        let (sender, arrived) = mpsc::channel(CLUSTER_PIPE_FRAMES);
        // Both ends may be of one process, which has begun to lead meanwhile.
        let (here, there) = (format!("{id}-{side}"), format!("{id}-{}", 1 - side));
        self.open().insert(here.clone(), sender);
        let sending = Sending {
            client: self.client.clone(),
            to: format!("{peer}.{there}"),
            own: format!("{}.{here}", self.own),
            cipher,
            here,
            id,
            side,
            next: tokio::sync::Mutex::new(0),
        };
        Pipe { pipes: self.clone(), sending, receiving: Receiving { arrived, next: 0 } }
    }
}

/// One end of a pipe.
pub(super) struct Pipe {
    pipes: Arc<Pipes>,
    sending: Sending,
    receiving: Receiving,
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.pipes.open().remove(&self.sending.here);
    }
}

struct Sending {
    client: Client,
    to: String,
    own: String,
    cipher: XChaCha20Poly1305,
    /// What this end is called.
    here: String,
    id: String,
    side: u8,
    next: tokio::sync::Mutex<u64>,
}

struct Receiving {
    arrived: mpsc::Receiver<Arrived>,
    next: u64,
}

/// What a frame is sealed for.
fn scope(id: &str, side: u8, header: &[u8]) -> Vec<u8> {
    [id.as_bytes(), &[0, side], header].concat()
}

impl Sending {
    async fn send(&self, kind: Kind, body: &[u8]) -> Result<(), PipeError> {
        let sent = async {
            let mut next = self.next.lock().await;
            let mut frame = next.to_be_bytes().to_vec();
            frame.push(kind as u8);
            *next += 1;
            let scope = scope(&self.id, self.side, &frame);
            entry::seal(&self.cipher, &mut frame, body, &scope)
                .map_err(|_| PipeError("a frame cannot be sealed"))?;
            // Where nobody hears of it, the server says so to who sent it.
            let (to, own) = (self.to.clone(), self.own.clone());
            let sent = self.client.publish_with_reply(to, own, frame.into());
            sent.await.map_err(|_| PipeError("the bus takes nothing"))
        };
        let patience = Duration::from_millis(CLUSTER_REQUEST_MS);
        timeout(patience, sent).await.map_err(|_| PipeError("the bus takes nothing"))?
    }

    /// Sends what is read, as far as there is credit.
    async fn stream(
        &self,
        mut from: ReadHalf<DuplexStream>,
        credit: &Semaphore,
    ) -> Result<(), PipeError> {
        let mut buffer = vec![0; CLUSTER_PIPE_FRAME_BYTES];
        loop {
            let read = from.read(&mut buffer).await;
            let count = read.map_err(|_| PipeError("it cannot be read"))?;
            if count == 0 {
                return self.send(Kind::End, &[]).await;
            }
            let permits = u32::try_from(cost(count)).unwrap_or(u32::MAX);
            let acquired = credit.acquire_many(permits).await;
            acquired.map_err(|_| PipeError("it is over"))?.forget();
            self.send(Kind::Data, &buffer[..count]).await?;
        }
    }

    /// Writes what came, and gives credit for it.
    async fn take(
        &self,
        mut data: mpsc::UnboundedReceiver<Vec<u8>>,
        mut into: WriteHalf<DuplexStream>,
        unread: &AtomicUsize,
    ) -> Result<(), PipeError> {
        let (mut taken, mut is_read) = (0, true);
        // Who was asked may answer without having read all: the rest is passed over, so that the
        // answer gets there. Where who has asked is gone, that is said to whoever answers.
        let answers = self.side == 1;
        while let Some(body) = data.recv().await {
            is_read = is_read && into.write_all(&body).await.is_ok();
            if !is_read && !answers {
                return Err(PipeError("nobody reads it any more"));
            }
            unread.fetch_sub(cost(body.len()), Ordering::Relaxed);
            taken += cost(body.len());
            if taken >= CLUSTER_PIPE_WINDOW_BYTES / 2 {
                self.send(Kind::Credit, &(taken as u64).to_be_bytes()).await?;
                taken = 0;
            }
        }
        match into.shutdown().await {
            Err(_) if !answers => Err(PipeError("nobody reads it any more")),
            _ => Ok(()),
        }
    }
}

/// What a frame takes of the window.
fn cost(bytes: usize) -> usize {
    bytes.max(CLUSTER_PIPE_FRAME_LEAST_BYTES)
}

impl Receiving {
    /// The next frame; whoever is silent is asked whether they are there.
    async fn frame(&mut self, sending: &Sending) -> Result<(Kind, Vec<u8>), PipeError> {
        for _ in 0..(CLUSTER_PIPE_SILENT_MS / CLUSTER_PIPE_PING_MS).max(1) {
            let patience = Duration::from_millis(CLUSTER_PIPE_PING_MS);
            match timeout(patience, self.arrived.recv()).await {
                Ok(Some(Arrived::Frame(frame))) => return self.opened(sending, &frame),
                Ok(Some(Arrived::Gone)) => return Err(PipeError("the other end is gone")),
                Ok(None) => return Err(PipeError("more came than was asked for")),
                Err(_) => sending.send(Kind::Ping, &[]).await?,
            }
        }
        Err(PipeError("the other end is silent"))
    }

    fn opened(&mut self, sending: &Sending, frame: &[u8]) -> Result<(Kind, Vec<u8>), PipeError> {
        let broken = PipeError("what came is not what comes next");
        let Some((header, sealed)) = frame.split_first_chunk::<HEADER>() else {
            return Err(broken);
        };
        let (number, kind) = header.split_at(HEADER - 1);
        if number != self.next.to_be_bytes() {
            return Err(broken);
        }
        self.next += 1;
        let scope = scope(&sending.id, 1 - sending.side, header);
        let body = entry::open(&sending.cipher, sealed, &scope);
        match (Kind::of(kind[0]), body) {
            (Some(kind), Some(body)) => Ok((kind, body)),
            _ => Err(broken),
        }
    }
}

impl Pipe {
    /// Says what the pipe is for: before anything else.
    pub(super) async fn say(&self, purpose: &[u8]) -> Result<(), PipeError> {
        self.sending.send(Kind::Purpose, purpose).await
    }

    /// What the pipe is for, as who opened it says.
    pub(super) async fn purpose(&mut self) -> Result<Vec<u8>, PipeError> {
        match self.receiving.frame(&self.sending).await? {
            (Kind::Purpose, purpose) => Ok(purpose),
            _ => Err(PipeError("it does not say what it is for")),
        }
    }

    /// The end of the pipe to read from and write to. What is wrong ends it.
    pub(super) fn start(mut self) -> DuplexStream {
        let (stream, own) = tokio::io::duplex(CLUSTER_PIPE_FRAME_BYTES);
        tokio::spawn(async move {
            if let Err(error) = self.run(own).await {
                tracing::debug!(%error, pipe = self.sending.id, "a pipe to another coordinator broke");
            }
        });
        stream
    }

    async fn run(&mut self, stream: DuplexStream) -> Result<(), PipeError> {
        let (sending, receiving) = (&self.sending, &mut self.receiving);
        let (from, into) = tokio::io::split(stream);
        let credit = Semaphore::new(CLUSTER_PIPE_WINDOW_BYTES);
        let unread = AtomicUsize::new(0);
        let (data, taken) = mpsc::unbounded_channel();
        let both = async {
            let stream = sending.stream(from, &credit);
            tokio::try_join!(stream, sending.take(taken, into, &unread)).map(drop)
        };
        let done = tokio::select! {
            done = both => done,
            over = receive(sending, receiving, data, &credit, &unread) => over,
        };
        if done.is_err() {
            // It may be gone itself.
            let _ = sending.send(Kind::Broken, &[]).await;
        }
        done
    }
}

/// Takes frames. Ends when the pipe breaks.
async fn receive(
    sending: &Sending,
    receiving: &mut Receiving,
    data: mpsc::UnboundedSender<Vec<u8>>,
    credit: &Semaphore,
    unread: &AtomicUsize,
) -> Result<(), PipeError> {
    let mut data = Some(data);
    loop {
        let (kind, body) = receiving.frame(sending).await?;
        match kind {
            Kind::Data => {
                let cost = cost(body.len());
                let waiting = unread.fetch_add(cost, Ordering::Relaxed) + cost;
                let is_taken = data.as_ref().is_some_and(|it| it.send(body).is_ok());
                if waiting > CLUSTER_PIPE_WINDOW_BYTES || !is_taken {
                    return Err(PipeError("more came than was asked for"));
                }
            }
            Kind::Credit => {
                let more = <[u8; 8]>::try_from(&*body).map(u64::from_be_bytes);
                let more = more.ok().and_then(|it| usize::try_from(it).ok()).unwrap_or(usize::MAX);
                let room = CLUSTER_PIPE_WINDOW_BYTES.saturating_sub(credit.available_permits());
                if more > room {
                    return Err(PipeError("it gives credit for what was not sent"));
                }
                credit.add_permits(more);
            }
            Kind::End => data = None,
            Kind::Ping => sending.send(Kind::Pong, &[]).await?,
            Kind::Pong => {}
            Kind::Purpose | Kind::Broken => return Err(PipeError("the other end gave it up")),
        }
    }
}
