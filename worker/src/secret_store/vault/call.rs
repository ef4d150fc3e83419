//! One request to Vault and what it answers, as data.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use rustify::endpoint::Endpoint;
use rustify::enums::RequestMethod;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use windlass_proto::value::Value;
use zeroize::{Zeroize, Zeroizing};

use crate::secret_store::SecretData;

/// A request: what follows `/v1/`, and a body in JSON.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Zeroizing<Vec<u8>>>,
}

impl Call {
    /// The request that vaultrs describes; none if it cannot be written in JSON.
    pub(super) fn of(endpoint: &impl Endpoint) -> Option<Self> {
        let method = match endpoint.method() {
            RequestMethod::GET => Method::GET,
            RequestMethod::DELETE => Method::DELETE,
            _ => Method::POST,
        };
        let body = endpoint.body().ok()?.map(Zeroizing::new);
        // Some of its paths begin with a slash or a tab.
        let path = endpoint.path().trim().trim_matches('/').to_owned();
        Some(Self { method, path, body: body.filter(|it| !it.is_empty()) })
    }

    /// A POST, for what vaultrs has no request for. `room` is about how many bytes the body has, so
    /// that growing leaves no copies behind; none if it cannot be written in JSON.
    pub(super) fn post(path: String, body: &impl Serialize, room: usize) -> Option<Self> {
        let mut text = Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer(&mut *text, body).ok()?;
        Some(Self { method: Method::POST, path, body: Some(text) })
    }
}

/// What stands around every answer. Unlike vaultrs' own it is wiped, and asks for nothing that
/// OpenBao may leave out.
#[derive(serde::Deserialize)]
pub(super) struct Answer<T> {
    #[serde(default)]
    pub(super) request_id: Arc<str>,
    #[serde(default)]
    pub(super) lease_id: Wiped,
    /// Seconds.
    #[serde(default)]
    pub(super) lease_duration: u64,
    #[serde(default)]
    pub(super) renewable: bool,
    pub(super) data: Option<T>,
    pub(super) auth: Option<Auth>,
}

/// The token that a login or a renewal gives.
#[derive(serde::Deserialize)]
pub(super) struct Auth {
    pub(super) client_token: Wiped,
    #[serde(default)]
    pub(super) accessor: Wiped,
    /// Seconds; zero for a token that does not end.
    #[serde(default)]
    pub(super) lease_duration: u64,
    #[serde(default)]
    pub(super) renewable: bool,
    #[serde(default)]
    pub(super) token_type: String,
}

/// Text that is wiped when dropped and never shown.
#[derive(Default, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Wiped(pub(super) Zeroizing<String>);

/// What a key-value engine of version 2 answers.
#[derive(serde::Deserialize)]
pub(super) struct Versioned {
    /// Null for a version that was deleted.
    pub(super) data: Option<WipedData>,
    pub(super) metadata: Metadata,
}

/// What is known of a version.
#[derive(serde::Deserialize)]
pub(super) struct Metadata {
    pub(super) version: u64,
}

/// The data of a secret, read without a copy that nobody wipes.
pub(super) struct WipedData(Zeroizing<SecretData>);

impl WipedData {
    /// The data; an empty map stays behind.
    pub(super) fn take(mut self) -> SecretData {
        std::mem::replace(&mut *self.0, SecretData::Map(Vec::new()))
    }
}

impl<'de> Deserialize<'de> for WipedData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DataVisitor).map(|data| Self(Zeroizing::new(data)))
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = SecretData;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<SecretData, E> {
        Ok(SecretData::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<SecretData, E> {
        Ok(SecretData::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<SecretData, E> {
        Ok(SecretData::Scalar(Value::Int(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<SecretData, E> {
        let exact = Value::from_json(&value.to_string());
        Ok(SecretData::Scalar(exact.unwrap_or_default()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<SecretData, E> {
        Ok(SecretData::Scalar(Value::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<SecretData, E> {
        Ok(SecretData::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<SecretData, E> {
        Ok(SecretData::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<SecretData, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element::<WipedData>()? {
            elements.push(element.take());
        }
        Ok(SecretData::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretData, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, WipedData>()? {
            entries.push((key, value.take()));
        }
        Ok(SecretData::Map(entries))
    }
}

/// Why there is no answer to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// 404, or a version that was deleted.
    Missing,
    /// 403.
    Forbidden,
    /// No token to ask with: the login was refused.
    LoginRefused,
    /// Another 4xx: the request is not one Vault takes.
    Refused(u16),
    /// No answer, or one that says to come again.
    Unavailable(String),
}

impl Failure {
    pub(super) fn unavailable(reason: &str) -> Self {
        Self::Unavailable(reason.to_owned())
    }
}

/// Seconds as a duration, a year at most so that sums of them stay in range.
pub(super) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count.min(365 * 24 * 3600))
}

/// A duration in whole seconds, as Vault takes it: rounded up, so that what is asked for reaches to
/// where it should.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

impl Zeroize for Wiped {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use vaultrs::api::token::requests::RenewTokenSelfRequest;

    use super::{Answer, Call, WipedData};

    #[test]
    fn any_json_is_read_as_it_stands() {
        let text = r#"{"data":{"b":[1,-2,1.5,18446744073709551615,true,null,"12"],"a":{"x":""}}}"#;
        let answer: Answer<WipedData> = serde_json::from_str(text).unwrap();
        let data = answer.data.unwrap().take();
        assert_eq!(
            data.to_value().to_json(),
            r#"{"b":[1,-2,1.5,18446744073709551615,true,null,"12"],"a":{"x":""}}"#
        );
    }

    #[test]
    fn what_an_answer_leaves_out_is_empty() {
        let answer: Answer<WipedData> = serde_json::from_str("{}").unwrap();
        assert!(answer.data.is_none() && answer.auth.is_none() && answer.lease_id.0.is_empty());
    }

    #[test]
    fn the_requests_of_vaultrs_have_clean_paths() {
        let call = Call::of(&RenewTokenSelfRequest { increment: None }).unwrap();
        assert_eq!((&*call.path, call.method), ("auth/token/renew-self", reqwest::Method::POST));
        assert!(call.body.is_none());
    }
}
