//! Signatures of webhooks: whether what comes in is of who says so.
//!
//! All of them are HMAC-SHA256 over the body, compared in constant time. What tells one delivery
//! from another is taken from what is signed: a repeat is known as one whatever headers it has.

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::id::hex;
use crate::limits::{
    WEBHOOK_SECRET_LEAST, WEBHOOK_SIGNATURE_BYTES, WEBHOOK_SIGNATURES, WEBHOOK_TOLERANCE_S,
};

/// How a service signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// `X-Hub-Signature-256: sha256=<hex>` over the body.
    Github,
    /// `Stripe-Signature: t=<seconds>,v1=<hex>` over time and body.
    Stripe,
    /// `webhook-id`, `webhook-timestamp` and `webhook-signature: v1,<base64>` over all three: the
    /// Standard Webhooks.
    Standard,
    /// `X-Signature: <hex or base64>` over the body, or another header.
    Hmac,
}

impl Preset {
    /// As people name them.
    pub const WORDS: &[(&str, Self)] = &[
        ("github", Self::Github),
        ("stripe", Self::Stripe),
        ("standard", Self::Standard),
        ("hmac", Self::Hmac),
    ];

    /// The one of this name.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(it, _)| *it == word).map(|it| it.1)
    }

    /// The header with the signature, unless another one is named.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Github => "x-hub-signature-256",
            Self::Stripe => "stripe-signature",
            Self::Standard => "webhook-signature",
            Self::Hmac => "x-signature",
        }
    }
}

/// A delivery as it came.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The header with the signature.
    pub signature: &'a str,
    /// `webhook-id`, for [`Preset::Standard`].
    pub id: &'a str,
    /// `webhook-timestamp`, for [`Preset::Standard`].
    pub timestamp: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// Why a delivery is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotVerified {
    /// The header is missing, or not of the form that the service writes.
    #[error("the header with the signature is missing, or has another form")]
    Malformed,
    /// None of the secrets gives this signature.
    #[error("the signature does not fit the body")]
    Mismatch,
    /// It was signed too long ago, or is of a time to come.
    #[error("it was not signed within {WEBHOOK_TOLERANCE_S} seconds of now")]
    Stale,
}

/// Checks a delivery against the secrets that may have signed it, at a time in seconds since 1970;
/// gives what tells it from other deliveries.
///
/// # Errors
/// When none of them has, or not lately.
pub fn verify<S: AsRef<[u8]>>(
    preset: Preset,
    secrets: &[S],
    delivery: &Delivery<'_>,
    now: u64,
) -> Result<String, NotVerified> {
    if delivery.signature.is_empty() || delivery.signature.len() > WEBHOOK_SIGNATURE_BYTES {
        return Err(NotVerified::Malformed);
    }
    let (signed, signatures) = match preset {
        Preset::Github => {
            let hex = delivery.signature.strip_prefix("sha256=").ok_or(NotVerified::Malformed)?;
            (Vec::new(), vec![unhex(hex)])
        }
        Preset::Hmac => {
            let text = delivery.signature.strip_prefix("sha256=").unwrap_or(delivery.signature);
            let plain = unhex(text).or_else(|| STANDARD.decode(text).ok());
            (Vec::new(), vec![plain])
        }
        Preset::Stripe => stripe(delivery.signature, now)?,
        Preset::Standard => standard(delivery, now)?,
    };
    let signatures: Vec<Vec<u8>> = signatures.into_iter().flatten().collect();
    if signatures.is_empty() || signatures.len() > WEBHOOK_SIGNATURES {
        return Err(NotVerified::Malformed);
    }
    let mut fits = false;
    for secret in secrets {
        let Some(key) = key(preset, secret.as_ref()) else { continue };
        fits |= is_of(&key, &signed, delivery.body, &signatures);
    }
    if !fits {
        return Err(NotVerified::Mismatch);
    }
    Ok(match preset {
        Preset::Standard => delivery.id.to_owned(),
        Preset::Github | Preset::Stripe | Preset::Hmac => hex(&Sha256::digest(delivery.body)),
    })
}

/// What the Standard Webhooks have in `webhook-signature`, for a delivery of ours at a time in
/// seconds since 1970; none where the secret is none.
#[must_use]
pub fn sign(secret: &[u8], id: &str, timestamp: u64, body: &[u8]) -> Option<String> {
    let key = key(Preset::Standard, secret)?;
    let mut mac = <Hmac<Sha256> as hmac::digest::KeyInit>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// Whether a secret is one, and long enough to be none that is guessed.
#[must_use]
pub fn is_secret(preset: Preset, secret: &[u8]) -> bool {
    key(preset, secret).is_some_and(|it| it.len() >= WEBHOOK_SECRET_LEAST)
}

/// What a secret is as a key: those of Standard Webhooks are written in base64; none where what
/// says so is not.
fn key(preset: Preset, secret: &[u8]) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let coded = (preset == Preset::Standard).then(|| secret.strip_prefix(b"whsec_")).flatten();
    let key = match coded {
        Some(coded) => STANDARD.decode(coded).ok()?,
        None => secret.to_vec(),
    };
    Some(zeroize::Zeroizing::new(key))
}

/// Whether one of these signatures is of a key: the body is gone through once for all of them.
fn is_of(key: &[u8], before: &[u8], body: &[u8], signatures: &[Vec<u8>]) -> bool {
    // A key may be of any length.
    let Ok(mut mac) = <Hmac<Sha256> as hmac::digest::KeyInit>::new_from_slice(key) else {
        return false;
    };
    mac.update(before);
    mac.update(body);
    signatures.iter().fold(false, |fits, it| fits | mac.clone().verify_slice(it).is_ok())
}

/// What is signed before the body, and the signatures.
type Signed = (Vec<u8>, Vec<Option<Vec<u8>>>);

fn stripe(header: &str, now: u64) -> Result<Signed, NotVerified> {
    let (mut time, mut signatures) = (None, Vec::new());
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", text)) if time.is_none() => time = Some(text),
            Some(("t", _)) => return Err(NotVerified::Malformed),
            Some(("v1", text)) => signatures.push(unhex(text)),
            _ => {}
        }
    }
    let time = time.ok_or(NotVerified::Malformed)?;
    timely(time, now)?;
    Ok((format!("{time}.").into_bytes(), signatures))
}

fn standard(delivery: &Delivery<'_>, now: u64) -> Result<Signed, NotVerified> {
    // A dot in it would make two readings of one signed text.
    let is_id = !delivery.id.is_empty() && !delivery.id.contains('.');
    if !is_id || delivery.id.len() > WEBHOOK_SIGNATURE_BYTES {
        return Err(NotVerified::Malformed);
    }
    timely(delivery.timestamp, now)?;
    let parts = delivery.signature.split_ascii_whitespace();
    let signatures = parts.filter_map(|it| it.strip_prefix("v1,"));
    let signatures = signatures.map(|it| STANDARD.decode(it).ok()).collect();
    Ok((format!("{}.{}.", delivery.id, delivery.timestamp).into_bytes(), signatures))
}

fn timely(text: &str, now: u64) -> Result<(), NotVerified> {
    let is_number = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let time = text.parse::<u64>().ok().filter(|_| is_number).ok_or(NotVerified::Malformed)?;
    match time.abs_diff(now) <= WEBHOOK_TOLERANCE_S {
        true => Ok(()),
        false => Err(NotVerified::Stale),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|it| it.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}
