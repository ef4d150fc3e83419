//! Who may join, and how often anybody may ask.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_bytes::ByteBuf;
use windlass_proto::limits;
use windlass_proto::wire::capability::Capability;
use windlass_proto::wire::hello::{Applicant, HelloError, Introduction, Welcome, receive};
use windlass_proto::wire::key::CoordinatorKey;
use windlass_proto::wire::session::SessionId;
use windlass_proto::wire::subject::is_token;

use crate::dispatch::dispatcher::Profile;

/// Registrations looked at in a second: each costs a Diffie-Hellman exchange, and anybody on the bus
/// can ask for one.
const A_SECOND: u32 = 500;

/// Bytes of an identity or a version.
const NAME_BYTES: usize = 128;

/// Capabilities of one worker.
const CAPABILITIES: usize = 1_000;

/// A registration that was looked at.
pub(super) struct Registration {
    /// What to answer.
    pub(super) answer: Vec<u8>,
    /// The worker, when it may join.
    pub(super) accepted: Option<(SessionId, Applicant, Profile)>,
    /// Why not, otherwise.
    pub(super) objection: Option<String>,
}

/// Looks at a registration.
///
/// # Errors
/// When it cannot be answered: it is not one, or was made for another coordinator.
pub(super) fn consider(
    key: &CoordinatorKey,
    hello: &[u8],
    lease: Duration,
    registered: usize,
) -> Result<Registration, HelloError> {
    let applicant = receive(key, hello)?;
    let objection = applicant
        .objection(key)
        .or_else(|| oddity(&applicant.introduction))
        .or_else(|| (registered >= limits::WORKERS).then(|| "too many workers".to_owned()));
    let session = SessionId::random();
    let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
    let welcome = Welcome {
        session: ByteBuf::from(match objection {
            Some(_) => Vec::new(),
            None => session.0.to_vec(),
        }),
        protocol: applicant.protocol.unwrap_or_default(),
        lease_ms,
        beat_ms: (lease_ms / limits::BEATS_PER_LEASE).max(1),
        refused: objection.clone(),
    };
    let answer = applicant.answer(&welcome)?;
    let accepted = objection.is_none().then(|| {
        let profile = profile(&applicant.introduction);
        (session, applicant, profile)
    });
    Ok(Registration { answer, accepted, objection })
}

/// What is wrong with an introduction, if anything is.
fn oddity(introduction: &Introduction) -> Option<String> {
    let Introduction { identity, version, pool, capabilities, .. } = introduction;
    let plain = |text: &Arc<str>| {
        (1..=NAME_BYTES).contains(&text.len()) && text.chars().all(|it| it.is_ascii_graphic())
    };
    if !plain(identity) || !plain(version) {
        return Some(format!(
            "identity and version consist of 1 to {NAME_BYTES} printable characters"
        ));
    }
    if !is_token(pool) {
        return Some("the name of a pool consists of letters, digits, `-` and `_`".to_owned());
    }
    if capabilities.len() > CAPABILITIES {
        return Some(format!("more than {CAPABILITIES} capabilities"));
    }
    None
}

fn profile(introduction: &Introduction) -> Profile {
    let capabilities: BTreeSet<_> =
        introduction.capabilities.iter().filter_map(|it| Capability::parse(it)).collect();
    Profile {
        identity: introduction.identity.clone(),
        pool: introduction.pool.clone(),
        version: introduction.version.clone(),
        capabilities,
        concurrency: introduction.concurrency.min(limits::WORKER_CONCURRENCY),
        evaluates: introduction.evaluates,
    }
}

/// Bounds how often something is done.
pub(super) struct Throttle {
    most: u32,
    span: Duration,
    left: u32,
    since: Instant,
}

impl Throttle {
    /// For registrations.
    pub(super) fn registrations() -> Self {
        Self::new(A_SECOND)
    }

    /// At most `most` in a second.
    pub(super) fn new(most: u32) -> Self {
        Self { most, span: Duration::from_secs(1), left: most, since: Instant::now() }
    }

    /// Once in `span`.
    pub(super) fn once_in(span: Duration) -> Self {
        Self { span, ..Self::new(1) }
    }

    /// True when it may be done once more now.
    pub(super) fn admits(&mut self) -> bool {
        if self.since.elapsed() >= self.span {
            (self.left, self.since) = (self.most, Instant::now());
        }
        let admitted = self.left > 0;
        self.left = self.left.saturating_sub(1);
        admitted
    }
}
