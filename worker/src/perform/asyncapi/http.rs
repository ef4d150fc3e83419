//! HTTP: a request that publishes, and a response that goes on with events or lines.
//!
//! A subscription reads server-sent events (`text/event-stream`) or lines of JSON
//! (`application/x-ndjson`, `application/jsonl`); it asks once, and a response that ends too early
//! is an error.

mod events;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, WWW_AUTHENTICATE,
};
use reqwest::{Method, StatusCode, Url};
use windlass_proto::limits;
use windlass_proto::plan::HttpOutput;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use self::events::{Events, Form};
use super::message::{Incoming, Outgoing};
use super::{Target, configuration};
use crate::attempt::Attempt;
use crate::egress::Refusal;
use crate::http_client::{Protocol, Turn};
use crate::media::{content_type, media_type};
use crate::perform::http::add_headers;
use crate::request::{Request, cause, excerpt, parse_url, shown};
use crate::trace::{self, HttpSpan};

/// A response that is read as it comes.
pub(super) struct Stream {
    response: reqwest::Response,
    events: Events,
    url: Url,
    _span: HttpSpan,
    _turn: Turn,
}

impl Attempt<'_> {
    pub(super) async fn publish_by_http(
        &mut self,
        target: Target,
        message: Outgoing,
    ) -> Result<(), Problem> {
        let method = method(&target, Method::POST)?;
        let url = self.asyncapi_url(&target, "http")?;
        let mut headers = headers_of(message.headers)?;
        if let Some(kind) = message.content_type.and_then(|it| HeaderValue::try_from(it).ok()) {
            headers.insert(CONTENT_TYPE, kind);
        }
        self.add_own_headers(&mut headers);
        let body = Some(message.payload).filter(|it| !it.is_empty());
        let request = Request { method, url, headers, body, identity: None };
        let done = self.exchange(request, target.authorization, false).await?;
        self.http_output(HttpOutput::Raw, &done).map(drop)
    }

    pub(super) async fn listen_by_http(&mut self, mut target: Target) -> Result<Stream, Problem> {
        let method = method(&target, Method::GET)?;
        let url = self.asyncapi_url(&target, "http")?;
        let mut headers = HeaderMap::new();
        let forms = "text/event-stream, application/x-ndjson, application/jsonl";
        headers.insert(ACCEPT, HeaderValue::from_static(forms));
        self.add_own_headers(&mut headers);
        let authorization = target.authorization.as_mut();
        let header = authorization.map(|it| it.header()).transpose()?.flatten();
        if let Some(header) = header {
            headers.insert(AUTHORIZATION, header);
        }
        let identity = target.authorization.as_ref().and_then(|it| it.identity(&url)).cloned();
        let mut request = Request { method, url, headers, body: None, identity };
        let mut stream = self.open_stream(&request).await?;
        if stream.response.status() == StatusCode::UNAUTHORIZED
            && let Some(authorization) = &mut target.authorization
        {
            let challenges = stream.response.headers().get_all(WWW_AUTHENTICATE);
            let challenges: Vec<_> = challenges.iter().cloned().collect();
            if let Some(header) = self.answer(authorization, &request, &challenges).await? {
                request.headers.insert(AUTHORIZATION, header);
                stream = self.open_stream(&request).await?;
            }
        }
        self.check(stream).await
    }

    /// The URL of the target's address at its server.
    pub(super) fn asyncapi_url(&mut self, target: &Target, scheme: &str) -> Result<Url, Problem> {
        let server = target.server();
        let scheme = format!("{scheme}{}", if server.peer.tls { "s" } else { "" });
        let address = target.address.trim_start_matches('/');
        let text = format!("{scheme}://{}{}/{address}", server.peer.shown(), server.path);
        let url = match Url::parse(&text) {
            Ok(url) if scheme.starts_with("ws") => url,
            _ => parse_url(&text)?,
        };
        self.seal.learn_url(&text, &url);
        Ok(url)
    }

    async fn open_stream(&mut self, request: &Request) -> Result<Stream, Problem> {
        let clients = &self.worker.clients;
        let url = &request.url;
        let turn = clients.limits.turn(url).await;
        let told = |it: &str| !self.seal.found_in(it);
        let address = trace::address(url, clients.tells_path(url), told);
        let span = HttpSpan::new(&request.method, address, 0);
        let identity = request.identity.as_ref();
        let route = clients.route(url, Protocol::HttpFresh, identity, self.caller())?;
        let mut headers = request.headers.clone();
        if let Some(host) = route.host.and_then(|host| HeaderValue::try_from(host).ok()) {
            headers.entry(HOST).or_insert(host);
        }
        span.inject(&mut headers);
        let sent = route.client.request(request.method.clone(), route.url).headers(headers).send();
        let response = sent.await.map_err(|error| {
            span.failed(&error);
            match Refusal::of(&error) {
                Some(refusal) => clients.refusal(refusal, self.caller()),
                None => failed(url, &cause(url, &error)),
            }
        })?;
        span.answered(response.status());
        let form = Form::of(&media_type(&content_type(response.headers())));
        Ok(Stream {
            response,
            events: Events::new(form),
            url: url.clone(),
            _span: span,
            _turn: turn,
        })
    }

    /// `stream`, if it is one.
    async fn check(&mut self, mut stream: Stream) -> Result<Stream, Problem> {
        let status = stream.response.status();
        let what = shown(&stream.url);
        if !status.is_success() {
            let mut body = Vec::new();
            while let Ok(Some(chunk)) = stream.response.chunk().await {
                body.extend_from_slice(&chunk);
                if body.len() > limits::RESPONSE_BYTES {
                    body.clear();
                    break;
                }
            }
            // Sealed before it is cut: half of a secret would not be recognised.
            let said = self.seal.text(&String::from_utf8_lossy(&body));
            let said = excerpt(said.as_bytes());
            let detail = format!("{what} answered {status}: {said}");
            return Err(Problem::new(Standard::Communication, detail).with_status(status.as_u16()));
        }
        if stream.events.is_known() {
            return Ok(stream);
        }
        let kind = media_type(&content_type(stream.response.headers()));
        let detail = format!(
            "{what} answered {kind:?}, which is no stream of messages: a subscription over HTTP \
             reads text/event-stream and application/x-ndjson"
        );
        Err(Problem::new(Standard::Communication, detail))
    }
}

