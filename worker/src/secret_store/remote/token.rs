//! Access tokens to stores: had when needed, kept until shortly before they expire.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use reqwest::{RequestBuilder, StatusCode};
use tokio::sync::Mutex;
use windlass_proto::limits;
use zeroize::Zeroizing;

use super::{Answer, send};
use crate::secret_store::SecretError;
use crate::token_cache::usable;

/// An access token, and how long it may be used.
pub(in crate::secret_store) struct Token {
    pub(in crate::secret_store) text: Zeroizing<String>,
    pub(in crate::secret_store) life: Duration,
}

/// Where tokens come from.
pub(in crate::secret_store) trait TokenSource: Send + Sync {
    /// Asks for a new token.
    fn fetch(&self) -> BoxFuture<'_, Result<Token, SecretError>>;
}

/// Sends requests with a token, and keeps it for the next ones.
pub(in crate::secret_store) struct Bearer<S> {
    source: S,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    text: Arc<Zeroizing<String>>,
    until: Instant,
}

impl<S: TokenSource> Bearer<S> {
    pub(in crate::secret_store) fn new(source: S) -> Self {
        Self { source, kept: Mutex::new(None) }
    }

    /// Sends what `request` makes. A 401 may mean that the token was revoked before its time, so it
    /// is replaced once; a second 401 is for the caller.
    pub(in crate::secret_store) async fn send(
        &self,
        request: impl Fn() -> RequestBuilder,
        id: &str,
    ) -> Result<Answer, SecretError> {
        let token = self.token(None).await?;
        let answer = send(request().bearer_auth(token.as_str()), id).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let token = self.token(Some(&token)).await?;
        send(request().bearer_auth(token.as_str()), id).await
    }

    /// A token other than the one that was refused. One caller asks for it, the others wait.
    async fn token(
        &self,
        refused: Option<&Arc<Zeroizing<String>>>,
    ) -> Result<Arc<Zeroizing<String>>, SecretError> {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref()
            && kept.until > Instant::now()
            && !refused.is_some_and(|it| Arc::ptr_eq(it, &kept.text))
        {
            return Ok(kept.text.clone());
        }
        let asked = Instant::now();
        let token = self.source.fetch().await?;
        let text = Arc::new(token.text);
        let longest = Duration::from_millis(limits::TOKEN_KEPT_MS);
        let until = asked + usable(token.life.min(longest));
        *kept = Some(Kept { text: text.clone(), until });
        Ok(text)
    }
}

/// Asks an authorization server, in the words of OAuth 2.0.
///
/// # Errors
/// [`SecretError::Forbidden`] when it knows the worker and refuses it or does not know it,
/// [`SecretError::Unavailable`] when it does not answer so.
#[cfg(any(feature = "azure", feature = "google"))]
pub(in crate::secret_store) async fn ask(request: RequestBuilder) -> Result<Token, SecretError> {
    #[derive(serde::Deserialize)]
    struct Granted {
        access_token: Zeroizing<String>,
        /// A number, or a text of one: that differs from server to server.
        expires_in: serde_json::Value,
    }
    #[derive(serde::Deserialize)]
    struct Refused {
        error: String,
    }
    let answer = send(request, "").await?;
    match answer.status {
        StatusCode::OK => {
            let granted: Granted = answer.parse()?;
            let life = match &granted.expires_in {
                serde_json::Value::String(text) => text.parse().ok(),
                other => other.as_u64(),
            };
            let life = Duration::from_secs(life.ok_or_else(super::unreadable)?);
            Ok(Token { text: granted.access_token, life })
        }
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            // A code such as `invalid_client`; the description may say more than a log should have.
            let code = answer.parse::<Refused>().map(|it| it.error).unwrap_or_default();
            let code: String = code.chars().filter(|it| !it.is_control()).take(64).collect();
            let status = answer.status.as_u16();
            tracing::warn!(status, code, "the cloud provider rejected the identity of this worker");
            Err(SecretError::Forbidden)
        }
        other => {
            let status = other.as_u16();
            Err(SecretError::Unavailable(format!("the server of its tokens answered {status}")))
        }
    }
}

/// The text of a file that a credential is in, without white space around it.
///
/// # Errors
/// [`SecretError::Unavailable`] when it cannot be read: whoever writes it may not have done so yet.
pub(in crate::secret_store) async fn read_file(
    path: &std::path::Path,
) -> Result<Zeroizing<String>, SecretError> {
    let text = match tokio::fs::read_to_string(path).await {
        Ok(text) => Zeroizing::new(text),
        Err(error) => {
            tracing::warn!(file = %path.display(), "cannot read a credential of a store: {error}");
            let what = "the worker's own credential cannot be read";
            return Err(SecretError::Unavailable(what.to_owned()));
        }
    };
    Ok(Zeroizing::new(text.trim().to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use futures_util::future::BoxFuture;
    use zeroize::Zeroizing;

    use super::{Bearer, Token, TokenSource};
    use crate::secret_store::SecretError;

    /// Counts its tokens, each with this life in seconds.
    struct Counting(AtomicU32, u64);

    impl TokenSource for Counting {
        fn fetch(&self) -> BoxFuture<'_, Result<Token, SecretError>> {
            let text = Zeroizing::new(self.0.fetch_add(1, Ordering::Relaxed).to_string());
            let life = Duration::from_secs(self.1);
            Box::pin(std::future::ready(Ok(Token { text, life })))
        }
    }

    async fn three(life: u64) -> Vec<String> {
        let bearer = Bearer::new(Counting(AtomicU32::new(0), life));
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(bearer.token(None).await.unwrap().to_string());
        }
        all
    }

    #[tokio::test]
    async fn tokens_are_kept_until_shortly_before_their_end() {
        // One with a short life for half of it.
        for life in [3_600, u64::MAX, 30] {
            assert_eq!(three(life).await, ["0", "0", "0"], "{life}");
        }
        assert_eq!(three(0).await, ["0", "1", "2"]);
    }

    #[tokio::test]
    async fn only_the_token_that_was_refused_is_replaced() {
        let bearer = Bearer::new(Counting(AtomicU32::new(0), 3_600));
        let first = bearer.token(None).await.unwrap();
        let second = bearer.token(Some(&first)).await.unwrap();
        assert_eq!(second.as_str(), "1");
        // Another request was refused with the first one too; the second is good for it.
        assert_eq!(bearer.token(Some(&first)).await.unwrap().as_str(), "1");
    }
}
