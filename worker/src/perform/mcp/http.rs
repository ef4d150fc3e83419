//! MCP over streamable HTTP: each message is a POST, which is answered by JSON or by a stream of
//! events.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use windlass_proto::expression::Template;
use windlass_proto::id::Digest;
use windlass_proto::limits;
use windlass_proto::plan::{Endpoint, McpVersion};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::message::{
    Ask, HEADERS_DIFFER, LIST_TOOLS, OPENING, REQUEST, UNSUPPORTED_VERSION, cancelled, initialized,
};
use super::terms::{agreed, is_stateless, wants_stateless};
use super::{SERVER, parameters};
use crate::attempt::Attempt;
use crate::authentication::Authorization;
use crate::perform::http::add_headers;
use crate::perform::json_rpc::answer::Answer;
use crate::perform::json_rpc::message::{INVALID_REQUEST, Reply};
use crate::perform::json_rpc::problems::without_refusal;
use crate::perform::json_rpc::stream::{self, Told};
use crate::request::{Errand, Extent, Request, parse_url};

const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// The end of the key of a request that is sent once more because nothing was done for it.
const REPEATED: &str = "-2";

/// Where a server is, and what each request to it carries.
struct Server<'c> {
    endpoint: &'c Endpoint,
    url: Url,
    headers: HeaderMap,
    /// What goes with the request itself alone: whoever does nothing twice for one key would answer
    /// all messages of the call with the first answer.
    key: Option<HeaderValue>,
    input: &'c Value,
}

/// How a server is spoken to.
enum Terms {
    /// It is not known yet.
    Open,
    /// Each request says all about itself.
    Stateless,
    /// In a session.
    Session { version: McpVersion, id: Option<HeaderValue> },
}

