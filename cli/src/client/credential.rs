//! What shows the server who asks: a token, from wherever it is.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tokio::io::AsyncReadExt as _;
use tokio::sync::{Mutex, OnceCell};
use windlass_proto::limits::{ACCESS_CREDENTIAL_BYTES, TOKEN_COMMAND_MS};
use zeroize::Zeroizing;

use super::is_loopback;
use crate::error::CliError;
use crate::login::{self, Kept};
use crate::options::{Target, TokenFrom};

/// What there is to show.
pub(super) enum Credential {
    /// Nothing.
    None,
    /// The value of the `Authorization` header, marked as sensitive.
    Known(HeaderValue),
    /// What a program prints when it is needed, once.
    Command(Vec<String>, OnceCell<HeaderValue>),
    /// What a login left, and where.
    Login(PathBuf, Mutex<Kept>),
}

impl Credential {
    /// What there is for a server.
    ///
    /// # Errors
    /// When it cannot be read, or others could read it on its way.
    pub(super) fn of(target: &Target) -> Result<Self, CliError> {
        guard_headers(target)?;
        if target.headers.iter().any(|it| it.name() == AUTHORIZATION) {
            // There can be one only, and this is what was asked for.
            return Ok(Self::None);
        }
        let token = match &target.token {
            TokenFrom::File(path) => read(path)?,
            TokenFrom::Text(token) => token.clone(),
            TokenFrom::Command(command) => {
                guard(&target.url, "choose a profile without token-command")?;
                return Ok(Self::Command(command.clone(), OnceCell::new()));
            }
            TokenFrom::Login => {
                let Some(place) = login::place(&target.url) else { return Ok(Self::None) };
                let Some(kept) = Kept::read(&place)? else { return Ok(Self::None) };
                guard(&target.url, "windlass logout")?;
                return Ok(Self::Login(place, Mutex::new(kept)));
            }
        };
        guard(&target.url, "unset WINDLASS_TOKEN and --token-file")?;
        bearer(&token).map(Self::Known)
    }

    /// True where there is something to show.
    pub(super) fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// The header that shows it.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(super) async fn header(&self) -> Result<Option<HeaderValue>, CliError> {
        match self {
            Self::None => Ok(None),
            Self::Known(value) => Ok(Some(value.clone())),
            Self::Command(command, kept) => {
                let value = kept.get_or_try_init(|| printed(command)).await?;
                Ok(Some(value.clone()))
            }
            Self::Login(place, kept) => {
                let mut kept = kept.lock().await;
                if kept.is_due() {
                    *kept = login::refreshed(place, &kept).await?;
                }
                bearer(&kept.token).map(Some)
            }
        }
    }
}

/// Refuses to send headers that somebody chose where others can read them: any of them may be a
/// credential, as that of a proxy before the server has any name.
///
/// # Errors
/// When they would be.
pub(super) fn guard_headers(target: &Target) -> Result<(), CliError> {
    match target.headers.first() {
        Some(header) => guard(&target.url, &format!("leave the header {} out", header.name())),
        None => Ok(()),
    }
}

/// Refuses to send what is a credential where others can read it.
///
/// # Errors
/// When they can.
pub(crate) fn guard(server: &Url, otherwise: &str) -> Result<(), CliError> {
    if server.scheme() == "http" && !is_loopback(server) {
        let text = format!(
            "{server} is plain HTTP to another machine: whoever is between could read it. \
             Write https://, or {otherwise}"
        );
        return Err(CliError::Usage(text));
    }
    Ok(())
}

fn bearer(token: &str) -> Result<HeaderValue, CliError> {
    let value = Zeroizing::new(format!("Bearer {}", token.trim()));
    let mut header = HeaderValue::from_str(&value)
        .map_err(|_| CliError::Usage("a token is one line of visible characters".to_owned()))?;
    header.set_sensitive(true);
    Ok(header)
}

/// The token that a program prints. It may ask whoever runs this.
async fn printed(command: &[String]) -> Result<HeaderValue, CliError> {
    let [program, arguments @ ..] = command else {
        return Err(CliError::Usage("token-command names no program".to_owned()));
    };
    // Nothing of its output: it may be a token.
    let failed = |why: &str| CliError::Usage(format!("token-command {program}: {why}"));
    let mut running = tokio::process::Command::new(program)
        .args(arguments)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(&error.to_string()))?;
    let mut output = running.stdout.take().ok_or_else(|| failed("it has no output"))?;
    let mut text = Zeroizing::new(String::new());
    let most = ACCESS_CREDENTIAL_BYTES as u64 + 1;
    let ended = async {
        (&mut output).take(most).read_to_string(&mut text).await?;
        drop(output);
        running.wait().await
    };
    match tokio::time::timeout(Duration::from_millis(TOKEN_COMMAND_MS), ended).await {
        Err(_) => return Err(failed("it printed no token in time")),
        Ok(Err(error)) => return Err(failed(&error.to_string())),
        Ok(Ok(status)) if !status.success() => return Err(failed(&status.to_string())),
        Ok(Ok(_)) => {}
    }
    match text.trim().is_empty() || text.len() > ACCESS_CREDENTIAL_BYTES {
        true => Err(failed(&format!("a token has 1 to {ACCESS_CREDENTIAL_BYTES} bytes"))),
        false => bearer(&text),
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let unusable =
        |reason: &dyn std::fmt::Display| CliError::Usage(format!("{}: {reason}", path.display()));
    let mut text = Zeroizing::new(String::new());
    let mut file = File::open(path).map_err(|error| unusable(&error))?;
    let most = ACCESS_CREDENTIAL_BYTES as u64 + 1;
    file.by_ref().take(most).read_to_string(&mut text).map_err(|error| unusable(&error))?;
    match text.trim().is_empty() || text.len() > ACCESS_CREDENTIAL_BYTES {
        true => Err(unusable(&format!("a token has 1 to {ACCESS_CREDENTIAL_BYTES} bytes"))),
        false => Ok(text),
    }
}
