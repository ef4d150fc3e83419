//! A call that the policy refuses, and why.

use std::error::Error;
use std::net::IpAddr;

use windlass_proto::problem::{Problem, Standard};

use super::EgressRule;

/// A call that may not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the egress policy of this worker refuses {host}: {}", self.why())]
pub(crate) struct Refusal {
    /// As the URL has it.
    host: String,
    /// For the operator: workflows learn nothing of what names stand for.
    pub(crate) address: Option<IpAddr>,
    is_literal: bool,
    reason: Reason,
    /// The rule that refuses it, for the operator.
    rule: Option<String>,
}

/// Why a call may not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// To the machine itself.
    Loopback,
    /// To its link.
    LinkLocal,
    /// To a private network, or one that a provider's customers share.
    Private,
    /// To many at once.
    Multicast,
    /// To no address at all, which is the machine itself for most systems.
    Unspecified,
    /// To what is set aside for other purposes.
    Reserved,
    /// To where a cloud hands out credentials.
    Metadata,
    /// A rule refuses it.
    Denied,
    /// No rule allows it, and one would have to.
    NotAllowed,
    /// A proxy would look the name up.
    Proxy,
}

/// What metrics call reasons, in their order.
pub(crate) const REASONS: [&str; 10] = [
    "loopback",
    "link_local",
    "private",
    "multicast",
    "unspecified",
    "reserved",
    "metadata",
    "denied",
    "not_allowed",
    "proxy",
];

impl Refusal {
    /// Of a name, because of one of its addresses.
    pub(super) fn resolved(host: &str, address: IpAddr, reason: Reason) -> Self {
        Self { address: Some(address), ..Self::named(host, reason) }
    }

    /// Of a name, whatever it stands for.
    pub(super) fn named(host: &str, reason: Reason) -> Self {
        let host = host.to_owned();
        Self { host, address: None, is_literal: false, reason, rule: None }
    }

    /// The same of a host that is itself the address.
    pub(super) fn literal(self) -> Self {
        Self { is_literal: true, ..self }
    }

    /// The same, by this rule.
    pub(super) fn by(self, rule: &EgressRule) -> Self {
        Self { rule: Some(rule.to_string()), ..self }
    }

    /// The refusal that a failed request was caused by.
    pub(crate) fn of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(refusal) = error.downcast_ref() {
                return Some(refusal);
            }
            next = error.source();
        }
        None
    }

    /// The host, as the URL has it.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Its place among [`REASONS`].
    pub(crate) fn index(&self) -> usize {
        self.reason as usize
    }

    /// What metrics and logs call the reason.
    pub(crate) fn word(&self) -> &'static str {
        REASONS[self.index()]
    }

    fn why(&self) -> String {
        let kind = match self.reason {
            Reason::Loopback => "a loopback address",
            Reason::LinkLocal => "a link-local address",
            Reason::Private => "a private address",
            Reason::Multicast => "a multicast address",
            Reason::Unspecified => "an address of no machine",
            Reason::Reserved => "a reserved address",
            Reason::Metadata => "the address of a cloud's metadata service",
            Reason::Denied => return "a rule of --egress-deny names it".to_owned(),
            Reason::NotAllowed => return "no rule of --egress-allow names it".to_owned(),
            Reason::Proxy => {
                return "a proxy would look the name up, where the policy cannot see the address"
                    .to_owned();
            }
        };
        let verb = if self.is_literal { "is" } else { "resolves to" };
        format!("it {verb} {kind}")
    }

    /// Why, for the operator, who knows the rules.
    pub(super) fn told(&self) -> String {
        match &self.rule {
            Some(rule) => format!("{} ({rule})", self.why()),
            None => self.why(),
        }
    }

    /// What is reported of it.
    pub(crate) fn problem(&self) -> Problem {
        let host = &self.host;
        let bare = host.trim_matches(['[', ']']);
        let help = match self.reason {
            Reason::Denied => String::new(),
            Reason::Metadata => {
                "; only --egress-allow with that very address lets a worker call it".to_owned()
            }
            Reason::Proxy => format!(
                "; whoever runs the worker can allow it with --egress-allow {bare}, or leave all \
                 names to the proxy with --egress-trust-proxy"
            ),
            _ => format!("; whoever runs the worker can allow it with --egress-allow {bare}"),
        };
        Problem::new(Standard::Authorization, format!("{self}{help}"))
    }
}
