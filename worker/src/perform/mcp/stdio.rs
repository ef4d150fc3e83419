//! MCP over standard input and output: a program is started for the call, and ends with it.
//!
//! It runs as programs of tasks do, under a supervisor, and only where the worker is told to
//! (`--allow mcp.stdio`). A message is a line. What else it writes to its output is passed over,
//! and the end of its standard error is kept for the case that it dies.

use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Take};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use windlass_proto::expression::Template;
use windlass_proto::limits;
use windlass_proto::plan::McpVersion;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::message::{Ask, OPENING, OPENING_AGAIN, REQUEST, answer_to, cancelled, initialized};
use super::terms::{agreed, is_stateless, wants_stateless};
use crate::attempt::Attempt;
use crate::perform::json_rpc::message::{Reply, RpcError};
use crate::perform::process::{Group, Invocation, arguments_of, code_of, tail_of};

impl Attempt<'_> {
    /// The program that is the server.
    ///
    /// # Errors
    /// Where this worker does not run such.
    pub(super) fn mcp_program(
        &self,
        command: &Template,
        arguments: Option<&Template>,
        environment: Option<&Template>,
        input: &Value,
    ) -> Result<Invocation, Problem> {
        if !self.worker.processes.mcp {
            let detail = "this worker's configuration does not allow MCP servers over stdio, which \
                          are programs of its machine (`--allow mcp.stdio`)";
            return Err(Problem::new(Standard::Configuration, detail));
        }
        let program = self.evaluate(command, input)?.to_text();
        if program.trim().is_empty() {
            let detail = "`command` of the MCP server is empty";
            return Err(Problem::new(Standard::Configuration, detail));
        }
        let given = self.evaluate_optional(arguments, input)?.unwrap_or_default();
        Ok(Invocation {
            program: program.into(),
            arguments: arguments_of(&given)?,
            environment: self.environment(environment, input)?,
            stdin: Some(Vec::new()),
            files: None,
        })
    }

    /// Starts `program`, asks it, and has it end.
    pub(super) async fn mcp_over_stdio(
        &self,
        ask: &Ask,
        program: Invocation,
    ) -> Result<Reply, Problem> {
        let mut server = Server::new(self.spawn(program, true)?);
        match server.converse(ask).await {
            // It ends when it is dropped, and the task need not wait for that.
            Ok(reply) => Ok(reply),
            Err(Trouble::Told(problem)) => Err(problem),
            Err(Trouble::Refused(error)) => Ok(Reply::Error(error)),
            Err(Trouble::Overfull) => {
                let most = limits::RESPONSE_BYTES;
                let detail = format!("the MCP server was ended: it wrote more than {most} bytes");
                Err(Problem::new(Standard::Runtime, detail))
            }
            Err(Trouble::Ended) => Err(self.mcp_ended(server).await),
        }
    }

    /// The problem of a program that does not go on.
    async fn mcp_ended(&self, mut server: Server) -> Problem {
        let status = server.end().await;
        let said = server.last_words().await;
        if let Some(problem) = status.and_then(|it| self.refusal(it, &said)) {
            return problem;
        }
        let ended = match status.map(code_of) {
            Some(code) => format!("the MCP server ended with exit code {code}"),
            None => "the MCP server closed its output".to_owned(),
        };
        let tail = tail_of(&self.seal.text(&String::from_utf8_lossy(&said)));
        let colon = if tail.is_empty() { "" } else { ": " };
        Problem::new(Standard::Runtime, format!("{ended}, before it answered{colon}{tail}"))
    }
}

/// Why there is no answer.
enum Trouble {
    Told(Problem),
    /// It does not want to be asked.
    Refused(RpcError),
    /// It wrote too much.
    Overfull,
    /// It ended, or closed its output.
    Ended,
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Told(problem)
    }
}

/// A running server. When it is dropped before it was ended, it is told that nobody waits, and
/// ended.
struct Server {
    group: Option<Group>,
    /// To who writes to it.
    messages: Option<mpsc::Sender<Value>>,
    output: Option<BufReader<Take<ChildStdout>>>,
    /// What there is of a line.
    line: Vec<u8>,
    /// Reads its standard error; gives the end of it.
    stderr: Option<JoinHandle<Vec<u8>>>,
    /// Whether it is busy with the request itself.
    is_asked: bool,
}

impl Server {
    fn new(mut group: Group) -> Self {
        let (input, output, stderr) = group.take_pipes();
        let (messages, queue) = mpsc::channel(limits::MCP_UNREAD_MESSAGES);
        if let Some(input) = input {
            // By itself, as a server may write before it reads on.
            tokio::spawn(write(input, queue));
        }
        let most = limits::RESPONSE_BYTES as u64 + 1;
        Self {
            group: Some(group),
            messages: Some(messages),
            output: output.map(|it| BufReader::new(it.take(most))),
            line: Vec::new(),
            stderr: stderr.map(|it| tokio::spawn(end_of(it))),
            is_asked: false,
        }
    }

    async fn converse(&mut self, ask: &Ask) -> Result<Reply, Trouble> {
        if self.open(ask).await? {
            self.say(ask.stateless());
        } else {
            self.say(initialized());
            self.say(ask.in_session());
        }
        self.is_asked = true;
        let (_, reply) = self.reply(&[REQUEST]).await?;
        self.is_asked = false;
        Ok(reply)
    }

