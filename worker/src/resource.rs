//! Documents elsewhere: schemas, descriptions of interfaces, scripts.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use tokio::time::Instant;
use windlass_proto::limits;
use windlass_proto::plan::ExternalResource;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use crate::attempt::Attempt;
use crate::authentication::Authorization;
use crate::charset;
use crate::document::{Document, Fetched, Validators};
use crate::media::content_type;
use crate::request::{Extent, Request, Response, shown};
use crate::stand_in::CallPurpose;

impl Attempt<'_> {
    /// The text of `resource`.
    pub(crate) async fn fetch(
        &mut self,
        resource: &ExternalResource,
        input: &Value,
    ) -> Result<Fetched, Problem> {
        self.fetch_within(resource, input, limits::RESOURCE_BYTES).await
    }

    /// The text of `resource`, of at most `most` bytes.
    pub(crate) async fn fetch_within(
        &mut self,
        resource: &ExternalResource,
        input: &Value,
        most: usize,
    ) -> Result<Fetched, Problem> {
        let authentication = resource.endpoint.authentication.as_deref();
        let authorization = self.authorize(authentication, input).await?;
        let text = with_path(self.expand(&resource.endpoint.uri, input)?);
        let url = Url::parse(text.trim()).map_err(|error| {
            let detail = format!("the endpoint of a resource is not an absolute URI: {error}");
            Problem::new(Standard::Configuration, detail)
        })?;
        self.seal.learn_url(&text, &url);
        self.fetch_url(&url, authorization, most).await
    }

    /// The document at `url`, of at most `most` bytes.
    pub(crate) async fn fetch_url(
        &mut self,
        url: &Url,
        authorization: Option<Authorization>,
        most: usize,
    ) -> Result<Fetched, Problem> {
        let document = match url.scheme() {
            "http" | "https" => self.download(url, authorization, most).await?,
            "file" => self.read_file(url, most).await?,
            other => {
                let detail = format!("resources of the scheme {other} are not supported");
                return Err(Problem::new(Standard::Configuration, detail));
            }
        };
        Ok(Fetched { document, url: url.clone() })
    }

    /// The document at `resource` as data.
    pub(crate) async fn fetch_document(
        &mut self,
        resource: &ExternalResource,
        input: &Value,
    ) -> Result<Value, Problem> {
        self.fetch(resource, input).await?.data()
    }

    /// The document at `url`, without authentication.
    pub(crate) async fn fetch_public(&mut self, url: &str) -> Result<Value, Problem> {
        let text = url;
        let url = crate::request::parse_url(text)?;
        self.seal.learn_url(text, &url);
        let document = self.download(&url, None, limits::RESOURCE_BYTES).await?;
        Fetched { document, url }.data()
    }

    async fn download(
        &mut self,
        url: &Url,
        authorization: Option<Authorization>,
        most: usize,
    ) -> Result<Arc<Document>, Problem> {
        let shared = authorization.is_none();
        let kept = shared.then(|| self.worker.documents.get(url.as_str())).flatten();
        if let Some(document) = kept {
            fit(document.text().len(), most, &shown(url))?;
            return Ok(document);
        }
        let stale = shared.then(|| self.worker.documents.stale(url.as_str())).flatten();
        let headers = stale.as_ref().map(|it| it.validators.conditions()).unwrap_or_default();
        let (method, url) = (Method::GET, url.clone());
        let request = Request { method, url: url.clone(), headers, body: None, identity: None };
        let (purpose, extent) = (CallPurpose::Document, Extent::all(most));
        let done = self.exchange_for(purpose, request, authorization, true, extent).await?;
        let status = done.response.status;
        let document = match stale.filter(|_| status == StatusCode::NOT_MODIFIED) {
            Some(document) => document,
            None => {
                let document = read(&done.response, most, &shown(&url))?;
                Arc::new(match done.request.url == url {
                    true => document,
                    false => document.found_at(done.request.url),
                })
            }
        };
        fit(document.text().len(), most, &shown(&url))?;
        if shared {
            let until = Instant::now() + Duration::from_millis(limits::RESOURCE_FRESH_MS);
            let weight = document.text().len();
            self.worker.documents.put_weighing(url.to_string(), document.clone(), until, weight);
        }
        Ok(document)
    }

    async fn read_file(&self, url: &Url, most: usize) -> Result<Arc<Document>, Problem> {
        let options = self.worker.clients.options();
        let Some(root) = options.files_of.get(&self.plan.id).or(options.files.as_ref()) else {
            let detail = "this worker's configuration does not allow `file:` resources";
            return Err(Problem::new(Standard::Authorization, detail));
        };
        // What a document refers to may have its first folder where a host belongs.
        let name = format!("{}{}", url.host_str().unwrap_or_default(), url.path());
        let name = percent_encoding::percent_decode_str(&name).decode_utf8_lossy();
        let relative: PathBuf = Path::new(&*name)
            .components()
            .filter(|it| matches!(it, Component::Normal(_)))
            .collect();
        // Where it is looked for, so that nobody has to guess which directory is meant.
        let root = tokio::fs::canonicalize(root).await.unwrap_or_else(|_| root.clone());
        let wanted = root.join(relative);
        let name = wanted.display().to_string();
        let failed = |why: String| {
            Problem::new(Standard::Communication, format!("cannot read the file {name}: {why}"))
        };
        let path = below(&root, &wanted).await.map_err(failed)?;
        let length = tokio::fs::metadata(&path).await.map_err(|it| failed(it.to_string()))?.len();
        if length > most as u64 {
            return Err(failed(format!("it is larger than {most} bytes")));
        }
        let bytes = tokio::fs::read(&path).await.map_err(|it| failed(it.to_string()))?;
        text_of(&bytes, "", Validators::default(), most, &name).map(Arc::new)
    }
}

