//! Heads of the trail, told by webhook to an address of the operator's as they are signed: whoever
//! keeps them elsewhere sees later whether the trail was cut off or written anew.
//!
//! ```text
//!  writer ──> queue: the newest, bounded ──> one thread: POST, signed ──> the operator's server
//! ```
//!
//! A head signs all before it, so of several that wait the newest is the one that counts: where
//! there is no room the oldest goes, and an orderly stop tells only the last. The trail never waits
//! for any of it.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::Serialize;
use tokio::sync::Notify;
use windlass_proto::limits;
use windlass_proto::metric::{Snapshot, table};
use windlass_proto::secret::Secret;
use windlass_proto::webhook::{self, Preset};
use zeroize::Zeroizing;

use super::chain::{Head, LineHash, Position};
use super::error::AuditError;
use super::key::PublicKey;
use super::trail;
use crate::causes::causes;
use crate::clock;
use crate::webhooks::read_secret;

/// Where heads are told, as an operator writes it.
#[derive(Clone, PartialEq, Eq)]
pub struct HeadsUrl(Url);

/// A text is no such address.
#[derive(Debug, thiserror::Error)]
pub enum NotAHeadsUrl {
    /// It is no address of HTTP.
    #[error("write https://HOST/PATH, or http:// for a host that is near")]
    NotHttp,
    /// It has a user or a password.
    #[error("an address has no user and no password here: deliveries are signed")]
    Credentials,
}

impl FromStr for HeadsUrl {
    type Err = NotAHeadsUrl;

    fn from_str(text: &str) -> Result<Self, NotAHeadsUrl> {
        let url: Url = text.parse().map_err(|_| NotAHeadsUrl::NotHttp)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(NotAHeadsUrl::NotHttp);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotAHeadsUrl::Credentials);
        }
        Ok(Self(url))
    }
}

/// Only where it leads: paths and queries of webhooks may be as good as passwords.
impl fmt::Debug for HeadsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

/// How heads are told.
#[derive(Clone, Debug)]
pub struct HeadsWebhook {
    /// Where to.
    pub url: HeadsUrl,
    /// The file whose secret signs deliveries; read for each of them.
    pub secret: PathBuf,
}

/// A head that is on disk.
#[derive(Clone)]
struct Told {
    line: Vec<u8>,
    at: Position,
}

/// What is posted.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    sequence: u64,
    hash: LineHash,
    time: &'a str,
    key: PublicKey,
    /// The line of the trail, to the byte.
    line: &'a str,
}

impl Told {
    /// What tells it from others; the stream has the same.
    fn id(&self) -> String {
        format!("head-{}-{}", self.at.sequence, self.at.hash)
    }

