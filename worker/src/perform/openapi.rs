//! `call: openapi`: from an operation of a description, Swagger 2.0 or OpenAPI 3, to a request.

mod content;
mod document;
mod parameters;
mod schema;
mod security;

use std::collections::HashSet;

use percent_encoding::utf8_percent_encode;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use windlass_proto::limits;
use windlass_proto::plan::OpenApiCall;
use windlass_proto::plan::data_flow::DataFlow as _;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::{Members, Value};

use self::document::{Location, Operation, Parameter};
use self::parameters::{UNRESERVED, in_path, in_query};
use super::documents::{Documents, Trouble};
use super::exchange::Exchange;
use super::http::{add_headers, refused as refused_by_server};
use super::{aside, body};
use crate::attempt::Attempt;
use crate::authentication::Authorization;
use crate::request::{Request, parse_url};

impl Attempt<'_> {
    pub(super) async fn call_openapi(
        &mut self,
        call: &OpenApiCall,
        input: &Value,
    ) -> Result<Value, Problem> {
        let mut done = self.openapi_exchange(call, input).await;
        if refused_by_server(&done) && self.secrets_changed().await? {
            let input = self.transform_input(self.task, &self.input.clone())?;
            done = self.openapi_exchange(call, &input).await;
        }
        self.http_output(call.output, &done?)
    }

    /// Builds the request and sends it.
    async fn openapi_exchange(
        &mut self,
        call: &OpenApiCall,
        input: &Value,
    ) -> Result<Exchange, Problem> {
        let most = limits::OPENAPI_BYTES;
        let description = self.fetch_within(&call.document, input, most).await?;
        let mut documents = Documents::new(description);
        let authorization = self.authorize(call.authentication.as_deref(), input).await?;
        let given = self.evaluate_optional(call.parameters.as_ref(), input)?.unwrap_or_default();
        let token = match &authorization {
            Some(Authorization::Header { scheme: "Bearer", parameter }) => Some(parameter.clone()),
            _ => None,
        };
        loop {
            let (id, given, token) = (call.operation.clone(), given.clone(), token.clone());
            // A large description takes its time. Each turn fetches a document that was not there.
            let assembled = aside(move || {
                let token = token.as_deref().map(|it| it.expose().as_str());
                let request = assemble(&documents, &id, &given, token);
                (documents, request)
            });
            let request;
            (documents, request) = assembled.await?;
            match request {
                Ok((mut request, is_authorized)) => {
                    self.add_own_headers(&mut request.headers);
                    let authorization = authorization.filter(|_| !is_authorized);
                    return self.exchange(request, authorization, call.redirect).await;
                }
                Err(Trouble::Needs(url)) => {
                    self.fetch_referred(&mut documents, url, &call.document, input).await?;
                }
                Err(Trouble::Wrong(problem)) => return Err(problem),
            }
        }
    }
}

fn refused(operation: &Operation, why: &str) -> Problem {
    let detail = format!("the operation {}: {why}", operation.id);
    Problem::new(Standard::Configuration, detail)
}

/// The request of the operation `id` with the parameters `given`, and whether `token` is in it:
/// where the operation takes a key and nothing else, that is what the token is.
fn assemble(
    documents: &Documents,
    id: &str,
    given: &Value,
    token: Option<&str>,
) -> Result<(Request, bool), Trouble> {
    let operation = documents.operation(id)?;
    let operation = &operation;
    let mut left = match given {
        Value::Null => Members::new(),
        Value::Object(_) => given.clone().into_members().unwrap_or_default(),
        _ => return Err(refused(operation, "`parameters` must be an object").into()),
    };
    let mut parts = Parts { path: operation.path.clone(), ..Parts::default() };
    let shared = parts.take_parameters(operation, &mut left)?;
    check_path(operation, &parts.path)?;
    let is_authorized = parts.take_keys(documents, operation, &mut left, token)?;
    let content = content::content(documents, operation, parts.form, &shared, &mut left)?;
    if let Some(unknown) = left.keys().next() {
        let known: Vec<_> = operation.parameters.iter().map(|it| &*it.name).collect();
        let why = format!("it has no parameter {unknown}; it has: {}", known.join(", "));
        return Err(refused(operation, &why).into());
    }
    let mut headers = HeaderMap::new();
    if operation.gives_json {
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    }
    add_headers(&mut headers, &Value::from(parts.headers))?;
    if !parts.cookies.is_empty() {
        let cookies = Value::from(parts.cookies.join("; "));
        add_headers(&mut headers, &Value::object([("cookie", cookies)]))?;
    }
    if let (Some(_), Some(body)) = (&content, &operation.body) {
        let kind = HeaderValue::from_str(&body.content_type)
            .map_err(|_| refused(operation, "its content type is no header value"))?;
        headers.insert(CONTENT_TYPE, kind);
    }
    let mut url = target(operation, &parts.path)?;
    if !parts.query.is_empty() {
        let old = url.query().map(|query| format!("{query}&")).unwrap_or_default();
        url.set_query(Some(&format!("{old}{}", parts.query.join("&"))));
    }
    let method = Method::from_bytes(operation.method.to_ascii_uppercase().as_bytes())
        .map_err(|_| refused(operation, "its method is none of HTTP"))?;
    let body = body::encode(&content.unwrap_or_default(), &mut headers)?;
    Ok((Request { method, url, headers, body, identity: None }, is_authorized))
}

