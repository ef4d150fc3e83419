//! Bodies of requests: bounded in size, in number, and in depth.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use windlass_proto::limits::{PAYLOAD_BYTES, VALUE_DEPTH};
use windlass_proto::value::Value;

use super::code::Code;
use super::problem::ApiProblem;
use super::state::{Api, BODY_PERMIT_BYTES};
use crate::events::envelope::is_json;

/// A body and its headers. Its share of the memory for bodies is given back when it is dropped.
pub(super) struct Payload {
    /// The request's headers.
    pub(super) headers: HeaderMap,
    /// The body, at most [`PAYLOAD_BYTES`] long.
    pub(super) bytes: Bytes,
    _budget: Option<OwnedSemaphorePermit>,
}

impl FromRequest<Api> for Payload {
    type Rejection = ApiProblem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiProblem> {
        let headers = request.headers().clone();
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|it| it > PAYLOAD_BYTES) {
            return Err(too_large());
        }
        let (bytes, budget) = read(request.into_body(), &api.bodies).await?;
        Ok(Self { headers, bytes, _budget: budget })
    }
}

/// Reads a body, reserving memory as it comes: who announces much and sends little holds little.
async fn read(
    body: Body,
    bodies: &Arc<Semaphore>,
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
        // Waiting for others here could wait for ever, as they may wait for this one.
        let permits = u32::try_from(chunk.len().div_ceil(BODY_PERMIT_BYTES)).unwrap_or(u32::MAX);
        let more = bodies.clone().try_acquire_many_owned(permits).map_err(|_| {
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

fn too_large() -> ApiProblem {
    let detail = format!("the body is more than the limit of {PAYLOAD_BYTES} bytes");
    ApiProblem::new(Code::TooLarge, detail)
}

impl Payload {
    /// The media type, lower case, without parameters; empty when absent.
    pub(super) fn media_type(&self) -> String {
        let value = self.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let media_type = value.unwrap_or("").split(';').next().unwrap_or("");
        media_type.trim().to_ascii_lowercase()
    }

    /// The body as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiProblem> {
        if !is_json(&self.media_type()) {
            return Err(ApiProblem::new(
                Code::UnsupportedMediaType,
                "send the body as application/json",
            ));
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

    use axum::body::Body;
    use tokio::sync::Semaphore;
    use windlass_proto::limits::PAYLOAD_BYTES;
    use windlass_proto::value::Value;

    use super::{Code, parse, read};

    #[tokio::test]
    async fn bodies_share_a_bounded_memory() {
        let bodies = Arc::new(Semaphore::new(2));
        let (bytes, budget) = read(Body::from(vec![1; 1025]), &bodies).await.unwrap();
        assert_eq!((bytes.len(), bodies.available_permits()), (1025, 0));
        let refused = read(Body::from("x"), &bodies).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), Code::Overloaded);
        drop(budget);
        assert_eq!(bodies.available_permits(), 2);
        assert!(read(Body::from("x"), &bodies).await.is_ok());
    }

    #[tokio::test]
    async fn bodies_end_at_the_limit() {
        let bodies = Arc::new(Semaphore::new(1 << 20));
        let body = Body::from(vec![1; PAYLOAD_BYTES + 1]);
        let refused = read(body, &bodies).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), Code::TooLarge);
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_crash() {
        let deep = "[".repeat(100_000);
        assert_eq!(parse::<Value>(deep.as_bytes()).unwrap_err().code(), Code::BadBody);
        assert_eq!(parse::<Value>(b"{\"a\":[1]}").unwrap().to_json(), "{\"a\":[1]}");
    }
}
