#![allow(clippy::unwrap_used)]

use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value as Field};
use windlass_proto::limits;
use windlass_proto::value::Value;

use super::{Decoded, Source, compile, is_bundled};
use crate::seal::Seal;
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
    let read = super::decode(kind, bytes, &mut { limits::PAYLOAD_BYTES });
    read.map_err(|wrong| wrong.told(&Seal::default()))
}

/// The bytes of a message, or why there are none.
fn encode(kind: &MessageDescriptor, value: &Value) -> Result<Vec<u8>, String> {
    super::encode(kind, value).map_err(|wrong| wrong.told(&Seal::default()))
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

/// Messages of both syntaxes, with types that have a form of their own.
const KINDS: &str = "
    import \"google/protobuf/any.proto\"; import \"google/protobuf/duration.proto\";
    import \"google/protobuf/struct.proto\"; import \"google/protobuf/timestamp.proto\";
    import \"google/protobuf/wrappers.proto\"; import \"old.proto\";
    message M {
        int32 small = 1; M inner = 2; uint64 large = 3; float single = 4; bytes raw = 5;
        Color color = 6; repeated M list = 7; map<int32, M> by_number = 8; bool flag = 9;
        google.protobuf.NullValue nothing = 10; google.protobuf.Timestamp at = 11;
        google.protobuf.Any any = 12; google.protobuf.Duration lasting = 13; p.old.Old old = 14;
        google.protobuf.DoubleValue wrapped = 15;
        oneof choice { string text = 16; int64 number = 17; }
        google.protobuf.Value value = 18; map<string, Color> colors = 19; int64 wide = 20;
        double exact = 21; repeated google.protobuf.Value values = 22;
    }
    enum Color { RED = 0; GREEN = 1; }";

const OLD: &str = "syntax = \"proto2\"; package p.old; enum Kind { A = 5; } message Old { \
                   required string name = 1; optional Kind kind = 2; extensions 100 to 199; } \
                   extend Old { optional Old note = 100; }";

fn kinds() -> MessageDescriptor {
    let first = Source::parse("it.proto", &format!("{HEAD}{KINDS}")).unwrap();
    let pool = compile(vec![first, Source::parse("old.proto", OLD).unwrap()]).unwrap();
    pool.get_message_by_name("p.M").unwrap()
}

/// What comes back of a message that is `text`.
fn echo(kind: &MessageDescriptor, text: &str) -> String {
    decode(kind.clone(), &encode(kind, &json(text)).unwrap()).unwrap().value.to_json()
}

#[test]
fn whatever_the_mapping_takes_is_taken() {
    let kind = kinds();
    for (given, back) in [
        // Integers in whatever spelling, to the last digit.
        (r#"{"small": 1e3}"#, r#"{"small":1000}"#),
        (r#"{"small": 1.0, "wide": "1.0"}"#, r#"{"small":1,"wide":"1"}"#),
        (r#"{"small": "1e3", "large": "-0"}"#, r#"{"small":1000}"#),
        (r#"{"wide": "9007199254740993.0"}"#, r#"{"wide":"9007199254740993"}"#),
        (r#"{"large": 18446744073709551615}"#, r#"{"large":"18446744073709551615"}"#),
        (r#"{"color": 1.0, "colors": {"a": 0, "b": 7}}"#, ""),
        (r#"{"color": 1.0}"#, r#"{"color":"GREEN"}"#),
        (r#"{"single": "1e3", "exact": "-Infinity"}"#, r#"{"single":1000.0,"exact":"-Infinity"}"#),
        (r#"{"raw": "-_8"}"#, r#"{"raw":"+/8="}"#),
        // No value, where a type has that.
        (r#"{"nothing": null}"#, "{}"),
        (r#"{"nothing": "NULL_VALUE"}"#, "{}"),
        (r#"{"nothing": 0, "value": null}"#, r#"{"value":null}"#),
        (r#"{"values": [null, 1], "small": null, "list": null}"#, r#"{"values":[null,1.0]}"#),
        (r#"{"any": {}}"#, r#"{"any":{}}"#),
        (
            r#"{"any": {"@type": "x/google.protobuf.Any", "value": {}}}"#,
            r#"{"any":{"@type":"x/google.protobuf.Any","value":{}}}"#,
        ),
        (
            r#"{"any": {"small": 1, "@type": "type.googleapis.com/p.M"}}"#,
            r#"{"any":{"@type":"type.googleapis.com/p.M","small":1}}"#,
        ),
        (r#"{"wrapped": "NaN"}"#, r#"{"wrapped":"NaN"}"#),
        (r#"{"wrapped": 0}"#, r#"{"wrapped":0.0}"#),
        (
            r#"{"any": {"@type": "x/google.protobuf.FloatValue", "value": "-Infinity"}}"#,
            r#"{"any":{"@type":"x/google.protobuf.FloatValue","value":"-Infinity"}}"#,
        ),
        (r#"{"by_number": {"-1": {"small": 2}}}"#, r#"{"byNumber":{"-1":{"small":2}}}"#),
        (
            r#"{"old": {"name": "a", "[p.old.note]": {"name": "b", "kind": 5}}}"#,
            r#"{"old":{"name":"a","[p.old.note]":{"name":"b","kind":"A"}}}"#,
        ),
        (r#"{"at": "2026-11-30T02:00:00.5+01:00"}"#, r#"{"at":"2026-11-30T01:00:00.500Z"}"#),
        (r#"{"lasting": "-1.5s"}"#, r#"{"lasting":"-1.500s"}"#),
    ] {
        let told = echo(&kind, given);
        // The order of a map is its own.
        assert!(told == back || back.is_empty() && told.contains(r#""b":7"#), "{given}: {told}");
    }
}

#[test]
fn what_is_no_message_is_told_with_its_field() {
    let kind = kinds();
    for (value, expected) in [
        ("[]", "must be an object, not an array"),
        (r#"{"big": 1}"#, ".big is no field of p.M, which has: small, inner,"),
        (r#"{"small": 4294967296}"#, ".small must be an integer of 32 bits, not 4294967296"),
        (
            r#"{"list": [{}, {"small": "x"}]}"#,
            ".list[1].small must be an integer of 32 bits, not \"x\"",
        ),
        (r#"{"small": 1.5}"#, ".small must be an integer"),
        (r#"{"large": -1}"#, ".large must be an integer of 64 bits without a sign, not -1"),
        (r#"{"list": {}}"#, ".list must be an array, not an object"),
        (r#"{"inner": {"flag": "true"}}"#, ".inner.flag must be `true` or `false`, not \"true\""),
        (
            r#"{"color": "BLUE"}"#,
            ".color must be a value of p.Color, which has: RED, GREEN, not \"BLUE\"",
        ),
        (r#"{"old": {"name": "a", "kind": "BLUE"}}"#, ".old.kind must be a value of p.old.Kind"),
        (r#"{"old": {}}"#, ".old.name is missing, which the type requires"),
        (r#"{"old": {"name": null}}"#, ".old.name is missing"),
        (
            r#"{"old": {"name": "a", "[p.old.note]": {}}}"#,
            r#".old["[p.old.note]"].name is missing"#,
        ),
        (r#"{"by_number": {"1.5": {}}}"#, r#".by_number["1.5"] is no integer"#),
        (r#"{"by_number": {"1": {"small": []}}}"#, r#".by_number["1"].small must be"#),
        (r#"{"raw": "not base64!"}"#, ".raw must be bytes in base64, not \"not base64!\""),
        (r#"{"single": 1e39}"#, ".single must be a number in the range of `float`, not 1e+39"),
        (r#"{"exact": "inf"}"#, ".exact must be a number"),
        (r#"{"text": "a", "number": 1}"#, ".number cannot be given beside `text`"),
        (r#"{"by_number": {"1": {}}, "byNumber": {"2": {}}}"#, ".byNumber is given twice"),
        (r#"{"at": "2024-12-31T23:59:60Z"}"#, ".at must be a time without a leap second"),
        (r#"{"at": "2024-12-31T23:59:59.1234567891Z"}"#, ".at must be a time of at most nanosec"),
        (r#"{"at": 5}"#, ".at must be a google.protobuf.Timestamp: invalid type"),
        (r#"{"lasting": "PT1S"}"#, ".lasting must be a google.protobuf.Duration"),
        (
            r#"{"list": [{"any": {"@type": "type.googleapis.com/acme.X"}}]}"#,
            ".list[0].any is an Any of acme.X, which no .proto file of the call declares: import",
        ),
        (r#"{"any": {"small": 1}}"#, r#".any["@type"] must have the name of its type"#),
        (r#"{"any": {"@type": "p.M"}}"#, r#".any["@type"] must have a slash"#),
        (r#"{"any": {"@type": "x/p.M", "small": "x"}}"#, ".any.small must be an integer"),
        (r#"{"any": {"@type": "x/p.old.Old"}}"#, ".any.name is missing"),
        (r#"{"any": {"@type": "x/google.protobuf.Duration"}}"#, ".any.value is missing"),
        (
            r#"{"any": {"@type": "x/google.protobuf.Duration", "value": "1s", "more": 1}}"#,
            ".any.more is no field of an Any",
        ),
    ] {
        let told = encode(&kind, &json(value)).unwrap_err();
        assert!(told.starts_with(expected) && !told.contains(" line "), "{value}: {told}");
    }
    let deep = (0..limits::GRPC_LEVELS)
        .fold(Value::empty_object(), |it, _| Value::object([("inner", it)]));
    assert!(
        encode(&kind, &deep).unwrap_err().ends_with("is the message past 100 inside one another")
    );
    assert!(encode(&kind, deep.get("inner").unwrap()).is_ok());
    assert!(decode(kind, &[0x08]).is_err());
}

/// A value is cut only once no secret is in it.
#[test]
fn no_error_tells_a_secret() {
    let secret = "t0p-s3cret".repeat(50);
    let mut seal = Seal::default();
    seal.add(&secret);
    for value in [
        Value::object([(
            "small",
            Value::from(format!("{}{secret}", "x".repeat(limits::EXCERPT_BYTES - 5))),
        )]),
        Value::object([(secret.as_str(), Value::from("x"))]),
    ] {
        let told = super::encode(&kinds(), &value).unwrap_err().told(&seal);
        assert!(!told.contains("t0p"), "{told}");
    }
}

#[test]
fn what_would_be_read_as_something_else_is_refused() {
    let kind = kinds();
    // `lasting`: a second, and five nanoseconds less; `any`: of a type that nobody knows, and of
    // none with something in it.
    for (bytes, expected) in [
        (
            &b"\x6a\x0d\x08\x01\x10\xfb\xff\xff\xff\xff\xff\xff\xff\xff\x01"[..],
            ".lasting is a Duration whose",
        ),
        (b"\x12\x07\x62\x05\x0a\x03x/Y", ".inner.any is an Any of Y, which no .proto file"),
        (b"\x62\x03\x12\x01a", ".any is an Any that holds something and has no type"),
    ] {
        let told = decode(kind.clone(), bytes).map(|it| it.value.to_json()).unwrap_err();
        assert!(told.starts_with(expected), "{told}");
    }
    let read = decode(kind, b"\x62\x00").unwrap();
    assert_eq!(read.value.to_json(), r#"{"any":{}}"#);
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
    for (field, number, word) in [
        ("wrapped", Field::F64(f64::NAN), "NaN"),
        ("wrapped", Field::F64(f64::NEG_INFINITY), "-Infinity"),
        ("single", Field::F32(f32::INFINITY), "Infinity"),
    ] {
        let told = wrapped(field, number).unwrap().value.to_json();
        assert_eq!(told, format!(r#"{{"{field}":"{word}","raw":"AQI="}}"#));
    }
}
