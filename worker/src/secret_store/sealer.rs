//! Sealing with a key of our own, for stores that cannot encrypt.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead as _, AeadCore as _, KeyInit as _, OsRng, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};
use windlass_proto::id::InstanceId;
use windlass_proto::sealed::Sealed;
use zeroize::Zeroizing;

use super::SecretError;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// Bytes of a nonce: so many that random ones do not repeat.
const NONCE_BYTES: usize = 24;

/// What seals values where the store of secrets does not: XChaCha20-Poly1305 with one key, under
/// which namespace and instance are bound to each value.
pub struct SealingKey {
    name: Arc<str>,
    cipher: XChaCha20Poly1305,
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SealingKeyError {
    /// The file cannot be read.
    #[error("cannot read the sealing key {path}: {reason}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It is no key. The text is not shown: it may be one nearly.
    #[error(
        "a sealing key is 32 random bytes in hexadecimal or base64, as `openssl rand -hex 32` gives them"
    )]
    NotAKey,
}

impl SealingKey {
    /// A key that only this process has: what it seals, no other can open, and nobody after its
    /// end.
    #[must_use]
    pub fn of_this_process() -> Self {
        let name = format!("process-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let key = Zeroizing::new(XChaCha20Poly1305::generate_key(&mut OsRng));
        Self { name: name.into(), cipher: XChaCha20Poly1305::new(&key) }
    }

    /// A key of 32 bytes in hexadecimal or base64, which all workers must have.
    ///
    /// # Errors
    /// When `text` is something else.
    pub fn parse(text: &str) -> Result<Self, SealingKeyError> {
        let text = text.trim();
        let bytes = if text.len() == KEY_BYTES * 2 {
            unhex(text)
        } else {
            STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()
        };
        let bytes = Zeroizing::new(bytes.ok_or(SealingKeyError::NotAKey)?);
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes);
        let cipher = cipher.map_err(|_| SealingKeyError::NotAKey)?;
        // Its name tells keys apart and says nothing about them.
        let digest = Sha256::new().chain_update(b"windlass sealing key").chain_update(&bytes);
        let digest: String =
            digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { name: format!("file-{digest}").into(), cipher })
    }

    /// [`Self::parse`] of a file.
    ///
    /// # Errors
    /// When it cannot be read or holds something else.
    pub fn file(path: &Path) -> Result<Self, SealingKeyError> {
        let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
            SealingKeyError::Unreadable { path: path.to_owned(), reason: error.to_string() }
        })?;
        Self::parse(&text)
    }

    /// What sealed values call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Encrypts `text` for tasks of this namespace.
    pub(super) fn seal(
        &self,
        text: &[u8],
        namespace: &Arc<str>,
        instance: InstanceId,
    ) -> Result<Sealed, SecretError> {
        let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
        let bound = bound(namespace, instance);
        let payload = Payload { msg: text, aad: &bound };
        let encrypted = self.cipher.encrypt(&nonce, payload);
        let encrypted = encrypted.map_err(|_| {
            SecretError::Unavailable("a value is too large to be encrypted".to_owned())
        })?;
        let ciphertext = [&nonce[..], &encrypted].concat();
        Ok(Sealed { key: self.name.clone(), namespace: namespace.clone(), instance, ciphertext })
    }

    /// Decrypts what was sealed with this key, for a task of `namespace`.
    pub(super) fn open(
        &self,
        sealed: &Sealed,
        namespace: &str,
    ) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        if *sealed.namespace != *namespace {
            return Err(SecretError::Forbidden);
        }
        if sealed.key != self.name {
            return Err(SecretError::OtherKey(format!(
                "it was sealed with the key {}, and this worker has {}. Give all workers the same key \
                 file; without one a key ends with its process",
                sealed.key, self.name
            )));
        }
        let damaged = || SecretError::OtherKey("it was changed since it was sealed".to_owned());
        let (nonce, encrypted) =
            sealed.ciphertext.split_at_checked(NONCE_BYTES).ok_or_else(damaged)?;
        let bound = bound(&sealed.namespace, sealed.instance);
        let payload = Payload { msg: encrypted, aad: &bound };
        let nonce: &XNonce = nonce.into();
        let opened = self.cipher.decrypt(nonce, payload);
        opened.map(Zeroizing::new).map_err(|_| damaged())
    }
}

/// What a ciphertext is bound to.
fn bound(namespace: &str, instance: InstanceId) -> Vec<u8> {
    // No name has a zero byte, so that no two places give the same.
    [b"windlass sealed value 1\0", namespace.as_bytes(), b"\0", instance.0.as_bytes()].concat()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|it| it.to_digit(16).and_then(|it| u8::try_from(it).ok())).collect();
    digits?
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(high << 4 | low),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use windlass_proto::id::InstanceId;
    use windlass_proto::sealed::Sealed;

    use super::{SealingKey, SealingKeyError};
    use crate::SecretError;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn seal(key: &SealingKey) -> Sealed {
        key.seal(b"secret", &"acme".into(), InstanceId(uuid::Uuid::from_u128(7))).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_in_the_same_namespace_only() {
        let key = SealingKey::parse(HEX).unwrap();
        let same = SealingKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").unwrap();
        let sealed = seal(&key);
        assert_eq!(sealed.key, "file-b624e18f802b2d74".into());
        assert_ne!(sealed.ciphertext, seal(&key).ciphertext);
        assert_eq!(**same.open(&sealed, "acme").unwrap(), *b"secret");
        assert_eq!(key.open(&sealed, "other"), Err(SecretError::Forbidden));
        let other = SealingKey::of_this_process();
        let error = other.open(&sealed, "acme").unwrap_err().to_string();
        assert!(error.contains(key.name()) && error.contains(other.name()), "{error}");
        assert_ne!(other.name(), SealingKey::of_this_process().name());
    }

    #[test]
    fn it_is_bound_to_where_it_was_sealed() {
        let key = SealingKey::parse(HEX).unwrap();
        let sealed = seal(&key);
        let refused = |sealed: &Sealed, namespace| {
            assert!(matches!(key.open(sealed, namespace), Err(SecretError::OtherKey(_))));
        };
        refused(&Sealed { namespace: "evil".into(), ..sealed.clone() }, "evil");
        refused(&Sealed { instance: InstanceId(uuid::Uuid::nil()), ..sealed.clone() }, "acme");
        let mut changed = sealed.clone();
        *changed.ciphertext.last_mut().unwrap() ^= 1;
        refused(&changed, "acme");
        refused(&Sealed { ciphertext: vec![1; 5], ..sealed }, "acme");
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        for text in ["", "hush", &HEX[..62], &format!("{}zz", &HEX[..62]), "AAECAwQ="] {
            let Err(error) = SealingKey::parse(text) else { panic!("{text} is no key") };
            assert!(matches!(error, SealingKeyError::NotAKey));
            assert!(!error.to_string().contains("hush"));
        }
        let missing = SealingKey::file(std::path::Path::new("/nonexistent/key"));
        assert!(matches!(missing, Err(SealingKeyError::Unreadable { .. })));
    }
}
