//! Syntax of jq that the parser underneath lacks, put into tokens that it has.
//!
//! Tokens keep their place in the author's text where they are the author's; what is put between
//! them is outside of it, which whoever looks for a place has to expect.
//!
//! **Invariant:** recursion here is as deep as brackets nest, which is bounded before.

use std::ops::Range;

use jaq_core::load::lex::{StrPart, Tok, Token};

/// The key of the pattern that stands for alternatives: `as A ?// B` becomes `as {"?//": [A, B]}`.
/// It is told from a key of the author's by where it is.
pub(super) static ALTERNATIVES: &str = "?//";

type Tree<'s> = Token<&'s str>;

/// The place of `part` in `text`, if that is where it is.
pub(in crate::expression) fn place(text: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= text.len()).then_some(start..end)
}

/// Rewrites all of `tokens`, which are those of `text`.
pub(super) fn rewrite<'s>(text: &'s str, tokens: Vec<Tree<'s>>) -> Vec<Tree<'s>> {
    let mut out: Vec<Tree<'s>> = Vec::with_capacity(tokens.len());
    // Where the sources of `reduce` and `foreach` start whose `as` is still to come.
    let mut sources: Vec<usize> = Vec::new();
    let mut rest = tokens.into_iter();
    while let Some(token) = rest.next() {
        let is_key = matches!(rest.as_slice().first(), Some(Token(":", _)));
        match token {
            Token("reduce" | "foreach", Tok::Word) if !is_key => {
                out.push(token);
                sources.push(out.len());
            }
            Token("as", Tok::Word) if !is_key => {
                if let Some(start) = sources.pop() {
                    enclose(&mut out, start);
                }
                out.push(token);
                patterns(text, &mut rest, &mut out);
            }
            Token(".", Tok::Sym) => {
                let number = rest.as_slice().first().and_then(|next| fraction(text, &token, next));
                match number {
                    Some(number) => {
                        rest.next();
                        out.push(Token(number, Tok::Num));
                    }
                    None => out.push(token),
                }
            }
            token => out.push(inside(text, token)),
        }
    }
    out
}

/// The number that a dot and the digits right behind it are: `.5`.
fn fraction<'s>(text: &'s str, dot: &Tree<'s>, next: &Tree<'s>) -> Option<&'s str> {
    let Token(digits, Tok::Num) = next else { return None };
    let (dot, digits) = (place(text, dot.0)?, place(text, digits)?);
    if dot.end == digits.start { text.get(dot.start..digits.end) } else { None }
}

/// Rewrites what is in the brackets or interpolations of a token.
fn inside<'s>(text: &'s str, token: Tree<'s>) -> Tree<'s> {
    match token {
        Token(at, Tok::Block(tokens)) => Token(at, Tok::Block(rewrite(text, tokens))),
        Token(at, Tok::Str(parts)) => {
            let parts = parts.into_iter().map(|part| match part {
                StrPart::Term(token) => StrPart::Term(inside(text, token)),
                part => part,
            });
            Token(at, Tok::Str(parts.collect()))
        }
        token => token,
    }
}

/// Puts the source of a fold into parentheses when it has operators.
fn enclose(out: &mut Vec<Tree<'_>>, start: usize) {
    let source = out.get(start..).unwrap_or_default();
    let is_operator = |token: &Tree<'_>| match token {
        Token(at, Tok::Sym) => !matches!(*at, "." | ".." | "?" | ":") && !at.starts_with('.'),
        Token(at, Tok::Word) => matches!(*at, "and" | "or"),
        _ => false,
    };
    // What jq itself refuses here stays as it is, so that the error is about that.
    let ends = |token: &Tree<'_>| matches!(token, Token("|" | "," | ";" | "=", Tok::Sym));
    if source.iter().any(is_operator) && !source.iter().any(ends) {
        let mut tokens = out.split_off(start);
        tokens.push(Token(")", Tok::Sym));
        out.push(Token("(", Tok::Block(tokens)));
    }
}

/// Takes the patterns behind `as` from `rest`.
fn patterns<'s>(text: &'s str, rest: &mut std::vec::IntoIter<Tree<'s>>, out: &mut Vec<Tree<'s>>) {
    let is_pattern = |token: Option<&Tree<'s>>| {
        matches!(token, Some(Token(_, Tok::Var) | Token(_, Tok::Block(_))))
    };
    let mut alternatives: Vec<Tree<'s>> = Vec::new();
    while is_pattern(rest.as_slice().first()) {
        alternatives.extend(rest.next().map(|token| pattern(text, token)));
        let more = matches!(rest.as_slice(), [Token("?", _), Token("//", _), next, ..]
            if is_pattern(Some(next)));
        if !more {
            break;
        }
        alternatives.push(Token(",", Tok::Sym));
        rest.next();
        rest.next();
    }
    if alternatives.len() < 2 {
        out.extend(alternatives);
        return;
    }
    alternatives.push(Token("]", Tok::Sym));
    let entry = vec![
        Token("\"?//\"", Tok::Str(vec![StrPart::Str(ALTERNATIVES)])),
        Token(":", Tok::Sym),
        Token("[", Tok::Block(alternatives)),
        Token("}", Tok::Sym),
    ];
    out.push(Token("{", Tok::Block(entry)));
}

/// Rewrites one pattern: `{$a: P}` becomes `{$a, "a": P}`.
fn pattern<'s>(text: &'s str, token: Tree<'s>) -> Tree<'s> {
    let Token(at, Tok::Block(tokens)) = token else { return token };
    let is_object = at.starts_with('{');
    let mut out = Vec::with_capacity(tokens.len());
    let mut rest = tokens.into_iter();
    let mut is_key = is_object;
    while let Some(token) = rest.next() {
        let has_value = matches!(rest.as_slice().first(), Some(Token(":", _)));
        match token {
            Token(name, Tok::Var) if is_key && has_value => {
                let key = name.strip_prefix('$').unwrap_or(name);
                out.push(Token(name, Tok::Var));
                out.push(Token(",", Tok::Sym));
                out.push(Token(key, Tok::Str(vec![StrPart::Str(key)])));
            }
            Token(mark @ (":" | ","), Tok::Sym) => {
                is_key = is_object && mark == ",";
                out.push(Token(mark, Tok::Sym));
            }
            token if is_key => out.push(inside(text, token)),
            token => out.push(pattern(text, token)),
        }
    }
    Token(at, Tok::Block(out))
}
