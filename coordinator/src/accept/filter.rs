//! Which instances are asked for: parameters of a query, and the same as one text.
//!
//! ```text
//! filter:    condition…                              all must hold; blanks between them
//! condition: key operator value
//! operator:  = | <  >  <=  >=                         the last four for `started` and `ended`
//! value:     text without blanks | "text"             \" and \\ within
//! ```
//!
//! Every condition is one that the search index answers: a language that could ask for anything
//! would have to read everything.

use utoipa::IntoParams;
use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::problem::ApiProblem;
use super::query::{Query, moment};
use crate::journal::{Filter, Status};

/// Which instances are meant: all conditions that are given must hold.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Conditions {
    /// `document.namespace`
    namespace: Option<String>,
    /// `document.name`
    name: Option<String>,
    /// `document.version`
    version: Option<String>,
    /// Statuses, repeated or separated by commas
    #[param(required = false, example = json!(["running", "waiting"]))]
    status: Vec<String>,
    /// Faulted with an error whose type ends so, repeated or by commas
    #[param(required = false, example = json!(["timeout"]))]
    error: Vec<String>,
    /// `name=value`
    #[param(required = false, example = json!(["customer=42"]))]
    label: Vec<String>,
    /// Started by this instance, directly or through others
    root: Option<String>,
    /// Started by this instance itself
    parent: Option<String>,
    /// At or after, RFC 3339
    #[param(rename = "startedAfter")]
    started_after: Option<String>,
    /// Before, RFC 3339
    #[param(rename = "startedBefore")]
    started_before: Option<String>,
    /// At or after, RFC 3339
    #[param(rename = "endedAfter")]
    ended_after: Option<String>,
    /// Before, RFC 3339
    #[param(rename = "endedBefore")]
    ended_before: Option<String>,
    /// All of these as one text, conditions divided by blanks
    #[param(example = "workflow=shop/order status=faulted label.customer=42 \
        started>=2026-01-31T08:00:00Z")]
    filter: Option<String>,
}

impl Conditions {
    /// Takes the parameters out of a query.
    fn of(query: &mut Query) -> Result<Self, ApiProblem> {
        Ok(Self {
            namespace: query.one("namespace")?,
            name: query.one("name")?,
            version: query.one("version")?,
            status: query.all("status"),
            error: query.all("error"),
            label: query.all("label"),
            root: query.one("root")?,
            parent: query.one("parent")?,
            started_after: query.one("startedAfter")?,
            started_before: query.one("startedBefore")?,
            ended_after: query.one("endedAfter")?,
            ended_before: query.one("endedBefore")?,
            filter: query.one("filter")?,
        })
    }
}

/// Reads a parameter that may be absent.
fn read_as<T, E: std::fmt::Display>(
    name: &str,
    text: Option<String>,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, ApiProblem> {
    text.map(|it| read(&it).map_err(|why| ApiProblem::parameter(name, why))).transpose()
}

/// Takes the parameters that say which instances are meant out of a query.
pub(super) fn filter(query: &mut Query) -> Result<Filter, ApiProblem> {
    let given = Conditions::of(query)?;
    let id = str::parse::<InstanceId>;
    let mut filter = Filter {
        namespace: given.namespace,
        name: given.name,
        version: given.version,
        errors: given.error.iter().flat_map(|it| words(it)).collect(),
        started_after: read_as("startedAfter", given.started_after, moment)?,
        started_before: read_as("startedBefore", given.started_before, moment)?,
        ended_after: read_as("endedAfter", given.ended_after, moment)?,
        ended_before: read_as("endedBefore", given.ended_before, moment)?,
        root: read_as("root", given.root, id)?,
        parent: read_as("parent", given.parent, id)?,
        ..Filter::default()
    };
    for text in given.status {
        let statuses = statuses(&text).map_err(|why| ApiProblem::parameter("status", why))?;
        filter.statuses.extend(statuses);
    }
    for text in given.label {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                filter.labels.push((name.into(), value.into()));
            }
            _ => return Err(ApiProblem::parameter("label", format!("`{text}` is not name=value"))),
        }
    }
    if let Some(text) = given.filter {
        read(&text, &mut filter).map_err(|why| ApiProblem::parameter("filter", why))?;
    }
    Ok(filter)
}

