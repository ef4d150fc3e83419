//! How a worker joins: one request, one answer.
//!
//! The worker makes a fresh key pair and sends [`Hello`]: its public key in the clear, its
//! [`Introduction`] in a NaCl box for the coordinator whose public key its configuration pins. The
//! answer is a box under the same pair of keys, so only that coordinator can have made it; it names
//! the session, whose frames [`super::session`] describes.

use std::sync::Arc;

use crypto_box::aead::{Aead as _, OsRng};
use crypto_box::{SalsaBox, SecretKey};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::key::{CoordinatorKey, WorkerKey};
use super::message::{MessageError, decode, encode};
use super::session::{Channel, End, SessionId};

/// The protocols this version speaks, best first. A coordinator takes the first one of the worker's
/// that it speaks too.
pub const PROTOCOLS: &[u16] = &[2];

/// Bytes of a nonce.
const NONCE_BYTES: usize = 24;

/// What a worker sends to join.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// Protocols it speaks, best first.
    pub protocols: Vec<u16>,
    /// Its public key, made for this registration: 32 bytes.
    pub key: ByteBuf,
    /// The nonce of the box: 24 bytes.
    pub nonce: ByteBuf,
    /// [`Introduction`], for the coordinator only.
    pub sealed: ByteBuf,
}

/// What a worker says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Introduction {
    /// The enrolment of its key: 32 bytes.
    pub enrolment: ByteBuf,
    /// Its pool.
    pub pool: Arc<str>,
    /// Name and a random part: another one for each process.
    pub identity: Arc<str>,
    /// Its version, for people.
    pub version: Arc<str>,
    /// What it can do; see [`super::capability`].
    pub capabilities: Vec<Arc<str>>,
    /// Assignments it takes at once.
    #[serde(deserialize_with = "super::integer::integer")]
    pub concurrency: u32,
    /// False for a worker that cannot evaluate expressions: it gets function calls with their
    /// arguments, never definitions.
    #[serde(default = "yes")]
    pub evaluates: bool,
    /// What keeps the programs that it runs from the rest of its machine, for people; none where it
    /// runs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Arc<str>>,
}

fn yes() -> bool {
    true
}

/// The answer to a [`Hello`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The nonce of the box: 24 bytes.
    pub nonce: ByteBuf,
    /// [`Welcome`], for the worker only.
    pub sealed: ByteBuf,
}

/// What the coordinator answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The session: 16 bytes. Empty when refused.
    pub session: ByteBuf,
    /// The protocol of the session.
    pub protocol: u16,
    /// Milliseconds of silence after which the worker is taken for dead.
    pub lease_ms: u64,
    /// Milliseconds between beats.
    pub beat_ms: u64,
    /// Why the worker may not join, when it may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Why a registration came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// It cannot be read.
    #[error("a registration cannot be read: {0}")]
    Message(#[from] MessageError),
    /// A field has the wrong length, or the box does not open.
    #[error("the registration is not authentic: is this the key of another coordinator?")]
    Forged,
    /// No protocol in common.
    #[error("no protocol in common: ours are {PROTOCOLS:?}, theirs {0:?}")]
    Protocol(Vec<u16>),
    /// The coordinator said no.
    #[error("the coordinator refuses this worker: {0}")]
    Refused(String),
}

/// A registration on its way: what the worker keeps until the answer comes.
pub struct Joining {
    pub(super) cipher: SalsaBox,
}

/// A worker that was welcomed.
pub struct Joined {
    /// The session.
    pub session: SessionId,
    /// The worker's end of it.
    pub channel: Channel,
    /// What the coordinator said.
    pub welcome: Welcome,
}

/// Makes a registration: the bytes to send, and what to keep. `introduction` gets the enrolment of
/// `key`.
///
/// # Errors
/// Never for what this crate makes; the encoder's signature allows it.
pub fn introduce(
    key: &WorkerKey,
    mut introduction: Introduction,
) -> Result<(Vec<u8>, Joining), HelloError> {
    let ours = SecretKey::generate(&mut OsRng);
    let cipher = SalsaBox::new(&key.coordinator, &ours);
    introduction.enrolment = ByteBuf::from(key.enrolment.to_vec());
    let (nonce, sealed) = seal(&cipher, &encode(&introduction)?)?;
    let hello = Hello {
        protocols: PROTOCOLS.to_vec(),
        key: ByteBuf::from(ours.public_key().as_bytes().to_vec()),
        nonce,
        sealed,
    };
    Ok((encode(&hello)?, Joining { cipher }))
}

