//! Two accounts of an identity provider, by the documents alone: oidc-provider signs.

use serde_json::json;

use super::{Asking, greet};
use crate::servers::oidc::{self, SECRET};
use crate::support::client::Api;

/// A token of the provider for one of its clients, for this server.
async fn token(provider: &Api, client: &str) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client),
        ("client_secret", SECRET),
        ("scope", "read"),
        ("resource", "urn:windlass"),
    ];
    let request = provider.request(reqwest::Method::POST, "/token").form(&form);
    let answer = Api::send(request).await.unwrap().ok();
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_of_a_provider_may_what_their_roles_say() {
    let server = oidc::start().await;
    let provider = Api::new(&server.url());
    let rules = format!(
        "[[issuer]]\nname = \"corp\"\nurl = \"{}\"\naudiences = [\"urn:windlass\"]\n\
         [[grant]]\nissuer = \"corp\"\nsubjects = [\"post\"]\nrole = \"author\"\n\
         namespaces = [\"shop\"]\n\
         [[grant]]\nissuer = \"corp\"\nsubjects = [\"viewing\"]\nrole = \"viewer\"\n\
         namespaces = [\"shop\"]\n",
        server.url()
    );
    let asking = Asking::start(&rules).await;
    let author = asking.dev.api.bearing(&token(&provider, "post").await);
    let viewer = asking.dev.api.bearing(&token(&provider, "viewing").await);
    let who = author.get("/v1/auth/whoami").await.ok();
    assert_eq!((&who["issuer"], &who["subject"]), (&json!("corp"), &json!("post")), "{who}");
    author.deploy_text(&greet("shop")).await.ok();
    author.deploy_text(&greet("bank")).await.problem(403);
    viewer.deploy_text(&greet("shop")).await.problem(403);
    assert_eq!(viewer.get("/v1/workflows").await.ok()["items"][0]["name"], "greet");
    let start = json!({"workflow": {"namespace": "shop", "name": "greet"}});
    author.post("/v1/instances", &start).await.ok();
    viewer.post("/v1/instances", &start).await.problem(403);
}
