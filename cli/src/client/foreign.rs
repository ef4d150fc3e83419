//! Answers of something that is not Windlass: a proxy before it, or on the way.

use reqwest::header::{
    CONTENT_TYPE, HeaderName, LOCATION, PROXY_AUTHENTICATE, SERVER, WWW_AUTHENTICATE,
};
use reqwest::{Response, StatusCode, Url};
use windlass_proto::limits::PROXY_SHOWN_CHARACTERS;

use crate::code::PROXY_REFUSED;
use crate::error::CliError;
use crate::output::printable;

/// What an answer says that Windlass would not give; none where it may be Windlass's.
pub(super) fn refusal(base: &Url, response: &Response) -> Option<CliError> {
    let status = response.status();
    let why = match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            format!("a proxy on the way asks who you are{}", asks(response, &PROXY_AUTHENTICATE))
        }
        _ if is_problem(response) => return None,
        StatusCode::UNAUTHORIZED => {
            format!(
                "a proxy before the server asks who you are{}",
                asks(response, &WWW_AUTHENTICATE)
            )
        }
        StatusCode::FORBIDDEN => "a proxy before the server does not let you through".to_owned(),
        _ if status.is_redirection() => format!(
            "a proxy before the server wants a browser to log in there{}, or this is not its URL",
            place(response)
        ),
        _ => return None,
    };
    let by = header(response, &SERVER).map(|it| format!(", by {it}")).unwrap_or_default();
    let detail = format!(
        "{base}: status {status}{by}, and not of Windlass: {why}. --header, or `headers` of a \
         profile, send what it asks for"
    );
    Some(CliError::coded(&PROXY_REFUSED, &detail))
}

/// True for what Windlass refuses with.
fn is_problem(response: &Response) -> bool {
    header(response, &CONTENT_TYPE).is_some_and(|it| it.starts_with("application/problem+json"))
}

/// What it is to be shown: a scheme, and for what.
fn asks(response: &Response, name: &HeaderName) -> String {
    let Some(challenge) = header(response, name) else { return String::new() };
    let scheme = challenge.split([' ', ',']).next().unwrap_or_default();
    let realm = challenge.split_once("realm=").map(|it| it.1.trim_start_matches('"'));
    let realm = realm.and_then(|it| it.split(['"', ',']).next()).filter(|it| !it.is_empty());
    match realm {
        Some(realm) => format!(" ({scheme}, realm {realm})"),
        None => format!(" ({scheme})"),
    }
}

/// Where it sends a browser, without what else is told there.
fn place(response: &Response) -> String {
    let there = header(response, &LOCATION).and_then(|it| response.url().join(&it).ok());
    there
        .map(|it| format!(" ({}{})", it.origin().ascii_serialization(), it.path()))
        .unwrap_or_default()
}

/// A header's text, as far as it may be shown.
fn header(response: &Response, name: &HeaderName) -> Option<String> {
    let text = response.headers().get(name)?.to_str().ok()?;
    Some(printable(text).chars().take(PROXY_SHOWN_CHARACTERS).collect())
}
