//! nginx.

use serde_json::json;

use super::{Server, Unpacked, calls, document};
use crate::support::dev::Dev;

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
