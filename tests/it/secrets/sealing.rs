//! A result that contains a secret is of use to later tasks and to nobody else.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::leak::Needles;
use crate::support::paths;
use crate::support::stub::{Reply, Stub};

/// With characters that every encoding writes in another way.
const KEY: &str = "Sq7/zP+9=seal&x\"w%c4nary~>'<é";

/// What jq's `@uri` leaves as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const SHOWN: &str = "«sealed»";

/// Answers with what it is sent, in other words.
async fn echo() -> Stub {
    Stub::http(|seen| match seen.path.as_str() {
        "/echo" => {
            let sent: Value = serde_json::from_str(&seen.body).unwrap();
            let key = sent["key"].as_str().unwrap();
            let hex: String = key.bytes().map(|it| format!("{it:02X}")).collect();
            let html = key.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let html = html.replace('"', "&quot;").replace('\'', "&#x27;");
            Reply::Json(
                200,
                json!({
                    "plain": key,
                    "said": format!("you said {key}, did you not?"),
                    "quoted": json!({"again": key}).to_string(),
                    "base64": STANDARD.encode(format!("me:{key}")),
                    "url": URL_SAFE_NO_PAD.encode(format!("user:{key}!")),
                    "percent": utf8_percent_encode(key, NON_ALPHANUMERIC).to_string(),
                    "hex": hex,
                    "html": html,
                    key: true,
                    "count": 7,
                }),
            )
        }
        "/use" => Reply::Json(200, json!({"accepted": true})),
        _ => Reply::Text(404, "nothing here".into()),
    })
    .await
}

fn parent(stub: &Stub) -> String {
    format!(
        r#"
document: {{dsl: '1.0.3', namespace: seal, name: parent, version: '1.0.0'}}
use: {{secrets: [api-key]}}
do:
- login:
    set: {{token: 'Bearer ${{ $secrets["api-key"] }}', user: ada}}
    export: {{as: '{{token: .token}}'}}
- echo:
    call: http
    with: {{method: post, endpoint: '{echo}', body: {{key: '${{ $secrets["api-key"] }}'}}}}
    export: {{as: '$context + {{echo: .}}'}}
- decide:
    switch:
    - bearer: {{when: '$context.token | startswith("Bearer ")', then: child}}
    - other: {{then: end}}
- child:
    run: {{workflow: {{namespace: seal, name: child, version: '1.0.0', input: {{token: '${{ $context.token }}', cut: '${{ $context.token[7:] }}'}}}}}}
    export: {{as: '$context + {{child: .}}'}}
- tell:
    emit: {{event: {{with: {{type: com.example.sealed, data: {{token: '${{ $context.token }}', n: 1}}}}}}}}
- use:
    call: http
    with:
      method: post
      endpoint: '{using}'
      headers: {{Authorization: '${{ $context.token | @uri }}', X-Cut: '${{ $context.child.cut | @base64 }}', X-Quoted: '${{ $context.echo.quoted | fromjson | .again | @base64 }}'}}
      body: '${{ $context.child.stripped }}'
- end: {{set: {{token: '${{ $context.token }}', echo: '${{ $context.echo }}', child: '${{ $context.child }}', count: '${{ $context.echo.count }}'}}}}
"#,
        echo = stub.url("/echo"),
        using = stub.url("/use"),
    )
}

const CHILD: &str = "
document: {dsl: '1.0.3', namespace: seal, name: child, version: '1.0.0'}
do:
- strip: {set: {stripped: '${ .token | ltrimstr(\"Bearer \") }', whole: '${ .token }', cut: '${ .cut }'}}
";

fn listener(stub: &Stub) -> String {
    format!(
        r"
document: {{dsl: '1.0.3', namespace: seal, name: listener, version: '1.0.0'}}
do:
- hear: {{listen: {{to: {{one: {{with: {{type: com.example.sealed, data: {{n: 1}}}}}}}}}}}}
- use: {{call: http, with: {{method: post, endpoint: '{}', headers: {{X-Heard: '${{ .[0].token | @base64 }}'}}, body: heard}}, output: {{as: $input}}}}
",
        stub.url("/use"),
    )
}

fn flags() -> Vec<String> {
    vec!["--secret".to_owned(), format!("api-key={KEY}")]
}

