//! What the system calls show: no reply and no dispatch leaves before the sync of its facts.

mod trace;

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::paths;
use crate::support::skip;
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, until};
use trace::{Call, Kind, Trace};

/// Marks in the data, each first known at one step of the flow: what carries it was written then.
// Records are packed, so what repeats four bytes of what stands before it cannot be searched for:
// no mark has a part of another one.
const STARTED: &str = "given-to-the-start-5521";
const COMPUTED: &str = "mark-of-the-set-7093";
const REPLIED: &str = "answered-by-stub-8817";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_before_the_sync_of_its_facts() {
    if let Err(reason) = strace_works() {
        return skip("durable", &reason, "strace");
    }
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("trace");
    let stub = Stub::http(|_| Reply::Json(200, json!({"reply": REPLIED}))).await;
    let mut dev = Dev::wrapped(&strace(&log), &[]).await;

    let endpoint = stub.url("/step");
    // The mark of the set is put together from pieces, so that it is in no text before.
    let text = format!(
        "document: {{dsl: '1.0.3', namespace: durable, name: trace, version: '1.0.0'}}\n\
         do:\n\
         - compute: {{set: {{mark: '${{ [\"mark\", \"of\", \"the\", \"set\", \"7093\"] | join(\"-\") }}'}}}}\n\
         - call: {{call: http, with: {{method: post, endpoint: '{endpoint}', body: {{x: 1}}}}}}\n"
    );
    let workflow = dev.api.deploy(&text).await;
    let id = dev.api.start(&workflow, &json!({"mark": STARTED})).await;
    let outcome = output(&dev.api, &id).await;
    assert!(outcome.contains(REPLIED), "{outcome}");
    assert_eq!(stub.count("/step"), 1);
    let port = dev.api.base().rsplit(':').next().unwrap().to_owned();
    dev.process().signal(rustix::process::Signal::TERM);
    dev.process().wait().await;

    let trace = Trace::read(&log);
    let data = dev.data().display().to_string();
    let accepted = trace.first("the 202 of the start", |it| {
        it.sends_from(&port) && it.text.contains("HTTP/1.1 202")
    });
    let request = trace.first("the request of the call", |it| {
        it.sends_to(&stub.address.port().to_string()) && it.text.contains("POST /step")
    });
    let ended = trace.first("the answer with the output", |it| {
        it.sends_from(&port) && it.text.contains(REPLIED)
    });
    for (leaving, what, mark) in [
        (accepted, "the reply of the start", STARTED),
        (request, "the request of the call, which follows the set", STARTED),
        (ended, "the answer with the output", REPLIED),
    ] {
        trace.assert_durable_before(leaving, what, mark, &data);
    }
    // The facts of the turn that dispatched the call hold what the set computed, when they hold
    // values at all; where they do, they too must be on disk before the request.
    if trace.has_write_before(request, COMPUTED, &data) {
        trace.assert_durable_before(request, "the request of the call", COMPUTED, &data);
    }
    one_sync_a_group(&trace, accepted, ended, &data);
    let syncs = trace.calls.iter().filter(|it| it.kind == Kind::Sync).count();
    println!("durable: {} calls traced, {syncs} syncs", trace.calls.len());
}

/// While a workflow runs, each group of commits is one write and one sync of the write-ahead log,
/// and the store is not touched.
fn one_sync_a_group(trace: &Trace, from: &Call, to: &Call, data: &str) {
    let kinds = |file: &str| {
        let calls = trace.between(from, to, &format!("{data}/{file}"));
        calls.iter().map(|it| it.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds("db"), [], "the store is written to while the workflow runs");
    let log = kinds("journal.wal");
    assert!(!log.is_empty(), "no group was written between the start and the end");
    // A group may be under way at either end.
    let turns = log.windows(2).all(|two| two[0] != two[1]);
    assert!(turns && !log.contains(&Kind::Range), "{log:?}");
}

/// The output of an instance, by an answer that comes when it has ended.
async fn output(api: &Api, id: &str) -> String {
    let path = format!("/v1/instances/{id}/output?wait=30s");
    until(SOON, "the output", || async {
        let answer = api.get(&path).await;
        (answer.status.as_u16() == 200).then(|| answer.body.to_string())
    })
    .await
}

fn strace(log: &Path) -> Vec<String> {
    let calls = "trace=write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,\
                 sync_file_range";
    let log = log.display().to_string();
    ["strace", "-f", "-ttt", "-yy", "-s", "65536", "-e", calls, "-e", "signal=none", "-o", &log]
        .map(str::to_owned)
        .to_vec()
}

fn strace_works() -> Result<(), String> {
    let tried = Command::new("strace")
        .args(["-o", "/dev/null", "-e", "trace=none", "true"])
        .current_dir(paths::root())
        .output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("strace fails: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("strace is not installed ({error})")),
    }
}
