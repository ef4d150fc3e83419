//! Apache's httpd.

use super::{Server, Unpacked, calls, document};
use crate::support::dev::Dev;

/// What `htdigest` writes for the user `ada` with the password `haul away` in the realm `the dock`.
const DIGEST: &str = "ada:the dock:208292c0a4e09b07fa94a82d3ac9ed34\n";

#[tokio::test(flavor = "multi_thread")]
async fn apache_is_understood() {
    let Some(unpacked) = Unpacked::get("apache_is_understood", &["apache2-bin"]).await else {
        return;
    };
    let (text, value) = document();
    let wide: Vec<u8> = "\u{feff}größer".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let server = Server::start(|port, folder| {
        for name in ["gzip", "br", "inside", "secret"] {
            std::fs::write(folder.join("files").join(name), &text).unwrap();
        }
        std::fs::write(folder.join("files/wide"), &wide).unwrap();
        std::fs::write(folder.join("files/old"), b"caf\xe9").unwrap();
        std::fs::write(folder.join("digest"), DIGEST).unwrap();
        let configuration = include_str!("apache/httpd.conf")
            .replace("FOLDER", &folder.display().to_string())
            .replace("MODULES", &unpacked.at("usr/lib/apache2/modules"))
            .replace("PORT", &port.to_string());
        let file = folder.join("httpd.conf");
        std::fs::write(&file, configuration).unwrap();
        let mut command = unpacked.command("usr/sbin/apache2");
        command.args(["-D", "FOREGROUND", "-d"]).arg(folder).arg("-f").arg(file);
        command
    })
    .await;
    let dev = Dev::start().await;
    let ada = "authentication: { digest: { username: ada, password: haul away } }";
    let secret = format!("{{ method: get, endpoint: {{ uri: BASE/secret, {ada} }} }}");
    let got = calls(
        &dev.api,
        &server.url(),
        "http",
        &[
            ("gzip", "{ method: get, endpoint: BASE/gzip }"),
            ("brotli", "{ method: get, endpoint: BASE/br }"),
            ("wide", "{ method: get, endpoint: BASE/wide }"),
            ("old", "{ method: get, endpoint: BASE/old }"),
            ("posted", "{ method: post, endpoint: BASE/gzip }"),
            ("inside", "{ method: get, endpoint: BASE/login, redirect: true }"),
            ("secret", &secret),
        ],
    )
    .await;
    for name in ["gzip", "brotli", "posted", "inside", "secret"] {
        assert_eq!(got[name], value, "{name}");
    }
    assert_eq!((&got["wide"], &got["old"]), (&"größer".into(), &"café".into()));
    server.logged("POST /gzip 200 gzip", 1).await;
    server.logged("GET /br 200 br", 1).await;
    server.logged("GET /secret 401", 1).await;
    server.logged("GET /secret 200", 1).await;
}
