//! Methods and versions of the protocol.

use crate::perform::json_rpc::message::{INVALID_REQUEST, METHOD_NOT_FOUND, RpcError};

/// The error of an agent that does not speak a version.
const VERSION_NOT_SUPPORTED: i64 = -32_009;

/// A version, as far as agents of it are spoken to alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    /// 0.3, and those before it with the same methods.
    V0_3,
    /// 1.0 and all that agree with it.
    V1,
}

impl Version {
    /// The version that `text` belongs to, such as `0.3.0`; none where it is not spoken here.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.trim().split('.').next()? {
            "0" => Some(Self::V0_3),
            "1" => Some(Self::V1),
            _ => None,
        }
    }

    /// As the header `A2A-Version` has it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::V0_3 => "0.3",
            Self::V1 => "1.0",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::V0_3 => Self::V1,
            Self::V1 => Self::V0_3,
        }
    }
}

/// True for the error of an agent that knows a message of this form not at all: it did nothing.
pub(super) fn is_not_understood(error: &RpcError) -> bool {
    matches!(error.code, METHOD_NOT_FOUND | INVALID_REQUEST | VERSION_NOT_SUPPORTED)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Send,
    Stream,
    Get,
    List,
    Cancel,
    Resubscribe,
    SetPush,
    GetPush,
    ListPush,
    DeletePush,
    ExtendedCard,
}

/// Each method, as 0.3 and the specification call it, and as 1.0 does.
const NAMES: [(Method, &str, &str); 11] = [
    (Method::Send, "message/send", "SendMessage"),
    (Method::Stream, "message/stream", "SendStreamingMessage"),
    (Method::Get, "tasks/get", "GetTask"),
    (Method::List, "tasks/list", "ListTasks"),
    (Method::Cancel, "tasks/cancel", "CancelTask"),
    (Method::Resubscribe, "tasks/resubscribe", "SubscribeToTask"),
    (Method::SetPush, "tasks/pushNotificationConfig/set", "CreateTaskPushNotificationConfig"),
    (Method::GetPush, "tasks/pushNotificationConfig/get", "GetTaskPushNotificationConfig"),
    (Method::ListPush, "tasks/pushNotificationConfig/list", "ListTaskPushNotificationConfigs"),
    (Method::DeletePush, "tasks/pushNotificationConfig/delete", "DeleteTaskPushNotificationConfig"),
    (Method::ExtendedCard, "agent/getAuthenticatedExtendedCard", "GetExtendedAgentCard"),
];

impl Method {
    /// The method that a definition names.
    pub(super) fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, it, _)| *it == name).map(|(method, ..)| *method)
    }

    /// As definitions call it.
    pub(super) fn name(self) -> &'static str {
        self.name_in(Version::V0_3)
    }

    pub(super) fn name_in(self, version: Version) -> &'static str {
        let found = NAMES.iter().find(|(method, ..)| *method == self);
        let (older, newer) = found.map_or(("", ""), |(_, older, newer)| (*older, *newer));
        match version {
            Version::V0_3 => older,
            Version::V1 => newer,
        }
    }

    /// True where the agent is given something to do.
    pub(super) fn sends_message(self) -> bool {
        matches!(self, Self::Send | Self::Stream)
    }

    /// True where the answer is a stream of results.
    pub(super) fn streams(self) -> bool {
        matches!(self, Self::Stream | Self::Resubscribe)
    }
}

#[cfg(test)]
mod tests {
    use super::{Method, NAMES, Version};

    #[test]
    fn every_method_has_a_name_in_each_version() {
        for (method, older, newer) in NAMES {
            assert_eq!(Method::parse(older), Some(method));
            assert_eq!(method.name(), older);
            assert_eq!(method.name_in(Version::V1), newer);
        }
        assert_eq!(Method::parse("SendMessage"), None);
    }

    #[test]
    fn versions_are_told_by_their_first_number() {
        for (text, expected) in [
            ("0.3", Some(Version::V0_3)),
            ("0.2.6", Some(Version::V0_3)),
            ("1.0", Some(Version::V1)),
            (" 1.2.0", Some(Version::V1)),
            ("1", Some(Version::V1)),
            ("2.0", None),
            ("10.0", None),
            ("", None),
        ] {
            assert_eq!(Version::parse(text), expected, "{text}");
        }
    }
}
