//! HTTP servers that answer by a closure and remember what they were asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::tls;
use super::until::moment;

/// A request as the stub saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// `GET`, `POST`, …
    pub(crate) method: String,
    /// The `Host` header without its port.
    pub(crate) host: String,
    /// The path, without the query.
    pub(crate) path: String,
    /// The query as sent.
    pub(crate) query: String,
    headers: Vec<(String, String)>,
    /// The body; bytes that are not UTF-8 are replaced.
    pub(crate) body: String,
}

impl Seen {
    /// The first header of this name, whatever its case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter();
        all.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What the stub answers.
pub(crate) enum Reply {
    /// JSON with a status.
    Json(u16, Value),
    /// Plain text with a status.
    Text(u16, String),
    /// Any status, content type and body.
    Raw(u16, &'static str, Vec<u8>),
    /// A redirect to this address.
    Redirect(u16, String),
    /// A status, and these headers.
    Headed(u16, &'static [(&'static str, &'static str)]),
    /// The answer, so much later.
    After(Duration, Box<Reply>),
    /// The answer, once the gate is open.
    Gated(watch::Receiver<bool>, Box<Reply>),
    /// No answer as long as the stub lives.
    Never,
}

type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A stub server; it stops when dropped.
pub(crate) struct Stub {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    serving: AbortHandle,
    /// Holds the authority's certificate, for TLS stubs.
    folder: Option<tempfile::TempDir>,
}

impl Stub {
    /// A plain HTTP server on a free port of the loopback.
    pub(crate) async fn http(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::default();
        let router = router(Arc::new(answer), Arc::clone(&seen));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, seen, serving: serving.abort_handle(), folder: None }
    }

    /// An HTTPS server on a free port of the loopback with a certificate for `hosts`.
    pub(crate) async fn https(
        hosts: &[&str],
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let identity = tls::identity(hosts);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), &identity.authority).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listener = tls::TlsListener::new(listener, identity.config);
        let seen = Arc::default();
        let router = router(Arc::new(answer), Arc::clone(&seen));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, seen, serving: serving.abort_handle(), folder: Some(folder) }
    }

    /// The file for `--ca-file`.
    pub(crate) fn ca_file(&self) -> PathBuf {
        let folder = self.folder.as_ref().map(tempfile::TempDir::path);
        folder.map(|it: &Path| it.join("ca.pem")).expect("only TLS stubs have a certificate")
    }

    /// Flags that make `windlass` reach this stub under these public names.
    pub(crate) fn flags(&self, hosts: &[&str]) -> Vec<String> {
        let port = self.address.port();
        let mut flags = vec!["--ca-file".to_owned(), self.ca_file().display().to_string()];
        for host in hosts {
            flags.extend(["--resolve".to_owned(), format!("{host}:443:127.0.0.1:{port}")]);
        }
        flags
    }

    /// `http://127.0.0.1:PORT` followed by `path`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request so far, in order of arrival.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The number of requests so far to this path.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|it| it.path == path).count()
    }

    /// For each path, how many requests came and under which idempotency keys.
    pub(crate) fn by_path(&self) -> BTreeMap<String, (usize, BTreeSet<String>)> {
        let mut all: BTreeMap<String, (usize, BTreeSet<String>)> = BTreeMap::new();
        for seen in self.seen.lock().unwrap().iter() {
            let (count, keys) = all.entry(seen.path.clone()).or_default();
            *count += 1;
            keys.insert(seen.header("idempotency-key").unwrap_or("").to_owned());
        }
        all
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn router(answer: Arc<Answer>, seen: Arc<Mutex<Vec<Seen>>>) -> Router {
    Router::new().fallback(move |request: Request| {
        let (answer, seen) = (answer.clone(), seen.clone());
        async move {
            let request = read(request).await;
            let reply = answer(&request);
            seen.lock().unwrap().push(request);
            respond(reply).await
        }
    })
}

async fn read(request: Request) -> Seen {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap_or_default();
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
    let headers: Vec<(String, String)> =
        head.headers.iter().map(|(key, value)| (key.to_string(), text(value))).collect();
    let host = head.headers.get(header::HOST).map(text).unwrap_or_default();
    Seen {
        method: head.method.to_string(),
        host: host.split(':').next().unwrap_or_default().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers,
        body: String::from_utf8_lossy(&body).into(),
    }
}

async fn respond(reply: Reply) -> Response {
    let status = |code| StatusCode::from_u16(code).unwrap();
    match reply {
        Reply::Json(code, value) => (status(code), axum::Json(value)).into_response(),
        Reply::Text(code, text) => (status(code), text).into_response(),
        Reply::Raw(code, kind, bytes) => {
            (status(code), [(header::CONTENT_TYPE, kind)], Body::from(bytes)).into_response()
        }
        Reply::Redirect(code, to) => {
            (status(code), [(header::LOCATION, to)], Body::empty()).into_response()
        }
        Reply::Headed(code, headers) => {
            let mut response = (status(code), "who are you?").into_response();
            for (name, value) in headers {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            response
        }
        Reply::After(delay, reply) => {
            moment(delay).await;
            Box::pin(respond(*reply)).await
        }
        Reply::Gated(mut gate, reply) => {
            // Whoever drops the gate's sender opens it.
            let _ = gate.wait_for(|open| *open).await;
            Box::pin(respond(*reply)).await
        }
        Reply::Never => std::future::pending().await,
    }
}

#[tokio::test]
async fn a_tls_stub_is_trusted_by_its_own_authority_only() {
    let stub = Stub::https(&["api.example.com"], |seen| {
        Reply::Json(200, serde_json::json!({"path": seen.path, "host": seen.host}))
    })
    .await;
    let url = format!("https://api.example.com:{}/x?y=1", stub.address.port());
    let builder = || reqwest::Client::builder().resolve("api.example.com", stub.address);
    assert!(builder().build().unwrap().get(&url).send().await.is_err(), "an unknown authority");

    let pem = std::fs::read(stub.ca_file()).unwrap();
    let authority = reqwest::Certificate::from_pem(&pem).unwrap();
    let client = builder().tls_certs_only([authority]).build().unwrap();
    let got: Value = client.get(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!(got, serde_json::json!({"path": "/x", "host": "api.example.com"}));
    assert_eq!(stub.seen()[0].query, "y=1");
    assert_eq!(stub.count("/x"), 1);
}
