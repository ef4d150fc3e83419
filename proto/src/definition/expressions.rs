//! Expressions of a definition: compiled where they stand, their errors placed in the text.

use std::collections::HashSet;
use std::sync::Arc;

use super::decoder::Decoder;
use super::node::{Data, Node, Place};
use super::{Severity, codes};
use crate::expression::{
    Names, Program, SyntaxError, Template, TemplateError, UriError, UriTemplate, is_secrets,
};
use crate::value::Value;

impl Decoder<'_> {
    /// A property that is always an expression.
    pub(super) fn program(&mut self, node: &Node, what: &str) -> Option<Program> {
        let text = self.expression_text(node, what)?;
        match Program::compile(&text, &self.names) {
            Ok(program) => {
                self.check_secrets(node, &text, program.uses_secrets());
                self.check_program(node, &program);
                Some(program)
            }
            Err(error) => {
                self.syntax_error(node, &error);
                None
            }
        }
    }

    /// `key` of `node` as an expression that decides something.
    pub(super) fn condition_at(&mut self, node: &Node, key: &str) -> Option<Option<Program>> {
        match node.get(key) {
            None => Some(None),
            Some(node) => self.condition(node, &format!("`{key}`")).map(Some),
        }
    }

    /// An expression that decides something.
    pub(super) fn condition(&mut self, node: &Node, what: &str) -> Option<Program> {
        let program = self.program(node, what)?;
        self.check_condition(node, &program, what);
        Some(program)
    }

    fn expression_text(&mut self, node: &Node, what: &str) -> Option<Arc<str>> {
        match &node.data {
            Data::Scalar { value: Value::String(text), .. } => Some(text.clone()),
            Data::Scalar { value: Value::Null, .. } | Data::Sequence(_) | Data::Mapping(_) => {
                self.wrong(node, what, "an expression")
            }
            Data::Scalar { text, .. } => {
                self.not_a_string(node, what);
                Some(text.clone())
            }
        }
    }

    pub(super) fn not_a_string(&mut self, node: &Node, what: &str) {
        let message = format!("{what} must be a string, not {}", node.what());
        self.deviation(codes::NOT_A_STRING, node.place, message, "put it in quotes");
    }

    /// A property whose strings may hold `${ … }`.
    pub(super) fn template(&mut self, node: &Node) -> Option<Template> {
        self.compiled(node, Template::compile)
    }

    /// Data whose strings may hold `${ … }`, where a text is seldom meant to look like jq.
    pub(super) fn data(&mut self, node: &Node) -> Option<Template> {
        if self.loose {
            return self.loosely(|decoder| decoder.template(node), node);
        }
        self.check_texts(node);
        self.template(node)
    }

    /// Compiles data in which each text may be an expression, where the mode is loose.
    fn loosely(
        &mut self,
        compile: impl FnOnce(&mut Self) -> Option<Template>,
        node: &Node,
    ) -> Option<Template> {
        self.names.loose = self.loose;
        let template = compile(self);
        self.names.loose = false;
        if let Some(template) = template.as_ref().filter(|_| self.loose) {
            self.check_loose(node, template);
        }
        template
    }

    /// `key` of `node` as a template.
    pub(super) fn template_at(&mut self, node: &Node, key: &str) -> Option<Option<Template>> {
        match node.get(key) {
            None => Some(None),
            Some(node) => self.template(node).map(Some),
        }
    }

    /// A template that must come from a string.
    pub(super) fn text_template(&mut self, node: &Node, what: &str) -> Option<Template> {
        self.string(node, what)?;
        self.template(node)
    }

    /// `key` of `node` as a string that may hold `${ … }`.
    pub(super) fn text_template_at(&mut self, node: &Node, key: &str) -> Option<Option<Template>> {
        match node.get(key) {
            None => Some(None),
            Some(node) => self.text_template(node, &format!("`{key}`")).map(Some),
        }
    }

    /// `input.from`, `output.as`, `export.as`: an expression, or an object of templates.
    pub(super) fn expression_field(&mut self, node: &Node, what: &str) -> Option<Template> {
        if node.as_mapping().is_none() {
            let text = self.expression_text(node, what)?;
            let value = Value::String(text.clone());
            let template = match Template::compile_expression_field(&value, &self.names) {
                Ok(template) => template,
                Err(errors) => {
                    errors.iter().for_each(|error| self.syntax_error(node, &error.error));
                    return None;
                }
            };
            self.check_secrets(node, &text, template.uses_secrets());
            template.each_program(&mut |program| self.check_program(node, program));
            return Some(template);
        }
        let fields = |decoder: &mut Self| decoder.compiled(node, Template::compile);
        self.loosely(fields, node)
    }

    /// A shell command: `${NAME}` is left to the shell.
    pub(super) fn shell_template(&mut self, node: &Node, what: &str) -> Option<Template> {
        let text = self.string(node, what)?;
        let compiled = Template::compile_shell(&text, &self.names);
        self.placed(node, compiled.map_err(whole))
    }

    /// A URI with `{name}` and `${ … }`.
    pub(super) fn uri(&mut self, node: &Node, what: &str) -> Option<UriTemplate> {
        let text = self.uri_text(node, what)?;
        let uri = self.uri_template(node, &text)?;
        self.check_template(node, &uri.template);
        self.check_braces(node, &text);
        Some(uri)
    }

    /// A text that can be a URI.
    fn uri_text(&mut self, node: &Node, what: &str) -> Option<Arc<str>> {
        let text = self.string(node, what)?;
        if !text.contains("${") && (text.is_empty() || text.contains(char::is_whitespace)) {
            let message = format!("{what} is not a URI: `{text}`");
            let hint = "percent-encode spaces, and put expressions into `${ }`";
            self.error(codes::BAD_PATTERN, node.place, message, hint);
            return None;
        }
        Some(text)
    }

    /// `text` at `node` as a URI template.
    pub(super) fn uri_template(&mut self, node: &Node, text: &str) -> Option<UriTemplate> {
        match UriTemplate::compile(text, &self.names) {
            Ok(uri) => Some(uri),
            Err(UriError::Expression(error)) => {
                self.syntax_error(node, &error);
                None
            }
            Err(UriError::Template(error)) => {
                let place = self.place_inside(node, &error);
                let hint = error.hint.as_deref().unwrap_or_default();
                let code = codes::BAD_URI_TEMPLATE;
                let refused = self.error_unless_accepted(code, place, error.message.clone(), hint);
                if refused { None } else { UriTemplate::compile_known(text, &self.names).ok() }
            }
        }
    }

    /// The type of an error: a URI in which braces may be meant literally.
    pub(super) fn error_type(&mut self, node: &Node, what: &str) -> Option<UriTemplate> {
        let text = self.uri_text(node, what)?;
        match UriTemplate::compile_known(&text, &self.names) {
            Ok(uri) => {
                self.check_template(node, &uri.template);
                Some(uri)
            }
            Err(error) => {
                self.syntax_error(node, &error);
                None
            }
        }
    }

    fn compiled(
        &mut self,
        node: &Node,
        compile: impl FnOnce(&Value, &Names) -> Result<Template, Vec<TemplateError>>,
    ) -> Option<Template> {
        let compiled = compile(&node.value(), &self.names);
        self.placed(node, compiled)
    }

    fn placed(
        &mut self,
        node: &Node,
        compiled: Result<Template, Vec<TemplateError>>,
    ) -> Option<Template> {
        match compiled {
            Ok(template) => {
                self.check_template(node, &template);
                Some(template)
            }
            Err(errors) => {
                for error in &errors {
                    self.syntax_error(node.at(&error.pointer), &error.error);
                }
                None
            }
        }
    }

    fn syntax_error(&mut self, node: &Node, error: &SyntaxError) {
        let place = self.place_inside(node, error);
        let hint = error.hint.as_deref().unwrap_or("");
        self.error(codes::BAD_EXPRESSION, place, error.message.clone(), hint);
    }

    /// Where in the text of `node` an error is.
    fn place_inside(&self, node: &Node, error: &SyntaxError) -> Place {
        let full = self.findings.is_full(Severity::Error);
        if full { node.place } else { self.source.inside(node, error.offset, error.length) }
    }

    /// Looks at each string of a template beside the text it came from.
    fn check_template(&mut self, node: &Node, template: &Template) {
        match (template, &node.data) {
            (Template::Constant(_), _) => {}
            (Template::Array(items), Data::Sequence(nodes)) => {
                for (item, node) in items.iter().zip(nodes) {
                    self.check_template(node, item);
                }
            }
            (Template::Object(members), Data::Mapping(nodes)) => {
                for (key, member) in members.iter() {
                    if let Some(found) = nodes.get(key) {
                        self.check_template(&found.node, member);
                    }
                }
            }
            (_, Data::Scalar { text, .. }) => self.check_string(node, text, template),
            _ => {}
        }
    }

    fn check_string(&mut self, node: &Node, text: &str, template: &Template) {
        template.each_program(&mut |program| self.check_program(node, program));
        if text.contains("${") {
            return self.check_secrets(node, text, template.uses_secrets());
        }
        if template.uses_secrets() {
            self.refuse_foreign_secrets(node);
            if !self.names.loose {
                let message = "a secret is named outside of `${ }`";
                let hint = "the specification takes this for literal text: write \
                            `${ $secrets[\"name\"] }`, joined to other text with `+`";
                self.deviation(codes::BARE_SECRET, node.place, message, hint);
            }
        }
        self.check_declared(node, text);
    }

    /// Looks at how the text of an expression names secrets.
    fn check_secrets(&mut self, node: &Node, text: &str, used: bool) {
        if used {
            self.refuse_foreign_secrets(node);
        }
        let other = ["SECRETS", "SECRET", "secret"];
        let spelling = spellings(text).find(|(_, spelling)| other.contains(spelling));
        if let Some((at, spelling)) = spelling.filter(|_| used) {
            let place = self.source.inside(node, at, spelling.len() + 1);
            let message = format!("secrets are called `${spelling}` here");
            let hint = "the specification calls them `$secrets`";
            self.deviation(codes::SECRETS_SPELLING, place, message, hint);
        }
        self.check_declared(node, text);
    }

    /// A function of a catalog reads no secrets of who calls it.
    fn refuse_foreign_secrets(&mut self, node: &Node) {
        if self.cataloged.is_foreign() {
            let message = "a function of a catalog has no secrets of its own";
            let hint = "let the workflow pass what the function needs: `with: { token: '${ \
                        $secrets.token }' }`";
            self.error(codes::NO_SECRET, node.place, message, hint);
        }
    }

    /// Warns of secrets that are named but not declared.
    fn check_declared(&mut self, node: &Node, text: &str) {
        for (offset, name) in undeclared(text, &self.declared) {
            if self.findings.is_full(Severity::Warning) {
                return;
            }
            let place = self.source.inside(node, offset, name.len());
            let message = format!("the secret `{name}` is not declared");
            let hint = format!("add `{name}` to `use.secrets`, or its use will be refused");
            self.warning(codes::UNDECLARED_SECRET, place, message, &hint);
        }
    }
}

