use windlass_proto::plan::{Container, Kind, Return};
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use super::{binds, given_name, image, ports};
use crate::container::{ContainerOptions, EngineSocket};
use crate::testing::{Given, assignment, builder, json, kind_of, perform_with, task, template};
use crate::{ContainerVolume, ProcessOptions};

fn nowhere() -> ContainerOptions {
    let socket: EngineSocket = "unix:///nowhere/engine.sock".parse().unwrap();
    ContainerOptions::at(socket)
}

async fn run(options: Option<ContainerOptions>, with: &str) -> Problem {
    let container = Container { with: template(with), wait: true, output: Return::Stdout };
    let processes = ProcessOptions { containers: options, ..ProcessOptions::default() };
    let builder = builder(Given(vec![])).processes(processes);
    let task = task(Kind::Container(Box::new(container)));
    perform_with(builder, task, assignment(Value::Null)).await.unwrap_err()
}

#[tokio::test]
async fn what_cannot_run_says_why() {
    let problem = run(None, r#"{"image":"a"}"#).await;
    assert_eq!(kind_of(&problem), ("configuration".into(), 400));
    let problem = run(Some(nowhere()), r#"{"image":"a"}"#).await;
    assert_eq!(kind_of(&problem), ("runtime".into(), 503));
    assert!(problem.detail.unwrap().contains("unix:///nowhere/engine.sock"));
    for (with, kind) in [
        (r#"{"image":"a/../b"}"#, "configuration"),
        (r#"{"image":"a","name":"-a"}"#, "configuration"),
        (r#"{"image":"a","ports":{"80":"0.0.0.0:80"}}"#, "configuration"),
        (r#"{"image":"a","pullPolicy":"${ \"sometimes\" }"}"#, "configuration"),
        (r#"{"image":"a","lifetime":{"cleanup":"eventually","after":"P2D"}}"#, "configuration"),
        (r#"{"image":"a","volumes":{"/etc":"/in"}}"#, "authorization"),
    ] {
        assert_eq!(kind_of(&run(Some(nowhere()), with).await).0, kind, "{with}");
    }
}

#[test]
fn names_are_no_paths_of_the_engine() {
    for name in ["alpine", "a:1", "localhost:5000/a/b:1", "a@sha256:00", "A_b.c-d/e"] {
        assert!(image(name.to_owned()).is_ok(), "{name}");
    }
    for name in ["", "a b", "a?b", "a#b", "a%2f", "../a", "a/../b", "/a", "a//b", "a\nb", "-a"] {
        assert!(image(name.to_owned()).is_err(), "{name}");
    }
    for name in ["", "a/b", ".a", "a b", "a?b", "é"] {
        assert!(given_name(name.to_owned()).is_err(), "{name}");
    }
    assert!(given_name("a_b.c-1".to_owned()).is_ok());
}

#[test]
fn ports_lead_from_the_machine_to_the_container() {
    let given = ports(&json(r#"{"80":8080,"53/udp":"5353"}"#)).unwrap();
    assert_eq!(given, [("80/tcp".to_owned(), 8080), ("53/udp".to_owned(), 5353)]);
    for wrong in [r#"{"80":"x"}"#, r#"{"0":1}"#, r#"{"80/x":1}"#, r#"{"80":0}"#, "[80]"] {
        assert!(ports(&json(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn only_what_the_worker_was_told_of_is_mounted() {
    let volume = |text: &str| text.parse::<ContainerVolume>().unwrap();
    let options =
        ContainerOptions { volumes: vec![volume("/data"), volume("/in:ro")], ..nowhere() };
    let given = binds(&json(r#"{"/data":"/a","/in":"/b","/data/":"/c:ro"}"#), &options).unwrap();
    assert_eq!(given, ["/data:/a:rw", "/in:/b:ro", "/data:/c:ro"]);
    let wrong = [
        r#"{"/":"/a"}"#,
        r#"{"/data/below":"/a"}"#,
        r#"{"/data/../etc":"/a"}"#,
        r#"{"named":"/a"}"#,
        r#"{"/data":"a"}"#,
        r#"{"/data":"/a:/b"}"#,
        r#"{"/data":"/a:rw"}"#,
    ];
    for wrong in wrong {
        assert!(binds(&json(wrong), &options).is_err(), "{wrong}");
    }
    assert!(binds(&json(r#"{"/data":"/a"}"#), &nowhere()).is_err());
}