/// `file://app/greet.proto`, as definitions write it, with its first folder in the path and not
/// where a host belongs: hosts have small letters alone.
fn with_path(text: String) -> String {
    let scheme = "file://";
    let (start, rest) = match text.trim_start().split_at_checked(scheme.len()) {
        Some((start, rest)) => (start, rest),
        None => return text,
    };
    let is_host = rest.starts_with('/') || rest.starts_with("localhost/");
    match start.eq_ignore_ascii_case(scheme) && !is_host {
        true => format!("{scheme}/{rest}"),
        false => text,
    }
}

/// The real path of `wanted` under `root`; an error when links lead out of it.
async fn below(root: &Path, wanted: &Path) -> Result<PathBuf, String> {
    let path = tokio::fs::canonicalize(wanted).await.map_err(|it| it.to_string())?;
    if path.starts_with(root) {
        Ok(path)
    } else {
        Err("it is outside the allowed directory".into())
    }
}

/// Checks that a document of `length` bytes is not larger than `most`.
fn fit(length: usize, most: usize, what: &str) -> Result<(), Problem> {
    if length > most {
        let detail = format!("the resource {what} is larger than {most} bytes");
        return Err(Problem::new(Standard::Communication, detail));
    }
    Ok(())
}

/// The document in a response.
fn read(response: &Response, most: usize, what: &str) -> Result<Document, Problem> {
    let status = response.status;
    if !status.is_success() {
        let detail = format!("the resource {what} answered {status}");
        let problem = Problem::new(Standard::Communication, detail);
        return Err(problem.with_status(status.as_u16()));
    }
    let validators = Validators::of(&response.headers);
    text_of(&response.body, &content_type(&response.headers), validators, most, what)
}

fn text_of(
    bytes: &[u8],
    content_type: &str,
    validators: Validators,
    most: usize,
    what: &str,
) -> Result<Document, Problem> {
    fit(bytes.len(), most, what)?;
    let text = charset::text(content_type, bytes).map_err(|why| {
        Problem::new(Standard::Communication, format!("the resource {what} cannot be read: {why}"))
    })?;
    Ok(Document::new(text, validators))
}

#[cfg(test)]
mod tests;
