//! GitHub, by the description that it publishes: 13 MB, some thousand operations.

use serde_json::{Value, json};

use super::calls;
use crate::support::dev::Dev;
use crate::support::stub::{Reply, Stub};
use crate::support::tools;

const PACKAGE: &str = "@octokit/openapi@23.0.2";
const DOCUMENT: &str = "generated/api.github.com.json";
const HOST: &str = "api.github.com";

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_is_created_by_the_description_of_github() {
    let file = tools::npm_file(PACKAGE, DOCUMENT).await;
    let document = std::fs::read(file).unwrap();
    assert!(document.len() > 12 << 20, "{} bytes", document.len());
    let stub = Stub::https(&[HOST], move |seen| match &*seen.path {
        "/api.github.com.json" => Reply::Raw(200, "application/json", document.clone()),
        "/repos/octo%20org/hello/issues" => Reply::Json(201, json!({"number": 1347})),
        _ => Reply::Json(404, json!({"message": "Not Found"})),
    })
    .await;
    // The description names its server: that name leads to the stub.
    let dev = Dev::with(&stub.flags(&[HOST])).await;
    let got = calls(
        &dev.api,
        &format!("https://{HOST}"),
        "openapi",
        &[(
            "created",
            "{ document: { endpoint: BASE/api.github.com.json }, operationId: issues/create, \
         parameters: { owner: octo org, repo: hello, title: Found a bug, body: It leaks., \
         labels: [bug, 1], milestone: null } }",
        )],
    )
    .await;
    assert_eq!(got["created"], json!({"number": 1347}));
    let seen = stub.seen();
    let [read, created] = &seen[..] else { panic!("not two requests: {seen:?}") };
    assert_eq!((&*read.method, &*created.method), ("GET", "POST"));
    assert_eq!((&*created.path, &*created.query), ("/repos/octo%20org/hello/issues", ""));
    assert_eq!(created.header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_str(&created.body).unwrap();
    let wanted = json!({
        "title": "Found a bug", "body": "It leaks.", "labels": ["bug", 1], "milestone": null,
    });
    assert_eq!(body, wanted);
}
