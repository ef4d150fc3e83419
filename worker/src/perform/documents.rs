//! A description with the documents that it refers to, and what its references lead to.

use std::collections::HashMap;

use reqwest::Url;
use windlass_proto::limits;
use windlass_proto::plan::ExternalResource;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use crate::attempt::Attempt;
use crate::document::Fetched;
use crate::lazy::Lazy;

/// The documents of a call; the first is the description itself.
pub(super) struct Documents {
    all: Vec<Fetched>,
    /// Why others could not be had.
    failed: HashMap<Url, Problem>,
}

/// A part of a document, and which one it is in: what it refers to is relative to that.
#[derive(Clone)]
pub(super) struct Located {
    pub(super) value: Value,
    document: usize,
}

/// Why something cannot be read.
pub(super) enum Trouble {
    /// It is in this document, which is to be fetched first.
    Needs(Url),
    Wrong(Problem),
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Wrong(problem)
    }
}

pub(super) fn configuration(detail: impl Into<std::sync::Arc<str>>) -> Problem {
    Problem::new(Standard::Configuration, detail)
}

impl Located {
    /// A part of this part.
    pub(super) fn part(&self, name: &str) -> Option<Self> {
        self.value.get(name).map(|value| self.beside(value))
    }

    /// The elements of a list in it.
    pub(super) fn elements(&self, name: &str) -> Vec<Self> {
        let elements = self.value.get(name).and_then(Value::as_array).unwrap_or_default();
        elements.iter().map(|value| self.beside(value)).collect()
    }

    pub(super) fn beside(&self, value: &Value) -> Self {
        Self { value: value.clone(), document: self.document }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.value.get(name).and_then(Value::as_str)
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.value.get(name) {
            Some(Value::Bool(it)) => Some(*it),
            _ => None,
        }
    }
}

impl Documents {
    pub(super) fn new(description: Fetched) -> Self {
        Self { all: vec![description], failed: HashMap::new() }
    }

    /// Where the description was asked for.
    fn url(&self) -> Option<&Url> {
        self.all.first().map(|it| &it.url)
    }

    /// Where the description was found: what it says is relative to this.
    pub(super) fn base(&self) -> Option<&Url> {
        self.all.first().map(Fetched::base)
    }

    /// The root of the description, with its text.
    pub(super) fn root(&self) -> Result<(&Lazy, &str), Problem> {
        self.all.first().ok_or_else(|| configuration("there is no document"))?.tree()
    }

    /// A part of the description at its top.
    pub(super) fn top(&self, name: &str) -> Result<Option<Located>, Problem> {
        let (root, text) = self.root()?;
        root.get(text, name).map(|part| self.own(part)).transpose()
    }

    /// A part of the description, read whole.
    pub(super) fn own(&self, part: &Lazy) -> Result<Located, Problem> {
        let (_, text) = self.root()?;
        let value = part.value(text).map_err(configuration)?;
        Ok(Located { value, document: 0 })
    }

    /// `part`, or what its `$ref` leads to.
    pub(super) fn resolve(&self, part: Located) -> Result<Located, Trouble> {
        let mut part = part;
        for _ in 0..limits::OPENAPI_REFERENCES {
            let Some(reference) = part.text("$ref") else { return Ok(part) };
            part = self.follow(part.document, reference)?;
        }
        Err(configuration("the document's references go round in a circle").into())
    }

    fn follow(&self, from: usize, reference: &str) -> Result<Located, Trouble> {
        let nowhere =
            || configuration(format!("the reference {reference} leads nowhere in the document"));
        let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let document = if file.is_empty() {
            from
        } else {
            let base = self.all.get(from).ok_or_else(nowhere)?;
            let url = base.base().join(file).map_err(|_| nowhere())?;
            if let Some(problem) = self.failed.get(&url) {
                return Err(problem.clone().into());
            }
            let known = self.all.iter().position(|it| it.url == url || *it.base() == url);
            known.ok_or(Trouble::Needs(url))?
        };
        let (root, text) = self.all.get(document).ok_or_else(nowhere)?.tree()?;
        let steps = pointer.split('/').skip(1).map(|step| {
            let step = percent_encoding::percent_decode_str(step).decode_utf8_lossy();
            step.replace("~1", "/").replace("~0", "~")
        });
        let mut at = root;
        for step in steps {
            at = at.get(text, &step).ok_or_else(nowhere)?;
        }
        let value = at.value(text).map_err(configuration)?;
        Ok(Located { value, document })
    }
}

impl Attempt<'_> {
    /// Fetches one more document of `documents`. That it cannot be had is a problem only for what
    /// refers to it.
    pub(super) async fn fetch_referred(
        &mut self,
        documents: &mut Documents,
        url: Url,
        resource: &ExternalResource,
        input: &Value,
    ) -> Result<(), Problem> {
        if documents.all.len() + documents.failed.len() > limits::OPENAPI_DOCUMENTS {
            let most = limits::OPENAPI_DOCUMENTS;
            let detail = format!("the document refers to more than {most} others");
            return Err(configuration(detail));
        }
        let own = documents.url().cloned();
        let own = own.ok_or_else(|| configuration("there is no document"))?;
        // A document from elsewhere does not reach into the worker's files, and who gave
        // credentials gave them for the one origin.
        let is_web = |url: &Url| matches!(url.scheme(), "http" | "https");
        if is_web(&own) && !is_web(&url) {
            let detail =
                format!("the document refers to {}, which is not on the web", url.scheme());
            documents.failed.insert(url, configuration(detail));
            return Ok(());
        }
        let same = url.origin() == own.origin() && is_web(&url);
        let authentication = resource.endpoint.authentication.as_deref().filter(|_| same);
        let authorization = self.authorize(authentication, input).await?;
        match self.fetch_url(&url, authorization, limits::OPENAPI_BYTES).await {
            Ok(fetched) => documents.all.push(fetched),
            Err(problem) => {
                documents.failed.insert(url, problem);
            }
        }
        Ok(())
    }
}
