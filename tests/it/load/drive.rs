//! The clients: they start, send events and wait, and repeat what was not acknowledged.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::DRAIN;
use super::instance::{Instance, NAMESPACE};
use crate::support::client::{Api, is_final};
use crate::support::until::until;

/// Starts instances, each until it is acknowledged.
pub(super) async fn start_all(
    api: Api,
    instances: Arc<Vec<Instance>>,
    next: Arc<AtomicUsize>,
    allowed: Arc<AtomicUsize>,
) {
    loop {
        let index = next.fetch_add(1, Ordering::SeqCst);
        let Some(instance) = instances.get(index) else { return };
        until(DRAIN, "the turn of an instance", || async {
            (index < allowed.load(Ordering::SeqCst)).then_some(())
        })
        .await;
        let body = json!({
            "workflow": {"namespace": NAMESPACE, "name": instance.workflow, "version": "1.0.0"},
            "input": instance.input,
            "id": instance.id,
        });
        until(DRAIN, "an acknowledged start", || async {
            let request = api.request(Method::POST, "/v1/instances").json(&body);
            accepted(request.header("idempotency-key", &instance.id)).await
        })
        .await;
    }
}

/// Whether a request was acknowledged; refusals that a retry cannot cure end the test.
async fn accepted(request: reqwest::RequestBuilder) -> Option<Value> {
    let request = request.timeout(Duration::from_secs(10));
    let Ok(answer) = Api::send(request).await else { return None };
    if answer.status.is_success() {
        return Some(answer.body);
    }
    let retryable = answer.status.is_server_error() || answer.status.as_u16() == 429;
    assert!(retryable, "refused with {}: {}", answer.status, answer.body);
    None
}

/// Sends the event an instance waits for, once it waits, until that is acknowledged.
pub(super) async fn send_event(api: Api, instance: Instance) {
    until(DRAIN, "a waiting listener", || async {
        let path = format!("/v1/instances/{}", instance.id);
        let request = api.request(Method::GET, &path).timeout(Duration::from_secs(10));
        let answer = Api::send(request).await.ok()?;
        let view = if answer.status.is_success() { answer.body } else { return None };
        (view["status"] == "waiting" || is_final(&view)).then_some(())
    })
    .await;
    let event = json!({
        "specversion": "1.0", "id": format!("for-{}", instance.id), "source": "/load",
        "type": "com.example.load.go", "subject": instance.id, "data": {"for": instance.id},
    });
    until(DRAIN, "an acknowledged event", || async {
        let request = api.request(Method::POST, "/v1/events").body(event.to_string());
        accepted(request.header("content-type", "application/cloudevents+json")).await
    })
    .await;
}

/// Waits until all have ended; gives the views by id.
pub(super) async fn drain(api: &Api, instances: &[Instance]) -> HashMap<String, Value> {
    let ended: Mutex<HashMap<String, Value>> = Mutex::default();
    until(DRAIN, "the end of all instances", || async {
        for instance in instances {
            if ended.lock().unwrap().contains_key(&instance.id) {
                continue;
            }
            let view = api.show(&instance.id).await;
            if !is_final(&view) {
                return None;
            }
            ended.lock().unwrap().insert(instance.id.clone(), view);
        }
        Some(())
    })
    .await;
    ended.into_inner().unwrap()
}
