//! The way to the bus: one connection to NATS, with the credentials and certificates that
//! coordinator and worker are given in the same words.
//!
//! **Invariant:** nothing here knows what travels over it; that is `windlass_proto::wire`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
pub use async_nats::{Message, Subscriber};
use percent_encoding::percent_decode_str;
use tokio::sync::watch;
use windlass_proto::limits;

/// Where NATS is, and how to be let in.
#[derive(Clone, Debug, Default)]
pub struct BusOptions {
    /// One URL or several, separated by commas: `nats://host:4222`, `tls://…`, `ws://…` and
    /// `wss://…` for the WebSockets of servers; either all are of WebSockets or none is. One may
    /// carry `user:password@` or `token@`, which all servers are shown.
    pub url: String,
    /// What the server shows of this connection.
    pub name: String,
    /// A `.creds` file: user JWT and seed.
    pub credentials: Option<PathBuf>,
    /// A file with an NKEY seed.
    pub nkey: Option<PathBuf>,
    /// Certificates to trust beside the system's, PEM.
    pub ca: Option<PathBuf>,
    /// Begin with the handshake of TLS, as servers with `handshake_first` want it, instead of
    /// waiting for what they say first.
    pub tls_first: bool,
    /// The certificate and key this client shows, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The URL is none.
    #[error("`{url}` is no address of NATS servers: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// A file cannot be used.
    #[error("cannot use {path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The server refused, or could not be reached in a way that waiting does not mend.
    #[error("no connection to NATS at {url}: {reason}")]
    Refused {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
}

/// A connection that mends itself; cheap to clone.
#[derive(Clone)]
pub struct Bus {
    /// The client.
    pub client: Client,
    link: watch::Receiver<Link>,
}

/// How the connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// True while there is one.
    pub up: bool,
    /// How often there has been one.
    pub times: u64,
}

impl Bus {
    /// Connects. When no server can be reached yet, the connection is made as soon as one can: what
    /// was subscribed by then is subscribed there.
    ///
    /// # Errors
    /// When an option makes no sense, or a server refuses the credentials.
    pub async fn connect(options: &BusOptions) -> Result<Self, BusError> {
        let addresses = addresses(&options.url)?;
        let (sender, link) = watch::channel(Link::default());
        let sender = Arc::new(sender);
        let configured = configure(options).await?.event_callback(move |event| {
            note(&sender, &event);
            async {}
        });
        let client = configured.connect(addresses).await.map_err(|error| BusError::Refused {
            url: shown(&options.url),
            reason: error.to_string(),
        })?;
        Ok(Self { client, link })
    }

    /// Waits for the first connection, at most `patience`; true when there is one.
    pub async fn ready(&self, patience: Duration) -> bool {
        let mut link = self.link.clone();
        let up = link.wait_for(|link| link.up);
        matches!(tokio::time::timeout(patience, up).await, Ok(Ok(_)))
    }

    /// True while there is a connection.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Connections after the first one.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.link.borrow().times.saturating_sub(1)
    }

    /// Tells of every change of the connection.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    /// Bytes of the largest frame to send: ours, or the server's where that is less.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        match self.client.max_payload() {
            // Not connected yet.
            0 => limits::FRAME_BYTES,
            most => most.min(limits::FRAME_BYTES),
        }
    }
}

fn note(sender: &watch::Sender<Link>, event: &Event) {
    match event {
        Event::Connected => {
            sender.send_modify(|link| *link = Link { up: true, times: link.times + 1 });
            tracing::info!("connected to NATS");
        }
        // This side has let go of the connection: the process ends in order.
        Event::Closed => sender.send_modify(|link| link.up = false),
        Event::Draining => {}
        Event::Disconnected => {
            sender.send_modify(|link| link.up = false);
            tracing::warn!("disconnected from NATS; reconnecting");
        }
        Event::SlowConsumer(_) => {
            tracing::warn!("slow consumer: messages from NATS were dropped");
        }
        // One for each attempt to connect: that the connection is gone was said.
        Event::ClientError(error) => tracing::debug!(%error, "NATS"),
        other => tracing::warn!(event = %other, "NATS"),
    }
}

