//! What the API refuses, and how.

use reqwest::Method;
use serde_json::json;

use super::{definition, echo};
use crate::support::client::Api;
use crate::support::dev::Dev;

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_a_problem_with_a_code() {
    let dev = Dev::start().await;
    let workflow = dev.api.deploy(&echo()).await;
    let unknown = json!({"namespace": "api", "name": "nothing"});
    let body = json!({"workflow": unknown});
    assert_eq!(dev.api.post("/v1/instances", &body).await.problem(404)["code"], "WL0502");
    let missing = "/v1/instances/0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f";
    for path in ["", "/output", "/history", "/watch"] {
        let problem = dev.api.get(&format!("{missing}{path}")).await.problem(404);
        assert_eq!(problem["code"], "WL0503", "{path}");
    }
    for order in ["cancel", "suspend", "resume"] {
        dev.api.post(&format!("{missing}/{order}"), &json!({})).await.problem(404);
    }
    dev.api.get("/v1/instances/not-an-id").await.problem(400);
    assert_eq!(dev.api.get("/v1/nothing").await.problem(404)["code"], "WL0515");
    let delete = dev.api.request(Method::DELETE, "/v1/workflows");
    assert_eq!(Api::send(delete).await.unwrap().problem(405)["code"], "WL0516");

    let post = |body: &'static str, kind: &'static str| {
        let request = dev.api.request(Method::POST, "/v1/instances");
        Api::send(request.header("content-type", kind).body(body))
    };
    post("{", "application/json").await.unwrap().problem(400);
    post("[]", "application/json").await.unwrap().problem(400);
    post("{}", "application/json").await.unwrap().problem(400);
    post("<a/>", "application/xml").await.unwrap().problem(415);
    let body = json!({"workflow": workflow, "inptu": {}});
    dev.api.post("/v1/instances", &body).await.problem(400);
    dev.api.post("/v1/instances?wiat=1s", &json!({"workflow": workflow})).await.problem(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_definition_is_refused_with_all_findings_and_their_places() {
    let dev = Dev::start().await;
    let text = definition(
        "bad",
        "  - one: { set: { x: '${ .a | }' } }\n  - two: { call: http, with: { methd: get } }\n  - three: { set: { y: 1 }, then: nowhere }",
    );
    let problem = dev.api.deploy_text(&text).await.problem(400);
    let findings = problem["diagnostics"].as_array().unwrap();
    let errors: Vec<_> = findings.iter().filter(|it| it["severity"] == "error").collect();
    for line in [7, 8, 9] {
        assert!(errors.iter().any(|it| it["line"] == line), "none on line {line}: {findings:?}");
    }
    for finding in errors {
        assert!(finding["code"].as_str().unwrap().starts_with("WL"), "{finding}");
        assert!(finding["column"].as_u64().unwrap() >= 1 && finding["message"].is_string());
    }
    dev.api.get("/v1/workflows/api/bad").await.problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_does_not_fit_the_schema_starts_nothing() {
    let dev = Dev::start().await;
    let text = definition("strict", "  - a: { set: { x: '${ .n }' } }")
        + "input:\n  schema:\n    document: { type: object, required: [n], properties: { n: { type: integer } } }\n";
    let workflow = dev.api.deploy(&text).await;
    let body = json!({"workflow": workflow, "input": {"n": "one"}});
    let problem = dev.api.post("/v1/instances", &body).await.problem(400);
    assert_eq!(problem["code"], "WL0504", "{problem}");
    assert!(problem["cause"]["type"].as_str().unwrap().ends_with("/errors/validation"));
    assert_eq!(dev.api.run(&workflow, &json!({"n": 1})).await["output"], json!({"x": 1}));
    let list = dev.api.get("/v1/instances").await.ok();
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_too_deep_is_refused_and_the_server_lives_on() {
    let dev = Dev::start().await;
    let workflow = dev.api.deploy(&echo()).await;
    let huge = echo() + "# " + &"x".repeat(2 << 20);
    assert_eq!(dev.api.deploy_text(&huge).await.problem(413)["code"], "WL0507");
    let body = json!({"workflow": workflow, "input": "x".repeat(17 << 20)});
    let request = dev.api.request(Method::POST, "/v1/instances").json(&body);
    // The server refuses before it has read everything; a client that is still sending may see
    // the connection end instead of the answer.
    if let Ok(answer) = Api::send(request).await {
        answer.problem(413);
    }
    for depth in [300, 1_000] {
        let deep = format!(
            r#"{{"workflow": {workflow}, "input": {}1{}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        );
        let request = dev.api.request(Method::POST, "/v1/instances").body(deep);
        Api::send(request.header("content-type", "application/json")).await.unwrap().problem(400);
    }
    let laughs = (1..10).fold(String::from("a0: &a0 [x, x, x]\n"), |text, index| {
        let before = index - 1;
        text + &format!("a{index}: &a{index} [*a{before}, *a{before}, *a{before}, *a{before}]\n")
    });
    dev.api.deploy_text(&(echo() + &laughs)).await.problem(400);
    assert_eq!(dev.api.run(&workflow, &json!(1)).await["output"], json!({"echo": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_expression_takes_more_than_it_may() {
    let dev = Dev::start().await;
    // Each a little beyond a bound.
    let programs = [
        "def f: if . < 2e6 then . + 1 | f else . end; 0 | f",
        "[range(2e6)] | length",
        "0 | [limit(2e6; recurse(. + 1))] | length",
        "\"x\" * 7e7",
        "reduce range(2e6) as $i (0; . + 1)",
        "last(limit(2e6; repeat(1)))",
        "[limit(2e6; repeat(\"x\"))]",
        "0 | until(. == 2e6; . + 1)",
        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\" | test(\"^(a+)+$\")",
        "reduce range(300) as $i (1; [.])",
        "error",
        ".a.b.c | tonumber",
    ];
    for (index, program) in programs.iter().enumerate() {
        let quoted = program.replace('\'', "''");
        let tasks = format!("  - a: {{ set: {{ x: '${{ {quoted} }}' }} }}");
        let text = definition(&format!("long-{index}"), &tasks);
        let answer = dev.api.deploy_text(&text).await;
        if !answer.status.is_success() {
            answer.problem(400);
            continue;
        }
        let workflow = crate::support::client::workflow(&text);
        let outcome = dev.api.run(&workflow, &json!({})).await;
        let harmless = program.contains("test(");
        if !(harmless && outcome["status"] == "completed") {
            assert_eq!(outcome["status"], "faulted", "{program}: {outcome}");
            let kind = outcome["error"]["type"].as_str().unwrap();
            assert!(kind.ends_with("/errors/expression"), "{program}: {outcome}");
        }
    }
    let workflow = dev.api.deploy(&echo()).await;
    assert_eq!(dev.api.run(&workflow, &json!(1)).await["output"], json!({"echo": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_may_not_command() {
    let dev = Dev::start().await;
    let post = || dev.api.request(Method::POST, "/v1/workflows").body(echo());
    let foreign = post().header("origin", "https://evil.example");
    assert_eq!(Api::send(foreign).await.unwrap().problem(403)["code"], "WL0517");
    let rebound = post().header("host", "evil.example");
    Api::send(rebound).await.unwrap().problem(403);
    Api::send(post()).await.unwrap().ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn health_metrics_and_the_description_are_there() {
    let dev = Dev::start().await;
    for path in ["/healthz", "/readyz"] {
        assert!(dev.api.get(path).await.status.is_success(), "{path}");
    }
    let metrics = dev.api.get("/metrics").await;
    let text = metrics.body.as_str().unwrap();
    assert!(text.contains("# TYPE windlass_build_info gauge"), "{text}");
    let document = dev.api.get("/openapi.json").await.ok();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."), "{document}");
    assert!(document["paths"]["/v1/instances"]["post"].is_object());
}
