//! `call: windlass.approval`: a person decides.

use crate::expression::Template;
use crate::schema::Schema;
use crate::value::Value;

/// A task that waits until somebody approves or rejects.
#[derive(Debug)]
pub struct Approval {
    /// `title`: what is asked, in a line.
    pub title: Template,
    /// `description`: more of it.
    pub description: Option<Template>,
    /// `form`: what the data of an approval must be.
    pub form: Option<Form>,
    /// `assignees.roles`: who has one of these roles for the workflow may decide.
    pub roles: Vec<Template>,
    /// `assignees.users`: so may these, as `ISSUER:SUBJECT`.
    pub users: Vec<Template>,
}

/// What an approval has to be given.
#[derive(Debug)]
pub struct Form {
    /// The JSON Schema, as it is shown.
    pub document: Value,
    /// The same, compiled.
    pub schema: Schema,
}

impl Approval {
    /// All of it that may be an expression.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let texts = std::iter::once(&self.title).chain(&self.description);
        texts.chain(&self.roles).chain(&self.users)
    }
}