/// The filter that a text says, of a body.
pub(super) fn of_text(text: &str) -> Result<Filter, ApiProblem> {
    let mut filter = Filter::default();
    read(text, &mut filter).map_err(|why| ApiProblem::parameter("filter", why))?;
    Ok(filter)
}

/// Words that commas divide.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned)
}

fn statuses(text: &str) -> Result<Vec<Status>, String> {
    let status = |word: String| {
        Status::ALL.into_iter().find(|it| it.word() == word).ok_or_else(|| {
            format!("`{word}` is not a status: {}", Status::ALL.map(Status::word).join(", "))
        })
    };
    words(text).map(status).collect()
}

/// Adds the conditions of a text.
fn read(text: &str, filter: &mut Filter) -> Result<(), String> {
    if text.len() > limits::FILTER_BYTES {
        return Err(format!("has more than {} bytes", limits::FILTER_BYTES));
    }
    let conditions = conditions(text)?;
    if conditions.len() > limits::FILTER_CONDITIONS {
        return Err(format!("has more than {} conditions", limits::FILTER_CONDITIONS));
    }
    let mut lists = Vec::new();
    for Condition { key, operator, value } in conditions {
        if matches!(key.as_str(), "status" | "error") {
            // Twice, it might mean both at once.
            if lists.contains(&key) {
                return Err(format!("asks for {key} twice: any of several is {key}=A,B"));
            }
            if words(&value).next().is_none() {
                return Err(format!("has no value for {key}"));
            }
            lists.push(key.clone());
        }
        let once = |place: &mut Option<String>| match place.replace(value.clone()) {
            Some(before) if before != value => Err(format!("asks for {key} twice")),
            _ => Ok(()),
        };
        match (key.as_str(), operator) {
            ("started" | "ended", operator) => time(filter, &key, operator, &value)?,
            (_, "<" | ">" | "<=" | ">=") => {
                return Err(format!(
                    "compares {key} with {operator}; only started and ended can be"
                ));
            }
            ("namespace", _) => once(&mut filter.namespace)?,
            ("name", _) => once(&mut filter.name)?,
            ("version", _) => once(&mut filter.version)?,
            ("workflow", _) => workflow(filter, &value)?,
            ("status", _) => filter.statuses.extend(statuses(&value)?),
            ("error", _) => filter.errors.extend(words(&value)),
            ("root", _) => one(&mut filter.root, instance(&value)?, "root")?,
            ("parent", _) => one(&mut filter.parent, instance(&value)?, "parent")?,
            (other, _) => match other.strip_prefix("label.") {
                Some(name) if !name.is_empty() => filter.labels.push((name.to_owned(), value)),
                _ => return Err(format!("has no key {other}; there are {KEYS}")),
            },
        }
    }
    Ok(())
}

fn one(place: &mut Option<InstanceId>, id: InstanceId, key: &str) -> Result<(), String> {
    match place.replace(id) {
        Some(before) if before != id => Err(format!("asks for {key} twice")),
        _ => Ok(()),
    }
}

const KEYS: &str = "namespace, name, version, workflow, status, error, label.NAME, root, parent, \
                    started and ended";

fn instance(value: &str) -> Result<InstanceId, String> {
    value.parse().map_err(|_| format!("`{value}` is not an instance id (a UUID)"))
}

