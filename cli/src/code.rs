//! Codes of the errors that the command line itself raises.

use std::collections::BTreeMap;

/// An error of the command line.
#[derive(Debug)]
pub(crate) struct Code {
    /// The code as people write it.
    pub(crate) code: &'static str,
    /// The HTTP status that comes closest, for the problem document.
    pub(crate) status: u16,
    /// A stable title.
    pub(crate) title: &'static str,
    /// What it means and what to do.
    explanation: &'static str,
}

/// The server does not answer.
pub(crate) const UNREACHABLE: Code = Code {
    code: "WL0701",
    status: 503,
    title: "Server unreachable",
    explanation: "No connection to the server could be made. `windlass dev` starts one at \
                  http://127.0.0.1:7400; --url or WINDLASS_URL name another.",
};

/// A request was sent and not answered.
pub(crate) const BROKEN_OFF: Code = Code {
    code: "WL0712",
    status: 503,
    title: "Connection lost",
    explanation: "The server was reached and did not answer to the end: it was stopped, or the \
                  network in between was. What was asked for may have happened: repeat a start with \
                  the same --idempotency-key, and look before repeating anything else.",
};

/// `--wait` was over, or the server gone for too long.
pub(crate) const STILL_OPEN: Code = Code {
    code: "WL0713",
    status: 408,
    title: "Stopped waiting for the instance",
    explanation: "The command stopped waiting for an instance that goes on, with exit code 3: the \
                  time given by --wait was over, or the server did not come back. `detail` has the \
                  id. `windlass watch ID` follows it to its end, `windlass show ID` shows where it \
                  stands, `windlass cancel ID` ends it.",
};

/// The instance was cancelled.
pub(crate) const CANCELLED: Code = Code {
    code: "WL0702",
    status: 409,
    title: "Instance cancelled",
    explanation: "The instance was cancelled before it ended, by `windlass cancel`, by Ctrl-C in \
                  `windlass run`, or through the API. It has no output.",
};

/// `--timeout` was over.
pub(crate) const TIMED_OUT: Code = Code {
    code: "WL0703",
    status: 408,
    title: "Instance timed out",
    explanation: "The workflow had not ended when the time given by --timeout was over, and was \
                  cancelled. Give more time, or bound tasks by `timeout` in the definition.",
};

/// A server answered something else than the API.
pub(crate) const NOT_UNDERSTOOD: Code = Code {
    code: "WL0704",
    status: 502,
    title: "Malformed response",
    explanation: "The server's answer is not what Windlass answers, or is too large. Check that \
                  --url names a Windlass of about the same version, and not a proxy before it.",
};

/// The journal refused a write while the process ran.
pub(crate) const JOURNAL_FAILED: Code = Code {
    code: "WL0708",
    status: 503,
    title: "Journal failure",
    explanation: "The disk or the store refused a write while the process ran, so it ended: what it \
                  held in memory may differ from what is on disk. Nothing acknowledged is lost. \
                  Check free space and the kernel's log, then start again: open instances go on.",
};

/// The embedded coordinator or worker could not be set up.
pub(crate) const NOT_STARTED: Code = Code {
    code: "WL0705",
    status: 500,
    title: "Startup failed",
    explanation: "The coordinator, the worker or the listener of this process could not be set up. \
                  `detail` says which and why: an address in use, a data directory another process \
                  has open or that cannot be written, a file of certificates that cannot be read.",
};

/// The journal is damaged.
pub(crate) const JOURNAL_DAMAGED: Code = Code {
    code: "WL0706",
    status: 500,
    title: "Journal damaged",
    explanation: "`windlass fsck` found records that are damaged or do not fit together; its \
                  output lists them. Restore a backup made before the damage (`windlass restore`), or \
                  save what can be read with `windlass fsck DIR --repair --to NEW_DIR`.",
};

/// Facts in the journal do not follow from one another.
pub(crate) const FACTS_MISFIT: Code = Code {
    code: "WL0716",
    status: 500,
    title: "Inconsistent instance history",
    explanation: "Every record of the journal can be read, but `windlass fsck` found facts that cannot \
                  be where they are: a task that ends and was never opened, say. `misfits` in its \
                  output has a line for each instance, and for each workflow of which another number \
                  of instances is open than the journal counts. A defect of windlass has written them, or \
                  something else has. The journal can be used: what does not fit is applied as far \
                  as it goes, and counted in windlass_engine_misfits_total. Look at the instances with \
                  `windlass history`, cancel those that do not go on, and report the lines.",
};

