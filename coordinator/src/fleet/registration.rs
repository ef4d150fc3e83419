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

use crate::dispatch::dispatcher::{Admission, Profile};

/// A registration that was looked at.
pub(super) struct Registration {
    /// What to answer; nothing where its identity is another's and it has to wait.
    pub(super) answer: Option<Vec<u8>>,
    /// The worker, when it may join.
    pub(super) accepted: Option<(SessionId, Applicant, Profile)>,
    /// Why not, otherwise.
    pub(super) objection: Option<String>,
    /// The identity, when another process has it.
    pub(super) contested: Option<Arc<str>>,
}

/// Looks at a registration. `admits` says whether its identity may join.
///
/// # Errors
/// When it cannot be answered: it is not one, or was made for another coordinator.
pub(super) fn consider(
    key: &CoordinatorKey,
    hello: &[u8],
    lease: Duration,
    registered: usize,
    admits: impl FnOnce(&Arc<str>) -> Admission,
) -> Result<Registration, HelloError> {
    let applicant = receive(key, hello)?;
    let mut objection = applicant
        .objection(key)
        .or_else(|| applicant.introduction.as_ref().ok().and_then(oddity))
        .or_else(|| (registered >= limits::WORKERS).then(|| "too many workers".to_owned()));
    let profile = applicant.introduction.as_ref().ok().map(|it| profile(it, None));
    let mut contested = None;
    if let (None, Some(profile)) = (&objection, &profile) {
        let admission = admits(&profile.identity);
        contested = (admission != Admission::Welcome).then(|| profile.identity.clone());
        match admission {
            Admission::Welcome => {}
            Admission::Wait => {
                return Ok(Registration { answer: None, accepted: None, objection, contested });
            }
            Admission::Refuse => {
                let identity = &profile.identity;
                objection = Some(format!(
                    "another process that lives has the identity `{identity}`: each needs its own"
                ));
            }
        }
    }
    let session = SessionId::random();
    let welcome = welcome(session, &applicant, lease, objection.clone());
    let answer = Some(applicant.answer(&welcome)?);
    let accepted = match (&objection, profile) {
        (None, Some(profile)) => Some((session, applicant, profile)),
        _ => None,
    };
    Ok(Registration { answer, accepted, objection, contested })
}

fn welcome(
    session: SessionId,
    applicant: &Applicant,
    lease: Duration,
    refused: Option<String>,
) -> Welcome {
    let session = if refused.is_some() { Vec::new() } else { session.0.to_vec() };
    let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
    Welcome {
        session: ByteBuf::from(session),
        protocol: applicant.protocol.unwrap_or_default(),
        lease_ms,
        beat_ms: (lease_ms / limits::BEATS_PER_LEASE).max(1),
        refused,
    }
}

/// What is wrong with an introduction, if anything is.
pub(super) fn oddity(introduction: &Introduction) -> Option<String> {
    let Introduction { identity, version, pool, capabilities, .. } = introduction;
    let plain = |text: &Arc<str>| {
        (1..=limits::WORKER_NAME_BYTES).contains(&text.len())
            && text.chars().all(|it| it.is_ascii_graphic())
    };
    if !plain(identity) || !plain(version) {
        let most = limits::WORKER_NAME_BYTES;
        return Some(format!("identity and version consist of 1 to {most} printable characters"));
    }
    if !is_token(pool) {
        return Some("the name of a pool consists of letters, digits, `-` and `_`".to_owned());
    }
    if capabilities.len() > limits::WORKER_CAPABILITIES {
        let most = limits::WORKER_CAPABILITIES;
        return Some(format!("more than {most} capabilities"));
    }
    None
}

pub(super) fn profile(introduction: &Introduction, owner: Option<Arc<str>>) -> Profile {
    let capabilities = introduction.capabilities.iter().filter_map(|it| Capability::parse(it));
    // A plain worker is given calls of functions and nothing else, whatever it says.
    let can = |it: &Capability| introduction.evaluates || matches!(it, Capability::Function(_));
    let capabilities: BTreeSet<_> = capabilities.filter(can).collect();
    Profile {
        identity: introduction.identity.clone(),
        pool: introduction.pool.clone(),
        version: introduction.version.clone(),
        capabilities,
        concurrency: introduction.concurrency.min(limits::WORKER_CONCURRENCY),
        evaluates: introduction.evaluates,
        isolation: introduction.isolation.as_deref().map(shown),
        owner,
    }
}

/// As much of `text` as people are shown, on one line.
fn shown(text: &str) -> Arc<str> {
    let most = limits::WORKER_ISOLATION_BYTES;
    let mut kept = String::new();
    for sign in text.chars().filter(|it| !it.is_control()) {
        if kept.len() + sign.len_utf8() > most {
            break;
        }
        kept.push(sign);
    }
    kept.into()
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
        Self::new(limits::REGISTRATIONS_A_SECOND)
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
