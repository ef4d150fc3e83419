//! Where an attempt asks whoever stands in for the world (`crate::stand_in`).

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use windlass_proto::expression::Template;
use windlass_proto::limits;
use windlass_proto::plan::data_flow::DataFlow as _;
use windlass_proto::plan::{FunctionTarget, HttpOutput, Kind, McpTransport};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::{Members, Value};

use super::exchange::{Exchange, endless, location};
use crate::attempt::Attempt;
use crate::authentication::Authorization;
use crate::media::{content_type, is_json, media_type};
use crate::request::{Extent, Request, Response};
use crate::stand_in::{CallPurpose, OutsideCall, StandInAnswer};

/// The response that an answer is, where it is one or can be.
fn into_response(answer: StandInAnswer) -> Option<Result<Response, Problem>> {
    match answer {
        StandInAnswer::Pass => None,
        StandInAnswer::Output(body) => Some(response(200, &[], &body)),
        StandInAnswer::Response { status, headers, body } => {
            Some(response(status, &headers, &body))
        }
        StandInAnswer::Failure(problem) => Some(Err(problem)),
    }
}

fn response(status: u16, given: &[(String, String)], body: &Value) -> Result<Response, Problem> {
    let wrong = |what: &str| {
        let detail = format!("the answer in place of a call has {what} that HTTP does not allow");
        Problem::new(Standard::Configuration, detail)
    };
    let status = StatusCode::from_u16(status).map_err(|_| wrong("a status"))?;
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("a header"))?;
        let value = HeaderValue::from_str(value).map_err(|_| wrong("a header"))?;
        headers.append(name, value);
    }
    let is_text = body.as_str().is_some();
    if !headers.contains_key(CONTENT_TYPE) && !body.is_null() {
        let media = if is_text { "text/plain; charset=utf-8" } else { "application/json" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    }
    // Text that is said to be JSON is written as the author has it.
    let body = match body {
        Value::Null => String::new(),
        other => other.to_text(),
    };
    Ok(Response { status, headers, body: body.into_bytes() })
}

