//! The tree of a definition's text: data with places.

use std::cell::OnceCell;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::value::{Members, Value};

/// Lines count from 1, columns from 1 in characters; the end is exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) end_line: usize,
    pub(super) end_column: usize,
}

/// Where a node is in the text, and which node of the text it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// Index into [`Pointers`].
    pub(super) id: usize,
    pub(super) span: Span,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// `|` and `>`
    Block,
}

#[derive(Clone, Debug)]
pub(super) enum Data {
    /// The value by the core schema and the text it was read from.
    Scalar {
        value: Value,
        text: Arc<str>,
        style: Style,
    },
    Sequence(Vec<Node>),
    Mapping(Mapping),
}

pub(super) type Mapping = IndexMap<Arc<str>, Member>;

/// A key's place and its value.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) key: Place,
    pub(super) node: Node,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) data: Data,
    value: OnceCell<Value>,
}

impl Node {
    pub(super) fn new(place: Place, data: Data) -> Self {
        Self { place, data, value: OnceCell::new() }
    }

    /// A string that the text does not hold in this form, at the place it stands for.
    pub(super) fn string(place: Place, text: &str) -> Self {
        let text: Arc<str> = text.into();
        let value = Value::String(text.clone());
        Self::new(place, Data::Scalar { value, text, style: Style::Plain })
    }

    pub(super) fn mapping(
        place: Place,
        members: impl IntoIterator<Item = (Arc<str>, Self)>,
    ) -> Self {
        let members =
            members.into_iter().map(|(key, node)| (key, Member { key: node.place, node }));
        Self::new(place, Data::Mapping(members.collect()))
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar { value, .. } => value.as_str(),
            _ => None,
        }
    }

    pub(super) fn as_mapping(&self) -> Option<&Mapping> {
        match &self.data {
            Data::Mapping(members) => Some(members),
            _ => None,
        }
    }

    /// Only for the pass that runs before any value is taken.
    pub(super) fn as_mapping_mut(&mut self) -> Option<&mut Mapping> {
        match &mut self.data {
            Data::Mapping(members) => Some(members),
            _ => None,
        }
    }

    pub(super) fn as_sequence(&self) -> Option<&[Self]> {
        match &self.data {
            Data::Sequence(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn as_sequence_mut(&mut self) -> Option<&mut Vec<Self>> {
        match &mut self.data {
            Data::Sequence(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        Some(&self.as_mapping()?.get(key)?.node)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        Some(&mut self.as_mapping_mut()?.get_mut(key)?.node)
    }

    /// A word for messages: what the node is.
    pub(super) fn what(&self) -> &'static str {
        match &self.data {
            Data::Sequence(_) => "a list",
            Data::Mapping(_) => "a mapping",
            Data::Scalar { value, .. } => match value {
                Value::Null => "nothing",
                Value::Bool(_) => "a boolean",
                Value::Int(_) | Value::Float(_) | Value::Big(_) => "a number",
                _ => "a string",
            },
        }
    }

    /// The node as data; made once and shared.
    pub(super) fn value(&self) -> Value {
        let make = || match &self.data {
            Data::Scalar { value, .. } => value.clone(),
            Data::Sequence(items) => Value::array(items.iter().map(Self::value).collect()),
            Data::Mapping(members) => Value::from(
                members
                    .iter()
                    .map(|(key, member)| (key.clone(), member.node.value()))
                    .collect::<Members>(),
            ),
        };
        self.value.get_or_init(make).clone()
    }

    /// The node at a JSON pointer below this one, as far as it exists.
    pub(super) fn at(&self, pointer: &str) -> &Self {
        let mut node = self;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match &node.data {
                Data::Mapping(members) => members.get(step.as_str()).map(|member| &member.node),
                Data::Sequence(items) => step.parse::<usize>().ok().and_then(|at| items.get(at)),
                Data::Scalar { .. } => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }
}

/// One step from a node to one inside it.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Key(Arc<str>),
    Index(usize),
}

/// The way to every node of the text, by its number.
#[derive(Debug, Default)]
pub(super) struct Pointers {
    steps: Vec<Option<(usize, Step)>>,
}

impl Pointers {
    /// Numbers a node; the root has no step.
    pub(super) fn add(&mut self, step: Option<(usize, Step)>) -> usize {
        self.steps.push(step);
        self.steps.len() - 1
    }

    /// The JSON pointer of node `id` in the text as written.
    pub(super) fn pointer(&self, mut id: usize) -> String {
        let mut parts = Vec::new();
        while let Some(Some((parent, step))) = self.steps.get(id) {
            parts.push(match step {
                Step::Key(key) => escape(key),
                Step::Index(at) => at.to_string(),
            });
            id = *parent;
        }
        parts.iter().rev().fold(String::new(), |pointer, part| pointer + "/" + part)
    }
}

/// A reference token of RFC 6901.
pub(super) fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}
