//! `windlass token`: tokens of a server's own.

use std::time::{Duration, SystemTime};

use reqwest::Method;
use serde_json::{Value as Json, json};
use windlass_coordinator::access::{self, PREFIX};
use windlass_proto::time::Timestamp;

use crate::client::Client;
use crate::code::NOT_STARTED;
use crate::error::CliError;
use crate::options::{Remote, duration};
use crate::output::{self, Format};

/// Make, list and revoke tokens: what shows a server who asks.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  windlass token create --name ci --role starter --namespace shop \
                        --workflow order --expires 90d > ci.token\n  windlass token list\n  windlass \
                        token revoke 5f3a9c0e1b2d4c6f\n  windlass token new --role admin >> auth.toml\n\n\
                        docs/access.md says what the roles allow."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a token on a server and print it, this once; the server keeps a hash of it
    Create(CreateArgs),
    /// List tokens: what each allows, when it was used last, when it ends
    List(ListArgs),
    /// End a token at once
    Revoke(RevokeArgs),
    /// Make a token without a server: prints what goes into auth.toml, and the token where people
    /// see messages
    New(NewArgs),
}

/// What a token allows.
#[derive(clap::Args)]
struct Allowed {
    /// The role that it gives: viewer, starter, publisher, operator, author, process-author,
    /// secret-officer, auditor, worker-admin, worker, admin, or one of auth.toml
    #[arg(long, value_name = "ROLE")]
    role: String,
    /// In which namespaces, `shop*` for all that begin so; may be repeated [default: all]
    #[arg(long = "namespace", value_name = "PATTERN")]
    namespaces: Vec<String>,
    /// Of which workflows there; may be repeated [default: all]
    #[arg(long = "workflow", value_name = "PATTERN")]
    workflows: Vec<String>,
    /// For events, of which types; may be repeated [default: all]
    #[arg(long = "type", value_name = "PATTERN")]
    types: Vec<String>,
}

impl Allowed {
    fn grant(&self) -> Json {
        let any = |all: &[String]| match all {
            [] => vec!["*".to_owned()],
            all => all.to_vec(),
        };
        json!({
            "role": self.role,
            "namespaces": any(&self.namespaces),
            "workflows": any(&self.workflows),
            "types": any(&self.types),
        })
    }
}

#[derive(clap::Args)]
struct CreateArgs {
    /// What it is called, in lists and in the audit trail [default: the role]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    allowed: Allowed,
    /// How long it counts, at most five years
    #[arg(long, default_value = "90d", value_name = "DURATION", value_parser = duration)]
    expires: Duration,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct ListArgs {
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct RevokeArgs {
    /// The token's id, as `windlass token list` shows it
    id: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct NewArgs {
    /// What it is called, in the audit trail [default: the role]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    allowed: Allowed,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::Create(args) => create(args).await,
        Command::List(args) => list(args).await,
        Command::Revoke(args) => revoke(args).await,
        Command::New(args) => new(&args),
    }
}

async fn create(args: CreateArgs) -> Result<(), CliError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let ends = u64::try_from((now + args.expires).as_millis()).unwrap_or(u64::MAX);
    let client = Client::new(&args.remote)?;
    let request = client.request(Method::POST, &["v1", "tokens"]).json(&json!({
        "name": args.name.as_ref().unwrap_or(&args.allowed.role),
        "grants": [args.allowed.grant()],
        "expiresAt": Timestamp(ends).to_rfc3339(),
    }));
    let (_, made) = client.send(request).await?;
    let allowed = told(&args.allowed.grant());
    let text = |key: &str| made[key].as_str().unwrap_or("").to_owned();
    // The token alone, so that it can be kept in a file.
    output::text_line(&text("token"));
    output::message(&format!(
        "token {} ({}: {allowed}) counts until {}; it is not shown again",
        text("id"),
        text("name"),
        text("expiresAt")
    ));
    Ok(())
}

async fn list(args: ListArgs) -> Result<(), CliError> {
    let page = Client::new(&args.remote)?.get(&["v1", "tokens"], &[]).await?;
    let heading = ["ID", "NAME", "ALLOWS", "CREATED BY", "LAST USED", "EXPIRES"];
    output::page(&page, args.output, &heading, |token| {
        let text = |key: &str| token[key].as_str().unwrap_or("").to_owned();
        let grants = token["grants"].as_array().into_iter().flatten();
        let allows: Vec<_> = grants.map(allows).collect();
        vec![
            text("id"),
            text("name"),
            allows.join("; "),
            text("createdBy"),
            text("lastUsedAt"),
            text("expiresAt"),
        ]
    });
    Ok(())
}

/// A grant in a few words: `starter in shop of order*`.
fn allows(grant: &Json) -> String {
    let all = |key: &str| {
        let texts = grant[key].as_array().into_iter().flatten().filter_map(Json::as_str);
        texts.collect::<Vec<_>>().join(",")
    };
    let mut text = grant["role"].as_str().unwrap_or("").to_owned();
    for (word, key) in [("in", "namespaces"), ("of", "workflows"), ("for", "types")] {
        let some = all(key);
        if some != "*" {
            text.push_str(&format!(" {word} {some}"));
        }
    }
    text
}

/// The same, to who has just made it: also that nothing narrows it.
fn told(grant: &Json) -> String {
    let text = allows(grant);
    match grant["namespaces"] == json!(["*"]) {
        true => format!("{text}, in all namespaces"),
        false => text,
    }
}

async fn revoke(args: RevokeArgs) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let request = client.request(Method::DELETE, &["v1", "tokens", &args.id]);
    client.open(request).await?;
    output::message(&format!("token {} is revoked", args.id));
    Ok(())
}

fn new(args: &NewArgs) -> Result<(), CliError> {
    let token =
        access::generate().map_err(|error| CliError::coded(&NOT_STARTED, &error.to_string()))?;
    let name = args.name.as_ref().unwrap_or(&args.allowed.role);
    let grant = args.allowed.grant();
    // Texts and lists of JSON are those of TOML.
    let part = |key: &str| format!("{key} = {}", grant[key]);
    let parts = ["role", "namespaces", "workflows", "types"].map(part);
    output::text_line(&format!(
        "[[token]]\nname = {}\nsha256 = \"{}\"\ngrants = [{{ {} }}]",
        json!(name),
        access::sha256(token.expose()),
        parts.join(", ")
    ));
    debug_assert!(token.expose().starts_with(PREFIX));
    output::notice(&format!("the token, which is not shown again: {}", token.expose().as_str()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{allows, told};

    #[test]
    fn a_grant_is_told_in_a_few_words() {
        let any = json!({"role": "admin", "namespaces": ["*"], "workflows": ["*"], "types": ["*"]});
        assert_eq!(
            (allows(&any).as_str(), told(&any).as_str()),
            ("admin", "admin, in all namespaces")
        );
        let some = json!({"role": "starter", "namespaces": ["a", "b"], "workflows": ["o*"],
            "types": ["*"]});
        assert_eq!((allows(&some), told(&some)), ("starter in a,b of o*".into(), allows(&some)));
    }
}
