//! The three workflows the project grew from, as they stand, against stub hosts; and a search for
//! secret values everywhere they must not be.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::stub::{Reply, Stub};
use crate::support::{paths, skip};

const HOSTS: [&str; 2] = ["api.example.com", "auth.example.com"];
/// Secret values: with characters that every encoding writes in another way.
const API_KEY: &str = "Kq7/zP+9=api&x\"w%c4nary~>";
const CLIENT_SECRET: &str = "Vv3/tR+1=oauth&y\"k%c4nary~<";
const TOKEN: &str = "eyTok3n-c4nary-5f2e8d71b0";

/// The page's hosts: answers only to the right credentials.
async fn serve() -> Stub {
    Stub::https(&HOSTS, |seen| {
        let authorization = seen.header("authorization").unwrap_or("");
        match (seen.host.as_str(), seen.method.as_str(), seen.path.as_str()) {
            ("auth.example.com", "POST", "/oauth2/token") => Reply::Json(
                200,
                json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}),
            ),
            ("api.example.com", "GET", "/customers")
                if authorization == format!("Bearer {TOKEN}") =>
            {
                Reply::Json(200, json!([{"customer": "Ada"}]))
            }
            ("api.example.com", "POST", "/data") | ("api.example.com", "GET", "/protected")
                if authorization == format!("Bearer {API_KEY}") =>
            {
                Reply::Json(200, json!({"accepted": true}))
            }
            _ => Reply::Text(401, "wrong credentials".into()),
        }
    })
    .await
}

/// A definition to run: its label and its text.
struct Case {
    file: std::path::PathBuf,
}

impl Case {
    fn text(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap()
    }
}

/// The page's own file where the reference material is there, and ours, which says the same.
fn cases(test: &str, seed: &str, example: &str) -> Vec<Case> {
    let mut cases = vec![Case { file: paths::example(example) }];
    match paths::shared(&format!("seed/{seed}")) {
        Some(file) => cases.push(Case { file }),
        None => skip(test, "the page's own file is not here; only examples/ is run", "seed"),
    }
    cases
}

fn secret_flags() -> Vec<String> {
    [("api-key-secret", API_KEY), ("oauth-client-secret", CLIENT_SECRET)]
        .iter()
        .flat_map(|(name, value)| ["--secret".to_owned(), format!("{name}={value}")])
        .collect()
}

