//! Who calls, and whom: credentials, secrets in what is sent, TLS, traces.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::dev::Dev;
use crate::support::grpc::{Server, definition, error, output, run};
use crate::support::otlp::{Collector, Receiver};
use crate::support::stub::{Reply, Stub};
use crate::support::tls;

/// A definition of one task that may use the secret `token`.
fn with_secret(name: &str, task: &str) -> String {
    definition(name, task).replace("\ndo:", "\nuse: {secrets: [token]}\ndo:")
}

async fn run_with_secret(dev: &Dev, name: &str, task: &str) -> Value {
    dev.api.run(&dev.api.deploy(&with_secret(name, task)).await, &json!({})).await
}

#[tokio::test]
async fn credentials_go_as_metadata_and_are_not_told() {
    let server = Server::start().await;
    let dev = Dev::with(&["--secret".to_owned(), "token=s3cret-t0ken-77".to_owned()]).await;
    let bearer = ", authentication: {bearer: {token: '${ $secrets.token }'}}";
    let said = run_with_secret(&dev, "bearer", &server.call_with("Say", "{text: a}", bearer)).await;
    assert_eq!(output(&said), &json!({"text": "a"}));
    let calls = server.told("call", "Say", 1).await;
    let sent = Server::metadata(&calls[0], "authorization");
    assert_eq!(sent.as_deref(), Some("Bearer s3cret-t0ken-77"));

    // The server tells what it was given.
    let refused =
        run_with_secret(&dev, "refused", &server.call_with("Say", "{text: denied}", bearer)).await;
    let (kind, status, detail) = error(&refused);
    assert_eq!((kind.as_str(), status), ("communication", 401));
    assert!(detail.contains("UNAUTHENTICATED (grpc-status 16): not with"), "{detail}");
    assert!(detail.contains("«sealed»") && !detail.contains("s3cret"), "{detail}");

    let basic = ", authentication: {basic: {username: ada, password: haul}}";
    output(&run(&dev.api, "basic", &server.call_with("Say", "{}", basic)).await);
    let calls = server.told("call", "Say", 3).await;
    let sent = Server::metadata(calls.last().unwrap(), "authorization");
    assert_eq!(sent.as_deref(), Some("Basic YWRhOmhhdWw="));

    let digest = basic.replace("basic", "digest");
    let (kind, _, detail) =
        error(&run(&dev.api, "digest", &server.call_with("Say", "{}", &digest)).await);
    assert_eq!(kind, "configuration");
    assert!(detail.contains("`digest` answers a challenge of HTTP"), "{detail}");
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let (server, dev) = (Server::start().await, Dev::start().await);
    let asked = AtomicUsize::new(0);
    let stub = Stub::http(move |_| {
        let token =
            if asked.fetch_add(1, Ordering::Relaxed) == 0 { "0ld-token" } else { "g00d-token" };
        Reply::Json(200, json!({"access_token": token, "expires_in": 3600}))
    })
    .await;
    let oauth2 = format!(
        ", authentication: {{oauth2: {{authority: '{}', grant: client_credentials, client: {{id: me, \
         secret: mine}}}}}}",
        stub.url("")
    );
    let said = run(&dev.api, "token", &server.call_with("Say", "{text: denied}", &oauth2)).await;
    assert_eq!(output(&said), &json!({"text": "denied"}));
    let calls = server.told("call", "Say", 2).await;
    let sent: Vec<_> = calls.iter().map(|it| Server::metadata(it, "authorization")).collect();
    let expected = ["Bearer 0ld-token", "Bearer g00d-token"].map(|it| Some(it.to_owned()));
    assert_eq!(sent, expected);
    assert_eq!(stub.seen().len(), 2);
}

#[tokio::test]
async fn a_secret_that_comes_back_is_sealed() {
    let server = Server::start().await;
    let dev = Dev::with(&["--secret".to_owned(), "token=s3cret-t0ken-77".to_owned()]).await;
    let arguments = "{text: 'it is ${ $secrets.token }', raw: '${ $secrets.token | @base64 }', \
                     structure: {it: '${ $secrets.token }'}}";
    let view = run_with_secret(&dev, "echo", &server.call("All", arguments)).await;
    let told = output(&view).to_string();
    assert!(told.contains("«sealed»") && !told.contains("s3cret"), "{told}");
    assert!(!told.contains("czNjcmV0"), "{told}");
    // As a double, and as bytes that are written in the other alphabet.
    let flags = ["--secret", "pin=815162342", "--secret", "token=3q2-7_aBcDeF0123456789-_zz"];
    let other = Dev::with(&flags.map(str::to_owned)).await;
    let arguments = "{exact: '${ $secrets.pin | tonumber }', raw: '${ $secrets.token }'}";
    let text =
        with_secret("types", &server.call("All", arguments)).replace("[token]", "[token, pin]");
    let view = other.api.run(&other.api.deploy(&text).await, &json!({})).await;
    assert_eq!(output(&view), &json!({"exact": "«sealed»", "raw": "«sealed»"}));
    let fail = server.call("Fail", "{status: 3, message: 'no ${ $secrets.token } here'}");
    let (_, _, detail) = error(&run_with_secret(&dev, "fail", &fail).await);
    assert!(detail.contains("«sealed»") && !detail.contains("s3cret"), "{detail}");
    // What is no message of that type names no value in the clear.
    let wrong = server.call("Count", "{upTo: '${ $secrets.token }'}");
    let (kind, _, detail) = error(&run_with_secret(&dev, "wrong", &wrong).await);
    assert_eq!(kind, "validation");
    assert!(!detail.contains("s3cret"), "{detail}");
    assert!(!dev.stderr().contains("s3cret"));
}

