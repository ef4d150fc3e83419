//! The keys that an operation takes, by its `security`.

use std::collections::BTreeSet;

use windlass_proto::problem::Problem;
use windlass_proto::value::{Members, Value};

use super::document::Location;
use crate::perform::documents::{Documents, Located, Trouble};

/// A key by which the caller is known.
pub(super) struct ApiKey {
    /// The name of the scheme.
    pub(super) scheme: String,
    /// The name of the header, the parameter of the query or the cookie.
    pub(super) name: String,
    pub(super) location: Location,
    /// Written before the value.
    pub(super) prefix: &'static str,
}

/// The keys that `operation` takes, and whether it takes nothing else.
pub(super) fn keys(
    documents: &Documents,
    operation: &Located,
    is_swagger_2: bool,
) -> Result<(Vec<ApiKey>, bool), Trouble> {
    let required = match operation.part("security") {
        Some(own) => Some(own),
        None => documents.top("security")?,
    };
    let required = required.as_ref().and_then(|it| it.value.as_array()).unwrap_or_default();
    let names: BTreeSet<_> =
        required.iter().filter_map(Value::as_object).flat_map(Members::keys).collect();
    let Some(schemes) = schemes(documents, is_swagger_2)? else { return Ok((Vec::new(), false)) };
    let mut keys = Vec::new();
    let mut others = false;
    for name in names {
        let Some(scheme) = schemes.part(name) else { continue };
        let scheme = match documents.resolve(scheme) {
            Ok(scheme) => scheme,
            Err(Trouble::Needs(url)) => return Err(Trouble::Needs(url)),
            // It may not be the one that is used.
            Err(Trouble::Wrong(_)) => continue,
        };
        let is_bearer = scheme.text("scheme").is_some_and(|it| it.eq_ignore_ascii_case("bearer"));
        let key = |name: &str, location, prefix| ApiKey {
            scheme: String::new(),
            name: name.to_owned(),
            location,
            prefix,
        };
        let found = match (scheme.text("type"), scheme.text("name")) {
            (Some("apiKey"), Some(name)) => key(name, Location::of(scheme.text("in")), ""),
            (Some("http"), _) if is_bearer => {
                others = true;
                key("authorization", Location::Header, "Bearer ")
            }
            _ => {
                others = true;
                continue;
            }
        };
        keys.push(ApiKey { scheme: name.to_string(), ..found });
    }
    let keys_only = !others && !keys.is_empty();
    Ok((keys, keys_only))
}

fn schemes(documents: &Documents, is_swagger_2: bool) -> Result<Option<Located>, Problem> {
    if is_swagger_2 {
        return documents.top("securityDefinitions");
    }
    let (root, text) = documents.root()?;
    let schemes = root.get(text, "components").and_then(|it| it.get(text, "securitySchemes"));
    schemes.map(|it| documents.own(it)).transpose()
}
