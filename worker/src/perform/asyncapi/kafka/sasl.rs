//! Who a client is, by SASL: PLAIN and SCRAM, as brokers of Kafka have them.

use windlass_proto::problem::{Problem, Standard};
use zeroize::Zeroizing;

use super::connection::Conversation;
use super::refusal::{UNSUPPORTED_MECHANISM, refused};
use super::scram::{Hash, Proof};
use super::wire::{Reader, SASL_AUTHENTICATE, SASL_HANDSHAKE, Writer};
use crate::perform::aside;
use crate::perform::asyncapi::configuration;
use crate::perform::asyncapi::login::Login;
use crate::perform::asyncapi::server::Mechanism;
use crate::request::excerpt;

impl Mechanism {
    const ALL: [Self; 3] = [Self::Scram512, Self::Scram256, Self::Plain];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram256 => "SCRAM-SHA-256",
            Self::Scram512 => "SCRAM-SHA-512",
        }
    }
}

/// What came of saying who asks.
pub(super) enum Outcome {
    Accepted,
    /// The broker takes this one only, and closes the connection.
    Instead(Mechanism),
}

/// Says who asks, by `mechanism`.
pub(super) async fn log_in(
    conversation: &mut Conversation,
    login: &Login,
    mechanism: Mechanism,
) -> Result<Outcome, Problem> {
    let Login::User { name, password } = login else {
        let detail = "Kafka takes a user and a password: use `basic`";
        return Err(configuration(detail));
    };
    let mut asks = Writer::default();
    asks.text(mechanism.name());
    let mut answer = conversation.call(SASL_HANDSHAKE, &asks).await?;
    let read = answer.short().and_then(|code| Ok((code, answer.each(Reader::text)?)));
    let (code, known) = read.map_err(|why| conversation.failed(why))?;
    if code == UNSUPPORTED_MECHANISM {
        return instead(conversation, mechanism, &known);
    }
    if code != 0 {
        return Err(refused(conversation.peer(), code));
    }
    match mechanism {
        Mechanism::Plain => {
            let said = Zeroizing::new(format!("\0{name}\0{}", **password));
            say(conversation, said.as_bytes()).await?;
        }
        Mechanism::Scram256 => prove(conversation, Hash::Sha256, name, password).await?,
        Mechanism::Scram512 => prove(conversation, Hash::Sha512, name, password).await?,
    }
    Ok(Outcome::Accepted)
}

/// Another mechanism that the broker knows. The password itself is told over TLS alone, unless the
/// description says so: whoever is in between could ask for it.
fn instead(
    conversation: &Conversation,
    mechanism: Mechanism,
    known: &[String],
) -> Result<Outcome, Problem> {
    let may =
        |it: &Mechanism| *it != mechanism && (*it != Mechanism::Plain || conversation.peer().tls);
    let is_known = |it: &Mechanism| known.iter().any(|known| known == it.name());
    if let Some(other) = Mechanism::ALL.into_iter().filter(may).find(is_known) {
        return Ok(Outcome::Instead(other));
    }
    let known = excerpt(known.join(", ").as_bytes());
    let detail = format!(
        "{} refused {}, and knows no other way of SASL that is used here (SCRAM-SHA-512, \
         SCRAM-SHA-256 and, over TLS or where the description's security says `plain`, PLAIN); it \
         knows: {known}",
        conversation.peer().shown(),
        mechanism.name()
    );
    Err(Problem::new(Standard::Communication, detail).with_status(401))
}

async fn prove(
    conversation: &mut Conversation,
    hash: Hash,
    name: &str,
    password: &Zeroizing<String>,
) -> Result<(), Problem> {
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let proof = Proof::new(hash, name, nonce);
    let challenge = say(conversation, proof.first().as_bytes()).await?;
    let password = password.clone();
    // It is meant to take its time.
    let answered = aside(move || proof.answer(&password, &challenge)).await?;
    let answered = answered.map_err(|why| conversation.failed(why))?;
    let told = say(conversation, answered.said.as_bytes()).await?;
    answered.check(&told).map_err(|why| conversation.failed(why))
}

/// Says something of a mechanism, and gives what is said to that.
async fn say(conversation: &mut Conversation, bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut says = Writer::default();
    says.bytes(bytes);
    let mut answer = conversation.call(SASL_AUTHENTICATE, &says).await?;
    let read = (|| Ok((answer.short()?, answer.text()?, answer.bytes()?)))();
    let (code, why, bytes) = read.map_err(|why: &str| conversation.failed(why))?;
    if code == 0 {
        return Ok(bytes.to_vec());
    }
    let mut problem = refused(conversation.peer(), code);
    if !why.is_empty() {
        let detail = problem.detail.as_deref().unwrap_or_default();
        problem.detail = Some(format!("{detail}: {}", excerpt(why.as_bytes())).into());
    }
    Err(problem)
}
