//! Protocol Buffers whose types are known only while a worker runs: `.proto` files compiled, and
//! messages from data and to data.

mod guard;
mod message;
mod source;

use std::sync::Arc;

use prost_reflect::DescriptorPool;
use reqwest::Url;

use crate::cache::Cache;
use crate::document::Document;

pub(crate) use message::{Decoded, decode, encode};
pub(crate) use source::{Source, compile, is_bundled};

/// Compiled files by the URL of the first.
pub(crate) type ProtoCache = Cache<String, Arc<Compiled>>;

/// What came of some `.proto` files.
pub(crate) struct Compiled {
    /// All files it was made of, the one that was asked for first.
    pub(crate) files: Vec<(Url, Arc<Document>)>,
    /// The types and services in them.
    pub(crate) pool: DescriptorPool,
}

#[cfg(test)]
mod tests;
