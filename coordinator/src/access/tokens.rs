//! Tokens of the server's own: made here, shown once, kept as hashes.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use windlass_proto::limits;
use windlass_proto::secret::Secret;
use windlass_proto::time::Timestamp;

use super::rules::Granted;
use crate::file;

/// What a token begins with, so that people and scanners of leaked secrets know one.
pub const PREFIX: &str = "wlt_";

/// Why tokens cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The file cannot be read or written, or holds something else.
    #[error("the tokens in {} cannot be used: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no more room.
    #[error("{} tokens are kept, and no more: revoke some first", limits::ACCESS_TOKENS)]
    TooMany,
    /// There is no such token.
    #[error("no token has the id {0}: `windlass token list` has the ids")]
    Unknown(String),
    /// The system has no randomness.
    #[error("no random bytes: {0}")]
    Random(getrandom::Error),
}

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRecord {
    /// Its id, by which it is revoked.
    pub id: String,
    /// SHA-256 of its text, in hexadecimal.
    sha256: String,
    /// What it is called: the subject of whoever shows it.
    pub name: String,
    /// What it allows.
    pub grants: Vec<Granted>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was shown last, as far as that was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
}

/// A token that is to be made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What it is called.
    pub name: String,
    /// What it allows.
    pub grants: Vec<Granted>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// The tokens there are.
#[derive(Debug)]
pub(super) struct Tokens {
    place: Option<PathBuf>,
    kept: Mutex<Kept>,
    /// Held by who writes the file.
    writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Kept {
    all: HashMap<[u8; 32], TokenRecord>,
    /// True when uses are not written down yet.
    used: bool,
}

impl Tokens {
    /// Those in the file, if there is one; without a place they end with the process. Blocking.
    pub(super) fn open(place: Option<PathBuf>) -> Result<Self, TokensError> {
        let records = match &place {
            Some(path) => read(path).map_err(|error| failed(path, error))?,
            None => Vec::new(),
        };
        let mut all = HashMap::new();
        for record in records {
            let Some(hash) = unhex(&record.sha256) else {
                let error = io::Error::other(format!("the hash of {} is none", record.id));
                return Err(failed(place.as_deref().unwrap_or(Path::new("")), error));
            };
            all.insert(hash, record);
        }
        let kept = Kept { all, used: false };
        Ok(Self { place, kept: Mutex::new(kept), writing: Mutex::default() })
    }

    /// The token with this hash, which was shown just now.
    pub(super) fn shown(&self, hash: &[u8; 32], now: Timestamp) -> Option<TokenRecord> {
        let mut kept = self.kept();
        let record = kept.all.get_mut(hash)?;
        record.last_used_at = Some(now);
        let record = record.clone();
        kept.used = true;
        Some(record)
    }

    /// The token with this hash.
    pub(super) fn get(&self, hash: &[u8; 32]) -> Option<TokenRecord> {
        self.kept().all.get(hash).cloned()
    }

    /// A token that was verified before was shown again.
    pub(super) fn used(&self, hash: &[u8; 32], now: Timestamp) {
        let mut kept = self.kept();
        if let Some(record) = kept.all.get_mut(hash) {
            record.last_used_at = Some(now);
            kept.used = true;
        }
    }

    /// All of them, the oldest first.
    pub(super) fn all(&self) -> Vec<TokenRecord> {
        let mut all: Vec<_> = self.kept().all.values().cloned().collect();
        all.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        all
    }

    /// Makes one, durably; its text is told this once. Blocking.
    pub(super) fn create(
        &self,
        new: NewToken,
        by: &str,
        now: Timestamp,
    ) -> Result<(Secret<String>, TokenRecord), TokensError> {
        let token = generate()?;
        let sha256: [u8; 32] = Sha256::digest(token.expose().as_bytes()).into();
        let record = TokenRecord {
            id: hex(&sha256[..8]),
            sha256: hex(&sha256),
            name: new.name,
            grants: new.grants,
            created_by: by.to_owned(),
            created_at: now,
            expires_at: new.expires_at,
            last_used_at: None,
        };
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.all();
        // What has ended makes room.
        all.retain(|it| it.expires_at.is_none_or(|it| it > now));
        if all.len() >= limits::ACCESS_TOKENS {
            return Err(TokensError::TooMany);
        }
        all.push(record.clone());
        self.write(&all)?;
        let mut kept = self.kept();
        kept.all.retain(|_, it| it.expires_at.is_none_or(|it| it > now));
        kept.all.insert(sha256, record.clone());
        drop(kept);
        Ok((token, record))
    }

