//! Patterns with look-around or back-references, which no automaton finds.
//!
//! A search may take exponential time, so it is bounded by how often it goes back, and what that
//! may cost is charged before.

use std::ops::Range;

use fancy_regex::{Regex, RegexBuilder};
use jaq_core::Error;

use super::regex::Flags;
use crate::expression::meter;
use crate::limits;
use crate::value::Value;

/// A compiled pattern.
pub(super) struct Backtracking(Regex);

/// Where a match and its groups are, with the groups' names.
pub(super) type Groups<'a> = Vec<(Option<Range<usize>>, Option<&'a str>)>;

impl Backtracking {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub(super) fn new(pattern: &str, flags: Flags) -> Result<Self, String> {
        RegexBuilder::new(pattern)
            .case_insensitive(flags.ignore_case)
            .dot_matches_new_line(flags.any_newline)
            .ignore_whitespace(flags.extended)
            .backtrack_limit(limits::BACKTRACKS)
            .delegate_size_limit(limits::REGEX_BYTES)
            .delegate_dfa_size_limit(limits::REGEX_BYTES)
            .max_prog_size(limits::BACKTRACKING_INSTRUCTIONS)
            .build()
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// The match in `text` from `from` on, and its groups.
    ///
    /// # Errors
    /// When the text is too long, or the search goes back too often.
    pub(super) fn find(
        &self,
        text: &str,
        from: usize,
    ) -> Result<Option<(Range<usize>, Groups<'_>)>, Error<Value>> {
        if text.len() > limits::BACKTRACKING_TEXT_BYTES {
            return Err(Error::str(format_args!(
                "a pattern with look-around or back-references is only searched for in texts of up to \
                 {} bytes",
                limits::BACKTRACKING_TEXT_BYTES
            )));
        }
        // Going back may search the rest of the text anew.
        let rest = text.len().saturating_sub(from) as u64;
        meter::step(limits::BACKTRACKS as u64 / 8 * (1 + rest / 64));
        let found = self.0.captures_from_pos(text, from).map_err(|_| {
            Error::str(format_args!(
                "the pattern {:?} goes back more than {} times: make its repetitions exclude each other",
                self.0.as_str(),
                limits::BACKTRACKS
            ))
        })?;
        Ok(found.map(|captures| {
            let whole = captures.get(0).map_or(from..from, |it| it.range());
            let names = self.0.capture_names().enumerate().skip(1);
            let groups = names.map(|(at, name)| (captures.get(at).map(|it| it.range()), name));
            (whole, groups.collect())
        }))
    }
}
