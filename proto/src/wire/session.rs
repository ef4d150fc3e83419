//! A session between one worker and the coordinator: numbered, encrypted, in both directions.
//!
//! A frame on the bus is `counter (8 bytes, big-endian) ‖ NaCl box`. The box is made with the key
//! both sides share and the nonce `session id without its last byte (15) ‖ direction (1) ‖ counter
//! (8)`; inside it, the first byte says whether this fragment begins a message (1) and whether it
//! ends one (2), the rest is the fragment. Counters only grow, so a frame that was recorded and is
//! sent again is refused; the session id is the coordinator's random choice, so are frames of
//! another session.

use std::fmt;
use std::str::FromStr;

use crypto_box::SalsaBox;
use crypto_box::aead::AeadInPlace as _;

use crate::limits;

/// Bytes before the ciphertext: counter and authenticator.
const OVERHEAD: usize = 8 + 16;

/// Flag of the fragment that begins a message.
const FIRST: u8 = 1;

/// Flag of the fragment that ends one.
const LAST: u8 = 2;

/// Which session of which worker: 16 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 16]);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that names no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session id is 32 hexadecimal digits")]
pub struct SessionIdError;

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, SessionIdError> {
        let digits = text.as_bytes();
        if digits.len() != 32 {
            return Err(SessionIdError);
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let value = |digit: u8| char::from(digit).to_digit(16).ok_or(SessionIdError);
            let pair = value(pair[0])? * 16 + value(pair[1])?;
            *byte = u8::try_from(pair).map_err(|_| SessionIdError)?;
        }
        Ok(Self(bytes))
    }
}

/// Which end of a session this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The coordinator's.
    Coordinator,
    /// The worker's.
    Worker,
}

impl End {
    /// What the nonce of frames sent by this end has as direction.
    fn direction(self) -> u8 {
        match self {
            Self::Coordinator => 1,
            Self::Worker => 2,
        }
    }
}

/// Why a frame was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter than any frame.
    #[error("the frame is too short")]
    Short,
    /// Its counter has been seen, or is lower than one seen.
    #[error("the frame is a repeat")]
    Repeated,
    /// It was not made by the other end, or was changed on the way.
    #[error("the frame is not authentic")]
    Forged,
    /// The message is longer than allowed.
    #[error("the message is larger than {} bytes", limits::MESSAGE_BYTES)]
    TooLarge,
}

/// One end of a session.
pub struct Channel {
    cipher: SalsaBox,
    nonce: [u8; 24],
    end: End,
    sent: u64,
    received: u64,
    /// Fragments of a message that is not complete yet; none when there is no such message, or its
    /// beginning or middle got lost.
    partial: Option<Vec<u8>>,
    /// The beginning of the message that was too large last.
    overflow: Vec<u8>,
}

impl Channel {
    /// One end of a session whose key both ends share.
    #[must_use]
    pub fn new(cipher: SalsaBox, session: SessionId, end: End) -> Self {
        let mut nonce = [0; 24];
        nonce[..15].copy_from_slice(&session.0[..15]);
        Self { cipher, nonce, end, sent: 0, received: 0, partial: None, overflow: Vec::new() }
    }

    /// The counter of the last frame made.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The highest counter received.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Turns a message into frames of at most `size` bytes each.
    pub fn seal(&mut self, message: &[u8], size: usize) -> Vec<Vec<u8>> {
        let room = size.saturating_sub(OVERHEAD + 1).max(1);
        let count = message.len().div_ceil(room).max(1);
        let mut frames = Vec::with_capacity(count);
        for number in 0..count {
            let fragment = &message[number * room..message.len().min((number + 1) * room)];
            let first = if number == 0 { FIRST } else { 0 };
            let last = if number + 1 == count { LAST } else { 0 };
            frames.push(self.seal_fragment(fragment, first | last));
        }
        frames
    }

    fn seal_fragment(&mut self, fragment: &[u8], flags: u8) -> Vec<u8> {
        self.sent += 1;
        let nonce = self.nonce(self.end, self.sent);
        let mut frame = Vec::with_capacity(OVERHEAD + 1 + fragment.len());
        frame.extend_from_slice(&self.sent.to_be_bytes());
        frame.extend_from_slice(&[0; 16]);
        frame.push(flags);
        frame.extend_from_slice(fragment);
        let (head, body) = frame.split_at_mut(OVERHEAD);
        // It fails only for bodies beyond 256 GiB.
        if let Ok(tag) = self.cipher.encrypt_in_place_detached((&nonce).into(), &[], body) {
            head[8..].copy_from_slice(&tag);
        }
        frame
    }

