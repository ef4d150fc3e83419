//! Where the calls of tasks may go: decided on the addresses that connections are really made to.
//!
//! Names are looked up by the connector itself, which gets only the addresses that are allowed: no
//! second look-up can give another one. Literal addresses and rules about names are decided before.

mod address;
mod connect;
mod refusal;
mod rule;
mod told;

use std::fmt;
use std::net::IpAddr;

pub(crate) use self::connect::Lookup;
pub(crate) use self::refusal::{REASONS, Refusal};
pub use self::rule::{EgressRule, EgressRuleError};
pub(crate) use self::told::{Caller, Refusals};

use self::address::{embedded, is_metadata, reason};
use self::refusal::Reason;

/// Which calls a worker makes for tasks. A rule that refuses counts more than one that allows.
///
/// Stores of secrets, the bus and collectors of telemetry are not calls of tasks.
#[derive(Clone, Debug)]
pub struct Egress {
    usual: Usual,
    allow: Vec<EgressRule>,
    deny: Vec<EgressRule>,
    trusts_proxy: bool,
    #[cfg(test)]
    names: Option<tests::Names>,
}

/// What may be called that no rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Usual {
    /// Everything.
    Everything,
    /// Everything but the metadata services of clouds.
    Everywhere,
    /// Addresses of the internet.
    Public,
    /// Nothing.
    Nothing,
}

/// What rules say of a host and port before its name is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Named {
    /// One allows it, whatever its addresses are.
    Allowed,
    /// None does: its addresses decide.
    Unknown,
}

impl Egress {
    /// Everything may be called, the machine itself as well: for one's own workflows.
    #[must_use]
    pub fn unrestricted() -> Self {
        Self {
            usual: Usual::Everything,
            allow: Vec::new(),
            deny: Vec::new(),
            trusts_proxy: false,
            #[cfg(test)]
            names: None,
        }
    }

    /// Addresses of the internet may be called; the machine itself, its networks and the metadata
    /// services of clouds may not: for workflows of others.
    #[must_use]
    pub fn public() -> Self {
        Self { usual: Usual::Public, ..Self::unrestricted() }
    }

    /// Allows what `rule` names; [`EgressRule::Any`] everything but metadata services, which their
    /// own addresses alone allow.
    #[must_use]
    pub fn allow(mut self, rule: EgressRule) -> Self {
        match rule {
            EgressRule::Any if self.usual == Usual::Public => self.usual = Usual::Everywhere,
            EgressRule::Any => {}
            rule => self.allow.push(rule),
        }
        self
    }

    /// Refuses what `rule` names; [`EgressRule::Any`] all that no rule allows.
    #[must_use]
    pub fn deny(mut self, rule: EgressRule) -> Self {
        match rule {
            EgressRule::Any => self.usual = Usual::Nothing,
            rule => self.deny.push(rule),
        }
        self
    }

    /// Whether names may be called through a proxy of the environment that no rule allows: the
    /// proxy looks them up, so that it has to refuse what it should not reach.
    #[must_use]
    pub fn trust_proxy(mut self, trust: bool) -> Self {
        self.trusts_proxy = trust;
        self
    }

    /// Whether a proxy is asked for names that no rule allows.
    #[must_use]
    pub fn trusts_proxy(&self) -> bool {
        self.trusts_proxy
    }

    /// True when nothing is refused.
    #[must_use]
    pub fn is_unrestricted(&self) -> bool {
        self.usual == Usual::Everything && self.deny.is_empty()
    }

    /// Decides about a host as URLs write it, as far as that needs no look-up.
    pub(crate) fn host(&self, host: &str, port: u16) -> Result<Named, Refusal> {
        if let Some(address) = literal(host) {
            let decided = self.address(address, Some(port), Named::Unknown);
            return match decided {
                Ok(()) => Ok(Named::Allowed),
                Err(reason) => Err(self.refusal(host, address, Some(port), reason).literal()),
            };
        }
        if let Some(rule) = self.denies_host(host, port) {
            return Err(Refusal::named(host, Reason::Denied).by(rule));
        }
        match self.allow.iter().any(|rule| rule.names_host(host, port)) {
            true => Ok(Named::Allowed),
            false => Ok(Named::Unknown),
        }
    }

    /// Decides about a host that a proxy looks up.
    pub(crate) fn proxied(&self, host: &str, port: u16) -> Result<(), Refusal> {
        if self.host(host, port)? == Named::Allowed {
            return Ok(());
        }
        // Rules about addresses are for nothing where somebody else looks names up.
        let sees_all = !self.deny.iter().any(EgressRule::is_about_addresses);
        match self.usual {
            Usual::Everything if sees_all => Ok(()),
            Usual::Nothing => Err(Refusal::named(host, Reason::NotAllowed)),
            _ if self.trusts_proxy && !is_loopback_name(host) => Ok(()),
            _ => Err(Refusal::named(host, Reason::Proxy)),
        }
    }

