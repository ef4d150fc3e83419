//! The options of a worker, from the variables that `windlass worker` reads too.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use windlass_bus::BusOptions;
use windlass_proto::duration::typed;
use windlass_proto::limits;
use windlass_proto::wire::key::WorkerKey;
use windlass_proto::wire::subject::is_token;

use super::FleetOptions;

/// A variable of the environment that cannot be used. Never shows what a secret one holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {reason}")]
pub struct EnvironmentError {
    /// Which.
    pub variable: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl FleetOptions {
    /// The options that these variables of the process give, as for `windlass worker`:
    ///
    /// | Variable | Default |
    /// |---|---|
    /// | `WINDLASS_WORKER_KEY`, or `WINDLASS_KEY_FILE`: a file with it | needed |
    /// | `WINDLASS_NATS` | `nats://127.0.0.1:4222` |
    /// | `WINDLASS_NATS_CREDS`, `_NKEY`, `_CA`, `_CERT` and `_KEY`: files | none |
    /// | `WINDLASS_NATS_TLS_FIRST`: `true` for servers with `handshake_first` | `false` |
    /// | `WINDLASS_BUS` | `windlass` |
    /// | `WINDLASS_POOL` | the key's, or `default` |
    /// | `WINDLASS_CONCURRENCY` | 256 |
    /// | `WINDLASS_HEALTH`: `ADDRESS:PORT` | none |
    /// | `WINDLASS_DRAIN` | `30s` |
    ///
    /// An empty variable counts as absent. The name is the host's.
    ///
    /// # Errors
    /// When the key is missing, or a variable cannot be used.
    pub fn from_environment() -> Result<Self, EnvironmentError> {
        Self::from_variables(&|name| crate::variable(name).map(|it| it.into_string().ok()))
    }

    /// As [`Self::from_environment`]; `look` gives a variable, and none inside for what is no text.
    fn from_variables(
        look: &dyn Fn(&str) -> Option<Option<String>>,
    ) -> Result<Self, EnvironmentError> {
        let variables = Variables(look);
        let defaults = Self::new("nats://127.0.0.1:4222", variables.key()?);
        let pair = (variables.path("WINDLASS_NATS_CERT")?, variables.path("WINDLASS_NATS_KEY")?);
        let identity = match pair {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(alone("WINDLASS_NATS_CERT", "WINDLASS_NATS_KEY")),
            (None, Some(_)) => return Err(alone("WINDLASS_NATS_KEY", "WINDLASS_NATS_CERT")),
        };
        let bus = BusOptions {
            url: variables.text("WINDLASS_NATS")?.unwrap_or(defaults.bus.url),
            credentials: variables.path("WINDLASS_NATS_CREDS")?,
            nkey: variables.path("WINDLASS_NATS_NKEY")?,
            ca: variables.path("WINDLASS_NATS_CA")?,
            tls_first: variables.read("WINDLASS_NATS_TLS_FIRST", flag)?.unwrap_or_default(),
            identity,
            ..defaults.bus
        };
        Ok(Self {
            bus,
            prefix: variables.parsed("WINDLASS_BUS")?.unwrap_or(defaults.prefix),
            key: defaults.key,
            pool: variables.read("WINDLASS_POOL", pool)?.unwrap_or(defaults.pool),
            name: host_name(),
            concurrency: variables
                .read("WINDLASS_CONCURRENCY", concurrency)?
                .unwrap_or(defaults.concurrency),
            drain: variables.read("WINDLASS_DRAIN", duration)?.unwrap_or(defaults.drain),
            health: variables.read("WINDLASS_HEALTH", address)?,
        })
    }
}

/// A switch, as the command line reads it from a variable.
fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

struct Variables<'a>(&'a dyn Fn(&str) -> Option<Option<String>>);

impl Variables<'_> {
    fn text(&self, variable: &'static str) -> Result<Option<String>, EnvironmentError> {
        match (self.0)(variable) {
            Some(None) => Err(refused(variable)("is no UTF-8 text".to_owned())),
            Some(Some(text)) if !text.is_empty() => Ok(Some(text)),
            _ => Ok(None),
        }
    }

    fn path(&self, variable: &'static str) -> Result<Option<PathBuf>, EnvironmentError> {
        Ok(self.text(variable)?.map(PathBuf::from))
    }

    fn read<T>(
        &self,
        variable: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, EnvironmentError> {
        let text = self.text(variable)?;
        text.map(|text| read(&text)).transpose().map_err(refused(variable))
    }

    fn parsed<T>(&self, variable: &'static str) -> Result<Option<T>, EnvironmentError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.read(variable, |text| text.parse().map_err(|error: T::Err| error.to_string()))
    }

    fn key(&self) -> Result<WorkerKey, EnvironmentError> {
        let parse = |text: &str| WorkerKey::parse(text).map_err(|error| error.to_string());
        if let Some(key) = self.read("WINDLASS_WORKER_KEY", parse)? {
            return Ok(key);
        }
        let file = self.read("WINDLASS_KEY_FILE", |path| {
            let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
            parse(&text).map_err(|reason| format!("{path}: {reason}"))
        })?;
        let missing = "is needed, or WINDLASS_KEY_FILE; `windlass coordinator key` prints the key";
        file.ok_or_else(|| refused("WINDLASS_WORKER_KEY")(missing.to_owned()))
    }
}