/// Telemetry cannot be started.
pub(crate) const TELEMETRY_NOT_STARTED: Code = Code {
    code: "WL0717",
    status: 500,
    title: "Telemetry not started",
    explanation: "A variable or an option says something of traces, metrics or logs that cannot be \
                  done; `detail` names it and says what to write. docs/telemetry.md has all of them. \
                  Nothing is sent, and nothing of this is read, unless --otlp-endpoint or \
                  OTEL_EXPORTER_OTLP_ENDPOINT (or that of one signal) names a collector, or where \
                  OTEL_SDK_DISABLED is true.",
};

/// Whoever asks may not.
pub(crate) const NOT_PERMITTED: Code = Code {
    code: "WL0718",
    status: 403,
    title: "Not permitted",
    explanation: "`windlass auth can-i` asked whether you may do something, and you may not: no grant \
                  of yours has the permission for that. `windlass auth whoami` shows your grants.",
};

/// Nobody could be logged in.
pub(crate) const LOGIN_FAILED: Code = Code {
    code: "WL0719",
    status: 502,
    title: "Login failed",
    explanation: "`windlass login` got no token: `detail` has what the identity provider said. The \
                  server names the provider and the public client that the command line is there \
                  (`client` of an [[issuer]] in its auth.toml), which must be allowed the code \
                  flow with the redirect http://127.0.0.1/callback, or the device flow. Nothing was kept, or \
                  a token could not be renewed or revoked. WINDLASS_TOKEN and --token-file take tokens got \
                  elsewhere.",
};

/// What answers is not Windlass.
pub(crate) const PROXY_REFUSED: Code = Code {
    code: "WL0727",
    status: 403,
    title: "Refused by a proxy",
    explanation: "A proxy before the server or on the way to it answered in its place: it asks who you \
                  are, does not let you through, or sends you to a page to log in. `detail` has what it \
                  says of itself. --header 'NAME: VALUE', or `headers` in a profile, send what a proxy \
                  before the server asks for; a user and a password in HTTPS_PROXY are for one on the way.",
};

/// The store of secrets did not do what an operator asked.
pub(crate) const VAULT_REFUSED: Code = Code {
    code: "WL0710",
    status: 502,
    title: "Secret store request refused",
    explanation: "`windlass secret setup` or `windlass secret check` could not do all it wanted: \
                  `detail` says what the store refused. VAULT_TOKEN must \
                  be allowed to enable auth methods and engines and to write policies, roles and \
                  groups (setup), or to read metadata (check). What setup did stays: run it again when \
                  the cause is mended.",
};

/// The store of secrets does not answer.
pub(crate) const VAULT_UNREACHABLE: Code = Code {
    code: "WL0714",
    status: 503,
    title: "Secret store unreachable",
    explanation: "`windlass secret setup` or `windlass secret check` reached no Vault or OpenBao: \
                  nothing listens at the address, the name is not known, the certificate is not \
                  trusted (`ca-file` under [vault]), or another server answers. `detail` says which. \
                  --address, VAULT_ADDR or the configuration names the address. Nothing was refused, \
                  so VAULT_TOKEN is not what is missing.",
};

/// Not all of a damaged journal could be saved.
pub(crate) const JOURNAL_SALVAGED: Code = Code {
    code: "WL0711",
    status: 500,
    title: "Damaged journal salvaged in part",
    explanation: "`windlass fsck --repair` or `--salvage` made a new journal of what can be read, and passed over \
                  damage: its output, which --repair keeps as repair.json, says how many instances of each partition are missing, and the \
                  ids of those of which only parts were found. What was saved may stand where it stood a little \
                  earlier: tasks done since run again, with the same idempotency keys. Start there with \
                  --data-dir; after --salvage, copy the other files of the old data directory (keys, \
                  policy, audit trail) beside the new journal before.",
};

/// A measurement is worth nothing.
pub(crate) const BENCH_FAILED: Code = Code {
    code: "WL0707",
    status: 500,
    title: "Benchmark failed",
    explanation: "`windlass bench` checks every outcome, and a workflow gave another output than it \
                  should, faulted, or did not end: `detail` says which. Figures of such a run would \
                  mean nothing, so none are printed.",
};

/// A secret of a definition is not in order.
pub(crate) const SECRET_MISSING: Code = Code {
    code: "WL0709",
    status: 403,
    title: "Secret check failed",
    explanation: "`windlass secret check` found a secret that a definition uses and does not declare \
                  in `use.secrets`, that the coordinator's policy does not permit, or that is not in \
                  its store; its output says which. `windlass secret policy show` shows the policy.",
};

