//! The functions of catalogs that are pinned to a definition: a part of its text, after its end.
//!
//! ```text
//! document: …
//! do: …
//! --- # functions of catalogs, pinned when this was deployed
//! [{"function": "https://…/function.yaml", "digest": "5e8f…", "text": "call: http\n…"}]
//! ```
//!
//! So the digest of a definition covers what its functions are, and all who have the text of a
//! definition have theirs: no second thing is stored, sent or replayed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::node::{Place, Span};
use crate::id::Digest;
use crate::limits;

/// What stands between a definition and its functions. Three dashes at the start of a line end a
/// document of YAML whatever came before, and JSON has no line breaks in its texts.
const MARK: &str = "--- # functions of catalogs, pinned when this was deployed\n";

/// Pinned functions: texts by the keys of their locations.
pub type Pins = BTreeMap<Arc<str>, Arc<str>>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a function with its digest and text")]
struct Pin {
    function: Arc<str>,
    digest: Digest,
    text: Arc<str>,
}

/// The definition without what is pinned to it.
#[must_use]
pub fn source(text: &str) -> &str {
    divide(text).0
}

/// The definition, and what is pinned to it.
///
/// # Errors
/// What is wrong with the pinned part.
pub fn read(text: &str) -> Result<(&str, Pins), String> {
    let (source, pinned) = divide(text);
    let Some(pinned) = pinned else { return Ok((source, Pins::new())) };
    let list: Vec<Pin> = serde_json::from_str(pinned)
        .map_err(|error| format!("it is not what was written: {error}"))?;
    let mut pins = Pins::new();
    for Pin { function, digest, text } in list {
        if Digest::of(&text) != digest {
            return Err(format!("the text of {function} does not have its digest"));
        }
        if text.len() > limits::FUNCTION_BYTES {
            let most = limits::FUNCTION_BYTES;
            return Err(format!("{function} has more than {most} bytes"));
        }
        pins.insert(function, text);
    }
    Ok((source, pins))
}

/// `source` with `pins`; itself where there are none.
#[must_use]
pub fn join(source: &str, pins: &Pins) -> String {
    if pins.is_empty() {
        return source.to_owned();
    }
    let list: Vec<_> = pins
        .iter()
        .map(|(function, text)| Pin {
            function: function.clone(),
            digest: Digest::of(text),
            text: text.clone(),
        })
        .collect();
    // Maps of texts are always written.
    let list = serde_json::to_string_pretty(&list).unwrap_or_default();
    let end = if source.ends_with('\n') { "" } else { "\n" };
    format!("{source}{end}{MARK}{list}\n")
}

/// Where what is pinned begins.
pub(super) fn place(text: &str) -> Place {
    let line = source(text).matches('\n').count() + 1;
    Place { id: 0, span: Span { line, column: 1, end_line: line, end_column: 2 } }
}

fn divide(text: &str) -> (&str, Option<&str>) {
    let at = text.rfind(MARK).filter(|at| *at == 0 || text[..*at].ends_with('\n'));
    match at {
        Some(at) => (&text[..at], text.get(at + MARK.len()..)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::{MARK, Pins, join, read, source};

    #[test]
    fn what_is_joined_is_read_again() {
        let pins = Pins::from([("http://a/f.yaml".into(), "set: { x: \"---\" }\n--- #".into())]);
        let text = join("do: []\n", &pins);
        assert_eq!(source(&text), "do: []\n");
        assert_eq!(read(&text).unwrap(), ("do: []\n", pins.clone()));
        assert_eq!(join("do: []\n", &Pins::new()), "do: []\n");
        // A digest of a definition follows from its functions.
        assert_eq!(join(source(&text), &pins), text);
    }

    #[test]
    fn what_was_changed_is_refused() {
        let pins = Pins::from([("f".into(), "set: {}".into())]);
        let text = join("do: []\n", &pins);
        assert!(read(&text.replace("set:", "run:")).unwrap_err().contains("digest"));
        assert!(read(&format!("do: []\n{MARK}{{")).is_err());
        // Not at the start of a line, it is a comment or a text of the author's.
        assert_eq!(source(&format!("do: [] # {MARK}")), format!("do: [] # {MARK}"));
    }
}
