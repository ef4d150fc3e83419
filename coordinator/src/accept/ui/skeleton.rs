//! An input to begin with, made of the schema that inputs have to fit.

use serde_json::{Map, Value as Json, json};
use windlass_proto::limits::{UI_FORM_LEVELS, UI_FORM_MEMBERS};
use windlass_proto::value::Value;

/// An input with the members that a schema names; `{}` where there is none.
pub(super) fn skeleton(definition: &Value) -> String {
    let schema = definition.get("input").and_then(|it| it.get("schema"));
    let schema = schema.and_then(|it| it.get("document"));
    let input = schema.map_or_else(|| json!({}), |it| of(it, UI_FORM_LEVELS));
    let input = if input.is_object() { input } else { json!({}) };
    serde_json::to_string_pretty(&input).unwrap_or_default()
}

/// A value with the members that a schema names.
pub(super) fn of_schema(schema: &Value) -> String {
    serde_json::to_string_pretty(&of(schema, UI_FORM_LEVELS)).unwrap_or_default()
}

fn of(schema: &Value, levels: u8) -> Json {
    let given = ["default", "const"].into_iter().find_map(|it| schema.get(it));
    let listed = ["examples", "enum"].into_iter();
    let listed = listed.filter_map(|it| schema.get(it)?.as_array()?.first()).next();
    if let Some(value) = given.or(listed) {
        return serde_json::to_value(value).unwrap_or_default();
    }
    let kind = schema.get("type");
    let kind = kind.and_then(|it| it.as_str().or_else(|| it.as_array()?.first()?.as_str()));
    let properties = schema.get("properties").and_then(Value::as_object);
    match (kind, properties) {
        (_, Some(properties)) if levels > 0 => {
            let members = properties.iter().take(UI_FORM_MEMBERS);
            let members: Map<String, Json> =
                members.map(|(name, it)| (name.to_string(), of(it, levels - 1))).collect();
            Json::Object(members)
        }
        (Some("string"), _) => json!(""),
        (Some("integer" | "number"), _) => json!(0),
        (Some("boolean"), _) => json!(false),
        (Some("array"), _) => json!([]),
        (Some("object"), _) => json!({}),
        _ => Json::Null,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value as Json, json};
    use windlass_proto::value::Value;

    use super::skeleton;

    #[test]
    fn an_input_has_what_the_schema_names() {
        let definition = r#"{"input": {"schema": {"document": {"type": "object", "properties": {
            "order": {"type": "integer"}, "note": {"type": ["string", "null"]},
            "speed": {"enum": ["slow", "fast"]}, "paid": {"type": "boolean", "default": true},
            "to": {"properties": {"city": {"type": "string"}}}, "any": {}}}}}}"#;
        let made = skeleton(&Value::from_json(definition).unwrap());
        let expected = json!({"order": 0, "note": "", "speed": "slow", "paid": true,
            "to": {"city": ""}, "any": null});
        assert_eq!(serde_json::from_str::<Json>(&made).unwrap(), expected);
        assert_eq!(skeleton(&Value::empty_object()), "{}");
        let odd = r#"{"input": {"schema": {"document": {"type": "array"}}}}"#;
        assert_eq!(skeleton(&Value::from_json(odd).unwrap()), "{}");
    }
}
