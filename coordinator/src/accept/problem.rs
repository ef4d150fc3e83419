//! Errors as the API answers them: RFC 9457 problem details with a code.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use windlass_proto::definition::Diagnostic;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};

use crate::approval::ApprovalError;
use crate::backup::BackupError;
use crate::code::Code;
use crate::coordinator::CoordinatorError;
use crate::journal::JournalError;
use crate::log::BadDirectives;
use crate::policy::ReplaceError;
use crate::secrets::SecretsError;
use crate::webhooks::WebhookError;

/// What problem documents are.
const MEDIA_TYPE: &str = "application/problem+json";

/// A request that was not done.
#[derive(Debug)]
pub struct ApiProblem {
    code: Code,
    detail: String,
    diagnostics: Vec<Diagnostic>,
    cause: Option<Box<Problem>>,
    difference: Option<String>,
    retry_after: Option<Duration>,
    challenge: Option<&'static str>,
    /// True when whoever asks may not do it, whatever they are told.
    denied: bool,
}

/// A request was not done because whoever sent it may not: why, for the audit trail.
#[derive(Clone)]
pub(super) struct Denied(pub(super) String);

/// Which code a refusal has.
#[derive(Clone)]
struct Refused(Code);

/// What came of a request: done, or the status and the code of the refusal.
pub(super) fn outcome(response: &Response) -> Result<(), String> {
    let status = response.status();
    // A form that was done leads to the page that shows it.
    if status.is_success() || status == StatusCode::SEE_OTHER {
        return Ok(());
    }
    let code = response.extensions().get().map(|Refused(code)| format!(", {}", code.code()));
    Err(format!("status {}{}", status.as_u16(), code.unwrap_or_default()))
}

/// The body of every error.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:windlass:problem:WL0503", "status": 404, "title": "No such instance",
    "detail": "no instance 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f", "code": "WL0503"
}))]
pub(super) struct ProblemBody {
    /// URN of the kind of error.
    #[serde(rename = "type")]
    kind: String,
    /// The HTTP status.
    status: u16,
    /// The kind of error in words; stable.
    title: &'static str,
    /// What happened this time.
    detail: String,
    /// The code that `windlass explain` knows.
    code: &'static str,
    /// What is wrong with a definition.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    diagnostics: Vec<Diagnostic>,
    /// The workflow's own error behind this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    cause: Option<Box<Problem>>,
    /// How the definition differs from the one that is deployed, in the unified format.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<String>,
}

impl ApiProblem {
    /// A problem with `detail` about this occurrence.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            diagnostics: Vec::new(),
            cause: None,
            difference: None,
            retry_after: None,
            challenge: None,
            denied: false,
        }
    }

    /// The same, with how to show who one is: `WWW-Authenticate`.
    pub(super) fn challenge(self, challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..self }
    }

    /// The same, to be tried again after `wait`.
    pub(super) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// The same, of somebody who may not do it.
    pub(super) fn denied(self) -> Self {
        Self { denied: true, ..self }
    }

    /// True when whoever asks may not do it.
    pub(super) fn is_denied(&self) -> bool {
        self.denied
    }

    /// What happened this time.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// A bound on work in progress is reached; the caller may try again after `wait`.
    #[must_use]
    pub fn overloaded(detail: &str, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..Self::new(Code::Overloaded, detail) }
    }

    /// A parameter that cannot be read.
    pub(super) fn parameter(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::new(Code::BadParameter, format!("{name}: {reason}"))
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The error of the workflow behind it, such as why an input was refused.
    #[must_use]
    pub fn cause(&self) -> Option<&Problem> {
        self.cause.as_deref()
    }

    /// The problem document as the API sends it.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        // The document holds strings and numbers only: this cannot fail.
        serde_json::to_value(self.body()).unwrap_or_default()
    }

    /// The whole answer in HTTP/1.1, where a connection is not served: it ends with it.
    pub(super) fn to_http(&self) -> String {
        let body = self.to_json().to_string();
        let wait = self.retry_seconds().map(|it| format!("retry-after: {it}\r\n"));
        format!(
            "HTTP/1.1 {}\r\n{}connection: close\r\ncontent-type: {MEDIA_TYPE}\r\n\
             content-length: {}\r\n\r\n{body}",
            self.status(),
            wait.unwrap_or_default(),
            body.len()
        )
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whole seconds, at least one: a zero would invite a busy loop.
    fn retry_seconds(&self) -> Option<u64> {
        self.retry_after.map(|it| (it.as_secs() + u64::from(it.subsec_nanos() > 0)).max(1))
    }

    fn body(&self) -> ProblemBody {
        ProblemBody {
            kind: format!("urn:windlass:problem:{}", self.code.code()),
            status: self.code.status(),
            title: self.code.title(),
            detail: self.detail.clone(),
            code: self.code.code(),
            diagnostics: self.diagnostics.clone(),
            cause: self.cause.clone(),
            difference: self.difference.clone(),
        }
    }
}

