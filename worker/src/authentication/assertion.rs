//! Client assertions (RFC 7523): JSON Web Tokens that a client signs with its secret or its key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header, encode};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};
use zeroize::Zeroizing;

use crate::clock;

/// What `client_assertion_type` says of them.
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

type Text = Zeroizing<String>;

/// Who signs an assertion for each request.
pub(super) struct Signer {
    pub(super) client: Text,
    pub(super) with: With,
}

/// What is signed with.
pub(super) enum With {
    /// `client_secret_jwt`, by HS256.
    Secret(Text),
    /// `private_key_jwt`: a key in PEM, and what the server calls it.
    Key(Text, Option<String>),
}

/// The claims of an assertion.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: i64,
    exp: i64,
}

impl Signer {
    /// The parameters of a new assertion for the server that `audience` names.
    pub(super) fn parameters(&self, audience: &str) -> Result<[(&'static str, Text); 3], Problem> {
        let now = i64::try_from(clock::time_of_day().as_secs()).unwrap_or(i64::MAX);
        let claims = Claims {
            iss: &self.client,
            sub: &self.client,
            aud: audience,
            jti: uuid::Uuid::new_v4().to_string(),
            iat: now,
            exp: now + limits::CLIENT_ASSERTION_S,
        };
        let signed = match &self.with {
            With::Secret(secret) => {
                let key = EncodingKey::from_secret(secret.as_bytes());
                encode(&Header::default(), &claims, &key)
                    .map(Zeroizing::new)
                    .map_err(|error| error.to_string())
            }
            With::Key(pem, id) => sign(pem, id.as_deref(), &claims).map_err(str::to_owned),
        };
        let assertion = signed.map_err(|why| {
            let detail = format!("cannot sign the client assertion: {why}");
            Problem::new(Standard::Configuration, detail)
        })?;
        Ok([
            ("client_id", self.client.clone()),
            ("client_assertion_type", Zeroizing::new(ASSERTION_TYPE.to_owned())),
            ("client_assertion", assertion),
        ])
    }
}

/// True for a private key where an assertion is expected.
pub(super) fn is_key(text: &str) -> bool {
    text.trim_start().starts_with("-----BEGIN")
}

/// How keys sign, and what JSON Web Tokens call it.
const ALGORITHMS: [(SignatureScheme, &str); 4] = [
    (SignatureScheme::RSA_PKCS1_SHA256, "RS256"),
    (SignatureScheme::ECDSA_NISTP256_SHA256, "ES256"),
    (SignatureScheme::ECDSA_NISTP384_SHA384, "ES384"),
    (SignatureScheme::ED25519, "EdDSA"),
];

/// Signs with ring through rustls: the `rsa` crate that `jsonwebtoken` would use takes times that
/// depend on the key (RUSTSEC-2023-0071).
fn sign(pem: &str, id: Option<&str>, claims: &Claims<'_>) -> Result<Text, &'static str> {
    let key = PrivateKeyDer::from_pem_slice(pem.trim().as_bytes())
        .map_err(|_| "the key is not in PEM, or needs a password")?;
    let key =
        any_supported_type(&key).map_err(|_| "the key is none of RSA, P-256, P-384, Ed25519")?;
    let (algorithm, signer) = ALGORITHMS
        .iter()
        .find_map(|(scheme, name)| Some((*name, key.choose_scheme(&[*scheme])?)))
        .ok_or("the key is none of RSA, P-256, P-384, Ed25519")?;
    let header = match id {
        Some(id) => serde_json::json!({"alg": algorithm, "typ": "JWT", "kid": id}),
        None => serde_json::json!({"alg": algorithm, "typ": "JWT"}),
    };
    let encode = |it: &[u8]| URL_SAFE_NO_PAD.encode(it);
    let claims = serde_json::to_vec(claims).map_err(|_| "the claims cannot be written")?;
    let mut token =
        Zeroizing::new(format!("{}.{}", encode(header.to_string().as_bytes()), encode(&claims)));
    let signature = signer.sign(token.as_bytes()).map_err(|_| "the key signs nothing")?;
    let signature = match algorithm {
        "ES256" => fixed(&signature, 32).ok_or("the key signs nothing")?,
        "ES384" => fixed(&signature, 48).ok_or("the key signs nothing")?,
        _ => signature,
    };
    token.push('.');
    token.push_str(&encode(&signature));
    Ok(token)
}

/// A signature as JSON Web Tokens have it (RFC 7518, 3.4): both numbers in `length` bytes each. TLS
/// has them as an ASN.1 sequence of two integers, short enough for lengths of one byte.
fn fixed(signature: &[u8], length: usize) -> Option<Vec<u8>> {
    let (&[0x30, _], mut rest) = signature.split_first_chunk::<2>()? else { return None };
    let mut out = Vec::with_capacity(2 * length);
    for _ in 0..2 {
        let (&[0x02, count], after) = rest.split_first_chunk::<2>()? else { return None };
        let (number, after) = after.split_at_checked(usize::from(count))?;
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        out.resize(out.len() + length.checked_sub(number.len())?, 0);
        out.extend_from_slice(number);
        rest = after;
    }
    rest.is_empty().then_some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::fixed;

    #[test]
    fn signatures_have_one_length() {
        // 0x81, which needs a zero in front not to be negative, and 7.
        let signature = [0x30, 0x07, 0x02, 0x02, 0x00, 0x81, 0x02, 0x01, 0x07];
        assert_eq!(fixed(&signature, 2).unwrap(), [0, 0x81, 0, 7]);
        assert_eq!(fixed(&signature, 0), None);
        for broken in [&[][..], &[0x30, 0x00], &[0x30, 0x03, 0x02, 0x05, 0x01], &[0x31, 0x00]] {
            assert_eq!(fixed(broken, 32), None);
        }
    }
}
