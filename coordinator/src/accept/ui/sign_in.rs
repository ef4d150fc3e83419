//! Signing in with a token, and out.

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::layout::Page;
use super::{form, parts};
use crate::accept::access;
use crate::accept::payload::Payload;
use crate::accept::problem::ApiProblem;
use crate::accept::query::Query;
use crate::accept::rule::is_page;
use crate::accept::session;
use crate::accept::state::Api;
use crate::code::Code;

/// Where one is after signing in, where nothing else was asked for.
const HOME: &str = "/ui";

/// The page to sign in at; where nobody is asked who they are, there is nothing to do.
///
/// Browsers come here from signing in as well (`kept`), which shows whether they kept the cookie.
pub(super) async fn page(
    State(api): State<Api>,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response, ApiProblem> {
    let (to, kept) = (query.one("to")?, query.one("kept")?);
    query.finish()?;
    if api.access.is_none() {
        return Ok(Redirect::to(HOME).into_response());
    }
    let to = safe(to.as_deref());
    match kept.map(|_| lost(&headers)) {
        Some(None) => Ok(Redirect::to(to).into_response()),
        Some(lost) => Ok(Html(shown(to, lost).into_string()).into_response()),
        None => Ok(Html(shown(to, None).into_string()).into_response()),
    }
}

/// Why a browser that has just signed in is still nobody.
fn lost(headers: &HeaderMap) -> Option<&'static str> {
    if headers.contains_key(header::AUTHORIZATION) {
        return Some(
            "The request has a header Authorization, which counts in place of the cookie: a proxy \
             before this server must take it off.",
        );
    }
    session::token(headers).is_none().then_some(
        "Your browser did not keep the cookie. Over plain HTTP it cannot, unless the server is on \
         this machine: come by https.",
    )
}

/// The path of a page of ours; home for all else.
fn safe(to: Option<&str>) -> &str {
    let plain = |it: &&str| it.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let path = |it: &str| it.split(['?', '#']).next().unwrap_or_default().to_owned();
    to.filter(plain).filter(|it| is_page(&path(it)) && !it.contains("//")).unwrap_or(HOME)
}

/// Where a browser is led that has just signed in.
fn led(to: &str) -> String {
    parts::address("/ui/sign-in", &[("kept", "1"), ("to", to)])
}

fn shown(to: &str, wrong: Option<&str>) -> Markup {
    let body = html! {
        h1 { "Sign in" }
        form.sign-in method="post" action="/ui/sign-in" {
            input type="hidden" name="to" value=(to);
            label for="token" { "Token" }
            input #token type="password" name="token" required autocomplete="current-password"
                aria-invalid=[wrong.map(|_| "true")] aria-describedby="about";
            @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong) } }
            p.hint #about {
                "A token of this server or of your identity provider. It stays in this browser, in a \
                 cookie that no script reads, until you sign out or close the browser. "
                (parts::command("windlass token create --help"))
            }
            button type="submit" { "Sign in" }
        }
    };
    Page { title: "Sign in".to_owned(), section: "", command: String::new(), body }.plain()
}

/// What a request says of whoever sends it.
pub(super) struct Sender(Parts);

impl<S: Sync> FromRequestParts<S> for Sender {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiProblem> {
        Ok(Self(parts.clone()))
    }
}

/// Takes a token, and has the browser keep it.
pub(super) async fn sign_in(
    State(api): State<Api>,
    Sender(sender): Sender,
    payload: Payload,
) -> Result<Response, ApiProblem> {
    let mut form = form::plain(&payload)?;
    let (token, to) = (form.one("token")?.unwrap_or_default(), form.one("to")?);
    form.finish()?;
    let (token, to) = (token.trim(), safe(to.as_deref()));
    let refused = |status: StatusCode, why: &str| {
        let page = Html(shown(to, Some(why)).into_string());
        Ok((status, page).into_response())
    };
    let Some(cookie) = api.pages.as_ref().and_then(|it| it.kept(token)) else {
        return refused(StatusCode::BAD_REQUEST, "That is no token, or one too long for a cookie.");
    };
    match access::taken(&api, token, &sender).await {
        Ok(()) => Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&led(to))).into_response()),
        Err(problem) if problem.code() == Code::Unauthenticated => {
            refused(StatusCode::UNAUTHORIZED, problem.detail())
        }
        Err(problem) => Err(problem),
    }
}

/// Has the browser forget the token.
pub(super) async fn sign_out(State(api): State<Api>) -> Response {
    let mut response = Redirect::to("/ui/sign-in").into_response();
    if let Some(cookie) = api.pages.as_ref().and_then(|it| it.forgotten()) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::{HOME, led, lost, safe};

    #[test]
    fn who_is_still_nobody_is_told_why() {
        let mut headers = HeaderMap::new();
        assert!(lost(&headers).is_some_and(|it| it.contains("did not keep the cookie")));
        headers.insert(header::COOKIE, HeaderValue::from_static("windlass-ui=t"));
        assert_eq!(lost(&headers), None);
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Basic eDp5"));
        assert!(lost(&headers).is_some_and(|it| it.contains("Authorization")));
        assert_eq!(led("/ui/audit"), "/ui/sign-in?kept=1&to=%2Fui%2Faudit");
    }

    #[test]
    fn one_is_led_nowhere_else() {
        assert_eq!(safe(Some("/ui/audit?instance=1")), "/ui/audit?instance=1");
        for other in [
            "//evil.example/ui/",
            "https://evil.example/ui",
            "/ui//evil.example",
            "/ui/\\evil",
            "/uix",
            "/v1/instances",
            "/ui/\r\nx: y",
            "",
        ] {
            assert_eq!(safe(Some(other)), HOME, "{other:?}");
        }
        assert_eq!(safe(None), HOME);
    }
}
