//! The key that signs the heads of the trail: its own, so that who holds another of ours cannot
//! forge them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::error::AuditError;
use crate::file;

/// The version of the file.
const FORMAT: u32 = 1;

/// Signs heads. What is in it is wiped when it is dropped.
pub(super) struct AuditKey(SigningKey);

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuditKey").field(&self.public()).finish()
    }
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Kept {
    format: u32,
    seed: Zeroizing<String>,
}

impl AuditKey {
    /// A new one.
    pub(super) fn generate() -> Result<Self, AuditError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|it| AuditError::Randomness(it.to_string()))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads the key, or makes it where there is none; without a place it is of this process
    /// alone. Blocking.
    pub(super) fn open(place: Option<&Path>) -> Result<Self, AuditError> {
        let Some(path) = place else { return Self::generate() };
        let failed = |error| AuditError::File { path: path.to_owned(), error };
        match std::fs::read_to_string(path).map(Zeroizing::new) {
            Ok(text) => Self::parse(&text)
                .map_err(|reason| AuditError::Key { path: path.to_owned(), reason }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Self::generate()?;
                file::replace(path, key.to_text().as_bytes(), 0o600).map_err(failed)?;
                Ok(key)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        // The parser's own message could repeat a part of the key.
        let kept: Kept = serde_json::from_str(text)
            .map_err(|error| format!("line {}, column {}", error.line(), error.column()))?;
        if kept.format != FORMAT {
            return Err(format!("its format is {}, known is {FORMAT}", kept.format));
        }
        let bytes = Zeroizing::new(BASE64.decode(&*kept.seed).map_err(|_| "it is not Base64")?);
        let seed: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| "it has no 32 bytes")?;
        Ok(Self(SigningKey::from_bytes(seed)))
    }

    fn to_text(&self) -> Zeroizing<String> {
        let kept = Kept { format: FORMAT, seed: Zeroizing::new(BASE64.encode(self.0.as_bytes())) };
        // Strings and numbers: this cannot fail.
        Zeroizing::new(serde_json::to_string(&kept).unwrap_or_default())
    }

    /// What verifies its signatures.
    pub(super) fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(super) fn sign(&self, statement: &[u8]) -> Signature {
        Signature(self.0.sign(statement).to_bytes())
    }
}

/// What verifies heads: an Ed25519 key, in Base64 as URLs have it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// A text is no public key.
#[derive(Debug, thiserror::Error)]
#[error("a key is what `windlass audit key` prints: 43 characters of Base64")]
pub struct NotAKey;

impl PublicKey {
    pub(super) fn verifies(&self, statement: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(statement, &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let bytes = BASE64.decode(text).map_err(|_| NotAKey)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| NotAKey)?;
        VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| NotAKey)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A signature of a head.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Signature([u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let wrong = |_| serde::de::Error::custom("a signature has 64 bytes in Base64");
        let bytes = BASE64.decode(&*text).map_err(wrong)?;
        bytes.try_into().map(Self).map_err(|_| serde::de::Error::custom("64 bytes"))
    }
}

/// Where the key of a trail is kept.
pub(super) fn place(trail: &Path) -> PathBuf {
    trail.with_extension("key")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{AuditKey, place};

    #[test]
    fn a_key_is_made_once_and_is_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = place(&folder.path().join("audit.jsonl"));
        assert_eq!(path, folder.path().join("audit.key"));
        let key = AuditKey::open(Some(&path)).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(AuditKey::open(Some(&path)).unwrap().public(), key.public());
        assert_ne!(AuditKey::open(None).unwrap().public(), key.public());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!format!("{key:?}").contains(&text[20..40]));
        for bad in ["", "{}", "{\"format\":2,\"seed\":\"\"}", &text.replace("\":\"", "\":\"A")] {
            std::fs::write(&path, bad).unwrap();
            let error = AuditKey::open(Some(&path)).unwrap_err().to_string();
            assert!(error.contains("audit.key"), "{error}");
            assert!(!error.contains(&text[20..40]), "{error}");
        }
        let public = key.public();
        assert_eq!(public.to_string().parse::<super::PublicKey>().unwrap(), public);
        assert!("AAAA".parse::<super::PublicKey>().is_err());
    }
}