impl Joining {
    /// Reads the answer.
    ///
    /// # Errors
    /// When it was not made by the coordinator whose key is pinned, or refuses the worker.
    pub fn finish(self, answer: &[u8]) -> Result<Joined, HelloError> {
        let answer: Answer = decode(answer)?;
        let welcome: Welcome = decode(&open(&self.cipher, &answer.nonce, &answer.sealed)?)?;
        if let Some(reason) = welcome.refused {
            return Err(HelloError::Refused(reason));
        }
        if !PROTOCOLS.contains(&welcome.protocol) {
            return Err(HelloError::Protocol(vec![welcome.protocol]));
        }
        let session = welcome.session.as_slice().try_into().map_err(|_| HelloError::Forged)?;
        let session = SessionId(session);
        Ok(Joined { session, channel: Channel::new(self.cipher, session, End::Worker), welcome })
    }
}

/// A registration as the coordinator reads it.
pub struct Applicant {
    cipher: SalsaBox,
    /// What the worker says of itself, or why that cannot be read; its enrolment is not checked
    /// yet.
    pub introduction: Result<Introduction, MessageError>,
    /// The protocol to speak; none when there is none in common.
    pub protocol: Option<u16>,
    offered: Vec<u16>,
}

/// Reads a registration.
///
/// # Errors
/// When it is not one, or was made for another coordinator.
pub fn receive(key: &CoordinatorKey, hello: &[u8]) -> Result<Applicant, HelloError> {
    let hello: Hello = decode(hello)?;
    let worker: &[u8; 32] = hello.key.as_slice().try_into().map_err(|_| HelloError::Forged)?;
    let cipher = key.cipher(worker);
    let introduction = decode(&open(&cipher, &hello.nonce, &hello.sealed)?);
    let protocol = hello.protocols.iter().copied().find(|it| PROTOCOLS.contains(it));
    Ok(Applicant { cipher, introduction, protocol, offered: hello.protocols })
}

impl Applicant {
    /// Why this worker may not join, or none.
    #[must_use]
    pub fn objection(&self, key: &CoordinatorKey) -> Option<String> {
        let Self { protocol, offered, .. } = self;
        // The worker shows it, so it says who speaks what. First, as another protocol may have
        // another introduction.
        if protocol.is_none() {
            return Some(format!(
                "no protocol in common: the coordinator speaks {PROTOCOLS:?}, the worker {offered:?}"
            ));
        }
        match &self.introduction {
            Err(error) => Some(format!("its introduction cannot be read: {error}")),
            Ok(Introduction { enrolment, pool, .. }) => (!key.admits(enrolment, pool))
                .then(|| format!("its key does not admit it to the pool `{pool}`")),
        }
    }

    /// The answer to send.
    ///
    /// # Errors
    /// Never for what this crate makes; the encoder's signature allows it.
    pub fn answer(&self, welcome: &Welcome) -> Result<Vec<u8>, HelloError> {
        let (nonce, sealed) = seal(&self.cipher, &encode(welcome)?)?;
        Ok(encode(&Answer { nonce, sealed })?)
    }

    /// The coordinator's end of the session.
    #[must_use]
    pub fn channel(self, session: SessionId) -> Channel {
        Channel::new(self.cipher, session, End::Coordinator)
    }
}

