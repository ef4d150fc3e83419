//! Data inside a literal URI: behind the authority it is percent-encoded, so that no sign in it
//! separates anything, and before that it may not bring what ends an authority.
//!
//! Encoding cannot help with `.` and `..`, which URLs resolve even where they are encoded: data
//! that makes a segment of the path one of these is refused.

use std::ops::Range;

use percent_encoding::utf8_percent_encode;

use super::RESERVED;
use crate::expression::EvaluationError;

/// What ends an authority. Clients read `\` as `/`.
const ENDS: [char; 4] = ['/', '?', '#', '\\'];

/// A URI that is being put together.
#[derive(Default)]
pub(super) struct Assembly {
    uri: String,
    /// Where data stands in it that can hold any sign.
    data: Vec<Range<usize>>,
    /// Where data stands in it whose signs are encoded: what separates there is the author's.
    encoded: Vec<Range<usize>>,
}

impl Assembly {
    /// Where to append what the author wrote.
    pub(super) fn literal(&mut self) -> &mut String {
        &mut self.uri
    }

    /// Appends data as it is: where it is no part of an address, or its expression has encoded it.
    pub(super) fn raw(&mut self, text: &str) {
        let start = self.uri.len();
        self.uri.push_str(text);
        self.data.push(start..self.uri.len());
    }

    /// Appends what the braces around `body` expand to.
    pub(super) fn expanded<E>(
        &mut self,
        body: &str,
        expand: impl FnOnce(&mut String) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.uri.len();
        expand(&mut self.uri)?;
        let end = self.uri.len();
        match body.chars().next() {
            Some('+') => self.data.push(start..end),
            // The first sign is the operator's.
            Some('#') => self.data.push(end.min(start + 1)..end),
            _ => self.encoded.push(start..end),
        }
        Ok(())
    }

    /// Appends data, encoded when the authority is complete.
    pub(super) fn data(&mut self, text: &str) {
        if self.has_authority() {
            let encoded = utf8_percent_encode(text, RESERVED).to_string();
            self.raw(&encoded);
        } else {
            self.raw(text);
        }
    }

    /// True when what comes next still says who is called and for what: neither query nor fragment.
    pub(super) fn is_address(&self) -> bool {
        !self.uri.contains(['?', '#'])
    }

    /// True when what comes next is path, query or fragment.
    fn has_authority(&self) -> bool {
        match self.uri.split_once("://") {
            Some((scheme, rest)) if !scheme.contains(ENDS) => rest.contains(ENDS),
            _ => self.uri.starts_with(ENDS),
        }
    }

    /// The URI.
    ///
    /// # Errors
    /// When data in it would change what is called.
    pub(super) fn finish(self) -> Result<String, EvaluationError> {
        let authority = self.authority();
        self.check_authority(&authority)?;
        self.check_path(authority.end)?;
        Ok(self.uri)
    }

    /// The authority as the author wrote it, data in it being what it may; empty where there is
    /// none, or where data began it.
    fn authority(&self) -> Range<usize> {
        let written = |at: usize| !self.data.iter().any(|data| data.contains(&at));
        let scheme = self.uri.find("://").filter(|at| {
            let before = self.uri.get(..*at).unwrap_or_default();
            written(*at) && !before.contains(ENDS)
        });
        let Some(start) = scheme.map(|at| at + "://".len()) else { return 0..0 };
        let rest = self.uri.char_indices().skip_while(|(at, _)| *at < start);
        let mut ends = rest.filter(|(at, c)| ENDS.contains(c) && written(*at));
        start..ends.next().map_or(self.uri.len(), |(at, _)| at)
    }

    fn check_authority(&self, authority: &Range<usize>) -> Result<(), EvaluationError> {
        let inside = self.data.iter().filter(|data| {
            data.start >= authority.start && data.end <= authority.end && *data != authority
        });
        for data in inside {
            let text = self.uri.get(data.clone()).unwrap_or_default();
            if text.contains(ENDS) || text.contains('@') {
                return Err(EvaluationError::new(
                    "data in the host of an endpoint has one of `/`, `?`, `#`, `@` and `\\`, which would \
                     call another host: make the whole endpoint one expression to allow it"
                        .to_owned(),
                ));
            }
        }
        Ok(())
    }

    fn check_path(&self, start: usize) -> Result<(), EvaluationError> {
        let rest = self.uri.get(start..).unwrap_or_default();
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        let mut at = start;
        for segment in path.split(['/', '\\']) {
            let end = at + segment.len();
            let inside =
                |data: &Range<usize>| !data.is_empty() && data.start <= end && data.end >= at;
            let has_data = self.data.iter().chain(&self.encoded).any(inside);
            let plain = segment.to_ascii_lowercase().replace("%2e", ".");
            if has_data && matches!(&*plain, "." | "..") {
                return Err(EvaluationError::new(format!(
                    "data makes a part of the endpoint's path `{plain}`, which would call another path"
                )));
            }
            at = end + 1;
        }
        Ok(())
    }
}
