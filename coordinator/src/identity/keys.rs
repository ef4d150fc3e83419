//! The keys: one that signs, the next one, and those that have signed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use zeroize::Zeroizing;

use super::IdentityError;

/// The version of the file.
const FORMAT: u32 = 1;

/// All keys of one moment.
pub(super) struct Keys {
    current: Key,
    since: Timestamp,
    /// Published long before it signs.
    next: Key,
    retired: Vec<Retired>,
}

/// A key that signs or will.
struct Key {
    signing: SigningKey,
    public: String,
    /// The first part of every token it signs.
    header: String,
}

/// A key that signs no more.
#[derive(Clone, Serialize, Deserialize)]
struct Retired {
    public: String,
    until: Timestamp,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Kept {
    format: u32,
    current: Zeroizing<String>,
    since: Timestamp,
    next: Zeroizing<String>,
    retired: Vec<Retired>,
}

impl Keys {
    /// New ones.
    pub(super) fn generate(now: Timestamp) -> Result<Self, IdentityError> {
        let (current, next) = (Key::generate()?, Key::generate()?);
        Ok(Self { current, since: now, next, retired: Vec::new() })
    }

    /// Reads what [`Self::to_text`] gives.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        // The parser's own message could repeat a part of a key.
        let kept: Kept = serde_json::from_str(text)
            .map_err(|error| format!("line {}, column {}", error.line(), error.column()))?;
        if kept.format != FORMAT {
            return Err(format!("its format is {}, known is {FORMAT}", kept.format));
        }
        let (current, next) = (Key::parse(&kept.current)?, Key::parse(&kept.next)?);
        Ok(Self { current, since: kept.since, next, retired: kept.retired })
    }

    /// The content of the file.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let seed = |key: &Key| Zeroizing::new(BASE64.encode(key.signing.as_bytes()));
        let kept = Kept {
            format: FORMAT,
            current: seed(&self.current),
            since: self.since,
            next: seed(&self.next),
            retired: self.retired.clone(),
        };
        // Strings and numbers: this cannot fail.
        Zeroizing::new(serde_json::to_string(&kept).unwrap_or_default())
    }

    /// True when the next key should sign. A beginning in the future comes from a clock that was
    /// wrong, then or now: waiting for it could take years.
    pub(super) fn is_due(&self, now: Timestamp, rotation: Duration) -> bool {
        let rotation = u64::try_from(rotation.as_millis()).unwrap_or(u64::MAX);
        now.since(self.since) >= rotation || self.since.since(now) > rotation
    }

    /// What follows: the next key signs, the current one is published for a while.
    pub(super) fn rotated(&self, now: Timestamp) -> Result<Self, IdentityError> {
        let until = now.plus(limits::IDENTITY_PUBLISHED_MS);
        let mut retired: Vec<_> =
            self.retired.iter().filter(|it| it.until > now).cloned().collect();
        retired.push(Retired { public: self.current.public.clone(), until });
        let surplus = retired.len().saturating_sub(limits::IDENTITY_RETIRED);
        retired.drain(..surplus);
        let current = Key::of(self.next.signing.clone());
        Ok(Self { current, since: now, next: Key::generate()?, retired })
    }

    /// A token with these claims.
    pub(super) fn sign(&self, claims: &[u8]) -> String {
        let mut token =
            String::with_capacity(self.current.header.len() + claims.len() * 4 / 3 + 96);
        token.push_str(&self.current.header);
        token.push('.');
        BASE64.encode_string(claims, &mut token);
        let signature = self.current.signing.sign(token.as_bytes());
        token.push('.');
        BASE64.encode_string(signature.to_bytes(), &mut token);
        token
    }

    /// The public keys as a JWKS lists them, the one that signs first.
    pub(super) fn published(&self, now: Timestamp) -> Vec<Json> {
        let live = [&self.current.public, &self.next.public];
        let retired = self.retired.iter().rev().filter(|it| it.until > now).map(|it| &it.public);
        live.into_iter().chain(retired).map(|it| document(it)).collect()
    }
}

impl Key {
    fn generate() -> Result<Self, IdentityError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|it| IdentityError::Randomness(it.to_string()))?;
        Ok(Self::of(SigningKey::from_bytes(&seed)))
    }

    fn parse(seed: &str) -> Result<Self, String> {
        let bytes = Zeroizing::new(BASE64.decode(seed).map_err(|_| "a key is not Base64")?);
        let seed: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| "a key has no 32 bytes")?;
        Ok(Self::of(SigningKey::from_bytes(seed)))
    }

    fn of(signing: SigningKey) -> Self {
        let public = BASE64.encode(signing.verifying_key().as_bytes());
        let id = thumbprint(&public);
        let header = json!({ "alg": "EdDSA", "kid": id, "typ": "JWT" });
        Self { header: BASE64.encode(header.to_string()), signing, public }
    }
}

/// One key in a JWKS (RFC 8037).
fn document(public: &str) -> Json {
    json!({
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
        "kid": thumbprint(public), "x": public,
    })
}

/// The name of a public key (RFC 7638).
fn thumbprint(public: &str) -> String {
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{public}"}}"#);
    BASE64.encode(Sha256::digest(canonical))
}

#[cfg(test)]
mod tests {
    use super::thumbprint;

    #[test]
    fn a_key_has_the_name_that_the_standard_gives_it() {
        // RFC 8037, appendix A.3.
        let name = thumbprint("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(name, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
