//! Types that the server tells of itself: the reflection of grpcio, which is v1alpha, and that of
//! grpc-js, which merges files and forgets what they import.

use serde_json::json;

use super::calls::everything;
use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::grpc::{Server, definition, ended, error, output, run, run_on};

const REFLECT: &str = "ServerReflectionInfo";

async fn reflecting(more: &[&str]) -> Server {
    let arguments: Vec<_> =
        [&["--reflect"], more].concat().into_iter().map(str::to_owned).collect();
    Server::with(&arguments).await
}

/// Every kind of call, with types that only the server has.
async fn calls_of_every_kind(server: &Server, dev: &Dev) {
    let call = |method: &str, arguments: &str| server.call_by_reflection(method, arguments, "");
    let said = ended(&dev.api, "say", &call("Say", "{text: größer}")).await;
    assert_eq!(output(&said), &json!({"text": "größer"}));
    let counted = run(&dev.api, "count", &call("Count", "{upTo: 3}")).await;
    assert_eq!(
        output(&counted).as_array().unwrap()[1..],
        [json!({"value": "1"}), json!({"value": "2"})]
    );
    let numbers = json!({"numbers": [{"value": 1}, {"value": 2}, {"value": "39"}]});
    let summed = run_on(&dev.api, "sum", &call("Sum", "'${ .numbers }'"), &numbers).await;
    assert_eq!(output(&summed), &json!({"value": "42"}));
    let words = json!({"words": ["a", "ü"]});
    let chat = call("Chat", "'${ .words | map({text: .}) }'");
    let said = run_on(&dev.api, "chat", &chat, &words).await;
    assert_eq!(output(&said), &json!([{"text": "A"}, {"text": "Ü"}]));

    // The last part of its name is enough, as with files.
    let short = call("Say", "{text: a}").replace("acme.echo.v1.Echo", "Echo");
    assert_eq!(output(&run(&dev.api, "short", &short).await), &json!({"text": "a"}));
    // What is no message of such a type is told before anything is sent.
    let (kind, status, detail) =
        error(&run(&dev.api, "wrong", &call("Count", "{upTo: much}")).await);
    assert_eq!((kind.as_str(), status), ("validation", 400), "{detail}");
    assert!(detail.contains("Range: .upTo must be an integer of 64 bits"), "{detail}");
    for (name, from, to, expected) in [
        ("method", "Say", "Shout", "has no method Shout; it has: Say, All, Fail"),
        ("package", "v1.Echo", "v2.Echo", "has no service acme.echo.v2.Echo; it has: acme.echo.v1"),
        (
            "service",
            "acme.echo.v1.Echo",
            "Other",
            "has no service Other; it has: acme.echo.v1.Echo",
        ),
    ] {
        let other = call("Say", "{text: a}").replace(from, to);
        let (kind, status, detail) = error(&run(&dev.api, name, &other).await);
        assert_eq!((kind.as_str(), status), ("configuration", 400), "{name}: {detail}");
        assert!(detail.contains(expected), "{name}: {detail}");
    }
}

#[tokio::test]
async fn the_types_of_grpcio_are_asked_for_and_kept() {
    let (server, dev) = (reflecting(&[]).await, Dev::start().await);
    let call = server.call_by_reflection("Say", "{text: a}", "");
    let workflow = dev.api.deploy(&definition("kept", &call)).await;
    for _ in 0..3 {
        assert_eq!(output(&dev.api.run(&workflow, &json!({})).await), &json!({"text": "a"}));
    }
    assert_eq!(server.told("call", "Say", 3).await.len(), 3);
    assert_eq!(server.told_now("call", REFLECT).len(), 1);
    calls_of_every_kind(&server, &dev).await;
    // Its files are those of the service, so all is as with them.
    let all = server.call_by_reflection("All", "'${ . }'", "");
    let answer = run_on(&dev.api, "all", &all, &everything()).await;
    assert_eq!(output(&answer), &everything());
}

