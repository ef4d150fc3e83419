//! `windlass audit verify`.

use std::fs::File;
use std::path::PathBuf;

use windlass_coordinator::audit::verify::{
    Against, Report, check_directory, check_files, check_stream, read_heads,
};
use windlass_coordinator::audit::{AuditError, Position, PublicKey};

use crate::code::{AUDIT_DAMAGED, AUDIT_UNREADABLE};
use crate::error::CliError;
use crate::output::{self, Format};

/// Check a trail.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass audit verify .windlass\n  \
    windlass audit verify --key B2…xQ --head 4711:9f…3a .windlass\n  \
    windlass audit verify audit.2.jsonl audit.1.jsonl audit.jsonl\n  \
    windlass audit export | windlass audit verify -\n  \
    windlass audit verify --heads heads.jsonl .windlass\n\n\
    It needs no server and changes nothing; a coordinator may be writing meanwhile. Exit code 1 when \
    something is wrong. What was removed with the oldest files is not: `first` says where the trail \
    begins. `last` is what --head takes the next time: only with it, or with heads that \
    somebody else kept (--audit-heads-webhook, the stream WINDLASS_AUDIT), is it seen that the end \
    was cut off by somebody who may write to the whole \
    directory.")]
pub(super) struct Args {
    /// A data directory, files of a trail (the oldest first, if they are not named as a coordinator
    /// names them), or - for standard input
    #[arg(value_name = "DIR|FILES", required = true)]
    places: Vec<PathBuf>,
    /// The public key that signs the heads, as `windlass audit key` prints it; may be repeated, as
    /// an old key's heads stay
    #[arg(long = "key", value_name = "PUBLIC")]
    keys: Vec<PublicKey>,
    /// A line that has to be in it, such as `last` of an earlier check; may be repeated
    #[arg(long = "head", value_name = "SEQ:HASH")]
    heads: Vec<Position>,
    /// Heads that somebody else kept, one a line: deliveries of --audit-heads-webhook, heads as the
    /// stream has them, or SEQ:HASH; may be repeated
    #[arg(long = "heads", value_name = "FILE")]
    files_of_heads: Vec<PathBuf>,
    /// Where the trail may begin at the latest, as the oldest files were removed: `first` of an
    /// earlier check. Without it a known head from before its begin is one that is missing
    #[arg(long, value_name = "SEQUENCE")]
    first: Option<u64>,
    /// By default text on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<(), CliError> {
    let no_key = args.keys.is_empty();
    let mut heads = args.heads;
    for path in &args.files_of_heads {
        let unread = |reason: String| CliError::Usage(format!("{}: {reason}", path.display()));
        let file = File::open(path).map_err(|error| unread(error.to_string()))?;
        heads.extend(read_heads(file).map_err(|error| unread(error.to_string()))?);
    }
    let against = Against { keys: args.keys, heads, noted: None };
    let report = check(&args.places, against).map_err(|error| {
        let detail = error.to_string();
        CliError::coded(&AUDIT_UNREADABLE, &detail)
    })?;
    let unlike = not_as_known(&report, args.first);
    match Format::or_default(args.output) {
        Format::Json => output::json(&report),
        Format::Table => {
            let lines: Vec<_> =
                words(&report, unlike.is_none()).iter().map(|it| output::printable(it)).collect();
            output::text_line(&lines.join("\n"));
        }
    }
    if no_key && !report.keys.is_empty() {
        output::message(
            "the signatures are those of the keys that the heads name; --key says which is the \
             right one",
        );
    }
    if let Some(detail) = unlike {
        return Err(CliError::coded(&AUDIT_DAMAGED, &detail));
    }
    if report.is_clean() {
        return Ok(());
    }
    let count = report.defects.len() as u64 + report.more_defects;
    let first = report.defects.first().map(|it| format!(", the first: {it}"));
    let detail = format!("{count} defects{}", first.unwrap_or_default());
    Err(CliError::coded(&AUDIT_DAMAGED, &detail))
}

/// Why a trail without defects of its own is not the one that others know; `may` is where it may
/// begin. Fails closed: that old files were removed looks like a trail that was begun anew.
fn not_as_known(report: &Report, may: Option<u64>) -> Option<String> {
    match (report.first, may) {
        (None, Some(may)) => return Some(format!("no line is there, and it may begin at {may}")),
        (Some(first), Some(may)) if first > may => {
            return Some(format!("it begins at {first}, and may begin at {may} at the latest"));
        }
        _ => {}
    }
    let known = report.known.as_ref()?;
    if known.before > 0 && may.is_none() {
        let before = known.before;
        return Some(format!(
            "{before} known heads are of before its begin: --first says where it may begin, as an \
             earlier check printed it, where old files were removed"
        ));
    }
    (known.found == 0).then(|| format!("none of the {} known heads is in it", known.given))
}

fn check(places: &[PathBuf], against: Against) -> Result<Report, AuditError> {
    match places {
        [one] if one.as_os_str() == "-" => check_stream(std::io::stdin().lock(), &against),
        [one] if one.is_dir() => check_directory(one, against),
        files => check_files(files, &against),
    }
}

/// The report for people.
fn words(report: &Report, is_known: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let range = match (report.first, &report.last) {
        (Some(first), Some(last)) => {
            let last = last.split(':').next().unwrap_or("");
            format!(", sequence {first} to {last}")
        }
        _ => String::new(),
    };
    let Report { events, heads, files, .. } = report;
    lines.push(format!("{events} events and {heads} heads in {files} files{range}"));
    if report.before_chain > 0 {
        let before = report.before_chain;
        lines.push(format!("{before} lines before the chain, of builds that made none"));
    }
    lines.extend(report.last.as_ref().map(|it| format!("last: {it}")));
    lines.extend(report.signed.as_ref().map(|it| format!("signed up to: {it}")));
    if report.unsigned > 0 {
        lines.push(format!("{} events after the last head", report.unsigned));
    }
    lines.extend(report.keys.iter().map(|it| format!("key: {it}")));
    if let Some(known) = &report.known {
        lines.push(format!("{} of {} known heads are there", known.found, known.given));
        if known.before > 0 {
            lines.push(format!("{} of them are of files that were removed", known.before));
        }
        lines.extend(known.missing.iter().map(|it| format!("missing: {it}")));
        if known.more_missing > 0 {
            lines.push(format!("missing: {} more", known.more_missing));
        }
    }
    if let Some(bytes) = report.half_line {
        lines.push(format!("{bytes} bytes of a line that is not whole, at the end"));
    }
    lines.extend(report.defects.iter().map(ToString::to_string));
    if report.more_defects > 0 {
        lines.push(format!("and {} more", report.more_defects));
    }
    if report.is_clean() && is_known {
        lines.push("nothing is wrong".to_owned());
    }
    lines
}