impl From<CoordinatorError> for ApiProblem {
    fn from(error: CoordinatorError) -> Self {
        let detail = error.to_string();
        match error {
            CoordinatorError::InvalidDefinition(diagnostics) => {
                Self { diagnostics, ..Self::new(Code::InvalidDefinition, detail) }
            }
            CoordinatorError::Forbidden(_) => Self::new(Code::Forbidden, detail).denied(),
            CoordinatorError::NotPermitted(_) => {
                let cause = Problem::new(Standard::Authorization, detail.clone());
                let cause = Some(Box::new(cause.at(&Arc::from("/use/secrets"))));
                Self { cause, ..Self::new(Code::SecretNotPermitted, detail) }
            }
            CoordinatorError::LogDirectives(BadDirectives::Fixed) => {
                Self::new(Code::LogFixed, detail)
            }
            CoordinatorError::LogDirectives(_) => Self::new(Code::BadLogDirectives, detail),
            CoordinatorError::Secrets(error) => Self::new(code_of(&error), detail),
            CoordinatorError::VersionExists { difference, .. } => {
                Self { difference: Some(difference), ..Self::new(Code::VersionExists, detail) }
            }
            CoordinatorError::Retired(_) => Self::new(Code::Retired, detail),
            CoordinatorError::VersionInUse(..) => Self::new(Code::VersionInUse, detail),
            CoordinatorError::InvalidFunction(_, _, diagnostics) => {
                Self { diagnostics, ..Self::new(Code::InvalidFunction, detail) }
            }
            CoordinatorError::OtherFunction(..) => Self::new(Code::OtherFunction, detail),
            CoordinatorError::UnknownFunction(_) => Self::new(Code::UnknownFunction, detail),
            CoordinatorError::UnknownSchedule(_) => Self::new(Code::UnknownSchedule, detail),
            CoordinatorError::UnknownWorkflow(_) => Self::new(Code::UnknownWorkflow, detail),
            CoordinatorError::Webhook(error) => of_webhook(&error, detail),
            CoordinatorError::UnknownEvent(_) => Self::new(Code::UnknownEvent, detail),
            CoordinatorError::UnknownBulkJob(_) => Self::new(Code::UnknownBulkJob, detail),
            CoordinatorError::Approval(error) => of_approval(error, detail),
            CoordinatorError::UnknownInstance(_) => Self::new(Code::UnknownInstance, detail),
            CoordinatorError::InvalidInput(problem) => {
                Self { cause: Some(Box::new(problem)), ..Self::new(Code::InvalidInput, detail) }
            }
            CoordinatorError::Archive(_) => Self::new(Code::ArchiveFailed, detail),
            CoordinatorError::NotEnded { .. } => Self::new(Code::NotEnded, detail),
            CoordinatorError::Awaited { .. } => Self::new(Code::Awaited, detail),
            CoordinatorError::OtherStart { .. } => Self::new(Code::OtherStart, detail),
            CoordinatorError::StartKeyUsed { .. } => Self::new(Code::StartKeyUsed, detail),
            CoordinatorError::Suspended(_) => Self::new(Code::Suspended, detail),
            CoordinatorError::Already { .. }
            | CoordinatorError::NotARoot { .. }
            | CoordinatorError::BulkConflict { .. }
            | CoordinatorError::TooManyBulkJobs
            | CoordinatorError::TooManySuspensions => Self::new(Code::Conflict, detail),
            CoordinatorError::Unrepairable { .. }
            | CoordinatorError::Unresettable { .. }
            | CoordinatorError::HistoryTooLarge(_) => Self::new(Code::Unrepairable, detail),
            CoordinatorError::NoSuchTask { .. } | CoordinatorError::TooManySuccessors(_) => {
                Self::new(Code::Conflict, detail)
            }
            CoordinatorError::Conflict { .. } => Self::new(Code::Conflict, detail),
            CoordinatorError::Overloaded(wait) => Self::overloaded(&detail, wait),
            CoordinatorError::OutOfMemory(_, wait) => Self::overloaded(&detail, wait),
            CoordinatorError::TooLarge { .. } => Self::new(Code::TooLarge, detail),
            CoordinatorError::Backup(error) => Self::new(code_of_backup(&error), detail),
            CoordinatorError::Journal(error) => {
                Self { retry_after: again(&error), ..Self::new(Code::of_journal(&error), detail) }
            }
            CoordinatorError::Stopping => Self {
                retry_after: Some(Duration::from_secs(1)),
                ..Self::new(Code::Stopping, detail)
            },
        }
    }
}

