//! Finds an operation in a description and reads what a request needs of it.

use reqwest::Url;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::{Members, Value};

/// References followed from one place: more than that is a circle.
const REFERENCES: usize = 16;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// A description and where it came from.
pub(super) struct Document<'a> {
    pub(super) root: &'a Value,
    pub(super) url: &'a Url,
}

/// One operation.
pub(super) struct Operation<'a> {
    pub(super) id: &'a str,
    pub(super) method: &'static str,
    /// The path, with `{name}` for its parameters.
    pub(super) path: &'a str,
    /// The absolute URL that paths are below.
    pub(super) server: String,
    /// All but the body.
    pub(super) parameters: Vec<Parameter<'a>>,
    pub(super) body: Option<Body<'a>>,
    /// True when JSON is among what it says it answers with.
    pub(super) gives_json: bool,
}

/// Where a parameter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Location {
    Path,
    Query,
    Header,
    Cookie,
    Form,
    Unknown,
}

/// One parameter.
pub(super) struct Parameter<'a> {
    pub(super) name: &'a str,
    pub(super) location: Location,
    pub(super) required: bool,
    pub(super) default: Option<&'a Value>,
    /// `style` of OpenAPI 3, or what `collectionFormat` of Swagger 2.0 means in its words.
    pub(super) style: &'a str,
    pub(super) explode: bool,
    /// `content`: the value is written as JSON.
    pub(super) json: bool,
}

/// The body of an operation.
pub(super) enum Body<'a> {
    /// The `in: body` parameter of Swagger 2.0.
    Parameter { name: &'a str, required: bool },
    /// The form of Swagger 2.0: its fields are parameters.
    Form { content_type: &'static str },
    /// The `requestBody` of OpenAPI 3.
    Request { content_type: &'a str, required: bool },
}

impl<'a> Body<'a> {
    /// The name of the one parameter that is the whole body.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Parameter { name, .. } => Some(name),
            Self::Request { .. } => Some("body"),
            Self::Form { .. } => None,
        }
    }

    pub(super) fn required(&self) -> bool {
        match self {
            Self::Parameter { required, .. } | Self::Request { required, .. } => *required,
            Self::Form { .. } => false,
        }
    }

    pub(super) fn content_type(&self) -> Option<&'a str> {
        match self {
            Self::Parameter { .. } => Some("application/json"),
            Self::Form { content_type } => Some(content_type),
            Self::Request { content_type, .. } => Some(content_type),
        }
    }
}

fn configuration(detail: impl Into<std::sync::Arc<str>>) -> Problem {
    Problem::new(Standard::Configuration, detail)
}

fn flag(value: &Value, name: &str) -> Option<bool> {
    match value.get(name) {
        Some(Value::Bool(it)) => Some(*it),
        _ => None,
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn elements<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).unwrap_or_default()
}

impl<'a> Document<'a> {
    fn is_swagger_2(&self) -> bool {
        self.root.get("swagger").is_some()
    }

