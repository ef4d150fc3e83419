//! JSON that a YAML parser stumbles over: tabs between tokens, surrogate pairs in strings.

use super::pairs::surrogate_pair;

/// The same document with tabs turned to spaces and surrogate pairs joined; `None` when the text
/// is not JSON or needs neither.
pub(super) fn as_yaml(text: &str) -> Option<String> {
    if !text.trim_start().starts_with(['{', '[']) || !(text.contains('\t') || text.contains("\\u"))
    {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut quoted = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '"' => {
                quoted = !quoted;
                out.push(c);
            }
            '\t' if !quoted => out.push(' '),
            '\\' if quoted => match surrogate_pair(rest) {
                Some(joined) => {
                    out.push_str(&format!("\\U{:08X}", u32::from(joined)));
                    taken = 12;
                }
                None => {
                    out.push(c);
                    if let Some(escaped) = rest.chars().nth(1) {
                        out.push(escaped);
                        taken += escaped.len_utf8();
                    }
                }
            },
            _ => out.push(c),
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    Some(out)
}
