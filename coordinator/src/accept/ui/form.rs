//! Forms that were sent.

use windlass_proto::limits::UI_FORM_BYTES;

use crate::accept::access::Caller;
use crate::accept::payload::Payload;
use crate::accept::problem::ApiProblem;
use crate::accept::query::Query;
use crate::accept::state::Api;
use crate::code::Code;

/// The member of each form that says which page it is of.
pub(super) const TOKEN: &str = "form";

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