async fn configure(options: &BusOptions) -> Result<ConnectOptions, BusError> {
    let mut connect = match &options.credentials {
        Some(path) => ConnectOptions::with_credentials_file(path)
            .await
            .map_err(|error| unusable(path, &error))?,
        None => ConnectOptions::new(),
    };
    // The client reads no credentials from URLs by itself.
    let server = addresses(&options.url)?.into_iter().find(ServerAddr::has_user_pass);
    if let Some(user) = server.as_ref().and_then(ServerAddr::username) {
        let user = decoded(user);
        connect = match server.as_ref().and_then(ServerAddr::password) {
            Some(password) => connect.user_and_password(user, decoded(password)),
            None => connect.token(user),
        };
    }
    if let Some(path) = &options.nkey {
        let seed = tokio::fs::read_to_string(path).await.map_err(|error| unusable(path, &error))?;
        connect = connect.nkey(seed.trim().to_owned());
    }
    let identity = options.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
    for path in options.ca.iter().chain(identity) {
        // Read again by the client; looked at here so that the message names the file.
        tokio::fs::metadata(path).await.map_err(|error| unusable(path, &error))?;
    }
    if let Some(path) = &options.ca {
        connect = connect.add_root_certificates(path.clone()).require_tls(true);
    }
    if let Some((certificate, key)) = &options.identity {
        connect =
            connect.add_client_certificate(certificate.clone(), key.clone()).require_tls(true);
    }
    if options.tls_first {
        connect = connect.tls_first();
    }
    Ok(connect
        .name(&options.name)
        .retry_on_initial_connect()
        .max_reconnects(None)
        .ping_interval(Duration::from_secs(5))
        .request_timeout(Some(Duration::from_millis(limits::BUS_TIMEOUT_MS)))
        .reconnect_delay_callback(delay))
}

/// What a part of a URL stands for: `%40` for `@`.
fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// Pauses between attempts: soon at first, then every two seconds.
fn delay(attempts: usize) -> Duration {
    let doubled = 50u64 << attempts.min(6);
    Duration::from_millis(doubled.min(2_000))
}

fn unusable(path: &std::path::Path, error: &std::io::Error) -> BusError {
    BusError::File { path: path.to_owned(), reason: error.to_string() }
}

fn addresses(url: &str) -> Result<Vec<ServerAddr>, BusError> {
    let each = url.split(',').map(str::trim).filter(|it| !it.is_empty());
    let addresses = each
        .map(|it| {
            it.parse().map_err(|error: std::io::Error| BusError::Url {
                url: shown(it),
                reason: error.to_string(),
            })
        })
        .collect::<Result<Vec<ServerAddr>, _>>()?;
    let refused = |reason: &str| BusError::Url { url: shown(url), reason: reason.to_owned() };
    if addresses.is_empty() {
        return Err(refused("write nats://HOST:PORT, several separated by commas"));
    }
    // Servers tell of others by address alone, which a client would then dial in the wrong way.
    let websockets = addresses.iter().filter(|it| it.is_websocket()).count();
    if websockets > 0 && websockets < addresses.len() {
        return Err(refused("ws:// and wss:// do not go together with nats:// and tls://"));
    }
    Ok(addresses)
}

/// A URL without user and password.
fn shown(url: &str) -> String {
    let each = url.split(',').map(|it| match (it.find("://"), it.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}{}", &it[..scheme + 3], &it[at + 1..])
        }
        (None, Some(at)) => it[at + 1..].to_owned(),
        _ => it.to_owned(),
    });
    each.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::{BusOptions, addresses, delay, shown};

    #[test]
    fn addresses_are_read() {
        assert_eq!(addresses("nats://a:1, tls://b").unwrap().len(), 2);
        assert!(addresses("").is_err());
        assert!(addresses("http://a b").is_err());
        assert_eq!(addresses("ws://a:1, wss://b:443/nats").unwrap().len(), 2);
        assert!(addresses("ws://a:1,nats://b").is_err());
        assert!(BusOptions::default().url.is_empty());
    }

    #[test]
    fn no_password_is_shown() {
        assert_eq!(shown("nats://me:secret@host:4222,nats://b"), "nats://host:4222,nats://b");
        assert_eq!(shown("token@host"), "host");
    }

    #[test]
    fn attempts_go_on_every_two_seconds() {
        assert_eq!(delay(1).as_millis(), 100);
        assert_eq!(delay(1_000).as_millis(), 2_000);
    }
}
