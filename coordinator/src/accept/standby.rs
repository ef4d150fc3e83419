//! What a coordinator answers while another one of its cluster leads: probes, and where to ask.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;
use windlass_proto::limits::CLUSTER_AGAIN_MS;

use super::metrics;
use super::problem::ApiProblem;
use crate::cluster::StandbyView;
use crate::code::Code;

/// The header with the address of the leader.
const LEADER: &str = "windlass-leader";

/// The answers of a standby.
pub(super) fn router(view: watch::Receiver<StandbyView>) -> Router {
    Router::new().route("/healthz", get(metrics::healthy)).fallback(elsewhere).with_state(view)
}

/// Says who leads.
async fn elsewhere(State(view): State<watch::Receiver<StandbyView>>) -> Response {
    let leader = view.borrow().leader.clone();
    let detail = match &leader {
        Some(url) if !url.is_empty() => format!("this is a standby: {url} leads"),
        Some(_) => "this is a standby: another coordinator leads".to_owned(),
        None => "this is a standby, and nobody leads at the moment: one will within seconds".into(),
    };
    let problem = ApiProblem::new(Code::Standby, detail);
    let mut response = problem.retry_after(Duration::from_millis(CLUSTER_AGAIN_MS)).into_response();
    // Each request passes anew: what is here may lead by the next one.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some(url) = leader.and_then(|it| HeaderValue::from_str(&it).ok()) {
        response.headers_mut().insert(LEADER, url);
    }
    response
}
