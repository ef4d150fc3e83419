//! The names on the bus: every subject and stream, once.
//!
//! All begin with a prefix (`windlass` unless configured), so that several installations can share
//! one bus, and are arranged so that permissions are short: workers publish below
//! `<prefix>.coordinator`, coordinators below `<prefix>.worker`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::session::SessionId;
use crate::limits;

/// Bytes of a token: of a prefix, or of the name of a pool.
const PREFIX_BYTES: usize = limits::POOL_NAME_BYTES;

/// The first token of every subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prefix(Arc<str>);

/// A prefix that cannot be one token of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a bus consists of 1 to {PREFIX_BYTES} letters, digits, `-` and `_`")]
pub struct PrefixError;

impl Default for Prefix {
    fn default() -> Self {
        Self(Arc::from("windlass"))
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        if is_token(text) { Ok(Self(text.into())) } else { Err(PrefixError) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Prefix {
    /// Worker to coordinator, request and reply: registration.
    #[must_use]
    pub fn hello(&self) -> String {
        format!("{self}.coordinator.hello")
    }

    /// Coordinator to coordinator, request and reply: there must be one only.
    #[must_use]
    pub fn presence(&self) -> String {
        format!("{self}.coordinator.presence")
    }

    /// Worker to coordinator, within a session.
    #[must_use]
    pub fn to_coordinator(&self, session: SessionId) -> String {
        format!("{self}.coordinator.session.{session}")
    }

    /// What [`Self::to_coordinator`] gives for every session.
    #[must_use]
    pub fn all_sessions(&self) -> String {
        format!("{self}.coordinator.session.*")
    }

    /// Coordinator to worker, within a session.
    #[must_use]
    pub fn to_worker(&self, session: SessionId) -> String {
        format!("{self}.worker.{session}")
    }

    /// CloudEvents of a namespace, in and out.
    #[must_use]
    pub fn event(&self, namespace: &str) -> String {
        format!("{self}.event.{}", token(namespace))
    }

    /// CloudEvents of all namespaces.
    #[must_use]
    pub fn all_events(&self) -> String {
        format!("{self}.event.*")
    }

    /// Lifecycle CloudEvents of a namespace, out.
    #[must_use]
    pub fn lifecycle(&self, namespace: &str) -> String {
        format!("{self}.lifecycle.{}", token(namespace))
    }

    /// Lifecycle CloudEvents of all namespaces.
    #[must_use]
    pub fn all_lifecycle(&self) -> String {
        format!("{self}.lifecycle.*")
    }

    /// Audit events of a namespace; of the coordinator itself where there is none.
    #[must_use]
    pub fn audit(&self, namespace: Option<&str>) -> String {
        format!("{self}.audit.{}", token(namespace.unwrap_or("_")))
    }

    /// Audit events of all namespaces.
    #[must_use]
    pub fn all_audit(&self) -> String {
        format!("{self}.audit.>")
    }

    /// The log of a group of a cluster: coordinators to one another.
    #[must_use]
    pub fn cluster_log(&self, cluster: &str, group: u16) -> String {
        format!("{self}.cluster.{}.log.{group}", token(cluster))
    }

    /// The lease of who leads a group of a cluster.
    #[must_use]
    pub fn cluster_lease(&self, cluster: &str, group: u16) -> String {
        format!("{self}.cluster.{}.lease.{group}", token(cluster))
    }

    /// What a coordinator of a cluster says of itself; `*` for all of them.
    #[must_use]
    pub fn cluster_member(&self, cluster: &str, member: &str) -> String {
        format!("{self}.cluster.{}.member.{member}", token(cluster))
    }

    /// Where a coordinator that leads is asked by others of its cluster.
    #[must_use]
    pub fn cluster_ask(&self, cluster: &str, member: &str) -> String {
        format!("{self}.cluster.{}.ask.{member}", token(cluster))
    }

    /// Where a coordinator of a cluster hears what others send it; the name of a pipe follows.
    #[must_use]
    pub fn cluster_pipes(&self, cluster: &str, member: &str) -> String {
        format!("{self}.cluster.{}.pipe.{member}", token(cluster))
    }

    /// A stream's name: `WINDLASS_EVENTS` for `events`.
    #[must_use]
    pub fn stream(&self, what: &str) -> String {
        format!("{self}_{what}").to_uppercase()
    }
}

/// The session that a subject of [`Prefix::to_coordinator`] names.
#[must_use]
pub fn session_of(subject: &str) -> Option<SessionId> {
    subject.rsplit('.').next()?.parse().ok()
}

/// True for what can be one token of a subject and of a stream's name.
#[must_use]
pub fn is_token(text: &str) -> bool {
    let fits = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
    !text.is_empty() && text.len() <= PREFIX_BYTES && text.bytes().all(fits)
}

/// A namespace as one token: those the specification allows are one already. No two namespaces
/// share a subject, whose rights are given by it, so a dot becomes `%2E`.
fn token(namespace: &str) -> String {
    let mut token = String::with_capacity(namespace.len());
    for byte in namespace.bytes() {
        match byte {
            b'-' | b'_' => token.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => token.push(char::from(byte)),
            byte => token.push_str(&format!("%{byte:02X}")),
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use super::{Prefix, session_of};
    use crate::wire::session::SessionId;

    #[test]
    fn namespaces_share_no_subject() {
        let prefix = Prefix::default();
        assert_eq!(prefix.event("shop"), "windlass.event.shop");
        assert_eq!(prefix.event("com.example_shop"), "windlass.event.com%2Eexample_shop");
        assert_ne!(prefix.lifecycle("a.b"), prefix.lifecycle("a_b"));
        assert_eq!(prefix.audit(None), "windlass.audit._");
        assert_eq!(prefix.audit(Some("a*>")), "windlass.audit.a%2A%3E");
    }

    #[test]
    fn a_session_is_read_back_from_its_subject() {
        let session = SessionId([7; 16]);
        let subject = Prefix::default().to_coordinator(session);
        assert_eq!(session_of(&subject), Some(session));
        assert_eq!(session_of("windlass.coordinator.session.zz"), None);
    }

    #[test]
    fn a_prefix_is_one_token() {
        assert!("team-a_1".parse::<Prefix>().is_ok());
        for text in ["", "a.b", "a b", "*", ">", "ä"] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
        assert_eq!(Prefix::default().event("a.b c"), "windlass.event.a%2Eb%20c");
    }
}
