//! `windlass logs`.

use std::collections::HashMap;

use serde_json::{Value as Json, json};
use windlass_proto::definition::{self, Options, STANDARD_FUNCTIONS};
use windlass_proto::limits::{API_PAGE, DEFINITION_BYTES};
use windlass_proto::plan::{FunctionTarget, Kind, Plan};

use crate::client::Client;
use crate::code::NOT_UNDERSTOOD;
use crate::error::CliError;
use crate::options::Remote;
use crate::output::{self, Format, printable};

/// Show what log functions and programs of an instance wrote, as far as its history keeps it.
///
/// That is what `log`, `logInfo`, `logWarn` and `logError` were called with, what `run: shell`,
/// `script` and `container` gave (`return` says what that is), and the errors of those that failed,
/// which end with what they wrote last. What is sealed there stays sealed.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass logs 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f\n  \
                        windlass logs 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f --output json\n\n\
                        `return: all` has a program's output and errors kept. The log of the worker \
                        has the lines of log functions as well.")]
pub(crate) struct Args {
    /// The instance
    id: String,
    /// By default text; JSON is one document a line
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let instance = client.get(&["v1", "instances", &args.id], &[]).await?;
    let digest = instance["digest"].as_str().unwrap_or_default();
    let text = client.text(&["v1", "definitions", digest], DEFINITION_BYTES).await?;
    let options = Options { unversioned: true, accepted: true, ..Options::default() };
    let Some(plan) = definition::load(&text, &options).plan else {
        let detail = "the instance's definition is none that this version reads";
        return Err(CliError::coded(&NOT_UNDERSTOOD, detail));
    };
    let writers = writers(&plan);
    let mut from = 0;
    loop {
        let query = [("from", from.to_string()), ("limit", API_PAGE.to_string())];
        let page = client.get(&["v1", "instances", &args.id, "history"], &query).await?;
        for entry in page["items"].as_array().into_iter().flatten() {
            for line in told(entry, &writers) {
                match args.output {
                    Some(Format::Json) => output::json_line(&line),
                    _ => output::text_line(&text_of(&line)),
                }
            }
        }
        // Each page goes on behind the one before.
        match page["next"].as_u64().filter(|it| *it > from) {
            Some(next) => from = next,
            None => return Ok(()),
        }
    }
}

/// Tasks that write something, by their pointers: the word for it.
fn writers(plan: &Plan) -> HashMap<&str, &str> {
    let word = |kind: &Kind| match kind {
        Kind::Shell(_) => Some("shell"),
        Kind::Script(_) => Some("script"),
        Kind::Container(_) => Some("container"),
        Kind::Function(call) => match &call.target {
            FunctionTarget::Registered(name) => STANDARD_FUNCTIONS
                .iter()
                .find(|it| ***it == **name && it.starts_with("log"))
                .copied(),
            FunctionTarget::Defined(_) | FunctionTarget::Cataloged(_) => None,
        },
        _ => None,
    };
    plan.tasks.iter().filter_map(|it| Some((&*it.reference, word(&it.kind)?))).collect()
}

/// What an entry of the history tells of what was written.
fn told(entry: &Json, writers: &HashMap<&str, &str>) -> Vec<Json> {
    let task = entry["task"].as_str().unwrap_or_default();
    let Some(writer) = writers.get(task) else { return Vec::new() };
    let line = |stream: &str, text: &Json| json!({ "at": entry["at"], "task": task, "by": writer, "stream": stream, "text": text });
    let data = &entry["data"];
    match entry["event"].as_str() {
        Some("task.completed") => {
            let output = &data["output"];
            let streams = ["stdout", "stderr"].map(|it| (it, &output[it]));
            let has_streams = output.get("code").is_some() && !writer.starts_with("log");
            if has_streams {
                let full = streams.into_iter().filter(|(_, it)| it.as_str() != Some(""));
                return full.filter(|(_, it)| !it.is_null()).map(|(of, it)| line(of, it)).collect();
            }
            if writer.starts_with("log") {
                // As the log of the worker has it.
                return vec![line("message", output.get("message").unwrap_or(output))];
            }
            vec![line("output", output)]
        }
        Some("task.faulted") => vec![line("error", &data["error"]["detail"])],
        _ => Vec::new(),
    }
}

/// A line for people; each line of a longer text with what it is of.
fn text_of(line: &Json) -> String {
    let word = |name: &str| printable(line[name].as_str().unwrap_or_default());
    let text = match &line["text"] {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let head = format!("{}  {}  {} {}", word("at"), word("task"), word("by"), word("stream"));
    let lines = text.lines().map(|it| format!("{head}  {}\n", printable(it)));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::{text_of, told};

    #[test]
    fn what_was_written_is_told_by_line() {
        let writers = HashMap::from([("/do/0/a", "shell"), ("/do/1/b", "logInfo")]);
        let entry = json!({"at": "t", "task": "/do/0/a", "event": "task.completed",
            "data": {"output": {"code": 0, "stdout": "a\u{1b}[2J\nb", "stderr": ""}}});
        let found = told(&entry, &writers);
        assert_eq!(found.len(), 1, "nothing of an empty stream: {found:?}");
        let text = text_of(&found[0]);
        assert_eq!(text, "t  /do/0/a  shell stdout  a [2J\nt  /do/0/a  shell stdout  b\n");
        let logged =
            json!({"task": "/do/1/b", "event": "task.completed", "data": {"output": {"m": 1}}});
        assert_eq!(told(&logged, &writers)[0]["text"], json!({"m": 1}));
        let other = json!({"task": "/do/2/c", "event": "task.completed", "data": {"output": 1}});
        assert!(told(&other, &writers).is_empty());
        let failed =
            json!({"task": "/do/0/a", "event": "task.faulted", "data": {"error": {"detail": "x"}}});
        assert_eq!(told(&failed, &writers)[0]["stream"], "error");
    }
}
