//! What stands in a pair of braces: an operator, names, and how their values are written.
//!
//! RFC 6570 has the table of operators in appendix A. Names are taken verbatim, as the
//! specification of the DSL asks, and may hold dashes and letters of any language besides.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::RESERVED;
use crate::expression::EvaluationError;
use crate::expression::template::text_of;
use crate::value::Value;

/// What `{+x}` and `{#x}` encode: all but reserved and unreserved characters.
const KEEPS_RESERVED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b'%');

/// The most characters a prefix such as `{name:3}` may ask for.
const LONGEST_PREFIX: u16 = 9_999;

/// The parsed content of a pair of braces.
pub(super) struct Braces<'t> {
    operator: Operator,
    variables: Vec<Variable<'t>>,
}

/// Why the content of braces is not understood; the offset counts in it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) length: usize,
    pub(super) message: String,
}

/// How values are written.
#[derive(Clone, Copy)]
struct Operator {
    /// Before the first value.
    first: &'static str,
    /// Between values.
    separator: &'static str,
    /// Each value has its name before it.
    is_named: bool,
    /// What follows the name of an empty value.
    if_empty: &'static str,
    /// Reserved characters and `%xx` stay as they are.
    keeps_reserved: bool,
    /// There is none.
    is_plain: bool,
}

impl Operator {
    const PLAIN: Self = Self {
        first: "",
        separator: ",",
        is_named: false,
        if_empty: "",
        keeps_reserved: false,
        is_plain: true,
    };

    /// The operator that `sign` is.
    fn of(sign: char) -> Option<Self> {
        let other = Self { is_plain: false, ..Self::PLAIN };
        Some(match sign {
            '+' => Self { keeps_reserved: true, ..other },
            '#' => Self { first: "#", keeps_reserved: true, ..other },
            '.' => Self { first: ".", separator: ".", ..other },
            '/' => Self { first: "/", separator: "/", ..other },
            ';' => Self { first: ";", separator: ";", is_named: true, ..other },
            '?' => Self { first: "?", separator: "&", is_named: true, if_empty: "=", ..other },
            '&' => Self { first: "&", separator: "&", is_named: true, if_empty: "=", ..other },
            _ => return None,
        })
    }

    fn encode<'a>(self, text: &'a str) -> Cow<'a, str> {
        if !self.keeps_reserved {
            return utf8_percent_encode(text, RESERVED).into();
        }
        let mut encoded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            encoded.extend(utf8_percent_encode(before, KEEPS_RESERVED));
            encoded.push_str(if is_hex_pair(after) { "%" } else { "%25" });
            rest = after;
        }
        encoded.extend(utf8_percent_encode(rest, KEEPS_RESERVED));
        encoded.into()
    }
}

/// True for what follows the `%` of an encoded byte.
fn is_hex_pair(text: &str) -> bool {
    text.as_bytes().get(..2).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit))
}

struct Variable<'t> {
    name: &'t str,
    modifier: Modifier,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Modifier {
    None,
    /// `:n`, the first characters.
    Prefix(u16),
    /// `*`, each element for itself.
    Explode,
}

impl<'t> Braces<'t> {
    /// Reads what stands between `{` and `}`.
    pub(super) fn parse(body: &'t str) -> Result<Self, Fault> {
        let sign = body.chars().next();
        if let Some(reserved) = sign.filter(|sign| "=,!@|".contains(*sign)) {
            let message = format!("RFC 6570 gives the operator `{reserved}` no meaning");
            return Err(Fault { offset: 0, length: 1, message });
        }
        let operator = sign.and_then(Operator::of);
        let mut offset = usize::from(operator.is_some());
        let mut variables = Vec::new();
        for part in body.get(offset..).unwrap_or_default().split(',') {
            variables.push(
                variable(part).map_err(|fault| Fault { offset: fault.offset + offset, ..fault })?,
            );
            offset += part.len() + 1;
        }
        Ok(Self { operator: operator.unwrap_or(Operator::PLAIN), variables })
    }

