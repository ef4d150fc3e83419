use std::collections::HashMap;
use std::path::Path;

use crate::settings::{Destination, Flags, Settings, SettingsError};
use crate::testing::certificates;

/// What is made of these variables; `@name` stands for the path of a file in `folder`.
fn read(folder: &Path, pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4318");
    let path = |value: &str| match value.strip_prefix('@') {
        Some(name) => folder.join(name).display().to_string(),
        None => value.to_owned(),
    };
    let map: HashMap<String, String> =
        pairs.iter().chain([&endpoint]).map(|(name, it)| ((*name).to_owned(), path(it))).collect();
    Settings::read(&move |name| map.get(name).cloned(), &Flags::default())
}

const ALL: [&str; 3] = [
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
];

#[test]
fn certificates_are_read_for_all_signals_or_one() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (certificates(), certificates());
    for (of, all) in [("", &one), ("logs-", &other)] {
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(format!("{of}{name}")), text).unwrap();
        };
        write("ca", &all.authority);
        write("cert", &all.client.0);
        write("key", &all.client.1);
    }
    let own = ALL.map(|it| it.replace("OTLP_", "OTLP_LOGS_"));
    let settings = read(
        folder.path(),
        &[
            (ALL[0], "@ca"),
            (ALL[1], "@cert"),
            (ALL[2], "@key"),
            (&own[0], "@logs-ca"),
            (&own[1], "@logs-cert"),
            (&own[2], "@logs-key"),
        ],
    );
    let settings = settings.unwrap();
    let (traces, logs) = (settings.traces.unwrap(), settings.logs.unwrap());
    let shown = |of: &Destination| of.tls.client.clone().unwrap().certificate;
    assert_eq!(traces.tls.roots.as_deref(), Some(one.authority.as_bytes()));
    assert_eq!(shown(&traces), one.client.0.as_bytes());
    assert_eq!(shown(&logs), other.client.0.as_bytes());
    assert!(!format!("{traces:?}").contains("PRIVATE"), "{traces:?}");
}

#[test]
fn what_cannot_be_read_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (all, other) = (certificates(), certificates());
    for (name, text) in [
        ("ca", &*all.authority),
        ("cert", &all.client.0),
        ("key", &all.client.1),
        ("other-key", &other.client.1),
        ("text", "hello"),
        ("large", &"-".repeat(2 << 20)),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let [roots, certificate, key] = ALL;
    for (pairs, names, says) in [
        (vec![(roots, "@missing")], roots, "write the path of a PEM file"),
        (vec![(roots, "@")], roots, "cannot be read"),
        (vec![(roots, "@large")], roots, "larger than certificates are"),
        (vec![(roots, "/dev/zero")], roots, "larger than certificates are"),
        (vec![(roots, "@text")], roots, "no certificates as PEM"),
        (vec![(roots, "@key")], roots, "no certificates as PEM"),
        (vec![(certificate, "@cert")], certificate, "set OTEL_EXPORTER_OTLP_CLIENT_KEY"),
        (vec![(key, "@key")], key, "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
        (vec![(certificate, "@cert"), (key, "@cert")], key, "no private key as PEM"),
        (vec![(certificate, "@cert"), (key, "@missing")], key, "cannot be read"),
        (vec![(certificate, "@cert"), (key, "@other-key")], key, "not that of the certificate"),
    ] {
        let error = read(folder.path(), &pairs).unwrap_err();
        assert_eq!(error.variable, names, "{pairs:?}: {error}");
        assert!(error.reason.contains(says), "{pairs:?}: {error}");
    }
}

#[test]
fn a_key_in_the_place_of_its_path_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cert"), certificates().client.0).unwrap();
    let [_, certificate, key] = ALL;
    let given = "-----BEGIN PRIVATE KEY-----\nc4nary\n";
    let error = read(folder.path(), &[(certificate, "@cert"), (key, given)]).unwrap_err();
    assert_eq!(error.variable, key);
    assert!(!error.to_string().contains("c4nary"), "{error}");
}