/// Runs a file with `windlass run`; gives its output.
async fn run(case: &Case, stub: &Stub, secrets: bool) -> Value {
    let mut arguments = vec!["run".to_owned(), case.file.display().to_string()];
    arguments.extend(stub.flags(&HOSTS));
    if secrets {
        arguments.extend(secret_flags());
    }
    let output = windlass(&arguments).await.exits(0);
    clean("the outputs of windlass run", format!("{}{}", output.stdout, output.stderr).as_bytes());
    output.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_carries_the_secret() {
    for case in cases("seed 1", "01-header-from-secret.yaml", "secret-header.yaml") {
        let stub = serve().await;
        assert_eq!(run(&case, &stub, true).await, json!({"accepted": true}));
        let seen = stub.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(seen[0].header("authorization"), Some(format!("Bearer {API_KEY}").as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_request_carries_the_client_secret() {
    for case in cases("seed 2", "02-oauth2-client-secret.yaml", "secret-oauth2.yaml") {
        let stub = serve().await;
        assert_eq!(run(&case, &stub, true).await, json!([{"customer": "Ada"}]));
        let seen = stub.seen();
        let asked = seen.iter().find(|it| it.host == "auth.example.com").expect("a token request");
        let form = |name: &str| {
            let prefix = format!("{name}=");
            let field = asked.body.split('&').find_map(|it| it.strip_prefix(&prefix))?;
            let field = field.replace('+', " ");
            let decoded = percent_encoding::percent_decode_str(&field).decode_utf8().unwrap();
            Some(decoded.into_owned())
        };
        assert_eq!(form("grant_type").as_deref(), Some("client_credentials"));
        // The secret travels in the form or, percent-encoded, in an Authorization header.
        let basic = asked.header("authorization").and_then(|it| it.strip_prefix("Basic "));
        let secret = match basic {
            None => form("client_secret").expect("a client secret in the form"),
            Some(encoded) => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
                let text = String::from_utf8(bytes).unwrap();
                let (_, secret) = text.split_once(':').unwrap();
                percent_encoding::percent_decode_str(secret).decode_utf8().unwrap().into_owned()
            }
        };
        assert_eq!(secret, CLIENT_SECRET);
        assert_eq!(seen.last().unwrap().path, "/customers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_caught() {
    for case in cases("seed 3", "03-missing-secret-caught.yaml", "secret-missing.yaml") {
        let stub = serve().await;
        let dev = Dev::with(&stub.flags(&HOSTS)).await;
        let workflow = dev.api.deploy(&case.text()).await;
        let outcome = dev.api.run(&workflow, &json!({})).await;
        assert_eq!(outcome["status"], "completed", "{outcome}");
        assert!(stub.seen().is_empty(), "nothing may be sent without the secret");
        let history = dev.api.history(outcome["id"].as_str().unwrap()).await;
        let log = |it: &&Value| it["name"].as_str().is_some_and(|it| it.starts_with("log"));
        let handled = history.iter().filter(|it| it["event"] == "task.completed").find(log);
        assert!(handled.is_some(), "the handler did not run: {history:?}");

        let stub = serve().await;
        run(&case, &stub, true).await;
        assert_eq!(stub.count("/protected"), 1, "with the secret the call is made");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_declared_is_refused() {
    let stub = serve().await;
    let mut flags = stub.flags(&HOSTS);
    flags.extend(secret_flags());
    let dev = Dev::with(&flags).await;
    let text = "document: {dsl: '1.0.3', namespace: seed, name: undeclared, version: '1.0.0'}\n\
                use: {secrets: [api-key-secret]}\n\
                do: [{a: {try: [{b: {set: {x: '${ $secrets[\"oauth-client-secret\"] | length }'}}}],\n\
                \x20 catch: {as: e, do: [{c: {set: {status: '${ $e.status }'}}}]}}}]\n";
    let answer = dev.api.deploy_text(text).await;
    // Refusing at load is as good as an authorization error at the task.
    if answer.status.is_success() {
        let outcome = dev.api.run(&crate::support::client::workflow(text), &json!({})).await;
        assert_eq!(outcome["output"], json!({"status": 403}), "{outcome}");
    } else {
        answer.problem(400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_value_leaves_the_worker() {
    let stub = serve().await;
    let mut flags = stub.flags(&HOSTS);
    flags.extend(secret_flags());
    let mut dev = Dev::with(&flags).await;
    let mut answers = String::new();
    for (seed, example) in [
        ("01-header-from-secret.yaml", "secret-header.yaml"),
        ("02-oauth2-client-secret.yaml", "secret-oauth2.yaml"),
        ("03-missing-secret-caught.yaml", "secret-missing.yaml"),
    ] {
        for case in cases("canary", seed, example) {
            let workflow = dev.api.deploy(&case.text()).await;
            answers.push_str(&everything(&dev, &workflow).await);
        }
    }
    for text in LEAKS {
        let workflow = dev.api.deploy(text).await;
        answers.push_str(&everything(&dev, &workflow).await);
    }
    for path in ["/v1/instances", "/v1/workflows", "/metrics", "/openapi.json"] {
        answers.push_str(&dev.api.get(path).await.body.to_string());
    }
    dev.restart().await;
    dev.kill().await;
    clean("answers of the API", answers.as_bytes());
    clean("logs", dev.stderr().as_bytes());
    for file in paths::files(dev.data()) {
        clean(&file.display().to_string(), &std::fs::read(&file).unwrap());
    }
}

/// Workflows that try to get a secret out: by an output, an error, a URL, a log.
const LEAKS: [&str; 4] = [
    "document: {dsl: '1.0.3', namespace: leak, name: output, version: '1.0.0'}\n\
     use: {secrets: [api-key-secret]}\n\
     do: [{a: {set: {x: '${ $secrets[\"api-key-secret\"] }', y: '${ $secrets[\"api-key-secret\"] | @base64 }'}}}]\n",
    "document: {dsl: '1.0.3', namespace: leak, name: error, version: '1.0.0'}\n\
     use: {secrets: [api-key-secret]}\n\
     do: [{a: {set: {x: '${ $secrets[\"api-key-secret\"] | error }'}}}]\n",
    "document: {dsl: '1.0.3', namespace: leak, name: url, version: '1.0.0'}\n\
     use: {secrets: [api-key-secret]}\n\
     do: [{a: {call: http, with: {method: get, output: response, endpoint: '${ \"https://api.example.com/nowhere?key=\" + ($secrets[\"api-key-secret\"] | @uri) }'}}}]\n",
    "document: {dsl: '1.0.3', namespace: leak, name: log, version: '1.0.0'}\n\
     use: {secrets: [api-key-secret]}\n\
     do: [{a: {call: log, with: {message: 'the key is ${ $secrets[\"api-key-secret\"] }'}}}]\n",
];

/// Runs a workflow and collects all the API tells of it.
async fn everything(dev: &Dev, workflow: &Value) -> String {
    let outcome = dev.api.run(workflow, &json!({})).await;
    let id = outcome["id"].as_str().unwrap();
    let view = dev.api.show(id).await;
    let history = dev.api.history(id).await;
    let output = dev.api.get(&format!("/v1/instances/{id}/output")).await.body;
    format!("{outcome}\n{view}\n{history:?}\n{output}\n")
}

/// Asserts that no secret is in `bytes`, as it is or in a usual encoding.
fn clean(place: &str, bytes: &[u8]) {
    for (name, value) in [("API_KEY", API_KEY), ("CLIENT_SECRET", CLIENT_SECRET), ("TOKEN", TOKEN)]
    {
        for (encoding, needle) in encodings(value) {
            let found = bytes.windows(needle.len()).any(|it| it == needle.as_bytes());
            assert!(!found, "{place} holds {name} ({encoding})");
        }
    }
}

/// A value in the forms in which it may lie somewhere.
pub(crate) fn encodings(value: &str) -> Vec<(&'static str, String)> {
    let hex: String = value.bytes().map(|it| format!("{it:02x}")).collect();
    let json = json!(value).to_string();
    let mut all = vec![
        ("raw", value.to_owned()),
        ("hex", hex.clone()),
        ("HEX", hex.to_uppercase()),
        ("percent", utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()),
        ("json", json[1..json.len() - 1].to_owned()),
    ];
    // Inside a longer text, base64 depends on where the value starts: three alignments, without
    // the characters at the edges that neighbours share.
    for skip in 0..3 {
        let padded = format!("{}{value}", "-".repeat(skip));
        let whole = padded.len() / 3 * 4;
        let from = [0, 4, 4][skip];
        for (name, engine) in [("base64", &STANDARD_NO_PAD), ("base64url", &URL_SAFE_NO_PAD)] {
            all.push((name, engine.encode(&padded)[from..whole].to_owned()));
        }
    }
    all
}

#[test]
fn the_search_finds_a_secret_in_every_encoding() {
    for text in [
        API_KEY.to_owned(),
        format!("Bearer {API_KEY}!"),
        STANDARD_NO_PAD.encode(format!("user:{API_KEY}")),
        STANDARD_NO_PAD.encode(format!("usera:{API_KEY}")),
        URL_SAFE_NO_PAD.encode(format!("userab:{API_KEY}{API_KEY}")),
        json!({"a": API_KEY}).to_string(),
    ] {
        let found = encodings(API_KEY).iter().any(|(_, needle)| text.contains(needle.as_str()));
        assert!(found, "{text}");
    }
    clean("an innocent text", b"nothing to see");
}