impl Stream {
    /// The next event or line.
    pub(super) async fn next(&mut self) -> Result<Incoming, Problem> {
        loop {
            if let Some(incoming) = self.events.take() {
                return Ok(incoming);
            }
            let chunk = self
                .response
                .chunk()
                .await
                .map_err(|error| failed(&self.url, &cause(&self.url, &error)))?;
            let Some(chunk) = chunk else {
                return match self.events.last() {
                    Some(incoming) => Ok(incoming),
                    None => Err(failed(&self.url, "the server has ended the stream")),
                };
            };
            self.events.add(&chunk).map_err(|why| failed(&self.url, &why))?;
        }
    }
}

fn failed(url: &Url, why: &str) -> Problem {
    let detail = format!("{} failed: {why}", shown(url));
    Problem::new(Standard::Communication, detail).with_status(503)
}

/// The method that the bindings of an operation name.
fn method(target: &Target, usual: Method) -> Result<Method, Problem> {
    match &target.operation.bindings.method {
        None => Ok(usual),
        Some(name) => Method::from_bytes(name.to_ascii_uppercase().as_bytes())
            .map_err(|_| configuration(format!("the method {name:?} is none of HTTP"))),
    }
}

/// Headers of a message as those of a request.
pub(super) fn headers_of(given: Vec<(String, String)>) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        add_headers(&mut headers, &Value::object([(name, Value::from(value))]))?;
    }
    Ok(headers)
}

/// Bytes as one message.
fn incoming(payload: impl Into<Bytes>) -> Incoming {
    Incoming { payload: payload.into(), ..Incoming::default() }
}
