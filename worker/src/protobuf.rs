//! Protocol Buffers whose types are known only while a worker runs: `.proto` files compiled, and
//! messages from data and to data.

mod descriptor;
mod guard;
mod message;
mod mismatch;
mod read;
mod reflection;
mod source;
mod write;

use std::sync::Arc;

use prost_reflect::DescriptorPool;
use reqwest::Url;
use windlass_proto::id::Digest;
use windlass_proto::limits;

use crate::cache::Cache;
use crate::document::Document;

pub(crate) use message::{Decoded, decode, encode};
pub(crate) use mismatch::Mismatch;
pub(crate) use reflection::{Gathering, Question, Refused, services};
pub(crate) use source::{IMPORT_PATH, Source, compile, is_bundled};

/// Compiled files by the URL of the first.
pub(crate) type ProtoCache = Cache<String, Arc<Compiled>>;

/// Types as servers told of them, by a digest of where, of what and by whom it was asked.
pub(crate) type ReflectedCache = Cache<Digest, DescriptorPool>;

/// What came of some `.proto` files.
pub(crate) struct Compiled {
    /// All files it was made of, the one that was asked for first.
    pub(crate) files: Vec<(Url, Arc<Document>)>,
    /// The types and services in them.
    pub(crate) pool: DescriptorPool,
}

/// Names of what the types have, for messages.
pub(crate) fn listed(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<_> = names.take(limits::GRPC_SHOWN + 1).collect();
    if names.len() > limits::GRPC_SHOWN {
        names[limits::GRPC_SHOWN] = "…".to_owned();
    }
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// True for a type of which the JSON mapping has a form of its own.
fn is_well_known(name: &str) -> bool {
    let name = name.strip_prefix("google.protobuf.").unwrap_or_default();
    matches!(
        name,
        "Any"
            | "Timestamp"
            | "Duration"
            | "Struct"
            | "FieldMask"
            | "ListValue"
            | "Value"
            | "Empty"
            | "FloatValue"
            | "DoubleValue"
            | "Int32Value"
            | "Int64Value"
            | "UInt32Value"
            | "UInt64Value"
            | "BoolValue"
            | "StringValue"
            | "BytesValue"
    )
}

/// The message of an error, without the place in a text that nobody has seen.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests;
