//! oidc-provider, an authorization server for Node.js: each way in which a client proves who it is.

use serde_json::{Value, json};
use tokio::process::Command;

use super::Server;
use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::{paths, tls, tools};

/// What the server and its clients share.
pub(crate) const SECRET: &str = "c4nary-of-a-client-that-is-long-enough";

/// Starts the server; the private keys of clients are in its folder.
pub(crate) async fn start() -> Server {
    start_with(&[]).await
}

/// Starts the server with these files in its folder.
async fn start_with(files: &[(&str, &str)]) -> Server {
    let source = paths::root().join("tests/it/servers/oidc");
    let packages = tools::node_modules(&source).await.join("node_modules");
    Server::start(|port, folder| {
        // Beside its packages, where it looks for them.
        std::os::unix::fs::symlink(&packages, folder.join("node_modules")).unwrap();
        std::fs::copy(source.join("server.mjs"), folder.join("server.mjs")).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let mut command = Command::new("node");
        command.arg(folder.join("server.mjs")).arg(port.to_string()).arg(folder);
        command
    })
    .await
}

/// The secrets of a worker that acts for the clients of `server`.
fn secrets(server: &Server) -> Value {
    let key = |name: &str| {
        std::fs::read_to_string(server.folder.path().join(format!("{name}.pem"))).unwrap()
    };
    let whole = |client: Value| {
        json!({
            "authority": server.url(), "endpoints": {"token": "/token"},
            "grant": "client_credentials", "scopes": ["read"], "client": client,
        })
    };
    json!({
        "shared": SECRET,
        "keys": {"rsa": key("rsa"), "p256": key("p256"), "ed25519": key("ed25519")},
        "whole": whole(json!({
            "id": "ed25519", "key": key("ed25519"), "keyId": "ed25519",
            "authentication": "private_key_jwt",
        })),
    })
}

struct Calls<'a> {
    api: &'a Api,
    base: String,
    /// The secrets that the workflows use.
    secrets: &'static str,
    made: usize,
}

