//! Messages to an agent, over HTTP: each is a POST, which is answered by JSON or by a stream.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method as HttpMethod, Url};
use tokio::time::Instant;
use windlass_proto::id::Digest;
use windlass_proto::limits;
use windlass_proto::plan::Authentication;
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use super::method::{Method, Version, is_not_understood};
use super::{AGENT, Ask, newer};
use crate::attempt::Attempt;
use crate::perform::json_rpc::answer::Answer;
use crate::perform::json_rpc::message::{ONLY, Reply, request};
use crate::perform::json_rpc::stream;
use crate::request::{Extent, Request};

const VERSION: HeaderName = HeaderName::from_static("a2a-version");
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The end of the key of a message in the form of 0.3: whoever does nothing twice for one key would
/// answer it with what it said to the same message in the other form.
const OLDER: &str = "-0.3";

/// Where an agent is, and how it is spoken to.
pub(super) struct Agent<'c> {
    pub(super) url: Url,
    /// None where it has to be found out.
    pub(super) version: Option<Version>,
    pub(super) tenant: Option<Value>,
    /// What its card asks for, in words.
    pub(super) wants: Option<String>,
    authentication: Option<&'c Authentication>,
    headers: HeaderMap,
    key: Option<HeaderValue>,
    input: &'c Value,
}

impl Attempt<'_> {
    pub(super) fn agent_at<'c>(
        &self,
        url: Url,
        authentication: Option<&'c Authentication>,
        input: &'c Value,
    ) -> Agent<'c> {
        let mut headers = HeaderMap::new();
        self.add_own_headers(&mut headers);
        let key = headers.remove(KEY);
        let (version, tenant, wants) = (None, None, None);
        Agent { url, version, tenant, wants, authentication, headers, key, input }
    }

    /// Asks the agent: in the form of its version, and once in the other where it does not
    /// understand that and so did nothing.
    ///
    /// # Errors
    /// Where it refuses who asks, or is not there.
    pub(super) async fn a2a_ask(
        &mut self,
        agent: &mut Agent<'_>,
        ask: &Ask,
    ) -> Result<Answer, Problem> {
        let place = Digest::of(agent.url.as_str());
        let older = &self.worker.older_agents;
        let known = agent.version.or_else(|| older.get(&place).map(|()| Version::V0_3));
        let version = known.unwrap_or(Version::V1);
        let answer = self.a2a_send(agent, ask, version).await?;
        let (version, answer) = match answer.reply() {
            Some(Reply::Error(error)) if is_not_understood(error) => {
                let other = self.a2a_send(agent, ask, version.other()).await?;
                match other.reply() {
                    // It is the method itself that it does not have.
                    None => return Ok(answer),
                    Some(Reply::Error(error)) if is_not_understood(error) => return Ok(answer),
                    Some(_) => (version.other(), other),
                }
            }
            _ => (version, answer),
        };
        if agent.version != Some(version) {
            agent.version = Some(version);
            match version {
                Version::V0_3 => {
                    let until = Instant::now() + Duration::from_millis(limits::A2A_AGENT_KNOWN_MS);
                    self.worker.older_agents.put(place, (), until);
                }
                Version::V1 => self.worker.older_agents.remove(&place),
            }
        }
        Ok(answer)
    }

    async fn a2a_send(
        &mut self,
        agent: &mut Agent<'_>,
        ask: &Ask,
        version: Version,
    ) -> Result<Answer, Problem> {
        let request = agent.request(ask, version);
        let authorization = self.authorize(agent.authentication, agent.input).await?;
        let is_enough = if ask.method.streams() { has_ended } else { stream::has_answer };
        let extent = Extent { most: limits::RESPONSE_BYTES, is_enough: Some(is_enough) };
        let done = self.exchange_within(request, authorization, true, extent).await?;
        if !done.strayed && done.request.method == HttpMethod::POST {
            // What comes next of this call goes straight there.
            agent.url = done.request.url;
        }
        let streams = ask.method.streams();
        let answer = Answer::of(done.response, Some(ONLY), |reply| !streams || is_last(reply));
        if answer.is_refusal() {
            return Err(self.a2a_refused(agent, &answer));
        }
        Ok(answer)
    }

    fn a2a_refused(&self, agent: &Agent<'_>, answer: &Answer) -> Problem {
        let mut problem = self.rpc_unanswered(AGENT, &agent.url, answer);
        if let (Some(wants), 401 | 403) = (&agent.wants, problem.status) {
            let detail = problem.detail.unwrap_or_default();
            let wants = self.rpc_text(wants);
            problem.detail = Some(format!("{detail} (its card asks for {wants})").into());
        }
        problem
    }
}

impl Agent<'_> {
    fn request(&self, ask: &Ask, version: Version) -> Request {
        let mut parameters = match version {
            Version::V0_3 => ask.parameters.clone(),
            Version::V1 => newer::parameters(ask.method, ask.parameters.clone()),
        };
        if let (Some(tenant), Version::V1) = (&self.tenant, version) {
            parameters.entry("tenant".into()).or_insert_with(|| tenant.clone());
        }
        let message = request(ONLY, ask.method.name_in(version), Value::from(parameters));
        let mut headers = self.headers.clone();
        headers.insert(VERSION, HeaderValue::from_static(version.as_str()));
        headers.insert(ACCEPT, HeaderValue::from_static(accepted(ask.method)));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let end = if version == Version::V0_3 { OLDER } else { "" };
        let key = self.key.as_ref().filter(|_| ask.is_keyed);
        let key = key.map(|it| [it.as_bytes(), end.as_bytes()].concat());
        if let Some(key) = key.and_then(|it| HeaderValue::from_bytes(&it).ok()) {
            headers.insert(KEY, key);
        }
        let body = Some(message.to_json().into_bytes());
        Request { method: HttpMethod::POST, url: self.url.clone(), headers, body, identity: None }
    }
}

fn accepted(method: Method) -> &'static str {
    if method.streams() { "text/event-stream, application/json" } else { "application/json" }
}

/// True for what ends a stream, whether its connection ends or not: an error, and the event that
/// says so, as agents of 0.3 do.
fn is_last(reply: &Reply) -> bool {
    match reply {
        Reply::Error(_) => true,
        Reply::Result(result) => result.get("final") == Some(&Value::Bool(true)),
    }
}

fn has_ended(headers: &HeaderMap, body: &[u8], latest: usize) -> bool {
    stream::holds(headers, body, latest, is_last)
}
