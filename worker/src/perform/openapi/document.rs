//! Finds an operation in a description and reads what a request needs of it.

use windlass_proto::limits;
use windlass_proto::problem::Problem;
use windlass_proto::value::{Members, Value};

use super::security::{self, ApiKey};
use crate::lazy::Lazy;
use crate::media;
use crate::perform::documents::{Documents, Located, Trouble, configuration};

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// One operation.
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: &'static str,
    /// The path, with `{name}` for its parameters.
    pub(super) path: String,
    /// The absolute URL that paths are below.
    pub(super) server: String,
    /// All but the body.
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    /// True when JSON is among what it says it answers with.
    pub(super) gives_json: bool,
    /// Keys that it takes, by the names of their schemes.
    pub(super) keys: Vec<ApiKey>,
    /// True when a key is all that it takes.
    pub(super) keys_only: bool,
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

impl Location {
    /// The word that `in` has for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Form => "formData",
            Self::Unknown => "",
        }
    }

    pub(super) fn of(word: Option<&str>) -> Self {
        let all = [Self::Path, Self::Query, Self::Header, Self::Cookie, Self::Form];
        let found = all.into_iter().find(|it| Some(it.word()) == word);
        found.unwrap_or(Self::Unknown)
    }
}

/// One parameter.
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) location: Location,
    pub(super) required: bool,
    pub(super) default: Option<Value>,
    /// `style` of OpenAPI 3, or what `collectionFormat` of Swagger 2.0 means in its words.
    pub(super) style: String,
    pub(super) explode: bool,
    /// `content`: the value is written as JSON.
    pub(super) json: bool,
    /// A file of Swagger 2.0.
    pub(super) is_file: bool,
}

/// The body of an operation.
pub(super) struct Body {
    /// The name of the one parameter that is the whole body; none for the form of Swagger 2.0,
    /// whose fields are parameters.
    pub(super) name: Option<String>,
    pub(super) content_type: String,
    pub(super) required: bool,
    pub(super) schema: Option<Located>,
    /// `encoding` of OpenAPI 3, by property.
    pub(super) encoding: Option<Located>,
}

/// A place in `paths`: the path, its item, and the operation in it.
struct Place {
    path: String,
    item: Located,
    method: &'static str,
    operation: Located,
}

impl Documents {
    fn is_swagger_2(&self) -> Result<bool, Problem> {
        let (root, text) = self.root()?;
        Ok(root.get(text, "swagger").is_some())
    }

    /// The operation with this `operationId`.
    pub(super) fn operation(&self, id: &str) -> Result<Operation, Trouble> {
        let place = self.find(id)?;
        self.read(id, place)
    }

    fn find(&self, id: &str) -> Result<Place, Trouble> {
        let (root, text) = self.root()?;
        let paths = root.get(text, "paths").ok_or_else(|| {
            configuration("the document has no `paths`: it is no OpenAPI or Swagger description")
        })?;
        let mut known = Vec::new();
        let mut elsewhere = Vec::new();
        for (path, item) in paths.members(text) {
            if item.get(text, "$ref").is_some() {
                elsewhere.push((path, item));
            }
            for method in METHODS {
                let Some(operation) = item.get(text, method) else { continue };
                let Some(found) = id_of(operation, text) else { continue };
                if found == id {
                    let (item, operation) = (self.own(item)?, self.own(operation)?);
                    return Ok(Place { path: path.to_string(), item, method, operation });
                }
                known.push(found);
            }
        }
        let mut trouble = None;
        for (path, item) in elsewhere {
            // What cannot be read spoils nothing but itself.
            let item = match self.resolve(self.own(item)?) {
                Ok(item) => item,
                Err(Trouble::Needs(url)) => return Err(Trouble::Needs(url)),
                Err(Trouble::Wrong(problem)) => {
                    trouble.get_or_insert((path, problem));
                    continue;
                }
            };
            for method in METHODS {
                let Some(operation) = item.part(method) else { continue };
                match operation.text("operationId") {
                    Some(found) if found == id => {
                        return Ok(Place { path: path.to_string(), item, method, operation });
                    }
                    found => known.extend(found.map(str::to_owned)),
                }
            }
        }
        known.truncate(limits::OPENAPI_SHOWN);
        let known = known.join(", ");
        let mut detail = format!("the document has no operation {id}; it has: {known}");
        if let Some((path, problem)) = trouble {
            let why = problem.detail.unwrap_or_default();
            detail.push_str(&format!("; its path {path} cannot be read: {why}"));
        }
        Err(configuration(detail).into())
    }