    /// The operation with this `operationId`.
    pub(super) fn operation(&self, id: &str) -> Result<Operation<'a>, Problem> {
        let paths = self.root.get("paths").and_then(Value::as_object).ok_or_else(|| {
            configuration("the document has no `paths`: it is no OpenAPI or Swagger description")
        })?;
        for (path, item) in paths {
            let item = self.resolve(item)?;
            for method in METHODS {
                let Some(operation) = item.get(method) else { continue };
                if let Some(found) = text(operation, "operationId").filter(|found| *found == id) {
                    return self.read(found, method, path, item, operation);
                }
            }
        }
        let known = self.known(paths);
        Err(configuration(format!("the document has no operation {id}; it has: {known}")))
    }

    /// Some operation ids, for a message.
    fn known(&self, paths: &Members) -> String {
        const SHOWN: usize = 20;
        let operations = paths.values().flat_map(|item| METHODS.map(|method| item.get(method)));
        let ids = operations.flatten().filter_map(|operation| text(operation, "operationId"));
        ids.take(SHOWN).collect::<Vec<_>>().join(", ")
    }

    /// `value`, or what its `$ref` points to inside this document.
    fn resolve(&self, value: &'a Value) -> Result<&'a Value, Problem> {
        let mut value = value;
        for _ in 0..REFERENCES {
            let Some(reference) = text(value, "$ref") else { return Ok(value) };
            let found = reference.strip_prefix("#/").and_then(|pointer| {
                pointer.split('/').try_fold(self.root, |at, token| {
                    at.get(&token.replace("~1", "/").replace("~0", "~"))
                })
            });
            value = found.ok_or_else(|| {
                configuration(format!("the reference {reference} leads nowhere in the document"))
            })?;
        }
        Err(configuration("the document's references go round in a circle"))
    }

    fn read(
        &self,
        id: &'a str,
        method: &'static str,
        path: &'a str,
        item: &'a Value,
        operation: &'a Value,
    ) -> Result<Operation<'a>, Problem> {
        // Those of the operation come last: they replace the path's.
        let mut declared: Vec<&Value> = Vec::new();
        for parameter in
            elements(item, "parameters").iter().chain(elements(operation, "parameters"))
        {
            let parameter = self.resolve(parameter)?;
            let same = |other: &&Value| {
                text(other, "name") == text(parameter, "name")
                    && text(other, "in") == text(parameter, "in")
            };
            declared.retain(|other| !same(other));
            declared.push(parameter);
        }
        let (server, body, gives_json) = if self.is_swagger_2() {
            (self.host()?, self.swagger_body(&declared, operation), self.produces_json(operation))
        } else {
            let body = self.request_body(operation)?;
            (self.server(item, operation)?, body, self.responses_have_json(operation)?)
        };
        let parameters = declared
            .iter()
            .filter(|parameter| text(parameter, "in") != Some("body"))
            .map(|parameter| self.parameter(parameter))
            .collect::<Result<_, _>>()?;
        Ok(Operation { id, method, path, server, parameters, body, gives_json })
    }

    fn parameter(&self, value: &'a Value) -> Result<Parameter<'a>, Problem> {
        let name = text(value, "name").ok_or_else(|| configuration("a parameter has no name"))?;
        let location = match text(value, "in") {
            Some("path") => Location::Path,
            Some("query") => Location::Query,
            Some("header") => Location::Header,
            Some("cookie") => Location::Cookie,
            Some("formData") => Location::Form,
            _ => Location::Unknown,
        };
        let (style, explode) = if self.is_swagger_2() {
            match text(value, "collectionFormat") {
                Some("multi") => ("form", true),
                Some("ssv") => ("spaceDelimited", false),
                Some("tsv") => ("tabDelimited", false),
                Some("pipes") => ("pipeDelimited", false),
                _ if location == Location::Path => ("simple", false),
                _ => ("form", false),
            }
        } else {
            let usual = match location {
                Location::Query | Location::Cookie | Location::Form => "form",
                _ => "simple",
            };
            let style = text(value, "style").unwrap_or(usual);
            (style, flag(value, "explode").unwrap_or(style == "form"))
        };
        let schema = value.get("schema").map(|schema| self.resolve(schema)).transpose()?;
        Ok(Parameter {
            name,
            location,
            required: location == Location::Path || flag(value, "required").unwrap_or(false),
            default: value.get("default").or_else(|| schema?.get("default")),
            style,
            explode,
            json: value.get("content").is_some(),
        })
    }

    /// Swagger 2.0: scheme, host and base path; the document's own where absent.
    fn host(&self) -> Result<String, Problem> {
        let own = self.url.scheme();
        let schemes: Vec<_> =
            elements(self.root, "schemes").iter().filter_map(Value::as_str).collect();
        let scheme = [own, "https", "http"]
            .into_iter()
            .find(|scheme| schemes.contains(scheme))
            .or_else(|| matches!(own, "http" | "https").then_some(own))
            .unwrap_or("https");
        let own_host = self.url.host_str().filter(|_| own.starts_with("http")).map(|host| {
            self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
        });
        let host = text(self.root, "host").map(str::to_owned).or(own_host).ok_or_else(|| {
            configuration("the document has no `host`, and it was not fetched from one")
        })?;
        Ok(format!("{scheme}://{host}{}", text(self.root, "basePath").unwrap_or_default()))
    }

    /// OpenAPI 3: the first server of the operation, the path or the document, with the defaults of
    /// its variables, relative to the document.
    fn server(&self, item: &'a Value, operation: &'a Value) -> Result<String, Problem> {
        let server = [operation, item, self.root]
            .into_iter()
            .find_map(|place| elements(place, "servers").first());
        let mut url = server.and_then(|it| text(it, "url")).unwrap_or("/").to_owned();
        let variables = server.and_then(|it| it.get("variables")).and_then(Value::as_object);
        for (name, variable) in variables.into_iter().flatten() {
            let default = variable.get("default").map(Value::to_text).unwrap_or_default();
            url = url.replace(&format!("{{{name}}}"), &default);
        }
        let absolute = self.url.join(&url).map_err(|error| {
            configuration(format!("the document's server {url:?} is not a URL: {error}"))
        })?;
        Ok(absolute.to_string())
    }

    fn swagger_body(&self, declared: &[&'a Value], operation: &'a Value) -> Option<Body<'a>> {
        let at = |place| declared.iter().find(move |it| text(it, "in") == Some(place));
        if let Some(body) = at("body") {
            let name = text(body, "name").unwrap_or("body");
            return Some(Body::Parameter {
                name,
                required: flag(body, "required").unwrap_or(false),
            });
        }
        at("formData")?;
        let consumes = operation.get("consumes").or_else(|| self.root.get("consumes"));
        let consumes = consumes.and_then(Value::as_array).unwrap_or_default();
        let consumed = |kind: &str| consumes.iter().any(|it| it.as_str() == Some(kind));
        let form = "application/x-www-form-urlencoded";
        let files = declared.iter().any(|it| text(it, "type") == Some("file"));
        let multipart = files || consumed("multipart/form-data") && !consumed(form);
        Some(Body::Form { content_type: if multipart { "multipart/form-data" } else { form } })
    }

    fn request_body(&self, operation: &'a Value) -> Result<Option<Body<'a>>, Problem> {
        let Some(body) = operation.get("requestBody") else { return Ok(None) };
        let body = self.resolve(body)?;
        let kinds = body.get("content").and_then(Value::as_object);
        let kinds: Vec<&str> = kinds.into_iter().flatten().map(|(kind, _)| &**kind).collect();
        let preferred = kinds.iter().find(|kind| is_json(kind)).or_else(|| kinds.first());
        // A range such as `*/*` leaves the choice to us.
        let content_type =
            preferred.filter(|kind| !kind.contains('*')).copied().unwrap_or("application/json");
        Ok(Some(Body::Request { content_type, required: flag(body, "required").unwrap_or(false) }))
    }

    fn produces_json(&self, operation: &Value) -> bool {
        let produces = operation.get("produces").or_else(|| self.root.get("produces"));
        let produces = produces.and_then(Value::as_array).unwrap_or_default();
        produces.iter().filter_map(Value::as_str).any(is_json)
    }

    fn responses_have_json(&self, operation: &'a Value) -> Result<bool, Problem> {
        let responses = operation.get("responses").and_then(Value::as_object);
        for response in responses.into_iter().flat_map(Members::values) {
            let content = self.resolve(response)?.get("content").and_then(Value::as_object);
            if content.into_iter().flat_map(Members::keys).any(|kind| is_json(kind)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn is_json(kind: &str) -> bool {
    let media = super::body::media_type(kind);
    media == "application/json" || media.ends_with("+json")
}
