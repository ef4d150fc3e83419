//! `call: http`, and the parts of it that `call: openapi` shares.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use windlass_proto::limits;
use windlass_proto::plan::HttpCall;
use windlass_proto::plan::data_flow::DataFlow as _;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::trace::{TRACEPARENT, TRACESTATE};
use windlass_proto::value::Value;

use super::body;
use super::exchange::Exchange;
use crate::attempt::Attempt;
use crate::request::{Extent, Request, parse_url};
use crate::stand_in::CallPurpose;
use crate::trace;

/// Task names may hold anything, header values only ASCII.
const HEADER_UNSAFE: &AsciiSet = &CONTROLS.add(b'%');

impl Attempt<'_> {
    pub(super) async fn call_http(
        &mut self,
        call: &HttpCall,
        input: &Value,
    ) -> Result<Value, Problem> {
        let mut done = self.http_exchange(call, input).await;
        if refused(&done) && self.secrets_changed().await? {
            let input = self.transform_input(self.task, &self.input.clone())?;
            done = self.http_exchange(call, &input).await;
        }
        self.http_output(call.output, &done?)
    }

    /// Builds the request and sends it.
    async fn http_exchange(&mut self, call: &HttpCall, input: &Value) -> Result<Exchange, Problem> {
        let authorization = self.authorize(call.endpoint.authentication.as_deref(), input).await?;
        let method = parse_method(&self.evaluate(&call.method, input)?)?;
        let text = self.expand(&call.endpoint.uri, input)?;
        let mut url = parse_url(&text)?;
        self.seal.learn_url(&text, &url);
        if let Some(query) = self.evaluate_optional(call.query.as_ref(), input)? {
            append_query(&mut url, &query)?;
        }
        let mut headers = HeaderMap::new();
        if let Some(given) = self.evaluate_optional(call.headers.as_ref(), input)? {
            add_headers(&mut headers, &given)?;
        }
        let content = self.evaluate_optional(call.body.as_ref(), input)?.unwrap_or_default();
        let body = body::encode(&content, &mut headers)?;
        self.add_own_headers(&mut headers);
        let request = Request { method, url, headers, body, identity: None };
        let (purpose, all) = (CallPurpose::Task, Extent::all(limits::RESPONSE_BYTES));
        self.exchange_for(purpose, request, authorization, call.redirect, all).await
    }

    /// Adds what every call carries, where the author did not say otherwise.
    pub(super) fn add_own_headers(&self, headers: &mut HeaderMap) {
        let key = self.assignment.idempotency_key();
        let key = utf8_percent_encode(&key, HEADER_UNSAFE).to_string();
        // Where this attempt is traced, each request carries a context of its own.
        let parent = self.assignment.traceparent.as_deref().filter(|_| !trace::is_traced());
        // What vendors say is of the caller's trace: it goes with no other.
        let state = self.assignment.tracestate.as_deref();
        let state = state.filter(|_| !headers.contains_key(TRACEPARENT));
        for (name, value) in
            [("idempotency-key", Some(key.as_str())), (TRACEPARENT, parent), (TRACESTATE, state)]
        {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.entry(HeaderName::from_static(name)).or_insert(value);
            }
        }
    }
}

/// True when a server did not accept who asked, be it the one called or one that gives access
/// tokens: the credentials may have been replaced since they were read.
pub(super) fn refused(done: &Result<Exchange, Problem>) -> bool {
    match done {
        Ok(done) => {
            matches!(done.response.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        }
        Err(problem) => Standard::parse(&problem.kind) == Some(Standard::Authentication),
    }
}

/// [`refused`] for calls that have no response of HTTP.
pub(super) fn was_refused(done: &Result<Value, Problem>) -> bool {
    let Err(problem) = done else { return false };
    match Standard::parse(&problem.kind) {
        Some(Standard::Authentication) => true,
        Some(Standard::Communication) => matches!(problem.status, 401 | 403),
        _ => false,
    }
}

fn parse_method(value: &Value) -> Result<Method, Problem> {
    let name = value.as_str().unwrap_or_default().to_ascii_uppercase();
    Method::from_bytes(name.as_bytes()).map_err(|_| {
        let detail = format!("{} is not an HTTP method", value.to_json());
        Problem::new(Standard::Configuration, detail)
    })
}

/// Appends the members of `query`: arrays repeat, null is left out.
pub(super) fn append_query(url: &mut Url, query: &Value) -> Result<(), Problem> {
    let pairs = texts_of("query", query)?;
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(())
}

/// Sets the members of `given`: arrays repeat, null is left out.
pub(super) fn add_headers(headers: &mut HeaderMap, given: &Value) -> Result<(), Problem> {
    for (name, text) in texts_of("headers", given)? {
        // The messages do not show values: a secret may be among them.
        let refused = |what: &str| {
            let detail = format!("the {what} of the header {name:?} is not allowed in HTTP");
            Problem::new(Standard::Configuration, detail)
        };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused("name"))?;
        let value = HeaderValue::from_str(text.trim()).map_err(|_| refused("value"))?;
        headers.append(key, value);
    }
    Ok(())
}

/// Members of an object as name and text: arrays repeat the name, null is left out, numbers and
/// booleans become text, and so do objects, as JSON.
pub(super) fn texts_of(what: &str, value: &Value) -> Result<Vec<(String, String)>, Problem> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let members = value.as_object().ok_or_else(|| {
        let detail = format!("`{what}` must be an object, or an expression that gives one");
        Problem::new(Standard::Expression, detail)
    })?;
    let mut pairs = Vec::with_capacity(members.len());
    for (name, value) in members {
        let elements = value.as_array().unwrap_or(std::slice::from_ref(value));
        for element in elements.iter().filter(|element| !element.is_null()) {
            pairs.push((name.to_string(), element.to_text()));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod content_tests;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod tls_tests;
