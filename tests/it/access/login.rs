//! Logging in from the command line at oidc-provider: by a browser of this machine and of any, and
//! what is kept of it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Command;

use super::Asking;
use crate::servers::{CHROMIUM, Server, Unpacked, oidc};
use crate::support::client::Api;
use crate::support::command::{Output, finish};
use crate::support::leak::Needles;
use crate::support::process::Process;
use crate::support::until::{SOON, within};
use crate::support::{binary, paths, tools};

/// A server that trusts a provider, and somebody with a folder for configuration.
struct Login {
    provider: Server,
    asking: Asking,
    home: tempfile::TempDir,
}

impl Login {
    async fn new(scopes: &str) -> Self {
        let provider = oidc::start().await;
        let rules = format!(
            "[[issuer]]\nname = \"corp\"\nurl = \"{}\"\naudiences = [\"urn:windlass\"]\n\
             client = \"windlass-cli\"\nscopes = {scopes}\nresource = \"urn:windlass\"\n\
             [[grant]]\nissuer = \"corp\"\nsubjects = [\"ada\"]\nrole = \"viewer\"\n\
             namespaces = [\"*\"]\n",
            provider.url()
        );
        let asking = Asking::start(&rules).await;
        Self { provider, asking, home: tempfile::tempdir().unwrap() }
    }

    fn windlass(&self, arguments: &[&str]) -> Process {
        let mut command = Command::new(binary::windlass());
        command.args(arguments).args(["--url", &self.asking.dev.api.base()]);
        for name in ["DISPLAY", "WAYLAND_DISPLAY", "WINDLASS_TOKEN"] {
            command.env_remove(name);
        }
        command.env("XDG_CONFIG_HOME", self.home.path());
        Process::spawn(command)
    }

    /// Where it keeps the token, once somebody is logged in.
    fn kept(&self) -> PathBuf {
        let folder = self.home.path().join("windlass/tokens");
        let files = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
        files.into_iter().find(|it| it.extension().is_none_or(|it| it != "lock")).unwrap()
    }

    fn read(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.kept()).unwrap()).unwrap()
    }

    /// Starts a login; gives it, and the page that it says.
    async fn begin(&self, by: &[&str]) -> (Process, String) {
        let logging = self.windlass(&[&["login"], by].concat());
        let line = within(SOON, "where to log in", logging.stderr().after("open ")).await;
        let page = line.unwrap().split(' ').next().unwrap().to_owned();
        (logging, page)
    }

    /// Questions for tokens that the provider was asked.
    async fn asked(&self) -> u64 {
        Api::new(&self.provider.url()).get("/asked").await.body.as_u64().unwrap()
    }

    async fn is_ada(&self) {
        let who = finish(self.windlass(&["auth", "whoami"])).await.exits(0).json();
        assert_eq!((&who["subject"], &who["method"]), (&json!("ada"), &json!("jwt")));
    }
}

/// The end of a login.
async fn logged_in(logging: Process) -> Output {
    let done = within(SOON, "the end of the login", finish(logging)).await.exits(0);
    assert!(done.stderr.contains("logged in as ada of corp"), "{done:?}");
    done
}