    /// Decides about an address that a connection is to be made to; `port` where rules about it
    /// count.
    fn address(&self, address: IpAddr, port: Option<u16>, named: Named) -> Result<(), Reason> {
        if self.denies(address, port).is_some() {
            return Err(Reason::Denied);
        }
        let is_metadata = is_metadata(address) || embedded(address).is_some_and(is_metadata);
        let mut allow = self.allow.iter().filter(|rule| covers(rule, address, port));
        if is_metadata && self.usual != Usual::Everything {
            return match allow.any(EgressRule::is_one_address) {
                true => Ok(()),
                false => Err(Reason::Metadata),
            };
        }
        if named == Named::Allowed || allow.next().is_some() {
            return Ok(());
        }
        match self.usual {
            Usual::Everything | Usual::Everywhere => Ok(()),
            Usual::Public => reason(address).map_or(Ok(()), Err),
            Usual::Nothing => Err(Reason::NotAllowed),
        }
    }

    /// Those of `addresses` that may be called, of the host `host`.
    fn allowed(
        &self,
        host: &str,
        addresses: impl IntoIterator<Item = IpAddr>,
        port: Option<u16>,
        named: Named,
    ) -> Result<Vec<IpAddr>, Refusal> {
        let (mut allowed, mut refused) = (Vec::new(), None);
        for address in addresses {
            match self.address(address, port, named) {
                Ok(()) => allowed.push(address),
                Err(reason) => refused = Some(self.refusal(host, address, port, reason)),
            }
        }
        match refused {
            Some(refusal) if allowed.is_empty() => Err(refusal),
            _ => Ok(allowed),
        }
    }

    /// The rule that refuses an address.
    fn denies(&self, address: IpAddr, port: Option<u16>) -> Option<&EgressRule> {
        self.deny.iter().find(|rule| covers(rule, address, port))
    }

    /// The rule that refuses a host by its name.
    fn denies_host(&self, host: &str, port: u16) -> Option<&EgressRule> {
        self.deny.iter().find(|rule| rule.names_host(host, port))
    }

    /// What is refused of a host because of its address.
    fn refusal(&self, host: &str, address: IpAddr, port: Option<u16>, reason: Reason) -> Refusal {
        let refusal = Refusal::resolved(host, address, reason);
        match self.denies(address, port) {
            Some(rule) => refusal.by(rule),
            None => refusal,
        }
    }

    /// Whether a rule is about addresses at this port alone.
    pub(crate) fn cares_for(&self, port: u16) -> bool {
        self.allow.iter().chain(&self.deny).any(|rule| rule.is_address_at(port))
    }

    /// The address that the operator has given a host, where no rule refuses it.
    pub(crate) fn overridden(&self, host: &str, address: IpAddr, port: u16) -> Result<(), Refusal> {
        if let Some(rule) = self.denies_host(host, port) {
            return Err(Refusal::named(host, Reason::Denied).by(rule));
        }
        self.address(address, Some(port), Named::Allowed)
            .map_err(|reason| self.refusal(host, address, Some(port), reason))
    }
}

/// For people who run a worker: `addresses of the internet, 10.0.0.0/8; not *.internal`.
impl fmt::Display for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = match self.usual {
            Usual::Everything => "everything",
            Usual::Everywhere => "everything but metadata services of clouds",
            Usual::Public => "addresses of the internet",
            Usual::Nothing => "nothing",
        };
        f.write_str(usual)?;
        let mut lead = if self.usual == Usual::Nothing { " but " } else { ", " };
        for rule in &self.allow {
            write!(f, "{lead}{rule}")?;
            lead = ", ";
        }
        lead = "; not ";
        for rule in &self.deny {
            write!(f, "{lead}{rule}")?;
            lead = ", ";
        }
        match self.trusts_proxy {
            true => f.write_str("; and names that a proxy looks up"),
            false => Ok(()),
        }
    }
}

/// True for a rule about an address, or about the IPv4 address that it leads to.
fn covers(rule: &EgressRule, address: IpAddr, port: Option<u16>) -> bool {
    rule.covers(address, port) || embedded(address).is_some_and(|it| rule.covers(it, port))
}

/// The address that a URL's host is.
fn literal(host: &str) -> Option<IpAddr> {
    let inner = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    inner.unwrap_or(host).parse().ok()
}

/// True for the names that stand for the machine itself, RFC 6761.
fn is_loopback_name(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests;
