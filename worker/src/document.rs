//! A document that was read elsewhere, as text and as data.

use std::sync::{Arc, OnceLock};

use reqwest::Url;
use reqwest::header::{
    ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use windlass_proto::definition;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use crate::cache::Cache;
use crate::lazy::Lazy;
use crate::request::shown;

/// Documents by URL; only those fetched without authentication.
pub(crate) type DocumentCache = Cache<String, Arc<Document>>;

/// What a server tells a document from its next version by.
#[derive(Default)]
pub(crate) struct Validators {
    tag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

impl Validators {
    /// Those of a response.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let find = |name| headers.get(name).cloned();
        Self { tag: find(ETAG), modified: find(LAST_MODIFIED) }
    }

    /// The headers of a request that is answered with 304 as long as the document is the same.
    pub(crate) fn conditions(&self) -> HeaderMap {
        let both = [(IF_NONE_MATCH, &self.tag), (IF_MODIFIED_SINCE, &self.modified)];
        let given = both.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        given.collect()
    }
}

/// A document, parsed when it is first asked for as data.
pub(crate) struct Document {
    text: String,
    /// Where redirects led to, if there were any.
    moved_to: Option<Url>,
    pub(crate) validators: Validators,
    data: OnceLock<Result<Value, String>>,
    tree: OnceLock<Result<Tree, String>>,
}

impl Document {
    pub(crate) fn new(text: String, validators: Validators) -> Self {
        Self { text, moved_to: None, validators, data: OnceLock::new(), tree: OnceLock::new() }
    }

    /// The same, found at `url`.
    pub(crate) fn found_at(self, url: Url) -> Self {
        Self { moved_to: Some(url), ..self }
    }

    /// As it stands.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// A document of which only what is asked for is read.
struct Tree {
    /// YAML as JSON; none where the document is JSON.
    json: Option<String>,
    root: Lazy,
}

impl Tree {
    fn of(text: &str) -> Result<Self, String> {
        if let Ok(root) = Lazy::whole(text) {
            return Ok(Self { json: None, root });
        }
        let json = definition::data(text)?.to_json();
        let root = Lazy::whole(&json).map_err(|error| error.to_string())?;
        Ok(Self { json: Some(json), root })
    }
}

/// A fetched document.
pub(crate) struct Fetched {
    pub(crate) document: Arc<Document>,
    /// Where it was asked for: what was given for that counts for this origin.
    pub(crate) url: Url,
}

impl Fetched {
    /// Where it was in the end: what it refers to is relative to this (RFC 3986, 5.1.3).
    pub(crate) fn base(&self) -> &Url {
        self.document.moved_to.as_ref().unwrap_or(&self.url)
    }

    /// The document as it stands.
    pub(crate) fn text(&self) -> &str {
        &self.document.text
    }

    /// The document as data.
    pub(crate) fn data(&self) -> Result<Value, Problem> {
        let data = self.document.data.get_or_init(|| parse_document(self.text()));
        data.clone().map_err(|error| self.unreadable(&error))
    }

    /// The document as data that is read where it is looked at, with the text to look at it in.
    pub(crate) fn tree(&self) -> Result<(&Lazy, &str), Problem> {
        let tree = self.document.tree.get_or_init(|| Tree::of(self.text()));
        let tree = tree.as_ref().map_err(|error| self.unreadable(error))?;
        Ok((&tree.root, tree.json.as_deref().unwrap_or_else(|| self.text())))
    }

    fn unreadable(&self, error: &str) -> Problem {
        let what = shown(&self.url);
        let detail = format!("the resource {what} is neither JSON nor YAML: {error}");
        Problem::new(Standard::Configuration, detail)
    }
}

/// Reads JSON, or YAML where it is no JSON.
pub(crate) fn parse_document(text: &str) -> Result<Value, String> {
    Value::from_json(text).or_else(|_| definition::data(text))
}
