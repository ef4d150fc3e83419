//! Over streamable HTTP.

use serde_json::{Value, json};

use super::super::tries::assert_failed;
use super::{SDKS, assert_some, at, http, outcomes, read, some, tool};
use crate::support::dev::Dev;

#[tokio::test(flavor = "multi_thread")]
async fn both_servers_are_asked_everything_over_http() {
    let of = |method: &str| json!({"method": method});
    let more = [
        ("untyped", tool("untyped", json!({}))),
        ("marked", tool("deploy", json!({"region": "größer"}))),
        ("tools", of("tools/list")),
        ("prompts", of("prompts/list")),
        ("resources", of("resources/list")),
        ("templates", of("resources/templates/list")),
        ("filled", read("notes://größe/text")),
        ("broken", tool("breaks", json!({}))),
        ("mistyped", tool("add", json!({"a": "x", "b": 2}))),
    ];
    let all: Vec<_> = some().into_iter().chain(more).collect();
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().into()).collect()
    };
    let dev = Dev::start().await;
    for (at_work, sdk) in SDKS.iter().enumerate() {
        let is_older = sdk.contains("==1.");
        let server = http(sdk).await;
        let got = outcomes(&dev.api, &format!("http-{at_work}"), &at(&server), &all).await;
        assert_some(&got);
        // Not once to find out how, and once more.
        assert_eq!(server.logged("add", 1).await, ["add 1 2"]);
        assert_eq!(got["marked"]["structuredContent"], json!({"result": "größer"}), "{got}");
        assert_eq!(server.logged("deploy", 1).await, ["deploy größer"]);
        // Without a type of its own the tool writes a text; each digit is kept.
        let untyped = json!({"it": [1, 2], "big": 12_345_678_901_234_567_890_u64});
        assert_eq!(got["untyped"]["structuredContent"], untyped, "{got}");
        assert!(names(&got["tools"]["tools"]).contains(&"untyped".to_owned()), "{got}");
        assert_eq!(names(&got["prompts"]["prompts"]), ["greet"]);
        assert_eq!(names(&got["resources"]["resources"]), ["today"]);
        assert_eq!(names(&got["templates"]["resourceTemplates"]), ["text_of"]);
        // The older one hands on what it was asked for as it encodes it.
        let size = if is_older { "notes of gr%C3%B6%C3%9Fe" } else { "notes of größe" };
        assert_eq!(got["filled"]["contents"][0]["text"], size);
        // The newer one says no more of what a tool did not mean to say.
        let inner = "the tool failed: Error executing tool breaks";
        let told = if is_older { format!("{inner}: a text of its own") } else { inner.to_owned() };
        assert_eq!(got["broken"]["error"]["detail"], told);
        assert_failed(&got, "mistyped", "the tool failed: ");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_version_is_spoken_and_another_one_where_a_server_has_it_not() {
    let dev = Dev::start().await;
    let versions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];
    let calls: Vec<(String, Value)> = versions
        .iter()
        .map(|version| {
            let mut call = tool("add", json!({"a": 1, "b": 2}));
            call["protocolVersion"] = json!(version);
            (format!("v{}", version.replace('-', "_")), call)
        })
        .collect();
    let calls: Vec<_> = calls.iter().map(|(name, call)| (name.as_str(), call.clone())).collect();
    for (at_work, sdk) in SDKS.iter().enumerate() {
        let server = http(sdk).await;
        let name = format!("versions-{at_work}");
        let got = outcomes(&dev.api, &name, &at(&server), &calls).await;
        for (name, _) in &calls {
            let sum = got[*name]["content"][0]["text"].as_str();
            assert_eq!(sum, Some("3"), "{sdk} {name}: {got}");
        }
        assert_eq!(server.logged("add", versions.len()).await.len(), versions.len());
        // Only the newest says what kind of a result it is.
        let stateless = got["v2026_07_28"]["resultType"] == "complete";
        assert_eq!(stateless, sdk.contains("==2."), "{got}");
        assert_eq!(got["v2025_11_25"].get("resultType"), None, "{got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_mcp_server_is_said() {
    let dev = Dev::start().await;
    let server = http(SDKS[0]).await;
    let elsewhere = json!({"http": {"endpoint": format!("{}/elsewhere", server.url())}});
    let list = [("it", json!({"method": "tools/list"}))];
    let got = outcomes(&dev.api, "elsewhere", &elsewhere, &list).await;
    let error = &got["it"]["error"];
    assert_eq!(error["status"], 404, "{error}");
    let detail = error["detail"].as_str().unwrap();
    assert!(detail.contains("/elsewhere answered 404 Not Found, which is no answer"), "{detail}");
    let closed = crate::support::ports::free();
    let closed = json!({"http": {"endpoint": format!("http://127.0.0.1:{closed}/mcp")}});
    let got = outcomes(&dev.api, "closed", &closed, &list).await;
    let error = &got["it"]["error"];
    assert!(error["type"].as_str().unwrap().ends_with("/errors/runtime"), "{error}");
    assert!(error["detail"].as_str().unwrap().contains("connection refused"), "{error}");
}
