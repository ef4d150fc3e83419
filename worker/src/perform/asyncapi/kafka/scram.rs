//! SCRAM (RFC 5802): a client that proves to know a password, to a server that proves it as well.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256, Sha512};
use windlass_proto::limits;
use zeroize::Zeroizing;

/// What is hashed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    /// A keyed hash, hashed again by the same key so many times more, all added up (PBKDF2 with one
    /// block); once, it is HMAC.
    fn keyed(self, key: &[u8], text: &[u8], times: u32) -> Zeroizing<Vec<u8>> {
        macro_rules! keyed {
            ($hash:ty) => {{
                // A key may have any length.
                let Ok(keyed) = Hmac::<$hash>::new_from_slice(key) else {
                    return Zeroizing::new(Vec::new());
                };
                let once = |text: &[u8]| keyed.clone().chain_update(text).finalize().into_bytes();
                let mut last = once(text);
                let mut all = last;
                for _ in 1..times {
                    last = once(&last);
                    all.iter_mut().zip(&last).for_each(|(all, last)| *all ^= last);
                }
                Zeroizing::new(all.to_vec())
            }};
        }
        match self {
            Self::Sha256 => keyed!(Sha256),
            Self::Sha512 => keyed!(Sha512),
        }
    }
}

/// One exchange, begun.
pub(super) struct Proof {
    hash: Hash,
    nonce: String,
    /// What is said first, without what says that no channel is bound.
    bare: String,
}

/// What is said last, and what the server has to say to that.
pub(super) struct Answered {
    pub(super) said: Zeroizing<String>,
    expected: String,
}

impl Proof {
    pub(super) fn new(hash: Hash, name: &str, nonce: String) -> Self {
        let name = name.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={name},r={nonce}");
        Self { hash, nonce, bare }
    }

    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// # Errors
    /// Says what is wrong with `challenge`.
    pub(super) fn answer(&self, password: &str, challenge: &[u8]) -> Result<Answered, String> {
        let challenge = std::str::from_utf8(challenge).map_err(|_| "its challenge is no text")?;
        let part = |key: &str| challenge.split(',').find_map(|it| it.strip_prefix(key));
        let (Some(nonce), Some(salt), Some(times)) = (part("r="), part("s="), part("i=")) else {
            return Err("its challenge is none of SCRAM".to_owned());
        };
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("its challenge is another client's".to_owned());
        }
        let salt = STANDARD.decode(salt).map_err(|_| "its challenge has no salt")?;
        let (least, most) = limits::KAFKA_SCRAM_ITERATIONS;
        let times =
            times.parse().ok().filter(|it| (least..=most).contains(it)).ok_or_else(|| {
                format!("it wants the password hashed other than {least} to {most} times")
            })?;
        let hash = self.hash;
        let salted = hash.keyed(password.as_bytes(), &[&salt[..], &[0, 0, 0, 1]].concat(), times);
        let without = format!("c=biws,r={nonce}");
        let all = format!("{},{challenge},{without}", self.bare);
        let key = hash.keyed(&salted, b"Client Key", 1);
        let signature = hash.keyed(&hash.of(&key), all.as_bytes(), 1);
        let proof: Vec<u8> = key.iter().zip(&*signature).map(|(key, it)| key ^ it).collect();
        let said = Zeroizing::new(format!("{without},p={}", STANDARD.encode(proof)));
        let server = hash.keyed(&salted, b"Server Key", 1);
        let expected = STANDARD.encode(&*hash.keyed(&server, all.as_bytes(), 1));
        Ok(Answered { said, expected })
    }
}

impl Answered {
    /// # Errors
    /// Where the server does not know the password itself.
    pub(super) fn check(&self, told: &[u8]) -> Result<(), &'static str> {
        let told = std::str::from_utf8(told).unwrap_or_default();
        let proof = told.split(',').find_map(|it| it.strip_prefix("v="));
        if proof == Some(&self.expected) {
            return Ok(());
        }
        Err("it does not prove that it knows the password")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Hash, Proof};

    /// The example of RFC 7677.
    #[test]
    fn a_password_is_proved_as_the_specification_shows() {
        let proof = Proof::new(Hash::Sha256, "user", "rOprNGfwEbeRWgbNEkqO".to_owned());
        assert_eq!(proof.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let challenge = format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let answered = proof.answer("pencil", challenge.as_bytes()).unwrap();
        let expected = format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        assert_eq!(*answered.said, expected);
        answered.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        assert!(answered.check(b"v=AAAA").is_err() && answered.check(b"e=other-error").is_err());
        for wrong in ["r=x,s=AAAA,i=4096", "r=rOprNGfwEbeRWgbNEkqO1,s=AAAA,i=1", "i=4096", "\u{1}"]
        {
            assert!(proof.answer("pencil", wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_cannot_say_more_than_a_name() {
        let proof = Proof::new(Hash::Sha512, "a,b=c", "n".to_owned());
        assert_eq!(proof.first(), "n,,n=a=2Cb=3Dc,r=n");
    }
}
