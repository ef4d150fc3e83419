//! `windlass auth`: who somebody is to a server, what they may, and the file that says so.

use std::path::PathBuf;

use windlass_coordinator::access::{self, BUILT_IN};

use crate::client::Client;
use crate::code::NOT_PERMITTED;
use crate::error::CliError;
use crate::options::Remote;
use crate::output::{self, Format};

/// See who you are to a server and what you may, or check the file that says so.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  windlass auth whoami\n  windlass auth can-i start shop/order\n  \
                        windlass auth check auth.toml\n  windlass auth roles"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show who you are, and what you are granted
    Whoami(WhoamiArgs),
    /// Say whether you may: exits with 1 if not
    #[command(name = "can-i")]
    CanI(CanIArgs),
    /// Check a file for --auth, and show every role and grant that it makes
    Check(CheckArgs),
    /// List the roles that are always there, and what each allows
    Roles(RolesArgs),
}

#[derive(clap::Args)]
struct WhoamiArgs {
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct CanIArgs {
    /// The permission, by its name or its last part: instance.start, start
    permission: String,
    /// Of what: a namespace or a workflow of one; the whole server unless given
    #[arg(value_name = "NAMESPACE[/NAME]")]
    of: Option<String>,
    /// For events of this type
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "of")]
    kind: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct CheckArgs {
    /// The file
    file: PathBuf,
}

#[derive(clap::Args)]
struct RolesArgs {
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::Whoami(args) => {
            let client = Client::new(&args.remote)?;
            output::json(&client.get(&["v1", "auth", "whoami"], &[]).await?);
            Ok(())
        }
        Command::CanI(args) => can_i(args).await,
        Command::Check(args) => {
            let rules =
                access::check(&args.file).map_err(|error| CliError::Usage(error.to_string()))?;
            output::text_line(&rules.summary());
            Ok(())
        }
        Command::Roles(args) => {
            roles(args.output);
            Ok(())
        }
    }
}

async fn can_i(args: CanIArgs) -> Result<(), CliError> {
    let mut query = vec![("permission", args.permission)];
    if let Some(of) = &args.of {
        let (namespace, name) = of.split_once('/').map_or((&**of, None), |(a, b)| (a, Some(b)));
        query.push(("namespace", namespace.to_owned()));
        query.extend(name.map(|it| ("name", it.to_owned())));
    }
    query.extend(args.kind.map(|it| ("type", it)));
    let answer = Client::new(&args.remote)?.get(&["v1", "auth", "can-i"], &query).await?;
    let permission = answer["permission"].as_str().unwrap_or("").to_owned();
    if answer["allowed"].as_bool() == Some(true) {
        output::text_line("yes");
        return Ok(());
    }
    output::text_line("no");
    Err(CliError::coded(&NOT_PERMITTED, &format!("no grant of yours has {permission} for that")))
}

fn roles(format: Option<Format>) {
    let items: Vec<_> = BUILT_IN
        .iter()
        .map(|it| {
            let permissions: Vec<_> = it.permissions().each().map(|it| it.name()).collect();
            serde_json::json!({"role": it.name, "for": it.what, "permissions": permissions})
        })
        .collect();
    let page = serde_json::json!({ "items": items });
    output::page(&page, format, &["ROLE", "FOR", "PERMISSIONS"], |role| {
        let all = role["permissions"].as_array().into_iter().flatten();
        let all: Vec<_> = all.filter_map(|it| it.as_str()).collect();
        let text = |key: &str| role[key].as_str().unwrap_or("").to_owned();
        vec![text("role"), text("for"), all.join(" ")]
    });
}
