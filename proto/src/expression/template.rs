//! Value fields: data in which `${ … }` stands for expressions.

pub(super) mod text;

use std::sync::Arc;

use super::{
    Budget, EvaluationError, Names, Program, Scope, SecretNames, SyntaxError, UriTemplate,
};
use crate::limits;
use crate::value::{Members, Value};

/// A value field: data in which `${ … }` stands for expressions, whole or inside a string.
#[derive(Clone, Debug)]
pub enum Template {
    /// Data without any expression.
    Constant(Value),
    /// A string that is one expression: its value replaces the string.
    Expression(Program),
    /// A string that is tried as an expression, and stays itself when that fails: in loose mode.
    Loose(Program, Arc<str>),
    /// A string with expressions inside it: each is turned to text.
    Text(Arc<[Piece]>),
    /// An array of templates.
    Array(Arc<[Template]>),
    /// An object of templates; keys are never expressions.
    Object(Arc<[(Arc<str>, Template)]>),
    /// A string that is a URI template.
    Uri(Arc<UriTemplate>),
}

/// A part of a string template.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Text as it stands.
    Literal(Arc<str>),
    /// An expression whose value is turned to text.
    Expression(Program),
}

/// A syntax error somewhere inside a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct TemplateError {
    /// JSON pointer, inside the template, of the string the error is in.
    pub pointer: String,
    /// The error; its offset counts inside that string.
    pub error: SyntaxError,
}

impl Template {
    /// Compiles the expressions inside `value`.
    ///
    /// # Errors
    /// All syntax errors found, not only the first.
    pub fn compile(value: &Value, names: &Names) -> Result<Self, Vec<TemplateError>> {
        let mut errors = Vec::new();
        let template = compile(value, names, &mut String::new(), &mut errors);
        if errors.is_empty() { Ok(template) } else { Err(errors) }
    }

    /// Compiles `input.from`, `output.as`, `export.as` and the like: a string is an expression with
    /// or without `${ }`, anything else a template.
    ///
    /// # Errors
    /// All syntax errors found.
    pub fn compile_expression_field(
        value: &Value,
        names: &Names,
    ) -> Result<Self, Vec<TemplateError>> {
        match value.as_str() {
            Some(text) => Program::compile(text, names)
                .map(Self::Expression)
                .map_err(|error| vec![TemplateError { pointer: String::new(), error }]),
            None => Self::compile(value, names),
        }
    }

    /// Compiles the command of `run.shell`: `${NAME}`, `${NAME:-x}`, `${#x}` stay the shell's own;
    /// only what looks like jq behind `${` is an expression.
    ///
    /// # Errors
    /// When one of its expressions is not jq.
    pub fn compile_shell(text: &str, names: &Names) -> Result<Self, SyntaxError> {
        text::compile(text, names, text::Kind::Shell)
    }

