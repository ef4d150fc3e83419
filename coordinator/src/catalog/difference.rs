//! How two texts of a definition differ.

use std::time::Duration;

use similar::TextDiff;
use windlass_proto::limits::{DIFFERENCE_BYTES, DIFFERENCE_CONTEXT, DIFFERENCE_MS};

/// The lines that differ, in the unified format, with some around them; cut when they are many.
#[must_use]
pub fn difference(before: &str, after: &str) -> String {
    let mut options = TextDiff::configure();
    // Past it the difference is right all the same, and longer than it need be.
    options.timeout(Duration::from_millis(DIFFERENCE_MS));
    let found = options.diff_lines(before, after);
    let mut text = found.unified_diff().context_radius(DIFFERENCE_CONTEXT).to_string();
    if text.len() > DIFFERENCE_BYTES {
        let lines = text.char_indices().take_while(|(at, _)| *at < DIFFERENCE_BYTES);
        let end = lines.filter(|(_, sign)| *sign == '\n').last().map_or(0, |(at, _)| at + 1);
        text.truncate(end);
        text.push_str("...\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use windlass_proto::limits::DIFFERENCE_BYTES;

    use super::difference;

    #[test]
    fn lines_that_differ_are_shown_and_many_are_cut() {
        let text = difference("a: 1\nb: 2\nc: 3\n", "a: 1\nb: 4\nc: 3\n");
        assert!(text.contains("-b: 2\n+b: 4\n") && text.starts_with("@@ "), "{text}");
        assert_eq!(difference("a\n", "a\n"), "");
        let many = |sign: &str| (0..50_000).map(|it| format!("{sign}{it}\n")).collect::<String>();
        let text = difference(&many("a"), &many("b"));
        assert!(text.len() <= DIFFERENCE_BYTES + 4 && text.ends_with("\n...\n"), "{}", text.len());
    }
}