/// The error of a template that is one string.
fn whole(error: SyntaxError) -> Vec<TemplateError> {
    vec![TemplateError { pointer: String::new(), error }]
}

/// Every `$secrets` in any spelling, unless escaped by another `$`: its offset and its name.
fn spellings(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices('$').filter_map(move |(at, _)| {
        let rest = text.get(at + 1..)?;
        let name = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
        let escaped = text.get(..at).is_some_and(|before| before.ends_with('$'));
        (is_secrets(name) && !escaped).then_some((at, name))
    })
}

/// Names after `$secrets.` or inside `$secrets["…"]` that are not in `declared`, with their offset.
fn undeclared<'t>(text: &'t str, declared: &HashSet<Arc<str>>) -> Vec<(usize, &'t str)> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut found = Vec::new();
    for (at, spelling) in spellings(text) {
        let start = at + 1 + spelling.len();
        let after = text.get(start..).unwrap_or_default();
        let (lead, quoted) = match after {
            _ if after.starts_with("[\"") => (2, true),
            _ if after.starts_with(".[\"") => (3, true),
            _ if after.starts_with(".\"") => (2, true),
            _ if after.starts_with('.') => (1, false),
            _ => continue,
        };
        let body = after.get(lead..).unwrap_or_default();
        let end = if quoted { body.find('"') } else { body.find(|c| !word(c)) };
        let name = body.get(..end.unwrap_or(body.len())).unwrap_or_default();
        // After a name without quotes a dash may subtract.
        let dashes = name.match_indices('-').filter_map(|(at, _)| name.get(..at));
        let mut shorter = dashes.filter(|_| !quoted);
        let is_declared = declared.contains(name) || shorter.any(|it| declared.contains(it));
        if !name.is_empty() && !is_declared {
            found.push((start + lead, name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::undeclared;

    #[test]
    fn undeclared_secrets_are_found_in_every_spelling() {
        let declared = ["api-key", "db"].map(Into::into).into();
        let names = |text| {
            undeclared(text, &declared).into_iter().map(|(_, name)| name).collect::<Vec<_>>()
        };
        assert_eq!(names("$SECRETS.api-key and $secrets.db.password"), Vec::<&str>::new());
        assert_eq!(names("Bearer $SECRETS.other-key"), ["other-key"]);
        assert_eq!(names(r#"$secret["x y"] + $secrets["db"] + $SECRET."q""#), ["x y", "q"]);
        assert_eq!(names("$$SECRETS.other $secretsish.x $secrets | keys"), Vec::<&str>::new());
        assert_eq!(names("$secrets.db-1 $secrets.database"), ["database"]);
        assert_eq!(undeclared("${ $secrets.x }", &declared), [(12, "x")]);
    }
}
