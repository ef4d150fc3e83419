//! lighttpd, which wants a length with every POST and compresses in every way there is.

use super::{Server, Unpacked, calls, document};
use crate::support::dev::Dev;

/// The user `ada` with the password `haul away` in the realm `the dock`: MD5, then SHA-256.
const DIGEST: &str =
    "ada:the dock:64e02337ce1d86bbf9b8f88b94d482350f687974c4a1b40c71476897f40665b5\n";

#[tokio::test(flavor = "multi_thread")]
async fn lighttpd_is_understood() {
    let packages = ["lighttpd", "lighttpd-mod-deflate"];
    let Some(unpacked) = Unpacked::get("lighttpd_is_understood", &packages).await else { return };
    let (text, value) = document();
    let server = Server::start(|port, folder| {
        let names = ["gzip", "deflate", "br", "zstd", "plain", "inside", "secret"];
        for name in names {
            std::fs::write(folder.join("files").join(format!("{name}.json")), &text).unwrap();
        }
        std::fs::write(folder.join("files/old.txt"), b"caf\xe9 \x80").unwrap();
        std::fs::write(folder.join("digest"), DIGEST).unwrap();
        let configuration = include_str!("lighttpd/lighttpd.conf")
            .replace("FOLDER", &folder.display().to_string())
            .replace("PORT", &port.to_string());
        let file = folder.join("lighttpd.conf");
        std::fs::write(&file, configuration).unwrap();
        let mut command = unpacked.command("usr/sbin/lighttpd");
        command.arg("-D").arg("-f").arg(file).arg("-m").arg(unpacked.at("usr/lib/lighttpd"));
        command
    })
    .await;
    let dev = Dev::start().await;
    let ada = "authentication: { digest: { username: ada, password: haul away } }";
    let secret = format!("{{ method: get, endpoint: {{ uri: BASE/secret.json, {ada} }} }}");
    let got = calls(
        &dev.api,
        &server.url(),
        "http",
        &[
            ("gzip", "{ method: get, endpoint: BASE/gzip.json }"),
            ("deflate", "{ method: get, endpoint: BASE/deflate.json }"),
            ("br", "{ method: get, endpoint: BASE/br.json }"),
            ("zstd", "{ method: get, endpoint: BASE/zstd.json }"),
            ("posted", "{ method: post, endpoint: BASE/plain.json }"),
            ("inside", "{ method: get, endpoint: BASE/login, redirect: true }"),
            ("secret", &secret),
            ("old", "{ method: get, endpoint: BASE/old.txt }"),
        ],
    )
    .await;
    for name in ["gzip", "deflate", "br", "zstd", "posted", "inside", "secret"] {
        assert_eq!(got[name], value, "{name}");
    }
    assert_eq!(got["old"], "café €");
    for name in ["gzip", "deflate", "br", "zstd"] {
        server.logged(&format!("GET /{name}.json 200 {name}"), 1).await;
    }
    server.logged("POST /plain.json 200", 1).await;
    server.logged("GET /secret.json 401", 1).await;
}