#[tokio::test]
async fn a_server_that_asks_for_certificates_is_shown_one() {
    let folder = tempfile::tempdir().unwrap();
    let made = tls::certificates(&["grpc.test"]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let secrets = json!({"token": {"certificate": made.client.0, "key": made.client.1}});
    for (name, text) in [
        ("ca.pem", &made.authority),
        ("chain.pem", &made.server.0),
        ("key.pem", &made.server.1),
        ("secrets.json", &secrets.to_string()),
    ] {
        std::fs::write(path(name), text).unwrap();
    }
    let server = Server::with(&["chain.pem", "key.pem", "ca.pem"].map(path)).await;
    let there = format!("grpc.test:443:127.0.0.1:{}", server.port);
    let flags = ["--resolve", &there, "--ca-file", &path("ca.pem")].map(str::to_owned);
    let secrets = ["--secrets-file".to_owned(), path("secrets.json")];
    let dev = Dev::with(&[&flags[..], &secrets[..]].concat()).await;
    let real = format!("host: localhost, port: {}", server.port);
    let call =
        |more: &str| server.call_with("Say", "{text: a}", more).replace(&real, "host: grpc.test");
    let shown = call(", authentication: {certificate: {use: token}}");
    let said = run_with_secret(&dev, "shown", &shown).await;
    assert_eq!(output(&said), &json!({"text": "a"}));
    let (kind, status, _) = error(&run(&dev.api, "nothing", &call("")).await);
    assert_eq!((kind.as_str(), status), ("communication", 503));
}

#[tokio::test]
async fn tls_is_spoken_where_the_port_or_the_definition_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let made = tls::certificates(&["grpc.test", "localhost"]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (name, text) in
        [("ca.pem", &made.authority), ("chain.pem", &made.server.0), ("key.pem", &made.server.1)]
    {
        std::fs::write(path(name), text).unwrap();
    }
    let server = Server::with(&[path("chain.pem"), path("key.pem")]).await;
    let there = format!("grpc.test:443:127.0.0.1:{}", server.port);
    let flags = ["--resolve".to_owned(), there, "--ca-file".to_owned(), path("ca.pem")];
    let dev = Dev::with(&flags).await;
    let said = |text: &str| format!("{{text: {text}}}");

    // By its port, which is that of no port.
    let real = format!("host: localhost, port: {}", server.port);
    for (name, at) in [("none", "host: grpc.test"), ("tls", "host: grpc.test, port: 443")] {
        let call = server.call("Say", &said(name)).replace(&real, at);
        assert_eq!(output(&run(&dev.api, name, &call).await), &json!({"text": name}));
    }
    // By the definition.
    let call = server.call("Say", &said("told"));
    let told = format!("{call}, metadata: {{windlass: {{tls: true}}}}");
    assert_eq!(output(&run(&dev.api, "told", &told).await), &json!({"text": "told"}));
    let (kind, status, detail) = error(&run(&dev.api, "plain", &call).await);
    assert_eq!((kind.as_str(), status), ("communication", 503));
    assert!(detail.contains("try `metadata.windlass.tls: true`"), "{detail}");

    // Another authority's certificate is not trusted.
    let strict = Dev::start().await;
    let (kind, status, detail) = error(&run(&strict.api, "strict", &told).await);
    assert_eq!((kind.as_str(), status), ("communication", 503));
    assert!(detail.contains("TLS: ") && detail.contains("`--ca-file`"), "{detail}");
    // Whoever is trusted, a name is wrong.
    let wrong = told.replace("host: localhost", "host: 127.0.0.1");
    let (kind, status, detail) = error(&run(&dev.api, "wrong", &wrong).await);
    assert_eq!((kind.as_str(), status), ("communication", 503));
    assert!(detail.contains("not valid for name") && !detail.contains("--ca-file"), "{detail}");
    // And the other way round.
    let plain = Server::start().await;
    let call = format!("{}, metadata: {{windlass: {{tls: true}}}}", plain.call("Say", "{}"));
    let (_, _, detail) = error(&run(&dev.api, "no-tls", &call).await);
    assert!(detail.contains("try `metadata.windlass.tls: false`"), "{detail}");
}

#[tokio::test]
async fn a_call_is_a_span_whose_context_goes_out() {
    let (server, receiver) = (Server::start().await, Receiver::start().await);
    let collector = Collector::before(&receiver).await;
    let dev = Dev::with(&["--otlp-endpoint".to_owned(), collector.http()]).await;
    output(&run(&dev.api, "traced", &server.call("Say", "{text: a}")).await);
    error(&run(&dev.api, "failed", &server.call("Fail", "{status: 5}")).await);
    let find = async |method: &str| {
        let call = server.told("call", method, 1).await.remove(0);
        let parent = Server::metadata(&call, "traceparent").unwrap();
        let name = format!("acme.echo.v1.Echo/{method}");
        let spans = receiver.trace(&parent[3..35], &name).await;
        let span = spans.into_iter().find(|it| it.name == name).unwrap();
        assert_eq!((span.id.as_str(), span.kind), (&parent[36..52], 3), "{span:?}");
        span
    };
    let said = find("Say").await;
    for (name, value) in [
        ("rpc.system.name", json!("grpc")),
        ("rpc.method", json!("acme.echo.v1.Echo/Say")),
        ("rpc.response.status_code", json!("OK")),
        ("server.address", json!("localhost")),
        ("server.port", json!(server.port)),
    ] {
        assert_eq!(said.attributes.get(name), Some(&value), "{said:?}");
    }
    assert!(!said.failed);
    let failed = find("Fail").await;
    assert!(failed.failed, "{failed:?}");
    assert_eq!(failed.attributes["rpc.response.status_code"], json!("NOT_FOUND"));
    assert_eq!(failed.attributes["error.type"], json!("NOT_FOUND"));
}
