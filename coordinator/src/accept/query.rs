//! Parameters of a request: the query, where a name may come several times, and the path.

use std::time::Duration;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;

use windlass_proto::duration::typed;
use windlass_proto::id::InstanceId;
use windlass_proto::limits::{self, API_PAGE, API_WAIT_MS};
use windlass_proto::time::Timestamp;

use super::problem::ApiProblem;
use crate::code::Code;

/// The pairs of a query, in their order. Handlers take what they know and then call
/// [`Query::finish`], which refuses the rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads a query, or a form, which is written the same way.
    pub(super) fn parse(text: &str) -> Result<Self, ApiProblem> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|it| !it.is_empty()) {
            if pairs.len() == limits::API_QUERY_PAIRS {
                return Err(ApiProblem::new(Code::BadParameter, "the query is too long"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(name)?, decode(value)?));
        }
        Ok(Self { pairs })
    }

    /// What is left of it.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// Takes every value of `name` out.
    pub(super) fn all(&mut self, name: &str) -> Vec<String> {
        self.pairs.extract_if(.., |(it, _)| it == name).map(|(_, value)| value).collect()
    }

    /// Takes the value of `name` out; empty counts as absent.
    pub(super) fn one(&mut self, name: &str) -> Result<Option<String>, ApiProblem> {
        let mut values = self.all(name);
        if values.len() > 1 {
            return Err(ApiProblem::parameter(name, "give it once"));
        }
        Ok(values.pop().filter(|it| !it.is_empty()))
    }

    /// Takes `name` out and reads it with `read`.
    pub(super) fn parsed<T, E: std::fmt::Display>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ApiProblem> {
        let text = self.one(name)?;
        text.map(|it| read(&it).map_err(|error| ApiProblem::parameter(name, error))).transpose()
    }

    /// `wait`, cut to the longest the API allows.
    pub(super) fn wait(&mut self) -> Result<Option<Duration>, ApiProblem> {
        let longest = Duration::from_millis(API_WAIT_MS);
        Ok(self.parsed("wait", typed::parse)?.map(|it| it.min(longest)))
    }

    /// `limit`, between 1 and the largest page.
    pub(super) fn limit(&mut self) -> Result<usize, ApiProblem> {
        let limit = self.parsed("limit", |text| match text.parse::<usize>() {
            Ok(limit @ 1..) => Ok(limit.min(API_PAGE)),
            _ => Err(format!("must be a number from 1 to {API_PAGE}")),
        })?;
        Ok(limit.unwrap_or(limits::API_PAGE_USUAL))
    }

    /// A moment in RFC 3339.
    pub(super) fn moment(&mut self, name: &str) -> Result<Option<Timestamp>, ApiProblem> {
        self.parsed(name, moment)
    }

    /// Refuses what no one took.
    pub(super) fn finish(self) -> Result<(), ApiProblem> {
        match self.pairs.first() {
            None => Ok(()),
            Some((name, _)) => Err(ApiProblem::parameter(name, "unknown parameter")),
        }
    }
}

/// Reads a moment in RFC 3339.
pub(super) fn moment(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse(text).ok_or("must be a moment such as 2026-01-31T08:00:00Z")
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiProblem> {
        Self::parse(parts.uri.query().unwrap_or(""))
    }
}

/// Undoes the encoding of a query: `+` is a space, `%xx` a byte.
fn decode(text: &str) -> Result<String, ApiProblem> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| ApiProblem::new(Code::BadParameter, "the query is not UTF-8"))
}

/// The instance a path names.
#[derive(Debug)]
pub(super) struct OfInstance(pub(super) InstanceId);

impl<S: Send + Sync> FromRequestParts<S> for OfInstance {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiProblem> {
        let Segments(text) = Segments::<String>::from_request_parts(parts, state).await?;
        Ok(Self(instance_id(&text)?))
    }
}

/// The instance that a part of a path names.
pub(super) fn instance_id(text: &str) -> Result<InstanceId, ApiProblem> {
    text.parse().map_err(|_| {
        ApiProblem::parameter("id", format!("`{text}` is not an instance id (a UUID)"))
    })
}

/// Parts of the path, like axum's `Path` but with our errors.
#[derive(Debug)]
pub(super) struct Segments<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Segments<T>
where
    T: serde::de::DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiProblem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(segments)) => Ok(Self(segments)),
            Err(rejection) => Err(ApiProblem::new(Code::BadParameter, rejection.body_text())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use windlass_proto::time::Timestamp;

    use super::Query;

    #[test]
    fn pairs_are_decoded_and_may_repeat() {
        let mut query = Query::parse("label=a%3Db+c&limit=5000&label=x&wait=2h&&empty=").unwrap();
        assert_eq!(query.all("label"), ["a=b c", "x"]);
        assert_eq!(query.limit().unwrap(), 1000);
        assert_eq!(query.wait().unwrap(), Some(Duration::from_secs(60)));
        assert_eq!(query.one("empty").unwrap(), None);
        assert!(query.finish().is_ok());
    }

    #[test]
    fn what_nobody_asked_for_is_refused() {
        assert!(Query::parse("statsu=running").unwrap().finish().is_err());
        assert!(Query::parse("a=1&a=2").unwrap().one("a").is_err());
        assert!(Query::parse("a=%ff").is_err());
        assert!(Query::parse("limit=0").unwrap().limit().is_err());
        assert!(Query::parse(&"a&".repeat(200)).is_err());
    }

    #[test]
    fn moments_are_rfc_3339() {
        let text = "at=1970-01-01T00:00:01.5%2B00:00&bad=yesterday&before=1960-01-01T00:00:00Z";
        let mut query = Query::parse(text).unwrap();
        assert_eq!(query.moment("at").unwrap(), Some(Timestamp(1500)));
        assert_eq!(query.moment("before").unwrap(), Some(Timestamp(0)));
        assert!(query.moment("bad").is_err());
    }
}
