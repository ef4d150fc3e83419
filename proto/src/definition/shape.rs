//! What a definition can be made of, as one table: which properties each part has, what they hold,
//! and what they are for.
//!
//! Editors live on it: `windlass schema` writes it as a JSON Schema, `windlass lsp` completes and
//! explains by it. The decoder is what judges; a test compares the keys that it knows with those
//! here, so that neither has one that the other lacks.

mod access;
mod calls;
mod events;
mod json;
mod parts;
mod tasks;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod whole;

pub use self::json::schema;
pub use self::whole::WORKFLOW;
use crate::value::Value;

/// What stands somewhere.
#[derive(Debug)]
pub enum Shape {
    /// Any data, in which strings may hold `${ … }`.
    Any,
    /// Any mapping.
    Mapping,
    /// A string.
    Text,
    /// A string of this regular expression.
    Pattern(&'static str),
    /// A jq expression, in `${ … }` or without.
    Expression,
    /// An expression, or a mapping with expressions in it.
    Transform,
    /// A mapping, or an expression that gives one.
    Values,
    /// `true` or `false`.
    Flag,
    /// A whole number from the first to the second.
    Number(i64, i64),
    /// A number.
    Decimal,
    /// ISO 8601, units, or an expression.
    Duration,
    /// A URI or URI template.
    Uri,
    /// Where the flow goes on.
    Flow,
    /// One of a few words.
    Words(fn() -> Vec<&'static str>),
    /// A mapping with these properties.
    Of(&'static Object),
    /// One task, without its name.
    Task,
    /// A list.
    List(&'static Shape),
    /// A mapping with one name of one's own.
    One(&'static Shape),
    /// A mapping of names of one's own.
    Names(&'static Shape),
    /// One of these.
    Either(&'static [Shape]),
}

/// A mapping with properties of its own.
#[derive(Debug)]
pub struct Object {
    /// What a schema calls it.
    pub name: &'static str,
    /// What findings call it, where all that is of this shape has one name there.
    pub what: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// What it can have.
    pub properties: &'static [&'static [Property]],
    /// What it has to have.
    pub required: &'static [&'static str],
    /// Further properties are passed over with a warning.
    pub open: bool,
    /// One of its properties says what another one holds.
    pub by_word: Option<ByWord>,
}

/// A property that says by a word what another one holds.
#[derive(Debug)]
pub struct ByWord {
    /// The property with the word.
    pub key: &'static str,
    /// The property that it is about.
    pub of: &'static str,
    /// Each word with what the other one holds then.
    pub table: &'static [(&'static str, &'static Object)],
}

/// A property of a mapping.
#[derive(Debug)]
pub struct Property {
    /// Its key.
    pub key: &'static str,
    /// What stands there.
    pub shape: Shape,
    /// What it is for.
    pub about: &'static str,
}

/// A property.
#[must_use]
pub const fn of(key: &'static str, shape: Shape, about: &'static str) -> Property {
    Property { key, shape, about }
}

/// A mapping that has no words that say what is in it: its names in schemas and findings, what it
/// is for, what it has to have and what it can have.
#[must_use]
pub const fn object(
    (name, what): (&'static str, &'static str),
    about: &'static str,
    required: &'static [&'static str],
    properties: &'static [&'static [Property]],
) -> Object {
    Object { name, what, about, properties, required, open: false, by_word: None }
}

/// The words of a table.
fn words<T>(table: &'static [(&'static str, T)]) -> Vec<&'static str> {
    table.iter().map(|(word, _)| *word).collect()
}

impl Object {
    /// All that it can have.
    pub fn all(&self) -> impl Iterator<Item = &'static Property> {
        self.properties.iter().flat_map(|it| it.iter())
    }

    /// One of them.
    #[must_use]
    pub fn property(&self, key: &str) -> Option<&'static Property> {
        self.all().find(|it| it.key == key)
    }
}

/// The tasks there are: the key that tells one, and what has it.
#[must_use]
pub fn tasks() -> &'static [(&'static str, &'static Object)] {
    tasks::KINDS
}

/// What can stand at a place of a definition.
#[derive(Clone, Copy, Debug)]
pub struct Here {
    /// The property that the place is the value of, where it has one with a meaning.
    pub property: Option<&'static Property>,
    shape: &'static Shape,
    /// None also for a task of which it is not said yet what it does.
    object: Option<&'static Object>,
}

