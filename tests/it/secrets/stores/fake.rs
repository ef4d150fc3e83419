//! A stand-in for the services that cannot be had here, by their public interface: each store's
//! test says what its answers look like.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::TcpStream;

use super::Content;
use crate::support::stub::{Reply, Seen, Stub};
use crate::support::until::{SOON, until};

/// A secret that the service has.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) content: Content,
    pub(crate) version: u32,
    pub(crate) forbidden: bool,
}

/// How the service is.
#[derive(Clone)]
pub(crate) enum Mode {
    Well,
    Hanging,
    /// Answers this to whoever asks for a secret.
    Broken(u16, String),
}

/// What the service knows.
pub(crate) struct State {
    pub(crate) secrets: Mutex<BTreeMap<String, Held>>,
    pub(crate) mode: Mutex<Mode>,
    /// The only token it takes ends in this number.
    pub(crate) token: Mutex<u32>,
}

impl State {
    pub(crate) fn token(&self) -> String {
        format!("token-{}", self.token.lock().unwrap())
    }

    /// Whether a request has the token.
    pub(crate) fn knows(&self, seen: &Seen) -> bool {
        seen.header("authorization") == Some(&format!("Bearer {}", self.token()))
    }

    /// What a service does before it looks at what is asked for; none when it is well.
    pub(crate) fn fault(&self) -> Option<Reply> {
        match self.mode.lock().unwrap().clone() {
            Mode::Well => None,
            Mode::Hanging => Some(Reply::Never),
            Mode::Broken(status, body) => {
                Some(Reply::Raw(status, "application/json", body.into_bytes()))
            }
        }
    }
}

/// A server that answers by a closure over what it knows.
pub(crate) struct Fake {
    pub(crate) state: Arc<State>,
    pub(crate) address: SocketAddr,
    stub: Option<Stub>,
}

impl Fake {
    pub(crate) async fn start(
        answer: impl Fn(&State, &Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let state = Arc::new(State {
            secrets: Mutex::default(),
            mode: Mutex::new(Mode::Well),
            token: Mutex::new(1),
        });
        let known = state.clone();
        let stub = Stub::http(move |seen| answer(&known, seen)).await;
        Self { state, address: stub.address, stub: Some(stub) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far to paths that start so.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|it| it.path.starts_with(path)).count()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.stub.as_ref().map(Stub::seen).unwrap_or_default()
    }

    pub(crate) fn plant(&self, place: String, content: &Content) {
        let mut secrets = self.state.secrets.lock().unwrap();
        let version = secrets.get(&place).map_or(1, |it| it.version + 1);
        secrets.insert(place, Held { content: content.clone(), version, forbidden: false });
    }

    pub(crate) fn forbid(&self, place: &str) {
        self.state.secrets.lock().unwrap().get_mut(place).unwrap().forbidden = true;
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.state.mode.lock().unwrap() = mode;
    }

    pub(crate) fn revoke(&self) {
        *self.state.token.lock().unwrap() += 1;
    }

    /// Ends it; nobody listens any more when this returns.
    pub(crate) async fn stop(&mut self) {
        self.stub = None;
        let gone = async || TcpStream::connect(self.address).await.err().map(drop);
        until(SOON, "the end of a fake", gone).await;
    }
}
