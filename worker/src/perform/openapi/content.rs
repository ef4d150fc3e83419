//! The body of a request: what it is made of, and how a form is written.

use reqwest::Url;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::{Members, Value};

use super::document::{Body, Operation};
use super::parameters::deep;
use super::refused;
use crate::media::media_type;
use crate::perform::documents::{Documents, Located, Trouble};

/// What a file is sent as whose type nobody says.
const BYTES: &str = "application/octet-stream";

/// The body: the form, the parameter that stands for the body, or the parameters that are `left`,
/// with those of the path and elsewhere that the body cannot do without (`shared`).
pub(super) fn content(
    documents: &Documents,
    operation: &Operation,
    form: Members,
    shared: &Members,
    left: &mut Members,
) -> Result<Option<Value>, Trouble> {
    if !form.is_empty() {
        return Ok(Some(Value::from(form)));
    }
    let Some(body) = &operation.body else { return Ok(None) };
    let Some(name) = &body.name else { return Ok(None) };
    if is_whole(documents, body, name, left)? {
        let whole = left.shift_remove(&**name).unwrap_or_default();
        return encode(documents, body, whole).map(Some);
    }
    let mut members = properties(documents, body, std::mem::take(left))?;
    if !members.is_empty() || body.required {
        for (name, value) in shared {
            let property = find(documents, body, name)?;
            if property.is_some_and(|it| it.required) && !members.contains_key(name) {
                members.insert(name.clone(), value.clone());
            }
        }
    }
    if !members.is_empty() {
        return encode(documents, body, Value::from(members)).map(Some);
    }
    if body.required {
        let why = "it needs a body: give its properties as parameters";
        return Err(refused(operation, why).into());
    }
    Ok(None)
}

fn find(
    documents: &Documents,
    body: &Body,
    name: &str,
) -> Result<Option<super::schema::Property>, Trouble> {
    body.schema.as_ref().map_or(Ok(None), |schema| documents.property(schema, name))
}

/// True when the parameter `name` is the whole body, and not a property of it that has the same
/// name.
fn is_whole(
    documents: &Documents,
    body: &Body,
    name: &str,
    left: &Members,
) -> Result<bool, Trouble> {
    let Some(value) = left.get(name) else { return Ok(false) };
    let Some(property) = find(documents, body, name)? else { return Ok(true) };
    Ok(left.len() == 1 && value.as_object().is_some() && !property.takes_objects())
}

/// The properties that are given: `body.id` is `id` where that is the name of a parameter as well.
fn properties(documents: &Documents, body: &Body, given: Members) -> Result<Members, Trouble> {
    let mut members = Members::with_capacity(given.len());
    for (name, value) in given {
        let exact = match name.strip_prefix("body.") {
            Some(exact) if find(documents, body, &name)?.is_none() => exact.into(),
            _ => name,
        };
        members.insert(exact, value);
    }
    Ok(members)
}

/// A body as its content type and its `encoding` say.
fn encode(documents: &Documents, body: &Body, content: Value) -> Result<Value, Trouble> {
    let Some(members) = content.as_object() else { return Ok(content) };
    match &*media_type(&body.content_type) {
        "application/x-www-form-urlencoded" => Ok(form(body, members)?),
        "multipart/form-data" => parts(documents, body, members),
        _ => Ok(content),
    }
}

/// How one property of a form is written.
#[derive(Default)]
struct Encoding<'a> {
    style: Option<&'a str>,
    explode: Option<bool>,
    content_type: Option<&'a str>,
}

impl<'a> Encoding<'a> {
    fn of(all: Option<&'a Located>, name: &str) -> Self {
        let Some(own) = all.and_then(|it| it.value.get(name)) else { return Self::default() };
        let text = |key| own.get(key).and_then(Value::as_str);
        // Of several types the first is as good as any; a range names none.
        let kind = text("contentType").and_then(|it| it.split(',').next()).map(str::trim);
        Self {
            style: text("style"),
            explode: match own.get("explode") {
                Some(Value::Bool(it)) => Some(*it),
                _ => None,
            },
            content_type: kind.filter(|it| !it.contains('*') && !it.is_empty()),
        }
    }

    fn has_style(&self) -> bool {
        self.style.is_some() || self.explode.is_some()
    }
}