fn of_approval(error: ApprovalError, detail: String) -> ApiProblem {
    match error {
        ApprovalError::Unknown(_) => ApiProblem::new(Code::UnknownApproval, detail),
        ApprovalError::Closed { .. } => ApiProblem::new(Code::ApprovalClosed, detail),
        ApprovalError::NotAssigned(_) => ApiProblem::new(Code::NotAssigned, detail).denied(),
        ApprovalError::Form { problem, .. } => {
            ApiProblem { cause: Some(problem), ..ApiProblem::new(Code::FormRefused, detail) }
        }
    }
}

/// When what the journal refused may be taken.
fn again(error: &JournalError) -> Option<Duration> {
    let wait = match error {
        JournalError::NoRoom { .. } => limits::ROOM_AGAIN_MS,
        JournalError::LogAway | JournalError::Fenced(_) => limits::CLUSTER_AGAIN_MS,
        _ => return None,
    };
    Some(Duration::from_millis(wait))
}

fn of_webhook(error: &WebhookError, detail: String) -> ApiProblem {
    let code = match error {
        WebhookError::Invalid(_) | WebhookError::TooMany => Code::BadWebhook,
        WebhookError::Unknown(..) => Code::UnknownWebhook,
        WebhookError::NoSecrets | WebhookError::Secret { .. } => Code::WebhookSecret,
        WebhookError::NotVerified(_) | WebhookError::Refused => Code::WebhookRefused,
        WebhookError::NoEvent(_) => Code::WebhookEvent,
        WebhookError::TooOften => return ApiProblem::overloaded(&detail, Duration::from_secs(1)),
        WebhookError::File { .. } => Code::SecretsFailed,
    };
    ApiProblem::new(code, detail)
}

fn code_of_backup(error: &BackupError) -> Code {
    match error {
        BackupError::Unusable(_) | BackupError::Io { .. } => Code::JournalBackup,
        BackupError::Damaged(_) => Code::BackupDamaged,
        BackupError::Locked(_) => Code::BackupLocked,
        BackupError::Running => Code::BackupRunning,
        BackupError::Journal(error) => Code::of_journal(error),
    }
}

fn code_of(error: &SecretsError) -> Code {
    match error {
        SecretsError::Policy(ReplaceError::Given(_)) => Code::PolicyGiven,
        SecretsError::Policy(ReplaceError::Stale(_)) => Code::PolicyReplaced,
        SecretsError::Policy(ReplaceError::Policy(_)) => Code::BadPolicy,
        SecretsError::Policy(ReplaceError::NoProposal) => Code::NoPolicyProposal,
        SecretsError::Policy(ReplaceError::SamePerson(_) | ReplaceError::NobodyKnown) => {
            Code::NeedsSecondPerson
        }
        SecretsError::Policy(
            ReplaceError::Content(..) | ReplaceError::File(..) | ReplaceError::Untold(_),
        )
        | SecretsError::Identity(_)
        | SecretsError::Audit(_) => Code::SecretsFailed,
    }
}

impl IntoResponse for ApiProblem {
    fn into_response(self) -> Response {
        // Whoever asks a standby is told where to ask, as often as they ask.
        if self.code.status() >= 500 && self.code != Code::Standby {
            tracing::warn!(code = self.code.code(), detail = %self.detail, "request failed");
        }
        let mut response = (self.status(), Json(self.body())).into_response();
        if self.denied {
            response.extensions_mut().insert(Denied(self.detail.clone()));
        }
        response.extensions_mut().insert(Refused(self.code));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = self.retry_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}