impl Attempt<'_> {
    /// Asks the server at `endpoint`.
    pub(super) async fn mcp_over_http(
        &mut self,
        ask: &Ask,
        endpoint: &Endpoint,
        headers: Option<&Template>,
        input: &Value,
    ) -> Result<Reply, Problem> {
        let text = self.expand(&endpoint.uri, input)?;
        let url = parse_url(&text)?;
        self.seal.learn_url(&text, &url);
        let mut own = HeaderMap::new();
        if let Some(given) = self.evaluate_optional(headers, input)? {
            add_headers(&mut own, &given)?;
        }
        self.add_own_headers(&mut own);
        let key = own.remove(KEY);
        let place = Digest::of(url.as_str());
        let mut server = Server { endpoint, url, headers: own, key, input };
        let known = &self.worker.stateless_mcp;
        if ask.version.is_none() && known.get(&place).is_some() {
            let answer = self.mcp_request(&mut server, ask, &Terms::Stateless).await?;
            if !is_not_understood(&answer) {
                return self.mcp_answered(&server, answer);
            }
            // Another server is there now.
            known.remove(&place);
        }
        let terms = self.mcp_terms(&mut server, ask).await?;
        if matches!(terms, Terms::Stateless) {
            let until = Instant::now() + Duration::from_millis(limits::MCP_SERVER_KNOWN_MS);
            self.worker.stateless_mcp.put(place, (), until);
        }
        let answer = self.mcp_request(&mut server, ask, &terms).await?;
        self.mcp_answered(&server, answer)
    }

    /// Finds out how the server is spoken to.
    async fn mcp_terms(&mut self, server: &mut Server<'_>, ask: &Ask) -> Result<Terms, Problem> {
        let first = ask.version.unwrap_or(McpVersion::NEWEST);
        if first.is_stateless() {
            if self.mcp_discover(server, ask).await? {
                return Ok(Terms::Stateless);
            }
            let opened = self.mcp_initialize(server, ask, McpVersion::NEWEST_WITH_SESSION).await?;
            return opened.map_err(|answer| self.rpc_unanswered(SERVER, &server.url, &answer));
        }
        match self.mcp_initialize(server, ask, first).await? {
            Ok(terms) => Ok(terms),
            Err(answer) => {
                let stateless = match answer.reply() {
                    Some(Reply::Error(error)) if wants_stateless(error) => true,
                    _ => self.mcp_discover(server, ask).await?,
                };
                if stateless {
                    return Ok(Terms::Stateless);
                }
                Err(self.rpc_unanswered(SERVER, &server.url, &answer))
            }
        }
    }

    async fn mcp_discover(&mut self, server: &mut Server<'_>, ask: &Ask) -> Result<bool, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(VERSION, HeaderValue::from_static(McpVersion::NEWEST.as_str()));
        headers.insert(METHOD, HeaderValue::from_static("server/discover"));
        let answer = self.mcp_post(server, headers, &ask.discover()).await?;
        is_stateless(answer.reply())
    }

    /// Opens a session; gives what was answered instead where the server did not.
    async fn mcp_initialize(
        &mut self,
        server: &mut Server<'_>,
        ask: &Ask,
        version: McpVersion,
    ) -> Result<Result<Terms, Answer>, Problem> {
        let message = ask.initialize(OPENING, version);
        let headers = Terms::Open.headers(ask)?;
        let answer = self.mcp_post(server, headers, &message).await?;
        let Some(Reply::Result(result)) = answer.reply() else { return Ok(Err(answer)) };
        let terms =
            Terms::Session { version: agreed(result)?, id: answer.headers.get(SESSION).cloned() };
        let headers = terms.headers(ask)?;
        self.mcp_post(server, headers, &initialized()).await?;
        Ok(Ok(terms))
    }

    /// Sends the request itself. Where there is a session, it ends with it; and when nobody waits
    /// for the answer any more, the server is told so.
    async fn mcp_request(
        &mut self,
        server: &mut Server<'_>,
        ask: &Ask,
        terms: &Terms,
    ) -> Result<Answer, Problem> {
        let mut headers = terms.headers(ask)?;
        if !matches!(terms, Terms::Session { .. }) {
            let message = ask.stateless();
            let keyed = server.keyed(&headers, "");
            let answer = self.mcp_post(server, keyed, &message).await?;
            let Some(more) = self.mcp_parameters(server, ask, &answer).await? else {
                return Ok(answer);
            };
            headers.extend(more);
            let keyed = server.keyed(&headers, REPEATED);
            return self.mcp_post(server, keyed, &message).await;
        }
        let mut leave = self.mcp_leave(server, &headers).await?;
        let keyed = server.keyed(&headers, "");
        let mut answer = self.mcp_post(server, keyed, &ask.in_session()).await?;
        while let (None, Some(Told { last: Some(last), pause, .. })) =
            (answer.reply(), &answer.rest)
        {
            let pause = pause.unwrap_or(limits::STREAM_AGAIN_MS);
            let pause = pause.clamp(limits::STREAM_AGAIN_LEAST_MS, limits::STREAM_AGAIN_MOST_MS);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let mut headers = headers.clone();
            headers.insert(LAST_EVENT, value_of(last)?);
            let rest = self.mcp_send(server, (Method::GET, Some(REQUEST)), headers, None).await;
            answer = rest.map_err(without_refusal)?;
        }
        leave.cancel = None;
        Ok(answer)
    }

    /// The arguments that the server has missed among the headers, where it did nothing for that.
    async fn mcp_parameters(
        &mut self,
        server: &mut Server<'_>,
        ask: &Ask,
        answer: &Answer,
    ) -> Result<Option<HeaderMap>, Problem> {
        let misses = matches!(answer.reply(), Some(Reply::Error(it)) if it.code == HEADERS_DIFFER);
        let (true, "tools/call", Some(name)) = (misses, &*ask.method, ask.name()) else {
            return Ok(None);
        };
        let mut headers = Terms::Stateless.headers(ask)?;
        headers.insert(METHOD, HeaderValue::from_static(LIST_TOOLS));
        headers.remove(NAME);
        let mut cursor = None;
        for _ in 0..limits::MCP_TOOL_PAGES {
            let message = ask.list_tools(cursor);
            let answer = self.mcp_post(server, headers.clone(), &message).await?;
            let Some(Reply::Result(page)) = answer.reply() else { return Ok(None) };
            let mut tools = page.get("tools").and_then(Value::as_array).unwrap_or_default().iter();
            let is_it = |it: &&Value| it.get("name").and_then(Value::as_str) == Some(name);
            if let Some(tool) = tools.find(is_it) {
                let schema = tool.get("inputSchema").cloned().unwrap_or_default();
                let given = ask.parameters.get("arguments").cloned().unwrap_or_default();
                let found = parameters::headers(&schema, &given).into_iter();
                let header = |(name, text): (String, String)| {
                    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| no_header())?;
                    Ok((name, value_of(&in_header(&text))?))
                };
                return found.map(header).collect::<Result<HeaderMap, Problem>>().map(Some);
            }
            cursor = page.get("nextCursor").filter(|it| !it.is_null()).cloned();
            if cursor.is_none() {
                break;
            }
        }
        Ok(None)
    }

    async fn mcp_post(
        &mut self,
        server: &mut Server<'_>,
        headers: HeaderMap,
        message: &Value,
    ) -> Result<Answer, Problem> {
        let asked = message.get("id").and_then(Value::as_i64);
        let body = message.to_json().into_bytes();
        self.mcp_send(server, (Method::POST, asked), headers, Some(body)).await
    }

    /// Sends one message, or asks for the rest of a stream, and takes the answer to the request
    /// with the number `asked`.
    ///
    /// # Errors
    /// Where the server refuses who asks, or cannot answer at the moment.
    async fn mcp_send(
        &mut self,
        server: &mut Server<'_>,
        (method, asked): (Method, Option<i64>),
        headers: HeaderMap,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, Problem> {
        let request = server.request(method.clone(), headers, body);
        let authentication = server.endpoint.authentication.as_deref();
        let authorization = self.authorize(authentication, server.input).await?;
        let extent = Extent { most: limits::RESPONSE_BYTES, is_enough: Some(stream::has_answer) };
        let done = self.exchange_within(request, authorization, true, extent).await?;
        if !done.strayed && done.request.method == method {
            // What comes next of this call goes straight there.
            server.url = done.request.url;
        }
        let answer = Answer::of(done.response, asked, |_| true);
        if answer.is_refusal() {
            return Err(self.rpc_unanswered(SERVER, &server.url, &answer));
        }
        Ok(answer)
    }

    fn mcp_answered(&self, server: &Server<'_>, mut answer: Answer) -> Result<Reply, Problem> {
        let reply = answer.replies.pop();
        reply.ok_or_else(|| self.rpc_unanswered(SERVER, &server.url, &answer))
    }

    /// What is said to the server at the end of a session.
    async fn mcp_leave(
        &mut self,
        server: &Server<'_>,
        headers: &HeaderMap,
    ) -> Result<Leave, Problem> {
        let mut headers = headers.clone();
        let authentication = server.endpoint.authentication.as_deref();
        let authorization = self.authorize(authentication, server.input).await?;
        if let Some(header) =
            authorization.as_ref().map(Authorization::header).transpose()?.flatten()
        {
            headers.insert(AUTHORIZATION, header);
        }
        let request = |method, headers, body| {
            let request = server.request(method, headers, body);
            let identity = authorization.as_ref().and_then(|it| it.identity(&request.url));
            Request { identity: identity.cloned(), ..request }
        };
        let clients = &self.worker.clients;
        let body = cancelled().to_json().into_bytes();
        let cancel = request(Method::POST, headers.clone(), Some(body));
        let has_session = headers.contains_key(SESSION);
        let end = has_session.then(|| request(Method::DELETE, headers, None));
        Ok(Leave {
            cancel: Some(Errand::new(clients, cancel, self.caller())?),
            end: end.map(|it| Errand::new(clients, it, self.caller())).transpose()?,
            farewells: self.worker.releases.clone(),
        })
    }
}

