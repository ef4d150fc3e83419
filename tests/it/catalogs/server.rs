//! The default catalog of a server.

use serde_json::json;

use super::with_file;
use crate::support::command::windlass;
use crate::support::dev::Dev;

#[tokio::test]
async fn functions_are_published_called_and_kept() {
    let mut dev = Dev::start().await;
    let url = dev.api.base();
    let publish = async |function: &str, text: &str| {
        with_file(text, &["function", "publish", function, "FILE", "--url", &url]).await
    };
    let double = "set: { n: '${ .n * 2 }' }\n";
    publish("double:1.0.0", double).await.exits(0);
    publish("double:1.0.0", double).await.exits(0);
    let other = publish("double:1.0.0", "set: { n: 0 }\n").await.exits(1);
    assert!(other.stderr.contains("WL0531"), "{other:?}");
    let bad = publish("bad:1.0.0", "set: '${ ( }'\n").await.exits(1);
    assert!(bad.stderr.contains("WL0530") && bad.stderr.contains("WL0315"), "{bad:?}");
    publish("twice:1.0.0", "do: [ a: { call: 'double:1.0.0' }, b: { call: 'double:1.0.0' } ]\n")
        .await
        .exits(0);
    let listed = windlass(&["function", "list", "--url", &url]).await.exits(0).json();
    let names: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|it| &it["reference"]).collect();
    assert_eq!(names, [&json!("double:1.0.0"), &json!("twice:1.0.0")]);
    let shown = windlass(&["function", "show", "double:1.0.0", "--url", &url]).await.exits(0);
    assert_eq!(shown.stdout, double);
    let gone = windlass(&["function", "show", "double:2.0.0", "--url", &url]).await.exits(1);
    assert!(gone.stderr.contains("WL0532"), "{gone:?}");

    let text = "document: { dsl: '1.0.3', namespace: test, name: fours, version: '1.0.0' }\n\
                do:\n  - four: { call: 'twice:1.0.0@default', with: { n: '${ .n }' } }\n";
    let workflow = dev.api.deploy(text).await;
    let run = async |dev: &Dev| dev.api.run(&workflow, &json!({"n": 3})).await["output"].clone();
    assert_eq!(run(&dev).await, json!({"n": 12}));
    dev.restart().await;
    assert_eq!(run(&dev).await, json!({"n": 12}));
    let url = dev.api.base();
    let listed = windlass(&["function", "list", "--url", &url]).await.exits(0).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
}
