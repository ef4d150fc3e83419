//! Tokens are nowhere but with who holds them: not in what a server writes, keeps, answers or tells
//! a collector, and not in what processes show to others.

use serde_json::json;
use tokio::process::Command;

use super::{Asking, greet};
use crate::support::binary;
use crate::support::leak::Needles;
use crate::support::otlp::Receiver;
use crate::support::process::Process;
use crate::support::until::{SOON, until, within};

/// One that is signed by nobody.
const UNSIGNED: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnktaW4tYS1qd3QifQ.Y2FuYXJ5LXNpZ25lZA";

/// What everybody of the same user may read of a process.
fn shown(id: i32) -> Vec<(String, Vec<u8>)> {
    let read = |what| {
        let path = format!("/proc/{id}/{what}");
        let bytes = std::fs::read(&path).unwrap_or_default();
        (path, bytes)
    };
    ["cmdline", "environ", "comm"].map(read).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_nowhere_but_with_who_holds_them() {
    let receiver = Receiver::start().await;
    let flags = ["--log", "trace", "--otlp-endpoint", &receiver.url()].map(str::to_owned);
    let mut asking = Asking::with("", &flags).await;
    asking.root.deploy(&greet("shop")).await;
    let token = asking.token("viewer", "shop").await;
    let unknown = windlass_coordinator::access::generate().unwrap().expose().clone();
    let needles = [&*asking.admin, &*token, &*unknown, UNSIGNED].map(|it| json!(it));
    let names = ["the administrator's", "the viewer's", "an unknown one", "an unsigned one"];
    let needles = Needles::of(names.into_iter().zip(&needles));
    assert!(!needles.found_in(token.as_bytes()).is_empty(), "the search finds what is there");

    // Let in, not known, and not allowed.
    let viewer = asking.dev.api.bearing(&token);
    let mut answers = vec![viewer.get("/v1/workflows").await.ok()];
    answers.push(viewer.get("/v1/audit").await.problem(403));
    for wrong in [&*unknown, UNSIGNED] {
        answers.push(asking.dev.api.bearing(wrong).get("/v1/workflows").await.problem(401));
    }
    answers.push(asking.root.get("/v1/tokens").await.ok());
    answers.push(viewer.get("/v1/auth/whoami").await.body);

    // A command that lasts.
    let mut command = Command::new(binary::windlass());
    command.args(["audit", "tail", "--url", &asking.dev.api.base()]);
    command.env("WINDLASS_TOKEN", &asking.admin).env("WINDLASS_LOG", "trace");
    let tail = Process::spawn(command);
    let line = tail.stdout().find(|it| it.contains("token.created").then(|| it.to_owned()));
    assert!(within(SOON, "an entry", line).await.is_some(), "{}", tail.stderr().text());
    answers.push(asking.root.get("/v1/audit?limit=1000").await.ok());
    until(SOON, "what the collector gets", || async {
        let told = receiver.records().iter().any(|it| it.event == "windlass.access.failed");
        told.then_some(())
    })
    .await;

    let mut places: Vec<(String, Vec<u8>)> = vec![
        ("the log".into(), asking.dev.stderr().into_bytes()),
        ("what the server prints".into(), asking.dev.stdout().into_bytes()),
        ("what the collector got".into(), receiver.bytes()),
        ("what the command prints".into(), tail.stdout().text().into_bytes()),
        ("what the command logs".into(), tail.stderr().text().into_bytes()),
    ];
    places.extend(answers.iter().map(|it| ("an answer".to_owned(), it.to_string().into_bytes())));
    places.extend(shown(tail.id()));
    places.extend(shown(asking.dev.process().id()));
    for entry in std::fs::read_dir(asking.dev.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    for (place, bytes) in &places {
        needles.absent_from(place, bytes);
    }
    assert!(places.iter().any(|(place, _)| place.ends_with("tokens.json")), "all files");
}
