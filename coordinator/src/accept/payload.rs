//! Bodies of requests: bounded in size, in number, and in depth.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use futures_util::StreamExt;
use hyper::body::Body as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use windlass_proto::limits::{
    self, API_BODY_MS, API_BODY_ROOM_MS, OPEN_BODY_BYTES, PAYLOAD_BYTES, VALUE_DEPTH,
};
use windlass_proto::value::Value;

use super::problem::ApiProblem;
use super::serve::sockets::{Phase, Socket};
use super::state::Api;
use crate::code::Code;
use crate::events::envelope::is_json;

/// A body and its headers. Its share of the memory for bodies is given back when it is dropped.
pub(super) struct Payload {
    /// The request's headers.
    pub(super) headers: HeaderMap,
    /// The body, at most [`PAYLOAD_BYTES`] long.
    pub(super) bytes: Bytes,
    budget: Option<Arc<OwnedSemaphorePermit>>,
}

/// A body that has been read, on its way to the handler.
#[derive(Clone)]
struct Received {
    bytes: Bytes,
    budget: Option<Arc<OwnedSemaphorePermit>>,
}

/// Reads the body of a request before it is handled, so that one on its way takes no room among
/// those that are handled.
pub(super) async fn receive(api: &Api, request: Request) -> Result<Request, ApiProblem> {
    let (mut parts, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok(Request::from_parts(parts, Body::empty()));
    }
    if announced(&parts.headers).is_some_and(|it| it > PAYLOAD_BYTES) {
        return Err(too_large());
    }
    let socket = parts.extensions.get::<Arc<Socket>>().cloned();
    let enters = |phase| socket.iter().for_each(|it| it.enters(phase));
    enters(Phase::Body);
    let limit = Duration::from_millis(API_BODY_MS);
    let read = tokio::time::timeout(limit, read(body, &api.bodies, || api.sockets.shed_body()));
    let (bytes, budget) = read.await.map_err(|_| {
        ApiProblem::new(Code::TooSlow, format!("the body was not there within {limit:?}"))
    })??;
    enters(Phase::Working);
    parts.extensions.insert(Received { bytes, budget: budget.map(Arc::new) });
    Ok(Request::from_parts(parts, Body::empty()))
}

/// The body of somebody of whom nothing is known: none of what is only read, and of the rest a
/// little, or it would take room that others need.
pub(super) fn little(parts: &Parts, body: Body) -> Result<Body, ApiProblem> {
    if matches!(parts.method, Method::GET | Method::HEAD) || body.is_end_stream() {
        return Ok(Body::empty());
    }
    match announced(&parts.headers) {
        Some(length) if length <= OPEN_BODY_BYTES => Ok(body),
        _ => {
            let detail = format!(
                "who is not known yet says the length of a body (Content-Length), at most \
                 {OPEN_BODY_BYTES} bytes"
            );
            Err(ApiProblem::new(Code::TooLarge, detail))
        }
    }
}

/// The length that a request says its body has.
fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl FromRequest<Api> for Payload {
    type Rejection = ApiProblem;

    async fn from_request(mut request: Request, _: &Api) -> Result<Self, ApiProblem> {
        let received = request.extensions_mut().remove::<Received>();
        let (bytes, budget) = received.map(|it| (it.bytes, it.budget)).unwrap_or_default();
        Ok(Self { headers: std::mem::take(request.headers_mut()), bytes, budget })
    }
}

/// Reads a body, reserving memory as it comes: who announces much and sends little holds little.
/// Where there is none, `shed` ends another one that is on its way.
async fn read(
    body: Body,
    bodies: &Arc<Semaphore>,
    shed: impl Fn(),
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), ApiProblem> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut budget: Option<OwnedSemaphorePermit> = None;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| {
            ApiProblem::new(Code::BadBody, format!("the body broke off: {error}"))
        })?;
        if bytes.len() + chunk.len() > PAYLOAD_BYTES {
            return Err(too_large());
        }
        let permits = u32::try_from(chunk.len().div_ceil(limits::PERMIT_BYTES)).unwrap_or(u32::MAX);
        let more = room(bodies, permits, &shed).await.ok_or_else(|| {
            ApiProblem::overloaded("too many large requests are under way", Duration::from_secs(1))
        })?;
        match &mut budget {
            Some(budget) => budget.merge(more),
            None => budget = Some(more),
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes.into(), budget))
}

/// Memory for more of a body, after a while if need be. Not for ever: others may wait for what this
/// one holds.
async fn room(
    bodies: &Arc<Semaphore>,
    permits: u32,
    shed: impl Fn(),
) -> Option<OwnedSemaphorePermit> {
    if let Ok(room) = bodies.clone().try_acquire_many_owned(permits) {
        return Some(room);
    }
    shed();
    let patience = Duration::from_millis(API_BODY_ROOM_MS);
    let room = tokio::time::timeout(patience, bodies.clone().acquire_many_owned(permits));
    room.await.ok()?.ok()
}

