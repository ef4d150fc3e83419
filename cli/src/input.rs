//! JSON given on the command line: as text, as `@FILE`, or as `-` for standard input.

use std::io::Read;
use std::path::Path;

use windlass_proto::limits::{PAYLOAD_BYTES, VALUE_DEPTH};
use windlass_proto::value::Value;

use crate::error::CliError;

/// The document that `argument` of `option` stands for.
pub(crate) fn read(option: &str, argument: &str) -> Result<Value, CliError> {
    let text = text(argument)?;
    parse(option, &text)
}

/// The text that `argument` stands for.
fn text(argument: &str) -> Result<String, CliError> {
    if argument == STANDARD_INPUT {
        return bounded(std::io::stdin().lock(), "standard input", PAYLOAD_BYTES);
    }
    match argument.strip_prefix('@') {
        Some(path) => file(Path::new(path), PAYLOAD_BYTES),
        None => Ok(argument.to_owned()),
    }
}

/// What stands for standard input where a file is named.
pub(crate) const STANDARD_INPUT: &str = "-";

/// The text of a file of at most `limit` bytes; of standard input for `-`.
pub(crate) fn file(path: &Path, limit: usize) -> Result<String, CliError> {
    if path.as_os_str() == STANDARD_INPUT {
        return bounded(std::io::stdin().lock(), "standard input", limit);
    }
    let name = path.display().to_string();
    let file = std::fs::File::open(path)
        .map_err(|error| CliError::Usage(format!("cannot read {name}: {error}")))?;
    bounded(file, &name, limit)
}

fn bounded(source: impl Read, name: &str, limit: usize) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    source
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| CliError::Usage(format!("cannot read {name}: {error}")))?;
    if bytes.len() > limit {
        return Err(CliError::Usage(format!("{name} is more than the limit of {limit} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let good = String::from_utf8_lossy(good);
        let line = good.matches('\n').count() + 1;
        let column = good.chars().rev().take_while(|it| *it != '\n').count() + 1;
        CliError::Usage(format!("{name}:{line}:{column}: the text is not UTF-8"))
    })
}

/// The document in `text`, which was given by `option`.
pub(crate) fn parse(option: &str, text: &str) -> Result<Value, CliError> {
    let value = Value::from_json(text)
        .map_err(|error| CliError::Usage(format!("{option} is {error}; write JSON, @FILE or -")))?;
    if value.depth() > VALUE_DEPTH {
        return Err(CliError::Usage(format!("{option} nests deeper than {VALUE_DEPTH} levels")));
    }
    Ok(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{CliError, bounded, parse, read};

    #[test]
    fn text_is_json_or_bad_usage() {
        assert_eq!(read("--input", " {\"a\": 1} ").unwrap().to_json(), "{\"a\":1}");
        for text in ["", "{", "a", "1 2", &"[".repeat(300)] {
            assert!(parse("--input", text).is_err(), "{text}");
        }
        assert!(read("--input", "@/no/such/file").is_err());
    }

    #[test]
    fn sources_are_bounded() {
        assert_eq!(bounded(&b"12345"[..], "x", 5).unwrap(), "12345");
        assert!(bounded(&b"123456"[..], "x", 5).is_err());
        let error = bounded(&b"a\nb\xff"[..], "x", 5).err();
        assert!(
            matches!(error, Some(CliError::Usage(text)) if text == "x:2:2: the text is not UTF-8")
        );
    }
}
