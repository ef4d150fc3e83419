//! `profiles.toml`: servers by name, with what each is shown.
//!
//! ```toml
//! default = "prod"
//!
//! [profile.prod]
//! url = "https://windlass.example.com"
//! token-file = "prod.token"
//! headers = { "X-Access" = "…" }
//! ```

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use reqwest::Url;
use serde::Deserialize;
use toml::{Spanned, Value};
use windlass_coordinator::position::Position;
use windlass_proto::limits::{CONFIGURATION_BYTES, PROFILES};
use windlass_proto::suggest;

use crate::error::CliError;
use crate::header::Header;

/// The variable that names the profile.
pub(crate) const VARIABLE: &str = "WINDLASS_PROFILE";

/// The variable that names the file.
const FILE_VARIABLE: &str = "WINDLASS_PROFILES";

/// A server by its name, with what it is shown.
#[derive(Clone)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) certificate_authority: Option<PathBuf>,
    pub(crate) client_certificate: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
    pub(crate) token_file: Option<PathBuf>,
    /// A program that prints the token, and its arguments; nothing where there is none.
    pub(crate) token_command: Vec<String>,
    pub(crate) headers: Vec<Header>,
}

/// The file.
pub(crate) struct Profiles {
    path: PathBuf,
    text: String,
    /// The profile of who names none, and where in the text that stands.
    default: Option<Spanned<String>>,
    all: BTreeMap<String, Profile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "`default` and tables `[profile.NAME]`")]
struct Document {
    default: Option<Spanned<String>>,
    #[serde(default)]
    profile: BTreeMap<Spanned<String>, ProfileTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table of one profile")]
struct ProfileTable {
    url: Option<Spanned<String>>,
    #[serde(alias = "ca-file")]
    certificate_authority: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_key: Option<Spanned<PathBuf>>,
    token_file: Option<PathBuf>,
    /// Of any type, as `headers`: what says that it is another one would show it.
    token_command: Option<Spanned<Value>>,
    headers: Option<Spanned<Value>>,
}

impl Profiles {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// When it cannot be read, or something in it makes no sense.
    pub(crate) fn read() -> Result<Option<Self>, CliError> {
        match place().filter(|it| it.exists()) {
            Some(path) => Self::of(path).map(Some),
            None => Ok(None),
        }
    }

    fn of(path: PathBuf) -> Result<Self, CliError> {
        let text = crate::input::file(&path, CONFIGURATION_BYTES)?;
        let mut read = Self { path, text, default: None, all: BTreeMap::new() };
        let document: Document = toml::from_str(&read.text).map_err(|error| {
            let at = error.span().map_or(0, |it| it.start);
            read.refused(at, error.message())
        })?;
        if document.profile.len() > PROFILES {
            return Err(read.refused(0, &format!("it has more than {PROFILES} profiles")));
        }
        for (name, table) in document.profile {
            let at = name.span().start;
            let profile = read.profile(name.into_inner(), at, table)?;
            read.all.insert(profile.name.clone(), profile);
        }
        if let Some(name) = &document.default
            && !read.all.contains_key(name.get_ref())
        {
            return Err(read.refused(name.span().start, &read.missing(name.get_ref())));
        }
        read.default = document.default;
        Ok(read)
    }

    fn profile(&self, name: String, at: usize, table: ProfileTable) -> Result<Profile, CliError> {
        let Some(url) = table.url else {
            return Err(self.refused(at, "a profile has a `url`: all else is for that server"));
        };
        let parsed = Url::parse(url.get_ref()).ok().filter(|it| it.has_host());
        let parsed = parsed.filter(|it| matches!(it.scheme(), "http" | "https"));
        if parsed.is_none_or(|it| !it.username().is_empty() || it.password().is_some()) {
            let reason = "write http://HOST:PORT or https://HOST:PORT";
            return Err(self.refused(url.span().start, reason));
        }
        if let (Some(key), None) = (&table.client_key, &table.client_certificate) {
            let reason = "`client-key` goes with `client-certificate`";
            return Err(self.refused(key.span().start, reason));
        }
        let command = match table.token_command {
            Some(it) => self.command(it, table.token_file.is_some())?,
            None => Vec::new(),
        };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let below = |path: PathBuf| match (path.strip_prefix("~"), std::env::var_os("HOME")) {
            (Ok(rest), Some(home)) => Path::new(&home).join(rest),
            _ => folder.join(path),
        };
        Ok(Profile {
            name,
            url: url.into_inner(),
            certificate_authority: table.certificate_authority.map(below),
            client_certificate: table.client_certificate.map(below),
            client_key: table.client_key.map(|it| below(it.into_inner())),
            token_file: table.token_file.map(below),
            token_command: command,
            headers: table.headers.map_or(Ok(Vec::new()), |it| self.headers(it))?,
        })
    }

