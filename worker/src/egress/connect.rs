//! Looks names up for connections, and makes connections for protocols that bring no connector.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{Egress, Named};

/// Gives an HTTP client the addresses of a name that may be called.
pub(crate) struct Lookup {
    pub(crate) egress: Arc<Egress>,
    /// The port of all it is asked for, where rules care for it.
    pub(crate) port: Option<u16>,
    /// What rules say of all names it is asked for.
    pub(crate) named: Named,
    /// Names of proxies, which the operator has chosen.
    pub(crate) proxies: Vec<String>,
}

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let (egress, port, named) = (self.egress.clone(), self.port, self.named);
        let is_proxy = self.proxies.iter().any(|it| it.eq_ignore_ascii_case(name.as_str()));
        Box::pin(async move {
            let name = name.as_str();
            let found = egress.lookup(name).await?;
            let allowed = match is_proxy {
                true => found,
                false => egress.allowed(name, found, port, named)?,
            };
            // The port is the URL's.
            let addresses = allowed.into_iter().map(|it| SocketAddr::new(it, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

impl Egress {
    /// The addresses of a host that may be called; an error that holds a
    /// [`Refusal`](super::Refusal) where none may.
    pub(crate) async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
        let named = self.host(host, port)?;
        let found = match super::literal(host) {
            Some(address) => vec![address],
            None => self.allowed(host, self.lookup(host).await?, Some(port), named)?,
        };
        Ok(found.into_iter().map(|it| SocketAddr::new(it, port)).collect())
    }

    /// All addresses of a name.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        #[cfg(test)]
        if let Some(found) = self.names.and_then(|names| names(name)) {
            return Ok(found);
        }
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|it| it.ip()).collect())
    }
}
