//! Vault's paths. Nothing that comes from a definition can leave the part of a path it stands for.

use std::fmt;

use windlass_proto::secret::{is_part_of_a_path, is_special};

use crate::secret_store::template::{Filled, Template, Values};

/// The template of a path or of a name in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::secret_store) struct PathTemplate(Template);

/// What a template gave: safe to stand in a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::secret_store) struct Mapped(pub(in crate::secret_store) String);

impl PathTemplate {
    /// Reads a template of a path.
    pub(in crate::secret_store) fn path(text: &str) -> Result<Self, String> {
        let text = text.trim_matches('/');
        if text.split('/').any(|it| it.is_empty() || it == "." || it == "..") {
            return Err(format!("{text:?} is not a path: a part is empty or made of dots"));
        }
        Self::parse(text)
    }

    /// Reads a template of any text.
    pub(in crate::secret_store) fn parse(text: &str) -> Result<Self, String> {
        let template = Template::parse(text).map_err(|reason| format!("{text:?} {reason}"))?;
        if template.texts().any(|it| it.contains(is_special)) {
            return Err(format!("{text:?} holds characters that no path may have"));
        }
        Ok(Self(template))
    }

    /// The path of these values; none when one of them could be more than one part of a path, or a
    /// pattern.
    pub(in crate::secret_store) fn expand(&self, values: Values<'_>) -> Option<Mapped> {
        let check = |it: Filled<'_>| safe(it.value).map(drop).ok_or(());
        self.0.expand(values, check).ok().map(Mapped)
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `value` if it is one part of a path and nothing else.
pub(in crate::secret_store) fn safe(value: &str) -> Option<&str> {
    is_part_of_a_path(value).then_some(value)
}