    /// The program that prints the token, and its arguments; nothing shows them.
    fn command(&self, all: Spanned<Value>, has_file: bool) -> Result<Vec<String>, CliError> {
        let at = all.span().start;
        let text = |it| match it {
            Value::String(text) => Some(text),
            _ => None,
        };
        let read: Option<Vec<_>> = match all.into_inner() {
            Value::Array(all) => all.into_iter().map(text).collect(),
            _ => None,
        };
        read.filter(|it| !it.is_empty() && !has_file).ok_or_else(|| {
            let reason = "`token-command` is a list of texts, a program and its arguments, and \
                          goes without `token-file`";
            self.refused(at, reason)
        })
    }

    fn headers(&self, table: Spanned<Value>) -> Result<Vec<Header>, CliError> {
        let at = table.span().start;
        let Value::Table(table) = table.into_inner() else {
            return Err(self.refused(at, "`headers` is a table of names and texts"));
        };
        let header = |(name, value): (String, Value)| match value {
            Value::String(text) => Header::new(&name, &text).map_err(|why| self.refused(at, &why)),
            _ => Err(self.refused(at, &format!("the header {name} is a text"))),
        };
        table.into_iter().map(header).collect()
    }

    /// The profile that is named, or else the one of who names none, if the file says one.
    ///
    /// # Errors
    /// When there is none of that name.
    pub(crate) fn choose(&self, name: Option<&str>) -> Result<Option<Profile>, CliError> {
        let Some(name) = name.or(self.default()) else { return Ok(None) };
        match self.all.get(name) {
            Some(profile) => Ok(Some(profile.clone())),
            None => {
                Err(CliError::Usage(format!("{}: {}", self.path.display(), self.missing(name))))
            }
        }
    }

    /// The name of the profile of who names none.
    pub(crate) fn default(&self) -> Option<&str> {
        self.default.as_ref().map(|it| it.get_ref().as_str())
    }

    /// Every profile, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Profile> {
        self.all.values()
    }

    /// Makes a profile the one of who names none; the rest of the file stays as it is.
    ///
    /// # Errors
    /// When there is none of that name, or the file cannot be written.
    pub(crate) fn set_default(&self, name: &str) -> Result<(), CliError> {
        self.choose(Some(name))?;
        // TOML writes texts as JSON does.
        let quoted = serde_json::Value::from(name).to_string();
        let text = match &self.default {
            Some(old) => {
                let mut text = self.text.clone();
                text.replace_range(old.span(), &quoted);
                text
            }
            // Above all tables, or it would belong to one.
            None => format!("default = {quoted}\n\n{}", self.text),
        };
        // A link, as to a folder of such files that is kept elsewhere, stays one.
        let written =
            std::fs::canonicalize(&self.path).and_then(|it| replace(&it, text.as_bytes()));
        written.map_err(|error| CliError::Usage(format!("{}: {error}", self.path.display())))
    }

    /// What is said where there is no file, and somebody names a profile.
    pub(crate) fn none(name: &str) -> CliError {
        let place = place().map_or_else(
            || "as HOME is not set, nowhere".to_owned(),
            |it| it.display().to_string(),
        );
        CliError::Usage(format!("there is no profile `{name}`: they stand in {place}"))
    }

    fn missing(&self, name: &str) -> String {
        let names: Vec<_> = self.all.keys().map(String::as_str).collect();
        let meant = match suggest::nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "there are none".to_owned(),
            None => format!("there are {}", names.join(", ")),
        };
        format!("there is no profile `{name}`; {meant}")
    }

    fn refused(&self, at: usize, reason: &str) -> CliError {
        let Position { line, column } = Position::of(&self.text, at);
        CliError::Usage(format!("{}:{line}:{column}: {reason}", self.path.display()))
    }
}

/// The folder of who runs this for what the command line keeps.
pub(crate) fn folder() -> Option<PathBuf> {
    let folder =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let base = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(base.join("windlass"))
}

/// Where the file is.
fn place() -> Option<PathBuf> {
    let named = std::env::var_os(FILE_VARIABLE).filter(|it| !it.is_empty()).map(PathBuf::from);
    named.or_else(|| Some(folder()?.join("profiles.toml")))
}

