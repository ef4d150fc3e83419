//! Findings as people read them on a terminal.

use std::fmt::Write as _;

use super::source::lines;
use super::{Diagnostic, Severity};
use crate::limits;

impl Diagnostic {
    /// The finding with the line it is about, in the manner of rustc; plain text, no line end.
    #[must_use]
    pub fn render(&self, file: &str, text: &str) -> String {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let word = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let mut out = format!("{word}[{}]: {}", self.code, self.message);
        let gutter = self.line.to_string().len();
        let pad = " ".repeat(gutter);
        // Writing to a String cannot fail.
        let _ = write!(out, "\n{pad}--> {file}:{}:{}", self.line, self.column);
        if let Some(line) = lines(text).get(self.line.saturating_sub(1)) {
            let skipped = self.column.saturating_sub(limits::FINDING_COLUMNS / 2);
            let skipped = if line.chars().count() <= limits::FINDING_COLUMNS { 0 } else { skipped };
            let shown: String = line
                .chars()
                .skip(skipped)
                .take(limits::FINDING_COLUMNS)
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            let at = self.column.saturating_sub(1 + skipped);
            let length = self.length.min(shown.chars().count().saturating_sub(at)).max(1);
            let marks =
                format!("{}{}", " ".repeat(at.min(limits::FINDING_COLUMNS)), "^".repeat(length));
            let _ = write!(out, "\n{pad} |\n{} | {}", self.line, shown.trim_end());
            let _ = write!(out, "\n{pad} | {marks}");
        }
        if let Some(hint) = &self.hint {
            let _ = write!(out, "\n{pad} = hint: {hint}");
        }
        out
    }
}
