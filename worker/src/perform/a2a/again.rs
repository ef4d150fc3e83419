//! What an earlier delivery has sent already.
//!
//! All that a delivery knows of those before it is what the journal has: that there were any, and
//! by which id each of them would have sent its message. An agent says the id of a task only in its
//! answer, which a lost worker never had. But tasks have the messages in them that they are of; so
//! where a task is named, or the agent can list its tasks (1.x), the message is found, and what
//! became of it is what is given.

use std::time::Duration;

use windlass_proto::limits;
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use super::Ask;
use super::http::Agent;
use super::method::Method;
use super::{older, older::is_settled};
use crate::attempt::Attempt;
use crate::perform::json_rpc::message::Reply;

impl Attempt<'_> {
    /// What the agent made of the message in `ask`, as if it had been sent now; none where it is
    /// not known to have it, or cannot tell: the id of the message says to the agent that it is the
    /// same.
    pub(super) async fn a2a_earlier(
        &mut self,
        agent: &mut Agent<'_>,
        ask: &Ask,
    ) -> Result<Option<Value>, Problem> {
        let Some(message) = ask.message() else { return Ok(None) };
        let found = match message.get("taskId").filter(|it| it.as_str().is_some()) {
            Some(id) => self.a2a_look(agent, Method::Get, [("id", id.clone())]).await,
            None => self.a2a_listed(agent, message).await,
        };
        let task = match found {
            Ok(task) => task.filter(|task| holds(task, message)),
            // Who is refused here is refused with the message as well, which says what is wrong.
            Err(problem) => {
                let why = self.seal.problem(problem).detail;
                tracing::debug!(?why, "an agent does not tell whether it has a message");
                None
            }
        };
        let Some(task) = task else { return Ok(None) };
        let id = task.get("id").cloned().unwrap_or_default();
        if ask.method == Method::Stream {
            if !is_settled(&task) {
                let rest = Ask::look(Method::Resubscribe, [("id", id.clone())]);
                let answer = self.a2a_ask(agent, &rest).await?;
                // One that has ended by now has no stream any more.
                if matches!(answer.reply(), Some(Reply::Result(_))) {
                    return self.a2a_output(agent, ask.method, answer).map(Some);
                }
            }
            return Ok(Some(Value::array(vec![self.a2a_task(agent, id).await?])));
        }
        let configuration = ask.parameters.get("configuration");
        let waits = configuration.and_then(|it| it.get("blocking")) != Some(&Value::Bool(false));
        loop {
            let task = self.a2a_task(agent, id.clone()).await?;
            if !waits || is_settled(&task) {
                return Ok(Some(task));
            }
            tokio::time::sleep(Duration::from_millis(limits::A2A_POLL_MS)).await;
        }
    }

    /// The task among those of the agent that holds `message`.
    async fn a2a_listed(
        &mut self,
        agent: &mut Agent<'_>,
        message: &Value,
    ) -> Result<Option<Value>, Problem> {
        let context = message.get("contextId").filter(|it| it.as_str().is_some());
        let mut token = None;
        for _ in 0..limits::A2A_TASK_PAGES {
            let size = Value::Int(limits::A2A_TASK_PAGE);
            let asked = [("contextId", context.cloned()), ("pageToken", token.take())];
            let asked = asked.into_iter().filter_map(|(key, value)| Some((key, value?)));
            let asked = asked.chain([("pageSize", size)]);
            let Some(page) = self.a2a_look(agent, Method::List, asked).await? else { break };
            let mut tasks = page.get("tasks").and_then(Value::as_array).unwrap_or_default().iter();
            if let Some(task) = tasks.find(|task| holds(task, message)) {
                return Ok(Some(task.clone()));
            }
            token = page.get("nextPageToken").filter(|it| it.as_str() != Some("")).cloned();
            if token.as_ref().is_none_or(Value::is_null) {
                break;
            }
        }
        Ok(None)
    }

    /// What a request gives that only looks; none where the agent answers with an error.
    async fn a2a_look(
        &mut self,
        agent: &mut Agent<'_>,
        method: Method,
        parameters: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<Option<Value>, Problem> {
        let answer = self.a2a_ask(agent, &Ask::look(method, parameters)).await?;
        let result = answer.replies.into_iter().next();
        let Some(Reply::Result(result)) = result else { return Ok(None) };
        Ok(Some(older::result(method, result)))
    }

    async fn a2a_task(&mut self, agent: &mut Agent<'_>, id: Value) -> Result<Value, Problem> {
        let answer = self.a2a_ask(agent, &Ask::look(Method::Get, [("id", id)])).await?;
        self.a2a_output(agent, Method::Get, answer)
    }
}

/// True where `task` is of `message`, among others.
fn holds(task: &Value, message: &Value) -> bool {
    let history = task.get("history").and_then(Value::as_array).unwrap_or_default();
    history.iter().any(|it| it.get("messageId") == message.get("messageId"))
}
