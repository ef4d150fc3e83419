//! A rule as operators write it: a network, an address, a name.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use reqwest::Url;

/// What a rule about calls names: `10.0.0.0/8`, `10.1.2.3`, `10.1.2.3:443`, `[fd00::1]:443`,
/// `db.internal`, `db.internal:5432`, `*.internal` for all below a domain, `*` for everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EgressRule {
    /// Everything that no other rule names.
    Any,
    /// All addresses of a network.
    Network(IpNet),
    /// One address, at a port or at all.
    Address(IpAddr, Option<u16>),
    /// A name as URLs have it, at a port or at all, whatever its addresses are.
    Host(String, Option<u16>),
    /// All names below a domain.
    Domain(String, Option<u16>),
}

/// The text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither a network (10.0.0.0/8), an address (10.1.2.3, [fd00::1]:443), a host \
     (db.internal:5432, *.internal) nor *"
)]
pub struct EgressRuleError(pub String);

impl FromStr for EgressRule {
    type Err = EgressRuleError;

    fn from_str(text: &str) -> Result<Self, EgressRuleError> {
        parse(text.trim()).ok_or_else(|| EgressRuleError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<EgressRule> {
    if text == "*" {
        return Some(EgressRule::Any);
    }
    if text.contains('/') {
        return text.parse().ok().map(EgressRule::Network);
    }
    if let Ok(address) = text.parse() {
        return Some(EgressRule::Address(address, None));
    }
    let (domain, rest) = match text.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, Some(port.parse().ok().filter(|port| *port != 0)?))
        }
        _ => (rest, None),
    };
    if host.contains(['@', '?', '#', '\\', '*']) {
        return None;
    }
    // As a URL's host is read: lower case, international names in ASCII, odd spellings of
    // addresses.
    let url = Url::parse(&format!("http://{host}/")).ok().filter(|url| url.port().is_none())?;
    let host = url.host_str()?;
    match super::literal(host) {
        Some(address) => (!domain).then_some(EgressRule::Address(address, port)),
        None => {
            let host = host.trim_end_matches('.').to_owned();
            Some(if domain { EgressRule::Domain(host, port) } else { EgressRule::Host(host, port) })
        }
    }
}

impl EgressRule {
    /// True when it is about the host of this name.
    pub(super) fn names_host(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.');
        let at = |it: &Option<u16>| it.is_none_or(|it| it == port);
        match self {
            Self::Host(name, its) => name == host && at(its),
            Self::Domain(domain, its) => {
                let rest = host.strip_suffix(domain.as_str());
                rest.is_some_and(|it| it.ends_with('.') && it.len() > 1) && at(its)
            }
            Self::Any | Self::Network(_) | Self::Address(..) => false,
        }
    }

    /// True when it is about this address. A rule for one port is not, where the port is not told.
    pub(super) fn covers(&self, address: IpAddr, port: Option<u16>) -> bool {
        match self {
            Self::Network(network) => network.contains(&address),
            Self::Address(it, its) => *it == address && its.is_none_or(|its| port == Some(its)),
            Self::Any | Self::Host(..) | Self::Domain(..) => false,
        }
    }

    /// True when it is about addresses, and not about names.
    pub(super) fn is_about_addresses(&self) -> bool {
        matches!(self, Self::Network(_) | Self::Address(..))
    }

    /// True when it is about one address and no other.
    pub(super) fn is_one_address(&self) -> bool {
        match self {
            Self::Network(network) => network.prefix_len() == network.max_prefix_len(),
            Self::Address(..) => true,
            Self::Any | Self::Host(..) | Self::Domain(..) => false,
        }
    }

    /// True when it is about an address at this port alone.
    pub(super) fn is_address_at(&self, port: u16) -> bool {
        matches!(self, Self::Address(_, Some(its)) if *its == port)
    }
}

impl fmt::Display for EgressRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = match self {
            Self::Any => return f.write_str("*"),
            Self::Network(network) => return write!(f, "{network}"),
            Self::Address(IpAddr::V6(address), Some(port)) => {
                return write!(f, "[{address}]:{port}");
            }
            Self::Address(address, port) => {
                write!(f, "{address}")?;
                port
            }
            Self::Host(host, port) => {
                f.write_str(host)?;
                port
            }
            Self::Domain(domain, port) => {
                write!(f, "*.{domain}")?;
                port
            }
        };
        port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::EgressRule;

    #[test]
    fn what_operators_write_is_read() {
        for (text, expected) in [
            ("*", "*"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("fd00::/8", "fd00::/8"),
            ("10.1.2.3", "10.1.2.3"),
            (" 10.1.2.3:443 ", "10.1.2.3:443"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("[::1]:443", "[::1]:443"),
            ("2130706433", "127.0.0.1"),
            ("Db.Internal", "db.internal"),
            ("db.internal.:5432", "db.internal:5432"),
            ("*.internal:443", "*.internal:443"),
            ("bücher.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(text.parse::<EgressRule>().unwrap().to_string(), expected, "{text}");
        }
        for text in [
            "",
            "10.0.0.0/33",
            "a/8",
            "a:0",
            "a:b",
            "a:70000",
            "http://a",
            "a@b",
            "*.10.0.0.1",
            "a.*.b",
            "[::1",
            "a b",
            "10.0.0.0/8:443",
        ] {
            assert!(text.parse::<EgressRule>().is_err(), "{text}");
        }
    }
}
