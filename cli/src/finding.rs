//! What `windlass explain` says of the findings of definitions.

use windlass_proto::definition;

/// What a finding's code means.
pub(crate) fn explain(code: &str) -> Option<String> {
    let text = definition::explain(code)?;
    Some(format!("{code}: {}\n\n{text}\n", title(text)))
}

/// Code and title of every finding, in the order of codes.
pub(crate) fn codes() -> impl Iterator<Item = (&'static str, &'static str)> {
    definition::codes().map(|(code, text)| (code, title(text)))
}

/// What a finding's explanation begins with: what is the matter, without examples and advice.
fn title(text: &str) -> &str {
    let (mut quoted, mut nested) = (false, 0_u32);
    for (at, letter) in text.char_indices() {
        let rest = &text[at..];
        match letter {
            '`' => quoted = !quoted,
            '(' => nested += 1,
            ')' => nested = nested.saturating_sub(1),
            _ if quoted || nested > 0 => {}
            '.' | ':' | ';' if rest[1..].starts_with(' ') => return &text[..at],
            ',' if rest.starts_with(", such as") || rest.starts_with(", as in") => {
                return &text[..at];
            }
            _ => {}
        }
    }
    text.trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::{codes, title};

    #[test]
    fn titles_are_what_an_explanation_begins_with() {
        assert_eq!(
            title("A `a: b` is set (a. b) twice, such as c. No."),
            "A `a: b` is set (a. b) twice"
        );
        assert_eq!(title("A text is odd: names. More."), "A text is odd");
        assert_eq!(title("Only this."), "Only this");
        for (code, title) in codes() {
            assert!((8..200).contains(&title.len()), "{code}: {title}");
        }
    }
}
