//! Arguments of a tool that its server wants repeated in headers, so that what stands before it can
//! decide by them: properties of the tool's schema with `x-mcp-header`.

use windlass_proto::limits;
use windlass_proto::value::Value;

/// The headers `Mcp-Param-…` for `arguments` of a tool with this schema; a property below one that
/// is no object, or whose argument is not given, has none.
pub(super) fn headers(schema: &Value, arguments: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(schema, arguments, limits::MCP_PARAMETER_LEVELS, &mut found);
    found
}

fn collect(schema: &Value, given: &Value, levels: usize, found: &mut Vec<(String, String)>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    let Some(levels) = levels.checked_sub(1) else { return };
    for (name, property) in properties.into_iter().flatten() {
        let Some(value) = given.get(name) else { continue };
        let token = property.get("x-mcp-header").and_then(Value::as_str);
        if let (Some(token), Some(text)) = (token, text_of(value)) {
            found.push((format!("mcp-param-{}", token.to_ascii_lowercase()), text));
        }
        collect(property, value, levels, found);
    }
}

/// What can stand in a header.
fn text_of(value: &Value) -> Option<String> {
    let is_scalar = !matches!(value, Value::Null | Value::Array(_) | Value::Object(_));
    is_scalar.then(|| value.to_text())
}

#[cfg(test)]
mod tests {
    use super::headers;
    use crate::testing::json;

    #[test]
    fn marked_arguments_that_are_given_are_repeated() {
        let schema = json(
            r#"{"properties": {
                "region": {"type": "string", "x-mcp-header": "Region"},
                "plain": {"type": "string"},
                "away": {"type": "string", "x-mcp-header": "Away"},
                "nothing": {"type": "string", "x-mcp-header": "Nothing"},
                "list": {"type": "string", "x-mcp-header": "List"},
                "inner": {"properties": {"dry": {"type": "boolean", "x-mcp-header": "Dry"}}}
            }}"#,
        );
        let given = json(
            r#"{"region": "größe", "plain": "x", "nothing": null, "list": [1],
                "inner": {"dry": false}}"#,
        );
        let expected = [("mcp-param-region", "größe"), ("mcp-param-dry", "false")];
        let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(headers(&schema, &given), expected);
        assert!(headers(&json("{}"), &given).is_empty());
    }
}
