//! nginx.

use std::path::Path;

use serde_json::{Value, json};
use windlass_proto::time::Timestamp;

use super::{Server, Unpacked, calls, document};
use crate::support::dev::Dev;
use crate::support::tls;

#[tokio::test(flavor = "multi_thread")]
async fn nginx_is_understood() {
    let packages = ["nginx", "libnginx-mod-http-brotli-filter"];
    let Some(unpacked) = Unpacked::get("nginx_is_understood", &packages).await else { return };
    let (text, value) = document();
    let server = Server::start(|port, folder| {
        std::fs::write(folder.join("files/document"), &text).unwrap();
        std::fs::write(folder.join("files/old"), b"caf\xe9 \x80").unwrap();
        let module = unpacked.at("usr/lib/nginx/modules/ngx_http_brotli_filter_module.so");
        let configuration = include_str!("nginx/nginx.conf")
            .replace("FOLDER", &folder.display().to_string())
            .replace("MODULE", &module)
            .replace("PORT", &port.to_string());
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let mut command = unpacked.command("usr/sbin/nginx");
        command.args(["-e", "stderr", "-p"]).arg(folder).arg("-c").arg(file);
        command
    })
    .await;
    let dev = Dev::start().await;
    let got = calls(
        &dev.api,
        &server.url(),
        "http",
        &[
            ("gzip", "{ method: get, endpoint: BASE/gzip/document }"),
            ("brotli", "{ method: get, endpoint: BASE/br/document }"),
            ("raw", "{ method: get, endpoint: BASE/gzip/document, output: raw }"),
            ("old", "{ method: get, endpoint: BASE/old }"),
            ("empty", "{ method: post, endpoint: BASE/length }"),
            ("full", "{ method: put, endpoint: BASE/length, body: { a: 1 } }"),
            ("inside", "{ method: get, endpoint: BASE/login, redirect: true }"),
            ("cookies", "{ method: get, endpoint: BASE/set, output: response }"),
        ],
    )
    .await;
    assert_eq!((&got["gzip"], &got["brotli"]), (&value, &value));
    let raw = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        got["raw"].as_str().unwrap(),
    );
    assert_eq!(raw.unwrap(), text.as_bytes(), "`raw` is what was compressed");
    assert_eq!(got["old"], "café €");
    assert_eq!((&got["empty"], &got["full"]), (&json!("POST 0"), &json!("PUT 7")));
    assert_eq!(got["inside"], "both");
    assert_eq!(got["cookies"]["content"], "set");
    let set = json!(["first=1; Path=/", "second=2; Path=/; HttpOnly"]);
    assert_eq!(got["cookies"]["headers"]["set-cookie"], set);
    assert_eq!(server.logged("/gzip/document gzip", 2).await.len(), 2);
    assert_eq!(server.logged("/br/document br", 1).await.len(), 1);
}

/// A task that is tried again once, and ends well: with the status that it was answered.
fn tried_again(name: &str, call: &str) -> String {
    format!(
        "- {name}:\n    try: [{{it: {{{call}}}}}]\n    catch:\n      retry: {{limit: {{attempt: \
         {{count: 1}}}}}}\n      do: [{{status: {{set: '${{ $error.status }}'}}}}]\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_is_left_alone_as_long_as_it_asks_for() {
    let name = "nginx_is_left_alone_as_long_as_it_asks_for";
    let Some(unpacked) = Unpacked::get(name, &["nginx"]).await else { return };
    let server = Server::start(|port, folder| {
        let configuration = include_str!("nginx/busy.conf")
            .replace("FOLDER", &folder.display().to_string())
            .replace("PORT", &port.to_string());
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let description = json!({
            "openapi": "3.0.3", "info": {"title": "a", "version": "1"},
            "servers": [{"url": format!("http://127.0.0.1:{port}")}],
            "paths": {"/full": {"get": {"operationId": "full", "responses": {"200": {"description": "a"}}}}},
        });
        std::fs::write(folder.join("files/openapi.json"), description.to_string()).unwrap();
        let mut command = unpacked.command("usr/sbin/nginx");
        command.args(["-e", "stderr", "-p"]).arg(folder).arg("-c").arg(file);
        command
    })
    .await;
    let (base, dev) = (server.url(), Dev::start().await);
    let tasks = [
        tried_again("busy", &format!("call: http, with: {{method: get, endpoint: {base}/busy}}")),
        tried_again(
            "full",
            &format!(
                "call: openapi, with: {{document: {{endpoint: {base}/openapi.json}}, operationId: full}}"
            ),
        ),
        // What is no sign of being busy is tried again at once.
        tried_again("gone", &format!("call: http, with: {{method: get, endpoint: {base}/gone}}")),
    ];
    let head = "document: {dsl: '1.0.3', namespace: servers, name: busy, version: '1.0.0'}\ndo:\n";
    let workflow = dev.api.deploy(&format!("{head}{}", tasks.concat())).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    assert_eq!(dev.api.ends(&id).await["status"], "completed");
    let history = dev.api.history(&id).await;
    let time = |it: &Value| Timestamp::parse(it.as_str().unwrap()).unwrap();
    let retries = history.iter().filter(|it| it["event"] == "task.retried");
    let waits: Vec<_> = retries
        .map(|it| {
            let (status, due) = (it["data"]["error"]["status"].clone(), time(&it["data"]["due"]));
            (status, due.since(time(&it["at"])))
        })
        .collect();
    assert_eq!(waits, [(json!(429), 2_000), (json!(503), 1_000), (json!(502), 0)], "{history:?}");
    for path in ["/busy", "/full", "/gone"] {
        assert_eq!(server.logged(&format!("GET {path}"), 2).await.len(), 2, "{path}");
    }
}

/// Calls `CALL` with what a secret holds shown in TLS.
fn shows(call: &str, secret: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: servers, name: shows, version: '1.0.0' }}\n\
         use:\n  secrets: [ours, kubernetes, theirs, broken, half]\n  authentications:\n    \
         shown: {{ certificate: {{ use: {secret} }} }}\ndo:\n- call:\n    {call}\n"
    )
}

