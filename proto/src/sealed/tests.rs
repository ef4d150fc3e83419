use std::sync::Arc;

use super::{SHOWN, Sealed, Value};
use crate::id::InstanceId;

fn sealed(ciphertext: &[u8]) -> Value {
    Value::Sealed(Arc::new(Sealed {
        key: "k1".into(),
        namespace: "acme".into(),
        instance: InstanceId(uuid::Uuid::from_u128(7)),
        ciphertext: ciphertext.to_vec(),
    }))
}

fn holder() -> Value {
    Value::object([
        ("plain", Value::from("text")),
        ("list", Value::from(vec![sealed(b"first"), Value::Int(1)])),
        ("token", sealed(b"second")),
    ])
}

fn packed(value: &Value) -> Vec<u8> {
    rmp_serde::to_vec(value).unwrap()
}

fn unpacked(bytes: &[u8]) -> Result<Value, rmp_serde::decode::Error> {
    rmp_serde::from_slice(bytes)
}

#[test]
fn only_messagepack_holds_the_ciphertext() {
    let value = holder();
    let back = unpacked(&packed(&value)).unwrap();
    assert_eq!(back, value);
    assert!(back.has_sealed());
    let shown = format!(r#"{{"plain":"text","list":["{SHOWN}",1],"token":"{SHOWN}"}}"#);
    assert_eq!(value.to_json(), shown);
    assert_eq!(serde_json::to_string(&value).unwrap(), shown);
    assert_eq!(value.to_string(), shown);
    assert_eq!(sealed(b"x").to_text(), SHOWN);
    assert_eq!(sealed(b"x").to_string(), format!("{SHOWN:?}"));
}

#[test]
fn what_was_recorded_is_still_read() {
    // Written by the first version that seals.
    let recorded = b"\xc4\x41\0\x84\xa3key\xa2k1\xa9namespace\xa4acme\xa8instance\xc4\x10\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\xaaciphertext\xc4\x01x";
    assert_eq!(packed(&sealed(b"x")), recorded);
    assert_eq!(unpacked(recorded).unwrap(), sealed(b"x"));
}

#[test]
fn nothing_else_is_taken_for_a_sealed_value() {
    assert_eq!(Value::from_json(&format!("{SHOWN:?}")).unwrap(), Value::from(SHOWN));
    assert!(!Value::from_json(&holder().to_json()).unwrap().has_sealed());
    let again: Value = serde_json::from_str(&serde_json::to_string(&holder()).unwrap()).unwrap();
    assert!(!again.has_sealed());
    let big = Value::from_json("123456789012345678901234567890").unwrap();
    assert_eq!(unpacked(&packed(&big)).unwrap(), big);
    for bytes in [&b"\xc4\0"[..], b"\xc4\x01\0", b"\xc4\x03\0\x90\x90", b"\xc4\x02\0\x80"] {
        assert!(unpacked(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn it_is_found_counted_and_replaced_at_any_depth() {
    let value = holder();
    let mut found = Vec::new();
    value.each_sealed(&mut |it| found.push(it.ciphertext.clone()));
    assert_eq!(found, [b"first".to_vec(), b"second".to_vec()]);
    assert!(value.weight() > Value::from_json(&value.to_json()).unwrap().weight());
    let large = sealed(&[0; 5000]);
    assert!(large.weight() > 5000, "the ciphertext counts");
    let opened =
        value.map_sealed(&mut |it| Value::from(String::from_utf8(it.ciphertext.clone()).unwrap()));
    let expected = r#"{"plain":"text","list":["first",1],"token":"second"}"#;
    assert_eq!(opened.to_json(), expected);
    assert!(!opened.has_sealed());
}

#[test]
fn outside_of_evaluations_it_compares_by_what_is_there() {
    assert_eq!(sealed(b"a"), sealed(b"a"));
    assert_ne!(sealed(b"a"), sealed(b"b"));
    assert_ne!(sealed(b"a"), Value::from("a"));
    assert!(sealed(b"a") > Value::from("a") && sealed(b"a") < Value::array(Vec::new()));
    assert!(sealed(b"a").is_truthy() && sealed(b"a").as_str().is_none());
}