    fn read(&self, id: &str, place: Place) -> Result<Operation, Trouble> {
        let Place { path, item, method, operation } = place;
        // Those of the operation come last: they replace the path's.
        let mut declared: Vec<Located> = Vec::new();
        for parameter in
            item.elements("parameters").into_iter().chain(operation.elements("parameters"))
        {
            let parameter = self.resolve(parameter)?;
            let same = |other: &Located| {
                other.text("name") == parameter.text("name")
                    && other.text("in") == parameter.text("in")
            };
            declared.retain(|other| !same(other));
            declared.push(parameter);
        }
        let is_swagger_2 = self.is_swagger_2()?;
        let (server, body, gives_json) = if is_swagger_2 {
            let body = self.swagger_body(&declared, &operation)?;
            (self.host()?, body, self.produces_json(&operation)?)
        } else {
            let body = self.request_body(&operation)?;
            (self.server(&item, &operation)?, body, self.responses_have_json(&operation))
        };
        let parameters = declared
            .iter()
            .filter(|parameter| parameter.text("in") != Some("body"))
            .map(|parameter| self.parameter(parameter, is_swagger_2))
            .collect::<Result<_, _>>()?;
        let (keys, keys_only) = security::keys(self, &operation, is_swagger_2)?;
        let id = id.to_owned();
        Ok(Operation { id, method, path, server, parameters, body, gives_json, keys, keys_only })
    }