/// Where parameters have gone so far.
#[derive(Default)]
struct Parts {
    path: String,
    query: Vec<String>,
    headers: Members,
    cookies: Vec<String>,
    form: Members,
}

impl Parts {
    /// Takes the operation's parameters out of `left`; gives those that went by their plain name.
    ///
    /// Where several places have a parameter of one name, the plain name is that of the path, or
    /// else of the first, and of all that cannot do without; `query.id` is the one at that place.
    fn take_parameters(
        &mut self,
        operation: &Operation,
        left: &mut Members,
    ) -> Result<Members, Problem> {
        let all = &operation.parameters;
        let owner = |parameter: &Parameter| {
            let mut same = all.iter().filter(|it| it.name == parameter.name);
            let first = same.clone().next();
            let owner = same.find(|it| it.location == Location::Path).or(first);
            owner.is_none_or(|owner| owner.location == parameter.location)
        };
        let mut plain = Members::new();
        let mut placed = HashSet::new();
        for parameter in all {
            let exact = format!("{}.{}", parameter.location.word(), parameter.name);
            let is_exact = left.contains_key(&*exact) && !all.iter().any(|it| it.name == exact);
            let value = if is_exact {
                let value = left.get(&*exact).cloned();
                placed.insert(exact);
                value
            } else if owner(parameter) || parameter.required {
                let value = left.get(&*parameter.name).cloned();
                if let Some(value) = &value {
                    plain.insert((&*parameter.name).into(), value.clone());
                }
                value
            } else {
                None
            };
            let fallback = || parameter.default.clone().filter(|_| parameter.required);
            match value.filter(|value| !value.is_null()).or_else(fallback) {
                Some(value) => self.add(parameter, &value)?,
                None if parameter.required => {
                    let why = format!("the required parameter {} is missing", parameter.name);
                    return Err(refused(operation, &why));
                }
                None => {}
            }
        }
        left.retain(|name, _| !plain.contains_key(name) && !placed.contains(&**name));
        Ok(plain)
    }

    /// Takes keys by the names of their schemes out of `left`, or `token` as the key; true when the
    /// token was taken.
    fn take_keys(
        &mut self,
        documents: &Documents,
        operation: &Operation,
        left: &mut Members,
        token: Option<&str>,
    ) -> Result<bool, Trouble> {
        let mut any = false;
        for key in &operation.keys {
            let schema = operation.body.as_ref().and_then(|it| it.schema.as_ref());
            let property = match schema {
                Some(schema) => documents.property(schema, &key.scheme)?,
                None => None,
            };
            if property.is_some() {
                continue;
            }
            if let Some(value) = left.shift_remove(&*key.scheme).filter(|it| !it.is_null()) {
                self.add_key(key, &value.to_text());
                any = true;
            }
        }
        let key = operation.keys.first().filter(|_| operation.keys_only && !any);
        let (Some(key), Some(token)) = (key, token) else { return Ok(false) };
        self.add_key(key, token);
        Ok(true)
    }

    fn add_key(&mut self, key: &security::ApiKey, value: &str) {
        let encoded = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
        let pair = || format!("{}={}", encoded(&key.name), encoded(value));
        match key.location {
            Location::Query => self.query.push(pair()),
            Location::Cookie => self.cookies.push(format!("{}={}", key.name, encoded(value))),
            _ => {
                let value = format!("{}{value}", key.prefix);
                self.headers.insert((&*key.name).into(), Value::from(value));
            }
        }
    }

    fn add(&mut self, parameter: &Parameter, value: &Value) -> Result<(), Problem> {
        let name = &*parameter.name;
        match parameter.location {
            Location::Path => {
                let text = in_path(parameter, value);
                self.path = self.path.replace(&format!("{{{name}}}"), &text);
            }
            Location::Query => in_query(parameter, value, &mut self.query),
            Location::Header => {
                self.headers.insert(name.into(), Value::from(parameter.joined(value)));
            }
            Location::Cookie => {
                let text = parameter.joined(value);
                self.cookies.push(format!("{name}={}", utf8_percent_encode(&text, UNRESERVED)));
            }
            Location::Form => {
                let value = if parameter.is_file {
                    content::file(name, value, None)
                } else if parameter.repeats() || value.as_array().is_none() {
                    value.clone()
                } else {
                    Value::from(parameter.joined(value))
                };
                self.form.insert(name.into(), value);
            }
            Location::Unknown => {
                let detail = format!("the parameter {name} is at a place that is not supported");
                return Err(Problem::new(Standard::Configuration, detail));
            }
        }
        Ok(())
    }
}

/// Refuses parameters that would call another operation: an empty one, as in `/items/`, and `..`,
/// which URLs resolve even where it is encoded. All else in a parameter stays in its segment.
fn check_path(operation: &Operation, path: &str) -> Result<(), Problem> {
    for (written, filled) in operation.path.split('/').zip(path.split('/')) {
        if written.contains('{') && matches!(filled, "" | "." | "..") {
            let why = format!("`{written}` of its path would be `{filled}`, which is another path");
            return Err(refused(operation, &why));
        }
    }
    Ok(())
}

/// The server's URL with the operation's path.
fn target(operation: &Operation, path: &str) -> Result<Url, Problem> {
    let base = operation.server.trim_end_matches('/');
    parse_url(&format!("{base}{path}"))
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod world_tests;
