//! `windlass run --remote`: the same, on a server and its workers.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value as Json, json};
use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::value::Value;
use windlass_worker::Worker;

use super::timed_out_error;
use crate::client::Client;
use crate::code::{CANCELLED, TIMED_OUT};
use crate::command::deploy;
use crate::definition::{Checked, Support};
use crate::error::CliError;
use crate::instance::{self, Begun, Body, With};
use crate::options::Remote;
use crate::{output, signal};

use super::OTHER_TEXT;

/// Deploys the definitions with the functions that the worker fetches for them; gives the digest of
/// the first.
async fn deploy_all(
    client: &Client,
    definitions: Vec<Checked>,
    (support, worker): (Support, &Worker),
) -> Result<Json, CliError> {
    let mut digest = Json::Null;
    // Children first: the workflow that runs them may need them at once.
    for definition in definitions.into_iter().rev() {
        let definition = match definition.wants_functions {
            true => deploy::with_functions(client, definition, worker).await?,
            false => definition,
        };
        digest = deploy::send(client, definition.text, support, true).await?["digest"].take();
    }
    Ok(digest)
}

/// Deploys the definitions, runs the first one and prints its output; cancels it when it takes
/// longer than `timeout`, or at a signal.
pub(super) async fn run(
    remote: &Remote,
    definitions: Vec<Checked>,
    by: (Support, &Worker),
    input: Value,
    id: Option<InstanceId>,
    timeout: Option<Duration>,
) -> Result<(), CliError> {
    let client = Client::new(remote)?;
    let Some(main) = definitions.first().map(|it| it.id.clone()) else { return Ok(()) };
    let digest = deploy_all(&client, definitions, by).await?;
    let mut body = json!({
        "workflow": {"namespace": main.namespace, "name": main.name, "version": main.version},
    });
    if let Some(id) = id {
        body["id"] = id.to_string().into();
    }
    let body = Body { body, input: Some(input) };
    let (begun, mut answer) = instance::start(&client, body, With::default(), None).await?;
    if begun == Begun::Before {
        output::message("it was started before; what is shown is that run");
        tell_other_text(&client, &answer, &digest).await?;
    }
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let interrupted = tokio::select! {
        ended = instance::follow(&client, &mut answer, deadline) => {
            ended?;
            false
        }
        () = signal::stop() => true,
    };
    if !instance::is_final(&answer) {
        cancel(&client, &answer).await?;
        return Err(match interrupted {
            true => CliError::coded(&CANCELLED, "the instance was cancelled"),
            false => {
                let id = answer["id"].as_str().unwrap_or_default();
                timed_out_error(id, timeout.unwrap_or_default())
            }
        });
    }
    instance::ended(&answer)?;
    output::json(&answer["output"]);
    Ok(())
}

/// Says so when an instance keeps to another text of the definition than the one at hand.
async fn tell_other_text(client: &Client, answer: &Json, digest: &Json) -> Result<(), CliError> {
    let id = answer["id"].as_str().unwrap_or_default();
    let shown = client.get(&["v1", "instances", id], &[]).await?;
    if shown["digest"].is_string() && shown["digest"] != *digest {
        output::message(OTHER_TEXT);
    }
    Ok(())
}

async fn cancel(client: &Client, answer: &Json) -> Result<(), CliError> {
    let id = answer["id"].as_str().unwrap_or_default();
    let request = client.request(Method::POST, &["v1", "instances", id, "cancel"]).json(&json!({}));
    match tokio::time::timeout(Duration::from_millis(limits::CANCELLING_MS), client.send(request))
        .await
    {
        // It may have ended in this moment, which is as good.
        Ok(Ok(_) | Err(CliError::Problem(_))) => Ok(()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(CliError::coded(&TIMED_OUT, "the server does not answer the cancellation")),
    }
}