    fn parameter(&self, declared: &Located, is_swagger_2: bool) -> Result<Parameter, Trouble> {
        let name = declared.text("name").ok_or_else(|| configuration("a parameter has no name"))?;
        let location = Location::of(declared.text("in"));
        let (style, explode) = if is_swagger_2 {
            match declared.text("collectionFormat") {
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
            let style = declared.text("style").unwrap_or(usual);
            (style, declared.flag("explode").unwrap_or(style == "form"))
        };
        let required = location == Location::Path || declared.flag("required").unwrap_or(false);
        let mut default = declared.value.get("default").cloned();
        if let Some(schema) = declared.part("schema").filter(|_| required && default.is_none()) {
            default = match self.resolve(schema) {
                Ok(schema) => schema.value.get("default").cloned(),
                Err(Trouble::Needs(url)) => return Err(Trouble::Needs(url)),
                // A schema that cannot be read has no default, and is not needed otherwise.
                Err(Trouble::Wrong(_)) => None,
            };
        }
        Ok(Parameter {
            name: name.to_owned(),
            location,
            required,
            default,
            style: style.to_owned(),
            explode,
            json: declared.value.get("content").is_some(),
            is_file: declared.text("type") == Some("file"),
        })
    }

    /// Swagger 2.0: scheme, host and base path; the document's own where absent.
    fn host(&self) -> Result<String, Problem> {
        let url = self.base().ok_or_else(|| configuration("there is no document"))?;
        let own = url.scheme();
        let schemes = self.top("schemes")?;
        let schemes = schemes.as_ref().and_then(|it| it.value.as_array()).unwrap_or_default();
        let scheme = [own, "https", "http"]
            .into_iter()
            .find(|scheme| schemes.iter().any(|it| it.as_str() == Some(scheme)))
            .or_else(|| matches!(own, "http" | "https").then_some(own))
            .unwrap_or("https");
        let own_host = url.host_str().filter(|_| own.starts_with("http")).map(|host| {
            url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
        });
        let text =
            |name| self.top(name).map(|it| it.and_then(|it| it.value.as_str().map(str::to_owned)));
        let host = text("host")?.or(own_host).ok_or_else(|| {
            configuration("the document has no `host`, and it was not fetched from one")
        })?;
        Ok(format!("{scheme}://{host}{}", text("basePath")?.unwrap_or_default()))
    }

    /// OpenAPI 3: the first server of the operation, the path or the document, with the defaults of
    /// its variables, relative to the document.
    fn server(&self, item: &Located, operation: &Located) -> Result<String, Problem> {
        let top = self.top("servers")?;
        let top = top.as_ref().and_then(|it| it.value.as_array()).unwrap_or_default();
        let own =
            [operation, item].into_iter().find_map(|it| it.elements("servers").into_iter().next());
        let server = own.map(|it| it.value).or_else(|| top.first().cloned());
        let mut path = server
            .as_ref()
            .and_then(|it| it.get("url"))
            .and_then(Value::as_str)
            .unwrap_or("/")
            .to_owned();
        let variables =
            server.as_ref().and_then(|it| it.get("variables")).and_then(Value::as_object);
        for (name, variable) in variables.into_iter().flatten() {
            let default = variable.get("default").map(Value::to_text).unwrap_or_default();
            path = path.replace(&format!("{{{name}}}"), &default);
        }
        let url = self.base().ok_or_else(|| configuration("there is no document"))?;
        let absolute = url.join(&path).map_err(|error| {
            configuration(format!("the document's server {path:?} is not a URL: {error}"))
        })?;
        Ok(absolute.to_string())
    }

    fn swagger_body(
        &self,
        declared: &[Located],
        operation: &Located,
    ) -> Result<Option<Body>, Problem> {
        let at = |place| declared.iter().find(move |it| it.text("in") == Some(place));
        if let Some(body) = at("body") {
            return Ok(Some(Body {
                name: Some(body.text("name").unwrap_or("body").to_owned()),
                content_type: "application/json".to_owned(),
                required: body.flag("required").unwrap_or(false),
                schema: body.part("schema"),
                encoding: None,
            }));
        }
        if at("formData").is_none() {
            return Ok(None);
        }
        let consumes = self.own_or_top(operation, "consumes")?;
        let consumed = |kind: &str| consumes.iter().any(|it| it.as_str() == Some(kind));
        let form = "application/x-www-form-urlencoded";
        let files = declared.iter().any(|it| it.text("type") == Some("file"));
        let multipart = files || consumed("multipart/form-data") && !consumed(form);
        Ok(Some(Body {
            name: None,
            content_type: if multipart { "multipart/form-data" } else { form }.to_owned(),
            required: false,
            schema: None,
            encoding: None,
        }))
    }

    fn request_body(&self, operation: &Located) -> Result<Option<Body>, Trouble> {
        let Some(body) = operation.part("requestBody") else { return Ok(None) };
        let body = self.resolve(body)?;
        let content = body.part("content");
        let kinds = content.as_ref().and_then(|it| it.value.as_object());
        let kinds: Vec<&str> = kinds.into_iter().flatten().map(|(kind, _)| &**kind).collect();
        let preferred = kinds.iter().find(|kind| is_json(kind)).or_else(|| kinds.first());
        let media = preferred.and_then(|kind| content.as_ref()?.part(kind));
        // A range such as `*/*` leaves the choice to us.
        let content_type =
            preferred.filter(|kind| !kind.contains('*')).copied().unwrap_or("application/json");
        Ok(Some(Body {
            name: Some("body".to_owned()),
            content_type: content_type.to_owned(),
            required: body.flag("required").unwrap_or(false),
            schema: media.as_ref().and_then(|it| it.part("schema")),
            encoding: media.as_ref().and_then(|it| it.part("encoding")),
        }))
    }

    /// A list of Swagger 2.0 that an operation has, or else the document.
    fn own_or_top(&self, operation: &Located, name: &str) -> Result<Vec<Value>, Problem> {
        let list = operation.part(name);
        let list = if list.is_some() { list } else { self.top(name)? };
        Ok(list.and_then(|it| it.value.as_array().map(<[Value]>::to_vec)).unwrap_or_default())
    }

    fn produces_json(&self, operation: &Located) -> Result<bool, Problem> {
        let produces = self.own_or_top(operation, "produces")?;
        Ok(produces.iter().filter_map(Value::as_str).any(is_json))
    }

    /// What cannot be read, or is in another document, does not say so.
    fn responses_have_json(&self, operation: &Located) -> bool {
        let responses = operation.part("responses");
        let responses = responses.as_ref().and_then(|it| it.value.as_object());
        responses.into_iter().flat_map(Members::values).any(|response| {
            let Ok(response) = self.resolve(operation.beside(response)) else { return false };
            let content = response.value.get("content").and_then(Value::as_object);
            content.into_iter().flat_map(Members::keys).any(|kind| is_json(kind))
        })
    }
}

fn id_of(operation: &Lazy, text: &str) -> Option<String> {
    let id = operation.get(text, "operationId")?.value(text).ok()?;
    id.as_str().map(str::to_owned)
}

fn is_json(kind: &str) -> bool {
    media::is_json(&media::media_type(kind))
}
