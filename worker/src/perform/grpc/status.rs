//! What a call by gRPC comes to when it is no success.

use tonic::{Code, Status};
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};

use super::Target;
use super::transport::Broken;
use crate::egress::Refusal;
use crate::request::{cause, excerpt};
use crate::seal::Seal;

/// How a status is written, as the gRPC project does.
pub(crate) fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The HTTP status nearest to one of gRPC.
pub(super) fn http(code: Code) -> u16 {
    match code {
        Code::InvalidArgument => 400,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::NotFound => 404,
        Code::ResourceExhausted => 429,
        Code::Unimplemented => 501,
        Code::Unavailable => 503,
        Code::DeadlineExceeded => 504,
        _ => 500,
    }
}

/// What a call has failed with.
pub(super) enum Failure {
    /// What the server says, or the client of an answer that it cannot read.
    Status(Status),
    /// There is no answer, or not all of it.
    Broken(String),
    /// The egress policy does not allow it.
    Refused(Refusal),
    /// More than is read.
    TooLarge(String),
}

/// How the HTTP libraries tell of a server that answers with an alert, or hangs up: which of these
/// it is depends on who is first.
const HUNG_UP: [&str; 5] =
    ["broken pipe", "invalid size", "connection was not ready", "reset", "closed"];

impl Failure {
    pub(super) fn new(target: &Target, status: Status) -> Self {
        let source = std::error::Error::source(&status);
        let broken = source.and_then(|it| it.downcast_ref::<Broken>()).map(|it| &it.0);
        let broken = broken.or_else(|| source.and_then(|it| it.downcast_ref::<reqwest::Error>()));
        if let Some(error) = broken {
            if let Some(refusal) = Refusal::of(error) {
                return Self::Refused(refusal.clone());
            }
            return Self::Broken(cause(&target.place.url, error));
        }
        if source.is_some() {
            return Self::Broken(status.message().to_owned());
        }
        // The client's own words; a server has no reason for them.
        if status.code() == Code::OutOfRange && status.message().contains("length too large") {
            let most = limits::GRPC_MESSAGE_BYTES;
            return Self::TooLarge(format!("a message of the answer is larger than {most} bytes"));
        }
        Self::Status(status)
    }

    /// The same of a call to which nothing was answered: the server may have been spoken to in a
    /// way that it does not know.
    pub(super) fn unanswered(target: &Target, status: Status) -> Self {
        let failure = Self::new(target, status);
        let Self::Broken(why) = &failure else { return failure };
        let hint = match target.place.url.scheme() {
            "https" if why.contains("InvalidContentType") => {
                "the server speaks no TLS at this port: try `metadata.windlass.tls: false`"
            }
            "http" if HUNG_UP.iter().any(|it| why.contains(it)) => {
                "where the server speaks TLS at this port, try `metadata.windlass.tls: true`"
            }
            _ => return failure,
        };
        Self::Broken(format!("{why} ({hint})"))
    }

    /// The error's kind, for traces.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Status(status) => word(status.code()),
            Self::Broken(_) => "UNAVAILABLE",
            Self::Refused(_) => "PERMISSION_DENIED",
            Self::TooLarge(_) => "RESOURCE_EXHAUSTED",
        }
    }

    pub(super) fn is(&self, code: Code) -> bool {
        matches!(self, Self::Status(status) if status.code() == code)
    }

    /// What is reported of it.
    pub(super) fn problem(&self, target: &Target, seal: &Seal) -> Problem {
        let what = target.shown();
        match self {
            Self::Status(status) => {
                let code = status.code();
                let mut detail =
                    format!("{what} answered {} (grpc-status {})", word(code), code as i32);
                // Sealed before it is cut: half of a secret would not be recognised.
                let said = seal.text(status.message());
                if !said.trim().is_empty() {
                    detail.push_str(": ");
                    detail.push_str(&excerpt(said.as_bytes()));
                }
                Problem::new(Standard::Communication, detail).with_status(http(code))
            }
            Self::Refused(refusal) => refusal.problem(),
            Self::Broken(why) => {
                let detail = format!("{what} failed: {why}");
                Problem::new(Standard::Communication, detail).with_status(503)
            }
            Self::TooLarge(why) => {
                Problem::new(Standard::Communication, format!("{what} failed: {why}"))
            }
        }
    }
}