impl Server<'_> {
    /// `headers` with the key that all deliveries of the request itself have, and `suffix`.
    fn keyed(&self, headers: &HeaderMap, suffix: &str) -> HeaderMap {
        let mut keyed = headers.clone();
        let key = self.key.as_ref().map(|it| [it.as_bytes(), suffix.as_bytes()].concat());
        if let Some(key) = key.and_then(|it| HeaderValue::from_bytes(&it).ok()) {
            keyed.insert(KEY, key);
        }
        keyed
    }

    fn request(&self, method: Method, protocol: HeaderMap, body: Option<Vec<u8>>) -> Request {
        let mut headers = self.headers.clone();
        headers.extend(protocol);
        let accepted = if method == Method::GET {
            "text/event-stream"
        } else {
            "application/json, text/event-stream"
        };
        headers.insert(ACCEPT, HeaderValue::from_static(accepted));
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Request { method, url: self.url.clone(), headers, body, identity: None }
    }
}

impl Terms {
    /// What a request says about itself beside its body.
    fn headers(&self, ask: &Ask) -> Result<HeaderMap, Problem> {
        let mut headers = HeaderMap::new();
        match self {
            Self::Open => {}
            Self::Stateless => {
                headers.insert(VERSION, HeaderValue::from_static(McpVersion::NEWEST.as_str()));
                headers.insert(METHOD, value_of(&ask.method)?);
                if let Some(name) = ask.name() {
                    headers.insert(NAME, value_of(&in_header(name))?);
                }
            }
            Self::Session { version, id } => {
                headers.insert(VERSION, HeaderValue::from_static(version.as_str()));
                if let Some(id) = id {
                    headers.insert(SESSION, id.clone());
                }
            }
        }
        Ok(headers)
    }
}

