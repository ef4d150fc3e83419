//! `windlass test`: reads files of tests and their workflows, plays the cases, writes what came of
//! them.

use std::path::{Path, PathBuf};

use windlass_proto::limits;

use crate::case::judge::{self, Failure, Outcome};
use crate::case::play::{self, Stage};
use crate::case::reach::{Coverage, Summary};
use crate::case::read;
use crate::case::report::{self, Tested};
use crate::case::texts::Texts;
use crate::case::{Case, golden};
use crate::code::TESTS_FAILED;
use crate::error::CliError;
use crate::{definition, find, input, output, texts};

/// Play workflows with mocked calls on a virtual clock, and hold what happens against what is
/// expected.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  windlass test order.test.yaml\n  windlass test workflows --coverage \
                        --junit report.xml\n  windlass test workflows --filter refund --update\n\n\
                        docs/testing.md says what a file of tests can say. Exit codes: 0 all cases passed, 1 one \
                        failed or too little was reached, 2 bad usage, or a file has errors."
)]
pub(crate) struct Args {
    /// Files of tests, YAML or JSON; of a directory all *.test.yaml and *.test.yml in it and below
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Play only cases that have this text in their name, or in that of their file
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Keep the histories that cases compare theirs with as they are now
    #[arg(long)]
    update: bool,
    /// Make calls that no mock answers, instead of failing the case
    #[arg(long)]
    allow_calls: bool,
    /// List the tasks and branches that no case has come to
    #[arg(long)]
    coverage: bool,
    /// Fail when less than this part of all tasks and branches was reached
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    coverage_min: Option<u8>,
    /// Outcomes as text on standard error, or as JSON on standard output
    #[arg(long, value_enum, default_value = "text")]
    output: Format,
    /// Write outcomes to this file as JUnit has it
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write outcomes to standard output by the Test Anything Protocol
    #[arg(long, conflicts_with = "output")]
    tap: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
}

/// Runs the command.
pub(crate) async fn run(args: &Args) -> Result<(), CliError> {
    let files = find::files(&args.files, &find::TESTS)?;
    let (mut all, mut broken) = (Vec::new(), None);
    for file in &files {
        match test(file, args).await {
            Ok(Some(tested)) => {
                if args.output == Format::Text && !args.tap {
                    output::notice(&report::text(&tested));
                }
                all.push(tested);
            }
            Ok(None) => {}
            // The others are played all the same.
            Err(CliError::Usage(text)) => {
                output::message(&text);
                broken = Some(CliError::Definition);
            }
            Err(error) => broken = Some(error),
        }
    }
    if let (Some(filter), true, None) = (&args.filter, all.is_empty(), &broken) {
        return Err(CliError::Usage(format!("no case has `{filter}` in its name")));
    }
    let coverage = Summary::sum(all.iter_mut().map(|it| std::mem::take(&mut it.coverage)));
    if !all.is_empty() {
        tell(args, &all, &coverage)?;
    }
    match broken {
        Some(error) => Err(error),
        None => verdict(args, &all, &coverage),
    }
}

/// Writes what came of all cases, as it was asked for.
fn tell(args: &Args, all: &[Tested], coverage: &Summary) -> Result<(), CliError> {
    if let Some(path) = &args.junit {
        write(path, &report::junit(all))?;
    }
    if args.tap {
        output::text(&report::tap(all));
    } else if args.output == Format::Json {
        output::json(&report::json(all, coverage));
    } else {
        let (total, failed) = report::counts(all);
        let Summary { reached, all, .. } = coverage;
        output::message(&format!(
            "{} of {total} passed; {} % reached ({reached} of {all} tasks and branches)",
            total - failed,
            coverage.percent()
        ));
        if args.coverage {
            let row = |it: &crate::case::reach::Missed| {
                vec![it.place.clone(), it.kind.to_owned(), it.task.clone(), it.what.clone()]
            };
            let rows: Vec<_> = coverage.missed.iter().map(row).collect();
            output::notice(&output::columns(&["NOT REACHED", "KIND", "TASK", "WHAT"], &rows));
        }
    }
    Ok(())
}

