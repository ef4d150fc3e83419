//! Two accounts of an identity provider, by the documents alone: oidc-provider signs.

use serde_json::json;

use super::{Asking, greet};
use crate::servers::oidc::{self, SECRET};
use crate::support::binary;
use crate::support::client::Api;
use crate::support::command::finish;
use crate::support::process::Process;
use crate::support::until::{SOON, within};

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

/// Goes through the pages of a provider as somebody with a browser does: fills in every form.
async fn browse(address: &str) {
    let builder = reqwest::Client::builder().cookie_store(true).no_proxy().timeout(SOON);
    let browser = builder.build().unwrap();
    let mut page = browser.get(address).send().await.unwrap().text().await.unwrap();
    for _ in 0..8 {
        let Some((action, fields)) = form(&page) else { return };
        let action = reqwest::Url::parse(address).unwrap().join(&action).unwrap();
        let sent = browser.post(action).form(&fields).send().await.unwrap();
        page = sent.text().await.unwrap();
    }
    panic!("forms without end: {page}");
}

/// The first form of a page: where it goes, and its fields with what somebody would type.
fn form(page: &str) -> Option<(String, Vec<(String, String)>)> {
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!("{name}=\""))?;
        Some(rest.split('"').next()?.replace("&amp;", "&"))
    };
    let (_, form) = page.split_once("<form")?;
    let (form, _) = form.split_once("</form>")?;
    let action = attribute(form.split('>').next()?, "action")?;
    let named = form.split("<input").skip(1).filter_map(|tag| {
        let tag = tag.split('>').next()?;
        let name = attribute(tag, "name")?;
        let typed = if name == "login" { "ada" } else { "any" };
        let value = attribute(tag, "value").filter(|it| !it.is_empty());
        Some((name, value.unwrap_or_else(|| typed.to_owned())))
    });
    let mut fields: Vec<_> = named.collect();
    if form.contains("name=\"confirm\"") && !fields.iter().any(|it| it.0 == "confirm") {
        fields.push(("confirm".to_owned(), "yes".to_owned()));
    }
    Some((action, fields))
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_logs_in_with_a_browser_and_is_known_from_then_on() {
    let server = oidc::start().await;
    let rules = format!(
        "[[issuer]]\nname = \"corp\"\nurl = \"{}\"\naudiences = [\"urn:windlass\"]\n\
         client = \"windlass-cli\"\nscopes = [\"read\"]\nresource = \"urn:windlass\"\n\
         [[grant]]\nissuer = \"corp\"\nsubjects = [\"ada\"]\nrole = \"viewer\"\n\
         namespaces = [\"*\"]\n",
        server.url()
    );
    let asking = Asking::start(&rules).await;
    let (url, home) = (asking.dev.api.base(), tempfile::tempdir().unwrap());
    let windlass = |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(binary::windlass());
        command.args(arguments).args(["--url", &url]).env("XDG_CONFIG_HOME", home.path());
        Process::spawn(command)
    };
    finish(windlass(&["list"])).await.exits(1);
    let logging = windlass(&["login"]);
    let line = logging.stderr().after("open ");
    let line = within(SOON, "where to log in", line).await.unwrap();
    browse(line.split(' ').next().unwrap()).await;
    let done = within(SOON, "the end of the login", finish(logging)).await.exits(0);
    assert!(done.stderr.contains("logged in as ada of corp"), "{done:?}");
    let who = finish(windlass(&["auth", "whoami"])).await.exits(0).json();
    assert_eq!((&who["subject"], &who["method"]), (&json!("ada"), &json!("jwt")));
    finish(windlass(&["list"])).await.exits(0);
    finish(windlass(&["logout"])).await.exits(0);
    finish(windlass(&["list"])).await.exits(1);
}
