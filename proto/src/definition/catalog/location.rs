//! Where a function of a catalog is: the forms of catalogs' URLs.
//!
//! A catalog has its functions at `functions/{name}/{version}/function.yaml`. What hosts of Git
//! show people is not the file, so their pages are turned into the addresses of the files.

use std::fmt;
use std::sync::Arc;

use semver::Version;

use super::DEFAULT_CATALOG;
use crate::limits;

/// Where a function is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// In the default catalog of the server: `name:version`.
    Default(Arc<str>),
    /// At this URL.
    Url(Arc<str>),
}

impl Location {
    /// The function `function` (`name:version`) of the default catalog.
    pub(in crate::definition) fn of_default(function: &str) -> Result<Self, String> {
        parts(function)?;
        Ok(Self::Default(function.into()))
    }

    /// The function `function` (`name:version`) of the catalog at `endpoint`.
    pub(in crate::definition) fn in_catalog(
        endpoint: &str,
        function: &str,
    ) -> Result<Self, String> {
        let (name, version) = parts(function)?;
        let (path, query) = divide(endpoint);
        let root = root_of(path).unwrap_or_else(|| path.trim_end_matches('/').to_owned());
        Ok(Self::Url(format!("{root}/functions/{name}/{version}/function.yaml{query}").into()))
    }

    /// The function at `url` itself.
    pub(in crate::definition) fn at(url: &str) -> Result<Self, String> {
        if url.contains(char::is_whitespace) || url.len() > limits::FUNCTION_URL_BYTES {
            return Err("the URL of a function has white space, or no end".to_owned());
        }
        let (path, query) = divide(url);
        let file = file_of(path).unwrap_or_else(|| path.to_owned());
        Ok(Self::Url(format!("{file}{query}").into()))
    }

    /// What it is pinned as.
    #[must_use]
    pub fn key(&self) -> Arc<str> {
        match self {
            Self::Default(function) => format!("{function}@{DEFAULT_CATALOG}").into(),
            Self::Url(url) => url.clone(),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}

/// Name and version of a function, each fit to be a part of a path.
fn parts(function: &str) -> Result<(&str, &str), String> {
    let Some((name, version)) = function.split_once(':') else {
        return Err(format!("`{function}` names no version of the function"));
    };
    for part in [name, version] {
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
        let fits = !part.is_empty() && part.len() <= limits::FUNCTION_NAME_BYTES;
        if !fits || !part.chars().all(known) || part.chars().all(|c| c == '.') {
            let most = limits::FUNCTION_NAME_BYTES;
            return Err(format!(
                "`{part}` cannot be a name or version of a function: 1 to {most} letters, digits, \
                 `-`, `_`, `.` and `+`"
            ));
        }
    }
    Ok((name, version))
}

/// A URL before its query or fragment, and the query. A fragment is no part of a request.
fn divide(url: &str) -> (&str, &str) {
    let url = url.split_once('#').map_or(url, |(before, _)| before);
    url.find('?').map_or((url, ""), |at| url.split_at(at))
}

/// Where the files of a catalog are whose page at a host of Git is `page`; none elsewhere.
fn root_of(page: &str) -> Option<String> {
    let page = page.trim_end_matches('/');
    let (origin, path) = origin_and_path(page)?;
    if let Some((project, rest)) = path.split_once("/-/tree/") {
        return Some(format!("{origin}/{project}/-/raw/{rest}"));
    }
    let words: Vec<&str> = path.split('/').collect();
    match (host(origin), &words[..]) {
        ("github.com" | "www.github.com", [owner, repository]) => {
            let (repository, branch) = repository.split_once('@').unwrap_or((repository, "main"));
            let repository = repository.strip_suffix(".git").unwrap_or(repository);
            Some(github(owner, repository, branch, &[]))
        }
        ("github.com" | "www.github.com", [owner, repository, "tree", branch, below @ ..]) => {
            Some(github(owner, repository, branch, below))
        }
        ("gitlab.com", [_, .., _]) if !path.contains("/-/") => {
            let project = path.strip_suffix(".git").unwrap_or(path);
            Some(format!("{origin}/{project}/-/raw/main"))
        }
        _ => None,
    }
}

/// The file that the page `page` of a host of Git shows; none elsewhere.
fn file_of(page: &str) -> Option<String> {
    let (origin, path) = origin_and_path(page)?;
    if let Some((project, rest)) = path.split_once("/-/blob/") {
        return Some(format!("{origin}/{project}/-/raw/{rest}"));
    }
    let words: Vec<&str> = path.split('/').collect();
    match (host(origin), &words[..]) {
        (
            "github.com" | "www.github.com",
            [owner, repository, "blob" | "raw", branch, file @ ..],
        ) => Some(github(owner, repository, branch, file)),
        _ => None,
    }
}

/// Where GitHub has what is below `path` on a branch; tags and commits have no `refs/heads`.
fn github(owner: &str, repository: &str, reference: &str, path: &[&str]) -> String {
    let number = reference.strip_prefix('v').unwrap_or(reference);
    let is_commit = reference.len() == 40 && reference.bytes().all(|it| it.is_ascii_hexdigit());
    let heads = if is_commit || Version::parse(number).is_ok() { "" } else { "refs/heads/" };
    let head = format!("https://raw.githubusercontent.com/{owner}/{repository}/{heads}{reference}");
    path.iter().filter(|it| !it.is_empty()).fold(head, |url, word| format!("{url}/{word}"))
}

/// `https://host` and the path without its first slash.
fn origin_and_path(url: &str) -> Option<(&str, &str)> {
    let start = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let at = url.len() - start.len() + start.find('/')?;
    let (origin, path) = url.split_at(at);
    Some((origin, path.trim_start_matches('/')))
}

fn host(origin: &str) -> &str {
    let authority = origin.split_once("://").map_or(origin, |(_, it)| it);
    authority.rsplit_once('@').map_or(authority, |(_, it)| it)
}

#[cfg(test)]
mod tests;
