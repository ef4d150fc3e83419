//! Keys of the task path: what a coordinator is, and what lets a worker join it.
//!
//! A coordinator has one secret of 32 bytes. Its X25519 public key is pinned in the configuration
//! of every worker, together with an *enrolment*: a secret, derived for one pool or for any,
//! without which a client of the bus cannot register. Both travel as one line of text, the worker
//! key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use crypto_box::aead::OsRng;
use crypto_box::aead::rand_core::RngCore as _;
use crypto_box::{PublicKey, SalsaBox, SecretKey};
use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::AssignmentKey;
use super::subject::is_token;

/// Begins the text of a coordinator's key.
const COORDINATOR: &str = "ck1_";

/// Begins the text of a worker key.
const WORKER: &str = "wk1_";

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// Bytes of the hash that names a coordinator.
const NAME_BYTES: usize = 8;

/// Bytes of the token of an assignment.
pub const TOKEN_BYTES: usize = 16;

/// Proves that an assignment was given: only the coordinator can make it, and only the worker that
/// got the assignment has it.
pub type Token = [u8; TOKEN_BYTES];

/// Text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a coordinator's key.
    #[error(
        "this is no coordinator key: it begins with `{COORDINATOR}`, and is made by `windlass coordinator key`"
    )]
    Coordinator,
    /// Not a worker key.
    #[error(
        "this is no worker key: it begins with `{WORKER}`, and is printed by `windlass coordinator key`"
    )]
    Worker,
}

/// A coordinator's key.
pub struct CoordinatorKey {
    secret: SecretKey,
    enrolment: Zeroizing<[u8; KEY_BYTES]>,
    tokens: Hmac<Sha256>,
}

impl CoordinatorKey {
    /// A new key, from the system's source of randomness.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        OsRng.fill_bytes(&mut *bytes);
        Self::from_bytes(&bytes)
    }

    fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        Self {
            secret: SecretKey::from(*bytes),
            enrolment: Zeroizing::new(derive(bytes, b"windlass enrolment 1")),
            tokens: keyed(&derive(bytes, b"windlass assignment token 1")),
        }
    }

    /// Reads the text that [`Self::to_text`] gives.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let encoded = text.trim().strip_prefix(COORDINATOR).ok_or(KeyError::Coordinator)?;
        let bytes = Zeroizing::new(BASE64.decode(encoded).map_err(|_| KeyError::Coordinator)?);
        let bytes: &[u8; KEY_BYTES] =
            bytes.as_slice().try_into().map_err(|_| KeyError::Coordinator)?;
        Ok(Self::from_bytes(bytes))
    }

    /// The key as one line of text, to be kept where only the coordinator can read it.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(self.secret.to_bytes());
        let encoded = Zeroizing::new(BASE64.encode(*bytes));
        Zeroizing::new(format!("{COORDINATOR}{}", *encoded))
    }

    /// What the coordinator is called on the bus, in letters and digits: the same for the same key,
    /// and nothing can be learned from it.
    #[must_use]
    pub fn name(&self) -> String {
        let digest = Sha256::digest(self.secret.public_key().as_bytes());
        digest.iter().take(NAME_BYTES).map(|it| format!("{it:02x}")).collect()
    }

    /// A key of its own for something else that those who have this one do together.
    #[must_use]
    pub fn derived(&self, purpose: &[u8]) -> Zeroizing<[u8; KEY_BYTES]> {
        let bytes = Zeroizing::new(self.secret.to_bytes());
        Zeroizing::new(derive(&bytes, purpose))
    }

    /// The key for workers of one pool, or of any.
    #[must_use]
    pub fn worker_key(&self, pool: Option<&str>) -> WorkerKey {
        WorkerKey {
            coordinator: self.secret.public_key(),
            enrolment: Zeroizing::new(derive(&self.enrolment, pool.unwrap_or_default().as_bytes())),
            pool: pool.map(str::to_owned),
        }
    }

    /// True when `enrolment` was derived for `pool` or for any.
    #[must_use]
    pub fn admits(&self, enrolment: &[u8], pool: &str) -> bool {
        let given = |pool: &str| {
            // The comparison takes the same time whatever the bytes are.
            let mut mac = keyed(&self.enrolment);
            mac.update(pool.as_bytes());
            mac.verify_slice(enrolment).is_ok()
        };
        given(pool) || given("")
    }

    /// What this coordinator shares with whoever has the secret of `worker`.
    #[must_use]
    pub fn cipher(&self, worker: &[u8; 32]) -> SalsaBox {
        SalsaBox::new(&PublicKey::from(*worker), &self.secret)
    }

    /// The token of an assignment.
    #[must_use]
    pub fn token(&self, key: &AssignmentKey) -> Token {
        let mut token = [0; TOKEN_BYTES];
        let full = self.token_mac(key).finalize().into_bytes();
        token.copy_from_slice(&full[..TOKEN_BYTES]);
        token
    }

    /// True when `token` is that of `key`.
    #[must_use]
    pub fn is_token(&self, key: &AssignmentKey, token: &[u8]) -> bool {
        token.len() == TOKEN_BYTES && self.token_mac(key).verify_truncated_left(token).is_ok()
    }

    fn token_mac(&self, key: &AssignmentKey) -> Hmac<Sha256> {
        let AssignmentKey { instance, frame, delivery, partition, epoch } = key;
        let mut mac = self.tokens.clone();
        mac.update(instance.0.as_bytes());
        mac.update(&frame.0.to_be_bytes());
        mac.update(&delivery.to_be_bytes());
        mac.update(&partition.0.to_be_bytes());
        mac.update(&epoch.to_be_bytes());
        mac
    }
}