/// One task, without its name.
static TASK: Shape = Shape::Task;
/// An item of a list of tasks.
static NAMED_TASK: Shape = Shape::One(&TASK);
/// Named tasks, one after the other.
const TASKS: Shape = Shape::List(&NAMED_TASK);

impl Here {
    /// What is there where `shape` is wanted and `value` stands.
    fn new(
        shape: &'static Shape,
        property: Option<&'static Property>,
        value: Option<&Value>,
    ) -> Self {
        let object = match shape {
            Shape::Of(it) => Some(*it),
            Shape::Task => value.and_then(task_of),
            Shape::Either(all) => chosen(all, value),
            _ => None,
        };
        Self { property, shape, object }
    }

    /// The properties that can stand here.
    #[must_use]
    pub fn properties(&self) -> Vec<&'static Property> {
        if let Some(object) = self.object {
            return object.all().collect();
        }
        if !matches!(self.shape, Shape::Task) {
            return Vec::new();
        }
        // It is not said yet what it does: all that says it, and what every task has.
        let kinds = tasks::KINDS.iter().filter_map(|(word, it)| it.property(word));
        kinds.chain(tasks::COMMON).collect()
    }

    /// The words that can stand here, where only some can.
    #[must_use]
    pub fn words(&self) -> Vec<&'static str> {
        let shapes = match self.shape {
            Shape::Either(all) => *all,
            one => std::slice::from_ref(one),
        };
        let mut all = Vec::new();
        for shape in shapes {
            match shape {
                Shape::Words(words) => all.extend(words()),
                Shape::Flag => all.extend(["true", "false"]),
                Shape::Flow => all.extend(super::task::flow_words()),
                _ => {}
            }
        }
        all
    }
}

/// What can stand at the end of `path` in what is an `object`, such as a definition; `root` is as
/// much of it as can be read.
#[must_use]
pub fn at(object: &'static Object, root: &Value, path: &[String]) -> Option<Here> {
    let mut here = Here { property: None, shape: &Shape::Any, object: Some(object) };
    let mut value = Some(root.clone());
    for key in path {
        let next = value.as_ref().and_then(|it| child(it, key));
        here = below(&here, key, value.as_ref(), next.as_ref())?;
        value = next;
    }
    Some(here)
}

fn child(value: &Value, key: &str) -> Option<Value> {
    match value.as_array() {
        Some(items) => items.get(key.parse::<usize>().ok()?).cloned(),
        None => value.get(key).cloned(),
    }
}

/// The kind of a task that says what it does.
fn task_of(value: &Value) -> Option<&'static Object> {
    tasks::KINDS.iter().find(|(word, _)| value.get(word).is_some()).map(|(_, it)| *it)
}

/// Of several mappings the one that knows most of the keys that are there.
fn chosen(all: &'static [Shape], value: Option<&Value>) -> Option<&'static Object> {
    let objects = all.iter().rev().filter_map(|it| match it {
        Shape::Of(object) => Some(*object),
        _ => None,
    });
    let keys: Vec<_> = value.and_then(Value::as_object).into_iter().flatten().collect();
    objects.max_by_key(|it| keys.iter().filter(|(key, _)| it.property(key).is_some()).count())
}

fn below(here: &Here, key: &str, value: Option<&Value>, next: Option<&Value>) -> Option<Here> {
    if let Some(object) = here.object {
        let property = object.property(key)?;
        let mut found = Here::new(&property.shape, Some(property), next);
        if let Some(by) = object.by_word.as_ref().filter(|it| it.of == key) {
            let word = value.and_then(|it| it.get(by.key)).and_then(Value::as_str);
            let fits = by.table.iter().find(|(it, _)| Some(*it) == word);
            found.object = fits.map(|(_, object)| *object);
        }
        return Some(found);
    }
    let shapes = match here.shape {
        Shape::Either(all) => *all,
        one => std::slice::from_ref(one),
    };
    let is_index = key.parse::<usize>().is_ok();
    shapes.iter().find_map(|shape| match shape {
        Shape::List(of) if is_index => Some(Here::new(of, None, next)),
        Shape::Names(of) | Shape::One(of) => Some(Here::new(of, None, next)),
        _ => None,
    })
}
