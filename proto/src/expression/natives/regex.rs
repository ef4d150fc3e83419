//! Regular expressions in linear time; those with look-around or back-references within bounds.
//!
//! A lazy automaton searches; it gives up instead of thrashing, and then a slower machine whose
//! worst case is charged in full takes over. A pattern that no automaton can find goes to
//! [`super::backtracking`].

use std::cell::RefCell;
use std::rc::Rc;

use jaq_core::native::{Fun, bome, run, v};
use jaq_core::{Error, ValR};
use regex_automata::hybrid::{dfa, regex as lazy};
use regex_automata::nfa::thompson::{self, pikevm};
use regex_automata::util::{primitives::PatternID, syntax};
use regex_automata::{Anchored, Input, Span};

use super::backtracking::Backtracking;
use super::text::text;
use crate::expression::engine::Jq;
use crate::expression::meter;
use crate::limits;
use crate::value::Value;

pub(super) fn all() -> Vec<Fun<Jq>> {
    vec![
        run(("_capture", v(0), |cv| bome(capture(&cv.1)))),
        run(("_matches", v(2), |mut cv| {
            let flags = cv.0.pop_var();
            let pattern = cv.0.pop_var();
            bome(matches(&cv.1, &pattern, &flags))
        })),
        run(("_test", v(2), |mut cv| {
            let flags = cv.0.pop_var();
            let pattern = cv.0.pop_var();
            bome(test(&cv.1, &pattern, &flags))
        })),
        run(("_split", v(2), |mut cv| {
            let flags = cv.0.pop_var();
            let pattern = cv.0.pop_var();
            bome(split(&cv.1, &pattern, &flags))
        })),
    ]
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Flags {
    global: bool,
    skip_empty: bool,
    pub(super) ignore_case: bool,
    pub(super) any_newline: bool,
    pub(super) extended: bool,
}

impl Flags {
    fn parse(value: &Value) -> Result<Self, Error<Value>> {
        let mut flags = Self::default();
        if value.is_null() {
            return Ok(flags);
        }
        for flag in text(value, "the flags of a regular expression")?.chars() {
            match flag {
                'g' => flags.global = true,
                'n' => flags.skip_empty = true,
                'i' => flags.ignore_case = true,
                'x' => flags.extended = true,
                's' | 'p' => flags.any_newline = true,
                'l' => {}
                other => {
                    return Err(Error::str(format_args!(
                        "{other:?} is not a flag of regular expressions (use g, i, n, p, s, x)"
                    )));
                }
            }
        }
        Ok(flags)
    }
}

struct Compiled {
    pattern: String,
    flags: Flags,
    machine: Machine,
}

/// What finds a pattern.
enum Machine {
    Linear(Box<Linear>),
    Backtracking(Backtracking),
}

/// A match with the groups in it, and their names.
type Found<'a> = (Span, Vec<(Option<Span>, Option<&'a str>)>);

struct Linear {
    search: lazy::Regex,
    search_cache: RefCell<lazy::Cache>,
    groups: pikevm::PikeVM,
    groups_cache: RefCell<pikevm::Cache>,
    states: u64,
}

thread_local! {
    /// The expressions used last on this thread.
    static RECENT: RefCell<Vec<Rc<Compiled>>> = const { RefCell::new(Vec::new()) };
}

fn compile(pattern: &Value, flags: Flags) -> Result<Rc<Compiled>, Error<Value>> {
    let pattern = text(pattern, "a regular expression")?;
    // Whether it finds all matches or some does not matter to the automaton.
    let flags = Flags { global: false, skip_empty: false, ..flags };
    let kept = RECENT.with(|recent| {
        let mut recent = recent.borrow_mut();
        let at = recent.iter().position(|it| it.flags == flags && it.pattern == pattern)?;
        let found = recent.remove(at);
        recent.push(Rc::clone(&found));
        Some(found)
    });
    meter::scan(pattern.len());
    if let Some(kept) = kept {
        return Ok(kept);
    }
    meter::step(200 + pattern.len() as u64);
    let compiled = Compiled::new(pattern, flags)
        .map_err(|error| Error::str(format_args!("not a regular expression: {error}")))?;
    if let Machine::Linear(linear) = &compiled.machine {
        meter::step(linear.states / 4);
    }
    let compiled = Rc::new(compiled);
    RECENT.with(|recent| {
        let mut recent = recent.borrow_mut();
        if recent.len() == limits::REGEX_KEPT {
            recent.remove(0);
        }
        recent.push(Rc::clone(&compiled));
    });
    Ok(compiled)
}

