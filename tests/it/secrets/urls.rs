//! Secrets in URLs, which write them in ways of their own.

use serde_json::{Value, json};

use crate::support::dev::Dev;
use crate::support::leak::Needles;
use crate::support::ports;

/// What a URL makes of each part that is a secret is not what was written.
const SECRETS: [(&str, &str); 5] = [
    ("host", "Tok-QrStUvWx"),
    ("idn", "Bücher-Ämter"),
    ("path", "pa th|Übung^{9}"),
    ("user", "Us er:Pa|ss"),
    ("address", "2130706433"),
];

/// How they look then, beside what every encoder writes.
const WRITTEN: [&str; 9] = [
    "tok-qrstuvwx",
    "bücher-ämter",
    "xn--bcher-mter-q5a8j",
    "xn--bcher-mter",
    "pa%20th",
    "%C3%9Cbung",
    "%c3%9cbung",
    "us%20er",
    "Us%20er",
];

fn tasks(closed: u16) -> String {
    let task = |name: &str, endpoint: &str| {
        let call = format!(
            "{{call: http, with: {{method: get, endpoint: {}}}}}",
            json!(format!("${{ {endpoint} }}"))
        );
        format!(
            "- {name}:\n    try:\n    - call: {call}\n    catch:\n      as: error\n      do:\n      \
             - keep: {{export: {{as: '${{ ($context // {{}}) + {{{name}: $error}} }}'}}, set: {{done: true}}}}\n"
        )
    };
    let secret = |name: &str| format!("$secrets[\"{name}\"]");
    let port = format!("\":{closed}/it\"");
    [
        task("host", &format!("\"http://\" + {} + \".invalid/it\"", secret("host"))),
        task("host_refused", &format!("\"http://api.\" + {} + {port}", secret("host"))),
        task("idn", &format!("\"http://\" + {} + \".invalid/it\"", secret("idn"))),
        task("path", &format!("\"http://127.0.0.1:{closed}/a/\" + {} + \"/b\"", secret("path"))),
        task("query", &format!("\"http://127.0.0.1:{closed}/?it=\" + {}", secret("path"))),
        task("user", &format!("\"http://\" + {} + \"@127.0.0.1\" + {port}", secret("user"))),
        task("address", &format!("\"http://\" + {} + {port}", secret("address"))),
    ]
    .concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_error_tells_what_a_url_makes_of_a_secret() {
    let closed = ports::free();
    let there = format!("api.tok-qrstuvwx:{closed}:127.0.0.1:{closed}");
    let mut flags = vec!["--resolve".to_owned(), there];
    for (name, value) in SECRETS {
        flags.extend(["--secret".to_owned(), format!("{name}={value}")]);
    }
    let dev = Dev::with(&flags).await;
    let text = format!(
        "document: {{dsl: '1.0.3', namespace: secrets, name: urls, version: '1.0.0'}}\n\
         use: {{secrets: [host, idn, path, user, address]}}\n\
         do:\n{}- all: {{set: '${{ $context }}'}}\n",
        tasks(closed)
    );
    let workflow = dev.api.deploy(&text).await;
    let view = dev.api.run(&workflow, &json!({})).await;
    assert_eq!(view["status"], "completed", "{view}");
    let history = dev.api.history(view["id"].as_str().unwrap()).await;
    let all = format!("{view}\n{}\n{}", json!(history), dev.stderr());
    let written: Vec<Value> = WRITTEN.iter().map(|it| json!(it)).collect();
    let values: Vec<Value> = SECRETS.iter().map(|(_, it)| json!(it)).collect();
    let all_forms = written.iter().chain(&values).map(|it| ("it", it));
    Needles::of(all_forms).absent_from("what people see", all.as_bytes());
    // As its number is written by a URL, it is everybody's; that it was this secret is not told.
    let told = |name: &str| view["output"][name]["detail"].as_str().unwrap_or_default().to_owned();
    for name in ["host", "host_refused", "idn", "path", "query", "user", "address"] {
        assert!(told(name).starts_with("GET http"), "{name} has not failed as meant: {view}");
    }
    for name in ["host", "host_refused", "idn", "path", "address"] {
        assert!(told(name).contains("«sealed»"), "{name}: {view}");
    }
    assert!(!told("address").contains("127.0.0.1"), "{view}");
}
