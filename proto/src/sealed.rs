//! A value that only workers can read.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::InstanceId;
use crate::value::Value;

/// What people and programs outside see in the place of a secret.
pub const SHOWN: &str = "«sealed»";

/// The encrypted form of a value that contains a secret. It says where it was sealed, which is
/// bound to the ciphertext: it opens only for tasks of the same namespace.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sealed {
    /// Which key opens it, as the sealer calls it.
    pub key: Arc<str>,
    /// The namespace it was sealed in.
    pub namespace: Arc<str>,
    /// The instance it was sealed in.
    pub instance: InstanceId,
    /// The ciphertext.
    #[serde(with = "serde_bytes")]
    pub ciphertext: Vec<u8>,
}

/// Without the ciphertext, of which logs have no use.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("key", &self.key)
            .field("namespace", &self.namespace)
            .field("instance", &self.instance)
            .field("bytes", &self.ciphertext.len())
            .finish()
    }
}

/// Bytes that are no sealed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes that are not a sealed value")]
pub struct NotSealed;

impl Sealed {
    /// Approximate bytes it takes beside the value that refers to it.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let bytes = self.ciphertext.len() + self.key.len() + self.namespace.len();
        (bytes + size_of::<Self>()) as u64
    }

    /// Appends its MessagePack, a map with named fields: more can be added later.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), NotSealed> {
        self.serialize(&mut rmp_serde::Serializer::new(out).with_struct_map())
            .map_err(|_| NotSealed)
    }

    /// Reads what [`Self::write`] wrote.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, NotSealed> {
        rmp_serde::from_slice(bytes).map_err(|_| NotSealed)
    }
}

impl Value {
    /// False when nothing sealed is inside, at any depth; takes constant time.
    pub(crate) fn may_hold_sealed(&self) -> bool {
        match self {
            Self::Sealed(_) => true,
            Self::Array(array) => array.may_hold_sealed(),
            Self::Object(object) => object.may_hold_sealed(),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Big(_)
            | Self::String(_) => false,
        }
    }

    /// True when it is sealed or a sealed value is inside, at any depth. Takes constant time where
    /// there is none.
    #[must_use]
    pub fn has_sealed(&self) -> bool {
        match self {
            Self::Sealed(_) => true,
            value if !value.may_hold_sealed() => false,
            value => value.children().any(Self::has_sealed),
        }
    }

    /// Calls `each` with every sealed value inside, in the order of the data.
    pub fn each_sealed<'a>(&'a self, each: &mut dyn FnMut(&'a Arc<Sealed>)) {
        match self {
            Self::Sealed(sealed) => each(sealed),
            value if !value.may_hold_sealed() => {}
            value => value.children().for_each(|child| child.each_sealed(each)),
        }
    }

    /// The same value with what `replace` gives for each sealed one inside, in the order of the
    /// data.
    #[must_use]
    pub fn map_sealed(self, replace: &mut dyn FnMut(Arc<Sealed>) -> Self) -> Self {
        match self {
            Self::Sealed(sealed) => replace(sealed),
            value if !value.may_hold_sealed() => value,
            value @ Self::Array(_) => {
                let elements = value.into_elements().unwrap_or_default();
                Self::array(elements.into_iter().map(|it| it.map_sealed(replace)).collect())
            }
            value => {
                let members = value.into_members().unwrap_or_default();
                Self::object(members.into_iter().map(|(key, it)| (key, it.map_sealed(replace))))
            }
        }
    }

    /// Elements of an array or values of an object.
    fn children(&self) -> impl Iterator<Item = &Self> {
        let elements = self.as_array().unwrap_or_default().iter();
        elements.chain(self.as_object().into_iter().flat_map(|members| members.values()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
