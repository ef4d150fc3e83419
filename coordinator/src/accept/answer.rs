//! Large answers on their way to their clients: all together they take so much memory and no more.
//!
//! A client may read as slowly as it likes as long as it reads, and the whole answer waits for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::http::header;
use axum::response::Response;
use futures_util::stream;
use tokio::sync::Semaphore;
use windlass_proto::limits::{self, API_ANSWERS_BYTES, API_LARGE_ANSWER_BYTES};

use super::problem::ApiProblem;
use crate::code::Code;

/// The memory there is for large answers.
#[derive(Clone)]
pub(super) struct Answers(Arc<Semaphore>);

impl Answers {
    pub(super) fn new(bytes: u64) -> Self {
        let units =
            usize::try_from(bytes / limits::PERMIT_BYTES as u64).unwrap_or(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))))
    }

    /// `response`, which keeps its part of the memory until it is sent or its connection ends.
    pub(super) async fn pass(&self, response: Response) -> Result<Response, ApiProblem> {
        // Streams have no exact size, and hold an event at a time.
        let size = response.body().size_hint().exact().unwrap_or_default();
        if size <= API_LARGE_ANSWER_BYTES {
            return Ok(response);
        }
        let units = u32::try_from(size.div_ceil(limits::PERMIT_BYTES as u64)).unwrap_or(u32::MAX);
        let Ok(permit) = self.0.clone().try_acquire_many_owned(units) else {
            let wait = Duration::from_secs(1);
            return Err(ApiProblem::overloaded("too many large answers are on their way", wait));
        };
        let (mut parts, body) = response.into_parts();
        let whole = to_bytes(body, usize::MAX).await;
        let whole = whole.map_err(|error| ApiProblem::new(Code::TimedOut, error.to_string()))?;
        parts.headers.insert(header::CONTENT_LENGTH, size.into());
        let pieces = stream::unfold((whole, permit), |(mut rest, permit)| async move {
            let piece = rest.split_to(rest.len().min(limits::API_PIECE_BYTES));
            (!piece.is_empty()).then_some((Ok::<_, Infallible>(piece), (rest, permit)))
        });
        Ok(Response::from_parts(parts, Body::from_stream(pieces)))
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self::new(API_ANSWERS_BYTES)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::response::Response;

    use super::Answers;

    fn answer(mib: usize) -> Response {
        Response::new(Body::from(vec![b'x'; mib << 20]))
    }

    #[tokio::test]
    async fn large_answers_share_their_memory_until_they_are_sent() {
        let answers = Answers::new(5 << 20);
        let first = answers.pass(answer(3)).await.unwrap();
        assert_eq!(first.headers()["content-length"], (3 << 20).to_string());
        assert_eq!(answers.pass(answer(3)).await.unwrap_err().code().status(), 429);
        let small = Response::new(Body::from("x"));
        assert!(answers.pass(small).await.is_ok(), "small ones need none");
        let sent = to_bytes(first.into_body(), usize::MAX).await.unwrap();
        assert_eq!(sent.len(), 3 << 20);
        drop(answers.pass(answer(3)).await.unwrap());
        assert!(answers.pass(answer(3)).await.is_ok(), "a connection that ends gives it back");
    }
}