/// What a worker needs to join: whom to believe, and what to show.
#[derive(Clone)]
pub struct WorkerKey {
    pub(super) coordinator: PublicKey,
    pub(super) enrolment: Zeroizing<[u8; KEY_BYTES]>,
    pool: Option<String>,
}

impl WorkerKey {
    /// Reads the text that [`Self::to_text`] gives.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let encoded = text.trim().strip_prefix(WORKER).ok_or(KeyError::Worker)?;
        let bytes = Zeroizing::new(BASE64.decode(encoded).map_err(|_| KeyError::Worker)?);
        let (coordinator, rest) = bytes.split_first_chunk::<KEY_BYTES>().ok_or(KeyError::Worker)?;
        let (enrolment, pool) = rest.split_first_chunk::<KEY_BYTES>().ok_or(KeyError::Worker)?;
        let pool = std::str::from_utf8(pool).map_err(|_| KeyError::Worker)?;
        if !pool.is_empty() && !is_token(pool) {
            return Err(KeyError::Worker);
        }
        Ok(Self {
            coordinator: PublicKey::from(*coordinator),
            enrolment: Zeroizing::new(*enrolment),
            pool: (!pool.is_empty()).then(|| pool.to_owned()),
        })
    }

    /// The key as one line of text; whoever has it can join as a worker.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::new());
        bytes.extend_from_slice(self.coordinator.as_bytes());
        bytes.extend_from_slice(&*self.enrolment);
        bytes.extend_from_slice(self.pool.as_deref().unwrap_or_default().as_bytes());
        let encoded = Zeroizing::new(BASE64.encode(&*bytes));
        Zeroizing::new(format!("{WORKER}{}", *encoded))
    }

    /// The pool it admits to; none for any.
    #[must_use]
    pub fn pool(&self) -> Option<&str> {
        self.pool.as_deref()
    }
}

impl fmt::Debug for WorkerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerKey").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// A key for another purpose.
fn derive(key: &[u8; KEY_BYTES], purpose: &[u8]) -> [u8; KEY_BYTES] {
    let mut mac = keyed(key);
    mac.update(purpose);
    let mut full = mac.finalize().into_bytes();
    let derived: [u8; KEY_BYTES] = full.into();
    full.zeroize();
    derived
}

fn keyed(key: &[u8; KEY_BYTES]) -> Hmac<Sha256> {
    // A key of the hash's block size or less is taken as it is, padded with zeros.
    let mut block = [0; 64];
    block[..KEY_BYTES].copy_from_slice(key);
    let mac = <Hmac<Sha256> as hmac::digest::KeyInit>::new(&block.into());
    block.zeroize();
    mac
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{CoordinatorKey, WorkerKey};
    use crate::id::{FrameId, InstanceId, PartitionId};
    use crate::wire::AssignmentKey;

    #[test]
    fn keys_survive_text() {
        let key = CoordinatorKey::generate();
        let again = CoordinatorKey::parse(&format!("{}\n", *key.to_text())).unwrap();
        assert_eq!(*key.to_text(), *again.to_text());
        for pool in [None, Some("gpu")] {
            let worker = WorkerKey::parse(&again.worker_key(pool).to_text()).unwrap();
            assert_eq!(worker.pool(), pool);
            assert!(key.admits(&*worker.enrolment, pool.unwrap_or("any")));
        }
        assert!(CoordinatorKey::parse(&key.worker_key(None).to_text()).is_err());
        assert!(WorkerKey::parse(&key.to_text()).is_err());
        assert!(WorkerKey::parse("wk1_AAAA").is_err());
    }

    #[test]
    fn an_enrolment_admits_to_its_pool_only() {
        let key = CoordinatorKey::generate();
        let gpu = key.worker_key(Some("gpu"));
        assert!(key.admits(&*gpu.enrolment, "gpu"));
        assert!(!key.admits(&*gpu.enrolment, "default"));
        assert!(!key.admits(&*gpu.enrolment, ""));
        assert!(!key.admits(&[], "gpu"));
        let other = CoordinatorKey::generate().worker_key(None);
        assert!(!key.admits(&*other.enrolment, "gpu"));
    }

    #[test]
    fn a_token_belongs_to_one_delivery() {
        let key = CoordinatorKey::generate();
        let given = AssignmentKey {
            instance: InstanceId(Uuid::from_u128(7)),
            frame: FrameId(3),
            delivery: 1,
            partition: PartitionId(0),
            epoch: 9,
        };
        let token = key.token(&given);
        assert!(key.is_token(&given, &token));
        assert!(!key.is_token(&given, &token[..8]));
        assert!(!key.is_token(&given, &[]));
        for other in [
            AssignmentKey { delivery: 2, ..given.clone() },
            AssignmentKey { epoch: 8, ..given.clone() },
            AssignmentKey { frame: FrameId(4), ..given.clone() },
        ] {
            assert!(!key.is_token(&other, &token));
        }
        assert!(!CoordinatorKey::generate().is_token(&given, &token));
    }
}