#[tokio::test]
async fn the_types_of_node_are_asked_for_and_mended() {
    let (server, dev) = (Server::of_node().await, Dev::start().await);
    calls_of_every_kind(&server, &dev).await;
    let paths: Vec<_> =
        server.told_now("call", REFLECT).into_iter().map(|it| it["path"].clone()).collect();
    assert!(
        paths.iter().all(|it| it == "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
        "{paths:?}"
    );
    // Well-known types in a file that it has merged, maps, messages of another package.
    let sent = json!({
        "small": -7, "large": "-9223372036854775808", "counts": {"a": "1"}, "points": {"-1": {"x": 1}},
        "moods": ["MOOD_CALM"], "present": 0, "at": "2026-11-29T22:30:00.250Z", "lasting": "-1.500s",
        "structure": {"a": [1.5, null, {"b": true}]}, "int64Value": "5", "empty": {},
        "paint": {"name": "sky", "color": "BLUE", "can": {"litres": 5}}, "inner": {"inner": {"small": 1}},
    });
    let all = server.call_by_reflection("All", "'${ . }'", "");
    let answer = run_on(&dev.api, "all", &all, &sent).await;
    let got = output(&answer);
    for (key, value) in sent.as_object().unwrap() {
        assert_eq!(&got[key], value, "{key}: {got}");
    }
}

#[tokio::test]
async fn a_server_without_reflection_is_said_to_have_none() {
    let (server, dev) = (Server::start().await, Dev::start().await);
    let call = server.call_by_reflection("Say", "{text: a}", "");
    let (kind, status, detail) = error(&run(&dev.api, "none", &call).await);
    assert_eq!((kind.as_str(), status), ("configuration", 400), "{detail}");
    let expected = format!(
        "the server at localhost:{} offers no reflection (neither grpc.reflection.v1 nor \
         grpc.reflection.v1alpha): register it there, or give the service's .proto file in \
         `proto.endpoint`",
        server.port
    );
    assert_eq!(detail, expected);
    assert!(server.told_now("call", "Say").is_empty(), "nothing was sent");
}

#[tokio::test]
async fn it_is_asked_as_the_service_is_called() {
    let server = reflecting(&["--guarded"]).await;
    let secret = |text: &str| ["--secret".to_owned(), format!("token={text}")];
    let bearer = ", authentication: {bearer: {token: '${ $secrets.token }'}}";
    let call = server.call_by_reflection("Say", "{text: denied}", bearer);
    let text = definition("guarded", &call).replace("\ndo:", "\nuse: {secrets: [token]}\ndo:");
    let told = async |dev: &Dev| dev.api.run(&dev.api.deploy(&text).await, &json!({})).await;

    let dev = Dev::with(&secret("g00d-token")).await;
    assert_eq!(output(&told(&dev).await), &json!({"text": "denied"}));
    for method in [REFLECT, "Say"] {
        let calls = server.told("call", method, 1).await;
        let sent = Server::metadata(calls.last().unwrap(), "authorization");
        assert_eq!(sent.as_deref(), Some("Bearer g00d-token"), "{method}");
    }
    // The server tells what it was given.
    let other = Dev::with(&secret("s3cret-t0ken-77")).await;
    let (kind, status, detail) = error(&told(&other).await);
    assert_eq!((kind.as_str(), status), ("communication", 401), "{detail}");
    assert!(detail.contains("UNAUTHENTICATED (grpc-status 16): nothing for"), "{detail}");
    assert!(detail.contains("«sealed»") && !detail.contains("s3cret"), "{detail}");
    assert_eq!(server.told_now("call", "Say").len(), 1);
}

#[tokio::test]
async fn the_timeout_of_the_task_is_that_of_reflection_too() {
    let (server, dev) = (reflecting(&[]).await, Dev::start().await);
    let call = server.call_by_reflection("Say", "{text: a}", "");
    let timed = format!("timeout: {{after: PT30S}}, {call}");
    assert_eq!(output(&ended(&dev.api, "timed", &timed).await), &json!({"text": "a"}));
    let asked = &server.told("call", REFLECT, 1).await[0];
    let left = asked["left"].as_f64().unwrap();
    assert!(left > 0.0 && left <= 30.0, "{asked}");
}

#[tokio::test]
async fn another_host_than_that_of_the_service_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it.yaml").display().to_string();
    let validate = async |endpoint: &str| {
        let task = format!(
            "call: grpc, with: {{proto: {{endpoint: {endpoint}}}, method: Say, service: {{name: \
             a.Echo, host: Greeter.example.com, port: 50051}}}}"
        );
        std::fs::write(&path, definition("it", &task)).unwrap();
        windlass(&["validate", &path]).await
    };
    for right in [
        "grpc-reflection://greeter.example.com:50051",
        "grpc-reflection://Greeter.example.com:50051/",
    ] {
        validate(right).await.exits(0);
    }
    let credentials = "{uri: 'grpc-reflection://greeter.example.com:50051', authentication: {bearer: \
                       {token: a}}}";
    for (wrong, expected) in [
        ("grpc-reflection://other.example.com:50051", "is not where the service is"),
        ("grpc-reflection://greeter.example.com", "is not where the service is"),
        ("grpc-reflection:greeter.example.com:50051", "is not where the service is"),
        ("'grpc-reflection://greeter.example.com:{port}'", "is not where the service is"),
        (credentials, "reflection has no `authentication` of its own"),
    ] {
        let told = validate(wrong).await.exits(2).stderr;
        assert!(told.contains("error[WL0126]") && told.contains(expected), "{wrong}: {told}");
    }
}