    fn body(&self) -> Option<Vec<u8>> {
        let line = std::str::from_utf8(&self.line).ok()?;
        let head = Head::parse(&self.line)?;
        let Position { sequence, hash } = self.at;
        let (r#type, time, key) = ("windlass.audit.head", head.time(), head.key);
        serde_json::to_vec(&Body { r#type, sequence, hash, time, key, line }).ok()
    }
}

/// What waits to be told, and what became of the rest.
#[derive(Default)]
pub(super) struct Heads {
    waiting: Mutex<Waiting>,
    changed: Notify,
    delivered: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    heads: VecDeque<Told>,
    ended: bool,
}

impl Heads {
    /// Takes a head; never waits. The newest stay.
    pub(super) fn offer(&self, line: Vec<u8>, at: Position) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.heads.push_back(Told { line, at });
        if waiting.heads.len() > limits::AUDIT_HEADS_WAITING {
            waiting.heads.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        drop(waiting);
        self.changed.notify_one();
    }

    /// Nothing more comes: of what waits only the last is told.
    fn end(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.ended = true;
        while waiting.heads.len() > 1 {
            waiting.heads.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        drop(waiting);
        self.changed.notify_one();
    }

    fn has_ended(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).ended
    }

    /// The oldest that waits, which stays until it was told; none once all is told and over.
    async fn next(&self) -> Option<Told> {
        loop {
            let changed = self.changed.notified();
            {
                let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                match waiting.heads.front() {
                    Some(head) => return Some(head.clone()),
                    None if waiting.ended => return None,
                    None => {}
                }
            }
            changed.await;
        }
    }

    /// A head was told.
    fn told(&self, head: &Told) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.heads.retain(|it| it.at.sequence > head.at.sequence);
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns at the end.
    async fn ends(&self) {
        while !self.has_ended() {
            self.changed.notified().await;
        }
    }

    /// Adds what there is to tell of them.
    pub(super) fn measured(&self, snapshot: &mut Snapshot) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).heads.len();
        snapshot.add(&table::events::AUDIT_HEADS_WAITING, waiting);
        let counts = [&self.delivered, &self.failed, &self.dropped];
        for (outcome, count) in ["delivered", "failed", "dropped"].into_iter().zip(counts) {
            let count = count.load(Ordering::Relaxed);
            snapshot.labelled(&table::events::AUDIT_HEADS, [outcome], count);
        }
    }
}

/// Tells heads until it is dropped; then for a bounded time the last one.
pub(super) struct Teller {
    heads: Arc<Heads>,
    /// Its other end goes with the thread.
    ended: Mutex<mpsc::Receiver<()>>,
}

impl Teller {
    /// Begins, with the last head of the trail: the process that signed it may not have come to
    /// telling it. Blocking.
    ///
    /// # Errors
    /// When the secret cannot be used, or the trail cannot be read.
    pub(super) fn start(webhook: HeadsWebhook, place: Option<&Path>) -> Result<Self, AuditError> {
        let (url, heads) = (webhook.url.clone(), Arc::<Heads>::default());
        let failed = |reason: String| AuditError::Heads { url: url.clone(), reason };
        // Now, so that a mistake shows at the start.
        secret(&webhook.secret).map_err(failed)?;
        let client = client().map_err(failed)?;
        if let Some(path) = place {
            let last = last(path);
            let last = last.map_err(|error| AuditError::File { path: path.to_owned(), error })?;
            last.into_iter().for_each(|it| heads.offer(it.line, it.at));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        let (ends, ended) = mpsc::channel();
        let told = heads.clone();
        let run = move || {
            runtime.block_on(tell(&webhook, &client, &told));
            drop(ends);
        };
        let thread = std::thread::Builder::new().name("windlass-heads".to_owned());
        thread.spawn(run).map_err(|error| failed(error.to_string()))?;
        Ok(Self { heads, ended: Mutex::new(ended) })
    }

    /// What takes heads.
    pub(super) fn heads(&self) -> Arc<Heads> {
        self.heads.clone()
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.heads.end();
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        // The thread keeps to the same time.
        let _ = ended.recv_timeout(Duration::from_millis(2 * limits::AUDIT_HEADS_STOP_MS));
    }
}

/// The last head of a trail.
fn last(path: &Path) -> io::Result<Option<Told>> {
    let mut found = None;
    trail::backwards(path, &mut |line| {
        found = Head::parse(line).map(|head| {
            let at = Position { sequence: head.sequence, hash: LineHash::of(line) };
            Told { line: line.to_vec(), at }
        });
        found.is_none()
    })?;
    Ok(found)
}

/// Tells heads, the oldest first, until the end.
async fn tell(webhook: &HeadsWebhook, client: &Client, heads: &Heads) {
    let first = Duration::from_millis(limits::AUDIT_HEADS_AGAIN_MS);
    let most = Duration::from_millis(limits::AUDIT_HEADS_AGAIN_MOST_MS);
    let patience = Duration::from_millis(limits::AUDIT_HEADS_STOP_MS);
    let (mut pause, mut said) = (first, false);
    while let Some(head) = heads.next().await {
        let last = async {
            heads.ends().await;
            tokio::time::sleep(patience).await;
        };
        let posted = tokio::select! {
            posted = post(webhook, client, &head) => posted,
            () = last => Err("the process ends".to_owned()),
        };
        match posted {
            Ok(()) => {
                heads.told(&head);
                pause = first;
                if std::mem::take(&mut said) {
                    tracing::info!("heads of the audit trail are told again");
                }
            }
            Err(reason) => {
                heads.failed.fetch_add(1, Ordering::Relaxed);
                if heads.has_ended() {
                    tracing::warn!(reason, "the last head of the audit trail is not told");
                    return;
                }
                if !std::mem::replace(&mut said, true) {
                    let url = &webhook.url;
                    tracing::warn!(
                        ?url,
                        reason,
                        "a head of the audit trail is not told; tried again"
                    );
                }
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = heads.ends() => {}
                }
                pause = most.min(pause * 2);
            }
        }
    }
}

/// Tells one head; why it was not in words without the address.
async fn post(webhook: &HeadsWebhook, client: &Client, head: &Told) -> Result<(), String> {
    let place = webhook.secret.clone();
    let secret = tokio::task::spawn_blocking(move || secret(&place)).await;
    let secret = secret.map_err(|error| error.to_string())??;
    let body = head.body().ok_or("it is no head")?;
    let (id, seconds) = (head.id(), clock::now().0 / 1_000);
    let signature = webhook::sign(secret.expose().as_bytes(), &id, seconds, &body);
    let signature = signature.ok_or("its secret is none")?;
    let request = client
        .post(webhook.url.0.clone())
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", seconds.to_string())
        .header("webhook-signature", signature)
        .body(body);
    // The answer's body is nobody's business: it is not read.
    let answer = request.send().await.map_err(|error| causes(&error.without_url()))?;
    match answer.status().is_success() {
        true => Ok(()),
        false => Err(format!("the answer was {}", answer.status())),
    }
}

fn client() -> Result<Client, String> {
    // An error means that the process has a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .timeout(Duration::from_millis(limits::AUDIT_HEADS_POST_MS))
        // A redirect would be followed by a request without a body.
        .redirect(Policy::none())
        .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")));
    builder.build().map_err(|error| causes(&error))
}

/// The secret in a file: its first line.
fn secret(path: &Path) -> Result<Secret<String>, String> {
    let failed = |reason: &dyn fmt::Display| format!("{}: {reason}", path.display());
    let text = read_secret(path).map_err(|error| failed(&error.kind()))?;
    let line = Zeroizing::new(text.expose().lines().next().unwrap_or_default().trim().to_owned());
    if !webhook::is_secret(Preset::Standard, line.as_bytes()) {
        let least = limits::WEBHOOK_SECRET_LEAST;
        let reason = format!("a secret has {least} bytes or more, or `whsec_` and base64 of them");
        return Err(failed(&reason));
    }
    Ok(Secret::new(line.as_str().to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