/// Asserts that no form of the secret is in `bytes`.
fn clean(place: &str, bytes: &[u8]) {
    Needles::of([("the secret", &json!(KEY))]).absent_from(place, bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_values_flow_to_where_they_are_opened_and_show_nothing_on_the_way() {
    let stub = echo().await;
    let mut dev = Dev::with(&flags()).await;
    dev.api.deploy(CHILD).await;
    let listener = dev.api.deploy(&listener(&stub)).await;
    let parent = dev.api.deploy(&parent(&stub)).await;
    let listening = dev.api.start(&listener, &json!({})).await;
    dev.api.reaches(&listening, "waiting").await;
    let outcome = dev.api.run(&parent, &json!({})).await;
    assert_eq!(outcome["status"], "completed", "{outcome}");
    let output = &outcome["output"];
    assert_eq!(output["token"], SHOWN);
    assert_eq!(output["child"], json!({"stripped": SHOWN, "whole": SHOWN, "cut": SHOWN}));
    assert_eq!(output["count"], 7, "what is no secret is as it was");
    let echoed = output["echo"].as_object().unwrap();
    for (name, value) in echoed.iter().filter(|(name, _)| *name != "count") {
        assert!(value == SHOWN || (name == SHOWN && *value == true), "{name}: {value}");
    }
    let heard = dev.api.ends(&listening).await;
    assert_eq!(heard["output"], json!([{"n": 1, "token": SHOWN}]));

    // Where they are used, they are what they were.
    let used: Vec<_> = stub.seen().into_iter().filter(|it| it.path == "/use").collect();
    let own = used.iter().find(|it| it.header("x-heard").is_none()).expect("the parent's call");
    let token = format!("Bearer {KEY}");
    let encoded = utf8_percent_encode(&token, UNRESERVED).to_string();
    assert_eq!(own.header("authorization"), Some(encoded.as_str()));
    assert_eq!(own.header("x-quoted"), Some(STANDARD.encode(KEY).as_str()));
    assert_eq!(own.header("x-cut"), Some(STANDARD.encode(KEY).as_str()));
    assert_eq!(own.body, KEY);
    let others = used.iter().find_map(|it| it.header("x-heard")).expect("the listener's call");
    assert_eq!(others, STANDARD.encode(&token));

    let mut told = outcome.to_string();
    let id = outcome["id"].as_str().unwrap();
    for id in [id, &listening] {
        told.push_str(&dev.api.show(id).await.to_string());
        told.push_str(&format!("{:?}", dev.api.history(id).await));
        let url = dev.api.base();
        for command in ["show", "history"] {
            let shown = windlass(&[command, id, "--url", &url]).await.exits(0);
            assert!(shown.stdout.contains(SHOWN) || command == "history", "{}", shown.stdout);
            told.push_str(&shown.stdout);
        }
    }
    clean("what the interfaces tell", told.as_bytes());
    dev.kill().await;
    clean("the log", dev.stderr().as_bytes());
    for file in paths::files(dev.data()) {
        clean(&file.display().to_string(), &std::fs::read(&file).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_prints_what_is_sealed_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seal.yaml");
    let text = "document: {dsl: '1.0.3', namespace: seal, name: run, version: '1.0.0'}\n\
                use: {secrets: [api-key]}\n\
                do:\n\
                - a: {set: {token: 'Bearer ${ $secrets[\"api-key\"] }'}}\n\
                - b: {set: {token: '${ .token }', length: '${ .token | length }'}}\n";
    std::fs::write(&file, text).unwrap();
    let mut arguments = vec!["run".to_owned(), file.display().to_string()];
    arguments.extend(flags());
    let output = windlass(&arguments).await.exits(0);
    let length = "Bearer ".len() + KEY.chars().count();
    assert_eq!(output.json(), json!({"token": SHOWN, "length": length}));
    clean("the outputs of windlass run", format!("{}{}", output.stdout, output.stderr).as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_whose_key_is_gone_is_a_clear_error_and_can_still_be_moved() {
    let mut dev = Dev::with(&flags()).await;
    let text = "document: {dsl: '1.0.3', namespace: seal, name: later, version: '1.0.0'}\n\
                use: {secrets: [api-key]}\n\
                do:\n\
                - a: {set: {token: 'Bearer ${ $secrets[\"api-key\"] }'}, export: {as: .}}\n\
                - wait: {listen: {to: {one: {with: {type: go}}}}}\n\
                - open: {try: [{length: {set: {n: '${ $context.token | length }'}}}], \
                catch: {as: e, do: [{tell: {set: {error: '${ $e }', token: '${ $context.token }'}}}]}}\n";
    let workflow = dev.api.deploy(text).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    dev.api.reaches(&id, "waiting").await;
    // Without a key file, the key ends with the process.
    dev.restart().await;
    let event = json!({"specversion": "1.0", "id": "1", "source": "/t", "type": "go"});
    assert_eq!(dev.api.event(&event).await["consumed"], 1);
    let output = dev.api.ends(&id).await["output"].clone();
    assert_eq!(output["token"], SHOWN, "{output}");
    assert_eq!(output["error"]["status"], 400, "{output}");
    let detail = output["error"]["detail"].as_str().unwrap();
    assert!(detail.contains("key file"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_outside_can_hand_in_a_sealed_value() {
    let dev = Dev::with(&flags()).await;
    let text = "document: {dsl: '1.0.3', namespace: seal, name: plain, version: '1.0.0'}\n\
                do: [{a: {set: {length: '${ .token | length }'}}}]\n";
    let workflow = dev.api.deploy(text).await;
    let outcome = dev.api.run(&workflow, &json!({"token": SHOWN})).await;
    assert_eq!(
        outcome["output"],
        json!({"length": SHOWN.chars().count()}),
        "a text like any other"
    );
}
