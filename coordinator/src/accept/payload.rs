//! Bodies of requests: bounded in size, in number, and in depth.

use std::sync::Arc;

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

/// A body and its headers. Its share of the memory for bodies is given back when it is dropped.
pub(super) struct Payload {
    /// The request's headers.
    pub(super) headers: HeaderMap,
    /// The body, at most [`PAYLOAD_BYTES`] long.
    pub(super) bytes: Bytes,
    _budget: OwnedSemaphorePermit,
}

impl FromRequest<Api> for Payload {
    type Rejection = ApiProblem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiProblem> {
        let headers = request.headers().clone();
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
        // Who does not say how much will come is taken to send the most.
        let expected = announced.unwrap_or(PAYLOAD_BYTES);
        if expected > PAYLOAD_BYTES {
            return Err(too_large());
        }
        let budget = reserve(&api.bodies, expected).await?;
        let bytes = read(request.into_body(), expected).await?;
        Ok(Self { headers, bytes, _budget: budget })
    }
}

/// Waits for room for `bytes`; the request's own timeout bounds the wait.
async fn reserve(
    bodies: &Arc<Semaphore>,
    bytes: usize,
) -> Result<OwnedSemaphorePermit, ApiProblem> {
    let permits = u32::try_from(bytes.div_ceil(BODY_PERMIT_BYTES)).unwrap_or(u32::MAX);
    bodies
        .clone()
        .acquire_many_owned(permits)
        .await
        .map_err(|_| ApiProblem::new(Code::Stopping, "the server is stopping"))
}

async fn read(body: Body, expected: usize) -> Result<Bytes, ApiProblem> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| {
            ApiProblem::new(Code::BadBody, format!("the body broke off: {error}"))
        })?;
        if bytes.len() + chunk.len() > expected {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
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

/// True for `application/json` and every `+json` type.
pub(super) fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

/// Parses JSON; the parser itself stops at 128 levels of nesting.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiProblem> {
    serde_json::from_slice(bytes)
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
    use axum::body::Body;
    use windlass_proto::value::Value;

    use super::{Code, parse, read};

    #[tokio::test]
    async fn bodies_end_where_they_said_they_would() {
        assert_eq!(read(Body::from("12345"), 5).await.unwrap(), "12345");
        assert_eq!(read(Body::from("123456"), 5).await.unwrap_err().code(), Code::TooLarge);
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_crash() {
        let deep = "[".repeat(100_000);
        assert_eq!(parse::<Value>(deep.as_bytes()).unwrap_err().code(), Code::BadBody);
        assert_eq!(parse::<Value>(b"{\"a\":[1]}").unwrap().to_json(), "{\"a\":[1]}");
    }
}
