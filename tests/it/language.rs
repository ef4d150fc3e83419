//! The language, construct by construct, where the conformance kit does not look: small workflows
//! with the outcome each must have, on one running server.

mod cases;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::dev::Dev;
use crate::support::json::{contains, same};
use crate::support::stub::{Reply, Stub};

/// What a case must give.
enum Want {
    /// This output.
    Output(Value),
    /// An error that holds these fields.
    Error(Value),
    /// A refusal when it is deployed, with a finding of this code.
    Refusal(&'static str),
}

/// One small workflow.
struct Case {
    name: &'static str,
    /// The definition from the line after its `document` on. `BASE` stands for the stub's address.
    body: &'static str,
    input: Value,
    want: Want,
}

/// Completes with this output.
fn gives(name: &'static str, body: &'static str, input: Value, output: Value) -> Case {
    Case { name, body, input, want: Want::Output(output) }
}

/// Faults with an error that has these fields; a `type` without `/` is a standard one.
fn fails(name: &'static str, body: &'static str, input: Value, mut error: Value) -> Case {
    if let Some(kind) = error["type"].as_str().filter(|it| !it.contains('/')) {
        error["type"] = json!(format!("https://serverlessworkflow.io/spec/1.0.0/errors/{kind}"));
    }
    Case { name, body, input, want: Want::Error(error) }
}

/// Is refused with this code.
fn refuses(name: &'static str, body: &'static str, code: &'static str) -> Case {
    Case { name, body, input: Value::Null, want: Want::Refusal(code) }
}

/// The names of all cases.
pub(crate) fn names() -> Vec<&'static str> {
    cases::all().into_iter().map(|it| it.name).collect()
}

/// Answers what the cases ask for.
async fn serve() -> Stub {
    Stub::http(|seen| match seen.path.as_str() {
        "/echo" => {
            let headers: Value = ["x-a", "x-b", "authorization", "content-type", "idempotency-key"]
                .into_iter()
                .filter_map(|it| Some((it.to_owned(), json!(seen.header(it)?))))
                .collect();
            Reply::Json(200, json!({
                "method": seen.method, "query": seen.query, "body": seen.body, "headers": headers,
            }))
        }
        "/basic" if seen.header("authorization") == Some("Basic YWRhOmhhdWw=") => {
            Reply::Text(200, "basic".into())
        }
        "/bearer" if seen.header("authorization") == Some("Bearer t0k") => {
            Reply::Text(200, "bearer".into())
        }
        "/text" => Reply::Text(200, "plain words".into()),
        "/bytes" => Reply::Raw(200, "application/octet-stream", vec![0, 1, 254, 255]),
        "/vendor" => Reply::Raw(200, "application/vnd.example+json", br#"{"a": [1]}"#.to_vec()),
        "/broken" => Reply::Raw(200, "application/json", b"{\"a\": ".to_vec()),
        "/empty" => Reply::Raw(204, "text/plain", Vec::new()),
        "/moved" => Reply::Redirect(302, "/text".into()),
        "/circle" => Reply::Redirect(302, "/circle".into()),
        "/slow" => Reply::Never,
        path => match path.strip_prefix("/status/").map(str::parse) {
            Some(Ok(status)) => Reply::Text(status, "as asked".into()),
            _ => Reply::Text(404, "no such path".into()),
        },
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_construct_gives_what_it_must() {
    let stub = serve().await;
    let dev = Dev::start().await;
    let all = cases::all();
    let names: BTreeSet<&str> = all.iter().map(|it| it.name).collect();
    assert_eq!(names.len(), all.len(), "two cases have one name");
    let checks = all.iter().map(|case| check(&dev, &stub, case));
    let failed: Vec<String> =
        futures_util::future::join_all(checks).await.into_iter().filter_map(Result::err).collect();
    assert!(
        failed.is_empty(),
        "{} of {} constructs:\n{}\nserver said:\n{}",
        failed.len(),
        all.len(),
        failed.join("\n"),
        dev.stderr()
    );
}

async fn check(dev: &Dev, stub: &Stub, case: &Case) -> Result<(), String> {
    let name = case.name;
    let text = format!(
        "document:\n  dsl: '1.0.3'\n  namespace: language\n  name: {name}\n  version: '1.0.0'\n{}\n",
        case.body.replace("BASE", &stub.url(""))
    );
    let answer = dev.api.deploy_text(&text).await;
    if let Want::Refusal(code) = &case.want {
        let code = format!("\"code\":\"{code}\"");
        let refused = answer.status.as_u16() == 400 && answer.body.to_string().contains(&code);
        return if refused { Ok(()) } else { Err(format!("{name}: no {code}: {}", answer.body)) };
    }
    if !answer.status.is_success() {
        return Err(format!("{name}: refused: {}", answer.body));
    }
    let body = json!({
        "workflow": {"namespace": "language", "name": name, "version": "1.0.0"},
        "input": case.input,
    });
    let answer = dev.api.post("/v1/instances?wait=30s", &body).await;
    if !answer.status.is_success() {
        return Err(format!("{name}: not started: {}", answer.body));
    }
    let got = answer.body;
    let (fits, wanted) = match &case.want {
        Want::Output(output) => {
            (got["status"] == "completed" && same(&got["output"], output), output)
        }
        Want::Error(error) => (got["status"] == "faulted" && contains(&got["error"], error), error),
        Want::Refusal(_) => unreachable!("judged above"),
    };
    if fits { Ok(()) } else { Err(format!("{name}: wanted {wanted}, got {got}")) }
}
