//! Looking for all forms of all secrets at once.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Match, MatchKind};
use windlass_proto::limits;
use zeroize::Zeroizing;

use super::forms::Form;
use super::unescape::each_reading;

/// Finds secrets in one pass over a text, however many there are and however large they are: of a
/// long one its beginning is looked for.
///
/// There are two automata. One tells whether there is a secret at all: it skips over most of a text
/// at the speed of memory, fifty times as fast as the other, which tells which ones and where. That
/// is rarely wanted to know, and made only then. Both keep what they look for in memory of their
/// own, which is not wiped.
pub(super) struct Matcher {
    /// None if it could not be made: then everything counts as a secret.
    any: Option<AhoCorasick>,
    all: OnceLock<Option<AhoCorasick>>,
    patterns: Vec<Zeroizing<String>>,
    needles: Vec<Needle>,
    texts: Vec<Zeroizing<String>>,
}

/// What is looked for: the beginning of these forms of this secret.
struct Needle {
    secret: usize,
    forms: Vec<Form>,
}

impl Matcher {
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let texts: Vec<_> = secrets.map(|it| Zeroizing::new(it.to_owned())).collect();
        let mut patterns: Vec<Zeroizing<String>> = Vec::new();
        let mut needles: Vec<Needle> = Vec::new();
        for (secret, text) in texts.iter().enumerate() {
            let first = patterns.len();
            for form in Form::all() {
                let pattern = Zeroizing::new(form.of(head(text)));
                if pattern.len() < limits::SECRET_SHORTEST_BYTES {
                    continue;
                }
                // Most forms of most secrets are the same.
                let same = patterns[first..].iter().position(|it| **it == *pattern);
                match same.and_then(|at| needles.get_mut(first + at)) {
                    Some(needle) => needle.forms.push(form),
                    None => {
                        patterns.push(pattern);
                        needles.push(Needle { secret, forms: vec![form] });
                    }
                }
            }
        }
        // Only of this kind it can skip.
        let any = automaton(&patterns, MatchKind::LeftmostFirst);
        Self { any, all: OnceLock::new(), patterns, needles, texts }
    }

    fn all(&self) -> Option<&AhoCorasick> {
        self.all.get_or_init(|| automaton(&self.patterns, MatchKind::Standard)).as_ref()
    }

    /// True when a secret is in `text`.
    pub(super) fn finds(&self, text: &str) -> bool {
        let Some(automaton) = &self.any else { return true };
        let mut finds = automaton.is_match(text);
        if !finds {
            each_reading(text, false, |it| {
                finds = automaton.is_match(&it.bytes);
                finds
            });
        }
        finds
    }

    /// The numbers of the secrets in `text`, in order.
    pub(super) fn found(&self, text: &str) -> Vec<usize> {
        let Some(automaton) = self.all() else { return (0..self.texts.len()).collect() };
        let mut found: HashSet<usize> = HashSet::new();
        let mut search = |bytes: &[u8]| {
            for hit in automaton.find_overlapping_iter(bytes) {
                found.extend(self.needles.get(hit.pattern().as_usize()).map(|it| it.secret));
                if found.len() == self.texts.len() {
                    return true;
                }
            }
            false
        };
        if !search(text.as_bytes()) {
            each_reading(text, false, |it| search(&it.bytes));
        }
        let mut found: Vec<usize> = found.into_iter().collect();
        found.sort_unstable();
        found
    }

    /// `text` with `shown` in the place of secrets; where they overlap or touch, once.
    pub(super) fn replaced(&self, text: &str, shown: &str) -> String {
        if !self.finds(text) {
            return text.to_owned();
        }
        let Some(automaton) = self.all() else { return shown.to_owned() };
        let mut spans = self.spans(automaton, text.as_bytes());
        each_reading(text, true, |reading| {
            let found = self.spans(automaton, &reading.bytes).into_iter();
            spans.extend(found.map(|(start, end)| (reading.place(start), reading.place(end))));
            false
        });
        spans.sort_unstable();
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for (index, (start, end)) in spans.iter().enumerate() {
            if *start > done || index == 0 {
                out.push_str(text.get(done..*start).unwrap_or_default());
                out.push_str(shown);
            }
            done = done.max(*end);
        }
        out.push_str(text.get(done..).unwrap_or_default());
        out
    }

    /// Where secrets begin and end.
    fn spans(&self, automaton: &AhoCorasick, bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut wholes: HashMap<usize, Vec<Zeroizing<String>>> = HashMap::new();
        let span = |hit: Match| {
            let number = hit.pattern().as_usize();
            let wholes = wholes.entry(number).or_insert_with(|| self.wholes(number));
            let rest = bytes.get(hit.start()..).unwrap_or_default();
            let same = wholes.iter().map(|whole| common(whole, rest)).max().unwrap_or(0);
            (hit.start(), hit.end().max(hit.start() + same))
        };
        automaton.find_overlapping_iter(bytes).map(span).collect()
    }

    /// The whole forms of which a needle is the beginning; none where it is all.
    fn wholes(&self, needle: usize) -> Vec<Zeroizing<String>> {
        let Some(needle) = self.needles.get(needle) else { return Vec::new() };
        match self.texts.get(needle.secret) {
            Some(text) if text.len() > limits::SECRET_HEAD_BYTES => {
                needle.forms.iter().map(|form| Zeroizing::new(form.of(text))).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn automaton(patterns: &[Zeroizing<String>], kind: MatchKind) -> Option<AhoCorasick> {
    AhoCorasick::builder()
        // The other kind takes memory out of proportion to what is looked for.
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .match_kind(kind)
        .build(patterns.iter().map(|it| it.as_bytes()))
        .ok()
}

/// The beginning by which a secret is recognised.
fn head(text: &str) -> &str {
    let mut end = text.len().min(limits::SECRET_HEAD_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Bytes that both begin with, up to the end of a character.
fn common(whole: &str, bytes: &[u8]) -> usize {
    let mut same = whole.bytes().zip(bytes).take_while(|(a, b)| a == *b).count();
    while !whole.is_char_boundary(same) {
        same -= 1;
    }
    same
}
