//! What a login leaves: a token for a server, and what it is renewed with.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::Url;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use windlass_coordinator::clock;
use windlass_proto::limits;
use zeroize::Zeroizing;

use super::{Provider, failed};
use crate::error::CliError;
use crate::{input, profile};

/// What is kept of a login, for its owner alone.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Kept {
    /// What the server is shown.
    pub(crate) token: Zeroizing<String>,
    /// When it was given, and when it ends, in milliseconds since 1970; never unless that is known.
    pub(super) issued_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<u64>,
    /// What it is renewed with, where the provider gives that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh: Option<Refresh>,
}

/// What a token is renewed with.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Refresh {
    pub(super) refresh_token: Zeroizing<String>,
    pub(super) client: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resource: Option<String>,
    pub(super) token_endpoint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) revocation_endpoint: Option<String>,
}

/// Where the login for a server is kept: in the folder for configuration of who runs this.
pub(crate) fn place(server: &Url) -> Option<PathBuf> {
    let host = server.host_str()?.trim_start_matches('[').trim_end_matches(']').replace(':', ".");
    let port = server.port_or_known_default()?;
    let scheme = server.scheme();
    Some(profile::folder()?.join("tokens").join(format!("{scheme}_{host}_{port}")))
}

impl Kept {
    /// What is kept at a place, if something is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(place: &Path) -> Result<Option<Self>, CliError> {
        if !place.exists() {
            return Ok(None);
        }
        let text = Zeroizing::new(input::file(place, limits::LOGIN_ANSWER_BYTES)?);
        if !text.starts_with('{') {
            // Of a build that kept the token alone.
            let token = Zeroizing::new(text.trim().to_owned());
            return Ok(Some(Self { token, issued_at: 0, expires_at: None, refresh: None }));
        }
        let read = serde_json::from_str(&text);
        // Nothing of the text: it is a token.
        let unusable = |_| {
            let text = format!("{}: not what a login leaves; log in again", place.display());
            CliError::Usage(text)
        };
        read.map(Some).map_err(unusable)
    }

    /// Keeps it at a place; others see what was there before or this, whole.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, place: &Path) -> Result<(), CliError> {
        let failed = |error: &dyn std::fmt::Display| {
            CliError::Usage(format!("{}: {error}", place.display()))
        };
        let text = Zeroizing::new(serde_json::to_vec(self).map_err(|error| failed(&error))?);
        profile::replace(place, &text).map_err(|error| failed(&error))
    }

    /// Whether it is time for another: a minute before its end, or in the last quarter of a short
    /// life.
    pub(crate) fn is_due(&self) -> bool {
        let Some(end) = self.expires_at else { return false };
        let life = end.saturating_sub(self.issued_at);
        let early = limits::LOGIN_REFRESH_EARLY_MS.min(life / 4);
        self.refresh.is_some() && clock::now().0 >= end.saturating_sub(early)
    }

    /// True when it is renewed before it ends.
    pub(crate) fn is_renewed(&self) -> bool {
        self.refresh.is_some()
    }

    fn has_ended(&self) -> bool {
        self.expires_at.is_some_and(|end| clock::now().0 >= end)
    }
}

/// A login whose token is due, renewed: by this process or by another that was first.
///
/// # Errors
/// When that cannot be done, and the token has ended.
pub(crate) async fn refreshed(place: &Path, kept: &Kept) -> Result<Kept, CliError> {
    match renew(place).await {
        Ok(renewed) => Ok(renewed),
        // It counts a little longer.
        Err(_) if !kept.has_ended() => Ok(kept.clone()),
        Err(error) => Err(error),
    }
}

async fn renew(place: &Path) -> Result<Kept, CliError> {
    // A refresh token counts once: two that use it look like a theft.
    let _lock = lock(place).await?;
    let gone = || failed("nobody is logged in any more: windlass login");
    let kept = Kept::read(place)?.ok_or_else(gone)?;
    let Some(refresh) = kept.refresh.as_ref().filter(|_| kept.is_due()) else { return Ok(kept) };
    let renewed = Provider::new()?.refresh(refresh).await?;
    renewed.write(place)?;
    Ok(renewed)
}

/// What no other process has at the same time.
async fn lock(place: &Path) -> Result<File, CliError> {
    let path = place.with_extension("lock");
    let unusable =
        |error: &dyn std::fmt::Display| CliError::Usage(format!("{}: {error}", path.display()));
    let mut options = File::options();
    let file = options.create(true).append(true).mode(0o600).open(&path);
    let file = file.map_err(|error| unusable(&error))?;
    let ends = Instant::now() + Duration::from_millis(limits::LOGIN_LOCK_MS);
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(unusable(&error)),
        }
        if Instant::now() > ends {
            return Err(unusable(&"another process has it for too long"));
        }
        tokio::time::sleep(Duration::from_millis(limits::LOGIN_LOCK_AGAIN_MS)).await;
    }
}
