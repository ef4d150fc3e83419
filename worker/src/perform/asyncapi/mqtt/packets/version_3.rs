//! Packets of MQTT 3.1.1.

use bytes::{Bytes, BytesMut};
use rumqttc::{
    ConnAck, Connect, ConnectReturnCode, Packet as Raw, PubAck, PubRel, Publish, QoS, SubAck,
    Subscribe, SubscribeReasonCode, mqttbytes,
};
use windlass_proto::limits;

use super::{Incoming, Outcome, Packet, fitting, most, too_large, user};

pub(super) fn write(packet: Packet<'_>) -> Result<BytesMut, String> {
    let raw = match packet {
        Packet::Connect { id, login } => {
            let mut connect = Connect::new(id);
            connect.keep_alive = limits::KEEP_ALIVE_S;
            if let Some(login) = login {
                let (name, password) = user(login)?;
                connect.set_login(name, password);
            }
            Raw::Connect(connect)
        }
        Packet::Publish(publication) => {
            let topic = fitting("the topic", publication.topic.to_owned())?;
            let payload = Bytes::from(publication.message.payload);
            let mut publish = Publish::from_bytes(topic, quality(publication.qos), payload);
            publish.retain = publication.retain;
            publish.pkid = publication.packet;
            Raw::Publish(publish)
        }
        Packet::Subscribe { filter, qos, packet } => {
            let mut subscribe = Subscribe::new(fitting("the topic", filter)?, quality(qos));
            subscribe.pkid = packet;
            Raw::Subscribe(subscribe)
        }
        Packet::Acknowledge(packet) => Raw::PubAck(PubAck::new(packet)),
        Packet::Release(packet) => Raw::PubRel(PubRel::new(packet)),
        Packet::Ping => Raw::PingReq,
        Packet::Disconnect => Raw::Disconnect,
        _ => return Err("it is a broker's".to_owned()),
    };
    let mut bytes = BytesMut::new();
    raw.write(&mut bytes, usize::MAX).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn quality(qos: u8) -> QoS {
    match qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

pub(super) fn read(bytes: &mut BytesMut) -> Result<Option<Packet<'static>>, String> {
    let raw = match Raw::read(bytes, most()) {
        Ok(raw) => raw,
        Err(mqttbytes::Error::InsufficientBytes(_)) => return Ok(None),
        Err(mqttbytes::Error::PayloadSizeLimitExceeded(_)) => return Err(too_large()),
        Err(error) => return Err(error.to_string()),
    };
    Ok(Some(match raw {
        Raw::ConnAck(ConnAck { code, .. }) => Packet::Connected(match code {
            ConnectReturnCode::Success => Outcome::Accepted,
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
                Outcome::Unauthenticated
            }
            other => Outcome::Refused(format!("{other:?}")),
        }),
        Raw::SubAck(SubAck { return_codes, .. }) => {
            Packet::Subscribed(match return_codes.first() {
                Some(SubscribeReasonCode::Success(_)) => Outcome::Accepted,
                // The one code that version 3.1.1 has for all reasons; rights are the usual one.
                _ => Outcome::Forbidden,
            })
        }
        Raw::PubAck(_) => Packet::Acknowledged(Outcome::Accepted),
        Raw::PubRec(_) => Packet::Received(Outcome::Accepted),
        Raw::PubComp(_) => Packet::Completed,
        Raw::Publish(publish) => Packet::Message {
            qos: publish.qos as u8,
            packet: publish.pkid,
            incoming: Incoming { payload: publish.payload, ..Incoming::default() },
        },
        Raw::PingResp => Packet::Pong,
        Raw::Disconnect => Packet::Closed("the broker has closed the connection".to_owned()),
        _ => Packet::Other,
    }))
}
