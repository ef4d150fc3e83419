//! What is checked of a server.

use std::time::Duration;

use reqwest::header::DATE;
use reqwest::{Method, Url};
use windlass_coordinator::clock;
use windlass_proto::limits::{self, CLIENT_ANSWER_BYTES, IDENTITY_LEEWAY_S};
use windlass_proto::time::Timestamp;

use super::machine::PATIENCE;
use super::{Check, Standing};
use crate::client::{Client, is_loopback};
use crate::error::CliError;
use crate::options::Target;
use crate::output;

/// All that can be seen of it from here.
pub(super) async fn look(target: &Target) -> Vec<Check> {
    let client = match Client::of(target) {
        Ok(client) => client,
        Err(error) => return vec![refused("server", &error)],
    };
    let mut checks = vec![encrypted(&target.url)];
    match answered(&client).await {
        Ok(all) => checks.extend(all),
        // Nothing else can be asked.
        Err(check) => {
            checks.push(check);
            return checks;
        }
    }
    checks.extend([ready(&client).await, version(&client).await, who(&client).await]);
    checks.push(workers(&client).await);
    checks.push(metrics(&client).await);
    checks
}

/// What was refused, in the words of who refused it.
fn refused(check: &'static str, error: &CliError) -> Check {
    let found = match error {
        CliError::Usage(text) => text.clone(),
        CliError::Problem(problem) | CliError::Open(problem) => {
            let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
            format!("{} ({})", text("detail"), text("code"))
        }
        CliError::Definition | CliError::Interrupted | CliError::Anew => String::new(),
    };
    let advice = "`windlass explain CODE` says what to do";
    Check::new(check, Standing::Failed, output::printable(&found), advice)
}

/// Whether what is sent can be read on the way.
fn encrypted(url: &Url) -> Check {
    const CHECK: &str = "tls";
    match (url.scheme(), is_loopback(url)) {
        ("https", _) => Check::ok(CHECK, "the connection is encrypted"),
        (_, true) => Check::ok(CHECK, "plain HTTP, to this machine"),
        (_, false) => Check::new(
            CHECK,
            Standing::Warning,
            "plain HTTP to another machine: tokens are not sent this way",
            "Give the server --tls-cert and --tls-key, and write https:// in --url",
        ),
    }
}

/// Whether it answers, and what its clock shows.
async fn answered(client: &Client) -> Result<Vec<Check>, Check> {
    let request = client.request(Method::GET, &["healthz"]).timeout(PATIENCE);
    let sent = clock::now();
    let answer = client.open(request).await.map_err(|error| refused("server", &error))?;
    let received = clock::now();
    let reached = Check::ok("server", "it answers");
    let date = answer.headers().get(DATE).and_then(|it| it.to_str().ok());
    let date = date.and_then(Timestamp::parse_http);
    let Some(date) = date else {
        let found = "the server tells no time";
        return Ok(vec![reached, Check::new("clock", Standing::Skipped, found, "")]);
    };
    // The header has whole seconds, which were cut off.
    let early = Timestamp(sent.0 / 1_000 * 1_000);
    let apart = early.since(date).max(date.since(received));
    Ok(vec![reached, skew(Duration::from_millis(apart))])
}

fn skew(apart: Duration) -> Check {
    const CHECK: &str = "clock";
    const ADVICE: &str = "Have both machines keep time by NTP: identities, tokens and schedules go \
                          by it";
    let seconds = apart.as_secs();
    match seconds {
        0..=1 => Check::ok(CHECK, "it agrees with the server's"),
        _ if seconds < IDENTITY_LEEWAY_S => {
            Check::new(CHECK, Standing::Warning, format!("{seconds} s off the server's"), ADVICE)
        }
        _ => Check::new(CHECK, Standing::Failed, format!("{seconds} s off the server's"), ADVICE),
    }
}

async fn text(client: &Client, path: &[&str]) -> Result<String, CliError> {
    client.text(path, CLIENT_ANSWER_BYTES).await
}

async fn ready(client: &Client) -> Check {
    const CHECK: &str = "ready";
    match text(client, &["readyz"]).await {
        Ok(told) if told.contains("full") => Check::new(
            CHECK,
            Standing::Failed,
            "the server's disk is full: nothing new is taken up",
            "Free some of the disk of its data directory; it goes on by itself",
        ),
        Ok(_) => Check::ok(CHECK, "it takes requests"),
        Err(error) => refused(CHECK, &error),
    }
}