/// Makes a folder, for its owner alone, unless it is there.
pub(crate) fn make(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes a file anew, for its owner alone: others see the old one or the new one, whole.
pub(crate) fn replace(place: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = place.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make(folder)?;
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(bytes)?;
    draft.as_file().sync_all()?;
    draft.persist(place).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::{CliError, Profiles};

    fn read(text: &str) -> Result<(tempfile::TempDir, Profiles), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profiles.toml");
        std::fs::write(&path, text).unwrap();
        match Profiles::of(path) {
            Ok(read) => Ok((folder, read)),
            Err(CliError::Usage(text)) => Err(text),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_where_it_stands() {
        for (text, place, words) in [
            ("defualt = \"a\"\n", "1:1", "unknown field `defualt`"),
            ("default = \"b\"\n[profile.a]\nurl = \"http://h\"\n", "1:11", "did you mean `a`?"),
            ("[profile.a]\n", "1:10", "has a `url`"),
            ("[profile.a]\nurl = \"h:7400\"\n", "2:7", "write http://"),
            ("[profile.a]\nurl = \"https://u:c4nary@h\"\n", "2:7", "write http://"),
            ("[profile.a]\nurl = \"http://h\"\ntoken = \"c4nary\"\n", "3:1", "unknown field"),
            ("[profile.a]\nurl = \"http://h\"\nclient-key = \"k\"\n", "3:14", "goes with"),
            ("[profile.a]\nurl = \"http://h\"\ntoken-command = []\n", "3:17", "a program"),
            ("[profile.a]\nurl = \"http://h\"\ntoken-command = \"c4nary\"\n", "3:17", "a list"),
            (
                "[profile.a]\nurl = \"http://h\"\ntoken-command = [\"c4nary\", 1]\n",
                "3:17",
                "a list",
            ),
            ("[profile.a]\nurl = \"http://h\"\nheaders = \"c4nary\"\n", "3:11", "a table"),
            ("[profile.a]\nurl = \"http://h\"\nheaders = { A = 1 }\n", "3:11", "A is a text"),
            (
                "[profile.a]\nurl = \"http://h\"\nheaders = { Host = \"c4nary\" }\n",
                "3:11",
                "belongs to each request",
            ),
        ] {
            let error = read(text).err().unwrap();
            assert!(error.contains(&format!("profiles.toml:{place}: ")), "{text}: {error}");
            assert!(error.contains(words) && !error.contains("c4nary"), "{text}: {error}");
        }
    }

    #[test]
    fn the_default_is_changed_and_nothing_else() {
        let text = "# servers\n[profile.a]\nurl = \"http://a\" # here\n[profile.\"b c\"]\nurl = \"http://b\"\n";
        let (_folder, profiles) = read(text).ok().unwrap();
        assert!(profiles.choose(None).ok().unwrap().is_none());
        assert!(profiles.set_default("c").is_err());
        profiles.set_default("b c").ok().unwrap();
        let again = Profiles::of(profiles.path.clone()).ok().unwrap();
        assert_eq!(again.default(), Some("b c"));
        assert_eq!(again.text, format!("default = \"b c\"\n\n{text}"));
        again.set_default("a").ok().unwrap();
        let again = Profiles::of(profiles.path.clone()).ok().unwrap();
        assert_eq!(again.text, format!("default = \"a\"\n\n{text}"));
        assert_eq!(again.choose(None).ok().unwrap().map(|it| it.url).as_deref(), Some("http://a"));
    }

    #[test]
    fn a_link_stays_one() {
        let (folder, profiles) = read("[profile.a]\nurl = \"http://a\"\n").ok().unwrap();
        let link = folder.path().join("link.toml");
        std::os::unix::fs::symlink("profiles.toml", &link).unwrap();
        Profiles::of(link.clone()).ok().unwrap().set_default("a").ok().unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(Profiles::of(profiles.path).ok().unwrap().default(), Some("a"));
    }

    #[test]
    fn files_are_beside_it_unless_they_say_where() {
        let text =
            "[profile.a]\nurl = \"http://a\"\nca-file = \"ca.pem\"\ntoken-file = \"/run/t\"\n";
        let (folder, profiles) = read(text).ok().unwrap();
        let a = profiles.choose(Some("a")).ok().unwrap().unwrap();
        assert_eq!(a.certificate_authority, Some(folder.path().join("ca.pem")));
        assert_eq!(a.token_file.as_deref(), Some("/run/t".as_ref()));
    }
}
