//! Numbers that other systems round or lose.

use reqwest::Method;
use serde_json::json;

use super::{definition, echo};
use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::stub::{Reply, Stub};

const LARGE: &str = "36893488147419103233";

#[tokio::test(flavor = "multi_thread")]
async fn numbers_arrive_as_they_are_or_are_refused() {
    let dev = Dev::start().await;
    let workflow = dev.api.deploy(&echo()).await;
    let start = |input: &str| {
        let body = format!(r#"{{"workflow":{workflow},"input":{input}}}"#);
        let request = dev.api.request(Method::POST, "/v1/instances?wait=30s").body(body);
        request.header("content-type", "application/json")
    };
    let text = start(LARGE).send().await.unwrap().text().await.unwrap();
    assert!(text.contains(&format!(r#"{{"echo":{LARGE}}}"#)), "{text}");
    let problem = Api::send(start("[1e999]")).await.unwrap().problem(400);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("beyond what 64-bit floating point holds"), "{detail}");

    let event = format!(
        r#"{{"specversion":"1.0","id":"1","source":"s","type":"t","data":{{"n":1e999,"m":{LARGE}}}}}"#
    );
    let request = dev.api.request(Method::POST, "/v1/events").body(event);
    let request = request.header("content-type", "application/cloudevents+json");
    Api::send(request).await.unwrap().problem(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_a_number_beyond_all_bounds_is_an_error() {
    let dev = Dev::start().await;
    let stub = Stub::http(|seen| {
        let body = if seen.path.ends_with("large") { LARGE } else { "{\"n\":1e999}" };
        Reply::Raw(200, "application/json", body.as_bytes().to_vec())
    })
    .await;
    let call = |path: &str| {
        let tasks = format!(
            "  - call: {{ call: http, with: {{ method: get, endpoint: '{}' }} }}",
            stub.url(path)
        );
        definition(path.trim_start_matches('/'), &tasks)
    };
    let workflow = dev.api.deploy(&call("/infinite")).await;
    let outcome = dev.api.run(&workflow, &json!({})).await;
    assert_eq!(outcome["status"], "faulted", "{outcome}");
    let error = &outcome["error"];
    assert_eq!(error["instance"], "/do/0/call", "{error}");
    let detail = error["detail"].as_str().unwrap();
    assert!(detail.contains("beyond what 64-bit floating point holds"), "{detail}");
    assert_eq!(stub.count("/infinite"), 1);
    let workflow = dev.api.deploy(&call("/large")).await;
    let id = dev.api.run(&workflow, &json!({})).await["id"].as_str().unwrap().to_owned();
    let request = dev.api.request(Method::GET, &format!("/v1/instances/{id}/output"));
    let text = request.send().await.unwrap().text().await.unwrap();
    assert!(text.contains(LARGE), "{text}");
}
