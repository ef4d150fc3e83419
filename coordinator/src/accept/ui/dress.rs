//! What every answer below `/ui` gets: the headers that browsers keep it safe by, compression, and
//! a page in place of a problem document.

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use windlass_proto::limits::{API_LARGE_ANSWER_BYTES, UI_ANSWER_BYTES, UI_COMPRESSED_BYTES};

use super::{assets, layout, parts};
use crate::accept::rule::is_page;
use crate::accept::session;

/// What browsers may load, and where pages may be shown: from here, and in no frame.
const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // With less, forms would not say where they are from.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Dresses answers below `/ui`.
pub(in crate::accept) async fn dressed(request: Request, next: Next) -> Response {
    if !is_page(request.uri().path()) {
        return next.run(request).await;
    }
    let asked = Asked {
        is_read: matches!(*request.method(), Method::GET | Method::HEAD),
        back: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
        is_signed_in: session::token(request.headers()).is_some(),
    };
    let mut response = asked.page(next.run(request).await).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if !response.headers().contains_key(header::CACHE_CONTROL) {
        let never = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, never);
    }
    response
}

/// Compresses pages, large ones where they keep nobody from being answered.
pub(super) async fn packed(request: Request, next: Next) -> Response {
    let gzip = assets::takes_gzip(request.headers());
    let response = next.run(request).await;
    let size = response.body().size_hint().exact().unwrap_or_default();
    let bounded = (UI_COMPRESSED_BYTES..=UI_ANSWER_BYTES).contains(&size);
    let is_packed = response.headers().contains_key(header::CONTENT_ENCODING);
    if !gzip || !bounded || is_packed || !is(response.headers(), "text/html") {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Some(plain) = whole(body).await else { return unread() };
    let packed = match size > API_LARGE_ANSWER_BYTES {
        true => {
            let plain = plain.clone();
            let packed = tokio::task::spawn_blocking(move || assets::packed(&plain)).await;
            packed.ok().flatten()
        }
        false => assets::packed(&plain),
    };
    match packed {
        Some(packed) => {
            assets::marked_packed(&mut parts.headers);
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(packed))
        }
        None => Response::from_parts(parts, Body::from(plain)),
    }
}

/// What is known of the request.
struct Asked {
    is_read: bool,
    back: String,
    /// Whether it came with a cookie of ours.
    is_signed_in: bool,
}

impl Asked {
    async fn page(&self, response: Response) -> Response {
        match is(response.headers(), "application/problem+json") {
            true => self.problem(response).await,
            false => response,
        }
    }

    /// A page about what was not done; the page to sign in at, where somebody has to.
    async fn problem(&self, response: Response) -> Response {
        if response.status() == StatusCode::UNAUTHORIZED {
            let back = if self.is_read { &*self.back } else { "/ui" };
            return Redirect::to(&parts::address("/ui/sign-in", &[("to", back)])).into_response();
        }
        let (mut head, body) = response.into_parts();
        let Some(body) = whole(body).await else { return unread() };
        let problem = serde_json::from_slice(&body).unwrap_or_default();
        let page = layout::problem(&problem, self.is_signed_in);
        head.headers.remove(header::CONTENT_LENGTH);
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        head.headers.insert(header::CONTENT_TYPE, html);
        Response::from_parts(head, Body::from(page.into_string()))
    }
}

fn is(headers: &HeaderMap, kind: &str) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    given.is_some_and(|it| it.starts_with(kind))
}

async fn whole(body: Body) -> Option<axum::body::Bytes> {
    let most = usize::try_from(UI_ANSWER_BYTES).unwrap_or(usize::MAX);
    to_bytes(body, most).await.ok()
}

/// What is in memory can be read; this is for the compiler.
fn unread() -> Response {
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}