    /// Finds out how it is spoken to: true where there is no session, else one is opened.
    async fn open(&mut self, ask: &Ask) -> Result<bool, Trouble> {
        let first = ask.version.unwrap_or(McpVersion::NEWEST);
        if !first.is_stateless() {
            return self.initialize(ask, first, false).await;
        }
        self.say(ask.discover());
        let limit = Duration::from_millis(limits::MCP_DISCOVER_MS);
        if let Ok(reply) = tokio::time::timeout(limit, self.reply(&[OPENING])).await
            && is_stateless(Some(&reply?.1))?
        {
            return Ok(true);
        }
        self.initialize(ask, McpVersion::NEWEST_WITH_SESSION, true).await
    }

    /// Opens a session of `version`; gives what [`Self::open`] does. Whether it keeps sessions it
    /// `was_asked` before.
    async fn initialize(
        &mut self,
        ask: &Ask,
        version: McpVersion,
        was_asked: bool,
    ) -> Result<bool, Trouble> {
        self.say(ask.initialize(OPENING_AGAIN, version));
        loop {
            match self.reply(&[OPENING, OPENING_AGAIN]).await? {
                (OPENING, reply) => {
                    // It took its time.
                    if is_stateless(Some(&reply))? {
                        return Ok(true);
                    }
                }
                (_, Reply::Result(result)) => {
                    agreed(&result)?;
                    return Ok(false);
                }
                (_, Reply::Error(error)) if wants_stateless(&error) => return Ok(true),
                (_, Reply::Error(error)) => {
                    if !was_asked {
                        self.say(ask.discover());
                        let limit = Duration::from_millis(limits::MCP_DISCOVER_MS);
                        let asked = tokio::time::timeout(limit, self.reply(&[OPENING])).await;
                        if let Ok(Ok((_, reply))) = asked
                            && is_stateless(Some(&reply))?
                        {
                            return Ok(true);
                        }
                    }
                    return Err(Trouble::Refused(error));
                }
            }
        }
    }

    /// Hands it a message. One that it does not take is no error: it ends then, or has left so
    /// many unread that only answers to its own questions can be among them.
    fn say(&self, message: Value) {
        if let Some(messages) = &self.messages {
            let _ = messages.try_send(message);
        }
    }

    /// The next reply to one of `ids`, and to which.
    async fn reply(&mut self, ids: &[i64]) -> Result<(i64, Reply), Trouble> {
        loop {
            let message = self.message().await?;
            if let Some(answer) = answer_to(&message) {
                self.say(answer);
                continue;
            }
            let is_asked = |id: Option<i64>| id.is_none_or(|id| ids.contains(&id));
            match (Reply::in_message(&message, is_asked), ids.last()) {
                (Some((Some(id), reply)), _) => return Ok((id, reply)),
                // It could not read the message that has the id.
                (Some((None, reply @ Reply::Error(_))), Some(id)) => return Ok((*id, reply)),
                _ => {}
            }
        }
    }

    /// The next message. What was read of one when this is dropped is kept.
    async fn message(&mut self) -> Result<Value, Trouble> {
        let Some(output) = &mut self.output else { return Err(Trouble::Ended) };
        loop {
            let read = output.read_until(b'\n', &mut self.line).await;
            if read.is_err() || self.line.last() != Some(&b'\n') {
                let is_overfull = output.get_ref().limit() == 0;
                return Err(if is_overfull { Trouble::Overfull } else { Trouble::Ended });
            }
            let line = std::mem::take(&mut self.line);
            let message = Value::from_json(String::from_utf8_lossy(&line).trim());
            if let Ok(message @ (Value::Object(_) | Value::Array(_))) = message {
                return Ok(message);
            }
        }
    }

    /// Closes its input, and waits for it to end by itself; else it is made to. Gives how it ended,
    /// where that was in time.
    async fn end(&mut self) -> Option<ExitStatus> {
        self.is_asked = false;
        self.messages = None;
        let mut group = self.group.take()?;
        let most = Duration::from_millis(limits::MCP_END_MS);
        let ended = tokio::time::timeout(most, group.wait()).await;
        ended.ok()?.ok()
    }

    /// The end of what it wrote to its standard error.
    async fn last_words(&mut self) -> Vec<u8> {
        let Some(stderr) = self.stderr.take() else { return Vec::new() };
        let most = Duration::from_millis(limits::PROCESS_LAST_OUTPUT_MS);
        let words = tokio::time::timeout(most, stderr).await;
        words.ok().and_then(Result::ok).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(mut group) = self.group.take() else { return };
        if self.is_asked {
            self.say(cancelled());
        }
        self.messages = None;
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // Nobody waits for it; what does not end is killed when the group is dropped.
        runtime.spawn(async move {
            let most = Duration::from_millis(limits::MCP_END_MS);
            let _ = tokio::time::timeout(most, group.wait()).await;
        });
    }
}

/// Writes what is in `queue` until it is closed, a message a line.
async fn write(mut input: ChildStdin, mut queue: mpsc::Receiver<Value>) {
    while let Some(message) = queue.recv().await {
        let mut line = message.to_json();
        line.push('\n');
        if input.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads `pipe` to its end; gives the last of it.
async fn end_of(mut pipe: ChildStderr) -> Vec<u8> {
    let most = limits::MCP_STDERR_BYTES;
    let mut kept = Vec::new();
    let mut part = [0; 4_096];
    while let Ok(count @ 1..) = pipe.read(&mut part).await {
        kept.extend_from_slice(part.get(..count).unwrap_or_default());
        kept.drain(..kept.len().saturating_sub(most));
    }
    kept
}
