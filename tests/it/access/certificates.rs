//! Accounts by client certificates.

use serde_json::json;

use super::Asking;
use crate::support::client::Api;
use crate::support::tls::certificates;

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_who_somebody_is_and_is_not_asked_of_others() {
    let made = certificates(&["127.0.0.1"]);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).display().to_string()
    };
    let flags = [
        ("--tls-cert", write("server.pem", &made.server.0)),
        ("--tls-key", write("server.key", &made.server.1)),
        ("--tls-client-ca", write("ca.pem", &made.authority)),
    ];
    let flags: Vec<_> =
        flags.into_iter().flat_map(|(flag, file)| [flag.to_owned(), file]).collect();
    let grant = "[[grant]]\nissuer = \"certificate\"\nsubjects = [\"CN=*\"]\nrole = \"viewer\"\n\
                 namespaces = [\"*\"]\n[certificates]\n";
    let asking = Asking::with(grant, &flags).await;
    let url = asking.dev.api.base();
    let shown = Api::showing(&url, &made.authority, &made.client);
    let who = shown.get("/v1/auth/whoami").await.ok();
    assert_eq!((&who["issuer"], &who["method"]), (&json!("certificate"), &json!("certificate")));
    assert!(who["subject"].as_str().unwrap().starts_with("CN="), "{who}");
    shown.get("/v1/instances").await.ok();
    shown.get("/v1/tokens").await.problem(403);

    // Others come with a token, and who shows both is who the token says.
    let plain = Api::trusting(&url, &made.authority);
    plain.get("/v1/instances").await.problem(401);
    let root = plain.bearing(&asking.admin);
    assert_eq!(root.get("/v1/auth/whoami").await.ok()["subject"], "root");
    let both = shown.bearing(&asking.admin);
    assert_eq!(both.get("/v1/auth/whoami").await.ok()["subject"], "root");
}