/// `NAME`, `NAMESPACE/NAME` or `NAMESPACE/NAME:VERSION`.
fn workflow(filter: &mut Filter, value: &str) -> Result<(), String> {
    let (path, version) = match value.split_once(':') {
        Some((path, version)) => (path, Some(version)),
        None => (value, None),
    };
    let (namespace, name) = match path.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, path),
    };
    let parts = [
        (&mut filter.namespace, namespace),
        (&mut filter.name, Some(name)),
        (&mut filter.version, version),
    ];
    if name.contains('/') || version.is_some_and(|it| it.contains(':')) {
        return Err(format!("`{value}` is not namespace/name:version"));
    }
    for (place, part) in parts {
        match (part, place) {
            (Some(""), _) => return Err(format!("`{value}` is not namespace/name:version")),
            (Some(part), place) => match place.replace(part.to_owned()) {
                Some(before) if before != part => return Err("asks for two workflows".to_owned()),
                _ => {}
            },
            (None, _) => {}
        }
    }
    Ok(())
}

fn time(filter: &mut Filter, key: &str, operator: &str, value: &str) -> Result<(), String> {
    let moment = Timestamp::parse(value)
        .ok_or_else(|| format!("`{value}` is not a moment such as 2026-01-31T08:00:00Z"))?;
    let after = Timestamp(moment.0.saturating_add(1));
    let (from, before) = match operator {
        ">=" => (Some(moment), None),
        ">" => (Some(after), None),
        "<" => (None, Some(moment)),
        "<=" => (None, Some(after)),
        _ => (Some(moment), Some(after)),
    };
    let (first, last) = match key {
        "started" => (&mut filter.started_after, &mut filter.started_before),
        _ => (&mut filter.ended_after, &mut filter.ended_before),
    };
    *first = (*first).max(from);
    *last = match (*last, before) {
        (Some(last), Some(before)) => Some(last.min(before)),
        (last, before) => last.or(before),
    };
    Ok(())
}

struct Condition {
    key: String,
    operator: &'static str,
    value: String,
}

fn conditions(text: &str) -> Result<Vec<Condition>, String> {
    let (mut conditions, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let end = rest.find(|c: char| "=<>\"".contains(c) || c.is_whitespace());
        let (key, after) = rest.split_at(end.unwrap_or(rest.len()));
        let operators = ["<=", ">=", "=", "<", ">"];
        let operator = operators.into_iter().find(|it| after.starts_with(it));
        if after.trim_start().starts_with(['=', '<', '>']) && operator.is_none() {
            return Err(format!("has blanks after `{key}`: there are none around operators"));
        }
        let (Some(operator), false) = (operator, key.is_empty()) else {
            return Err(format!(
                "has `{}` where a condition such as status=faulted is due",
                part(rest)
            ));
        };
        let after = after.get(operator.len()..).unwrap_or_default();
        let (value, after) = value(after)?;
        if value.is_empty() {
            return Err(format!("has no value for {key}"));
        }
        conditions.push(Condition { key: key.to_owned(), operator, value });
        rest = after.trim_start();
    }
    Ok(conditions)
}

/// The first word of what is left.
fn part(rest: &str) -> &str {
    rest.split_whitespace().next().unwrap_or(rest)
}

