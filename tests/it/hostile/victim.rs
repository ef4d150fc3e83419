//! A tenant that has nothing to do with the attack: it starts, waits and cancels, and everything it
//! asks for must come out right.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::client::Api;
use crate::support::stub::{Reply, Stub};
use crate::support::until::moment;

/// Starts that wait for their outcome, one call each, and starts that are cancelled.
pub(super) struct Victim {
    stub: Stub,
    done: Arc<AtomicBool>,
    calling: JoinHandle<Calls>,
}

/// What it saw.
#[derive(Default)]
struct Calls {
    runs: usize,
    cancels: usize,
    /// Milliseconds of each request.
    took: Vec<f64>,
}

impl Victim {
    /// Deploys its workflows and begins to call.
    pub(super) async fn begin(api: &Api) -> Self {
        let stub = Stub::http(|seen| Reply::Json(200, json!({"path": seen.path}))).await;
        let endpoint = format!("${{ \"{}\\(.n)\" }}", stub.url("/"));
        let call =
            format!("do: [{{c: {{call: http, with: {{method: post, endpoint: '{endpoint}'}}}}}}]");
        let call = api.deploy(&definition("call", &call)).await;
        let sleep = api.deploy(&definition("sleep", "do: [{w: {wait: PT1H}}]")).await;
        let done = Arc::new(AtomicBool::new(false));
        let calling = tokio::spawn(calls(api.clone(), call, sleep, done.clone()));
        Self { stub, done, calling }
    }

    /// Ends it; every call must have been right, and each made once. `attack` names what went on.
    pub(super) async fn end(self, attack: &str, memory: u64) {
        self.done.store(true, Ordering::Release);
        let mut calls = self.calling.await.unwrap();
        assert!(calls.runs > 0 && calls.cancels > 0, "the victim did not come to call at all");
        for number in 0..calls.runs {
            assert_eq!(self.stub.count(&format!("/{number}")), 1, "{attack}: call {number}");
        }
        calls.took.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (calls.took.len() as f64 * share) as usize;
            calls.took.get(place.min(calls.took.len() - 1)).copied().unwrap_or_default()
        };
        println!(
            "hostile {attack}: victim {} requests, p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms; peak \
             memory {memory} MB",
            calls.took.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
}

fn definition(name: &str, rest: &str) -> String {
    format!("document: {{dsl: 1.0.3, namespace: victim, name: {name}, version: 1.0.0}}\n{rest}\n")
}

async fn calls(api: Api, call: Value, sleep: Value, done: Arc<AtomicBool>) -> Calls {
    let mut calls = Calls::default();
    while !done.load(Ordering::Acquire) || calls.runs == 0 {
        let begun = Instant::now();
        let body = json!({"workflow": call, "input": {"n": calls.runs}});
        let answer = api.post("/v1/instances?wait=60s", &body).await.ok();
        assert_eq!(answer["status"], "completed", "{answer}");
        assert_eq!(answer["output"]["path"], format!("/{}", calls.runs), "{answer}");
        calls.runs += 1;
        calls.took.push(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        let id = api.start(&sleep, &json!({})).await;
        calls.took.push(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        let standing = api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
        assert_eq!(standing["status"], "cancelled", "{standing}");
        calls.took.push(begun.elapsed().as_secs_f64() * 1e3);
        for path in ["/readyz", "/metrics"] {
            let begun = Instant::now();
            api.get(path).await.ok();
            calls.took.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        calls.cancels += 1;
        moment(Duration::from_millis(20)).await;
    }
    calls
}
