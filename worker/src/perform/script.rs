//! `run.script`: JavaScript with Node.js, Python with CPython.

mod bare;
mod javascript;
mod python;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use windlass_proto::plan::{Script, ScriptBody};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use self::javascript::Shape;
use super::process::{Invocation, arguments_of};
use crate::attempt::Attempt;

/// What all runs of one script share.
struct Prepared {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    stdin: Option<Vec<u8>>,
}

impl Attempt<'_> {
    pub(super) async fn run_script(
        &mut self,
        script: &Script,
        input: Value,
    ) -> Result<Value, Problem> {
        if !self.worker.processes.script {
            let detail = "this worker's configuration does not allow `run: script`";
            return Err(Problem::new(Standard::Configuration, detail));
        }
        let code = match &script.body {
            ScriptBody::Inline(code) => code.to_string(),
            ScriptBody::External(source) => self.fetch(source, &input).await?.text().to_owned(),
        };
        let given = self.evaluate_optional(script.arguments.as_ref(), &input)?.unwrap_or_default();
        let prepared = Prepared {
            arguments: arguments_of(&given)?,
            environment: self.environment(script.environment.as_ref(), &input)?,
            stdin: self.stdin(script.stdin.as_ref(), &input)?,
        };
        let first = match &*script.language {
            "js" => self.javascript(&code, Shape::of(&code), &given, &prepared)?,
            "python" => self.python(&code, &given, &prepared)?,
            other => {
                let detail = format!("scripts in {other} are not supported: use js or python");
                return Err(Problem::new(Standard::Configuration, detail));
            }
        };
        if !script.wait {
            self.detach_process(first)?;
            return Ok(input);
        }
        let mut ended = self.run_process(first).await?;
        if &*script.language == "js" && javascript::returns_outside_functions(&ended) {
            // It did not run at all: Node.js refuses such a module before it starts.
            let second = self.javascript(&code, Shape::Function, &given, &prepared)?;
            ended = self.run_process(second).await?;
        }
        self.process_output(script.output, &ended)
    }
}

impl Prepared {
    /// Runs `program` with `head` before the script's own arguments.
    fn invocation(&self, program: &Path, head: Vec<String>, files: TempDir) -> Invocation {
        let mut arguments = head;
        arguments.extend(self.arguments.iter().cloned());
        Invocation {
            program: program.to_owned(),
            arguments,
            environment: self.environment.clone(),
            stdin: self.stdin.clone(),
            files: Some(files),
        }
    }
}

/// The variable that carries named arguments to the prelude of a language.
const ARGUMENTS: &str = "WINDLASS_ARGUMENTS";

/// A directory that only this user may enter.
fn directory() -> Result<TempDir, Problem> {
    tempfile::Builder::new().prefix("windlass-").tempdir().map_err(|error| {
        Problem::new(Standard::Runtime, format!("cannot make a directory for the script: {error}"))
    })
}

fn write(directory: &TempDir, name: &str, text: &str) -> Result<String, Problem> {
    let path: PathBuf = directory.path().join(name);
    std::fs::write(&path, text).map_err(|error| {
        Problem::new(Standard::Runtime, format!("cannot write the script: {error}"))
    })?;
    Ok(path.display().to_string())
}

#[cfg(test)]
mod tests;
