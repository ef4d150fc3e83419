//! Packets of MQTT 5.

use bytes::{Bytes, BytesMut};
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, Connect, ConnectProperties, ConnectReturnCode, Disconnect, DisconnectReasonCode,
    Filter, Login, Packet as Raw, PingReq, PubAck, PubAckReason, PubRec, PubRecReason, PubRel,
    Publish, PublishProperties, SubAck, Subscribe, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error, QoS};
use windlass_proto::limits;

use super::{Incoming, Outcome, Packet, Publication, fitting, most, too_large, user};

pub(super) fn write(packet: Packet<'_>) -> Result<BytesMut, String> {
    let raw = match packet {
        Packet::Connect { id, login } => {
            let mut properties = ConnectProperties::new();
            properties.max_packet_size = u32::try_from(most()).ok();
            let connect = Connect {
                keep_alive: limits::KEEP_ALIVE_S,
                client_id: id,
                clean_start: true,
                properties: Some(properties),
            };
            let login = login.map(user).transpose()?;
            Raw::Connect(connect, None, login.map(|(name, password)| Login::new(name, password)))
        }
        Packet::Publish(publication) => Raw::Publish(publish(publication)?),
        Packet::Subscribe { filter, qos, packet } => {
            let filter = Filter::new(fitting("the topic", filter)?, quality(qos));
            Raw::Subscribe(Subscribe { pkid: packet, filters: vec![filter], properties: None })
        }
        Packet::Acknowledge(packet) => Raw::PubAck(PubAck::new(packet, None)),
        Packet::Release(packet) => Raw::PubRel(PubRel::new(packet, None)),
        Packet::Ping => Raw::PingReq(PingReq),
        Packet::Disconnect => {
            Raw::Disconnect(Disconnect::new(DisconnectReasonCode::NormalDisconnection))
        }
        _ => return Err("it is a broker's".to_owned()),
    };
    let mut bytes = BytesMut::new();
    raw.write(&mut bytes, None).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn publish(publication: Publication<'_>) -> Result<Publish, String> {
    let Publication { topic, qos, retain, packet, message } = publication;
    let mut user_properties = Vec::new();
    for (name, value) in message.headers {
        // A secret may be in the value.
        let what = "a header";
        user_properties.push((fitting(what, name)?, fitting(what, value)?));
    }
    let content_type =
        message.content_type.map(|it| fitting("the content type", it)).transpose()?;
    let properties = PublishProperties { content_type, user_properties, ..Default::default() };
    Ok(Publish {
        dup: false,
        qos: quality(qos),
        retain,
        topic: Bytes::from(fitting("the topic", topic.to_owned())?),
        pkid: packet,
        payload: Bytes::from(message.payload),
        properties: Some(properties),
    })
}

fn quality(qos: u8) -> QoS {
    match qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

pub(super) fn read(bytes: &mut BytesMut) -> Result<Option<Packet<'static>>, String> {
    let raw = match Raw::read(bytes, u32::try_from(most()).ok()) {
        Ok(raw) => raw,
        Err(Error::InsufficientBytes(_)) => return Ok(None),
        Err(Error::PayloadSizeLimitExceeded { .. }) => return Err(too_large()),
        Err(error) => return Err(error.to_string()),
    };
    Ok(Some(match raw {
        Raw::ConnAck(ConnAck { code, .. }) => Packet::Connected(connected(code)),
        Raw::SubAck(SubAck { return_codes, .. }) => {
            Packet::Subscribed(match return_codes.first() {
                Some(SubscribeReasonCode::Success(_)) => Outcome::Accepted,
                Some(SubscribeReasonCode::NotAuthorized) => Outcome::Forbidden,
                other => Outcome::Refused(format!("{other:?}")),
            })
        }
        Raw::PubAck(PubAck { reason, .. }) => Packet::Acknowledged(match reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Outcome::Accepted,
            PubAckReason::NotAuthorized => Outcome::Forbidden,
            other => Outcome::Refused(format!("{other:?}")),
        }),
        Raw::PubRec(PubRec { reason, .. }) => Packet::Received(match reason {
            PubRecReason::Success | PubRecReason::NoMatchingSubscribers => Outcome::Accepted,
            PubRecReason::NotAuthorized => Outcome::Forbidden,
            other => Outcome::Refused(format!("{other:?}")),
        }),
        Raw::PubComp(_) => Packet::Completed,
        Raw::Publish(publish) => Packet::Message {
            qos: publish.qos as u8,
            packet: publish.pkid,
            incoming: incoming(publish),
        },
        Raw::PingResp(_) => Packet::Pong,
        Raw::Disconnect(Disconnect { reason_code, .. }) => {
            Packet::Closed(format!("the broker has closed the connection: {reason_code:?}"))
        }
        _ => Packet::Other,
    }))
}

fn connected(code: ConnectReturnCode) -> Outcome {
    match code {
        ConnectReturnCode::Success => Outcome::Accepted,
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            Outcome::Unauthenticated
        }
        ConnectReturnCode::Banned => Outcome::Forbidden,
        other => Outcome::Refused(format!("{other:?}")),
    }
}

fn incoming(publish: Publish) -> Incoming {
    let properties = publish.properties.unwrap_or_default();
    let correlation = properties.correlation_data;
    let mut incoming = Incoming {
        payload: publish.payload,
        content_type: properties.content_type,
        correlation: correlation.map(|it| String::from_utf8_lossy(&it).into_owned()),
        ..Incoming::default()
    };
    for (name, value) in &properties.user_properties {
        incoming.add_header(name, value);
    }
    incoming
}
