//! Forms that were sent, and what each form holds beside its fields.

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use maud::{Markup, html};
use serde_json::value::RawValue;
use windlass_proto::limits::{REASON_CHARACTERS, UI_FORM_BYTES};

use crate::accept::access::Caller;
use crate::accept::operator::By;
use crate::accept::payload::Payload;
use crate::accept::problem::ApiProblem;
use crate::accept::query::Query;
use crate::accept::state::Api;
use crate::code::Code;

/// The member of each form that says which page it is of.
pub(super) const TOKEN: &str = "form";

/// A form of a page that was made for whoever sends it now.
pub(super) struct Sent {
    pub(super) caller: Caller,
    pub(super) by: By,
    /// What the API would have got, but for its body.
    pub(super) payload: Payload,
    pub(super) fields: Query,
}

impl FromRequest<Api> for Sent {
    type Rejection = ApiProblem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiProblem> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, api).await?;
        let by = By::from_request_parts(&mut parts, api).await?;
        let payload = Payload::from_request(Request::from_parts(parts, body), api).await?;
        let fields = read(api, &caller, &payload)?;
        Ok(Self { caller, by, payload, fields })
    }
}

/// The part of a form that says for whom it was made; none where there are no pages.
pub(super) fn token(api: &Api, caller: &Caller) -> Markup {
    let token = api.pages.as_ref().map(|it| it.form_token(caller.principal()));
    html! { @if let Some(token) = token { input type="hidden" name=(TOKEN) value=(token); } }
}

/// The field of a reason; `of` tells it from those of other forms.
pub(super) fn reason(of: &str, is_required: bool) -> Markup {
    html! {
        label for={ "reason-" (of) } { "Reason, kept in the audit trail" }
        input id={ "reason-" (of) } type="text" name="reason" required[is_required]
            maxlength=(REASON_CHARACTERS) autocomplete="off";
    }
}

/// JSON of a field, its numbers as they are written; `otherwise` where it is empty.
pub(super) fn json(
    name: &str,
    text: Option<String>,
    otherwise: &str,
) -> Result<Box<RawValue>, ApiProblem> {
    let text = text.filter(|it| !it.trim().is_empty()).unwrap_or_else(|| otherwise.to_owned());
    RawValue::from_string(text)
        .map_err(|error| ApiProblem::new(Code::BadBody, format!("{name} is no JSON: {error}")))
}

/// Reads a form of a page that was made for `caller`.
pub(super) fn read(api: &Api, caller: &Caller, payload: &Payload) -> Result<Query, ApiProblem> {
    let mut form = plain(payload)?;
    let token = form.one(TOKEN)?;
    match &api.pages {
        Some(pages) => pages.check_form(token.as_deref(), caller.principal())?,
        None => return Err(ApiProblem::new(Code::StaleForm, "there are no pages here")),
    }
    Ok(form)
}

/// Reads a form that nobody in particular was given.
pub(super) fn plain(payload: &Payload) -> Result<Query, ApiProblem> {
    if payload.media_type() != "application/x-www-form-urlencoded" {
        let detail = "send the form as application/x-www-form-urlencoded";
        return Err(ApiProblem::new(Code::UnsupportedMediaType, detail));
    }
    if payload.bytes.len() > UI_FORM_BYTES {
        let detail =
            format!("a form has at most {UI_FORM_BYTES} bytes; the API takes larger inputs");
        return Err(ApiProblem::new(Code::TooLarge, detail));
    }
    let text = std::str::from_utf8(&payload.bytes)
        .map_err(|error| ApiProblem::new(Code::BadBody, format!("not UTF-8: {error}")))?;
    Query::parse(text)
}
