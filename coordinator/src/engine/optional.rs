//! How a value that may be absent is written: null is a value like any other, so one that is there
//! stands in an array of its own.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use windlass_proto::value::Value;

/// For `#[serde(with)]`.
#[allow(clippy::ref_option)]
pub(super) fn serialize<S: Serializer>(
    value: &Option<Value>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.as_ref().map(|value| (value,)).serialize(serializer)
}

/// For `#[serde(with)]`.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Value>, D::Error> {
    let value: Option<(Value,)> = Deserialize::deserialize(deserializer)?;
    Ok(value.map(|(value,)| value))
}
