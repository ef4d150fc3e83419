//! Checks for people, and as JUnit has them.

use std::fmt::Write as _;

use windlass_proto::xml::escaped as xml;

use super::Check;
use crate::output::printable;

/// A line for each check, and what was found of those that failed.
pub(super) fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    for it in checks {
        let word = if it.passed { "ok  " } else { "FAIL" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{word} {} (PROTOCOL.md: {})", it.check, it.paragraph);
        if let Some(found) = &it.found {
            let _ = writeln!(text, "       {}", printable(found));
        }
    }
    text
}

/// As JUnit has it, which tools of CI read.
pub(super) fn junit(checks: &[Check]) -> String {
    let failed = checks.iter().filter(|it| !it.passed).count();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        text,
        "<testsuites name=\"windlass\" tests=\"{total}\" failures=\"{failed}\" errors=\"0\">\n  \
         <testsuite name=\"worker check\" tests=\"{total}\" failures=\"{failed}\" errors=\"0\">",
        total = checks.len(),
    );
    for it in checks {
        let (name, class) = (escaped(it.check), escaped(it.paragraph));
        let _ = write!(text, "    <testcase name=\"{name}\" classname=\"{class}\"");
        match &it.found {
            Some(found) => {
                let found = escaped(found);
                let _ = writeln!(text, ">\n      <failure message=\"{found}\"/>\n    </testcase>");
            }
            None => text.push_str("/>\n"),
        }
    }
    text + "  </testsuite>\n</testsuites>\n"
}

fn escaped(text: &str) -> String {
    xml(&printable(text))
}

#[cfg(test)]
mod tests {
    use super::{Check, junit, text};

    #[test]
    fn checks_are_lines_and_cases() {
        let check = |passed, found: Option<&str>| Check {
            check: "a <b>",
            paragraph: "Beats",
            passed,
            found: found.map(str::to_owned),
        };
        let all = [check(true, None), check(false, Some("x\u{1b}\"y\""))];
        assert_eq!(
            text(&all),
            "ok   a <b> (PROTOCOL.md: Beats)\nFAIL a <b> (PROTOCOL.md: Beats)\n       x \"y\"\n"
        );
        let junit = junit(&all);
        assert!(junit.contains("tests=\"2\" failures=\"1\""), "{junit}");
        assert!(junit.contains("name=\"a &lt;b&gt;\" classname=\"Beats\"/>"), "{junit}");
        assert!(junit.contains("<failure message=\"x &quot;y&quot;\"/>"), "{junit}");
    }
}
