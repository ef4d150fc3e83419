//! `windlass.toml`: options of the commands that last, below the environment and the command line.
//!
//! ```toml
//! [coordinator]
//! bind = "0.0.0.0:7400"
//! auth = "/etc/windlass/auth.toml"
//! retention-days = 90
//!
//! [backup]
//! to = "/backups/windlass"
//! passphrase-file = "/etc/windlass/backup-passphrase"
//!
//! [worker]
//! allow = ["shell", "script"]
//! ```

mod follow;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::OsStr;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, ArgMatches, Command};
use sha2::{Digest as _, Sha256};
use toml::{Spanned, Value};
use windlass_coordinator::position::Position;
use windlass_proto::limits::CONFIGURATION_BYTES;
use windlass_proto::suggest;

pub(crate) use follow::{follow, remember};

use crate::error::CliError;

/// The file that options are read from.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct ConfigOptions {
    /// Read options from this file, in TOML: `[coordinator]`, `[backup]`, `[worker]` and `[dev]`
    /// with the names of options. Variables and options of the command line go before it
    // Read before the rest, by `defaults`.
    #[arg(long, env = VARIABLE, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// The variable that names the file.
const VARIABLE: &str = "WINDLASS_CONFIG";

/// The table of backups, which the coordinator takes.
const BACKUP: &str = "backup";

/// The commands that it has options for.
pub(crate) const COMMANDS: [&str; 3] = ["coordinator", "worker", "dev"];

/// The option that says what is logged.
const LOG: &str = "log";

/// Options whose values are credentials: a file that everybody may read is no place for them.
pub(crate) const CREDENTIALS: [&str; 2] = ["key", "secret"];

/// A file that was read: for each command its options, and where each stands.
pub(crate) struct Configuration {
    path: PathBuf,
    text: String,
    tables: BTreeMap<String, BTreeMap<String, Setting>>,
}

/// What the file says of an option.
struct Setting {
    values: Vec<String>,
    /// Byte offset in the text.
    at: usize,
}

impl Configuration {
    /// Reads the file, whose tables and names must be those of `command`.
    ///
    /// # Errors
    /// When it cannot be read, is no TOML, or names an option that is not there.
    fn read(path: &Path, command: &Command) -> Result<Self, CliError> {
        let text = crate::input::file(path, CONFIGURATION_BYTES)?;
        type Tables = BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, Spanned<Value>>>;
        let mut configuration = Self { path: path.to_owned(), text, tables: BTreeMap::new() };
        let tables: Tables = toml::from_str(&configuration.text).map_err(|error| {
            let at = error.span().map_or(0, |it| it.start);
            configuration.refused(at, error.message())
        })?;
        for (name, options) in tables {
            let at = name.span().start;
            let name = name.into_inner();
            // A table of its own for what the coordinator has under a longer name.
            let (name, prefix) = match name.as_str() {
                BACKUP => (COMMANDS[0].to_owned(), format!("{BACKUP}-")),
                _ => (name, String::new()),
            };
            let of = command.find_subcommand(&name).filter(|_| COMMANDS.contains(&name.as_str()));
            let Some(of) = of else {
                let meant =
                    suggest::nearest(&name, COMMANDS).map(|it| format!("did you mean `[{it}]`?"));
                let meant = meant.unwrap_or_else(|| format!("there are {}", COMMANDS.join(", ")));
                return Err(
                    configuration.refused(at, &format!("`[{name}]` is no table here; {meant}"))
                );
            };
            let mut read = configuration.tables.remove(&name).unwrap_or_default();
            for (key, value) in options {
                let (at, key) = (key.span().start, format!("{prefix}{}", key.into_inner()));
                let (id, option) = configuration.option(of, &key, value.into_inner(), at)?;
                if read.insert(id, option).is_some() {
                    return Err(configuration.refused(at, &format!("`{key}` stands here twice")));
                }
            }
            configuration.tables.insert(name, read);
        }
        Ok(configuration)
    }

