//! What cannot be read is the error of its task, at once, and nothing else's.

use serde_json::{Value, json};
use windlass_proto::limits;

use super::{Language, PATIENCE, Stage};
use crate::support::client::is_final;
use crate::support::until::{SOON, moment, until, within};

/// The detail of the runtime error that a call must end with.
async fn fails(stage: &Stage, function: &str, input: Value) -> String {
    let view = stage.run(function, &input).await;
    assert_eq!(view["status"], "faulted", "{input}: {view}");
    let error = &view["error"];
    assert!(error["type"].as_str().unwrap().ends_with("/runtime"), "{input}: {view}");
    assert_eq!(error["instance"], "/do/0/ask", "{input}: {view}");
    error["detail"].as_str().unwrap_or_default().to_owned()
}

/// What a function of the example does, and what the detail of the error has to name.
const BY_FUNCTIONS: [(&str, &str); 10] = [
    ("half a character thrown", "oh "),
    ("half a character", "surrogate"),
    ("no number", "n"),
    ("too many digits", "no value of JSON"),
    ("a status that is a text", "500"),
    ("a status with a fraction", "422.5"),
    ("cancelled from within", "cancelled"),
    ("ends the process", ""),
    ("an error without a text", "without a text"),
    ("deeper than deep", "nested deeper than 256 levels"),
];

