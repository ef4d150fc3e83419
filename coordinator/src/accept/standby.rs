//! What a coordinator answers while another one of its cluster leads: what that one answers.
//!
//! A request goes to the leader as HTTP in a pipe of its own, with what this coordinator knows of
//! who sends it. There it is served as any other one is, so that who may do what, and what the
//! audit trail says of it, are the same. What has a length or an end that does not come is broken
//! off here as well: half an answer never looks whole.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, Version, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use windlass_proto::limits::{CLUSTER_AGAIN_MS, CLUSTER_CLIENT_BYTES};
use windlass_proto::time::Timestamp;

use super::metrics;
use super::problem::ApiProblem;
use super::serve::sockets::{Phase, Socket};
use crate::access::ClientCertificate;
use crate::cluster::{Forwarded, Forwarder, Passed, StandbyView};
use crate::code::Code;

/// The header with the address of the leader.
const LEADER: &str = "windlass-leader";

/// Headers that are about a connection, and not about what passes (RFC 9110, 7.6.1).
const OF_CONNECTION: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// What a standby says of who sends a request.
#[derive(Serialize, Deserialize)]
pub(super) struct Client {
    /// Where they are.
    pub(super) address: IpAddr,
    /// Which coordinator they asked.
    pub(super) via: Arc<str>,
    /// How that one lets clients in.
    pub(super) guard: Guard,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<Shown>,
}

/// How a coordinator lets clients in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Guard {
    /// It asks who they are.
    pub(super) asks: bool,
    /// Other machines can reach it.
    pub(super) exposed: bool,
}

impl Guard {
    /// True where this one may serve whom `other` has let in: what one keeps out gets in by no
    /// other.
    pub(super) fn takes_from(self, other: Self) -> bool {
        self.asks || (!other.asks && (self.exposed || !other.exposed))
    }
}

/// What a standby answers by.
#[derive(Clone)]
pub(super) struct Standby {
    pub(super) forwarder: Forwarder,
    pub(super) guard: Guard,
}

/// The certificate that they showed, and that was verified there.
#[derive(Serialize, Deserialize)]
struct Shown {
    subject: Arc<str>,
    groups: Vec<Arc<str>>,
    fingerprint: [u8; 32],
    ends: Option<Timestamp>,
}

/// Through which coordinator a request came.
#[derive(Clone)]
pub(super) struct Via(pub(super) Arc<str>);

impl Client {
    fn of(request: &Request, via: Arc<str>, guard: Guard) -> Self {
        let socket = request.extensions().get::<Arc<Socket>>();
        // Every request of a connection has one.
        let address = socket.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |it| it.client());
        let certificate = request.extensions().get::<Arc<ClientCertificate>>();
        let certificate = certificate.map(|it| Shown {
            subject: it.subject.clone(),
            groups: it.groups.clone(),
            fingerprint: it.fingerprint,
            ends: it.ends,
        });
        Self { address, via, guard, certificate }
    }

    /// What was said with a request that was passed on.
    pub(super) fn read(passed: &Passed) -> Option<Self> {
        serde_json::from_str(&passed.said).ok()
    }

    /// Who they are, if they showed a certificate.
    pub(super) fn certificate(&mut self) -> Option<Arc<ClientCertificate>> {
        let Shown { subject, groups, fingerprint, ends } = self.certificate.take()?;
        Some(Arc::new(ClientCertificate { subject, groups, fingerprint, ends }))
    }
}

/// What a standby answers to clients.
pub(super) fn router(standby: Standby) -> Router {
    Router::new()
        .route("/healthz", get(metrics::healthy))
        .route("/readyz", get(ready))
        // Numbers of another process would be taken for its own.
        .route("/metrics", get(elsewhere))
        .fallback(pass)
        .with_state(standby)
}

/// What it answers on the port for health and metrics.
pub(super) fn admin(standby: Standby) -> Router {
    Router::new()
        .route("/healthz", get(metrics::healthy))
        .route("/readyz", get(ready))
        .fallback(elsewhere)
        .with_state(standby)
}

/// Ready while what is asked here is answered, or soon will be.
async fn ready(State(standby): State<Standby>) -> Response {
    let view = standby.forwarder.view();
    match view.is_ready() {
        true => (StatusCode::OK, "ready: passes on to the leader\n").into_response(),
        false => nobody(&view),
    }
}

/// Says who leads.
async fn elsewhere(State(standby): State<Standby>) -> Response {
    nobody(&standby.forwarder.view())
}

fn nobody(view: &StandbyView) -> Response {
    let leader = view.leader.as_ref().map(|it| &it.url);
    let detail = match leader {
        Some(url) if !url.is_empty() => format!("this is a standby: {url} leads"),
        Some(_) => "this is a standby: another coordinator leads".to_owned(),
        None => "this is a standby, and nobody leads at the moment: one will within seconds".into(),
    };
    let problem = ApiProblem::new(Code::Standby, detail);
    let mut response = problem.retry_after(Duration::from_millis(CLUSTER_AGAIN_MS)).into_response();
    tell(&mut response, leader);
    response
}

fn tell(response: &mut Response, leader: Option<&String>) {
    if let Some(url) = leader.and_then(|it| HeaderValue::from_str(it).ok()) {
        response.headers_mut().insert(LEADER, url);
    }
}

