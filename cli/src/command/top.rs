//! `windlass top`.

mod screen;

use std::io::IsTerminal;
use std::time::Duration;

use serde_json::{Value as Json, json};
use windlass_coordinator::clock;
use windlass_proto::limits::{TOP_INSTANCES, TOP_PACE_MS, TOP_PATIENCE_MS};

use self::screen::{Key, Screen};
use crate::client::Client;
use crate::error::CliError;
use crate::options::{Remote, duration};
use crate::output::{self, Format, printable};
use crate::signal;

/// Watch a server: how many instances there are by status, the newest that are open, the workers.
///
/// On a terminal it draws the screen anew until q or Ctrl-C; elsewhere it prints what it sees once,
/// or as often as --times says.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass top\n  windlass top --namespace shop --every 5s\n  \
                        windlass top --times 3 --output json")]
pub(crate) struct Args {
    /// Of workflows in this namespace
    #[arg(long)]
    namespace: Option<String>,
    /// How long to wait between two looks [default: 2s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    every: Option<Duration>,
    /// Look so often, and end [default: for ever on a terminal, once elsewhere]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    times: Option<u32>,
    /// By default text; JSON is one document a look
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

/// Statuses, in the order in which they are told.
const STATUSES: [&str; 7] =
    ["pending", "running", "waiting", "suspended", "faulted", "cancelled", "completed"];
/// Those of instances that have not ended.
const OPEN: &str = "pending,running,waiting,suspended";

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let pace = args.every.unwrap_or(Duration::from_millis(TOP_PACE_MS));
    // Sooner would be a load of its own.
    let pace = pace.max(Duration::from_millis(TOP_PACE_MS / 10));
    let is_json = args.output == Some(Format::Json);
    let is_live = !is_json && std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    let times = args.times.or((!is_live).then_some(1));
    // Whether the server is there at all is said without touching the screen.
    let mut seen = look(&client, args.namespace.as_deref()).await?;
    // Before the screen is taken: a signal ends the loop, which gives it back.
    let mut stopped = std::pin::pin!(signal::stop_or_hang_up());
    let mut screen = if is_live { Some(Screen::open()?) } else { None };
    let mut number = 1;
    loop {
        match &mut screen {
            Some(screen) => screen.draw(&text(&seen)),
            None if is_json => output::json_line(&seen),
            None => output::text_line(&text(&seen)),
        }
        if times.is_some_and(|it| number >= it) {
            return Ok(());
        }
        number += 1;
        // Somebody who looks wants to leave at any time, also while a server is silent.
        let patience = if is_live { Duration::from_millis(TOP_PATIENCE_MS) } else { Duration::MAX };
        let next = async {
            tokio::time::sleep(pace).await;
            tokio::time::timeout(patience, look(&client, args.namespace.as_deref())).await
        };
        let key = async {
            match &mut screen {
                Some(screen) => screen.key().await,
                None => std::future::pending().await,
            }
        };
        let looked = tokio::select! {
            looked = next => looked,
            Key::Quit = key => return Ok(()),
            () = &mut stopped => return Ok(()),
        };
        seen = match looked {
            Ok(Ok(seen)) => seen,
            Ok(Err(error)) if !is_live || !error.passes() => return Err(error),
            // It may be restarting: what was seen last stays, with a word about it.
            Ok(Err(_)) | Err(_) => {
                seen["lost"] = json!(true);
                seen
            }
        };
    }
}

/// What there is to see now.
async fn look(client: &Client, namespace: Option<&str>) -> Result<Json, CliError> {
    let of = |more: &[(&'static str, String)]| {
        let namespace = namespace.map(|it| ("namespace", it.to_owned()));
        namespace.into_iter().chain(more.iter().cloned()).collect::<Vec<_>>()
    };
    let mut counts = serde_json::Map::new();
    for status in STATUSES {
        let query = of(&[("status", status.to_owned())]);
        let told = client.get(&["v1", "instances", "count"], &query).await?;
        counts.insert(status.to_owned(), told["count"].clone());
    }
    let query = of(&[("status", OPEN.to_owned()), ("limit", TOP_INSTANCES.to_string())]);
    let open = client.get(&["v1", "instances"], &query).await?;
    // Not everybody may see them.
    let workers = client.get(&["v1", "workers"], &[]).await.ok();
    Ok(json!({
        "at": clock::now().to_rfc3339(),
        "instances": counts,
        "open": open["items"],
        "workers": workers.map_or(Json::Null, |it| it["items"].clone()),
    }))
}

fn text(seen: &Json) -> String {
    let word = |value: &Json| printable(value.as_str().unwrap_or_default());
    let counts: Vec<_> =
        STATUSES.iter().map(|it| format!("{it} {}", seen["instances"][it])).collect();
    let lost = if seen["lost"] == true { "  (the server does not answer)" } else { "" };
    let mut text =
        format!("windlass top  {}{lost}\ninstances: {}\n", word(&seen["at"]), counts.join("  "));
    if let Some(workers) = seen["workers"].as_array() {
        let sum = |name: &str| workers.iter().filter_map(|it| it[name].as_u64()).sum::<u64>();
        let (busy, all) = (sum("inFlight"), sum("concurrency"));
        text.push_str(&format!("workers: {}, {busy} of {all} places taken\n", workers.len()));
    }
    let rows: Vec<Vec<String>> = seen["open"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| {
            let workflow = &it["workflow"];
            let [namespace, name, version] =
                ["namespace", "name", "version"].map(|it| word(&workflow[it]));
            let workflow = format!("{namespace}/{name}:{version}");
            vec![word(&it["id"]), workflow, word(&it["status"]), word(&it["startedAt"])]
        })
        .collect();
    text.push('\n');
    text.push_str(&output::columns(&["OPEN INSTANCE", "WORKFLOW", "STATUS", "STARTED"], &rows));
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::text;

    #[test]
    fn what_is_seen_is_told_without_control_characters() {
        let seen = json!({
            "at": "t", "instances": {"running": 2, "faulted": 1},
            "open": [{"id": "1", "workflow": {"namespace": "a", "name": "b\u{1b}[2J", "version": "1.0.0"},
                "status": "running", "startedAt": "s"}],
            "workers": [{"inFlight": 3, "concurrency": 8}],
        });
        let told = text(&seen);
        assert!(told.contains("running 2") && told.contains("workers: 1, 3 of 8"), "{told}");
        assert!(!told.contains('\u{1b}') && told.contains("a/b [2J:1.0.0"), "{told}");
        assert!(text(&json!({"lost": true})).contains("does not answer"));
    }
}
