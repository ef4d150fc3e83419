//! `call: a2a`: one request to an agent of the Agent2Agent protocol, of version 0.3 or 1.x.
//!
//! ```text
//!  agentCard ─ its JSON-RPC interface of the newest version spoken here ─┐
//!  server ──── the version it had last, else 1.0 ────────────────────────┴─> the request
//!                                   │ it does not know the method or the version
//!                                   └─> the request in the form of the other version, once
//! ```
//!
//! Definitions are written, and read, in the form of 0.3, whose names the specification has; what
//! an agent of 1.x is told and says is translated (`older`, `newer`). A message that an earlier
//! delivery may have sent is looked for first (`again`).

mod again;
mod card;
mod http;
mod method;
mod newer;
mod older;

use reqwest::Url;
use uuid::Uuid;
use windlass_proto::plan::A2aCall;
use windlass_proto::plan::data_flow::DataFlow as _;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::{Members, Value};

use self::http::Agent;
use self::method::Method;
use super::json_rpc::answer::{Answer, Peer};
use super::json_rpc::message::Reply;
use super::json_rpc::problems::{as_runtime, is_refusal};
use crate::attempt::Attempt;
use crate::request::{parse_url, shown};

/// Who answers a call.
const AGENT: Peer = Peer("A2A agent");

/// What is asked of an agent.
struct Ask {
    method: Method,
    /// In the form of 0.3.
    parameters: Members,
    /// Whether it carries the key of the task: what only looks has none.
    is_keyed: bool,
    /// Whether it has a message with an id that no other message can have.
    is_ours: bool,
}

impl Ask {
    /// A request that changes nothing.
    fn look(method: Method, parameters: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let parameters = parameters.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Self { method, parameters, is_keyed: false, is_ours: false }
    }

    fn message(&self) -> Option<&Value> {
        self.parameters.get("message").filter(|_| self.method.sends_message())
    }
}

impl Attempt<'_> {
    pub(super) async fn call_a2a(
        &mut self,
        call: &A2aCall,
        input: &Value,
    ) -> Result<Value, Problem> {
        let mut done = self.ask_agent(call, input).await;
        if done.as_ref().is_err_and(is_refusal) && self.secrets_changed().await? {
            let input = self.transform_input(self.task, &self.input.clone())?;
            done = self.ask_agent(call, &input).await;
        }
        done.map_err(as_runtime)
    }

    async fn ask_agent(&mut self, call: &A2aCall, input: &Value) -> Result<Value, Problem> {
        let ask = self.a2a_question(call, input)?;
        let mut agent = self.agent(call, input).await?;
        if ask.is_ours
            && self.assignment.key.delivery > 1
            && let Some(output) = self.a2a_earlier(&mut agent, &ask).await?
        {
            return Ok(output);
        }
        let answer = self.a2a_ask(&mut agent, &ask).await?;
        self.a2a_output(&agent, ask.method, answer)
    }

    fn a2a_question(&self, call: &A2aCall, input: &Value) -> Result<Ask, Problem> {
        let method = Method::parse(&call.method).ok_or_else(|| {
            let detail = format!("{} is no method of A2A", call.method);
            Problem::new(Standard::Configuration, detail)
        })?;
        let parameters = self.evaluate_optional(call.parameters.as_ref(), input)?;
        let mut parameters = match parameters.unwrap_or_default() {
            Value::Null => Members::new(),
            given => given.into_members().ok_or_else(|| {
                let detail = "`parameters` must be an object, or an expression that gives one";
                Problem::new(Standard::Expression, detail)
            })?,
        };
        let message = parameters.get("message").filter(|_| method.sends_message());
        let mut is_ours = false;
        if let Some(mut message) = message.and_then(|it| it.clone().into_members()) {
            message
                .retain(|key, value| !matches!(&**key, "messageId" | "role") || !value.is_null());
            is_ours = !message.contains_key("messageId");
            message.entry("messageId".into()).or_insert_with(|| Value::from(self.message_id()));
            message.entry("role".into()).or_insert_with(|| Value::from("user"));
            parameters.insert("message".into(), Value::from(message));
        }
        let parameters = older::parameters(method, parameters);
        Ok(Ask { method, parameters, is_keyed: true, is_ours })
    }

    /// The id of the message of this visit: the same in all deliveries and attempts, so that an
    /// agent can tell that it has it already.
    fn message_id(&self) -> String {
        let name = format!("a2a {}", self.assignment.idempotency_key());
        Uuid::new_v5(&self.assignment.key.instance.0, name.as_bytes()).to_string()
    }

    /// Finds out where the agent is, and what its card says of it.
    async fn agent<'c>(
        &mut self,
        call: &'c A2aCall,
        input: &'c Value,
    ) -> Result<Agent<'c>, Problem> {
        match (&call.agent_card, &call.server) {
            (Some(resource), _) => {
                let fetched = self.fetch(resource, input).await.map_err(as_runtime)?;
                let place = shown(&fetched.url);
                let wrong = |why: &str| {
                    let why = self.rpc_text(why);
                    let detail = format!("{place} is no agent card to call by: {why}");
                    Problem::new(Standard::Runtime, detail)
                };
                let data = fetched.data().map_err(|_| wrong("it is neither JSON nor YAML"))?;
                let found = card::interface(&data).map_err(|why| wrong(&why))?;
                let url = fetched.base().join(&found.url).ok();
                let url = url.filter(|it| matches!(it.scheme(), "http" | "https"));
                let url = url.ok_or_else(|| wrong("the URL in it is none of HTTP"))?;
                self.seal.learn_url(&found.url, &url);
                // A card may name any host; what was meant for its own goes to no other.
                let authentication = resource.endpoint.authentication.as_deref();
                let is_its_own = url.origin() == fetched.url.origin();
                let mut agent = self.agent_at(url, authentication.filter(|_| is_its_own), input);
                agent.version = Some(found.version);
                agent.tenant = found.tenant;
                agent.wants = card::security(&data);
                Ok(agent)
            }
            (None, Some(server)) => {
                let text = self.expand(&server.uri, input)?;
                let url: Url = parse_url(&text)?;
                self.seal.learn_url(&text, &url);
                Ok(self.agent_at(url, server.authentication.as_deref(), input))
            }
            (None, None) => {
                let detail = "an A2A call needs `agentCard` or `server`";
                Err(Problem::new(Standard::Configuration, detail))
            }
        }
    }

    /// What the call gives: the result, in the form of 0.3, or the results of a stream.
    fn a2a_output(
        &self,
        agent: &Agent<'_>,
        method: Method,
        mut answer: Answer,
    ) -> Result<Value, Problem> {
        if answer.replies.is_empty() {
            return Err(self.rpc_unanswered(AGENT, &agent.url, &answer));
        }
        let result = |reply| match reply {
            Reply::Result(result) => Ok(older::result(method, result)),
            Reply::Error(error) => Err(self.rpc_error(AGENT, method.name(), &error)),
        };
        let mut results = answer.replies.drain(..).map(result);
        if method.streams() {
            return results.collect::<Result<Vec<_>, _>>().map(Value::array);
        }
        results.next().unwrap_or(Ok(Value::Null))
    }
}

#[cfg(test)]
mod tests;