/// The secrets of a worker: a certificate of the server's authority in two forms, one of another
/// authority, and what is none.
fn secrets(ours: &(String, String)) -> Value {
    let theirs = tls::certificates(&["localhost"]).client;
    json!({
        "ours": {"certificate": ours.0, "private_key": ours.1, "ca_chain": []},
        "kubernetes": {"tls.crt": ours.0, "tls.key": ours.1},
        "theirs": {"certificate": theirs.0, "key": theirs.1},
        "broken": {"certificate": ours.0, "key": theirs.1},
        "half": {"certificate": ours.0},
    })
}

fn configured(folder: &Path, port: u16, made: &tls::Certificates) -> std::path::PathBuf {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("server.pem", &made.server.0);
    write("server.key", &made.server.1);
    write("ca.pem", &made.authority);
    let description = json!({
        "openapi": "3.0.3", "info": {"title": "a", "version": "1"},
        "servers": [{"url": format!("https://localhost:{port}")}],
        "paths": {"/only": {"get": {"operationId": "only", "responses": {"200": {"description": "a"}}}}},
    });
    write("files/openapi.json", &description.to_string());
    let configuration = include_str!("nginx/tls.conf")
        .replace("FOLDER", &folder.display().to_string())
        .replace("PORT", &port.to_string());
    write("nginx.conf", &configuration);
    folder.join("nginx.conf")
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_lets_in_who_shows_a_certificate() {
    let name = "nginx_lets_in_who_shows_a_certificate";
    let Some(unpacked) = Unpacked::get(name, &["nginx"]).await else { return };
    let made = tls::certificates(&["localhost", "127.0.0.1"]);
    let server = Server::start(|port, folder| {
        let file = configured(folder, port, &made);
        let mut command = unpacked.command("usr/sbin/nginx");
        command.args(["-e", "stderr", "-p"]).arg(folder).arg("-c").arg(file);
        command
    })
    .await;
    let (folder, base) =
        (tempfile::tempdir().unwrap(), format!("https://localhost:{}", server.port));
    let file = folder.path().join("secrets.json");
    std::fs::write(&file, secrets(&made.client).to_string()).unwrap();
    let authority = server.folder.path().join("ca.pem").display().to_string();
    let flags = ["--ca-file", &authority, "--secrets-file", &file.display().to_string()];
    let dev = Dev::with(&flags.map(str::to_owned)).await;
    let count = std::cell::Cell::new(0);
    let run = async |call: &str, secret: &str| {
        count.set(count.get() + 1);
        let text = shows(&call.replace("BASE", &base), secret);
        let text = text.replace("name: shows", &format!("name: shows-{}", count.get()));
        dev.api.run(&dev.api.deploy(&text).await, &json!({})).await
    };
    let get = |path: &str| {
        format!(
            "call: http\n    with: {{ method: get, redirect: true, endpoint: {{ uri: \
             'BASE/{path}', authentication: {{ use: shown }} }} }}"
        )
    };
    for secret in ["ours", "kubernetes"] {
        let view = run(&get("only"), secret).await;
        assert_eq!(view["output"], "let in", "{secret}: {view}");
    }
    let described = "call: openapi\n    with: { operationId: only, authentication: { use: shown }, \
                     document: { endpoint: { uri: 'BASE/openapi.json', authentication: { use: \
                     shown } } } }";
    assert_eq!(run(described, "ours").await["output"], "let in");
    assert_eq!(run(&get("who"), "theirs").await["error"]["status"], 400);
    // Another origin is not shown it.
    assert_eq!(run(&get("away"), "ours").await["output"], "NONE");
    assert_eq!(server.logged("GET /away SUCCESS", 1).await.len(), 1);
    for (secret, part) in [
        ("broken", "the certificate and the key of the secret do not fit"),
        ("half", "the secret half has no `key`, which `certificate` needs"),
    ] {
        let error = run(&get("only"), secret).await["error"].clone();
        let detail = error["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(part) && !detail.contains("PRIVATE KEY"), "{error}");
        assert_eq!(error["status"], 400, "{error}");
    }
}