/// Passes a request on, and its answer back.
async fn pass(State(standby): State<Standby>, request: Request) -> Response {
    let Standby { forwarder, guard } = standby;
    let client = Client::of(&request, forwarder.url().clone(), guard);
    let said = serde_json::to_string(&client).unwrap_or_default();
    if said.len() > CLUSTER_CLIENT_BYTES {
        return ApiProblem::new(Code::BadParameter, "the client certificate is too large")
            .into_response();
    }
    let Some(forwarded) = forwarder.open(said).await else { return nobody(&forwarder.view()) };
    let leader = forwarded.leader.clone();
    match answered(forwarded, request).await {
        Ok(mut response) => {
            tell(&mut response, Some(&leader));
            response
        }
        Err(error) => {
            tracing::debug!(%error, "a request that was passed on has no answer");
            let detail = format!(
                "the leader, {leader}, was lost before it answered: whether it did what was asked is \
                 not known"
            );
            ApiProblem::new(Code::LeaderLost, detail).into_response()
        }
    }
}

async fn answered(forwarded: Forwarded, request: Request) -> Result<Response, hyper::Error> {
    let (mut sender, connection) =
        http1::handshake::<_, Body>(TokioIo::new(forwarded.stream)).await?;
    tokio::spawn(async move {
        // Whoever waits for the answer is told as well.
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a request that was passed on broke off");
        }
    });
    let answer = sender.send_request(onward(request)).await?;
    let (mut parts, body) = answer.into_parts();
    strip(&mut parts.headers);
    Ok(Response::from_parts(parts, Body::new(body)))
}

/// The request as the leader gets it.
fn onward(request: Request) -> Request {
    let socket = request.extensions().get::<Arc<Socket>>().cloned();
    let (mut parts, body) = request.into_parts();
    strip(&mut parts.headers);
    parts.version = Version::HTTP_11;
    // Who asks as one asks a proxy says the whole address.
    if let Some(path) = parts.uri.path_and_query() {
        if let Some(host) = parts.uri.authority()
            && let Ok(host) = HeaderValue::from_str(host.as_str())
        {
            parts.headers.insert(header::HOST, host);
        }
        parts.uri = Uri::from(path.clone());
    }
    parts.extensions.clear();
    let body = match body.is_end_stream() {
        true => body,
        false => Body::new(Coming::new(body, socket)),
    };
    Request::from_parts(parts, body)
}

/// Takes out what is about the connection.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<_> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','))
        .map(|it| it.trim().to_owned())
        .collect();
    for name in named.iter().map(String::as_str).chain(OF_CONNECTION) {
        headers.remove(name);
    }
}

/// A body that is on its way: while it is, the connection is one that others may need.
struct Coming {
    body: Body,
    socket: Option<Arc<Socket>>,
}

impl Coming {
    fn new(body: Body, socket: Option<Arc<Socket>>) -> Self {
        socket.iter().for_each(|it| it.enters(Phase::Body));
        Self { body, socket }
    }

    fn came(&mut self) {
        if let Some(socket) = self.socket.take() {
            socket.enters(Phase::Working);
        }
    }
}

impl HttpBody for Coming {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let is_over = matches!(polled, Poll::Ready(None | Some(Err(_))));
        if is_over || polled.is_ready() && self.body.is_end_stream() {
            self.came();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.came();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use axum::body::Body;
    use axum::extract::Request;
    use axum::http::header;
    use windlass_proto::time::Timestamp;

    use crate::cluster::Passed;

    use super::{Client, Guard, Shown, onward};

    #[test]
    fn the_leader_is_told_who_sends_a_request() {
        let certificate = Shown {
            subject: "CN=ada,O=ops".into(),
            groups: vec!["ops".into()],
            fingerprint: [7; 32],
            ends: Some(Timestamp(9)),
        };
        let said = Client {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            via: "https://b.example:7400".into(),
            guard: Guard { asks: true, exposed: false },
            certificate: Some(certificate),
        };
        let said = serde_json::to_string(&said).unwrap_or_default();
        let (stream, _) = tokio::io::duplex(1);
        let read = Client::read(&Passed { said, stream });
        let Some(mut client) = read else { unreachable!("it was just written") };
        assert_eq!(client.address, IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(&*client.via, "https://b.example:7400");
        assert_eq!(client.guard, Guard { asks: true, exposed: false });
        let shown = client.certificate().map(|it| (it.subject.clone(), it.groups.clone()));
        assert_eq!(shown, Some(("CN=ada,O=ops".into(), vec!["ops".into()])));
    }

    #[test]
    fn who_asks_nobody_takes_nothing_of_who_does_or_is_reached_by_more() {
        let guard = |asks, exposed| Guard { asks, exposed };
        for exposed in [false, true] {
            let asks = guard(true, exposed);
            let all =
                [guard(true, true), guard(true, false), guard(false, true), guard(false, false)];
            assert!(all.into_iter().all(|it| asks.takes_from(it)));
            assert!(!guard(false, exposed).takes_from(guard(true, false)));
            assert!(!guard(false, exposed).takes_from(guard(true, true)));
            assert!(guard(false, exposed).takes_from(guard(false, false)));
        }
        assert!(guard(false, true).takes_from(guard(false, true)));
        assert!(!guard(false, false).takes_from(guard(false, true)));
    }

    #[test]
    fn what_is_about_the_connection_stays_here() {
        let request = Request::builder()
            .uri("http://b.example:7400/v1/instances?limit=2")
            .header("connection", "close, X-Mine")
            .header("x-mine", "1")
            .header("expect", "100-continue")
            .header("authorization", "Bearer t")
            .header("host", "other.example");
        let Ok(request) = request.body(Body::empty()) else { unreachable!("it can be built") };
        let onward = onward(request);
        assert_eq!(onward.uri(), "/v1/instances?limit=2");
        assert_eq!(onward.headers()[header::HOST], "b.example:7400");
        assert_eq!(onward.headers()[header::AUTHORIZATION], "Bearer t");
        assert_eq!(onward.headers().len(), 2, "{:?}", onward.headers());
    }
}
