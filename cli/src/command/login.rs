//! `windlass login`: a token of an identity provider, kept for a server, and renewed; `logout`.

use std::io::IsTerminal as _;
use std::path::Path;

use serde_json::Value as Json;
use windlass_coordinator::access::Login;

use crate::client::{Client, guard};
use crate::code::LOGIN_FAILED;
use crate::error::CliError;
use crate::login::{Kept, Provider, has_display, lock, place};
use crate::options::{Remote, Target, TokenFrom};
use crate::output;

/// Get a token of the identity provider that a server trusts, and keep it for that server.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  windlass login --url https://windlass.example.com\n  windlass login \
                  --device\n\n\
                  The token is kept in ~/.config/windlass/tokens, for its owner alone, shown to that \
                  server, and renewed where the provider gives a refresh token. Which provider it is, \
                  the server says (auth.toml, `client`)."
)]
pub(crate) struct LoginArgs {
    /// Which provider, where the server trusts several
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Log in with a browser of this machine: where the provider offers that, and this is a
    /// terminal on a machine with a display, it is done so anyway
    #[arg(long, conflicts_with = "device")]
    browser: bool,
    /// Log in with a browser of any machine
    #[arg(long)]
    device: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Forget the token that is kept for a server.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass logout --url https://windlass.example.com")]
pub(crate) struct LogoutArgs {
    #[command(flatten)]
    remote: Remote,
}

/// Runs `login`.
pub(crate) async fn login(args: LoginArgs) -> Result<(), CliError> {
    let target = args.remote.target()?;
    // Before anything goes there: the token that comes of it could not be shown.
    guard(&target.url, "log in on that machine")?;
    let place = place(&target.url).ok_or_else(|| {
        CliError::Usage("there is no place for tokens: HOME is not set".to_owned())
    })?;
    // Who asks has no token yet, or one that has ended.
    let client = Client::without_token(&target)?;
    let found = client.get(&["v1", "auth", "providers"], &[]).await?;
    let login = choose(&found, args.provider.as_deref())?;
    let provider = Provider::new()?;
    let provider = provider.find(&login).await?;
    let sits_here = || std::io::stderr().is_terminal() && has_display();
    let by_browser = match (args.browser, args.device) {
        (true, _) => true,
        (_, true) => false,
        _ => provider.offers_browser() && (sits_here() || !provider.offers_device()),
    };
    let kept = match by_browser {
        true => provider.by_browser().await?,
        false => provider.by_device().await?,
    };
    // Not while somebody logs in: others go on with what was there before.
    let held = lock(&place).await?;
    kept.write(&place)?;
    drop(held);
    let target = Target { token: TokenFrom::Login, ..target };
    let who = Client::of(&target)?.get(&["v1", "auth", "whoami"], &[]).await?;
    let text = |key: &str| who[key].as_str().unwrap_or("").to_owned();
    let until = match text("expiresAt") {
        it if it.is_empty() => String::new(),
        it => format!(", until {it}"),
    };
    let renewed = if kept.is_renewed() { ", and renewed then" } else { "" };
    output::message(&format!(
        "logged in as {} of {}{until}{renewed}",
        text("subject"),
        text("issuer")
    ));
    Ok(())
}

/// Runs `logout`.
pub(crate) async fn logout(args: LogoutArgs) -> Result<(), CliError> {
    let server = args.remote.target()?.url;
    let told = match place(&server).filter(|it| it.exists()) {
        Some(place) => forget(&place).await,
        None => Ok(()),
    };
    output::message(&format!("no token is kept for {server}"));
    told
}

/// Removes what is kept at a place, and tells the provider.
async fn forget(place: &Path) -> Result<(), CliError> {
    // A renewal under way would write it again.
    let held = lock(place).await?;
    // What cannot be read is removed all the same.
    let kept = Kept::read(place).ok().flatten();
    match std::fs::remove_file(place) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(CliError::Usage(format!("the token cannot be removed: {error}")));
        }
        _ => {}
    }
    drop(held);
    match kept {
        Some(kept) => Provider::new()?.revoke(&kept).await.map(drop),
        None => Ok(()),
    }
}

/// The provider that is meant.
fn choose(found: &Json, name: Option<&str>) -> Result<Login, CliError> {
    let items = found["items"].as_array().cloned().unwrap_or_default();
    let all = items.into_iter().filter_map(|it| serde_json::from_value::<Login>(it).ok());
    let all: Vec<_> = all.collect();
    let names = || all.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ");
    let chosen = match (name, &all[..]) {
        (Some(name), _) => all.iter().find(|it| it.name == name).ok_or_else(|| {
            CliError::Usage(format!("the server knows no provider `{name}`; there are {}", names()))
        }),
        (None, [one]) => Ok(one),
        (None, []) => {
            let text = "the server names no identity provider to log in with: an `[[issuer]]` of its \
                        auth.toml needs a `client`. Ask its administrator for a token";
            Err(CliError::coded(&LOGIN_FAILED, text))
        }
        (None, _) => Err(CliError::Usage(format!("say which provider by --provider: {}", names()))),
    };
    chosen.cloned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::choose;

    #[test]
    fn one_provider_needs_no_name() {
        let provider = |name: &str| json!({"name": name, "url": "https://id", "client": "c", "scopes": ["openid"]});
        let one = json!({"items": [provider("a")]});
        assert_eq!(choose(&one, None).unwrap().name, "a");
        assert!(choose(&one, Some("b")).is_err());
        let two = json!({"items": [provider("a"), provider("b")]});
        assert!(choose(&two, None).is_err());
        assert_eq!(choose(&two, Some("b")).unwrap().name, "b");
        assert!(choose(&json!({"items": []}), None).is_err());
    }
}