impl SessionId {
    /// A new one, from the system's source of randomness.
    #[must_use]
    pub fn random() -> Self {
        use crypto_box::aead::rand_core::RngCore as _;
        let mut bytes = [0; 16];
        OsRng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

/// A box under a random nonce.
fn seal(cipher: &SalsaBox, plain: &[u8]) -> Result<(ByteBuf, ByteBuf), HelloError> {
    use crypto_box::aead::AeadCore as _;
    let nonce = SalsaBox::generate_nonce(&mut OsRng);
    let sealed = cipher.encrypt(&nonce, plain).map_err(|_| HelloError::Forged)?;
    Ok((ByteBuf::from(nonce.to_vec()), ByteBuf::from(sealed)))
}

fn open(cipher: &SalsaBox, nonce: &[u8], sealed: &[u8]) -> Result<Vec<u8>, HelloError> {
    let nonce: &[u8; NONCE_BYTES] = nonce.try_into().map_err(|_| HelloError::Forged)?;
    cipher.decrypt(nonce.into(), sealed).map_err(|_| HelloError::Forged)
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::{Hello, HelloError, Introduction, Welcome, decode, encode, introduce, receive};
    use crate::wire::key::{CoordinatorKey, WorkerKey};
    use crate::wire::session::SessionId;

    fn introduction(pool: &str) -> Introduction {
        Introduction {
            enrolment: ByteBuf::new(),
            pool: pool.into(),
            identity: "a-1".into(),
            version: "0.1.0".into(),
            capabilities: vec!["http".into()],
            concurrency: 4,
            evaluates: true,
            isolation: None,
        }
    }

    fn welcome(session: SessionId, refused: Option<String>) -> Welcome {
        let session = ByteBuf::from(session.0.to_vec());
        Welcome { session, protocol: 2, lease_ms: 6_000, beat_ms: 2_000, refused }
    }

    fn worker_key(key: &CoordinatorKey, pool: Option<&str>) -> WorkerKey {
        WorkerKey::parse(&key.worker_key(pool).to_text()).unwrap()
    }

    #[test]
    fn both_ends_share_a_session() {
        let key = CoordinatorKey::generate();
        let (hello, joining) = introduce(&worker_key(&key, None), introduction("x")).unwrap();
        let applicant = receive(&key, &hello).unwrap();
        assert_eq!(applicant.objection(&key), None);
        let session = SessionId::random();
        let answer = applicant.answer(&welcome(session, None)).unwrap();
        let mut coordinator = applicant.channel(session);
        let mut joined = joining.finish(&answer).unwrap();
        assert_eq!(joined.session, session);
        for frame in coordinator.seal(b"task", 64) {
            assert_eq!(joined.channel.open(&frame).unwrap().unwrap(), b"task");
        }
    }

    #[test]
    fn the_wrong_pool_is_objected_to() {
        let key = CoordinatorKey::generate();
        let (hello, joining) =
            introduce(&worker_key(&key, Some("gpu")), introduction("x")).unwrap();
        let applicant = receive(&key, &hello).unwrap();
        let objection = applicant.objection(&key);
        assert!(objection.as_ref().is_some_and(|it| it.contains("pool `x`")));
        let answer = applicant.answer(&welcome(SessionId([0; 16]), objection)).unwrap();
        assert!(matches!(joining.finish(&answer), Err(HelloError::Refused(_))));
    }

    /// What comes of a registration that offers these protocols.
    fn offering(protocols: &[u16]) -> Result<u16, HelloError> {
        let key = CoordinatorKey::generate();
        let (hello, joining) = introduce(&worker_key(&key, None), introduction("x"))?;
        let hello = Hello { protocols: protocols.to_vec(), ..decode(&hello)? };
        let applicant = receive(&key, &encode(&hello)?)?;
        let refused = applicant.objection(&key);
        let protocol = applicant.protocol.unwrap_or_default();
        let welcome = Welcome { protocol, ..welcome(SessionId([4; 16]), refused) };
        Ok(joining.finish(&applicant.answer(&welcome)?)?.welcome.protocol)
    }

    #[test]
    fn the_first_protocol_in_common_is_spoken() {
        assert_eq!(offering(&[99, 2]).unwrap(), 2);
        assert_eq!(offering(&[2, 99, 1]).unwrap(), 2);
        let refused = offering(&[99]).unwrap_err().to_string();
        let reason = "the coordinator refuses this worker: no protocol in common: \
                      the coordinator speaks [2], the worker [99]";
        assert_eq!(refused, reason);
        assert!(matches!(offering(&[]), Err(HelloError::Refused(_))));
    }

    #[test]
    fn an_introduction_that_cannot_be_read_is_objected_to() {
        let key = CoordinatorKey::generate();
        let (hello, joining) = introduce(&worker_key(&key, None), introduction("x")).unwrap();
        let hello: Hello = decode(&hello).unwrap();
        let (nonce, sealed) = super::seal(&joining.cipher, b"\x81\xa4pool\x07").unwrap();
        let applicant = receive(&key, &encode(&Hello { nonce, sealed, ..hello }).unwrap()).unwrap();
        let objection = applicant.objection(&key).unwrap();
        assert!(objection.contains("introduction cannot be read"), "{objection}");
        let answer = welcome(SessionId([0; 16]), Some(objection));
        let refused = joining.finish(&applicant.answer(&answer).unwrap()).err().unwrap();
        assert!(matches!(refused, HelloError::Refused(_)), "{refused}");
    }

    #[test]
    fn only_the_pinned_coordinator_can_answer() {
        let (key, other) = (CoordinatorKey::generate(), CoordinatorKey::generate());
        let (hello, joining) = introduce(&worker_key(&key, None), introduction("x")).unwrap();
        assert!(matches!(receive(&other, &hello), Err(HelloError::Forged)));
        let (forged, _) = introduce(&worker_key(&other, None), introduction("x")).unwrap();
        let applicant = receive(&other, &forged).unwrap();
        let answer = applicant.answer(&welcome(SessionId([0; 16]), None)).unwrap();
        assert!(matches!(joining.finish(&answer), Err(HelloError::Forged)));
    }
}