    /// Ends one, durably. Blocking.
    pub(super) fn revoke(&self, id: &str) -> Result<TokenRecord, TokensError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.all();
        let found = all.iter().position(|it| it.id == id);
        let found = found.ok_or_else(|| TokensError::Unknown(id.to_owned()))?;
        let record = all.remove(found);
        // It ends before that is on disk: who revokes one has reason to.
        if let Some(hash) = unhex(&record.sha256) {
            self.kept().all.remove(&hash);
        }
        self.write(&all).inspect_err(|_| {
            // Until that is on disk it is tried again, with what is written down of uses.
            self.kept().used = true;
        })?;
        Ok(record)
    }

    /// Writes down when tokens were used, where that is new. Blocking.
    pub(super) fn write_down_use(&self) -> Result<(), TokensError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::take(&mut self.kept().used) {
            return Ok(());
        }
        self.write(&self.all()).inspect_err(|_| self.kept().used = true)
    }

    fn write(&self, all: &[TokenRecord]) -> Result<(), TokensError> {
        let Some(path) = &self.place else { return Ok(()) };
        // Texts and numbers: this cannot fail.
        let bytes = serde_json::to_vec_pretty(all).unwrap_or_default();
        file::replace(path, &bytes, 0o600).map_err(|error| failed(path, error))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new token's text.
///
/// # Errors
/// When the system has no randomness.
pub fn generate() -> Result<Secret<String>, TokensError> {
    let mut bytes = zeroize::Zeroizing::new([0; limits::ACCESS_TOKEN_BYTES]);
    getrandom::fill(&mut *bytes).map_err(TokensError::Random)?;
    Ok(Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(*bytes))))
}

/// What `auth.toml` has of a token.
#[must_use]
pub fn sha256(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The bytes of a hash in hexadecimal, in small or capital letters.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn failed(path: &Path, error: io::Error) -> TokensError {
    TokensError::File { path: path.to_owned(), error }
}

fn read(path: &Path) -> io::Result<Vec<TokenRecord>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use sha2::{Digest as _, Sha256};
    use windlass_proto::time::Timestamp;

    use super::{NewToken, Tokens, TokensError};

    fn new(name: &str, expires_at: Option<Timestamp>) -> NewToken {
        NewToken { name: name.to_owned(), grants: Vec::new(), expires_at }
    }

    #[test]
    fn a_token_is_kept_as_a_hash_and_ends_when_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("tokens.json");
        let tokens = Tokens::open(Some(place.clone())).unwrap();
        let (token, record) = tokens.create(new("ci", None), "ada", Timestamp(1)).unwrap();
        let hash: [u8; 32] = Sha256::digest(token.expose().as_bytes()).into();
        let text = std::fs::read_to_string(&place).unwrap();
        assert!(!text.contains(token.expose().as_str()) && text.contains("\"ci\""));
        assert_eq!(tokens.shown(&hash, Timestamp(2)).unwrap().name, "ci");
        tokens.write_down_use().unwrap();
        let again = Tokens::open(Some(place.clone())).unwrap();
        assert_eq!(again.all()[0].last_used_at, Some(Timestamp(2)));
        again.revoke(&record.id).unwrap();
        assert_eq!(again.get(&hash), None);
        assert!(Tokens::open(Some(place)).unwrap().all().is_empty());
        assert!(matches!(again.revoke(&record.id), Err(TokensError::Unknown(_))));
    }

    #[test]
    fn what_has_ended_makes_room() {
        let tokens = Tokens::open(None).unwrap();
        tokens.create(new("old", Some(Timestamp(5))), "ada", Timestamp(1)).unwrap();
        let (_, kept) = tokens.create(new("new", None), "ada", Timestamp(6)).unwrap();
        assert_eq!(tokens.all(), [kept]);
    }
}