    /// The names, without operator and modifiers.
    pub(super) fn names(&self) -> impl Iterator<Item = &'t str> {
        self.variables.iter().map(|variable| variable.name)
    }

    /// True when `input` has a property for none of the names.
    pub(super) fn is_unknown(&self, input: &Value) -> bool {
        self.variables.iter().all(|variable| input.get(variable.name).is_none())
    }

    /// Appends what they stand for to `uri`; `template` is where they are, for messages.
    pub(super) fn expand(
        &self,
        input: &Value,
        template: &str,
        uri: &mut String,
    ) -> Result<(), EvaluationError> {
        let mut lead = self.operator.first;
        for variable in &self.variables {
            let value = input.get(variable.name).unwrap_or(&Value::Null);
            let Some(text) = self.write(variable, value, template)? else { continue };
            uri.push_str(lead);
            uri.push_str(&text);
            lead = self.operator.separator;
        }
        Ok(())
    }

    /// What a variable becomes; none where it is undefined.
    fn write(
        &self,
        variable: &Variable<'_>,
        value: &Value,
        template: &str,
    ) -> Result<Option<String>, EvaluationError> {
        let Variable { name, modifier } = variable;
        let refused = |what: &str| {
            let message = format!("the property `{name}` of the URI template `{template}` {what}");
            EvaluationError::new(message)
        };
        let is_list = matches!(value, Value::Array(_) | Value::Object(_));
        if !is_list {
            return self.scalar(variable, value);
        }
        if self.operator.is_plain && *modifier == Modifier::None {
            return Err(refused(
                "is neither a string, a number nor a boolean: a list is written with `*`, as in \
                 `{list*}`",
            ));
        }
        if let Modifier::Prefix(_) = modifier {
            return Err(refused("has no first characters: it is a list or an object"));
        }
        let nested = || refused("holds more than strings, numbers and booleans");
        let pairs = pairs(value).map(|(key, element)| match element {
            Value::Array(_) | Value::Object(_) => Err(nested()),
            scalar => Ok((key, text_of(scalar)?)),
        });
        let pairs = pairs.collect::<Result<Vec<_>, _>>()?;
        let explode = *modifier == Modifier::Explode;
        let parts = pairs.iter().map(|(key, text)| match (key, explode) {
            (Some(key), true) if self.operator.is_named => self.named(key, text),
            (Some(key), true) => {
                format!("{}={}", self.operator.encode(key), self.operator.encode(text))
            }
            (Some(key), false) => {
                format!("{},{}", self.operator.encode(key), self.operator.encode(text))
            }
            (None, true) if self.operator.is_named => self.named(name, text),
            (None, _) => self.operator.encode(text).into_owned(),
        });
        let parts: Vec<_> = parts.collect();
        Ok(match (parts.is_empty(), explode) {
            (true, _) => None,
            (false, true) => Some(parts.join(self.operator.separator)),
            (false, false) if self.operator.is_named => {
                Some(format!("{}={}", name_of(name), parts.join(",")))
            }
            (false, false) => Some(parts.join(",")),
        })
    }

    fn scalar(
        &self,
        variable: &Variable<'_>,
        value: &Value,
    ) -> Result<Option<String>, EvaluationError> {
        if value.is_null() {
            return Ok(None);
        }
        let mut text = text_of(value)?;
        if let Modifier::Prefix(most) = variable.modifier {
            let end = text.char_indices().nth(usize::from(most)).map(|(at, _)| at);
            text.truncate(end.unwrap_or(text.len()));
        }
        Ok(Some(if self.operator.is_named {
            self.named(variable.name, &text)
        } else {
            self.operator.encode(&text).into_owned()
        }))
    }

    fn named(&self, name: &str, text: &str) -> String {
        if text.is_empty() {
            return format!("{}{}", name_of(name), self.operator.if_empty);
        }
        format!("{}={}", name_of(name), self.operator.encode(text))
    }
}

/// A name as it stands in a URI: what it has encoded stays so.
fn name_of(name: &str) -> String {
    Operator { keeps_reserved: true, ..Operator::PLAIN }.encode(name).into_owned()
}

/// The elements of a list, or the members of an object with their keys, without nulls.
fn pairs(value: &Value) -> impl Iterator<Item = (Option<&str>, &Value)> {
    let elements = value.as_array().unwrap_or_default().iter().map(|it| (None, it));
    let members = value.as_object().into_iter().flatten().map(|(key, it)| (Some(&**key), it));
    elements.chain(members).filter(|(_, it)| !it.is_null())
}

/// One name with its modifier.
fn variable(part: &str) -> Result<Variable<'_>, Fault> {
    let fault = |offset: usize, length: usize, message: String| Fault { offset, length, message };
    let (name, modifier) = match part.split_once(':') {
        Some((name, digits)) => {
            let most = Some(digits)
                .filter(|it| !it.starts_with('0') && it.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|it| it.parse::<u16>().ok())
                .filter(|it| *it <= LONGEST_PREFIX);
            let most = most.ok_or_else(|| {
                let message = format!(
                    "`:{digits}` is no prefix: after the colon stands a number from 1 to \
                     {LONGEST_PREFIX}, and nothing else"
                );
                fault(name.len(), part.len() - name.len(), message)
            })?;
            (name, Modifier::Prefix(most))
        }
        None => match part.strip_suffix('*') {
            Some(name) => (name, Modifier::Explode),
            None => (part, Modifier::None),
        },
    };
    if name.is_empty() {
        return Err(fault(0, part.len(), "a name is missing in the braces".to_owned()));
    }
    let mut before = '.';
    for (at, c) in name.char_indices() {
        let rest = name.get(at + 1..).unwrap_or_default();
        let is_allowed = match c {
            '.' => before != '.' && !rest.is_empty(),
            '%' => is_hex_pair(rest),
            c => c.is_alphanumeric() || c == '_' || c == '-',
        };
        if !is_allowed {
            let message = format!("`{c}` cannot stand here in the name `{name}`");
            return Err(fault(at, c.len_utf8(), message));
        }
        before = c;
    }
    Ok(Variable { name, modifier })
}
