//! How what is in a backup is sealed, and what opens it.
//!
//! ```text
//!  passphrase, salt ── scrypt ──> wraps ──> the key of the directory ── HMAC ──┬─> names objects
//!                                                                            └─> seals them
//!  encrypted: nonce: 24 bytes | XChaCha20-Poly1305 of the packed bytes, for the name
//!  else:      HMAC of name and packed bytes: 32 bytes | packed bytes
//! ```
//!
//! The name is authenticated with what it names, so that nothing sound can stand for another.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac as _};
use lz4_flex::block;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use zeroize::Zeroizing;

use super::BackupError;

/// Bytes of a key.
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const SALT_BYTES: usize = 16;
const MAC_BYTES: usize = 32;

/// The newest format that this version writes and reads.
pub(super) const FORMAT: u8 = 1;

/// What a key is wrapped for.
const KEY_NAME: &[u8] = b"windlass backup key 1";

/// A passphrase, as a file has it. It is never shown.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Reads the first line of a file.
    ///
    /// # Errors
    /// When there is none, or it is too short to keep anything from anybody.
    pub fn read(path: &Path) -> Result<Self, BackupError> {
        let failed = |error| BackupError::io(path, error);
        let mut text = Zeroizing::new(String::new());
        let file = File::open(path).map_err(failed)?;
        file.take(limits::BACKUP_PASSPHRASE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
        let line = text.lines().next().unwrap_or_default().trim();
        let length = line.len();
        let most = usize::try_from(limits::BACKUP_PASSPHRASE_BYTES).unwrap_or(usize::MAX);
        if (limits::BACKUP_PASSPHRASE_LEAST..=most).contains(&length) {
            return Ok(Self(Zeroizing::new(line.to_owned())));
        }
        let least = limits::BACKUP_PASSPHRASE_LEAST;
        Err(BackupError::Unusable(format!(
            "the first line of {} is the passphrase, and must have {least} to {most} bytes: \
             `openssl rand -base64 32` makes a good one",
            path.display()
        )))
    }
}

/// What keeps a backup from those who have its files.
pub enum Protection {
    /// It is encrypted.
    Passphrase(Passphrase),
    /// Nothing, which somebody has asked for.
    None,
}

/// What a place says of itself, for everybody to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "the header of a place of backups")]
pub(super) struct Header {
    /// The format of all that is there.
    pub(super) format: u8,
    /// Which place it is.
    pub(super) id: Uuid,
    /// When it was made.
    pub(super) at: Timestamp,
    /// How it is encrypted; null where it is not.
    pub(super) encryption: Option<Encryption>,
    /// The CRC-32 of all that; absent in the first ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    check: Option<u32>,
}

/// How the key of a place is made of a passphrase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "how a backup is encrypted")]
pub(super) struct Encryption {
    /// scrypt's cost: the logarithm of N.
    log_n: u8,
    r: u32,
    p: u32,
    salt: String,
    /// The key of the place, sealed under that.
    key: String,
}

impl Header {
    /// A new place's, with its keys.
    pub(super) fn new(at: Timestamp, protection: &Protection) -> Result<(Self, Keys), BackupError> {
        let id = Uuid::new_v4();
        let mut header = Self { format: FORMAT, id, at, encryption: None, check: None };
        let Protection::Passphrase(passphrase) = protection else {
            header.check = header.sum();
            return Ok((header, Keys::of(None)));
        };
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        random(&mut *key)?;
        let mut salt = [0; SALT_BYTES];
        random(&mut salt)?;
        let (log_n, r, p) =
            (limits::BACKUP_SCRYPT_LOG_N, limits::BACKUP_SCRYPT_R, limits::BACKUP_SCRYPT_P);
        let wrapping = wrapping(passphrase, &salt, (log_n, r, p))?;
        let sealed = wrapping.seal(KEY_NAME, &*key)?;
        let (salt, sealed) = (HEXLOWER.encode(&salt), HEXLOWER.encode(&sealed));
        header.encryption = Some(Encryption { log_n, r, p, salt, key: sealed });
        header.check = header.sum();
        Ok((header, Keys::of(Some(&key))))
    }

