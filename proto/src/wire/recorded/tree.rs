//! MessagePack as it comes, for changing what a type would not write.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone)]
pub(super) enum Tree {
    Nil,
    Flag(bool),
    Negative(i64),
    Number(u64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// Adds a field to every map but those below the `spared` fields; tells to how many.
    pub(super) fn add(&mut self, field: &str, spared: &[&str]) -> usize {
        match self {
            Self::List(all) => all.iter_mut().map(|it| it.add(field, spared)).sum(),
            Self::Map(all) => {
                let below = all.iter_mut().filter(|(name, _)| !spared.contains(&name.as_str()));
                let count: usize = below.map(|(_, it)| it.add(field, spared)).sum();
                let nested = Self::Map(vec![("a".to_owned(), Self::List(vec![Self::Nil]))]);
                all.insert(0, (field.to_owned(), nested));
                count + 1
            }
            _ => 0,
        }
    }

    /// This tree with one field less, for each field; with its name as `map.field`, where a map is
    /// named by the field it stands in.
    pub(super) fn without_one(&self, place: &str, spared: &[&str]) -> Vec<(String, Self)> {
        match self {
            Self::List(all) => {
                let each = all.iter().enumerate().flat_map(|(at, it)| {
                    it.without_one(place, spared).into_iter().map(move |(path, less)| {
                        let mut changed = all.clone();
                        changed[at] = less;
                        (path, Self::List(changed))
                    })
                });
                each.collect()
            }
            Self::Map(all) => {
                let mut found = Vec::new();
                for (at, (name, below)) in all.iter().enumerate() {
                    let mut less = all.clone();
                    less.remove(at);
                    // The only key of a map that tells a variant is no field.
                    if !matches!(name.as_str(), "Ok" | "Err") {
                        found.push((format!("{place}.{name}"), Self::Map(less)));
                    }
                    if spared.contains(&name.as_str()) && name != "result" {
                        continue;
                    }
                    for (path, less) in below.without_one(name, spared) {
                        let mut changed = all.clone();
                        changed[at].1 = less;
                        found.push((path, Self::Map(changed)));
                    }
                }
                found
            }
            _ => Vec::new(),
        }
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil => serializer.serialize_unit(),
            Self::Flag(it) => serializer.serialize_bool(*it),
            Self::Negative(it) => serializer.serialize_i64(*it),
            Self::Number(it) => serializer.serialize_u64(*it),
            Self::Float(it) => serializer.serialize_f64(*it),
            Self::Text(it) => serializer.serialize_str(it),
            Self::Bytes(it) => serializer.serialize_bytes(it),
            Self::List(all) => {
                let mut list = serializer.serialize_seq(Some(all.len()))?;
                all.iter().try_for_each(|it| list.serialize_element(it))?;
                list.end()
            }
            Self::Map(all) => {
                let mut map = serializer.serialize_map(Some(all.len()))?;
                all.iter().try_for_each(|(name, it)| map.serialize_entry(name, it))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Nil)
    }

    fn visit_bool<E>(self, it: bool) -> Result<Tree, E> {
        Ok(Tree::Flag(it))
    }

    fn visit_i64<E>(self, it: i64) -> Result<Tree, E> {
        Ok(Tree::Negative(it))
    }

    fn visit_u64<E>(self, it: u64) -> Result<Tree, E> {
        Ok(Tree::Number(it))
    }

    fn visit_f64<E>(self, it: f64) -> Result<Tree, E> {
        Ok(Tree::Float(it))
    }

    fn visit_str<E>(self, it: &str) -> Result<Tree, E> {
        Ok(Tree::Text(it.to_owned()))
    }

    fn visit_bytes<E>(self, it: &[u8]) -> Result<Tree, E> {
        Ok(Tree::Bytes(it.to_vec()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut all = Vec::new();
        while let Some(it) = list.next_element()? {
            all.push(it);
        }
        Ok(Tree::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = map.next_entry()? {
            all.push(entry);
        }
        Ok(Tree::Map(all))
    }
}
