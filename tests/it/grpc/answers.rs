//! Streams in and out, and answers that are too large.

use serde_json::{Value, json};

use crate::support::dev::Dev;
use crate::support::grpc::{Server, ended, error, output, run, run_on};

#[tokio::test]
async fn streams_are_arrays() {
    let (server, dev) = (Server::start().await, Dev::start().await);
    let counted = run(&dev.api, "count", &server.call("Count", "{upTo: 3}")).await;
    assert_eq!(output(&counted), &json!([{}, {"value": "1"}, {"value": "2"}]));
    let none = run(&dev.api, "none", &server.call("Count", "{}")).await;
    assert_eq!(output(&none), &json!([]));

    let sum = server.call("Sum", "'${ .numbers }'");
    let numbers: Vec<Value> = (1..=100).map(|value| json!({"value": value})).collect();
    let summed = run_on(&dev.api, "sum", &sum, &json!({"numbers": numbers})).await;
    assert_eq!(output(&summed), &json!({"value": "5050"}));
    // One message needs no array, and none are none.
    let one = run(&dev.api, "one", &server.call("Sum", "{value: 7}")).await;
    assert_eq!(output(&one), &json!({"value": "7"}));
    let nothing = run_on(&dev.api, "nothing", &sum, &json!({"numbers": []})).await;
    assert_eq!(output(&nothing), &json!({}));

    let chat = server.call("Chat", "'${ .words | map({text: .}) }'");
    let said = run_on(&dev.api, "chat", &chat, &json!({"words": ["a", "b", "ü"]})).await;
    assert_eq!(output(&said), &json!([{"text": "A"}, {"text": "B"}, {"text": "Ü"}]));

    // What came before the error is not there.
    let broken = run(&dev.api, "broken", &server.call("Count", "{upTo: 3, status: 9}")).await;
    let (kind, status, detail) = error(&broken);
    assert_eq!((kind.as_str(), status), ("communication", 500), "{detail}");
    assert!(detail.contains("FAILED_PRECONDITION (grpc-status 9): enough"), "{detail}");
}

#[tokio::test]
async fn no_answer_is_larger_than_a_call_reads() {
    let (server, dev) = (Server::start().await, Dev::start().await);
    let fill = server.call("Fill", "'${ . }'");
    let fits = run_on(&dev.api, "fits", &fill, &json!({"upTo": 4_000_000})).await;
    assert_eq!(output(&fits)["text"].as_str().map(str::len), Some(4_000_000));
    let large = run_on(&dev.api, "large", &fill, &json!({"upTo": 4_200_000})).await;
    let (kind, status, detail) = error(&large);
    assert_eq!((kind.as_str(), status), ("communication", 500), "{detail}");
    assert!(detail.contains("larger than 4194304 bytes"), "{detail}");
    // A stream without an end is read no further than that.
    let many = ended(&dev.api, "many", &server.call("Count", "{upTo: 9000000000}")).await;
    let (kind, status, detail) = error(&many);
    assert_eq!((kind.as_str(), status), ("communication", 500), "{detail}");
    assert!(detail.contains("or 20000 messages"), "{detail}");
}
