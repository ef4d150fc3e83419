//! Access tokens: asked for, checked, kept until shortly before they expire.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use sha2::{Digest, Sha256};
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::secret::Secret;
use windlass_proto::value::{Members, Value};
use zeroize::Zeroizing;

use super::assertion::Signer;
use super::oauth2::check_issuer;
use crate::attempt::Attempt;
use crate::charset;
use crate::http_client::identity::ClientIdentity;
use crate::media::content_type;
use crate::request::{Extent, Request, Response, send, shown};
use crate::stand_in::CallPurpose;
use crate::token_cache::{AccessToken, Found, failed};

type Parameter = (&'static str, Zeroizing<String>);

/// What to ask a token endpoint.
pub(crate) struct TokenRequest {
    url: Url,
    parameters: Vec<Parameter>,
    proof: Proof,
    json: bool,
    issuers: Vec<String>,
    key: [u8; 32],
}

/// How the client proves who it is, where that is not among the parameters.
pub(super) struct Proof {
    /// The parameter of a `Basic` header.
    pub(super) basic: Option<Zeroizing<String>>,
    /// Who signs an assertion for every request.
    pub(super) signer: Option<Signer>,
    /// What is shown in TLS.
    pub(super) shown: Option<ClientIdentity>,
}

impl TokenRequest {
    pub(super) fn new(
        url: Url,
        parameters: Vec<Parameter>,
        proof: Proof,
        json: bool,
        issuers: Vec<String>,
        identity: &[Parameter],
    ) -> Self {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            // With its length, so that no two lists of parts give the same bytes.
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        part(url.as_str());
        for (name, value) in identity {
            part(name);
            part(value);
        }
        issuers.iter().for_each(|issuer| part(issuer));
        let key = hash.finalize().into();
        Self { url, parameters, proof, json, issuers, key }
    }

    /// Names the token in the cache.
    pub(super) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// What is shown in TLS.
    pub(super) fn identity(&self) -> Option<&ClientIdentity> {
        self.proof.shown.as_ref()
    }

    fn to_http(&self) -> Result<Request, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(parameter) = &self.proof.basic {
            headers.insert(AUTHORIZATION, super::header("Basic", parameter)?);
        }
        let mut parameters = self.parameters.clone();
        if let Some(signer) = &self.proof.signer {
            parameters.extend(signer.parameters(self.url.as_str())?);
        }
        let (kind, body) = if self.json {
            ("application/json", json_body(&parameters))
        } else {
            ("application/x-www-form-urlencoded", form_body(&parameters))
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Ok(Request {
            method: Method::POST,
            url: self.url.clone(),
            headers,
            body: Some(body.into_bytes()),
            identity: self.identity().cloned(),
        })
    }

    fn refused(&self, why: &str) -> Problem {
        let detail = format!("no access token from {}: {why}", shown(&self.url));
        Problem::new(Standard::Authentication, detail)
    }

    /// The token in a response, and how long it may be used.
    fn read(&self, response: &Response) -> Result<(AccessToken, Duration), Problem> {
        let body = charset::json(&content_type(&response.headers), &response.body);
        let answer = body.ok().and_then(|it| Value::from_json(&it).ok()).unwrap_or_default();
        let text = |key: &str| answer.get(key).and_then(Value::as_str);
        if !response.status.is_success() {
            let error = text("error").unwrap_or_default();
            let description = text("error_description").unwrap_or_default();
            return Err(self.refused(format!("{} {error} {description}", response.status).trim()));
        }
        let value = text("access_token")
            .filter(|token| !token.is_empty())
            .ok_or_else(|| self.refused("the answer has no `access_token`"))?;
        check_issuer(value, &self.issuers)?;
        let scheme = match text("token_type") {
            Some(scheme) if !scheme.eq_ignore_ascii_case("bearer") => Arc::from(scheme),
            _ => Arc::from("Bearer"),
        };
        let seconds = match answer.get("expires_in") {
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_i64().and_then(|it| u64::try_from(it).ok()),
            None => None,
        };
        let lifetime = Duration::from_secs(seconds.unwrap_or(limits::TOKEN_LIFE_S));
        let value = Arc::new(Secret::new(value.to_owned()));
        Ok((AccessToken { scheme, value }, lifetime))
    }
}

impl Attempt<'_> {
    /// A token that is kept, or a new one: of all attempts of this worker that need the same at the
    /// same time, one asks for it. `refused` is one that the called server did not take.
    pub(super) async fn access_token(
        &mut self,
        request: &TokenRequest,
        refused: Option<&AccessToken>,
    ) -> Result<AccessToken, Problem> {
        let tokens = &self.worker.tokens;
        match tokens.find(request.key(), refused).await? {
            Found::Fresh(token) => Ok(token),
            Found::Ageing(token, _turn) => {
                // Before it is asked for: who is cancelled meanwhile has asked as well.
                tokens.put_off(*request.key());
                Ok(self.fetch_token(request).await.unwrap_or(token))
            }
            Found::Nothing(mut turn) => {
                let fetched = self.fetch_token(request).await;
                fetched.inspect_err(|problem| failed(&mut turn, problem))
            }
        }
    }

    /// Asks for a token and keeps it.
    async fn fetch_token(&mut self, request: &TokenRequest) -> Result<AccessToken, Problem> {
        let (clients, http) = (&self.worker.clients, request.to_http()?);
        let answered = self.stand_in_for(CallPurpose::Token, &http, None);
        let sent = async {
            match answered {
                Some(response) => response,
                None => {
                    send(clients, &http, Extent::all(limits::RESOURCE_BYTES), self.caller()).await
                }
            }
        };
        // Others wait for it, so it has a time of its own.
        let most = Duration::from_millis(limits::TOKEN_REQUEST_MS);
        let sent = tokio::time::timeout(most, sent).await.map_err(|_| {
            request.refused(&format!("no answer within {} ms", limits::TOKEN_REQUEST_MS))
        })?;
        let response = sent.map_err(|problem| {
            // What configuration forbids stays that; everything else is a token not had.
            let kept = [Standard::Authorization, Standard::Configuration].map(Standard::status);
            if kept.contains(&problem.status) {
                return problem;
            }
            request.refused(problem.detail.as_deref().unwrap_or_default())
        })?;
        let (token, lifetime) = request.read(&response)?;
        self.worker.tokens.keep(*request.key(), token.clone(), lifetime);
        self.seal.add(token.value.expose());
        Ok(token)
    }
}

fn form_body(parameters: &[Parameter]) -> String {
    let mut form = Url::parse("http://form/").ok();
    if let Some(form) = &mut form {
        let pairs = parameters.iter().map(|(name, value)| (*name, value.as_str()));
        form.query_pairs_mut().extend_pairs(pairs);
    }
    form.as_ref().and_then(Url::query).unwrap_or_default().to_owned()
}

/// An object; a repeated parameter becomes an array.
fn json_body(parameters: &[Parameter]) -> String {
    let mut members = Members::new();
    for (name, value) in parameters {
        let value = Value::from(value.as_str());
        let joined = match members.get(*name) {
            None => value,
            Some(earlier) => match earlier.as_array() {
                Some(elements) => Value::array([elements, &[value]].concat()),
                None => Value::array(vec![earlier.clone(), value]),
            },
        };
        members.insert((*name).into(), joined);
    }
    Value::from(members).to_json()
}