/// A bulk job could not do something with some instances.
pub(crate) const BULK_FAILED: Code = Code {
    code: "WL0728",
    status: 409,
    title: "Bulk job failed in part",
    explanation: "The job has been through all instances, and with some what was asked could not be \
                  done. `windlass bulk results ID --result failed` has each with the reason. Mend \
                  that and give the order once more: those with which it was done do not match any \
                  more, or are skipped.",
};

/// A file of an archive is damaged.
pub(crate) const ARCHIVE_DAMAGED: Code = Code {
    code: "WL0732",
    status: 500,
    title: "Archive damaged",
    explanation: "A file of `--archive` is not as it was written, or cannot be read; each has a checksum. \
                  Put it back from a backup of the directory, or remove it.",
};

/// An instance is not archived.
pub(crate) const NOT_ARCHIVED: Code = Code {
    code: "WL0733",
    status: 404,
    title: "Not archived",
    explanation: "The directory has no file of this instance: it was not removed, or without being \
                  archived. `windlass archive list DIR` has what there is, `windlass show ID` asks a \
                  server.",
};

/// A test found something else than it expects.
pub(crate) const TESTS_FAILED: Code = Code {
    code: "WL0740",
    status: 422,
    title: "Tests failed",
    explanation: "`windlass test` played the cases of its files, and in some something else came out \
                  than they expect, or less of the workflows was reached than --coverage-min asks \
                  for. Above that each case says what, with the task's place and what happened \
                  before it. A history that is meant to be another one is kept by --update. \
                  docs/testing.md has all a file of tests can say.",
};

/// A workflow could not be played to its end.
pub(crate) const NOT_PLAYED: Code = Code {
    code: "WL0741",
    status: 422,
    title: "Not played to its end",
    explanation: "`windlass run --skip-waits` came to a call that no mock answers, or to a point where \
                  nothing goes on: a `listen` whose event the mocks do not send, a call that is never \
                  answered. `detail` names the task, and the lines before it say what to add to \
                  the file of --mock. --allow-calls makes calls that are not mocked. \
                  docs/testing.md has all such a file can say.",
};

/// A worker does not keep to the protocol.
pub(crate) const WORKER_FAILED: Code = Code {
    code: "WL0743",
    status: 422,
    title: "The worker does not keep to the protocol",
    explanation: "`windlass worker check` played a coordinator, and the worker did something else than \
                  proto/PROTOCOL.md says: each check that failed names its paragraph there, and what \
                  was found with the number of the frame. The worker's own messages are on standard \
                  error.",
};

/// An editor has gone without a word.
pub(crate) const LSP_ENDED: Code = Code {
    code: "WL0744",
    status: 499,
    title: "The editor went without a word",
    explanation: "`windlass lsp` speaks to an editor, which says `shutdown` and `exit` before it closes \
                  standard input. This one did not: it was ended, or there is none, as where the \
                  command was typed at a terminal. Nothing is lost: it keeps nothing.",
};

/// Something is not in order.
pub(crate) const DOCTOR_FOUND: Code = Code {
    code: "WL0742",
    status: 503,
    title: "Something is not in order",
    explanation: "`windlass doctor` looked at this machine and at a server, and something does not \
                  work: the lines above with FAILED say what, and what to do. It has changed nothing.",
};

/// A trail is not as it was written.
pub(crate) const AUDIT_DAMAGED: Code = Code {
    code: "WL0725",
    status: 500,
    title: "Audit trail is not as it was written",
    explanation: "`windlass audit verify` found lines that were deleted, altered, inserted, put in \
                  another order or cut off, or heads that are not signed by the key that was named. \
                  Its output names each by file, line and sequence number. Keep the files as they are, \
                  and compare them with the stream WINDLASS_AUDIT, the collector's log records and \
                  copies of your own. Lines without a number among others come from an older build \
                  that was started in between. docs/audit.md says what each finding means.",
};

/// A trail cannot be read.
pub(crate) const AUDIT_UNREADABLE: Code = Code {
    code: "WL0726",
    status: 503,
    title: "Audit trail cannot be read",
    explanation: "`windlass audit verify` could not open or read a file of the trail: `detail` says \
                  which. Name a coordinator's data directory, files of a trail, or - for standard \
                  input; the files are for the coordinator's user alone.",
};