fn verdict(args: &Args, all: &[Tested], coverage: &Summary) -> Result<(), CliError> {
    let (total, failed) = report::counts(all);
    if failed > 0 {
        let detail = format!("{failed} of {total} cases failed");
        return Err(CliError::coded(&TESTS_FAILED, &detail));
    }
    let percent = coverage.percent();
    match args.coverage_min.map(usize::from) {
        Some(least) if percent < least => {
            let detail = format!(
                "{percent} % of the tasks and branches were reached, less than the {least} % that \
                 --coverage-min asks for; --coverage lists the others"
            );
            Err(CliError::coded(&TESTS_FAILED, &detail))
        }
        _ => Ok(()),
    }
}

/// Plays the cases of a file; none where the filter leaves none.
async fn test(file: &Path, args: &Args) -> Result<Option<Tested>, CliError> {
    let text = input::file(file, limits::TEST_FILE_BYTES)?;
    let refused = |found: Vec<_>| {
        definition::show(file, &text, &found);
        CliError::Definition
    };
    let suite = read::suite(&text).map_err(refused)?;
    let folder = crate::functions::directory_of(file);
    let files = std::iter::once(&suite.workflow).chain(&suite.with);
    let files: Vec<_> = files.map(|it| beside(&folder, it)).collect();
    let texts = texts::read(&files, args.allow_calls).await?;
    let missing = read::targets::missing(&text, &texts);
    if !missing.is_empty() {
        return Err(refused(missing));
    }
    let name = file.display().to_string();
    let chosen = |it: &&Case| {
        let filter = args.filter.as_deref().unwrap_or_default();
        it.name.contains(filter) || name.contains(filter)
    };
    let mut coverage = Coverage::default();
    let mut outcomes = Vec::new();
    for case in suite.cases.iter().filter(chosen) {
        outcomes.push(play_one(case, &texts, &folder, args, &mut coverage).await?);
    }
    let coverage = coverage.of(&texts);
    Ok((!outcomes.is_empty()).then_some(Tested { file: name, outcomes, coverage }))
}

async fn play_one(
    case: &Case,
    texts: &Texts,
    folder: &Path,
    args: &Args,
    coverage: &mut Coverage,
) -> Result<Outcome, CliError> {
    let stage = Stage { texts, around: &case.around, allows_calls: args.allow_calls };
    let played = match play::play(&stage, &case.start).await {
        Ok(played) => played,
        Err(error) => {
            let failures = vec![Failure::new(case.line, error.to_string(), "")];
            let (name, line) = (case.name.clone(), case.line);
            return Ok(Outcome { name, line, failures, took: 0, before: Vec::new() });
        }
    };
    coverage.add(&played.reached);
    let mut outcome = judge::judge(case, &played, texts);
    if let Some((path, line)) = &case.expect.history {
        let (path, now) = (beside(folder, path), golden::text(&played));
        let kept =
            path.is_file().then(|| input::file(&path, limits::TEST_FILE_BYTES)).transpose()?;
        if args.update && outcome.failures.is_empty() {
            if kept.as_ref() != Some(&now) {
                write(&path, &now)?;
                output::message(&format!("wrote {}", path.display()));
            }
        } else {
            let name = path.display().to_string();
            outcome.failures.extend(golden::compare(kept.as_deref(), &now, &name, *line));
        }
    }
    Ok(outcome)
}

/// A path as a file in `folder` names it.
pub(crate) fn beside(folder: &Path, path: &Path) -> PathBuf {
    let joined = folder.join(path);
    // `./a` and `a` are one file, and people know it as the latter.
    joined.strip_prefix("./").map(Path::to_owned).unwrap_or(joined)
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    std::fs::write(path, text)
        .map_err(|error| CliError::Usage(format!("cannot write {}: {error}", path.display())))
}