/// Bytes that another worker packs, what is wrong with them, and what the detail has to name.
const PACKED: [(&str, &str, &str); 17] = [
    ("81a6726573756c7481a345727282a474797065a161a6737461747573ce00011170", "status 70000", "70000"),
    ("81a6726573756c7481a345727282a474797065a161a6737461747573ff", "status -1", "-1"),
    (
        "81a6726573756c7481a345727282a474797065a161a6737461747573cb407a680000000000",
        "422.5",
        "422.5",
    ),
    ("81a6726573756c7481a345727282a474797065a161a6737461747573a3353030", "status \"500\"", "`500`"),
    ("81a6726573756c7481a345727281a474797065a161", "no status", "`status` is missing"),
    (
        "81a6726573756c7481a345727283a474797065a161a6737461747573cd01f4a664657461696c80",
        "a detail that is a map",
        "`detail` is a map",
    ),
    ("81a6726573756c7481a345727201", "an error that is a number", "no map"),
    ("81a6726573756c7481a24f6bd60500000000", "an extension", "extension"),
    ("81a6726573756c7481a24f6bc403616263", "bytes", "digits"),
    ("81a6726573756c7481a24f6ba2fffe", "a text that is no UTF-8", "utf8"),
    ("81a6726573756c7481a24f6b810102", "a key that is a number", "string"),
    ("81a6726573756c7481a24f6bcb7ff8000000000000", "NaN", "NaN"),
    ("81a6726573756c7481a24f6bcb7ff0000000000000", "infinity", "inf"),
    ("81a6726573756c7481a24f6b93c0", "a list that breaks off", "cannot be read"),
    ("81a6726573756c7481a24f6bc0c0", "more than one value", "1 bytes follow"),
    ("80", "nothing", "result"),
    ("", "no bytes at all", "cannot be read"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_no_message_holds_ends_its_task() {
    // While this worker encrypts so much it says nothing, however long a busy machine takes over
    // it.
    let mut stage = Stage::leasing(Language::Python, "120s").await;
    stage.worker(&[]).await;
    let too_many = limits::MESSAGE_BYTES;
    let text = format!("the worker's report is larger than {too_many} bytes");
    // What a message holds and a value may not is no different for who waits.
    for (bytes, says) in [(too_many, &*text), (limits::PAYLOAD_BYTES + 1, "larger than")] {
        let id = stage.start("raw", &json!({ "bytes": bytes })).await;
        let view = until(PATIENCE, "the end of the call", async || {
            Some(stage.fleet.api.show(&id).await).filter(is_final)
        })
        .await;
        let detail = view["error"]["detail"].as_str().unwrap_or_else(|| panic!("{view}"));
        assert!(view["error"]["type"].as_str().unwrap().ends_with("/runtime"), "{view}");
        assert!(detail.contains(says), "{bytes}: {detail}");
    }
    stage.has_places(2).await;
    assert!(stage.counter("windlass_messages_unreadable_total").await >= 1);
    stage.fleet.assert_sound();
}

async fn ugly_values_are_errors_of_their_task(language: Language) {
    let mut stage = Stage::new(language).await;
    stage.worker(&[]).await;
    for (kind, named) in BY_FUNCTIONS {
        let detail = fails(&stage, "ugly", json!({"kind": kind, "levels": 300})).await;
        assert!(detail.to_lowercase().contains(&named.to_lowercase()), "{kind}: {detail}");
    }
    let view = stage.run("ugly", &json!({"kind": "a detail that is a map"})).await;
    assert_eq!(view["error"]["type"], "https://example.com/a", "its text is as good: {view}");
    assert!(view["error"]["detail"].as_str().unwrap().contains("detail"), "{view}");
    // What reads JSON here takes no more than 128 levels.
    let view = stage.run("ugly", &json!({"kind": "deeper than deep", "levels": 100})).await;
    assert_eq!(view["status"], "completed", "101 levels fit");
    for (hex, what, named) in PACKED {
        let detail = fails(&stage, "raw", json!({"hex": hex})).await;
        assert!(detail.contains(named), "{what}: {detail}");
    }
    for levels in [257, 5_000] {
        let hex = format!("81a6726573756c7481a24f6b{}c0", "91".repeat(levels));
        let detail = fails(&stage, "raw", json!({"hex": hex})).await;
        assert!(detail.contains("cannot be read"), "{detail}");
    }
    let detail = fails(&stage, "raw", json!({"unpacked": 7})).await;
    assert!(detail.contains("not packed"), "{detail}");
    stage.has_places(2).await;

    assert_eq!(stage.counter("windlass_messages_unreadable_total").await, 0);
    stage.fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn ugly_values_in_python_are_errors_of_their_task() {
    ugly_values_are_errors_of_their_task(Language::Python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ugly_values_in_javascript_are_errors_of_their_task() {
    ugly_values_are_errors_of_their_task(Language::Node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_a_library_refuses_are_answered() {
    let mut stage = Stage::new(Language::Node).await;
    stage.worker(&[]).await;
    let detail = fails(&stage, "echo", json!({"a": {"__proto__": 1}})).await;
    assert!(detail.contains("the arguments cannot be read"), "{detail}");
    assert!(detail.contains("__proto__"), "{detail}");
    // Once, unless the worker was late with a beat meanwhile.
    let sent = stage.counter("windlass_assignments_sent_total").await;
    assert!(sent <= 3, "{sent} deliveries");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_survive_javascript() {
    let mut stage = Stage::new(Language::Node).await;
    stage.worker(&[]).await;
    let workflow = stage
        .fleet
        .api
        .deploy(
            "document: {dsl: '1.0.3', namespace: foreign, name: numbers, version: '1.0.0'}\n\
             do:\n- ask:\n    call: echo\n    with: {all: [4294967296, 9007199254740993, \
             -9223372036854775808, 18446744073709551615, 123456789012345678901234567890, 0.5]}\n",
        )
        .await;
    // As text: what reads JSON here would round the numbers.
    let url = format!("{}/v1/instances?wait=30s", stage.fleet.api.base());
    let request = reqwest::Client::new().post(url).json(&json!({"workflow": workflow}));
    let answer = within(SOON, "the answer", request.send()).await.unwrap();
    let text = answer.text().await.unwrap();
    let all = "[4294967296,9007199254740993,-9223372036854775808,18446744073709551615,\
               123456789012345678901234567890,0.5]";
    assert!(text.contains(all), "{text}");
}

async fn a_call_that_does_not_stop_takes_its_place(language: Language) {
    let mut stage = Stage::new(language).await;
    stage.worker(&[("WINDLASS_CONCURRENCY", "1")]).await;
    let first = stage.start("stubborn", &json!({"id": "a"})).await;
    stage.noted("begin a").await;
    stage.fleet.api.post(&format!("/v1/instances/{first}/cancel"), &json!({})).await.ok();
    stage.noted("cancelled a").await;
    let next = stage.start("add", &json!({"id": "b", "all": [1, 2]})).await;
    // Time enough for beats that would free the place.
    moment(super::LEASE).await;
    assert!(!stage.notes().contains(&"add b".to_owned()), "two at once: {:?}", stage.notes());
    stage.open();
    assert_eq!(stage.fleet.api.ends(&next).await["output"]["sum"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_python_that_does_not_stop_takes_its_place() {
    a_call_that_does_not_stop_takes_its_place(Language::Python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_javascript_that_does_not_stop_takes_its_place() {
    a_call_that_does_not_stop_takes_its_place(Language::Node).await;
}
