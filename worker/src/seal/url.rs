//! What a URL library makes of a text with a secret in it.
//!
//! A URL is not kept as it was written: hosts become small letters, Punycode or four numbers,
//! percent codes capital, dots in paths are walked, tabs and line breaks dropped, users and
//! passwords encoded anew. So when a URL is made of a text, whatever part of it came of a part with
//! a secret in it counts as that secret from then on.

use reqwest::Url;
use windlass_proto::limits;

use super::{Origin, Seal};

/// The parts of a URL as it was written.
#[derive(Default)]
struct Written<'a> {
    user: &'a str,
    host: &'a str,
    path: &'a str,
    query: &'a str,
    fragment: &'a str,
}

/// Takes apart what comes before and after the first of `marks`.
fn cut<'a>(text: &'a str, marks: &[char]) -> (&'a str, &'a str) {
    text.find(marks).map_or((text, ""), |at| text.split_at(at))
}

impl<'a> Written<'a> {
    /// Reads it as generously as the library does: backslashes are slashes, of which there may be
    /// any number.
    fn of(text: &'a str) -> Self {
        let (rest, fragment) = cut(text, &['#']);
        let (rest, query) = cut(rest, &['?']);
        let Some((_, rest)) = rest.split_once(':') else {
            return Self { path: rest, ..Self::default() };
        };
        let rest = rest.trim_start_matches(|it: char| "/\\".contains(it) || it.is_ascii_control());
        let (authority, path) = cut(rest, &['/', '\\']);
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        Self { user, host, path, query, fragment }
    }
}

impl Seal {
    /// Learns what the parts of `url` look like that were made of secrets in `text`.
    pub(crate) fn learn_url(&mut self, text: &str, url: &Url) {
        if self.is_empty() || !self.found_in(text) {
            return;
        }
        let written = Written::of(text.trim());
        let (user, password) = (url.username(), url.password().unwrap_or_default());
        self.learn_part(written.host, &[url.host_str().unwrap_or_default()]);
        self.learn_part(written.user, &[user, password]);
        // Steps of a path that were written outside of a secret are common words.
        let outside = self.text(written.path);
        let steps: Vec<&str> = outside.split(['/', '\\']).collect();
        let others = url.path().split('/').filter(|it| !steps.contains(it));
        self.learn_part(written.path, &others.collect::<Vec<_>>());
        self.learn_part(written.query, &[url.query().unwrap_or_default()]);
        self.learn_part(written.fragment, &[url.fragment().unwrap_or_default()]);
    }

    /// Learns what a part has become; nothing where its secret can still be recognised.
    fn learn_part(&mut self, written: &str, became: &[&str]) {
        let inner = self.matcher().found(written);
        if inner.is_empty() || became.iter().any(|it| self.found_in(it)) {
            return;
        }
        for part in became.iter().filter(|it| it.len() >= limits::SECRET_SHORTEST_BYTES) {
            self.learn(part, Origin::Sealed(inner.clone()));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use reqwest::Url;

    use super::super::Seal;
    use super::Written;

    /// What people see of the URL that is made of `text`, where `secret` is one.
    fn seen(secret: &str, text: &str) -> String {
        let mut seal = Seal::default();
        seal.add(secret);
        let url = Url::parse(text.trim()).unwrap();
        seal.learn_url(text, &url);
        seal.text(url.as_str())
    }

    #[test]
    fn a_secret_is_recognised_in_what_a_url_makes_of_it() {
        for (secret, text, expected) in [
            // Small letters, alone and as a part.
            ("Tok-ABC", "http://Tok-ABC/x", "http://«sealed»/x"),
            ("Tok-ABC", "http://api.Tok-ABC.example.com/x", "http://api.«sealed».example.com/x"),
            // Punycode, and that of a label which the secret is only a part of.
            ("Käny", "https://Käny:8443/", "https://«sealed»:8443/"),
            ("bücher", "http://my-bücher.example/", "http://«sealed»/"),
            // Full-width letters become ASCII.
            ("ＡＢＣ", "http://ＡＢＣ.example/", "http://«sealed».example/"),
            // Numbers become an address.
            ("0x7f.0.0.1", "http://0x7f.0.0.1/", "http://«sealed»/"),
            ("2130706433", "http://2130706433/x", "http://«sealed»/x"),
            // Users and passwords are encoded by rules of their own.
            ("pa|s s^1", "http://me:pa|s s^1@host/", "http://me:«sealed»@host/"),
            // Dots are walked: of this secret only its end is left.
            ("key-1/../key-2", "http://host/all/key-1/../key-2", "http://host/all/«sealed»"),
            // What stands for nothing is dropped, and backslashes are turned: both steps are of it.
            ("to\tken\\two", "http://host/all/to\tken\\two", "http://host/all/«sealed»/«sealed»"),
            // A query is encoded in a way that is looked for anyway.
            ("a'b\"c", "http://host/?k=a'b\"c", "http://host/?k=«sealed»"),
        ] {
            assert_eq!(seen(secret, text), expected, "{text}");
        }
    }

    #[test]
    fn parts_without_a_secret_stay_readable() {
        assert_eq!(seen("Tok", "http://Tok/PATH/x?Q=1#F"), "http://«sealed»/PATH/x?Q=1#F");
        assert_eq!(seen("Tok", "http://Host/a?key=Tok"), "http://host/a?key=«sealed»");
        assert_eq!(seen("Tok", "http://Host/a"), "http://host/a");
    }

    #[test]
    fn a_url_is_taken_apart_as_it_was_written() {
        let it = Written::of("http:\\\\me:p@ss@Host:80\\a/b?c=d#e");
        assert_eq!((it.user, it.host, it.path), ("me:p@ss", "Host:80", "\\a/b"));
        assert_eq!((it.query, it.fragment), ("?c=d", "#e"));
    }
}