    /// Takes a frame in; gives the message when this completes one.
    ///
    /// # Errors
    /// When the frame does not come from the other end of this session or is a repeat, or the
    /// message is too large.
    pub fn open(&mut self, frame: &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        let (counter, rest) = frame.split_first_chunk::<8>().ok_or(FrameError::Short)?;
        let (tag, body) = rest.split_first_chunk::<16>().ok_or(FrameError::Short)?;
        let counter = u64::from_be_bytes(*counter);
        if counter <= self.received {
            return Err(FrameError::Repeated);
        }
        let other = match self.end {
            End::Coordinator => End::Worker,
            End::Worker => End::Coordinator,
        };
        let nonce = self.nonce(other, counter);
        let mut body = body.to_vec();
        self.cipher
            .decrypt_in_place_detached((&nonce).into(), &[], &mut body, tag.into())
            .map_err(|_| FrameError::Forged)?;
        let (flags, fragment) = body.split_first().ok_or(FrameError::Short)?;
        let gap = counter != self.received + 1;
        self.received = counter;
        if flags & FIRST != 0 {
            self.partial = Some(Vec::new());
        } else if gap {
            self.partial = None;
        }
        let Some(partial) = &mut self.partial else { return Ok(None) };
        if partial.len() + fragment.len() > limits::MESSAGE_BYTES {
            self.overflow = self.partial.take().unwrap_or_default();
            return Err(FrameError::TooLarge);
        }
        partial.extend_from_slice(fragment);
        Ok(if flags & LAST != 0 { self.partial.take() } else { None })
    }

    /// The beginning of the message that was [too large](FrameError::TooLarge), once.
    pub fn take_overflow(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.overflow)
    }

    fn nonce(&self, sender: End, counter: u64) -> [u8; 24] {
        let mut nonce = self.nonce;
        nonce[15] = sender.direction();
        nonce[16..].copy_from_slice(&counter.to_be_bytes());
        nonce
    }
}

#[cfg(test)]
mod tests {
    use crypto_box::aead::OsRng;
    use crypto_box::{SalsaBox, SecretKey};

    use super::{Channel, End, FrameError, SessionId};

    fn pair() -> (Channel, Channel) {
        let (ours, theirs) = (SecretKey::generate(&mut OsRng), SecretKey::generate(&mut OsRng));
        let session = SessionId([1; 16]);
        (
            Channel::new(SalsaBox::new(&theirs.public_key(), &ours), session, End::Coordinator),
            Channel::new(SalsaBox::new(&ours.public_key(), &theirs), session, End::Worker),
        )
    }

    fn deliver(to: &mut Channel, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        frames.iter().filter_map(|frame| to.open(frame).unwrap()).collect()
    }

    #[test]
    fn messages_arrive_whole_whatever_their_size() {
        let (mut coordinator, mut worker) = pair();
        for size in [0, 1, 74, 75, 76, 1_000] {
            let message = vec![5; size];
            let frames = coordinator.seal(&message, 100);
            assert_eq!(frames.len(), size.div_ceil(75).max(1));
            assert!(frames.iter().all(|frame| frame.len() <= 100));
            assert_eq!(deliver(&mut worker, &frames), [message]);
        }
        assert_eq!(coordinator.sent(), worker.received());
    }

    #[test]
    fn a_repeat_a_reflection_and_a_forgery_are_refused() {
        let (mut coordinator, mut worker) = pair();
        let frame = coordinator.seal(b"run", 100).remove(0);
        assert_eq!(coordinator.open(&frame), Err(FrameError::Forged));
        let mut changed = frame.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(worker.open(&changed), Err(FrameError::Forged));
        assert_eq!(worker.open(&frame).unwrap().unwrap(), b"run");
        assert_eq!(worker.open(&frame), Err(FrameError::Repeated));
        assert_eq!(worker.open(&frame[..20]), Err(FrameError::Short));
        let (_, mut other) = pair();
        assert_eq!(other.open(&frame), Err(FrameError::Forged));
    }

    #[test]
    fn a_message_with_a_hole_is_dropped_and_the_next_one_is_not() {
        let (mut coordinator, mut worker) = pair();
        for missing in 0..3 {
            let mut frames = coordinator.seal(&[6; 200], 100);
            frames.remove(missing);
            frames.extend(coordinator.seal(b"next", 100));
            assert_eq!(deliver(&mut worker, &frames), [b"next"], "without fragment {missing}");
        }
    }

    #[test]
    fn a_session_id_survives_text() {
        let id = SessionId([0xa5; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("a5".parse::<SessionId>().is_err());
        assert!("g".repeat(32).parse::<SessionId>().is_err());
    }
}
