//! Headers that a server, or a proxy before it, is sent with each request.

use std::str::FromStr;

use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName,
    HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

/// A header. Its value may be a credential: nothing shows it.
#[derive(Clone)]
pub(crate) struct Header {
    name: HeaderName,
    /// Marked as sensitive.
    value: HeaderValue,
}

/// Headers that say how a request is sent, which its client alone knows.
const OWN: [HeaderName; 10] = [
    ACCEPT,
    ACCEPT_ENCODING,
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

impl Header {
    /// A header of a name and a value.
    ///
    /// # Errors
    /// When it cannot be one; says nothing of the value.
    pub(crate) fn new(name: &str, value: &str) -> Result<Self, String> {
        let wrong = || "the name of a header has letters, digits and hyphens".to_owned();
        let name = HeaderName::from_str(name.trim()).map_err(|_| wrong())?;
        if OWN.contains(&name) {
            return Err(format!("the header {name} belongs to each request"));
        }
        let mut value = HeaderValue::from_str(value.trim())
            .map_err(|_| format!("the header {name} has a value that is not one line of text"))?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }

    /// Reads `Name: value`.
    ///
    /// # Errors
    /// As [`Header::new`], and when there is no colon.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').ok_or("write a header as 'Name: value'")?;
        Self::new(name, value)
    }

    /// Its name, in small letters.
    pub(crate) fn name(&self) -> &HeaderName {
        &self.name
    }

    /// Its value. Whoever calls this answers for where it goes.
    pub(crate) fn value(&self) -> &HeaderValue {
        &self.value
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Header;

    #[test]
    fn a_header_has_a_name_and_a_value_that_nothing_shows() {
        let header = Header::parse("X-Access:  c4nary=1 ").unwrap();
        assert_eq!(
            (header.name().as_str(), header.value().as_bytes()),
            ("x-access", &b"c4nary=1"[..])
        );
        assert!(!format!("{:?}", header.value()).contains("c4nary"));
        for text in
            ["c4nary", "c4nary x: c4nary", "X-A: c4nary\nX-B: 1", "Host: c4nary", ": c4nary"]
        {
            let error = Header::parse(text).err().unwrap();
            assert!(!error.contains("c4nary"), "{text}: {error}");
        }
    }
}
