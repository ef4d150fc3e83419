//! The `.proto` files of a call: fetched with all that they import, and compiled once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use prost_reflect::DescriptorPool;
use reqwest::Url;
use tokio::time::Instant;
use windlass_proto::limits;
use windlass_proto::plan::ExternalResource;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::places::places;
use super::{compiling, configuration};
use crate::attempt::Attempt;
use crate::document::{Document, Fetched};
use crate::protobuf::{Compiled, IMPORT_PATH, Source, compile, is_bundled};
use crate::request::{excerpt, shown};

/// Files of a call while they are gathered.
struct Gathered {
    /// Where the first was asked for.
    asked: Url,
    /// Where it was found.
    base: Url,
    /// The `package` of the first.
    package: String,
    sources: Vec<Source>,
    files: Vec<(Url, Arc<Document>)>,
    bytes: usize,
}

impl Attempt<'_> {
    /// The types and services of the file at `proto`.
    pub(super) async fn types(
        &mut self,
        proto: &ExternalResource,
        input: &Value,
    ) -> Result<DescriptorPool, Problem> {
        let first = self.fetch_within(proto, input, limits::PROTO_BYTES).await?;
        if let Some(kept) = self.worker.protos.get(first.url.as_str())
            && self.is_unchanged(&kept, &first, proto, input).await
        {
            return Ok(kept.pool.clone());
        }
        let url = first.url.to_string();
        let gathered = self.gather(first, proto, input).await?;
        let (sources, files, weight) = (gathered.sources, gathered.files, gathered.bytes);
        let pool = working(&files[0].0, move || compile(sources)).await?;
        let until = Instant::now() + Duration::from_millis(limits::CACHED_PROTO_MS);
        let compiled = Arc::new(Compiled { files, pool: pool.clone() });
        self.worker.protos.put_weighing(url, compiled, until, weight);
        Ok(pool)
    }

    /// True when all files that `kept` was made of are still as they were.
    async fn is_unchanged(
        &mut self,
        kept: &Compiled,
        first: &Fetched,
        proto: &ExternalResource,
        input: &Value,
    ) -> bool {
        let same = |old: &Arc<Document>, new: &Arc<Document>| {
            Arc::ptr_eq(old, new) || old.text() == new.text()
        };
        for (at, (url, old)) in kept.files.iter().enumerate() {
            let new = match at {
                0 => Ok(first.document.clone()),
                _ => self.fetch_import(url, &first.url, limits::PROTO_BYTES, proto, input).await,
            };
            // What cannot be fetched now is told when it is tried again.
            if !new.is_ok_and(|new| same(old, &new)) {
                return false;
            }
        }
        true
    }

    /// Fetches and parses what the first file imports, and what that imports.
    async fn gather(
        &mut self,
        first: Fetched,
        proto: &ExternalResource,
        input: &Value,
    ) -> Result<Gathered, Problem> {
        let base = first.base().clone();
        let Fetched { document, url } = first;
        let name = base.path().rsplit('/').next().unwrap_or_default().to_owned();
        let mut seen = HashSet::from([name.clone()]);
        let mut gathered = Gathered {
            asked: url.clone(),
            base,
            package: String::new(),
            sources: Vec::new(),
            files: Vec::new(),
            bytes: 0,
        };
        gathered.add(&name, document, url).await?;
        let mut next = 0;
        while let Some(source) = gathered.sources.get(next) {
            next += 1;
            let imports = source.imports().to_vec();
            for name in imports {
                if is_bundled(&name) || !seen.insert(name.clone()) {
                    continue;
                }
                if gathered.files.len() >= limits::PROTO_FILES {
                    let most = limits::PROTO_FILES;
                    let detail = format!("{} imports more than {most} files", gathered.shown());
                    return Err(configuration(detail));
                }
                let (document, url) = self.find(&gathered, &name, proto, input).await?;
                gathered.add(&name, document, url).await?;
            }
        }
        Ok(gathered)
    }

    /// The file that is imported as `name`.
    async fn find(
        &mut self,
        gathered: &Gathered,
        name: &str,
        proto: &ExternalResource,
        input: &Value,
    ) -> Result<(Arc<Document>, Url), Problem> {
        let left = limits::PROTO_BYTES.saturating_sub(gathered.bytes);
        let places = places(&gathered.base, &gathered.package, name);
        for url in &places {
            match self.fetch_import(url, &gathered.asked, left, proto, input).await {
                Ok(document) => return Ok((document, url.clone())),
                // A file that cannot be read has no status of its own.
                Err(problem) if problem.status == 404 || url.scheme() == "file" => {}
                Err(problem) => return Err(problem),
            }
        }
        let tried: Vec<_> = places.iter().map(shown).collect();
        let tried = match tried.is_empty() {
            true => IMPORT_PATH.to_owned(),
            false => format!("it is not at {}", tried.join(", nor at ")),
        };
        let name = excerpt(name.as_bytes());
        Err(configuration(format!("{} imports {name:?}: {tried}", gathered.shown())))
    }

    /// The file at `url`, which is beside the first or below one of its folders; the first was
    /// asked for at `asked`, and the credentials are for that origin.
    async fn fetch_import(
        &mut self,
        url: &Url,
        asked: &Url,
        most: usize,
        proto: &ExternalResource,
        input: &Value,
    ) -> Result<Arc<Document>, Problem> {
        let same = url.origin() == asked.origin();
        let authentication = proto.endpoint.authentication.as_deref().filter(|_| same);
        let authorization = self.authorize(authentication, input).await?;
        Ok(self.fetch_url(url, authorization, most).await?.document)
    }
}

impl Gathered {
    fn shown(&self) -> String {
        shown(&self.base)
    }

    async fn add(&mut self, name: &str, document: Arc<Document>, url: Url) -> Result<(), Problem> {
        self.bytes += document.text().len();
        let (name, text) = (name.to_owned(), document.clone());
        let source = working(&url, move || Source::parse(&name, text.text())).await?;
        if self.sources.is_empty() {
            self.package = source.package().to_owned();
        }
        self.sources.push(source);
        self.files.push((url, document));
        Ok(())
    }
}

/// Does `work` on the file at `url` on a thread that no other task waits for, a few at a time.
async fn working<T: Send + 'static>(
    url: &Url,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Problem> {
    compiling(work).await?.map_err(|why| {
        let why = excerpt(why.as_bytes());
        Problem::new(
            Standard::Configuration,
            format!("the file {} is no .proto file that can be used: {why}", shown(url)),
        )
    })
}