/// Every code of the command line.
const ALL: [&Code; 29] = [
    &UNREACHABLE,
    &BROKEN_OFF,
    &STILL_OPEN,
    &CANCELLED,
    &TIMED_OUT,
    &NOT_UNDERSTOOD,
    &NOT_STARTED,
    &JOURNAL_DAMAGED,
    &FACTS_MISFIT,
    &TELEMETRY_NOT_STARTED,
    &JOURNAL_SALVAGED,
    &BENCH_FAILED,
    &JOURNAL_FAILED,
    &NOT_PERMITTED,
    &LOGIN_FAILED,
    &VAULT_REFUSED,
    &VAULT_UNREACHABLE,
    &SECRET_MISSING,
    &AUDIT_DAMAGED,
    &AUDIT_UNREADABLE,
    &PROXY_REFUSED,
    &BULK_FAILED,
    &ARCHIVE_DAMAGED,
    &NOT_ARCHIVED,
    &TESTS_FAILED,
    &NOT_PLAYED,
    &DOCTOR_FOUND,
    &WORKER_FAILED,
    &LSP_ENDED,
];

/// Code and title of every code of Windlass, in the order of codes.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    let own = ALL.iter().map(|it| (it.code, it.title));
    let api = windlass_coordinator::code::Code::ALL.iter().map(|it| (it.code(), it.title()));
    let all: BTreeMap<_, _> = own.chain(api).chain(crate::finding::codes()).collect();
    all.into_iter()
}

/// The explanation of any code of Windlass.
pub(crate) fn explain(code: &str) -> Option<String> {
    let code = code.trim().to_ascii_uppercase();
    if let Some(own) = ALL.iter().find(|it| it.code == code) {
        return Some(format!("{}: {}\n\n{}\n", own.code, own.title, own.explanation));
    }
    windlass_coordinator::code::explain(&code).or_else(|| crate::finding::explain(&code))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::{ALL, all, explain};

    /// Every code that any source file of the workspace writes as a string.
    fn codes_in(directory: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                codes_in(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for piece in text.split("\"WL").skip(1) {
                    let digits: String = piece.chars().take_while(char::is_ascii_digit).collect();
                    if digits.len() == 4 && piece[4..].starts_with('"') && digits != "9999" {
                        found.push(format!("WL{digits}"));
                    }
                }
            }
        }
    }

    /// The document of all codes, from the root.
    const DOCUMENT: &str = "../docs/errors.md";

    /// Lines of at most 120 characters.
    fn wrapped(body: &str) -> String {
        let (mut text, mut width) = (String::new(), 0);
        for word in body.split_whitespace() {
            let length = word.chars().count();
            let fits = width > 0 && width + 1 + length <= 120;
            if width > 0 {
                text.push(if fits { ' ' } else { '\n' });
            }
            text.push_str(word);
            width = if fits { width + 1 + length } else { length };
        }
        text + "\n"
    }

    /// `WINDLASS_DOCS=write cargo test -p windlass code` writes it anew.
    #[test]
    fn the_document_of_codes_is_what_explain_says() {
        let mut text = "# Codes of errors and findings\n\nWhat `windlass explain CODE` says, of each code: \
                        findings in definitions (WL01xx to WL04xx), answers\nof the API (WL05xx, WL06xx) and \
                        errors of the command line (WL07xx).\n"
            .to_owned();
        for (code, _) in all() {
            let said = explain(code).unwrap();
            let (head, body) = said.split_once("\n\n").unwrap();
            let (code, title) = head.split_once(": ").unwrap();
            // An explanation of a finding begins with its title.
            let title = if body.starts_with(title) { String::new() } else { format!("{title}. ") };
            text += &format!("\n## {code}\n\n{}", wrapped(&format!("{title}{body}")));
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
        if std::env::var("WINDLASS_DOCS").is_ok_and(|it| it == "write") {
            std::fs::write(&path, &text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == text,
            "docs/errors.md is out of date: `WINDLASS_DOCS=write cargo test -p windlass code`"
        );
    }

    #[test]
    fn every_code_in_use_is_explained() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut found = Vec::new();
        for package in ["proto", "coordinator", "worker", "cli"] {
            codes_in(&root.join(package).join("src"), &mut found);
        }
        assert!(found.len() > ALL.len(), "the search found too little: {found:?}");
        for code in found {
            let text = explain(&code).unwrap_or_default();
            assert!(text.starts_with(&code) && text.len() > 80, "{code} is not explained");
        }
        for (code, title) in all() {
            let text = explain(code).unwrap();
            assert!(text.starts_with(&format!("{code}: {title}\n\n")), "{text}");
        }
        assert!(all().count() > 100 && all().is_sorted());
        assert_eq!(explain("wl0701"), explain("WL0701"));
        assert_eq!(explain("WL9999"), None);
    }
}
