//! Processes that share an identity, and would take each other's session away for ever.
//!
//! A process that registers anew has left its session, which is silent from then on. Where one
//! under the same identity still beats, another process has it. A few registrations are let in all
//! the same, as the last words of a session may still be on their way; past them whoever is there
//! stays, and who asks waits until it is silent.

use std::collections::HashMap;
use std::sync::Arc;

use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::session::SessionId;

/// What becomes of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is let in.
    Welcome,
    /// It is left without an answer: its worker asks again.
    Wait,
    /// Another process has the identity, for certain.
    Refuse,
}

/// The session that an identity has.
#[derive(Clone, Copy, Debug)]
pub(super) struct CurrentSession {
    pub(super) session: SessionId,
    pub(super) heard_at: Timestamp,
}

struct IdentityConflict {
    /// Registrations while there was a session.
    takeovers: u32,
    last: Timestamp,
    /// The session that stays, and since when others are kept out for it.
    kept: Option<(SessionId, Timestamp)>,
}

/// Identities that were taken over lately.
#[derive(Default)]
pub(super) struct IdentityConflicts(HashMap<Arc<str>, IdentityConflict>);

impl IdentityConflicts {
    /// Somebody asks to join under an identity that has a session. `back_at` is when this process
    /// or the bus came back, where that was within the last lease.
    pub(super) fn ask(
        &mut self,
        identity: &Arc<str>,
        current: CurrentSession,
        lease_ms: u64,
        now: Timestamp,
        back_at: Option<Timestamp>,
    ) -> Admission {
        self.0.retain(|_, it| now.since(it.last) <= limits::TAKEOVER_MEMORY_MS);
        let new = IdentityConflict { takeovers: 0, last: now, kept: None };
        let conflict = self.0.entry(identity.clone()).or_insert(new);
        // What was counted before nobody could be heard says nothing.
        if back_at.is_some_and(|at| conflict.last < at) {
            conflict.takeovers = 0;
        }
        conflict.last = now;
        conflict.takeovers = conflict.takeovers.saturating_add(1);
        let silence = now.since(current.heard_at);
        let most = if back_at.is_some() { limits::TAKEOVERS_WHEN_BACK } else { limits::TAKEOVERS };
        if conflict.takeovers <= most || silence > lease_ms / 2 {
            conflict.kept = None;
            return Admission::Welcome;
        }
        match conflict.kept {
            Some((session, since)) if session == current.session => {
                // What a session said before its process left it has long arrived.
                let proved = current.heard_at.since(since) > 2 * lease_ms;
                if proved { Admission::Refuse } else { Admission::Wait }
            }
            _ => {
                conflict.kept = Some((current.session, now));
                Admission::Wait
            }
        }
    }
}
