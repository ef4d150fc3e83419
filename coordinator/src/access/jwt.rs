//! Signed tokens of identity providers (RFC 7519), as OpenID Connect and Kubernetes have them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{DecodingKey, Header, Validation, decode, decode_header};
use serde_json::Value as Json;
use windlass_proto::expression::{Budget, Program, Scope};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::keys::Keys;
use super::principal::{Method, Principal};
use super::rules::{Granted, IssuerRule, Rules};
use super::{Refusal, clock_seconds};

/// Types of tokens that are taken: others are for other uses, such as telling of a logout.
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// The claim that says who issued a token, before anything of it is verified: to find the keys.
pub(super) fn issuer_of(token: &str) -> Option<String> {
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Json = serde_json::from_slice(&claims).ok()?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

/// True when the header says that something of it must be understood (RFC 7515, 4.1.11).
fn has_critical(token: &str) -> bool {
    let header = token.split('.').next().and_then(|it| URL_SAFE_NO_PAD.decode(it).ok());
    let header = header.and_then(|it| serde_json::from_slice::<Json>(&it).ok());
    header.is_some_and(|it| it.get("crit").is_some())
}

/// Whoever a token is of.
pub(super) async fn verify(
    token: &str,
    issuer: &Arc<IssuerRule>,
    keys: &Arc<Keys>,
    rules: &Rules,
    now: Timestamp,
) -> Result<Principal, Refusal> {
    let header = decode_header(token).map_err(|_| Refusal::token("it is no signed JWT"))?;
    if !issuer.algorithms.contains(&header.alg) {
        return Err(Refusal::token("it is signed with an algorithm that is not taken"));
    }
    if has_critical(token) {
        return Err(Refusal::token("it has a header that must be understood, and is not"));
    }
    let kind = header.typ.as_deref().map(str::to_ascii_lowercase);
    if kind.is_some_and(|it| !TYPES.contains(&it.trim_start_matches("application/"))) {
        return Err(Refusal::token("its `typ` is that of a token for another use"));
    }
    let known = keys.get(issuer, |it| candidates(it, &header).next().is_some()).await;
    // Why is in the log already.
    let known = known.map_err(|_| Refusal::Provider(issuer.name.clone()))?;
    let mut refusal = Refusal::token("its issuer publishes no key that it is signed with");
    for key in candidates(&known, &header) {
        match claims(token, key, &header, issuer) {
            Ok(claims) => return principal(&claims, issuer, rules, now),
            Err(refused) => refusal = refused,
        }
    }
    Err(refusal)
}

/// The keys that may have signed it.
fn candidates<'a>(keys: &'a JwkSet, header: &'a Header) -> impl Iterator<Item = &'a Jwk> {
    let signs = |it: &Jwk| {
        let common = &it.common;
        let signs = common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature);
        let named = header.kid.is_none() || common.key_id == header.kid;
        let fits =
            common.key_algorithm.is_none_or(|it| it.to_string() == format!("{:?}", header.alg));
        signs && named && fits
    };
    keys.keys.iter().filter(move |it| signs(it))
}

fn claims(token: &str, key: &Jwk, header: &Header, issuer: &IssuerRule) -> Result<Json, Refusal> {
    let key = DecodingKey::from_jwk(key)
        .map_err(|_| Refusal::token("its issuer's key is of a kind that is not taken"))?;
    let mut rules = Validation::new(header.alg);
    rules.leeway = limits::ACCESS_CLOCK_SKEW_S;
    rules.validate_nbf = true;
    rules.set_issuer(&[&*issuer.url]);
    rules.set_audience(&issuer.audiences);
    rules.set_required_spec_claims(&["exp", "iss", "aud"]);
    let decoded = decode::<Json>(token, &key, &rules);
    Ok(decoded.map_err(|error| Refusal::token(&what(&error)))?.claims)
}

/// What is wrong with a token, for whoever shows it.
fn what(error: &jsonwebtoken::errors::Error) -> String {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::ExpiredSignature => "it has expired".to_owned(),
        ErrorKind::ImmatureSignature => "it is not valid yet".to_owned(),
        ErrorKind::InvalidAudience => "it is for another audience".to_owned(),
        ErrorKind::InvalidIssuer => "it is of another issuer".to_owned(),
        ErrorKind::MissingRequiredClaim(claim) => format!("it has no `{claim}`"),
        _ => "its signature does not fit".to_owned(),
    }
}

/// Who the claims say it is, and what they may.
fn principal(
    claims: &Json,
    issuer: &IssuerRule,
    rules: &Rules,
    now: Timestamp,
) -> Result<Principal, Refusal> {
    let value = Value::from_json(&claims.to_string())
        .map_err(|_| Refusal::token("its claims are nested too deeply"))?;
    let ask = |program: &Program| {
        program.evaluate(value.clone(), &Claims, Budget::at(now)).map_err(|error| {
            let reason = format!("its claims: {}", error.message);
            Refusal::token(&reason)
        })
    };
    let subject = ask(&issuer.subject)?;
    let subject = subject.as_str().filter(|it| is_name(it));
    let subject = subject.ok_or_else(|| Refusal::token("its claims name no subject"))?;
    let groups = match &issuer.groups {
        Some(program) => names(&ask(program)?),
        None => Vec::new(),
    };
    let mut grants = rules.grants(&issuer.name, subject, &groups);
    let granted_by_rules = grants.len();
    if let Some(program) = &issuer.grants {
        let told = ask(program)?.to_json();
        let told: Vec<Granted> = serde_json::from_str(&told)
            .map_err(|error| Refusal::token(&format!("its claims make no grants: {error}")))?;
        let told = told.iter().take(limits::ACCESS_PATTERNS).filter(|it| it.fault().is_none());
        grants.extend(told.filter_map(|it| rules.grant(it)));
    }
    // As long as it is taken.
    let skew = limits::ACCESS_CLOCK_SKEW_S as f64;
    let expires = claims.get("exp").and_then(Json::as_f64).map(|it| clock_seconds(it + skew));
    let (issuer, subject, method) = (issuer.name.clone(), subject.into(), Method::Jwt);
    Ok(Principal { issuer, subject, method, groups, grants, granted_by_rules, expires })
}

/// Claims know no variables.
struct Claims;

impl Scope for Claims {
    fn variable(&self, _: &str) -> Value {
        Value::Null
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= limits::ACCESS_NAME_BYTES
        && !text.chars().any(char::is_control)
}

/// The texts of a list, or the one that is there.
fn names(value: &Value) -> Vec<Arc<str>> {
    let one = std::slice::from_ref(value);
    let all = value.as_array().unwrap_or(one).iter().filter_map(Value::as_str);
    all.filter(|it| is_name(it)).take(limits::ACCESS_GROUPS).map(Arc::from).collect()
}