fn too_large() -> ApiProblem {
    let detail = format!("the body is more than the limit of {PAYLOAD_BYTES} bytes");
    ApiProblem::new(Code::TooLarge, detail)
}

impl Payload {
    /// Its share of the memory for bodies: for who keeps what was read from it.
    pub(super) fn into_budget(self) -> Option<Arc<OwnedSemaphorePermit>> {
        self.budget
    }

    /// The same with another body: what a form says, as the API takes it.
    pub(super) fn replaced(mut self, body: &impl Serialize) -> Self {
        // Texts and JSON that was read before: it can be written.
        self.bytes = serde_json::to_vec(body).unwrap_or_default().into();
        let json = HeaderValue::from_static("application/json");
        self.headers.insert(header::CONTENT_TYPE, json);
        self
    }

    /// The media type, lower case, without parameters; empty when absent.
    pub(super) fn media_type(&self) -> String {
        let value = self.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let media_type = value.unwrap_or("").split(';').next().unwrap_or("");
        media_type.trim().to_ascii_lowercase()
    }

    /// The body as JSON, which is an object.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiProblem> {
        if !is_json(&self.media_type()) {
            return Err(ApiProblem::new(
                Code::UnsupportedMediaType,
                "send the body as application/json",
            ));
        }
        // A structure is read from an array as well, by the order of its members: nobody means it.
        if self.bytes.iter().find(|it| !it.is_ascii_whitespace()) == Some(&b'[') {
            return Err(ApiProblem::new(Code::BadBody, "the body: write an object, not an array"));
        }
        parse(&self.bytes)
    }

    /// The body as JSON, or the default when there is no body.
    pub(super) fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, ApiProblem> {
        if self.bytes.is_empty() { Ok(T::default()) } else { self.json() }
    }
}

/// Parses JSON; the parser itself stops at 128 levels of nesting.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiProblem> {
    serde_json::from_slice(bytes)
        .map_err(|error| ApiProblem::new(Code::BadBody, format!("the body: {error}")))
}

/// Parses data of events.
pub(super) fn value(bytes: &[u8]) -> Result<Value, ApiProblem> {
    Value::from_json_bytes(bytes)
        .map_err(|error| ApiProblem::new(Code::BadBody, format!("the body: {error}")))
}

/// Refuses a value that is nested deeper than values may be.
pub(super) fn check_depth(value: Value) -> Result<Value, ApiProblem> {
    if value.depth() > VALUE_DEPTH {
        let detail = format!("the data is nested deeper than {VALUE_DEPTH} levels");
        return Err(ApiProblem::new(Code::BadBody, detail));
    }
    Ok(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::body::{Body, HttpBody as _};
    use tokio::sync::Semaphore;
    use windlass_proto::limits::PAYLOAD_BYTES;
    use windlass_proto::value::Value;

    use axum::http::{Method, Request};

    use super::{Code, little, parse, read};

    #[test]
    fn who_is_not_known_yet_sends_little() {
        let sent = |method: Method, length: Option<usize>| {
            let request = Request::builder().method(method);
            let request = match length {
                Some(length) => request.header("content-length", length),
                None => request,
            };
            let (parts, ()) = request.body(()).unwrap().into_parts();
            little(&parts, Body::from("x")).map_err(|it| it.code())
        };
        assert!(sent(Method::POST, Some(1)).is_ok_and(|it| !it.is_end_stream()));
        assert_eq!(sent(Method::POST, Some(16 << 20)).unwrap_err(), Code::TooLarge);
        assert_eq!(sent(Method::POST, None).unwrap_err(), Code::TooLarge, "it may have no end");
        let read = sent(Method::GET, Some(1)).unwrap();
        assert!(read.is_end_stream(), "what is only read has none");
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_share_a_bounded_memory() {
        let bodies = Arc::new(Semaphore::new(2));
        let shed = AtomicUsize::new(0);
        let count = || {
            shed.fetch_add(1, Ordering::Relaxed);
        };
        let (bytes, budget) = read(Body::from(vec![1; 1025]), &bodies, count).await.unwrap();
        assert_eq!((bytes.len(), bodies.available_permits()), (1025, 0));
        let refused = read(Body::from("x"), &bodies, count).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), Code::Overloaded);
        assert_eq!(shed.load(Ordering::Relaxed), 1);
        drop(budget);
        assert_eq!(bodies.available_permits(), 2);
        assert!(read(Body::from("x"), &bodies, count).await.is_ok());
    }

    #[tokio::test]
    async fn bodies_end_at_the_limit() {
        let bodies = Arc::new(Semaphore::new(1 << 20));
        let body = Body::from(vec![1; PAYLOAD_BYTES + 1]);
        let refused = read(body, &bodies, || {}).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), Code::TooLarge);
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_crash() {
        let deep = "[".repeat(300);
        assert_eq!(parse::<Value>(deep.as_bytes()).unwrap_err().code(), Code::BadBody);
        assert_eq!(parse::<Value>(b"{\"a\":[1]}").unwrap().to_json(), "{\"a\":[1]}");
    }
}
