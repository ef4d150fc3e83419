//! Workers of other versions, as a real coordinator meets them.

use windlass_proto::wire::hello::{Hello, HelloError, Introduction, introduce};
use windlass_proto::wire::key::WorkerKey;
use windlass_proto::wire::message::{decode, encode};
use windlass_proto::wire::subject::Prefix;
use windlass_worker::fleet::bus::{Bus, BusOptions};

use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::until::{SOON, until, within};

/// Asks a coordinator to be let in with these protocols; gives the one it chose.
async fn offer(bus: &Bus, key: &str, protocols: &[u16]) -> Result<u16, HelloError> {
    let introduction = Introduction {
        enrolment: serde_bytes::ByteBuf::new(),
        pool: "default".into(),
        identity: "later-1".into(),
        version: "9.0.0".into(),
        capabilities: vec!["function:later".into(), "telepathy".into()],
        concurrency: 1,
        evaluates: false,
    };
    let (hello, joining) = introduce(&WorkerKey::parse(key).unwrap(), introduction)?;
    let hello = Hello { protocols: protocols.to_vec(), ..decode(&hello)? };
    let asked = bus.client.request(Prefix::default().hello(), encode(&hello)?.into());
    let answer = within(SOON, "the answer to a registration", asked).await.unwrap();
    Ok(joining.finish(&answer.payload)?.welcome.protocol)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_a_later_version_joins_where_a_protocol_is_shared() {
    let nats = Nats::start().await;
    let fleet = Fleet::with(Layout::on(&nats.url(), 0)).await;
    let options = BusOptions { url: nats.url(), ..BusOptions::default() };
    let bus = Bus::connect(&options).await.unwrap();
    until(SOON, "the connection to the bus", || async { bus.is_up().then_some(()) }).await;

    assert_eq!(offer(&bus, &fleet.key, &[99, 1]).await.unwrap(), 1);
    let refused = offer(&bus, &fleet.key, &[99]).await.unwrap_err();
    assert!(matches!(refused, HelloError::Refused(_)));
    let said = "no protocol in common: the coordinator speaks [1], the worker [99]";
    assert!(refused.to_string().ends_with(said), "{refused}");
    fleet.assert_sound();
}