/// Goes through the pages of a provider as somebody with a browser does: fills in every form. Gives
/// the last page.
async fn browse(address: &str) -> String {
    let builder = reqwest::Client::builder().cookie_store(true).no_proxy().timeout(SOON);
    let browser = builder.build().unwrap();
    let mut page = browser.get(address).send().await.unwrap().text().await.unwrap();
    for _ in 0..8 {
        let Some((action, fields)) = form(&page) else { return page };
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
    let login = Login::new("[\"read\"]").await;
    finish(login.windlass(&["list"])).await.exits(1);
    // There is neither a terminal nor a display.
    let (logging, page) = login.begin(&[]).await;
    browse(&page).await;
    logged_in(logging).await;
    login.is_ada().await;
    finish(login.windlass(&["list"])).await.exits(0);
    finish(login.windlass(&["logout"])).await.exits(0);
    finish(login.windlass(&["list"])).await.exits(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_of_this_machine_brings_a_code_which_is_renewed_and_revoked() {
    let login = Login::new("[\"openid\", \"offline_access\", \"read\"]").await;
    let (logging, page) = login.begin(&["--browser"]).await;
    let asked = reqwest::Url::parse(&page).unwrap();
    let query = |name: &str| asked.query_pairs().find(|it| it.0 == name).unwrap().1.into_owned();
    assert_eq!(query("code_challenge_method"), "S256");
    // Whoever comes along with something else ends nothing.
    let back = query("redirect_uri");
    let client = reqwest::Client::builder().no_proxy().timeout(SOON).build().unwrap();
    for (more, status) in [("?code=x&state=y", 400), ("?code=x", 400), ("/other", 404)] {
        let got = client.get(format!("{back}{more}")).send().await.unwrap();
        assert_eq!(got.status(), status, "{more}");
    }
    let idle = tokio::net::TcpStream::connect(
        back.trim_start_matches("http://").split('/').next().unwrap(),
    );
    let _idle = idle.await.unwrap();
    assert!(browse(&page).await.contains("You are logged in"));
    let done = logged_in(logging).await;
    assert!(done.stderr.contains("renewed then"), "{done:?}");
    assert!(client.get(&back).send().await.is_err(), "nobody listens there any more");
    login.is_ada().await;
    let first = login.read();
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(login.kept()).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);

    // It is about to end, and several commands are in need of another.
    let mut due = first.clone();
    due["expiresAt"] = (due["issuedAt"].as_u64().unwrap() + 1).into();
    std::fs::write(login.kept(), due.to_string()).unwrap();
    let before = login.asked().await;
    let all: Vec<_> = (0..4).map(|_| login.windlass(&["auth", "whoami"])).collect();
    for one in all {
        finish(one).await.exits(0);
    }
    assert_eq!(login.asked().await, before + 1, "one of them renewed it");
    let second = login.read();
    assert!(second["token"] != first["token"] && second["refresh"] != first["refresh"]);

    let out = finish(login.windlass(&["logout"])).await.exits(0);
    finish(login.windlass(&["list"])).await.exits(1);
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "windlass-cli"),
        ("refresh_token", second["refresh"]["refreshToken"].as_str().unwrap()),
    ];
    let provider = Api::new(&login.provider.url());
    let request = provider.request(reqwest::Method::POST, "/token").form(&form);
    let refused = Api::send(request).await.unwrap();
    assert_eq!(refused.body["error"], "invalid_grant", "it was revoked: {refused:?}");

    let canaries = json!([
        [first["token"], first["refresh"]["refreshToken"]],
        [second["token"], second["refresh"]["refreshToken"]],
    ]);
    let needles = Needles::of([("login", &canaries)]);
    needles.absent_from("outputs", format!("{done:?}{out:?}").as_bytes());
    let dev = &login.asking.dev;
    needles.absent_from("the server's log", dev.stderr().as_bytes());
    everything(dev.data(), &mut |path, bytes| {
        needles.absent_from(&path.display().to_string(), bytes);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_refused_or_cannot_be_renewed_says_so() {
    let login = Login::new("[\"openid\", \"offline_access\", \"read\"]").await;
    let (logging, page) = login.begin(&["--browser"]).await;
    let asked = reqwest::Url::parse(&page).unwrap();
    let query = |name: &str| asked.query_pairs().find(|it| it.0 == name).unwrap().1.into_owned();
    let answer = reqwest::Url::parse_with_params(
        &query("redirect_uri"),
        [("error", "access_denied"), ("state", &query("state")), ("iss", &login.provider.url())],
    );
    let client = reqwest::Client::builder().no_proxy().timeout(SOON).build().unwrap();
    let page = client.get(answer.unwrap()).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Nobody was logged in"), "{page}");
    let done = within(SOON, "the end of the login", finish(logging)).await.exits(1);
    assert!(done.stderr.contains("WL0719") && done.stderr.contains("access_denied"), "{done:?}");
    assert!(!login.home.path().join("windlass/tokens").exists(), "nothing is kept");

    // One that has ended, with a refresh token that nobody knows.
    let server = reqwest::Url::parse(&login.asking.dev.api.base()).unwrap();
    let folder = login.home.path().join("windlass/tokens");
    std::fs::create_dir_all(&folder).unwrap();
    let place = folder.join(format!("http_127.0.0.1_{}", server.port().unwrap()));
    let kept = json!({
        "token": "a.b.c", "issuedAt": 1, "expiresAt": 2,
        "refresh": {"refreshToken": "c4nary-unknown", "client": "windlass-cli",
            "tokenEndpoint": format!("{}/token", login.provider.url())},
    });
    std::fs::write(&place, kept.to_string()).unwrap();
    let ended = finish(login.windlass(&["list"])).await.exits(1);
    assert!(ended.stderr.contains("windlass login"), "{ended:?}");
    assert!(!ended.stderr.contains("c4nary"), "{ended:?}");
}

/// Each file below a folder.
fn everything(folder: &Path, visit: &mut impl FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => everything(&path, visit),
            // One that has gone meanwhile holds nothing.
            false => visit(&path, &std::fs::read(&path).unwrap_or_default()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_logs_in_by_the_code_flow() {
    let name = "chromium_logs_in_by_the_code_flow";
    let Some(chromium) = Unpacked::chromium(name).await else { return };
    let source = paths::root().join("tests/it/access/browser");
    let packages = tools::node_modules(&source).await.join("node_modules");
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&packages, folder.path().join("node_modules")).unwrap();
    std::fs::copy(source.join("login.mjs"), folder.path().join("login.mjs")).unwrap();

    let login = Login::new("[\"openid\", \"offline_access\", \"read\"]").await;
    let (logging, page) = login.begin(&["--browser"]).await;
    let mut command = Command::new("node");
    command.arg(folder.path().join("login.mjs")).arg(&page);
    command.arg(chromium.at(CHROMIUM)).arg(chromium.libraries());
    command.env("HOME", folder.path());
    let browsed = within(5 * SOON, "the browser", finish(Process::spawn(command))).await.exits(0);
    assert!(browsed.stdout.contains("You are logged in"), "{browsed:?}");
    logged_in(logging).await;
    login.is_ada().await;
}
