//! Workers of other versions, as a real coordinator meets them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto_box::aead::{Aead as _, OsRng};
use crypto_box::{PublicKey, SalsaBox, SecretKey};
use serde_bytes::ByteBuf;
use serde_json::json;
use windlass_proto::wire::hello::{Answer, Hello, HelloError, Introduction, Welcome, introduce};
use windlass_proto::wire::key::WorkerKey;
use windlass_proto::wire::message::{decode, encode};
use windlass_proto::wire::subject::Prefix;
use windlass_worker::fleet::bus::{Bus, BusOptions};

use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::until::{SOON, until};

/// Asks a coordinator to be let in with these protocols; gives the one it chose.
async fn offer(bus: &Bus, key: &str, protocols: &[u16]) -> Result<u16, HelloError> {
    let introduction = Introduction {
        enrolment: serde_bytes::ByteBuf::new(),
        pool: "default".into(),
        identity: "later-1".into(),
        version: "9.0.0".into(),
        capabilities: vec!["http".into(), "function:later".into(), "telepathy".into()],
        concurrency: 1,
        evaluates: false,
        isolation: None,
    };
    let (hello, joining) = introduce(&WorkerKey::parse(key).unwrap(), introduction)?;
    let hello = Hello { protocols: protocols.to_vec(), ..decode(&hello)? };
    let hello = encode(&hello)?;
    // The API listens before the coordinator has subscribed.
    let answer = until(SOON, "the answer to a registration", || async {
        bus.client.request(Prefix::default().hello(), hello.clone().into()).await.ok()
    })
    .await;
    Ok(joining.finish(&answer.payload)?.welcome.protocol)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_a_later_version_joins_where_a_protocol_is_shared() {
    let nats = Nats::start().await;
    let fleet = Fleet::with(Layout::on(&nats.url(), 0)).await;
    let options = BusOptions { url: nats.url(), ..BusOptions::default() };
    let bus = Bus::connect(&options).await.unwrap();
    until(SOON, "the connection to the bus", || async { bus.is_up().then_some(()) }).await;

    assert_eq!(offer(&bus, &fleet.key, &[99, 2]).await.unwrap(), 2);
    let refused = offer(&bus, &fleet.key, &[99]).await.unwrap_err();
    assert!(matches!(refused, HelloError::Refused(_)));
    let said = "no protocol in common: the coordinator speaks [2], the worker [99]";
    assert!(refused.to_string().ends_with(said), "{refused}");
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_introduction_that_cannot_be_read_is_refused_with_why() {
    let nats = Nats::start().await;
    let fleet = Fleet::with(Layout::on(&nats.url(), 0)).await;
    let client = async_nats::connect(nats.url()).await.unwrap();
    // As another language would: from public keys and a box, without any type of ours.
    let key = URL_SAFE_NO_PAD.decode(fleet.key.strip_prefix("wk1_").unwrap()).unwrap();
    let coordinator: [u8; 32] = key[..32].try_into().unwrap();
    let ours = SecretKey::generate(&mut OsRng);
    let cipher = SalsaBox::new(&PublicKey::from(coordinator), &ours);
    for (introduction, why) in [
        (json!({"pool": "default"}), "missing field `enrolment`"),
        (json!({"enrolment": "text", "pool": 7}), "invalid type"),
        (json!("hello"), "invalid type"),
    ] {
        let nonce = [5; 24];
        let plain = encode(&introduction).unwrap();
        let hello = Hello {
            protocols: vec![2],
            key: ByteBuf::from(ours.public_key().as_bytes().to_vec()),
            nonce: ByteBuf::from(nonce.to_vec()),
            sealed: ByteBuf::from(cipher.encrypt((&nonce).into(), &plain[..]).unwrap()),
        };
        // The API listens before the coordinator has subscribed.
        let answer = until(SOON, "the refusal", || async {
            let hello = encode(&hello).unwrap().into();
            client.request(Prefix::default().hello(), hello).await.ok()
        })
        .await;
        let answer: Answer = decode(&answer.payload).unwrap();
        let nonce: [u8; 24] = answer.nonce.as_slice().try_into().unwrap();
        let opened = cipher.decrypt((&nonce).into(), answer.sealed.as_slice()).unwrap();
        let refused = decode::<Welcome>(&opened).unwrap().refused.unwrap();
        assert!(refused.contains("its introduction cannot be read"), "{refused}");
        assert!(refused.contains(why), "{introduction}: {refused}");
    }
    let log = fleet.stderr();
    assert!(log.contains("worker registration refused"), "{log}");
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_worker_is_given_functions_only_whatever_it_declares() {
    let nats = Nats::start().await;
    let fleet = Fleet::with(Layout::on(&nats.url(), 0)).await;
    let options = BusOptions { url: nats.url(), ..BusOptions::default() };
    let bus = Bus::connect(&options).await.unwrap();
    until(SOON, "the connection to the bus", || async { bus.is_up().then_some(()) }).await;
    assert_eq!(offer(&bus, &fleet.key, &[2]).await.unwrap(), 2);
    let listed = fleet.api.get("/v1/workers").await.ok();
    assert_eq!(listed["items"][0]["capabilities"], json!(["function:later"]), "{listed}");
}