impl Attempt<'_> {
    /// The answer to a request that is about to be sent, where somebody stands in.
    pub(crate) fn stand_in_for(
        &self,
        purpose: CallPurpose,
        request: &Request,
        authorization: Option<&Authorization>,
    ) -> Option<Result<Response, Problem>> {
        let stand_in = self.worker.stand_in.as_ref()?;
        let mut headers = request.headers.clone();
        match authorization.map(Authorization::header).transpose() {
            Ok(header) => {
                header.flatten().map(|value| headers.insert(AUTHORIZATION, value));
            }
            Err(problem) => return Some(Err(problem)),
        }
        let (method, url) = (request.method.to_string(), request.url.to_string());
        let sent = Value::object([
            ("method", Value::from(method.as_str())),
            ("uri", Value::from(url.as_str())),
            ("query", query(&request.url)),
            ("headers", shown(&headers)),
            ("body", content(&headers, request.body.as_deref())),
        ]);
        let call = OutsideCall { purpose, kind: "http", request: Some((method, url)), sent };
        into_response(stand_in.answer(&call))
    }

    /// [`Self::exchange_within`], unless somebody stands in: who is asked again for each request
    /// that a redirect leads to.
    pub(crate) async fn exchange_for(
        &mut self,
        purpose: CallPurpose,
        mut request: Request,
        mut authorization: Option<Authorization>,
        redirects: bool,
        extent: Extent,
    ) -> Result<Exchange, Problem> {
        let mut strayed = false;
        for _ in 0..=limits::REDIRECTS {
            let answer = self.stand_in_for(purpose, &request, authorization.as_ref());
            let Some(response) = answer.transpose()? else {
                let mut done =
                    self.exchange_within(request, authorization, redirects, extent).await?;
                done.strayed |= strayed;
                return Ok(done);
            };
            let Some(location) = redirects.then(|| location(&response)).flatten() else {
                return Ok(Exchange { request, response, redirects, strayed });
            };
            strayed |= self.strays(&mut request, &mut authorization, response.status, &location)?;
        }
        Err(endless(&request))
    }

    /// The raw output of the task, where somebody stands in for what it calls or runs. Requests of
    /// HTTP are answered once they are made.
    pub(crate) fn stand_in(&mut self, input: &Value) -> Option<Result<Value, Problem>> {
        let stand_in = self.worker.stand_in.clone()?;
        let kind = self.task.kind.detail().filter(|it| *it != "http")?;
        let sent = match self.sent(input) {
            Ok(sent) => sent,
            Err(problem) => return Some(Err(problem)),
        };
        let call = OutsideCall { purpose: CallPurpose::Task, kind, request: None, sent };
        let (output, is_awaited) = match &self.task.kind {
            Kind::OpenApi(call) => (Some(call.output), true),
            Kind::Shell(it) => (None, it.wait),
            Kind::Script(it) => (None, it.wait),
            Kind::Container(it) => (None, it.wait),
            _ => (None, true),
        };
        match (stand_in.answer(&call), output) {
            (StandInAnswer::Pass, _) => None,
            (StandInAnswer::Failure(problem), _) => Some(Err(problem)),
            (answer, Some(output)) => Some(self.stand_in_response(answer, output)),
            (StandInAnswer::Output(_), None) if !is_awaited => Some(Ok(input.clone())),
            (StandInAnswer::Output(value), None) => Some(Ok(value)),
            (StandInAnswer::Response { .. }, None) => {
                let detail = format!(
                    "the answer in place of `{kind}` is a response of HTTP, which this call has not: \
                     give its output"
                );
                Some(Err(Problem::new(Standard::Configuration, detail)))
            }
        }
    }

    /// The output of a call that would have sent a request which nobody has made.
    fn stand_in_response(
        &mut self,
        answer: StandInAnswer,
        output: HttpOutput,
    ) -> Result<Value, Problem> {
        let url = Url::parse("http://openapi.invalid/")
            .map_err(|error| Problem::new(Standard::Runtime, error.to_string()))?;
        let Some(response) = into_response(answer).transpose()? else { return Ok(Value::Null) };
        let (method, headers) = (Method::GET, HeaderMap::new());
        let request = Request { method, url, headers, body: None, identity: None };
        self.http_output(output, &Exchange::of(request, response, false))
    }

    /// What the call of the task sends, or the program gets.
    fn sent(&self, input: &Value) -> Result<Value, Problem> {
        let given = |template: Option<&Template>| {
            self.evaluate_optional(template, input).map(Option::unwrap_or_default)
        };
        let text = |text: &str| Value::from(text);
        let members = match &self.task.kind {
            Kind::Function(call) => {
                let name = match &call.target {
                    FunctionTarget::Registered(name) | FunctionTarget::Cataloged(name) => {
                        text(name)
                    }
                    FunctionTarget::Defined(_) => Value::Null,
                };
                let arguments = self.arguments(call, input.clone())?;
                vec![("function", name), ("arguments", arguments)]
            }
            Kind::OpenApi(call) => vec![
                ("operationId", text(&call.operation)),
                ("parameters", given(call.parameters.as_ref())?),
            ],
            Kind::Grpc(call) => vec![
                ("service", text(&call.service)),
                ("method", text(&call.method)),
                ("arguments", given(call.arguments.as_ref())?),
            ],
            Kind::AsyncApi(call) => return self.evaluate(&call.with, input),
            Kind::A2a(call) => vec![
                ("method", text(&call.method)),
                ("parameters", given(call.parameters.as_ref())?),
            ],
            Kind::Mcp(call) => {
                let mut members = vec![
                    ("method", text(&call.method)),
                    ("parameters", given(call.parameters.as_ref())?),
                ];
                if let McpTransport::Stdio { command, arguments, environment } = &call.transport {
                    members.push(("command", self.evaluate(command, input)?));
                    members.push(("arguments", given(arguments.as_ref())?));
                    members.push(("environment", given(environment.as_ref())?));
                }
                members
            }
            Kind::Container(it) => return self.evaluate(&it.with, input),
            Kind::Script(it) => vec![
                ("language", text(&it.language)),
                ("arguments", given(it.arguments.as_ref())?),
                ("environment", given(it.environment.as_ref())?),
                ("stdin", given(it.stdin.as_ref())?),
            ],
            Kind::Shell(it) => vec![
                ("command", self.evaluate(&it.command, input)?),
                ("arguments", given(it.arguments.as_ref())?),
                ("environment", given(it.environment.as_ref())?),
                ("stdin", given(it.stdin.as_ref())?),
            ],
            _ => Vec::new(),
        };
        Ok(Value::object(members))
    }
}

/// The parameters of a query; repeated ones as a list.
fn query(url: &Url) -> Value {
    let mut members = Members::new();
    for (name, value) in url.query_pairs() {
        add(&mut members, &name, Value::from(&*value));
    }
    Value::from(members)
}

/// Headers by name in lower case; repeated ones as a list.
fn shown(headers: &HeaderMap) -> Value {
    let mut members = Members::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        add(&mut members, name.as_str(), Value::from(value));
    }
    Value::from(members)
}

fn add(members: &mut Members, name: &str, value: Value) {
    let joined = match members.get(name) {
        None => value,
        Some(earlier) => match earlier.as_array() {
            Some(elements) => Value::array([elements, &[value]].concat()),
            None => Value::array(vec![earlier.clone(), value]),
        },
    };
    members.insert(name.into(), joined);
}

/// A body as data where it is JSON, else as text.
fn content(headers: &HeaderMap, body: Option<&[u8]>) -> Value {
    let Some(body) = body.filter(|it| !it.is_empty()) else { return Value::Null };
    let text = String::from_utf8_lossy(body);
    let media = media_type(&content_type(headers));
    let data = is_json(&media).then(|| Value::from_json(&text).ok()).flatten();
    data.unwrap_or_else(|| Value::from(&*text))
}

#[cfg(test)]
mod tests;
