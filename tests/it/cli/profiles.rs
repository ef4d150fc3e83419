//! Servers by name, headers for what is before them, and proxies that answer in their place.

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;

use super::problem;
use crate::support::binary;
use crate::support::command::{Output, finish};
use crate::support::dev::Dev;
use crate::support::leak::Needles;
use crate::support::process::Process;
use crate::support::stub::{Reply, Seen, Stub};

/// Whoever has a folder for configuration of their own.
struct Person {
    folder: tempfile::TempDir,
}

impl Person {
    fn new(profiles: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("windlass")).unwrap();
        let person = Self { folder };
        std::fs::write(person.file(), profiles).unwrap();
        person
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("windlass/profiles.toml")
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }

    async fn windlass(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut command = Command::new(binary::windlass());
        for name in ["WINDLASS_URL", "WINDLASS_PROFILE", "WINDLASS_PROFILES", "WINDLASS_TOKEN"] {
            command.env_remove(name);
        }
        command.args(arguments).env("XDG_CONFIG_HOME", self.home()).envs(variables.iter().copied());
        finish(Process::spawn(command)).await
    }
}

/// Answers as a server without instances does.
fn empty(_: &Seen) -> Reply {
    Reply::Json(200, json!({"items": []}))
}

/// What the last request showed: its token and the header of a proxy.
fn shown(stub: &Stub) -> (Option<String>, Option<String>) {
    let seen = stub.seen();
    let last = seen.last().expect("it was asked");
    let header = |name: &str| last.header(name).map(str::to_owned);
    (header("authorization"), header("x-access"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_counts_below_variables_and_the_command_line() {
    let (one, other) = (Stub::http(empty).await, Stub::http(empty).await);
    let profiles = format!(
        "# mine\n[profile.one]\nurl = \"{}\"\ntoken-file = \"one.token\"\n\
         headers = {{ X-Access = \"c4nary-of-one\" }}\n[profile.other]\nurl = \"{}\"\n",
        one.url(""),
        other.url("")
    );
    let person = Person::new(&profiles);
    std::fs::write(person.home().join("windlass/one.token"), "c4nary-token-of-one\n").unwrap();
    let all = (Some("Bearer c4nary-token-of-one".to_owned()), Some("c4nary-of-one".to_owned()));

    for arguments in [["--profile", "one", "list"], ["list", "--profile", "one"]] {
        person.windlass(&[], &arguments).await.exits(0);
        assert_eq!(shown(&one), all);
    }
    let variable = [("WINDLASS_PROFILE", "one")];
    person.windlass(&variable, &["list"]).await.exits(0);
    assert_eq!((one.count("/v1/instances"), shown(&one)), (3, all.clone()));
    // The command line before the variable, be it before the command.
    for arguments in [["--profile", "other", "list"], ["list", "--profile", "other"]] {
        person.windlass(&variable, &arguments).await.exits(0);
        assert_eq!(shown(&other), (None, None));
    }
    assert_eq!(other.count("/v1/instances"), 2);

    // Variables go before what a profile says, and the command line before them.
    let token = [("WINDLASS_PROFILE", "one"), ("WINDLASS_TOKEN", "of-the-variable")];
    person.windlass(&token, &["list"]).await.exits(0);
    assert_eq!(shown(&one).0.as_deref(), Some("Bearer of-the-variable"));
    let given = ["list", "--header", "x-access: given", "--header", "Authorization: Basic b25l"];
    person.windlass(&token, &given).await.exits(0);
    assert_eq!(shown(&one), (Some("Basic b25l".to_owned()), Some("given".to_owned())));

    // What is for one server is shown to no other.
    let elsewhere = person.windlass(&variable, &["list", "--url", &other.url("")]).await.exits(0);
    assert!(elsewhere.stderr.contains("is shown nothing of it"), "{elsewhere:?}");
    assert_eq!(shown(&other), (None, None));
    let url = other.url("");
    let both = [("WINDLASS_PROFILE", "one"), ("WINDLASS_URL", url.as_str())];
    person.windlass(&both, &["list"]).await.exits(0);
    assert_eq!(shown(&other), (None, None));

    // One is in use where none is named.
    person.windlass(&[], &["profile", "use", "one"]).await.exits(0);
    person.windlass(&[], &["list"]).await.exits(0);
    assert_eq!(shown(&one), all);
    let text = std::fs::read_to_string(person.file()).unwrap();
    assert_eq!(text, format!("default = \"one\"\n\n{profiles}"));
    let quiet = person.windlass(&[], &["list", "--url", &url]).await.exits(0);
    assert_eq!((quiet.stderr.as_str(), shown(&other)), ("", (None, None)));
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_are_shown_without_what_is_secret() {
    let person = Person::new(
        "default = \"a\"\n[profile.a]\nurl = \"http://127.0.0.1:1\"\nca-file = \"ca.pem\"\n\
         token-command = [\"pass\", \"c4nary-argument\"]\nheaders = { X-A = \"c4nary-header\" }\n\
         [profile.b]\nurl = \"https://b.example\"\n",
    );
    let list = person.windlass(&[], &["profile", "list"]).await.exits(0);
    let expected = json!([
        {"name": "a", "url": "http://127.0.0.1:1", "default": true},
        {"name": "b", "url": "https://b.example", "default": false},
    ]);
    assert_eq!(list.json()["items"], expected);
    let shown = person.windlass(&[], &["profile", "show"]).await.exits(0);
    let view = shown.json();
    assert_eq!(view["headers"], json!({"x-a": "«hidden»"}), "{view}");
    assert_eq!(view["tokenCommand"], json!(["pass", "«hidden»"]), "{view}");
    let ca = person.home().join("windlass/ca.pem").display().to_string();
    assert_eq!(view["certificateAuthority"], ca, "{view}");
    let variable = [("WINDLASS_PROFILE", "b")];
    let other = person.windlass(&variable, &["profile", "show"]).await.exits(0).json();
    assert_eq!(other, json!({"name": "b", "url": "https://b.example"}));

    let unknown = person.windlass(&[], &["--profile", "aa", "list"]).await.exits(2);
    assert!(unknown.stderr.contains("did you mean `a`?"), "{unknown:?}");
    std::fs::write(person.file(), "[profile.a]\nurl = \"http://h\"\nheader = \"c4nary-x\"\n")
        .unwrap();
    let wrong = person.windlass(&[], &["list", "--url", "http://127.0.0.1:1"]).await.exits(2);
    assert!(wrong.stderr.contains("profiles.toml:3:1: unknown field `header`"), "{wrong:?}");
    let bad = person.windlass(&[], &["list", "--header", "c4nary-without-colon"]).await.exits(2);
    for output in [list, shown, unknown, wrong, bad] {
        assert!(!format!("{output:?}").contains("c4nary"), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_comes_from_a_program() {
    let dev = Stub::http(empty).await;
    let person = Person::new(&format!(
        "[profile.a]\nurl = \"{0}\"\ntoken-command = [\"printf\", \"%s\", \"c4nary-printed\"]\n\
         [profile.fails]\nurl = \"{0}\"\n\
         token-command = [\"sh\", \"-c\", \"echo c4nary-failed; exit 3\"]\n\
         [profile.silent]\nurl = \"{0}\"\ntoken-command = [\"true\"]\n",
        dev.url("")
    ));
    person.windlass(&[], &["--profile", "a", "list"]).await.exits(0);
    assert_eq!(shown(&dev).0.as_deref(), Some("Bearer c4nary-printed"));
    for (name, words) in [("fails", "exit status: 3"), ("silent", "a token has 1 to")] {
        let refused = person.windlass(&[], &["--profile", name, "list"]).await.exits(2);
        assert!(
            refused.stderr.contains(words) && !refused.stderr.contains("c4nary"),
            "{refused:?}"
        );
    }
    assert_eq!(dev.count("/v1/instances"), 1, "nothing was sent without it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_answers_is_said_as_what_it_is() {
    let proxy = Stub::http(|seen| match seen.query.split('=').next_back().unwrap_or_default() {
        "1" => Reply::Headed(
            401,
            &[("www-authenticate", "Basic realm=\"corp gate\""), ("server", "gate/1.2\u{9}x")],
        ),
        "2" => Reply::Json(403, json!({"error": "denied"})),
        "3" => Reply::Headed(407, &[("proxy-authenticate", "Negotiate")]),
        "4" => Reply::Redirect(302, "https://login.example.com/start?state=c4nary-state".into()),
        "5" => Reply::Raw(
            403,
            "application/problem+json",
            json!({"type": "urn:x", "status": 403, "title": "Forbidden", "code": "WL0545"})
                .to_string()
                .into_bytes(),
        ),
        _ => Reply::Json(502, json!(["bad gateway"])),
    })
    .await;
    let person = Person::new("");
    let url = proxy.url("");
    let secret = "c4nary-of-a-header-Qz7";
    let header = format!("X-Access: {secret}");
    let mut all = Vec::new();
    for (limit, code, words) in [
        (
            "1",
            "WL0727",
            "status 401 Unauthorized, by gate/1.2 x, and not of Windlass: a proxy before the server asks who you are (Basic, realm corp gate)",
        ),
        ("2", "WL0727", "a proxy before the server does not let you through"),
        ("3", "WL0727", "a proxy on the way asks who you are (Negotiate)"),
        ("4", "WL0727", "wants a browser to log in there (https://login.example.com/start)"),
        ("5", "WL0545", ""),
        ("6", "WL0704", ""),
    ] {
        let arguments = ["list", "--url", &url, "--limit", limit, "--header", &header];
        let refused = person.windlass(&[], &arguments).await.exits(1);
        let document = problem(&refused);
        assert_eq!(document["code"], code, "{refused:?}");
        assert!(document["detail"].as_str().unwrap_or_default().contains(words), "{refused:?}");
        all.extend(format!("{refused:?}").into_bytes());
    }
    assert!(proxy.seen().iter().all(|it| it.header("x-access") == Some(secret)));
    let canary: Value = json!([secret, "c4nary-state"]);
    Needles::of([("header", &canary)]).absent_from("outputs", &all);
    // A credential, which any header may be, does not go where others read it.
    for command in ["list", "login"] {
        let far = [command, "--url", "http://192.0.2.1:1", "--header", "X-Access: c4nary-header"];
        let refused = person.windlass(&[], &far).await.exits(2);
        assert!(refused.stderr.contains("is plain HTTP to another machine"), "{refused:?}");
        assert!(!refused.stderr.contains("c4nary"), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_run_is_of_the_profile() {
    let dev = Dev::start().await;
    let person = Person::new(&format!("[profile.dev]\nurl = \"{}\"\n", dev.api.base()));
    let (_folder, path) = super::file(super::definition("plain", "  - a: { set: { x: 1 } }"));
    let ran = person.windlass(&[], &["--profile", "dev", "run", &path, "--remote"]).await.exits(0);
    assert_eq!(ran.json(), json!({"x": 1}));
    let list = dev.api.get("/v1/instances").await.ok();
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
}