fn value(text: &str) -> Result<(String, &str), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return Ok((value.to_owned(), rest));
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match (escaped, c) {
            (false, '\\') => escaped = true,
            (false, '"') => {
                let rest = quoted.get(at + 1..).unwrap_or_default();
                return match rest.chars().next().is_none_or(char::is_whitespace) {
                    true => Ok((value, rest)),
                    false => Err(format!("needs a blank before `{}`", part(rest))),
                };
            }
            (_, c) => {
                value.push(c);
                escaped = false;
            }
        }
    }
    Err("has a quotation mark without its other one".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::extract::FromRequestParts;
    use axum::http::Request;
    use windlass_proto::time::Timestamp;

    use super::{ApiProblem, Filter, Query, Status, read};

    async fn of_query(query: &str) -> Result<Filter, ApiProblem> {
        let (mut parts, ()) = Request::get(format!("/?{query}")).body(()).unwrap().into_parts();
        super::filter(&mut Query::from_request_parts(&mut parts, &()).await?)
    }

    #[tokio::test]
    async fn statuses_and_labels_may_repeat() {
        let filter = of_query("status=running,waiting&status=faulted&label=a=b=c&label=d=").await;
        let filter = filter.unwrap();
        assert_eq!(filter.statuses, [Status::Running, Status::Waiting, Status::Faulted]);
        assert_eq!(filter.labels, [("a".into(), "b=c".into()), ("d".into(), String::new())]);
        let filter = of_query("filter=name%3Dx+label.a%3Db&error=timeout&name=x").await.unwrap();
        assert_eq!((filter.name.as_deref(), filter.labels.len()), (Some("x"), 1));
        for query in [
            "status=runing",
            "label=a",
            "label==b",
            "startedAfter=today",
            "filter=a",
            "name=x&filter=name%3Dy",
        ] {
            assert!(of_query(query).await.is_err(), "{query}");
        }
    }

    fn filter(text: &str) -> Result<Filter, String> {
        let mut filter = Filter::default();
        read(text, &mut filter).map(|()| filter)
    }

    #[test]
    fn all_conditions_are_taken() {
        let found = filter(
            r#"workflow=shop/order:1.0.0  status=faulted,cancelled error=timeout
               label.customer=42 label.note="two \"words\"" started>=2026-01-31T08:00:00Z
               started<2026-02-01T00:00:00Z ended<=2026-02-01T00:00:00Z"#,
        )
        .unwrap();
        let some = |it: &str| Some(it.to_owned());
        assert_eq!(found.namespace, some("shop"));
        assert_eq!((found.name, found.version), (some("order"), some("1.0.0")));
        assert_eq!(found.statuses, [Status::Faulted, Status::Cancelled]);
        assert_eq!(found.errors, ["timeout"]);
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(found.labels, [label("customer", "42"), label("note", "two \"words\"")]);
        assert_eq!(found.started_after, Timestamp::parse("2026-01-31T08:00:00Z"));
        assert_eq!(found.started_before, Timestamp::parse("2026-02-01T00:00:00Z"));
        let last = Timestamp::parse("2026-02-01T00:00:00Z").unwrap();
        assert_eq!(found.ended_before, Some(Timestamp(last.0 + 1)));
        let nothing = filter("  ").unwrap();
        assert!(nothing.name.is_none() && nothing.labels.is_empty());
    }

    #[test]
    fn of_several_times_the_narrowest_counts() {
        let found = filter(
            "started>=2026-01-01T00:00:00Z started>=2026-01-02T00:00:00Z \
             started<2026-01-05T00:00:00Z started<2026-01-04T00:00:00Z",
        )
        .unwrap();
        assert_eq!(found.started_after, Timestamp::parse("2026-01-02T00:00:00Z"));
        assert_eq!(found.started_before, Timestamp::parse("2026-01-04T00:00:00Z"));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("faulted", "`faulted`"),
            ("=1", "`=1`"),
            ("status=", "no value for status"),
            ("status=broken", "`broken` is not a status"),
            ("color=red", "no key color"),
            ("label.=red", "no key label."),
            ("status>faulted", "compares status"),
            ("started>yesterday", "`yesterday` is not a moment"),
            ("name=\"open", "without its other one"),
            ("name=\"a\"b", "a blank before `b`"),
            ("name=a name=b", "name twice"),
            ("workflow=a/b workflow=a/c", "two workflows"),
            ("workflow=/b", "is not namespace/name"),
            ("workflow=a/b/c", "is not namespace/name"),
            ("status = faulted", "blanks after `status`"),
            ("status=,", "no value for status"),
            ("status=faulted status=waiting", "status=A,B"),
            ("root=7", "is not an instance id"),
        ] {
            let error = filter(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
