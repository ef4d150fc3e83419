use super::in_header;

#[test]
fn what_no_header_may_have_is_encoded() {
    for (text, expected) in [
        ("add", "add"),
        ("notes://today?a=b c", "notes://today?a=b c"),
        ("größe", "=?base64?Z3LDtsOfZQ==?="),
        (" add", "=?base64?IGFkZA==?="),
        ("a\nb", "=?base64?YQpi?="),
        ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
    ] {
        assert_eq!(in_header(text), expected);
    }
}
