//! What every request passes: bounds, and the refusal of other sites' pages.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use windlass_proto::limits::{API_REQUEST_MS, WEBHOOK_BODY_BYTES};
use windlass_proto::metric::Traced;

use super::payload;
use super::problem::ApiProblem;
use super::room::{Budget, Room};
use super::state::Api;
use super::trace::{Began, trace};
use crate::clock;
use crate::code::Code;

/// Bounds how many requests of all kinds but the operators' run, and how long each may take.
pub(super) async fn bounded(State(api): State<Api>, request: Request, next: Next) -> Response {
    let budget = api.requests.clone();
    within(api, &budget, request, next).await
}

/// The same for requests of operators and probes, which help when there is no room for others.
pub(super) async fn operated(State(api): State<Api>, request: Request, next: Next) -> Response {
    let budget = api.operators.clone();
    within(api, &budget, request, next).await
}

/// The same for deliveries of webhooks, of whose senders nothing is known yet: they have a little
/// room of their own, and small bodies.
pub(super) async fn delivered(State(api): State<Api>, request: Request, next: Next) -> Response {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    // Services say how much they send.
    if announced.is_none_or(|it| it > WEBHOOK_BODY_BYTES) {
        let detail = format!(
            "a delivery of a webhook says its length (Content-Length), at most {WEBHOOK_BODY_BYTES} \
             bytes"
        );
        return ApiProblem::new(Code::TooLarge, detail).into_response();
    }
    // Before a body takes room: this is all that is known of whoever sends it.
    let path = request.uri().path().strip_prefix("/v1/hooks/").and_then(|it| it.split_once('/'));
    let (namespace, name) = path.unwrap_or_default();
    if let Err(error) = api.coordinator.may_deliver(namespace, name, request.headers()) {
        return ApiProblem::from(error).into_response();
    }
    let budget = api.deliveries.clone();
    within(api, &budget, request, next).await
}

async fn within(api: Api, budget: &Budget, request: Request, next: Next) -> Response {
    let response = match handle(&api, budget, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    api.metrics.answered(response.status().as_u16());
    response
}

async fn handle(
    api: &Api,
    budget: &Budget,
    request: Request,
    next: Next,
) -> Result<Response, ApiProblem> {
    // First, so that bodies on their way take no room.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut request = payload::receive(api, request).await?;
    let Some(permit) = budget.take() else {
        let wait = Duration::from_secs(1);
        return Err(ApiProblem::overloaded("too many requests are under way", wait));
    };
    let room = Room::of(permit);
    request.extensions_mut().insert(room.clone());
    let limit = Duration::from_millis(API_REQUEST_MS);
    // What is logged and kept in the audit trail meanwhile is of the caller's trace.
    let trace = trace(request.headers());
    let answered = windlass_telemetry::within(trace.as_ref(), next.run(request));
    let answered = tokio::time::timeout(limit, answered).await;
    room.leave();
    let answer = answered.unwrap_or_else(|_| {
        ApiProblem::new(Code::TimedOut, format!("no answer within {limit:?}")).into_response()
    });
    let route = route.as_ref().map(MatchedPath::as_str);
    // The caller's trace where that is recorded, else that of what the request began.
    let began = answer.extensions().get::<Began>().map(|it| &it.0);
    let now = clock::now();
    let traced = [trace.as_ref(), began].into_iter().flatten().find_map(|it| Traced::of(it, now));
    api.metrics.took(route, answer.status().as_u16(), room.took(), traced);
    api.answers.pass(answer).await
}

/// Refuses requests that a browser sends for a page of another site. There is no CORS: no such
/// page may read an answer, and this keeps it from sending commands blindly.
pub(super) async fn same_origin(request: Request, next: Next) -> Response {
    if is_foreign(request.method(), request.headers()) {
        return ApiProblem::new(Code::CrossOrigin, "the page's origin is not this server")
            .into_response();
    }
    next.run(request).await
}

fn is_foreign(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD) {
        return false;
    }
    if headers.get("sec-fetch-site").is_some_and(|it| it == "cross-site") {
        return true;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let host = headers.get(header::HOST).and_then(|it| it.to_str().ok());
    let origin = origin.to_str().ok().and_then(|it| it.split_once("://"));
    !matches!((origin, host), (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host))
}

/// Refuses requests that do not name this machine as their host. For servers bound to loopback: a
/// page whose name was made to resolve to 127.0.0.1 sends its own name.
pub(super) async fn loopback_host(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).map(|it| it.to_str().unwrap_or(""));
    if host.is_some_and(|it| !is_loopback(it)) {
        return ApiProblem::new(Code::CrossOrigin, "the Host header does not name this machine")
            .into_response();
    }
    next.run(request).await
}

/// True for `localhost` and loopback addresses, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Answers paths that lead nowhere.
pub(super) async fn unknown_path(uri: Uri) -> ApiProblem {
    ApiProblem::new(Code::UnknownPath, format!("nothing is at {}", uri.path()))
}

/// Answers methods a resource does not have.
pub(super) async fn unknown_method(method: Method, uri: Uri) -> ApiProblem {
    ApiProblem::new(Code::UnknownMethod, format!("{} does not offer {method}", uri.path()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::http::{HeaderMap, Method};

    use super::{is_foreign, is_loopback};

    #[test]
    fn only_this_machine_is_loopback() {
        for host in ["localhost:7400", "LOCALHOST", "127.0.0.1:1", "127.0.0.9", "[::1]:80", "[::1]"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["example.com", "localhost.example.com:7400", "10.0.0.1:7400", "", "[::2]:1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn pages_of_other_sites_may_not_command() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect()
        };
        let own = headers(&[("host", "localhost:7400"), ("origin", "http://localhost:7400")]);
        let other = headers(&[("host", "localhost:7400"), ("origin", "http://evil.example")]);
        let sandboxed = headers(&[("host", "localhost:7400"), ("origin", "null")]);
        let marked = headers(&[("host", "localhost:7400"), ("sec-fetch-site", "cross-site")]);
        assert!(!is_foreign(&Method::POST, &own));
        assert!(!is_foreign(&Method::POST, &headers(&[("host", "localhost:7400")])));
        assert!(!is_foreign(&Method::GET, &other));
        for refused in [other, sandboxed, marked] {
            assert!(is_foreign(&Method::POST, &refused));
        }
    }
}