impl Compiled {
    fn new(pattern: &str, flags: Flags) -> Result<Self, String> {
        let syntax = syntax::Config::new()
            .case_insensitive(flags.ignore_case)
            .dot_matches_new_line(flags.any_newline)
            .ignore_whitespace(flags.extended)
            .nest_limit(50);
        let machine = match syntax::parse_with(pattern, &syntax) {
            Ok(_) => Machine::Linear(Box::new(Linear::new(pattern, syntax)?)),
            Err(error) => match Backtracking::new(pattern, flags) {
                Ok(backtracking) => Machine::Backtracking(backtracking),
                Err(_) => return Err(explain(&error)),
            },
        };
        Ok(Self { pattern: pattern.to_owned(), flags, machine })
    }

    /// Calls `each` with all matches, or the first.
    fn each(
        &self,
        text: &str,
        flags: Flags,
        mut each: impl FnMut(Found<'_>),
    ) -> Result<(), Error<Value>> {
        let mut from = 0;
        while from <= text.len() {
            let found = match &self.machine {
                Machine::Linear(linear) => linear.find(text, from).map(|span| (span, None)),
                Machine::Backtracking(backtracking) => {
                    let found = backtracking.find(text, from)?;
                    found.map(|(range, groups)| (Span::from(range), Some(groups)))
                }
            };
            let Some((span, groups)) = found else { return Ok(()) };
            if !(flags.skip_empty && span.is_empty()) {
                each(match (&self.machine, groups) {
                    (Machine::Linear(linear), _) => (span, linear.captures(text, span)),
                    (_, groups) => {
                        let groups = groups.into_iter().flatten();
                        (span, groups.map(|(it, name)| (it.map(Span::from), name)).collect())
                    }
                });
                if !flags.global {
                    return Ok(());
                }
            }
            from = if span.is_empty() {
                let next = text.get(span.end..).and_then(|rest| rest.chars().next());
                span.end + next.map_or(1, char::len_utf8)
            } else {
                span.end
            };
        }
        Ok(())
    }

    fn is_found(&self, text: &str) -> Result<bool, Error<Value>> {
        match &self.machine {
            Machine::Linear(linear) => Ok(linear.find(text, 0).is_some()),
            Machine::Backtracking(backtracking) => Ok(backtracking.find(text, 0)?.is_some()),
        }
    }
}

impl Linear {
    fn new(pattern: &str, syntax: syntax::Config) -> Result<Self, String> {
        let nfa = thompson::Config::new().nfa_size_limit(Some(limits::REGEX_BYTES));
        let automaton = dfa::Config::new()
            .cache_capacity(limits::REGEX_BYTES)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(3))
            .minimum_bytes_per_state(Some(16))
            .unicode_word_boundary(true);
        let groups = pikevm::PikeVM::builder()
            .syntax(syntax)
            .thompson(nfa.clone())
            .build(pattern)
            .map_err(|error| explain(&error))?;
        let search = lazy::Regex::builder()
            .syntax(syntax)
            .thompson(nfa)
            .dfa(automaton)
            .build(pattern)
            .map_err(|error| explain(&error))?;
        Ok(Self {
            search_cache: RefCell::new(search.create_cache()),
            groups_cache: RefCell::new(groups.create_cache()),
            states: groups.get_nfa().states().len() as u64,
            search,
            groups,
        })
    }

    /// Where the expression next matches from `from` on.
    fn find(&self, text: &str, from: usize) -> Option<Span> {
        let rest = text.len().saturating_sub(from);
        // A search may look at all the rest and still match something short.
        meter::step(1 + rest as u64 / 512);
        let input = Input::new(text).span(from..text.len());
        match self.search.try_search(&mut self.search_cache.borrow_mut(), &input) {
            Ok(found) => {
                let found = found.map(|it| it.span());
                meter::scan(found.map_or(rest, |it| it.end - from));
                found
            }
            Err(_) => {
                self.charge_slow(rest);
                self.groups.find(&mut self.groups_cache.borrow_mut(), input).map(|it| it.span())
            }
        }
    }

    fn charge_slow(&self, length: usize) {
        meter::step(self.states.saturating_mul(length as u64 + 1) / 256);
    }