    /// Reads one option: its id, and what the command line would have.
    fn option(
        &self,
        command: &Command,
        key: &str,
        value: Value,
        at: usize,
    ) -> Result<(String, Setting), CliError> {
        let long = key.replace('_', "-");
        let known = || command.get_arguments().filter(|it| !it.is_hide_set());
        let Some(arg) = known().find(|it| it.get_long() == Some(&long)) else {
            let all: Vec<_> = known().filter_map(Arg::get_long).collect();
            let meant = suggest::nearest(&long, all).map(|it| format!(", did you mean `{it}`?"));
            let reason = format!(
                "`windlass {}` has no option `{key}`{}",
                command.get_name(),
                meant.unwrap_or_default()
            );
            return Err(self.refused(at, &reason));
        };
        if long == "config" {
            return Err(self.refused(at, "a file names no other one"));
        }
        if CREDENTIALS.contains(&long.as_str()) {
            let reason = format!(
                "`{key}` is a credential: name a file of its own ({long}-file, secrets-file)"
            );
            return Err(self.refused(at, &reason));
        }
        let is_list = matches!(arg.get_action(), ArgAction::Append);
        let values = match (value, arg.get_action()) {
            (Value::Array(_), _) if !is_list => {
                return Err(self.refused(at, &format!("`{key}` has one value")));
            }
            (Value::Array(all), _) => all.iter().map(text).collect(),
            (value, ArgAction::SetTrue) if !value.is_bool() => {
                return Err(self.refused(at, &format!("`{key}` is true or false")));
            }
            (value, _) => text(&value).map(|it| vec![it]),
        };
        let values = values.ok_or_else(|| {
            self.refused(
                at,
                &format!("`{key}` is a text, a number, true or false, or a list of texts"),
            )
        })?;
        if long == LOG
            && let Some(Err(error)) = values.first().map(|it| crate::log::check(it))
        {
            return Err(self.refused(at, &format!("`{key}`: {error}")));
        }
        Ok((arg.get_id().to_string(), Setting { values, at }))
    }

    /// The command with what the file says as its defaults.
    fn defaults(&self, command: Command) -> Command {
        self.tables.iter().fold(command, |command, (name, options)| {
            command.mut_subcommand(name, |sub| {
                options.iter().fold(sub, |sub, (id, option)| {
                    let values: Vec<OsStr> = option.values.iter().map(OsStr::from).collect();
                    sub.mut_arg(id, |arg| arg.default_values(values).required(false))
                })
            })
        })
    }