impl Calls<'_> {
    /// What the interface of the server knows of who calls it with `policy`; the problem where it
    /// was not called.
    async fn with(&mut self, policy: &str) -> Value {
        self.made += 1;
        let (base, made, secrets) = (&self.base, self.made, self.secrets);
        let policy = policy.replace("BASE", base);
        let text = format!(
            "document: {{ dsl: '1.0.3', namespace: oidc, name: call-{made}, version: '1.0.0' }}\n\
             use: {{ secrets: [{secrets}] }}\ndo:\n- call:\n    call: http\n    with: {{ \
             method: get, endpoint: {{ uri: '{base}/api', authentication: {policy} }} }}\n"
        );
        let view = self.api.run(&self.api.deploy(&text).await, &json!({})).await;
        let is_done = view["status"] == "completed";
        view[if is_done { "output" } else { "error" }].clone()
    }

    /// As [`Self::with`], of a client that gets a token for what it is allowed itself.
    async fn as_client(&mut self, id: &str, method: &str, proof: &str) -> Value {
        let policy = format!(
            "{{ oauth2: {{ authority: BASE, endpoints: {{ token: /token }}, grant: \
             client_credentials, scopes: [read], client: {{ id: {id}, authentication: {method}, \
             {proof} }} }} }}"
        );
        self.with(&policy).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_provider_takes_each_proof_of_a_client() {
    let server = start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets.json");
    std::fs::write(&file, secrets(&server).to_string()).unwrap();
    let dev = Dev::with(&["--secrets-file".to_owned(), file.display().to_string()]).await;
    let secrets = "shared, keys, whole";
    let mut calls = Calls { api: &dev.api, base: server.url(), secrets, made: 0 };

    let shared = "secret: '${ $secrets.shared }'";
    for (id, method) in [
        ("basic", "client_secret_basic"),
        ("post", "client_secret_post"),
        ("secret-jwt", "client_secret_jwt"),
    ] {
        let got = calls.as_client(id, method, shared).await;
        assert_eq!(got, json!({"client": id, "scope": "read"}));
    }
    for id in ["rsa", "p256", "ed25519"] {
        let key = format!("assertion: '${{ $secrets.keys.{id} }}'");
        let got = calls.as_client(id, "private_key_jwt", &key).await;
        assert_eq!(got, json!({"client": id, "scope": "read"}));
    }
    // What is in a secret is not shown, be it the name of the client.
    let sealed = json!({"client": "«sealed»", "scope": "«sealed»"});
    assert_eq!(calls.with("{ oauth2: { use: whole } }").await, sealed);
    let discovered = "{ oidc: { authority: BASE, grant: client_credentials, scopes: [write], \
                      client: { id: post, secret: '${ $secrets.shared }' } } }";
    assert_eq!(calls.with(discovered).await, json!({"client": "post", "scope": "write"}));

    // The key of another client, and a scope that nobody has.
    let wrong = "assertion: '${ $secrets.keys.rsa }'";
    let error = calls.as_client("p256", "private_key_jwt", wrong).await;
    let kind = error["type"].as_str().unwrap_or_default();
    assert!(kind.ends_with("/authentication") && error["status"] == 401, "{error}");
    let detail = error["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("invalid_client") && !detail.contains("BEGIN"), "{error}");

    let asked = Api::new(&server.url()).get("/asked").await.body;
    for _ in 0..2 {
        calls.as_client("basic", "client_secret_basic", shared).await;
    }
    assert_eq!(Api::new(&server.url()).get("/asked").await.body, asked, "tokens are kept");
    let exchanged = "{ oauth2: { authority: BASE, endpoints: { token: /token }, grant: \
                     'urn:ietf:params:oauth:grant-type:token-exchange', client: { id: post, secret: \
                     '${ $secrets.shared }' }, subject: { token: unknown, type: \
                     'urn:ietf:params:oauth:token-type:access_token' } } }";
    let error = calls.with(exchanged).await;
    assert!(error["detail"].as_str().unwrap_or_default().contains("invalid_grant"), "{error}");
}

/// The secrets of a worker whose clients show certificates: one of the server's authority, one of
/// none, a key that does not fit, and a whole policy.
fn certified(base: &str, ours: &(String, String), own: &(String, String)) -> Value {
    let pair = |certificate: &str, key: &str| json!({"certificate": certificate, "key": key});
    json!({
        "ours": pair(&ours.0, &ours.1), "own": pair(&own.0, &own.1),
        "broken": pair(&ours.0, &own.1),
        "whole": {
            "authority": base, "endpoints": {"token": "/token"}, "grant": "client_credentials",
            "client": {
                "id": "self", "authentication": "self_signed_tls_client_auth",
                "certificate": own.0, "key": own.1,
            },
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_provider_takes_certificates_of_clients() {
    let made = tls::certificates(&["localhost", "127.0.0.1"]);
    let own = tls::self_signed();
    let server = start_with(&[
        ("server.pem", &made.server.0),
        ("server.key", &made.server.1),
        ("ca.pem", &made.authority),
        ("self.pem", &own.0),
    ])
    .await;
    let base = format!("https://localhost:{}", server.port);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets.json");
    std::fs::write(&file, certified(&base, &made.client, &own).to_string()).unwrap();
    let authority = server.folder.path().join("ca.pem").display().to_string();
    let flags = ["--ca-file", &authority, "--secrets-file", &file.display().to_string()];
    let dev = Dev::with(&flags.map(str::to_owned)).await;
    let secrets = "ours, own, broken, whole";
    let mut calls = Calls { api: &dev.api, base: base.clone(), secrets, made: 0 };

    // The server takes such a token of nobody who does not show the certificate as well.
    let (pki, alone) = ("tls_client_auth", "self_signed_tls_client_auth");
    for (id, method, secret) in [("pki", pki, "ours"), ("self", alone, "own")] {
        let proof = format!("certificate: {{ use: {secret} }}");
        let got = calls.as_client(id, method, &proof).await;
        assert_eq!(got, json!({"client": id, "scope": "read"}));
    }
    let whole = calls.with("{ oauth2: { use: whole } }").await;
    assert_eq!(whole, json!({"client": "«sealed»", "scope": null}));
    let discovered = "{ oidc: { authority: BASE, grant: client_credentials, scopes: [write], \
                      client: { id: pki, authentication: tls_client_auth, certificate: { use: \
                      ours } } } }";
    assert_eq!(calls.with(discovered).await, json!({"client": "pki", "scope": "write"}));
    let told = reqwest::Client::builder()
        .tls_certs_only(reqwest::Certificate::from_pem(made.authority.as_bytes()))
        .build()
        .unwrap();
    let aliased = told.get(format!("{base}/aliased")).send().await.unwrap().text().await.unwrap();
    assert_eq!(aliased, "1", "discovery names another endpoint for who shows a certificate");

    for (id, method, secret, status, part) in [
        ("pki", pki, "own", 401, "invalid_client"),
        ("pki-other", pki, "ours", 401, "invalid_client"),
        ("self", alone, "ours", 401, "invalid_client"),
        ("pki", pki, "broken", 400, "the certificate and the key of the secret do not fit"),
        ("pki", pki, "whole", 400, "the secret whole has no `certificate`"),
    ] {
        let proof = format!("certificate: {{ use: {secret} }}");
        let error = calls.as_client(id, method, &proof).await;
        let detail = error["detail"].as_str().unwrap_or_default();
        assert_eq!(error["status"], status, "{id} with {secret}: {error}");
        assert!(detail.contains(part) && !detail.contains("PRIVATE KEY"), "{error}");
    }
    let plain = "{ oauth2: { authority: 'http://localhost', grant: client_credentials, client: { id: \
                 pki, authentication: tls_client_auth, certificate: { use: ours } } } }";
    let error = calls.with(plain).await;
    assert_eq!(error["status"], 400, "{error}");
    assert!(error["detail"].as_str().unwrap().contains("has to begin with https"), "{error}");
}
