//! What an agent card says of how the agent is called, in the form of either version.

use windlass_proto::value::Value;

use super::method::Version;

/// The binding that is spoken here.
const JSON_RPC: &str = "JSONRPC";

/// Where an agent is spoken to, and how.
#[derive(Debug, PartialEq)]
pub(super) struct Interface {
    /// May be relative to the card.
    pub(super) url: String,
    pub(super) version: Version,
    /// What each request has to name, where an agent is there for several.
    pub(super) tenant: Option<Value>,
}

/// The interface of the newest version that is spoken here; of several the first, which the agent
/// prefers.
///
/// # Errors
/// What the card offers instead.
pub(super) fn interface(card: &Value) -> Result<Interface, String> {
    if card.as_object().is_none() {
        return Err("it is no object".into());
    }
    let all = offered(card);
    let mut best: Option<Interface> = None;
    for (binding, version, interface) in &all {
        let Some(version) = Version::parse(version) else { continue };
        let url = text(interface, "url");
        let is_better = best.as_ref().is_none_or(|it| it.version < version);
        if binding.eq_ignore_ascii_case(JSON_RPC) && !url.is_empty() && is_better {
            let tenant = interface.get("tenant").filter(|it| it.as_str() != Some("")).cloned();
            best = Some(Interface { url: url.to_owned(), version, tenant });
        }
    }
    best.ok_or_else(|| {
        let others = all.iter().map(|(binding, version, _)| format!("{binding} {version}"));
        let others = others.collect::<Vec<_>>().join(", ");
        let others = if others.is_empty() { "nothing" } else { &others };
        format!("it offers {others}, and {JSON_RPC} of the versions 0.3 and 1.0 is spoken here")
    })
}

/// Binding, version and interface, in the order of the card.
fn offered(card: &Value) -> Vec<(&str, &str, &Value)> {
    let of = |key: &str| card.get(key).and_then(Value::as_array).unwrap_or_default();
    let newer = of("supportedInterfaces").iter();
    let newer = newer.map(|it| (text(it, "protocolBinding"), text(it, "protocolVersion"), it));
    let newer = newer.map(|(binding, version, it)| (binding, or(version, "0.3"), it));
    let version = or(text(card, "protocolVersion"), "0.3");
    let main = (or(text(card, "preferredTransport"), JSON_RPC), version, card);
    let main = card.get("url").map(|_| main);
    let others = of("additionalInterfaces").iter();
    let others = others.map(|it| (text(it, "transport"), version, it));
    newer.chain(main).chain(others).collect()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn or<'v>(text: &'v str, usual: &'v str) -> &'v str {
    if text.is_empty() { usual } else { text }
}

/// The names of what the agent wants to be shown, for the error of one that refuses.
pub(super) fn security(card: &Value) -> Option<String> {
    let given = card.get("securityRequirements").or_else(|| card.get("security"))?;
    let names = |it: &Value| {
        let schemes = it.get("schemes").unwrap_or(it).as_object()?;
        Some(schemes.keys().map(|it| &**it).collect::<Vec<_>>().join(" with "))
    };
    let all = given.as_array()?.iter().filter_map(names).filter(|it| !it.is_empty());
    Some(all.collect::<Vec<_>>().join(" or ")).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Interface, interface, security};
    use crate::perform::a2a::method::Version;
    use crate::testing::json;

    fn found(card: &str) -> Result<(String, Version), String> {
        interface(&json(card)).map(|it| (it.url, it.version))
    }

    #[test]
    fn the_newest_interface_that_is_spoken_is_taken() {
        let card = r#"{"supportedInterfaces": [
            {"url": "grpc://a", "protocolBinding": "GRPC", "protocolVersion": "1.0"},
            {"url": "http://old", "protocolBinding": "JSONRPC", "protocolVersion": "0.3"},
            {"url": "http://new", "protocolBinding": "JSONRPC", "protocolVersion": "1.1",
             "tenant": "t"},
            {"url": "http://same", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
            {"url": "http://later", "protocolBinding": "JSONRPC", "protocolVersion": "2.0"}
        ], "url": "http://older"}"#;
        let tenant = Some("t".into());
        let expected = Interface { url: "http://new".into(), version: Version::V1, tenant };
        assert_eq!(interface(&json(card)), Ok(expected));
    }

    #[test]
    fn cards_of_the_older_form_are_read() {
        let plain = r#"{"url": "http://a", "protocolVersion": "0.3.0"}"#;
        assert_eq!(found(plain), Ok(("http://a".into(), Version::V0_3)));
        let silent = r#"{"url": "/a"}"#;
        assert_eq!(found(silent), Ok(("/a".into(), Version::V0_3)));
        let beside = r#"{"url": "http://a", "preferredTransport": "GRPC", "additionalInterfaces":
            [{"transport": "HTTP+JSON", "url": "http://b"}, {"transport": "JSONRPC", "url": "http://c"}]}"#;
        assert_eq!(found(beside), Ok(("http://c".into(), Version::V0_3)));
    }

    #[test]
    fn what_a_card_offers_instead_is_said() {
        let other = r#"{"supportedInterfaces": [
            {"url": "a", "protocolBinding": "GRPC", "protocolVersion": "1.0"},
            {"url": "b", "protocolBinding": "JSONRPC", "protocolVersion": "2.0"}]}"#;
        assert!(found(other).is_err_and(|it| it.contains("GRPC 1.0, JSONRPC 2.0")));
        assert!(found("{}").is_err_and(|it| it.contains("offers nothing")));
        assert!(found("[]").is_err());
    }

    #[test]
    fn what_an_agent_wants_to_be_shown_is_read() {
        let older = r#"{"security": [{"bearer": []}, {"key": [], "oauth": ["a"]}]}"#;
        assert_eq!(security(&json(older)).as_deref(), Some("bearer or key with oauth"));
        let newer = r#"{"securityRequirements": [{"schemes": {"bearer": {"list": []}}}]}"#;
        assert_eq!(security(&json(newer)).as_deref(), Some("bearer"));
        assert_eq!(security(&json(r#"{"security": [{}]}"#)), None);
        assert_eq!(security(&json("{}")), None);
    }
}
