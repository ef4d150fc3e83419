//! Which variables and arguments are credentials.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// What is shown in place of a credential.
const HIDDEN: &str = "***";

/// A variable, or all whose names begin so.
enum Name {
    Exact(&'static str),
    Prefix(&'static str),
}

/// When a variable is a credential.
enum When {
    Always,
    /// It is a URL, and has a user, a password or a token before its host.
    WithUserInfo,
}

/// Variables that are credentials, and why.
const VARIABLES: &[(Name, When)] = &[
    // Secrets of workflows, for development.
    (Name::Prefix("WINDLASS_SECRET_"), When::Always),
    // Lets whoever has it join the fleet and take its tasks.
    (Name::Exact("WINDLASS_WORKER_KEY"), When::Always),
    // Shows a server who asks.
    (Name::Exact("WINDLASS_TOKEN"), When::Always),
    // NATS takes user and password, or a token, in the URL.
    (Name::Exact("WINDLASS_NATS"), When::WithUserInfo),
    // An operator's right at the store of secrets.
    (Name::Exact("VAULT_TOKEN"), When::Always),
    (Name::Exact("BAO_TOKEN"), When::Always),
    // The worker's own rights at the clouds' stores. The key's id is not secret, but of no use
    // alone.
    (Name::Exact("AWS_SECRET_ACCESS_KEY"), When::Always),
    (Name::Exact("AWS_SESSION_TOKEN"), When::Always),
    (Name::Exact("AZURE_CLIENT_SECRET"), When::Always),
    // Collectors of telemetry that ask who sends.
    (Name::Exact("OTEL_EXPORTER_OTLP_HEADERS"), When::Always),
    (Name::Exact("OTEL_EXPORTER_OTLP_TRACES_HEADERS"), When::Always),
    (Name::Exact("OTEL_EXPORTER_OTLP_METRICS_HEADERS"), When::Always),
    (Name::Exact("OTEL_EXPORTER_OTLP_LOGS_HEADERS"), When::Always),
    // Proxies that ask for a password have it in the URL.
    (Name::Exact("HTTP_PROXY"), When::WithUserInfo),
    (Name::Exact("http_proxy"), When::WithUserInfo),
    (Name::Exact("HTTPS_PROXY"), When::WithUserInfo),
    (Name::Exact("https_proxy"), When::WithUserInfo),
    (Name::Exact("ALL_PROXY"), When::WithUserInfo),
    (Name::Exact("all_proxy"), When::WithUserInfo),
];

/// Begins as secrets do, and names a file.
const NO_SECRET: &str = "WINDLASS_SECRET_POLICY";

/// Options whose values are credentials, and behind which byte: of a secret `NAME=VALUE` and of a
/// header `NAME: VALUE` the name may be seen.
const OPTIONS: [(&str, u8); 3] = [("--secret", b'='), ("--key", b'='), ("--header", b':')];

/// True for a variable that nobody else should see.
pub(super) fn is_credential(name: &str, value: &OsStr) -> bool {
    let fits = |it: &Name| match it {
        Name::Exact(exact) => name == *exact,
        Name::Prefix(prefix) => name.starts_with(prefix) && name != NO_SECRET,
    };
    VARIABLES.iter().any(|(it, when)| {
        fits(it)
            && match when {
                When::Always => true,
                When::WithUserInfo => !user_infos(value.as_bytes()).is_empty(),
            }
    })
}

/// `arguments` as others may see them.
pub(super) fn without_credentials(arguments: &[OsString]) -> Vec<OsString> {
    let mut shown = Vec::with_capacity(arguments.len());
    // The byte behind which the value is, where the argument before was such an option.
    let mut value_of = None;
    for argument in arguments {
        let bytes = argument.as_bytes();
        let option = OPTIONS
            .iter()
            .find_map(|(it, behind)| Some((bytes.strip_prefix(it.as_bytes())?, *behind)));
        shown.push(match (option, value_of) {
            (Some(([], _)), _) => argument.clone(),
            (Some(([b'=', value @ ..], behind)), _) => {
                let head = &bytes[..bytes.len() - value.len()];
                OsString::from_vec([head, &hidden(value, behind)].concat())
            }
            (_, Some(behind)) if !bytes.starts_with(b"--") => {
                OsString::from_vec(hidden(bytes, behind))
            }
            _ => without_user_infos(argument),
        });
        value_of = option.filter(|it| it.0.is_empty()).map(|it| it.1);
    }
    shown
}

/// A value as others may see it: its name, if `behind` ends one.
fn hidden(value: &[u8], behind: u8) -> Vec<u8> {
    let name = value.iter().position(|it| *it == behind).map_or(0, |at| at + 1);
    [&value[..name], HIDDEN.as_bytes()].concat()
}

fn without_user_infos(argument: &OsStr) -> OsString {
    let mut bytes = argument.as_bytes().to_vec();
    for (from, to) in user_infos(&bytes).into_iter().rev() {
        bytes.splice(from..to, HIDDEN.bytes());
    }
    OsString::from_vec(bytes)
}

/// Where URLs in `text` have user and password: `scheme://here@host`; there may be several, as NATS
/// takes a list.
fn user_infos(text: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].windows(3).position(|it| it == b"://") {
        let from = at + next + 3;
        let ends = |it: &u8| b"/?#, \t\n\"'".contains(it);
        let end = text[from..].iter().position(ends).map_or(text.len(), |it| from + it);
        if let Some(length) = text[from..end].iter().rposition(|it| *it == b'@') {
            found.push((from, from + length));
        }
        at = end.max(from);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::ffi::{OsStr, OsString};

    use super::{is_credential, without_credentials};

    #[test]
    fn variables_that_hold_credentials_are_told_from_others() {
        for (name, value) in [
            ("WINDLASS_SECRET_API_KEY", "x"),
            ("WINDLASS_WORKER_KEY", "x"),
            ("VAULT_TOKEN", "x"),
            ("AWS_SESSION_TOKEN", "x"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=x"),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "authorization=x"),
            ("WINDLASS_NATS", "nats://me:secret@a:4222"),
            ("WINDLASS_NATS", "nats://a:4222,nats://token@b:4222"),
            ("https_proxy", "http://me:secret@proxy:3128"),
        ] {
            assert!(is_credential(name, OsStr::new(value)), "{name}");
        }
        for (name, value) in [
            ("WINDLASS_SECRET_POLICY", "policy.toml"),
            ("WINDLASS_SECRETS_CONFIG", "secrets.toml"),
            ("WINDLASS_KEY_FILE", "worker.key"),
            ("WINDLASS_NATS", "nats://a:4222,nats://b:4222"),
            ("HTTPS_PROXY", "http://proxy:3128/@"),
            ("PATH", "/bin"),
        ] {
            assert!(!is_credential(name, OsStr::new(value)), "{name}");
        }
    }

    #[test]
    fn arguments_are_shown_without_credentials() {
        let shown = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let shown = without_credentials(&words);
            shown.iter().map(|it| it.to_string_lossy()).collect::<Vec<_>>().join(" ")
        };
        for (line, expected) in [
            (
                "w run a.yaml --secret a=b=c --secret=d=e",
                "w run a.yaml --secret a=*** --secret=d=***",
            ),
            ("w worker --key wk1_x --pool a", "w worker --key *** --pool a"),
            ("w worker --key=wk1_x", "w worker --key=***"),
            ("w list --header X-A:b=c --header=Y:d", "w list --header X-A:*** --header=Y:***"),
            ("w list --header b=c", "w list --header ***"),
            ("w worker --key-file f --nats nats://a", "w worker --key-file f --nats nats://a"),
            ("w worker --nats nats://u:p@a,tls://t@b", "w worker --nats nats://***@a,tls://***@b"),
            ("w run --secrets-file f --secret", "w run --secrets-file f --secret"),
            ("w bench --secret --workload w1", "w bench --secret --workload w1"),
        ] {
            assert_eq!(shown(line), expected);
        }
    }
}