    /// The one in a file, as it was written: a flipped bit must not look like another passphrase.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        let header: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        match header.check.is_none() || header.check == header.sum() {
            true => Ok(header),
            false => Err("it is not as it was written".to_owned()),
        }
    }

    /// False for one of the first versions, which nothing but itself says to be whole.
    pub(super) fn is_checked(&self) -> bool {
        self.check.is_some()
    }

    /// As a file has it.
    pub(super) fn text(&self) -> Result<Vec<u8>, BackupError> {
        serde_json::to_vec(self).map_err(|error| BackupError::unusable(error.to_string()))
    }

    fn sum(&self) -> Option<u32> {
        let text = serde_json::to_vec(&Self { check: None, ..self.clone() }).ok()?;
        Some(crc32fast::hash(&text))
    }

    /// The keys of a place that is there.
    pub(super) fn open(&self, protection: &Protection) -> Result<Keys, BackupError> {
        if self.format != FORMAT {
            return Err(BackupError::Unusable(format!(
                "the backup has format {}, this version reads {FORMAT}: use a newer windlass",
                self.format
            )));
        }
        let (encryption, passphrase) = match (&self.encryption, protection) {
            (None, Protection::None) => return Ok(Keys::of(None)),
            (None, Protection::Passphrase(_)) => {
                return Err(BackupError::Locked(
                    "the backup is not encrypted, and a passphrase was given: if that is as it \
                     should be, say --unencrypted",
                ));
            }
            (Some(_), Protection::None) => {
                return Err(BackupError::Locked(
                    "the backup is encrypted: give the passphrase by --passphrase-file",
                ));
            }
            (Some(encryption), Protection::Passphrase(passphrase)) => (encryption, passphrase),
        };
        let Encryption { log_n, r, p, salt, key } = encryption;
        let damaged = || BackupError::Damaged("the key of the backup cannot be read".to_owned());
        // Whoever wrote the header must not have us work for ever.
        let most = (
            limits::BACKUP_SCRYPT_LOG_N + 3,
            limits::BACKUP_SCRYPT_R * 2,
            limits::BACKUP_SCRYPT_P * 4,
        );
        if *log_n > most.0 || *r > most.1 || *p > most.2 {
            return Err(damaged());
        }
        let salt = HEXLOWER.decode(salt.as_bytes()).map_err(|_| damaged())?;
        let key = HEXLOWER.decode(key.as_bytes()).map_err(|_| damaged())?;
        let wrapping = wrapping(passphrase, &salt, (*log_n, *r, *p))?;
        let key = wrapping.open(KEY_NAME, &key).ok_or(BackupError::Locked(
            "the passphrase is not the one that the backup was made with",
        ))?;
        let key: Zeroizing<[u8; KEY_BYTES]> =
            Zeroizing::new(key.as_slice().try_into().map_err(|_| damaged())?);
        Ok(Keys::of(Some(&key)))
    }
}

fn wrapping(
    passphrase: &Passphrase,
    salt: &[u8],
    (log_n, r, p): (u8, u32, u32),
) -> Result<Keys, BackupError> {
    let invalid = |_| BackupError::Damaged("the key of the backup cannot be read".to_owned());
    let params = scrypt::Params::new(log_n, r, p, KEY_BYTES).map_err(invalid)?;
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    scrypt::scrypt(passphrase.0.as_bytes(), salt, &params, &mut *key)
        .map_err(|_| BackupError::Damaged("the key of the backup cannot be read".to_owned()))?;
    Ok(Keys::of(Some(&key)))
}

fn random(bytes: &mut [u8]) -> Result<(), BackupError> {
    getrandom::fill(bytes)
        .map_err(|error| BackupError::Unusable(format!("the system has no randomness: {error}")))
}

/// What an object is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct ObjectId(pub(super) [u8; MAC_BYTES]);

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> Self {
        HEXLOWER.encode(&id.0)
    }
}

impl TryFrom<String> for ObjectId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|it| it.try_into().ok());
        bytes.map(Self).ok_or("no name of an object")
    }
}

/// The keys of a place.
pub(super) struct Keys {
    /// None where nothing is encrypted.
    cipher: Option<XChaCha20Poly1305>,
    names: Hmac<Sha256>,
}

impl Keys {
    fn of(key: Option<&[u8; KEY_BYTES]>) -> Self {
        // What is not encrypted is still named by all of what it is.
        let master = key.unwrap_or(&[0; KEY_BYTES]);
        let derived = |purpose: &[u8]| {
            let mac = keyed(master).chain_update(purpose);
            Zeroizing::new(<[u8; KEY_BYTES]>::from(mac.finalize().into_bytes()))
        };
        let cipher =
            key.map(|_| XChaCha20Poly1305::new((&*derived(b"windlass backup data 1")).into()));
        Self { cipher, names: keyed(&derived(b"windlass backup names 1")) }
    }

    /// What an object of these bytes is called.
    pub(super) fn name(&self, bytes: &[u8]) -> ObjectId {
        ObjectId(self.names.clone().chain_update(bytes).finalize().into_bytes().into())
    }

    /// Seals the object `id`.
    pub(super) fn seal_object(&self, id: &ObjectId, bytes: &[u8]) -> Result<Vec<u8>, BackupError> {
        self.seal(&id.0, bytes)
    }

    /// Opens the object `id`; none when that is not what it is.
    pub(super) fn open_object(&self, id: &ObjectId, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.open(&id.0, sealed).filter(|bytes| self.name(bytes) == *id)
    }

