//! Small YAML texts (the expectations of feature files) as JSON.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// The first document of `text`. No aliases, no tags: expectations have none.
pub(crate) fn parse(text: &str) -> Value {
    let mut events = Vec::new();
    for next in Parser::new_from_str(text) {
        let (event, _) = next.unwrap_or_else(|error| panic!("not YAML ({error}):\n{text}"));
        match event {
            Event::Scalar(value, style, _, _) => events.push(Node::Scalar(scalar(&value, style))),
            Event::SequenceStart(..) => events.push(Node::Sequence),
            Event::MappingStart(..) => events.push(Node::Mapping),
            Event::SequenceEnd | Event::MappingEnd => events.push(Node::End),
            Event::Alias(_) => panic!("an alias in an expectation:\n{text}"),
            _ => {}
        }
    }
    let mut events = events.into_iter();
    build(&mut events).unwrap_or(Value::Null)
}

enum Node {
    Scalar(Value),
    Sequence,
    Mapping,
    End,
}

/// The next value, or `None` at the end of a collection.
fn build(events: &mut impl Iterator<Item = Node>) -> Option<Value> {
    match events.next()? {
        Node::Scalar(value) => Some(value),
        Node::End => None,
        Node::Sequence => {
            let mut items = Vec::new();
            while let Some(item) = build(events) {
                items.push(item);
            }
            Some(Value::Array(items))
        }
        Node::Mapping => {
            let mut fields = Map::new();
            while let Some(key) = build(events) {
                let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                fields.insert(key, build(events).unwrap_or(Value::Null));
            }
            Some(Value::Object(fields))
        }
    }
}

/// A scalar by the core schema of YAML 1.2.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::from(text);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::from(number);
    }
    let numeric = text.starts_with(|it: char| it.is_ascii_digit() || "+-.".contains(it));
    match text.parse::<f64>() {
        Ok(number) if numeric && number.is_finite() => Value::from(number),
        _ => Value::from(text),
    }
}

#[test]
fn scalars_get_the_types_of_the_core_schema() {
    let parsed = parse("a: 1\nb: '1'\nc: [red, 1.5, true, null]\nd:\n  version: 1.0.0\n");
    let wanted = serde_json::json!(
        {"a": 1, "b": "1", "c": ["red", 1.5, true, null], "d": {"version": "1.0.0"}}
    );
    assert_eq!(parsed, wanted);
    assert_eq!(parse("1\n"), Value::from(1));
}
