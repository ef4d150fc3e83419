//! The HTTP API as a client sees it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::until::SOON;
use super::{tls, until::until, yaml};

/// An answer of the API.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: StatusCode,
    /// `Content-Type`, empty when absent.
    pub(crate) kind: String,
    /// Headers.
    pub(crate) headers: reqwest::header::HeaderMap,
    /// The body as JSON; null when empty, a string when it is no JSON.
    pub(crate) body: Value,
}

impl Answer {
    /// The body, of an answer that must be a success.
    pub(crate) fn ok(self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.body);
        self.body
    }

    /// The body, of an answer that must be a problem with this status.
    pub(crate) fn problem(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert!(self.kind.starts_with("application/problem+json"), "content type {}", self.kind);
        assert_eq!(self.body["status"], json!(status), "{}", self.body);
        for field in ["type", "title"] {
            assert!(self.body[field].is_string(), "no {field} in {}", self.body);
        }
        self.body
    }
}

/// A client of one server, whose address may change when it restarts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    base: Arc<Mutex<String>>,
    http: reqwest::Client,
    /// Shown with each request.
    token: Option<String>,
}

impl Api {
    /// A client of `base`, such as `http://127.0.0.1:7400`.
    pub(crate) fn new(base: &str) -> Self {
        Self::with(base, |builder| builder)
    }

    /// A client of a server whose certificate this authority (PEM) has signed.
    pub(crate) fn trusting(base: &str, authority: &str) -> Self {
        let authority = reqwest::Certificate::from_pem(authority.as_bytes()).unwrap();
        Self::with(base, |builder| builder.tls_certs_only([authority]))
    }

    /// The same, of several authorities (PEM).
    pub(crate) fn trusting_all(base: &str, authorities: &str) -> Self {
        let all = reqwest::Certificate::from_pem_bundle(authorities.as_bytes()).unwrap();
        Self::with(base, |builder| builder.tls_certs_only(all))
    }

    /// The same for a client that has a certificate and its key (PEM).
    pub(crate) fn showing(base: &str, authority: &str, client: &(String, String)) -> Self {
        let authority = reqwest::Certificate::from_pem(authority.as_bytes()).unwrap();
        let identity = format!("{}{}", client.0, client.1);
        let identity = reqwest::Identity::from_pem(identity.as_bytes()).unwrap();
        Self::with(base, |builder| builder.tls_certs_only([authority]).identity(identity))
    }

    /// The same server, asked with a token.
    pub(crate) fn bearing(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    fn with(
        base: &str,
        adapt: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Self {
        tls::provider();
        let builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(SOON)
            .no_proxy();
        let http = adapt(builder).build().unwrap();
        Self { base: Arc::new(Mutex::new(base.to_owned())), http, token: None }
    }

    /// The server moved here.
    pub(crate) fn moved(&self, base: &str) {
        base.clone_into(&mut self.base.lock().unwrap());
    }

    /// The server's address and port.
    pub(crate) fn base(&self) -> String {
        self.base.lock().unwrap().clone()
    }

    /// A request to build on; `path` starts with a slash.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base()));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn send(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let status = response.status();
        let headers = response.headers().clone();
        let kind = headers.get("content-type").and_then(|it| it.to_str().ok()).unwrap_or_default();
        let kind = kind.to_owned();
        let text = response.text().await?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Ok(Answer { status, kind, headers, body })
    }

    /// GET, from a server that must be reachable.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        Self::send(self.request(Method::GET, path)).await.unwrap()
    }

    /// POST of JSON, to a server that must be reachable.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Self::send(self.request(Method::POST, path).json(body)).await.unwrap()
    }

    /// DELETE, from a server that must be reachable.
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Self::send(self.request(Method::DELETE, path)).await.unwrap()
    }

    /// POST of a definition's text.
    pub(crate) async fn deploy_text(&self, text: &str) -> Answer {
        let request = self.request(Method::POST, "/v1/workflows").body(text.to_owned());
        Self::send(request.header("content-type", "application/yaml")).await.unwrap()
    }

    /// Deploys a definition that must be accepted, in place of another of its version where the
    /// server allows that; gives `{namespace, name, version}`.
    pub(crate) async fn deploy(&self, text: &str) -> Value {
        self.replace_text(text).await.ok();
        workflow(text)
    }

    /// POST of a definition's text, in place of another of its version where that is allowed.
    pub(crate) async fn replace_text(&self, text: &str) -> Answer {
        let request = self.request(Method::POST, "/v1/workflows").query(&[("replace", true)]);
        let request = request.header("content-type", "application/yaml").body(text.to_owned());
        Self::send(request).await.unwrap()
    }

    /// Starts and waits for the outcome.
    pub(crate) async fn run(&self, workflow: &Value, input: &Value) -> Value {
        let body = json!({"workflow": workflow, "input": input});
        let answer = self.post("/v1/instances?wait=30s", &body).await.ok();
        assert!(is_final(&answer), "no outcome after 30 s: {answer}");
        answer
    }

    /// Starts without waiting; gives the instance's id.
    pub(crate) async fn start(&self, workflow: &Value, input: &Value) -> String {
        let body = json!({"workflow": workflow, "input": input});
        let answer = self.post("/v1/instances", &body).await.ok();
        answer["id"].as_str().expect("an id").to_owned()
    }

    /// The whole view of an instance that must exist.
    pub(crate) async fn show(&self, id: &str) -> Value {
        self.get(&format!("/v1/instances/{id}")).await.ok()
    }

    /// Waits until an instance has this status.
    pub(crate) async fn reaches(&self, id: &str, status: &str) -> Value {
        until(SOON, &format!("instance {id} reaching {status}"), || async {
            let view = self.show(id).await;
            (view["status"] == status).then_some(view)
        })
        .await
    }

    /// Waits for the end of an instance.
    pub(crate) async fn ends(&self, id: &str) -> Value {
        until(SOON, &format!("the end of instance {id}"), || async {
            let view = self.show(id).await;
            is_final(&view).then_some(view)
        })
        .await
    }

    /// All entries of an instance's history.
    pub(crate) async fn history(&self, id: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let from = all.last().map_or(0, |it| it["sequence"].as_u64().unwrap() + 1);
            let path = format!("/v1/instances/{id}/history?from={from}&limit=500");
            let page = self.get(&path).await.ok();
            let entries = page["items"].as_array().expect("items").clone();
            if entries.is_empty() {
                return all;
            }
            all.extend(entries);
        }
    }

    /// Sends a CloudEvent that must be accepted.
    pub(crate) async fn event(&self, event: &Value) -> Value {
        let request = self.request(Method::POST, "/v1/events").body(event.to_string());
        Self::send(request.header("content-type", "application/cloudevents+json"))
            .await
            .unwrap()
            .ok()
    }
}

/// True for an instance with an outcome.
pub(crate) fn is_final(view: &Value) -> bool {
    matches!(view["status"].as_str(), Some("completed" | "faulted" | "cancelled"))
}

/// `{namespace, name, version}` of a definition's text.
pub(crate) fn workflow(text: &str) -> Value {
    let document = &yaml::parse(text)["document"];
    json!({
        "namespace": document["namespace"],
        "name": document["name"],
        "version": document["version"],
    })
}
