//! `call: openapi`: from an operation of a description, Swagger 2.0 or OpenAPI 3, to a request.

mod document;
mod parameters;

use percent_encoding::utf8_percent_encode;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use windlass_proto::plan::OpenApiCall;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::{Members, Value};

use self::document::{Body, Document, Location, Operation, Parameter};
use self::parameters::{UNRESERVED, in_path, in_query};
use super::http::{add_headers, refused as refused_by_server};
use super::redirect::Exchange;
use super::{Attempt, body};
use crate::exchange::{Request, parse_url};

impl Attempt<'_> {
    pub(super) async fn call_openapi(
        &mut self,
        call: &OpenApiCall,
        input: &Value,
    ) -> Result<Value, Problem> {
        let mut done = self.openapi_exchange(call, input).await;
        if refused_by_server(&done) && self.secrets_changed().await? {
            let input = self.transform_input()?;
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
        let fetched = self.fetch(&call.document, input).await?;
        let description = fetched.data()?;
        let document = Document { root: &description, url: &fetched.url };
        let operation = document.operation(&call.operation)?;
        let authorization = self.authorize(call.authentication.as_deref(), input).await?;
        let given = self.evaluate_optional(call.parameters.as_ref(), input)?.unwrap_or_default();
        let mut request = assemble(&operation, &given)?;
        self.add_own_headers(&mut request.headers);
        self.exchange(request, authorization, call.redirect).await
    }
}

fn refused(operation: &Operation<'_>, why: &str) -> Problem {
    let detail = format!("the operation {}: {why}", operation.id);
    Problem::new(Standard::Configuration, detail)
}

/// The request of `operation` with the parameters `given`.
fn assemble(operation: &Operation<'_>, given: &Value) -> Result<Request, Problem> {
    let mut left = match given {
        Value::Null => Members::new(),
        Value::Object(_) => given.clone().into_members().unwrap_or_default(),
        _ => return Err(refused(operation, "`parameters` must be an object")),
    };
    let mut parts = Parts { path: operation.path.to_owned(), ..Parts::default() };
    for parameter in &operation.parameters {
        let value = left.shift_remove(parameter.name).filter(|value| !value.is_null());
        let fallback = || parameter.default.cloned().filter(|_| parameter.required);
        match value.or_else(fallback) {
            Some(value) => parts.add(parameter, &value)?,
            None if parameter.required => {
                let why = format!("the required parameter {} is missing", parameter.name);
                return Err(refused(operation, &why));
            }
            None => {}
        }
    }
    let mut headers = HeaderMap::new();
    if operation.gives_json {
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    }
    add_headers(&mut headers, &Value::from(parts.headers))?;
    if !parts.cookies.is_empty() {
        add_headers(
            &mut headers,
            &Value::object([("cookie", Value::from(parts.cookies.join("; ")))]),
        )?;
    }
    let content = content(operation, parts.form, &mut left)?;
    if let Some(unknown) = left.keys().next() {
        let known: Vec<_> = operation.parameters.iter().map(|it| it.name).collect();
        let why = format!("it has no parameter {unknown}; it has: {}", known.join(", "));
        return Err(refused(operation, &why));
    }
    if let (Some(_), Some(kind)) = (&content, operation.body.as_ref().and_then(Body::content_type))
    {
        let kind = HeaderValue::from_str(kind)
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
    Ok(Request { method, url, headers, body })
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
    fn add(&mut self, parameter: &Parameter<'_>, value: &Value) -> Result<(), Problem> {
        let name = parameter.name;
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
                let value = if parameter.repeats() || value.as_array().is_none() {
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

/// The body: the form, the parameter that stands for the body, or the parameters that are left.
fn content(
    operation: &Operation<'_>,
    form: Members,
    left: &mut Members,
) -> Result<Option<Value>, Problem> {
    if !form.is_empty() {
        return Ok(Some(Value::from(form)));
    }
    let Some(body) = &operation.body else { return Ok(None) };
    if let Some(whole) = body.name().and_then(|name| left.shift_remove(name)) {
        return Ok(Some(whole));
    }
    if !left.is_empty() {
        return Ok(Some(Value::from(std::mem::take(left))));
    }
    if body.required() {
        return Err(refused(operation, "it needs a body: give its properties as parameters"));
    }
    Ok(None)
}

/// The server's URL with the operation's path.
fn target(operation: &Operation<'_>, path: &str) -> Result<Url, Problem> {
    let base = operation.server.trim_end_matches('/');
    parse_url(&format!("{base}{path}"))
}

#[cfg(test)]
mod tests;
