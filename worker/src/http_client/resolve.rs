//! Hosts whose connections go elsewhere.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use reqwest::Url;

/// `HOST:PORT:ADDRESS[:PORT]`, as curl writes it: connections for a host and port go to an address.
/// Certificates, the `Host` header and everything reported keep the host's own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) address: SocketAddr,
}

/// The text is not of the form `HOST:PORT:ADDRESS[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not of the form HOST:PORT:ADDRESS[:PORT], such as example.com:443:127.0.0.1:8443"
)]
pub struct ResolveError(pub String);

impl FromStr for Resolve {
    type Err = ResolveError;

    fn from_str(text: &str) -> Result<Self, ResolveError> {
        parse_resolve(text).ok_or_else(|| ResolveError(text.to_owned()))
    }
}

fn parse_resolve(text: &str) -> Option<Resolve> {
    let (host, rest) = text.split_once(':')?;
    let (port, target) = rest.split_once(':')?;
    let port: u16 = port.parse().ok()?;
    let address = match target.parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, port),
        Err(_) => match target.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            Some(address) => SocketAddr::new(address.parse().ok()?, port),
            None => target.parse().ok()?,
        },
    };
    (!host.is_empty()).then(|| Resolve { host: host.to_ascii_lowercase(), port, address })
}

impl fmt::Display for Resolve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.host, self.port, self.address)
    }
}

impl Resolve {
    /// True when it is about the connections for this host and port.
    pub(super) fn is_for(&self, host: &str, port: u16) -> bool {
        self.host == host && self.port == port
    }

    /// The URL to give to a client that has this override, and the `Host` header where that has
    /// another port. A resolver's port only counts where the URL names none, so a URL that names
    /// one gets the target's instead.
    pub(super) fn rewrite(&self, url: &Url) -> (Url, Option<String>) {
        let mut target = url.clone();
        if url.port().is_none() || target.set_port(Some(self.address.port())).is_err() {
            return (url.clone(), None);
        }
        (target, Some(format!("{}:{}", self.host, self.port)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Resolve;

    #[test]
    fn the_forms_of_curl_are_read() {
        for (text, expected) in [
            ("Example.com:443:127.0.0.1", "example.com:443:127.0.0.1:443"),
            ("example.com:443:127.0.0.1:8443", "example.com:443:127.0.0.1:8443"),
            ("example.com:80:::1", "example.com:80:[::1]:80"),
            ("example.com:80:[::1]", "example.com:80:[::1]:80"),
            ("example.com:80:[::1]:81", "example.com:80:[::1]:81"),
        ] {
            assert_eq!(text.parse::<Resolve>().unwrap().to_string(), expected);
        }
        for text in ["", "example.com", "example.com:443", ":1:127.0.0.1", "a:b:127.0.0.1", "a:1:b"]
        {
            assert!(text.parse::<Resolve>().is_err(), "{text}");
        }
    }
}
