#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use windlass_proto::limits;
use windlass_proto::plan::{Kind, Return, Shell};
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use super::with_arguments;
use crate::testing::{
    Given, allowed, assignment, builder, in_ms, json, kind_of, perform, perform_with, task,
    template, text,
};
use crate::{NonZeroExit, ProcessOptions};

fn shell(command: &str) -> Shell {
    Shell {
        command: text(command),
        stdin: None,
        arguments: None,
        environment: None,
        wait: true,
        output: Return::Stdout,
    }
}

async fn run(shell: Shell) -> Result<Value, Problem> {
    perform(Kind::Shell(Box::new(shell)), json(r#"{"in":1}"#)).await
}

async fn run_with(options: ProcessOptions, shell: Shell) -> Result<Value, Problem> {
    let builder = builder(Given(vec![])).processes(options);
    perform_with(builder, task(Kind::Shell(Box::new(shell))), assignment(Value::Null)).await
}

/// Waits until `path` holds something, and gives it.
async fn written(path: &std::path::Path) -> String {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ if Instant::now() > end => panic!("nothing was written to {}", path.display()),
            _ => tokio::task::yield_now().await,
        }
    }
}

/// Waits until no process of this id runs; one whose parent does not reap it counts as ended.
async fn ended(pid: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    let stat = format!("/proc/{pid}/stat");
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < end, "the process {pid} still runs");
        tokio::task::yield_now().await;
    }
}

#[test]
fn arguments_are_appended_only_where_the_command_does_not_use_them() {
    let arguments = ["a".to_owned()];
    for command in [
        "echo $1",
        "echo \"${1:-x}\"",
        "printf %s \"$@\"",
        "test $# = 1",
        "f ${#}",
        "echo ${#1}",
        "shift; true",
        "echo $*",
    ] {
        assert_eq!(with_arguments(command, &arguments), command);
    }
    for command in ["echo", "echo $0", "echo $HOME ${USER}", "echo ${#HOME}", "echo $$", "myshift"]
    {
        assert_eq!(with_arguments(command, &arguments), format!("{command} \"$@\""));
        assert_eq!(with_arguments(command, &[]), command);
    }
}

#[tokio::test]
async fn every_form_of_return() {
    for (output, expected) in [
        (Return::Stdout, r#""out\n""#),
        (Return::Stderr, r#""err\n""#),
        (Return::Code, "0"),
        (Return::All, r#"{"code":0,"stdout":"out\n","stderr":"err\n"}"#),
        (Return::None, "null"),
    ] {
        let mut shell = shell("echo out; echo err >&2");
        shell.output = output;
        assert_eq!(run(shell).await, Ok(json(expected)));
    }
}

#[tokio::test]
async fn arguments_input_and_environment_reach_the_process() {
    let mut given = shell("cat; echo \"$1-$2 $NAME $COUNT\"; env | sort");
    given.stdin = Some(text("typed "));
    given.arguments = Some(template(r#"["a b", 2]"#));
    given.environment = Some(template(r#"{"NAME":"x y","COUNT":3,"GONE":null}"#));
    let output = run(given).await.unwrap().to_text();
    assert!(output.starts_with("typed a b-2 x y 3\n"), "{output}");
    let allowed =
        ["PATH", "LANG", "LC_ALL", "TZ", "HOME", "PWD", "OLDPWD", "SHLVL", "_", "NAME", "COUNT"];
    for line in output.lines().skip(1) {
        let (name, value) = line.split_once('=').unwrap();
        assert!(allowed.contains(&name), "{line}");
        assert!(name != "HOME" || value == "/nonexistent", "{line}");
    }

    let mut appended = shell("echo");
    appended.arguments = Some(template(r#"{"level":"info","skip":null,"n":1}"#));
    assert_eq!(run(appended).await, Ok(Value::from("--level info --n 1\n")));
}

#[tokio::test]
async fn a_non_zero_exit_is_an_error_or_data() {
    let failing = |output| {
        let mut shell = shell("echo out; echo because >&2; exit 3");
        shell.output = output;
        shell
    };
    for output in [Return::Stdout, Return::None] {
        let problem = run(failing(output)).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("runtime".into(), 500));
        assert_eq!(problem.detail.as_deref(), Some("the process ended with exit code 3: because"));
        let ignore = ProcessOptions { non_zero_exit: NonZeroExit::Ignore, ..allowed() };
        assert!(run_with(ignore, failing(output)).await.is_ok());
    }
    assert_eq!(run(failing(Return::Code)).await, Ok(Value::Int(3)));
    assert_eq!(run(failing(Return::Stderr)).await, Ok(Value::from("because\n")));
    let mut killed = shell("kill -9 $$");
    killed.output = Return::Code;
    assert_eq!(run(killed).await, Ok(Value::Int(137)));
}

#[tokio::test]
async fn too_much_output_ends_the_process() {
    let problem = run(shell("yes")).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("runtime".into(), 500));
    let most = limits::PROCESS_OUTPUT_BYTES.to_string();
    assert!(problem.detail.unwrap().contains(&most));
}

#[tokio::test]
async fn the_whole_group_ends_at_the_deadline() {
    let directory = tempfile::tempdir().unwrap();
    let (leader, member) = (directory.path().join("leader"), directory.path().join("member"));
    let command = format!(
        "sh -c 'echo $$ > {}; exec sleep 1000' & echo $$ > {}; wait",
        member.display(),
        leader.display()
    );
    let mut late = assignment(Value::Null);
    late.deadline = Some(in_ms(1_000));
    let kind = Kind::Shell(Box::new(shell(&command)));
    let problem = perform_with(builder(Given(vec![])), task(kind), late).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("timeout".into(), 408));
    ended(&written(&leader).await).await;
    ended(&written(&member).await).await;
}

#[tokio::test]
async fn what_a_process_leaves_behind_ends_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let left = directory.path().join("left");
    let command = format!("sleep 1000 & echo $! > {}; echo done", left.display());
    assert_eq!(run(shell(&command)).await, Ok(Value::from("done\n")));
    ended(&written(&left).await).await;
}

#[tokio::test]
async fn a_process_that_nobody_awaits_runs_on() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    let mut detached = shell(&format!("read line; echo \"$line\" > {}", file.display()));
    detached.stdin = Some(text("late\n"));
    detached.wait = false;
    assert_eq!(run(detached).await, Ok(json(r#"{"in":1}"#)));
    assert_eq!(written(&file).await, "late");
}

#[tokio::test]
async fn what_is_not_allowed_or_missing_is_said() {
    let off = ProcessOptions { shell: false, ..allowed() };
    let problem = run_with(off, shell("true")).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("configuration".into(), 400));
    let lost = ProcessOptions { directory: Some("/does/not/exist".into()), ..allowed() };
    let problem = run_with(lost, shell("true")).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("runtime".into(), 500));
    let mut odd = shell("true");
    odd.environment = Some(template(r#"{"A=B":"x"}"#));
    assert_eq!(kind_of(&run(odd).await.unwrap_err()), ("configuration".into(), 400));
}
