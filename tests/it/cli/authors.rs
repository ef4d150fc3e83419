//! `windlass test`, `windlass run --mock`: what authors of workflows see, and their exit codes.

use serde_json::json;

use super::{definition, problem};
use crate::support::command::windlass_in;
use crate::support::paths;

/// A secret that only tests of this file know.
const CANARY: &str = "canary-of-authors-0123456789";

/// A workflow that waits, calls, tries again and branches.
const TASKS: &str = "  - rest: { wait: P3D }
  - ask:
      try:
        - call:
            call: http
            with:
              method: post
              endpoint: https://pay.example.com/charges
              headers: { X-Key: '${ $secrets.key }' }
              body: { amount: '${ .amount }' }
      catch:
        errors: { with: { status: 503 } }
        retry: { delay: PT1H, limit: { attempt: { count: 2 } } }
  - size:
      switch:
        - large: { when: .id > 100, then: end }
        - small: { then: end }";

/// Its tests: one that passes, one that does not.
const TESTS: &str = "workflow: pay.yaml
secrets: { key: canary-of-authors-0123456789 }
mocks:
  - task: call
    answers: [ { status: 503 }, { compute: '{ id: .body.amount, said: .headers[\"x-key\"] }' } ]
cases:
  - name: pays
    input: { amount: 7 }
    expect:
      output: { id: 7, said: «sealed» }
      calls: [ { http: POST https://pay.example.com/*, times: 2, sent: '.headers[\"x-key\"] != null' } ]
      duration: P3DT1H
      history: pays.history
  - name: pays too much
    input: { amount: 8 }
    expect: { check: .id == 9 }
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = definition("pay", TASKS).replace("do:\n", "use: { secrets: [ key ] }\ndo:\n");
    std::fs::write(folder.path().join("pay.yaml"), text).unwrap();
    std::fs::write(folder.path().join("pay.test.yaml"), TESTS).unwrap();
    folder
}

#[tokio::test]
async fn cases_pass_or_fail_and_the_exit_code_says_so() {
    let folder = folder();
    let run = async |words: &[&str]| windlass_in(folder.path(), words).await;
    // A history that is not there yet is a failure; --update writes it.
    let output = run(&["test", "pay.test.yaml", "--filter", "pays"]).await.exits(1);
    assert!(output.stderr.contains("there is no history in pays.history"), "{output:?}");
    let last: serde_json::Value =
        serde_json::from_str(output.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(last["code"], "WL0740");
    run(&["test", "pay.test.yaml", "--update"]).await.exits(1);
    let history = std::fs::read_to_string(folder.path().join("pays.history")).unwrap();
    assert!(history.contains("+P3DT1H") && history.contains("task.retried"), "{history}");
    assert!(!history.contains(CANARY), "{history}");
    // Twice the same, byte for byte.
    let first = run(&["test", "."]).await.exits(1);
    let second = run(&["test", "."]).await.exits(1);
    assert_eq!(first.stderr, second.stderr);
    for said in [
        "  ok   pays (P3DT1H)",
        "  FAIL pays too much (P3DT1H)",
        "pay.test.yaml:16: `.id == 9` does not hold of the output",
        "1 of 2 passed",
    ] {
        assert!(first.stderr.contains(said), "{said} is not in {}", first.stderr);
    }
    assert!(!first.stderr.contains(CANARY), "{}", first.stderr);
    // Another text of the workflow has another history.
    let path = folder.path().join("pay.yaml");
    let text = std::fs::read_to_string(&path).unwrap().replace("PT1H", "PT2H");
    std::fs::write(&path, text).unwrap();
    let changed = run(&["test", "pay.test.yaml"]).await.exits(1);
    assert!(changed.stderr.contains("the history is not that of pays.history"), "{changed:?}");
    assert!(changed.stderr.contains("it took P3DT2H, expected P3DT1H"), "{changed:?}");
}

#[tokio::test]
async fn mistakes_are_bad_usage_with_their_places() {
    let folder = folder();
    for (tests, said) in [
        (TESTS.replace("task: call", "task: cal"), "bad.test.yaml:4:11"),
        (TESTS.replace("mocks:", "moks:"), "did you mean `mocks`?"),
        (TESTS.replace("pay.yaml", "pya.yaml"), "cannot read pya.yaml"),
        (TESTS.replace("status: 503 }", "status: 5 }"), "from 100 to 599"),
    ] {
        std::fs::write(folder.path().join("bad.test.yaml"), tests).unwrap();
        let output = windlass_in(folder.path(), &["test", "bad.test.yaml"]).await.exits(2);
        assert!(output.stderr.contains(said), "{said}: {output:?}");
    }
    for words in [
        vec!["test"],
        vec!["test", "not-there.test.yaml"],
        vec!["test", "pay.test.yaml", "--filter", "nothing has this name"],
        vec!["test", "pay.test.yaml", "--coverage-min", "101"],
    ] {
        windlass_in(folder.path(), &words).await.exits(2);
    }
}

#[tokio::test]
async fn programs_read_what_came_of_it() {
    let folder = folder();
    let run = async |words: &[&str]| windlass_in(folder.path(), words).await;
    run(&["test", "pay.test.yaml", "--update"]).await.exits(1);
    let words = ["test", "pay.test.yaml", "--output", "json", "--junit", "r.xml"];
    let document = run(&words).await.exits(1).json();
    assert_eq!((&document["total"], &document["failed"]), (&json!(2), &json!(1)));
    assert_eq!(document["files"][0]["cases"][0]["took"], "P3DT1H");
    let coverage = &document["coverage"];
    assert_eq!((&coverage["reached"], &coverage["all"]), (&json!(6), &json!(7)), "{coverage}");
    assert_eq!(coverage["missed"][0]["what"], "large");
    let xml = std::fs::read_to_string(folder.path().join("r.xml")).unwrap();
    assert!(xml.contains("<testsuites name=\"windlass\" tests=\"2\" failures=\"1\""), "{xml}");
    let tap = run(&["test", "pay.test.yaml", "--tap"]).await.exits(1).stdout;
    assert!(tap.contains("1..2\nok 1 - pay.test.yaml > pays\nnot ok 2 - "), "{tap}");
    for text in [document.to_string(), xml, tap] {
        assert!(!text.contains(CANARY), "{text}");
    }
    let less = ["test", "pay.test.yaml", "--filter", "pays", "--coverage-min", "90"];
    let less = run(&[&less[..], &["--update"]].concat()).await.exits(1);
    assert!(less.stderr.contains("FAIL pays too much"), "both have the text: {less:?}");
    std::fs::write(
        folder.path().join("one.test.yaml"),
        TESTS.split("  - name: pays too much").next().unwrap(),
    )
    .unwrap();
    run(&["test", "one.test.yaml", "--coverage-min", "85"]).await.exits(0);
    let short = run(&["test", "one.test.yaml", "--coverage-min", "86", "--coverage"]).await;
    let short = short.exits(1);
    assert!(short.stderr.contains("85 % of the tasks and branches"), "{short:?}");
    assert!(short.stderr.contains("NOT REACHED") && short.stderr.contains("large"), "{short:?}");
}

#[tokio::test]
async fn a_run_with_mocks_waits_for_nothing_and_calls_nobody() {
    let folder = folder();
    let run = async |words: &[&str]| windlass_in(folder.path(), words).await;
    let words = ["run", "pay.yaml", "--mock", "pay.test.yaml", "--skip-waits", "--input"];
    let output = run(&[&words[..], &[r#"{"amount": 5}"#]].concat()).await.exits(0);
    assert_eq!(output.json(), json!({"id": 5, "said": "«sealed»"}));
    assert!(!output.stderr.contains(CANARY) && !output.stdout.contains(CANARY), "{output:?}");
    // What no mock answers is named.
    std::fs::write(folder.path().join("none.yaml"), "secrets: { key: none }\n").unwrap();
    let none = run(&["run", "pay.yaml", "--mock", "none.yaml", "--skip-waits"]).await.exits(1);
    assert!(none.stderr.contains("https://pay.example.com/charges"), "{none:?}");
    assert!(none.stderr.contains("- task: /do/1/ask/try/0/call"), "{none:?}");
    // A fault is one as ever.
    let mocks = "secrets: { key: none }\nmocks: [ { task: call, answer: { status: 409 } } ]\n";
    std::fs::write(folder.path().join("fault.yaml"), mocks).unwrap();
    let fault = run(&["run", "pay.yaml", "--mock", "fault.yaml", "--skip-waits"]).await.exits(1);
    assert_eq!(problem(&fault)["status"], 409);
    // One goes with the other, and with nothing that lasts.
    for words in [
        vec!["run", "pay.yaml", "--mock", "fault.yaml"],
        vec!["run", "pay.yaml", "--skip-waits", "--data-dir", "d"],
        vec!["run", "pay.yaml", "--skip-waits", "--remote"],
    ] {
        run(&words).await.exits(2);
    }
    std::fs::write(folder.path().join("bad.yaml"), "moks: []\n").unwrap();
    let bad = run(&["run", "pay.yaml", "--mock", "bad.yaml", "--skip-waits"]).await.exits(2);
    assert!(bad.stderr.contains("bad.yaml:1:1"), "{bad:?}");
}

#[tokio::test]
async fn waits_are_skipped_without_mocks_as_well() {
    let hello = paths::example("hello.yaml").display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let output = windlass_in(folder.path(), &["run", &hello, "--skip-waits"]).await.exits(0);
    assert_eq!(output.json(), json!({"greeting": "Hello, world!"}));
}

#[tokio::test]
async fn a_definition_is_drawn_and_the_command_line_described() {
    let folder = folder();
    let run = async |words: &[&str]| windlass_in(folder.path(), words).await;
    let chart = run(&["graph", "pay.yaml"]).await.exits(0).stdout;
    assert!(chart.starts_with("flowchart TD\n"), "{chart}");
    assert!(chart.contains("-->|\"large\"| finish"), "{chart}");
    std::fs::write(folder.path().join("bad.yaml"), "do: []\n").unwrap();
    let bad = run(&["graph", "bad.yaml"]).await.exits(2);
    assert!(bad.stderr.contains("error[WL"), "{bad:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]).await.exits(0).stdout;
        assert!(script.contains("skip-waits"), "{shell}");
    }
    run(&["man", "pages/man1"]).await.exits(0);
    let page = folder.path().join("pages/man1/windlass-test.1");
    assert!(std::fs::read_to_string(page).unwrap().contains("coverage\\-min"));
}