    /// Says where in the file a value stands that is refused.
    fn place(&self, name: &str, error: &clap::Error) -> Option<String> {
        let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
            return None;
        };
        let long = argument.trim_start_matches("--").split([' ', '=']).next()?;
        let options = self.tables.get(name)?;
        let (_, option) = options.iter().find(|(id, _)| id.replace('_', "-") == long)?;
        Some(self.at(option.at))
    }

    /// What the file says of an option that has one value.
    fn value(&self, name: &str, id: &str) -> Option<String> {
        self.tables.get(name)?.get(id)?.values.first().cloned()
    }

    /// The digest of its text.
    fn digest(&self) -> String {
        Sha256::digest(&self.text).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// True when the file says something of an option.
    pub(crate) fn has(&self, name: &str, id: &str) -> bool {
        self.tables.get(name).is_some_and(|it| it.contains_key(id))
    }

    fn refused(&self, at: usize, reason: &str) -> CliError {
        CliError::Usage(format!("{}: {reason}", self.at(at)))
    }

    /// `FILE:LINE:COLUMN` of a byte.
    fn at(&self, offset: usize) -> String {
        let Position { line, column } = Position::of(&self.text, offset);
        format!("{}:{line}:{column}", self.path.display())
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

/// What the arguments say, and the file that they or the environment name.
///
/// # Errors
/// When the file makes no sense; what is wrong with the arguments ends the process, as clap has it.
pub(crate) fn parse(
    command: Command,
    arguments: Vec<OsString>,
) -> Result<(ArgMatches, Option<Configuration>), CliError> {
    let Some((name, path)) = named(&arguments) else {
        return Ok((command.get_matches_from(arguments), None));
    };
    let mut built = command.clone();
    built.build();
    let configuration = Configuration::read(&path, &built)?;
    let matches = configuration.defaults(command).try_get_matches_from(arguments);
    match matches {
        Ok(matches) => Ok((matches, Some(configuration))),
        Err(error) => match configuration.place(&name, &error) {
            Some(place) => {
                let text = error.to_string();
                let reason = text.lines().next().unwrap_or("").trim_start_matches("error: ");
                Err(CliError::Usage(format!("{place}: {reason}")))
            }
            None => error.exit(),
        },
    }
}

/// The command, and the file that its arguments or the environment name.
fn named(arguments: &[OsString]) -> Option<(String, PathBuf)> {
    // An option of the whole command line may be before it.
    let skipped = match arguments.get(1)?.to_str()? {
        "--profile" => 2,
        option if option.starts_with("--profile=") => 1,
        _ => 0,
    };
    let name = arguments.get(1 + skipped)?.to_str().filter(|it| COMMANDS.contains(it))?;
    let mut rest = arguments.iter().skip(2 + skipped);
    let mut path = None;
    while let Some(argument) = rest.next() {
        let Some(text) = argument.to_str() else { continue };
        match text.strip_prefix("--config") {
            Some("") => path = rest.next().map(PathBuf::from),
            Some(value) => path = value.strip_prefix('=').map(PathBuf::from).or(path),
            None if text == "--" => break,
            None => {}
        }
    }
    let variable = || std::env::var_os(VARIABLE).filter(|it| !it.is_empty()).map(PathBuf::from);
    Some((name.to_owned(), path.or_else(variable)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::ffi::OsString;

    use clap::{CommandFactory, FromArgMatches};

    use super::{CliError, Configuration, named, parse};
    use crate::arguments::Arguments;

    fn read(text: &str) -> Result<(tempfile::TempDir, Configuration), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("windlass.toml");
        std::fs::write(&path, text).unwrap();
        let mut command = Arguments::command();
        command.build();
        match Configuration::read(&path, &command) {
            Ok(read) => Ok((folder, read)),
            Err(CliError::Usage(text)) => Err(text),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_that_are_none_are_refused_where_they_stand() {
        for (text, place, words) in [
            ("[coordinater]\n", "1:2", "did you mean `[coordinator]`"),
            ("[list]\n", "1:2", "no table"),
            ("[coordinator]\nbnid = \"a\"\n", "2:1", "did you mean `bind`"),
            ("[worker]\nkey = \"a\"\n", "2:1", "credential"),
            ("[coordinator]\nbind = [\"a\"]\n", "2:1", "one value"),
            ("[coordinator]\nallow-remote = \"yes\"\n", "2:1", "true or false"),
            ("[coordinator]\nbind = {}\n", "2:1", "a text"),
            ("[coordinator]\nbind = 1\nbind = 2\n", "3:1", "duplicate"),
            ("[coordinator]\nlog = \"debgu\"\n", "2:1", "not a level"),
            ("[backup]\nkep = 1\n", "2:1", "did you mean `backup-keep`"),
            ("[backup]\nkeep = 1\n[coordinator]\nbackup-keep = 2\n", "4:1", "twice"),
        ] {
            let error = read(text).err().unwrap();
            assert!(error.contains(&format!("windlass.toml:{place}: ")), "{text}: {error}");
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn options_go_before_it() {
        let text = "[coordinator]\nretention-days = 7\nallow_remote = true\n\
                    [worker]\nallow = [\"shell\", \"script\"]\n";
        let (folder, _) = read(text).unwrap();
        let path = folder.path().join("windlass.toml").display().to_string();
        let days = |more: &[&str]| {
            let line = [&["windlass", "coordinator", "--config", &path], more].concat();
            let matches = parse(Arguments::command(), line.iter().map(OsString::from).collect());
            let (matches, _) = matches.ok().unwrap();
            assert!(Arguments::from_arg_matches(&matches).is_ok());
            let (_, of) = matches.subcommand().unwrap();
            (*of.get_one::<u32>("retention_days").unwrap(), of.get_flag("allow_remote"))
        };
        assert_eq!(days(&[]), (7, true));
        assert_eq!(days(&["--retention-days", "9"]), (9, true));
        let (folder, _) = read("[backup]\nto = \"b\"\nkeep = 3\n[coordinator]\n").unwrap();
        let path = folder.path().join("windlass.toml").display().to_string();
        let line = ["windlass", "coordinator", "--config", &path];
        let matches = parse(Arguments::command(), line.iter().map(OsString::from).collect());
        let (matches, _) = matches.ok().unwrap();
        let (_, of) = matches.subcommand().unwrap();
        assert_eq!(*of.get_one::<u32>("backup_keep").unwrap(), 3);
    }

    #[test]
    fn it_is_found_where_options_are() {
        let find = |line: &str| {
            named(&line.split(' ').map(OsString::from).collect::<Vec<_>>()).map(|it| it.1)
        };
        assert_eq!(find("windlass worker --config a.toml"), Some("a.toml".into()));
        assert_eq!(find("windlass dev x.yaml --config=a.toml"), Some("a.toml".into()));
        assert_eq!(find("windlass --profile p worker --config a.toml"), Some("a.toml".into()));
        assert_eq!(find("windlass --profile=p worker --config a.toml"), Some("a.toml".into()));
        assert_eq!(find("windlass list --config a.toml"), None);
    }
}