fn refused(variable: &'static str) -> impl Fn(String) -> EnvironmentError {
    move |reason| EnvironmentError { variable, reason }
}

fn alone(variable: &'static str, other: &str) -> EnvironmentError {
    refused(variable)(format!("is of no use without {other}"))
}

fn pool(text: &str) -> Result<String, String> {
    match is_token(text) {
        true => Ok(text.to_owned()),
        false => Err("consists of letters, digits, `-` and `_`".to_owned()),
    }
}

fn concurrency(text: &str) -> Result<u32, String> {
    let most = limits::WORKER_CONCURRENCY;
    let number = text.parse().ok().filter(|it| (1..=most).contains(it));
    number.ok_or_else(|| format!("is no number from 1 to {most}"))
}

fn duration(text: &str) -> Result<Duration, String> {
    typed::parse(text).map_err(|error| error.to_string())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.replacen("localhost:", "127.0.0.1:", 1)
        .parse()
        .map_err(|_| "write ADDRESS:PORT, such as 127.0.0.1:7401".to_owned())
}

/// The host's name, as far as it can be shown: what people know a worker by, unless it is given
/// another name.
#[must_use]
pub fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let shown: String = name.chars().filter(char::is_ascii_graphic).take(64).collect();
    if shown.is_empty() { "worker".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use windlass_proto::wire::key::CoordinatorKey;

    use super::{EnvironmentError, FleetOptions};

    fn options(more: &[(&str, &str)]) -> Result<FleetOptions, EnvironmentError> {
        let key = CoordinatorKey::generate().worker_key(Some("gpu")).to_text();
        let mut all = BTreeMap::from([("WINDLASS_WORKER_KEY", key.as_str())]);
        all.extend(more.iter().copied());
        FleetOptions::from_variables(&|name| all.get(name).map(|it| Some((*it).to_owned())))
    }

    #[test]
    fn a_key_is_all_it_takes() {
        let options = options(&[("WINDLASS_POOL", "")]).unwrap();
        assert_eq!(options.bus.url, "nats://127.0.0.1:4222");
        assert_eq!((&*options.pool, options.concurrency), ("gpu", 256));
        assert_eq!((options.drain.as_secs(), options.health), (30, None));
        assert_eq!(options.prefix.to_string(), "windlass");
        assert!(!options.name.is_empty());
    }

    #[test]
    fn every_variable_is_read() {
        let options = options(&[
            ("WINDLASS_NATS", "tls://bus:4222"),
            ("WINDLASS_NATS_CREDS", "a.creds"),
            ("WINDLASS_NATS_NKEY", "a.nkey"),
            ("WINDLASS_NATS_CA", "ca.pem"),
            ("WINDLASS_NATS_CERT", "me.pem"),
            ("WINDLASS_NATS_KEY", "me.key"),
            ("WINDLASS_BUS", "other"),
            ("WINDLASS_POOL", "cpu"),
            ("WINDLASS_CONCURRENCY", "7"),
            ("WINDLASS_DRAIN", "1m30s"),
            ("WINDLASS_HEALTH", "localhost:7401"),
        ])
        .unwrap();
        assert_eq!(options.bus.url, "tls://bus:4222");
        assert_eq!(options.bus.credentials, Some("a.creds".into()));
        assert_eq!(options.bus.nkey, Some("a.nkey".into()));
        assert_eq!(options.bus.ca, Some("ca.pem".into()));
        assert_eq!(options.bus.identity, Some(("me.pem".into(), "me.key".into())));
        assert_eq!(options.prefix.to_string(), "other");
        assert_eq!((&*options.pool, options.concurrency), ("cpu", 7));
        assert_eq!(options.drain.as_secs(), 90);
        assert_eq!(options.health, "127.0.0.1:7401".parse().ok());
    }

    #[test]
    fn what_cannot_be_used_is_named_and_a_key_is_not_shown() {
        for (variable, text) in [
            ("WINDLASS_WORKER_KEY", "wk1_hunter2"),
            ("WINDLASS_BUS", "a.b"),
            ("WINDLASS_POOL", "a b"),
            ("WINDLASS_CONCURRENCY", "0"),
            ("WINDLASS_DRAIN", "soon"),
            ("WINDLASS_HEALTH", "7401"),
            ("WINDLASS_NATS_CERT", "me.pem"),
        ] {
            let error = options(&[(variable, text)]).unwrap_err();
            assert_eq!(error.variable, variable);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let none = FleetOptions::from_variables(&|_| None).unwrap_err();
        assert_eq!(none.variable, "WINDLASS_WORKER_KEY");
    }

    #[test]
    fn a_key_is_read_from_a_file() {
        let key = CoordinatorKey::generate().worker_key(Some("gpu")).to_text();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.key");
        let from = |path: &std::path::Path| {
            let path = path.display().to_string();
            FleetOptions::from_variables(&|name| {
                (name == "WINDLASS_KEY_FILE").then(|| Some(path.clone()))
            })
        };
        assert_eq!(from(&path).unwrap_err().variable, "WINDLASS_KEY_FILE");
        std::fs::write(&path, format!("{}\n", *key)).unwrap();
        assert_eq!(from(&path).unwrap().pool, "gpu");
    }
}
