#![allow(clippy::unwrap_used)]

use prost_reflect::DescriptorPool;
use windlass_proto::limits;
use windlass_proto::value::Value;

use super::{service, write};
use crate::protobuf::{Source, compile};
use crate::seal::Seal;
use crate::testing::json;

fn types() -> DescriptorPool {
    let first = "syntax = \"proto3\"; package a; import \"b.proto\"; service Echo {} \
                 service Alone {} message M { repeated int32 all = 1; }";
    let second = "syntax = \"proto3\"; package b; service Echo {}";
    compile(vec![
        Source::parse("a.proto", first).unwrap(),
        Source::parse("b.proto", second).unwrap(),
    ])
    .unwrap()
}

#[test]
fn a_service_is_found_by_a_name_that_only_it_has() {
    let types = types();
    let found =
        |name: &str| service(name, &types, "the .proto file").map(|it| it.full_name().to_owned());
    assert_eq!(found("Alone").unwrap(), "a.Alone");
    assert_eq!(found("b.Echo").unwrap(), "b.Echo");
    let told = |name: &str| found(name).unwrap_err().detail.unwrap();
    let both = told("Echo");
    assert!(both.contains("the service Echo is ambiguous"), "{both}");
    assert!(
        both.contains("a.Echo") && both.contains("b.Echo") && !both.contains("Alone"),
        "{both}"
    );
    assert!(told("None").contains("no service None; it has: "));
}

#[test]
fn what_is_sent_stays_within_bounds() {
    let kind = types().get_message_by_name("a.M").unwrap();
    let told = |values: &[Value], is_stream| {
        write(&kind, values, is_stream).map(|it| it.len()).map_err(|it| it.told(&Seal::default()))
    };
    // Of three bytes each in JSON, ten as a message.
    let half = Value::object([("all", Value::array(vec![Value::Int(-1); 900_000]))]);
    assert_eq!(told(std::slice::from_ref(&half), true), Ok(1));
    let why = told(&[half.clone(), half], true).unwrap_err();
    assert_eq!(why, format!("together they have more than {} MiB", limits::GRPC_SENT_BYTES >> 20));
    // The element that is wrong is named, where there are some.
    let values = [json("{}"), json(r#"{"all": [1, "x"]}"#)];
    assert!(told(&values, true).unwrap_err().starts_with("[1].all[1] must be an integer"));
    assert!(told(&values[1..], false).unwrap_err().starts_with(".all[1] must be"));
}