    /// Seals what is called so.
    pub(super) fn seal(&self, name: &[u8], bytes: &[u8]) -> Result<Vec<u8>, BackupError> {
        let packed = Zeroizing::new(block::compress_prepend_size(bytes));
        let Some(cipher) = &self.cipher else {
            return Ok([self.mac(name, &packed).as_slice(), &packed].concat());
        };
        let mut nonce = [0; NONCE_BYTES];
        random(&mut nonce)?;
        let payload = Payload { msg: &packed, aad: name };
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| BackupError::unusable("it cannot be encrypted"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what is called so; none when it is something else.
    pub(super) fn open(&self, name: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let packed = match &self.cipher {
            None => {
                let (mac, packed) = sealed.split_first_chunk::<MAC_BYTES>()?;
                if self.mac(name, packed) != *mac {
                    return None;
                }
                Zeroizing::new(packed.to_vec())
            }
            Some(cipher) => {
                let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
                let payload = Payload { msg: sealed, aad: name };
                Zeroizing::new(cipher.decrypt(&XNonce::from(*nonce), payload).ok()?)
            }
        };
        let (size, _) = packed.split_first_chunk::<4>()?;
        if u64::from(u32::from_le_bytes(*size)) > limits::BACKUP_MANIFEST_BYTES {
            return None;
        }
        block::decompress_size_prepended(&packed).ok().map(Zeroizing::new)
    }

    fn mac(&self, name: &[u8], packed: &[u8]) -> [u8; MAC_BYTES] {
        self.names.clone().chain_update(name).chain_update(packed).finalize().into_bytes().into()
    }
}

/// A keyed hash.
pub(crate) fn keyed(key: &[u8; KEY_BYTES]) -> Hmac<Sha256> {
    // A key of the hash's block size or less is taken as it is, padded with zeros.
    let mut block = Zeroizing::new([0; 64]);
    block[..KEY_BYTES].copy_from_slice(key);
    <Hmac<Sha256> as hmac::digest::KeyInit>::new((&*block).into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use windlass_proto::time::Timestamp;

    use super::{BackupError, Header, Keys, Passphrase, Protection};

    fn passphrase(text: &str) -> Protection {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Protection::Passphrase(Passphrase::read(file.path()).unwrap())
    }

    #[test]
    fn a_passphrase_opens_what_it_has_closed_and_no_other_does() {
        let right = passphrase("correct horse battery\n");
        let (header, keys) = Header::new(Timestamp(1), &right).unwrap();
        let sealed = keys.seal(b"name", b"what is in it").unwrap();
        let opened = header.open(&right).unwrap();
        assert_eq!(**opened.open(b"name", &sealed).unwrap(), *b"what is in it");
        assert!(opened.open(b"another", &sealed).is_none());
        for wrong in [passphrase("correct horse batteri"), Protection::None] {
            assert!(matches!(header.open(&wrong), Err(BackupError::Locked(_))));
        }
        let (open, _) = Header::new(Timestamp(1), &Protection::None).unwrap();
        assert!(matches!(open.open(&right), Err(BackupError::Locked(_))));
    }

    #[test]
    fn a_flipped_bit_of_a_header_is_no_wrong_passphrase() {
        for protection in [passphrase("correct horse battery\n"), Protection::None] {
            let (header, _) = Header::new(Timestamp(1), &protection).unwrap();
            let text = header.text().unwrap();
            assert_eq!(Header::read(&text).unwrap(), header);
            for byte in 0..text.len() {
                for bit in 0..8 {
                    let mut wrong = text.clone();
                    wrong[byte] ^= 1 << bit;
                    // Letters of its id may be of either size.
                    let read = Header::read(&wrong).ok().filter(|it| *it != header);
                    assert!(read.is_none(), "bit {bit} of {byte}: {read:?}");
                }
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for keys in [Keys::of(None), Keys::of(Some(&[7; 32]))] {
            let id = keys.name(b"some bytes of a journal");
            let sealed = keys.seal_object(&id, b"some bytes of a journal").unwrap();
            assert!(keys.open_object(&id, &sealed).is_some());
            for byte in 0..sealed.len() {
                for bit in 0..8 {
                    let mut wrong = sealed.clone();
                    wrong[byte] ^= 1 << bit;
                    assert!(keys.open_object(&id, &wrong).is_none(), "bit {bit} of {byte}");
                }
            }
            for length in 0..sealed.len() {
                assert!(keys.open_object(&id, &sealed[..length]).is_none(), "cut to {length}");
            }
        }
    }

    #[test]
    fn a_passphrase_that_keeps_nothing_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in ["", "\nsecond line is long enough", "short"] {
            std::fs::write(file.path(), text).unwrap();
            let error = Passphrase::read(file.path()).err().unwrap().to_string();
            assert!(error.contains("12 to"), "{error}");
        }
    }
}