    /// The data with its expressions evaluated on `input`.
    ///
    /// # Errors
    /// When one of them cannot be evaluated, the result is too large to keep, or a sealed value
    /// stands inside a text.
    pub fn evaluate(
        &self,
        input: &Value,
        scope: &dyn Scope,
        budget: Budget,
    ) -> Result<Value, EvaluationError> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Expression(program) => program.evaluate(input.clone(), scope, budget),
            Self::Loose(program, text) => match program.evaluate(input.clone(), scope, budget) {
                // Where what is sealed is opened, it can be evaluated.
                Err(error) if !error.sealed => Ok(Value::String(text.clone())),
                result => result,
            },
            Self::Text(pieces) => {
                let mut text = String::new();
                for piece in &**pieces {
                    match piece {
                        Piece::Literal(literal) => text.push_str(literal),
                        Piece::Expression(program) => {
                            let value = program.evaluate(input.clone(), scope, budget)?;
                            text.push_str(&text_of(&value)?);
                        }
                    }
                    fit(text.len() as u64, 0)?;
                }
                Ok(Value::from(text))
            }
            Self::Array(templates) => {
                let mut elements = Vec::with_capacity(templates.len());
                let mut weight = 0u64;
                for template in &**templates {
                    let value = template.evaluate(input, scope, budget)?;
                    weight = weight.saturating_add(value.weight());
                    fit(weight, value.depth() + 1)?;
                    elements.push(value);
                }
                Ok(Value::array(elements))
            }
            Self::Object(entries) => {
                let mut members = Members::with_capacity(entries.len());
                let mut weight = 0u64;
                for (key, template) in &**entries {
                    let value = template.evaluate(input, scope, budget)?;
                    weight = weight.saturating_add(value.weight());
                    fit(weight, value.depth() + 1)?;
                    members.insert(key.clone(), value);
                }
                Ok(Value::from(members))
            }
            Self::Uri(uri) => uri.expand(input, scope, budget).map(Value::from),
        }
    }

    /// The same object with its member `name` as a URI template, where that has braces to expand.
    #[must_use]
    pub fn with_uri(self, name: &str, uri: UriTemplate) -> Self {
        if !uri.has_braces() {
            return self;
        }
        let mut entries: Vec<_> = match self {
            Self::Object(entries) => entries.to_vec(),
            Self::Constant(object) => {
                let members = object.into_members().unwrap_or_default().into_iter();
                members.map(|(key, value)| (key, Self::Constant(value))).collect()
            }
            other => return other,
        };
        if let Some((_, member)) = entries.iter_mut().find(|(key, _)| **key == *name) {
            *member = Self::Uri(Arc::new(uri));
        }
        Self::Object(entries.into())
    }

    /// Calls `each` with every program inside.
    pub fn each_program(&self, each: &mut dyn FnMut(&Program)) {
        match self {
            Self::Constant(_) => {}
            Self::Expression(program) | Self::Loose(program, _) => each(program),
            Self::Text(pieces) => {
                for piece in &**pieces {
                    if let Piece::Expression(program) = piece {
                        each(program);
                    }
                }
            }
            Self::Array(templates) => {
                templates.iter().for_each(|template| template.each_program(each));
            }
            Self::Object(entries) => {
                entries.iter().for_each(|(_, template)| template.each_program(each));
            }
            Self::Uri(uri) => uri.template.each_program(each),
        }
    }

    /// Calls `each` with the name of every variable the template uses (with repeats).
    pub fn each_variable(&self, each: &mut dyn FnMut(&Arc<str>)) {
        self.each_program(&mut |program| program.variables().iter().for_each(&mut *each));
    }

    /// True when an expression inside reads the secrets argument.
    #[must_use]
    pub fn uses_secrets(&self) -> bool {
        let mut uses = false;
        self.each_program(&mut |program| uses |= program.uses_secrets());
        uses
    }

    /// The secrets its expressions may read.
    #[must_use]
    pub fn secret_names(&self) -> SecretNames {
        let mut all = SecretNames::default();
        self.each_program(&mut |program| {
            all.names.extend(program.secret_names().names.iter().cloned());
            all.dynamic |= program.secret_names().dynamic;
        });
        all
    }
}

/// The text of a value that is put into other text.
pub(super) fn text_of(value: &Value) -> Result<String, EvaluationError> {
    if value.has_sealed() {
        return Err(EvaluationError::sealed("a text with an expression in it"));
    }
    Ok(value.to_text())
}

/// Checks that a result can be kept.
pub(super) fn fit(weight: u64, depth: u32) -> Result<(), EvaluationError> {
    if weight > limits::PAYLOAD_BYTES as u64 {
        let message = format!("the result is larger than {} bytes", limits::PAYLOAD_BYTES);
        return Err(EvaluationError::new(message));
    }
    if depth > limits::VALUE_DEPTH {
        let message = format!("the result nests deeper than {} levels", limits::VALUE_DEPTH);
        return Err(EvaluationError::new(message));
    }
    Ok(())
}

fn compile(
    value: &Value,
    names: &Names,
    pointer: &mut String,
    errors: &mut Vec<TemplateError>,
) -> Template {
    let at = pointer.len();
    match value {
        Value::String(text) => {
            text::compile(text, names, text::Kind::Data).unwrap_or_else(|error| {
                errors.push(TemplateError { pointer: pointer.clone(), error });
                Template::Constant(Value::Null)
            })
        }
        Value::Array(_) => {
            let mut templates = Vec::new();
            for (index, element) in value.as_array().unwrap_or_default().iter().enumerate() {
                pointer.push_str(&format!("/{index}"));
                templates.push(compile(element, names, pointer, errors));
                pointer.truncate(at);
            }
            if templates.iter().all(|it| matches!(it, Template::Constant(_))) {
                return Template::Constant(Value::array(
                    templates.into_iter().map(constant).collect(),
                ));
            }
            Template::Array(templates.into())
        }
        Value::Object(_) => {
            let mut entries = Vec::new();
            for (key, member) in value.as_object().into_iter().flatten() {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                entries.push((key.clone(), compile(member, names, pointer, errors)));
                pointer.truncate(at);
            }
            if entries.iter().all(|(_, it)| matches!(it, Template::Constant(_))) {
                let members = entries.into_iter().map(|(key, it)| (key, constant(it)));
                return Template::Constant(Value::object(members));
            }
            Template::Object(entries.into())
        }
        scalar => Template::Constant(scalar.clone()),
    }
}

/// The data of a template known to be constant.
fn constant(template: Template) -> Value {
    match template {
        Template::Constant(value) => value,
        _ => Value::Null,
    }
}
