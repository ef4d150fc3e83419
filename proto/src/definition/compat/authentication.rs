//! Endpoints and authentications in other words.

use super::{Compat, codes, put, rename, take};
use crate::definition::node::{Mapping, Node};

/// What discovery appends to an authority.
const DISCOVERY: &str = "/.well-known/openid-configuration";

impl Compat<'_> {
    /// The endpoint under `key`.
    pub(super) fn endpoint_at(&mut self, node: &mut Node, key: &str) {
        if let Some(endpoint) = node.get_mut(key) {
            if let Some(place) = rename(endpoint, "url", "uri") {
                let message = "an endpoint has `uri`, not `url`";
                self.deviation(codes::URL_FOR_URI, place, message, "write `uri`");
            }
            self.authentication_at(endpoint);
        }
    }

    /// `authentication` of an endpoint, a service, or a call: a name alone means `use`.
    pub(super) fn authentication_at(&mut self, node: &mut Node) {
        let Some(found) = node.get_mut("authentication") else { return };
        if let Some(name) = found.as_str() {
            let hint = format!("write `authentication: {{ use: {name} }}`");
            let message = "`authentication` is only a name";
            self.deviation(codes::AUTHENTICATION_NAME, found.place, message, &hint);
            *found = Node::mapping(found.place, [("use".into(), found.clone())]);
        }
        self.authentication(found);
    }

    /// A policy.
    pub(super) fn authentication(&mut self, node: &mut Node) {
        for scheme in ["basic", "digest"] {
            if let Some(found) = node.get_mut(scheme) {
                self.strings(found, &["username", "password"]);
            }
        }
        if let Some(bearer) = node.get_mut("bearer") {
            if bearer.as_mapping().is_none() && bearer.as_sequence().is_none() {
                self.stringify(bearer, "`bearer`");
            }
            if bearer.as_str().is_some() {
                let message = "`bearer` is only a text";
                let hint = "write `bearer: { token: … }`";
                self.deviation(codes::BEARER_TEXT, bearer.place, message, hint);
                *bearer = Node::mapping(bearer.place, [("token".into(), bearer.clone())]);
            }
            self.strings(bearer, &["token"]);
        }
        for scheme in ["oauth2", "oidc"] {
            if let Some(found) = node.get_mut(scheme) {
                self.oauth2(found);
            }
        }
    }

    fn oauth2(&mut self, node: &mut Node) {
        self.strings(node, &["username", "password"]);
        if let Some(client) = node.get_mut("client") {
            self.strings(client, &["id", "secret", "assertion"]);
        }
        for key in ["issuers", "scopes", "audiences"] {
            self.list_of_strings(node, key);
        }
        for key in ["subject", "actor"] {
            if let Some(token) = node.get_mut(key) {
                self.strings(token, &["token", "type"]);
            }
        }
        if let Some(grant) = node.get_mut("grant") {
            let known = ["client-credentials", "authorization-code", "refresh-token"];
            if let Some(text) = grant.as_str().filter(|text| known.contains(text)) {
                let underscores = text.replace('-', "_");
                let message = format!("the grant is called `{underscores}`, not `{text}`");
                let hint = format!("write `{underscores}`");
                self.deviation(codes::GRANT_DASHES, grant.place, &message, &hint);
                *grant = Node::string(grant.place, &underscores);
            }
        }
        if let Some(authority) = node.get_mut("authority")
            && let Some(base) = authority.as_str().and_then(|text| text.strip_suffix(DISCOVERY))
        {
            let message = "`authority` is the address of its configuration";
            let hint = format!("write `{base}`: the rest is appended");
            let place = authority.place;
            *authority = Node::string(place, base);
            self.deviation(codes::DISCOVERY_AUTHORITY, place, message, &hint);
        }
    }

    /// `uri` or `url` and `authentication` beside `method` of an HTTP call, instead of inside
    /// `endpoint`.
    pub(super) fn with_uri(&mut self, with: &mut Node) {
        let words = [("uri", codes::WITH_URI), ("url", codes::URL_FOR_URI)];
        let given = words.iter().find(|(word, _)| with.get(word).is_some());
        let Some((word, code)) = given.filter(|_| with.get("endpoint").is_none()) else { return };
        let Some(uri) = take(with, word) else { return };
        let message = format!("an HTTP call has `endpoint`, not `{word}`");
        self.deviation(code, uri.key, &message, "write `endpoint`");
        let authentication = take(with, "authentication");
        let Some(members) = with.as_mapping_mut() else { return };
        let Some(authentication) = authentication else {
            put(members, "endpoint", uri.key, uri.node);
            return;
        };
        let place = uri.key;
        let mut endpoint = Mapping::new();
        endpoint.insert("uri".into(), uri);
        endpoint.insert("authentication".into(), authentication);
        let endpoint = Node::new(place, crate::definition::node::Data::Mapping(endpoint));
        put(members, "endpoint", place, endpoint);
    }
}
