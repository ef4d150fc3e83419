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

    /// True when it is renewed with this very token.
    fn is_of(&self, refresh: &Refresh) -> bool {
        self.refresh.as_ref().is_some_and(|it| it.refresh_token == refresh.refresh_token)
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
    let provider = Provider::new()?;
    let renewal = provider.refresh(refresh).await?;
    // What was used may count no longer, also where nothing came that can be shown.
    let (renewed, result) = match renewal.kept {
        Ok(renewed) => (renewed, Ok(())),
        Err(error) => (Kept { refresh: Some(renewal.refresh), ..kept.clone() }, Err(error)),
    };
    match Kept::read(place)? {
        Some(now) if now.is_of(refresh) => {
            renewed.write(place)?;
            result.map(|()| renewed)
        }
        // Somebody logged in or out meanwhile, without the lock: theirs is what counts, and nobody
        // is to have what this brought. It ends by itself where that cannot be said.
        other => {
            let _ = provider.revoke(&renewed).await;
            other.ok_or_else(gone)
        }
    }
}

/// What no other process has at the same time: whoever writes or removes what is kept at a place
/// has it, or a renewal under way would bring back what was there before.
///
/// # Errors
/// When another process has it for too long, or it cannot be made.
pub(crate) async fn lock(place: &Path) -> Result<File, CliError> {
    // Behind all of the name: its end may be a part of an address, which others share.
    let mut name = place.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let unusable =
        |error: &dyn std::fmt::Display| CliError::Usage(format!("{}: {error}", path.display()));
    if let Some(folder) = place.parent() {
        profile::make(folder).map_err(|error| unusable(&error))?;
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::lock;

    #[tokio::test]
    async fn each_server_has_a_lock_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        // The folder is made with the first of them.
        let place = |name: &str| folder.path().join("tokens").join(name);
        let held = lock(&place("http_10.0.0.1_80")).await.ok().unwrap();
        lock(&place("http_10.0.0.2_80")).await.ok().unwrap();
        let (one, other) = (place("http_h.a_80"), place("http_h.b_80"));
        let (_one, _other) = (lock(&one).await.ok().unwrap(), lock(&other).await.ok().unwrap());
        let again = place("http_10.0.0.1_80");
        let mut waiting = Box::pin(lock(&again));
        let soon = Duration::from_millis(1);
        assert!(tokio::time::timeout(soon, &mut waiting).await.is_err(), "it is held");
        drop(held);
        assert!(waiting.await.is_ok());
    }
}