/// `application/x-www-form-urlencoded`
fn form(body: &Body, members: &Members) -> Result<Value, Problem> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        let encoding = Encoding::of(body.encoding.as_ref(), name);
        let style = encoding.style.unwrap_or("form");
        let explode = encoding.explode.unwrap_or(style == "form");
        let separator = match style {
            "spaceDelimited" => " ",
            "pipeDelimited" => "|",
            _ => ",",
        };
        let texts = |elements: &[Value]| {
            elements.iter().filter(|it| !it.is_null()).map(Value::to_text).collect::<Vec<_>>()
        };
        match value {
            Value::Object(_) | Value::Array(_) if style == "deepObject" => {
                let plain = |text: &str| text.to_owned();
                deep(name, value, &plain, &mut |name, text| pairs.push((name.to_owned(), text)));
            }
            Value::Array(_) if encoding.has_style() || encoding.content_type.is_none() => {
                let texts = texts(value.as_array().unwrap_or_default());
                if explode {
                    pairs.extend(texts.into_iter().map(|text| (name.to_string(), text)));
                } else {
                    pairs.push((name.to_string(), texts.join(separator)));
                }
            }
            Value::Object(_) if encoding.has_style() => {
                let members = value.as_object().into_iter().flatten();
                let members = members.map(|(key, value)| (key.to_string(), value.to_text()));
                if explode {
                    pairs.extend(members);
                } else {
                    let texts: Vec<_> = members.flat_map(|(key, text)| [key, text]).collect();
                    pairs.push((name.to_string(), texts.join(separator)));
                }
            }
            // Lists and objects are JSON.
            value => pairs.push((name.to_string(), value.to_text())),
        }
    }
    // The query of a URL has the encoding of a form.
    let mut url = Url::parse("http://form/").map_err(|error| {
        Problem::new(Standard::Runtime, format!("the form cannot be encoded: {error}"))
    })?;
    url.query_pairs_mut().extend_pairs(pairs);
    Ok(Value::from(url.query().unwrap_or_default()))
}

/// The fields of `multipart/form-data`, as those of an HTTP call are written.
fn parts(documents: &Documents, body: &Body, members: &Members) -> Result<Value, Trouble> {
    let mut all = Members::with_capacity(members.len());
    for (name, value) in members {
        let kind = Encoding::of(body.encoding.as_ref(), name).content_type;
        let property = find(documents, body, name)?;
        let is_binary = match &property {
            Some(property) => property.is_binary(documents)?,
            None => false,
        };
        let part = |value: &Value| match value {
            Value::Null => Value::Null,
            value if is_binary || is_file(value) => file(name, value, kind),
            Value::Object(_) | Value::Array(_) => {
                field(value, Some(kind.unwrap_or("application/json")))
            }
            value if kind.is_some() => field(value, kind),
            value => value.clone(),
        };
        let parts = match value.as_array() {
            Some(elements) => Value::array(elements.iter().map(part).collect()),
            None => part(value),
        };
        all.insert(name.clone(), parts);
    }
    Ok(Value::from(all))
}

/// True for what an author writes a file as.
fn is_file(value: &Value) -> bool {
    let Some(members) = value.as_object() else { return false };
    let known = ["content", "base64", "filename", "contentType"];
    let has = |name: &str| members.get(name).is_some_and(|it| it.as_str().is_some());
    members.keys().all(|name| known.contains(&&**name)) && (has("content") || has("base64"))
}

/// A field with a type of its own.
fn field(value: &Value, kind: Option<&str>) -> Value {
    let kind = kind.map_or(Value::Null, Value::from);
    Value::object([("content", Value::from(value.to_text())), ("contentType", kind)])
}

/// The file that is sent as `name`: text is its content; what is not said of it, is.
pub(super) fn file(name: &str, value: &Value, kind: Option<&str>) -> Value {
    let mut members = match value {
        value if is_file(value) => value.clone().into_members().unwrap_or_default(),
        value => Members::from_iter([("content".into(), Value::from(value.to_text()))]),
    };
    members.entry("filename".into()).or_insert_with(|| name.into());
    members.entry("contentType".into()).or_insert_with(|| kind.unwrap_or(BYTES).into());
    Value::from(members)
}