    /// Spans and names of the groups of a match.
    fn captures(&self, text: &str, found: Span) -> Vec<(Option<Span>, Option<&str>)> {
        let info = self.groups.get_nfa().group_info();
        if info.group_len(PatternID::ZERO) <= 1 {
            return Vec::new();
        }
        self.charge_slow(found.len());
        let mut captures = self.groups.create_captures();
        let input = Input::new(text).span(found).anchored(Anchored::Yes);
        self.groups.captures(&mut self.groups_cache.borrow_mut(), input, &mut captures);
        let names = info.pattern_names(PatternID::ZERO).enumerate().skip(1);
        names.map(|(group, name)| (captures.get_group(group), name)).collect()
    }
}

/// The cause, without the drawing of the pattern that the library adds.
fn explain(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let text = cause.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// Turns byte offsets, asked in rising order, into offsets in characters.
struct Characters<'a> {
    text: &'a str,
    byte: usize,
    count: usize,
}

impl Characters<'_> {
    fn at(&mut self, byte: usize) -> usize {
        if byte < self.byte {
            (self.byte, self.count) = (0, 0);
        }
        meter::scan(byte - self.byte);
        self.count += self.text.get(self.byte..byte).unwrap_or_default().chars().count();
        self.byte = byte;
        self.count
    }
}

fn describe(text: &str, span: Span, offset: usize) -> [(&'static str, Value); 3] {
    let part = text.get(span.range()).unwrap_or_default();
    [
        ("offset", Value::from(offset)),
        ("length", Value::from(part.chars().count())),
        ("string", Value::charged_text(part.to_owned())),
    ]
}

fn matches(value: &Value, pattern: &Value, flags: &Value) -> ValR<Value> {
    let text = text(value, "matched")?;
    let flags = Flags::parse(flags)?;
    let compiled = compile(pattern, flags)?;
    let mut characters = Characters { text, byte: 0, count: 0 };
    let mut found = Vec::new();
    compiled.each(text, flags, |(span, groups)| {
        let offset = characters.at(span.start);
        let mut inner = Characters { text, byte: span.start, count: offset };
        let groups = groups.into_iter().map(|(group, name)| {
            meter::bytes(256);
            let name = [("name", name.map_or(Value::Null, Value::from))];
            match group {
                Some(group) => {
                    if group.start < inner.byte {
                        inner = Characters { text, byte: span.start, count: offset };
                    }
                    let at = inner.at(group.start);
                    Value::object(describe(text, group, at).into_iter().chain(name))
                }
                None => {
                    let none = [
                        ("offset", Value::Int(-1)),
                        ("length", Value::Int(0)),
                        ("string", Value::Null),
                    ];
                    Value::object(none.into_iter().chain(name))
                }
            }
        });
        let groups = groups.collect();
        meter::bytes(256);
        let whole = describe(text, span, offset).into_iter();
        found.push(Value::object(whole.chain([("captures", groups)])));
    })?;
    Ok(found.into_iter().collect())
}

/// The named groups of one match.
fn capture(found: &Value) -> ValR<Value> {
    let groups = found.get("captures").and_then(Value::as_array).unwrap_or_default();
    let named = groups.iter().filter_map(|group| {
        let name: std::sync::Arc<str> = group.get("name")?.as_str()?.into();
        meter::bytes(160);
        Some((name, group.get("string").cloned().unwrap_or_default()))
    });
    Ok(Value::object(named))
}

fn test(value: &Value, pattern: &Value, flags: &Value) -> ValR<Value> {
    let text = text(value, "matched")?;
    let flags = Flags { global: false, ..Flags::parse(flags)? };
    let compiled = compile(pattern, flags)?;
    let mut any = false;
    if flags.skip_empty {
        compiled.each(text, flags, |_| any = true)?;
    } else {
        any = compiled.is_found(text)?;
    }
    Ok(any.into())
}

fn split(value: &Value, pattern: &Value, flags: &Value) -> ValR<Value> {
    let text = text(value, "split")?;
    let flags = Flags { global: true, ..Flags::parse(flags)? };
    let compiled = compile(pattern, flags)?;
    let mut parts = Vec::new();
    let mut from = 0;
    compiled.each(text, flags, |(span, _)| {
        parts.push(Value::charged_text(text.get(from..span.start).unwrap_or_default().to_owned()));
        from = span.end;
    })?;
    parts.push(Value::charged_text(text.get(from..).unwrap_or_default().to_owned()));
    Ok(parts.into_iter().collect())
}
