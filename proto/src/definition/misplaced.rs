//! Where a property belongs that stands where it is not known.

/// What `key` of `what` should be instead, when people are known to write it so.
pub(super) fn hint(what: &str, key: &str) -> Option<&'static str> {
    let specific = match what {
        "the `with` of an HTTP call" => of_http(key),
        "`document`" => Some("what is for people and tools goes into `document.metadata`"),
        "`emit`" | "`event`" => attribute(key)
            .then_some("attributes go two levels deeper: `emit: { event: { with: { type: … } } }`"),
        "a filter of events" => {
            attribute(key).then_some("attributes go one level deeper: `with: { type: … }`")
        }
        "`listen`" => of_listen(key),
        "`for`" => matches!(key, "do" | "while").then_some("it stands beside `for`, not inside it"),
        "`run`" => matches!(
            key,
            "arguments" | "args" | "environment" | "command" | "stdin" | "code" | "image"
        )
        .then_some("it goes into `container`, `script` or `shell`"),
        "`script`" | "`shell`" | "`container`" => matches!(key, "return" | "await")
            .then_some("it goes one level up: `run: { …, return: … }`"),
        "`try`" | "`catch`" => matches!(key, "delay" | "backoff" | "limit" | "jitter")
            .then_some("it goes into `catch.retry`"),
        _ if what.starts_with("the task `") => of_task(key),
        _ => None,
    };
    let timeout =
        "`timeout` belongs to the task, beside `call`, `run` and the like, or to the workflow";
    specific.or_else(|| (key == "timeout").then_some(timeout))
}

fn of_http(key: &str) -> Option<&'static str> {
    Some(match key {
        "authentication" | "auth" => {
            "it belongs to the endpoint: `endpoint: { uri: …, authentication: … }`"
        }
        "data" | "payload" | "json" | "content" => "what is sent is called `body`",
        "params" | "parameters" => "what comes after the `?` is called `query`",
        "retry" | "retries" => "write a `try` around the task, with `catch.retry`",
        _ => return None,
    })
}

fn of_listen(key: &str) -> Option<&'static str> {
    Some(match key {
        "foreach" => "it stands beside `listen`, not inside it",
        "one" | "all" | "any" | "until" => "it goes one level deeper: `listen: { to: { … } }`",
        _ => return None,
    })
}

fn of_task(key: &str) -> Option<&'static str> {
    Some(match key {
        "authentication" | "auth" => {
            "of an HTTP call it belongs to the endpoint: `with: { endpoint: { uri: …, \
             authentication: … } }`; of other calls into `with`"
        }
        "method" | "endpoint" | "uri" | "url" | "headers" | "query" | "body" => {
            "it goes into `with`: `call: http`, `with: { method: …, endpoint: … }`"
        }
        "arguments" | "args" | "parameters" | "inputs" => "what a call takes goes into `with`",
        "retry" | "retries" => "write a `try` around the task, with `catch.retry`",
        "when" | "condition" => "the condition of a task is called `if`",
        "next" | "transition" | "goto" => "where the flow goes on is called `then`",
        "as" => "it goes into `output`: `output: { as: … }`",
        "from" => "it goes into `input`: `input: { from: … }`",
        "description" | "summary" | "title" => "what is for people goes into `metadata`",
        _ => return None,
    })
}

/// Attributes of events that people put one level too high.
fn attribute(key: &str) -> bool {
    ["id", "source", "type", "subject", "time", "data", "datacontenttype", "dataschema", "with"]
        .contains(&key)
}