/// True for an answer that only a server gives which does not know messages without a session: it
/// did nothing.
fn is_not_understood(answer: &Answer) -> bool {
    let refused = matches!(answer.status.as_u16(), 400 | 404 | 405 | 406 | 415 | 422);
    match answer.reply() {
        None => refused,
        Some(Reply::Error(error)) => match error.code {
            UNSUPPORTED_VERSION => true,
            // A request that is none, and what implementations call a lost session.
            INVALID_REQUEST | -32_700 | -32_000 | -32_001 => refused,
            _ => false,
        },
        Some(Reply::Result(_)) => false,
    }
}

/// A text as the protocol wants it in a header: what is not plain goes in base64.
fn in_header(text: &str) -> String {
    let is_plain = text.bytes().all(|it| matches!(it, b' '..=b'~')) && text.trim() == text;
    let is_marked = text.starts_with("=?base64?") && text.ends_with("?=");
    if is_plain && !is_marked {
        return text.to_owned();
    }
    format!("=?base64?{}?=", STANDARD.encode(text))
}

fn value_of(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(text).map_err(|_| no_header())
}

fn no_header() -> Problem {
    Problem::new(Standard::Runtime, "an MCP server gave what no HTTP header may have")
}

/// What a server is told when a call in a session is over, whatever came of it.
struct Leave {
    /// That nobody waits for the answer; none when there is one.
    cancel: Option<Errand>,
    /// That the session is over.
    end: Option<Errand>,
    /// What the end of the process waits for.
    farewells: TaskTracker,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let (cancel, end) = (self.cancel.take(), self.end.take());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // The call does not wait for it.
        let said = async move {
            for errand in [cancel, end].into_iter().flatten() {
                errand.run().await;
            }
        };
        self.farewells.spawn_on(said, &runtime);
    }
}

#[cfg(test)]
mod tests;
