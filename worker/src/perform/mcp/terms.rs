//! What a server says of the versions it speaks.

use windlass_proto::plan::McpVersion;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::message::UNSUPPORTED_VERSION;
use crate::perform::json_rpc::message::{Reply, RpcError};

/// True where the reply to `server/discover` says that there are no sessions; false where the
/// server is to be asked by `initialize`.
///
/// # Errors
/// Where it speaks nothing that is spoken here.
pub(super) fn is_stateless(reply: Option<&Reply>) -> Result<bool, Problem> {
    match reply {
        Some(Reply::Result(result)) => {
            let versions = listed(result.get("supportedVersions"));
            Ok(versions.iter().any(|it| it == McpVersion::NEWEST.as_str()))
        }
        Some(Reply::Error(error)) if error.code == UNSUPPORTED_VERSION => {
            let versions = supported(error);
            let spoken = |it: &String| McpVersion::parse(it).is_some();
            if !versions.is_empty() && !versions.iter().any(spoken) {
                return Err(none_in_common(&versions.join(", ")));
            }
            Ok(false)
        }
        _ => Ok(false),
    }
}

/// True where a server that was asked by `initialize` says that it keeps no sessions.
pub(super) fn wants_stateless(error: &RpcError) -> bool {
    error.code == UNSUPPORTED_VERSION
        && supported(error).iter().any(|it| it == McpVersion::NEWEST.as_str())
}

/// The version of the session that `initialize` has opened.
///
/// # Errors
/// Where it is none that is spoken here.
pub(super) fn agreed(result: &Value) -> Result<McpVersion, Problem> {
    let text = result.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
    let version = McpVersion::parse(text).filter(|it| !it.is_stateless());
    version.ok_or_else(|| none_in_common(text))
}

fn supported(error: &RpcError) -> Vec<String> {
    listed(error.data.as_ref().and_then(|it| it.get("supported")))
}

fn listed(versions: Option<&Value>) -> Vec<String> {
    let versions = versions.and_then(Value::as_array).unwrap_or_default();
    versions.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect()
}

fn none_in_common(theirs: &str) -> Problem {
    let ours = McpVersion::ALL.map(McpVersion::as_str).join(", ");
    let detail = format!(
        "the MCP server speaks the version {theirs:?} of the protocol, which this worker does not: \
         it speaks {ours}"
    );
    Problem::new(Standard::Runtime, detail)
}
