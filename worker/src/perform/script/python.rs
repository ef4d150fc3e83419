//! Python for CPython: scripts, with named arguments as variables.

use windlass_proto::problem::Problem;
use windlass_proto::value::{Members, Value};

use super::{ARGUMENTS, Prepared, directory, write};
use crate::attempt::Attempt;
use crate::perform::process::Invocation;

/// Makes named arguments variables of the script, which runs as the main module. Its lines keep
/// their numbers, and `sys.argv` is what it would be without this.
const PRELUDE: &str = "\
def script():
    import json, os, sys
    sys.argv.pop(0)
    names = globals()
    del names['script']
    names['__file__'] = sys.argv[0]
    names.update(json.loads(os.environ.pop('WINDLASS_ARGUMENTS')))
    with open(sys.argv[0], 'rb') as file:
        return compile(file.read(), sys.argv[0], 'exec', dont_inherit=True)
exec(script())
";

impl Attempt<'_> {
    pub(super) fn python(
        &self,
        code: &str,
        given: &Value,
        prepared: &Prepared,
    ) -> Result<Invocation, Problem> {
        let files = directory()?;
        let mut head = Vec::new();
        let named = given.as_object().map(variables).filter(|members| !members.is_empty());
        if named.is_some() {
            head.push(write(&files, "prelude.py", PRELUDE)?);
        }
        head.push(write(&files, "script.py", code)?);
        let mut invocation = prepared.invocation(&self.worker.processes.python, head, files);
        if let Some(members) = named {
            let arguments = Value::from(members).to_json();
            invocation.environment.push((ARGUMENTS.to_owned(), arguments));
        }
        Ok(invocation)
    }
}

/// The named arguments whose names can be variables; those that Python sets itself stay.
fn variables(members: &Members) -> Members {
    let first = |c: char| c.is_alphabetic() || c == '_';
    let usable = |name: &str| {
        name.starts_with(first)
            && name.chars().all(|c| first(c) || c.is_numeric())
            && !name.starts_with("__")
    };
    let kept = members.iter().filter(|(name, _)| usable(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}
