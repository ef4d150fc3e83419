#![allow(clippy::unwrap_used)]

use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value as Field};
use windlass_proto::limits;
use windlass_proto::value::Value;

use super::{Decoded, Source, compile, encode, is_bundled};
use crate::testing::json;

const HEAD: &str = "syntax = \"proto3\"; package p;";

fn pool(text: &str) -> Result<DescriptorPool, String> {
    compile(vec![Source::parse("it.proto", text)?])
}

/// Why a file is refused.
fn refusal(text: &str) -> String {
    pool(text).map(|_| ()).unwrap_err()
}

/// What one message stands for.
fn decode(kind: MessageDescriptor, bytes: &[u8]) -> Result<Decoded, String> {
    super::decode(kind, bytes, &mut { limits::PAYLOAD_BYTES })
}

fn nested(levels: usize) -> String {
    let (open, close) = ("message M { ".repeat(levels), "} ".repeat(levels));
    format!("{HEAD} {open}{close}")
}

#[test]
fn files_are_compiled_with_what_they_import() {
    let first = Source::parse(
        "first.proto",
        "syntax = \"proto3\"; package p; import \"b/second.proto\"; import \"b/third.proto\"; \
         import \"google/protobuf/any.proto\"; message M { Second second = 1; b.Third third = 2; }",
    )
    .unwrap();
    assert_eq!(first.imports()[..2], ["b/second.proto", "b/third.proto"]);
    assert_eq!(first.package(), "p");
    let second =
        Source::parse("b/second.proto", "syntax = \"proto3\"; package p; message Second {}");
    let third = "syntax = \"proto2\"; package p.b; import \"b/second.proto\"; \
                 message Third { required Second second = 1; }";
    let third = Source::parse("b/third.proto", third);
    let pool = compile(vec![first, second.unwrap(), third.unwrap()]).unwrap();
    assert!(pool.get_message_by_name("p.b.Third").is_some());
    assert!(pool.get_message_by_name("google.protobuf.Duration").is_some());
    assert!(is_bundled("google/protobuf/empty.proto"));
    assert!(!is_bundled("google/type/money.proto") && !is_bundled("google/protobuf/no.proto"));
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_place() {
    let told = refusal(&format!("{HEAD}\nmessage M {{ Missing m = 1; }}"));
    assert!(told.contains("it.proto:2:13") && told.contains("Missing"), "{told}");
    let told = refusal(&format!("{HEAD}\nmessage M {{ ] }}"));
    assert!(told.contains("it.proto:2:13"), "{told}");
    let told = refusal("edition = \"2023\"; package p;");
    assert!(told.contains("edition") && told.contains("proto3"), "{told}");
    // A message may be called so.
    assert!(pool(&format!("{HEAD} message edition {{ string edition = 1; }}")).is_ok());
}

#[test]
fn a_file_stays_within_bounds_before_it_is_compiled() {
    // Within what the compiler takes as well: messages may be nested less than brackets are.
    assert!(pool(&nested(20)).is_ok());
    assert!(refusal(&nested(limits::PROTO_LEVELS + 1)).contains("levels deep"));
    // The end of a message in a comment is none.
    for comment in ["#}", "// }", "/* } */"] {
        let levels = format!("message M {{ {comment}\n").repeat(limits::PROTO_LEVELS + 1);
        let told = refusal(&format!("{HEAD} {levels}"));
        assert!(told.contains("levels deep"), "{comment}: {told}");
    }
    // Comments and texts are not counted, whatever is in them.
    let brackets = "{[(<".repeat(limits::PROTO_LEVELS);
    let quoted = format!(
        "{HEAD} // {brackets}\n/* {brackets} \" */ option java_package = \"{brackets}\\\"{brackets}\";"
    );
    assert_eq!(pool(&quoted).map(|_| ()), Ok(()));
    let word = "a".repeat(limits::PROTO_WORD_BYTES + 1);
    assert!(refusal(&format!("{HEAD} message {word} {{}}")).contains("a word of"));
    // Many names below a long one.
    let (word, declared) = ("a".repeat(500), "message A {} ".repeat(140_000));
    let text = format!("{HEAD} message {word} {{ {declared} }}");
    assert!(text.len() < limits::PROTO_BYTES);
    assert!(refusal(&text).contains("full names"), "{}", text.len());
}

#[test]
fn what_is_no_message_is_told() {
    let pool = pool(&format!("{HEAD} message M {{ int32 small = 1; M inner = 2; }}")).unwrap();
    let kind = pool.get_message_by_name("p.M").unwrap();
    for (value, expected) in [
        (r#"{"big": 1}"#, "big"),
        (r#"{"small": 4294967296}"#, "out of range"),
        (r#"{"small": "x"}"#, "invalid"),
        ("[]", "map"),
    ] {
        let told = encode(kind.clone(), &json(value)).unwrap_err();
        assert!(told.contains(expected) && !told.contains("line"), "{value}: {told}");
    }
    let deep = (0..200).fold(Value::empty_object(), |it, _| Value::object([("inner", it)]));
    assert!(encode(kind.clone(), &deep).is_err());
    assert!(decode(kind, &[0x08]).is_err());
}

#[test]
fn an_answer_stays_within_bounds() {
    let text = format!(
        "{HEAD} import \"google/protobuf/any.proto\"; message M {{ repeated E e = 1; }} \
         enum E {{ {} = 0; }}",
        "A".repeat(500)
    );
    let pool = pool(&text).unwrap();
    let any = pool.get_message_by_name("google.protobuf.Any").unwrap();
    let packed = |name: &str, value: Vec<u8>| {
        let mut message = DynamicMessage::new(any.clone());
        let url = format!("type.googleapis.com/google.protobuf.{name}");
        message.set_field_by_name("type_url", Field::String(url));
        message.set_field_by_name("value", Field::Bytes(value.into()));
        message.encode_to_vec()
    };
    let nested = |levels: usize| {
        let inner = packed("Empty", Vec::new());
        (2..levels).fold(inner, |inner, _| packed("Any", inner))
    };
    let most = limits::GRPC_LEVELS;
    assert_eq!(decode(any.clone(), &nested(most)).map(|it| it.value.depth()), Ok(100));
    let told = decode(any.clone(), &nested(most + 1)).map(|_| ()).unwrap_err();
    assert!(told.contains("inside one another"), "{told}");
    // A byte of a packed list is a word of JSON.
    let mut list = vec![0x0a, 0x80, 0x80, 0x04];
    list.extend(vec![0_u8; 1 << 16]);
    let told = decode(pool.get_message_by_name("p.M").unwrap(), &list).map(|_| ()).unwrap_err();
    assert!(told.contains("MiB as JSON"), "{told}");
    // All messages of an answer share what there is.
    let kind = pool.get_message_by_name("p.M").unwrap();
    let mut left = 5;
    let mut empty = || super::decode(kind.clone(), &[], &mut left).is_ok();
    assert_eq!([empty(), empty(), empty()], [true, true, false], "two bytes each");
}

#[test]
fn what_a_wrapper_holds_is_never_lost() {
    let text = format!(
        "{HEAD} import \"google/protobuf/wrappers.proto\"; message M {{ double bare = 1; \
         google.protobuf.DoubleValue wrapped = 2; google.protobuf.FloatValue single = 3; bytes raw = 4; }}"
    );
    let kind = pool(&text).unwrap().get_message_by_name("p.M").unwrap();
    let wrapped = |field: &str, number: Field| {
        let mut message = DynamicMessage::new(kind.clone());
        let inner = kind.get_field_by_name(field).unwrap().kind();
        match inner.as_message() {
            None => message.set_field_by_name(field, number),
            Some(inner) => {
                let mut wrapper = DynamicMessage::new(inner.clone());
                wrapper.set_field_by_name("value", number);
                message.set_field_by_name(field, Field::Message(wrapper));
            }
        }
        message.set_field_by_name("raw", Field::Bytes(vec![1, 2].into()));
        decode(kind.clone(), &message.encode_to_vec())
    };
    let bare = wrapped("bare", Field::F64(f64::NAN)).unwrap();
    assert_eq!(
        (bare.value.to_json(), bare.raw.len()),
        (r#"{"bare":"NaN","raw":"AQI="}"#.into(), 1)
    );
    let whole = wrapped("wrapped", Field::F64(0.5)).unwrap();
    assert_eq!(whole.value.to_json(), r#"{"wrapped":0.5,"raw":"AQI="}"#);
    for (field, number) in [
        ("wrapped", Field::F64(f64::NAN)),
        ("wrapped", Field::F64(f64::NEG_INFINITY)),
        ("single", Field::F32(f32::INFINITY)),
    ] {
        let told = wrapped(field, number).map(|_| ()).unwrap_err();
        assert!(told.contains("no finite number"), "{told}");
    }
}
