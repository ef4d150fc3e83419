//! `windlass profile`: servers by name.

use serde_json::{Value as Json, json};

use crate::error::CliError;
use crate::output::{self, Format};
use crate::profile::{Profile, Profiles, VARIABLE};

/// See the servers that have a name on this machine, and choose one.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  windlass profile list\n  windlass profile use prod\n  windlass \
                        --profile staging list\n\n\
                        They stand in ~/.config/windlass/profiles.toml, or in WINDLASS_PROFILES:\n\n  \
                        [profile.prod]\n  url = \"https://windlass.example.com\"\n  token-file = \
                        \"prod.token\"\n\ndocs/access.md has all keys."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List them
    List(ListArgs),
    /// Show what one says, without credentials
    Show(ShowArgs),
    /// Make one the profile of commands that name none
    Use(UseArgs),
}

#[derive(clap::Args)]
struct ListArgs {
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
}

#[derive(clap::Args)]
struct ShowArgs {
    /// Which one [default: the one that counts where none is named]
    name: Option<String>,
}

#[derive(clap::Args)]
struct UseArgs {
    /// Which one
    name: String,
}

/// What is shown of a credential.
const HIDDEN: &str = "«hidden»";

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    let profiles = Profiles::read()?;
    match &args.command {
        Command::List(args) => list(args, profiles.as_ref()),
        Command::Show(args) => {
            let variable = std::env::var(VARIABLE).ok().filter(|it| !it.is_empty());
            let name = args.name.as_deref().or(variable.as_deref());
            let found = match &profiles {
                Some(profiles) => profiles.choose(name)?,
                None => name.map_or(Ok(None), |name| Err(Profiles::none(name)))?,
            };
            let none = || CliError::Usage("no profile is in use: name one".to_owned());
            output::json(&shown(&found.ok_or_else(none)?));
            Ok(())
        }
        Command::Use(args) => {
            let profiles = profiles.ok_or_else(|| Profiles::none(&args.name))?;
            profiles.set_default(&args.name)?;
            output::message(&format!("{} is in use where no profile is named", args.name));
            Ok(())
        }
    }
}

fn list(args: &ListArgs, profiles: Option<&Profiles>) -> Result<(), CliError> {
    let default = profiles.and_then(Profiles::default);
    let all = profiles.into_iter().flat_map(Profiles::all);
    let item = |it: &Profile| json!({"name": it.name, "url": it.url, "default": default == Some(it.name.as_str())});
    let page = json!({"items": all.map(item).collect::<Vec<_>>()});
    output::page(&page, args.output, &["NAME", "URL", "IN USE"], |it| {
        let text = |key: &str| it[key].as_str().unwrap_or("").to_owned();
        let used = if it["default"] == true { "yes" } else { "" };
        vec![text("name"), text("url"), used.to_owned()]
    });
    Ok(())
}

/// A profile as everybody may see it.
fn shown(profile: &Profile) -> Json {
    let mut view = json!({"name": profile.name, "url": profile.url});
    let paths = [
        ("certificateAuthority", &profile.certificate_authority),
        ("clientCertificate", &profile.client_certificate),
        ("clientKey", &profile.client_key),
        ("tokenFile", &profile.token_file),
    ];
    for (key, path) in paths {
        if let Some(path) = path {
            view[key] = path.display().to_string().into();
        }
    }
    if let [program, arguments @ ..] = &profile.token_command[..] {
        // An argument may be a credential.
        let hidden = arguments.iter().map(|_| HIDDEN);
        view["tokenCommand"] = std::iter::once(program.as_str()).chain(hidden).collect();
    }
    for header in &profile.headers {
        view["headers"][header.name().as_str()] = HIDDEN.into();
    }
    view
}
