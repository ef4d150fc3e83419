//! Surrogate pairs of JSON in double-quoted scalars of YAML, which has no such escapes:
//! `"\ud83d\ude00"`.

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Characters of a pair.
const PAIR: usize = 12;

/// The same text with the pairs in double-quoted scalars joined; `None` when there are none, or it
/// is no YAML for other reasons. In other scalars a backslash is a backslash.
pub(super) fn joined(text: &str) -> Option<String> {
    // First with letters in their place, for the places of the quoted scalars.
    let mut lettered = String::with_capacity(text.len());
    let mut rest = text;
    let mut found = false;
    while let Some(c) = rest.chars().next() {
        let pair = c == '\\' && surrogate_pair(rest).is_some();
        found |= pair;
        let taken = if pair { PAIR } else { c.len_utf8() };
        match pair {
            true => lettered.push_str(&"x".repeat(PAIR)),
            false => lettered.push(c),
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    if !found {
        return None;
    }
    let quoted = quoted(&lettered)?;
    let mut quoted = quoted.iter().peekable();
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut at) = (text, 0);
    while let Some(c) = rest.chars().next() {
        while quoted.next_if(|(_, end)| *end <= at).is_some() {}
        let inside = quoted.peek().is_some_and(|(start, _)| *start <= at);
        let (taken, characters) = match surrogate_pair(rest).filter(|_| inside) {
            Some(character) => {
                out.push_str(&format!("\\U{:08X}", u32::from(character)));
                (PAIR, PAIR)
            }
            None => {
                out.push(c);
                (c.len_utf8(), 1)
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
        at += characters;
    }
    Some(out)
}

/// Where double-quoted scalars begin and end, in characters.
fn quoted(text: &str) -> Option<Vec<(usize, usize)>> {
    let mut quoted = Vec::new();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.ok()?;
        if matches!(event, Event::Scalar(_, ScalarStyle::DoubleQuoted, ..)) {
            quoted.push((span.start.index(), span.end.index()));
        }
    }
    Some(quoted)
}

/// The character of `\uD83D\uDE00` at the start of `text`.
pub(super) fn surrogate_pair(text: &str) -> Option<char> {
    let unit = |from: usize| {
        let escape = text.get(from..from + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(escape, 16).ok()
    };
    let (high, low) = (unit(0)?, unit(6)?);
    if !(0xd800..0xdc00).contains(&high) {
        return None;
    }
    char::decode_utf16([high, low]).next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn pairs_are_joined_in_double_quotes_alone() {
        let pair = r"\ud83d\ude00";
        let text = format!(
            "é: \"{pair} \\n{pair}\"\nb: '{pair}'\nc: {pair}\nd: |\n  \"{pair}\"\ne: {{\"f\": \"{pair}\"}}\n"
        );
        let wanted = format!(
            "é: \"\\U0001F600 \\n\\U0001F600\"\nb: '{pair}'\nc: {pair}\nd: |\n  \"{pair}\"\n\
             e: {{\"f\": \"\\U0001F600\"}}\n"
        );
        assert_eq!(joined(&text), Some(wanted));
        for none in ["a: \"\\u00e9\"", "a: \"\\ud83d\"", "a: [\"\\ud83d\\ude00\""] {
            assert_eq!(joined(none), None, "{none}");
        }
    }
}