async fn version(client: &Client) -> Check {
    const CHECK: &str = "version";
    const ADVICE: &str =
        "Use a command line of the server's version: others may not know all of it";
    let own = env!("CARGO_PKG_VERSION");
    match client.get(&["openapi.json"], &[]).await {
        Ok(document) => match document["info"]["version"].as_str() {
            Some(theirs) if theirs == own => Check::ok(CHECK, format!("both are {own}")),
            theirs => {
                let theirs = output::printable(theirs.unwrap_or("of no version"));
                let found = format!("the server is {theirs}, the command line {own}");
                Check::new(CHECK, Standing::Warning, found, ADVICE)
            }
        },
        Err(error) => refused(CHECK, &error),
    }
}

async fn who(client: &Client) -> Check {
    const CHECK: &str = "access";
    match client.get(&["v1", "auth", "whoami"], &[]).await {
        Ok(told) => {
            let name = told["subject"].as_str().unwrap_or("somebody");
            Check::ok(CHECK, format!("you are {} there", output::printable(name)))
        }
        Err(error) => Check {
            advice: "`windlass login`, --token-file or a profile says who asks",
            ..refused(CHECK, &error)
        },
    }
}

async fn workers(client: &Client) -> Check {
    const CHECK: &str = "workers";
    const ADVICE: &str = "`windlass dev` has one of its own; elsewhere calls and programs \
                          wait until one joins: `windlass worker`";
    match client.get(&["v1", "workers"], &[]).await {
        Ok(told) => match told["items"].as_array().map_or(0, Vec::len) {
            0 => Check::new(CHECK, Standing::Skipped, "none in other processes", ADVICE),
            number => Check::ok(CHECK, format!("there are {number}")),
        },
        Err(error) => may_not(CHECK, &error),
    }
}

/// Who may not see something is told so: that is nothing which does not work.
fn may_not(check: &'static str, error: &CliError) -> Check {
    let found = refused(check, error);
    if !error.is_refused() {
        return found;
    }
    Check { result: Standing::Skipped, advice: "Somebody with that permission can look", ..found }
}

/// What its own figures say of its disk.
async fn metrics(client: &Client) -> Check {
    const CHECK: &str = "server's disk";
    let told = match text(client, &["metrics"]).await {
        Ok(told) => told,
        Err(error) => return may_not(CHECK, &error),
    };
    let Some(free) = sample(&told, "windlass_journal_disk_free_bytes") else {
        return Check::new(CHECK, Standing::Skipped, "it is not told", "");
    };
    let found = format!("{:.0} MiB free", free / f64::from(1 << 20));
    #[allow(clippy::cast_precision_loss)]
    let little = limits::DOCTOR_DISK_BYTES as f64;
    if free < little {
        let advice = "Free some of the disk of its data directory, before it pauses";
        return Check::new(CHECK, Standing::Warning, found, advice);
    }
    Check::ok(CHECK, found)
}

/// The value of a family without labels.
fn sample(text: &str, name: &str) -> Option<f64> {
    let lines = text.lines().filter_map(|it| it.strip_prefix(name)?.strip_prefix(' '));
    lines.filter_map(|it| it.split_whitespace().next()?.parse().ok()).next()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Standing, encrypted, sample, skew};

    #[test]
    fn clocks_that_are_off_are_told_by_how_much_it_matters() {
        let result = |seconds| skew(Duration::from_secs(seconds)).result;
        assert_eq!(result(1), Standing::Ok);
        assert_eq!(result(5), Standing::Warning);
        assert_eq!(result(31), Standing::Failed);
    }

    #[test]
    fn plain_http_is_for_this_machine() {
        for (url, wanted) in [
            ("http://127.0.0.1:7400", Standing::Ok),
            ("http://[::1]:7400", Standing::Ok),
            ("http://example.com", Standing::Warning),
            ("https://example.com", Standing::Ok),
        ] {
            assert_eq!(encrypted(&url.parse().unwrap()).result, wanted, "{url}");
        }
    }

    #[test]
    fn a_sample_is_found_by_its_whole_name() {
        let text = "# HELP a b\na_more 1\na{x=\"y\"} 2\na 3.5\n";
        assert_eq!(sample(text, "a"), Some(3.5));
        assert_eq!(sample(text, "b"), None);
    }
}
