//! JavaScript for Node.js: modules, CommonJS, and code that returns a value outside of functions.

use windlass_proto::problem::Problem;
use windlass_proto::value::{Members, Value};

use super::bare::bare;
use super::{ARGUMENTS, Prepared, directory, write};
use crate::attempt::Attempt;
use crate::perform::process::{Ended, Invocation};

/// How code is given to Node.js.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// As an ECMAScript module.
    Module,
    /// As the body of an async function in CommonJS: it uses `require` and neither imports nor
    /// exports.
    CommonJs,
    /// As the body of a function in a module; what it returns is written to standard output, a
    /// string as it is and anything else as JSON.
    Function,
}

/// Makes named arguments variables of the script, where no global has the name.
const PRELUDE: &str = "\
const given = JSON.parse(process.env.WINDLASS_ARGUMENTS);
delete process.env.WINDLASS_ARGUMENTS;
for (const [name, value] of Object.entries(given)) {
  if (!(name in globalThis)) globalThis[name] = value;
}
";

/// What a module that uses words of CommonJS finds them as.
const COMMON: &str = "\
globalThis.__filename = SCRIPT;
globalThis.__dirname = require('node:path').dirname(__filename);
globalThis.require = require('node:module').createRequire(__filename);
globalThis.module = { exports: {} };
";

/// Writes what the script returned.
const WRITE_RESULT: &str = "if (returned !== undefined) process.stdout.write(\
    typeof returned === 'string' ? returned : JSON.stringify(returned));";

impl Shape {
    /// The shape of code that nothing is known of.
    pub(super) fn of(code: &str) -> Self {
        let bare = bare(code);
        let module = bare.split(['\n', ';']).any(|statement| {
            let statement = statement.trim_start();
            is_import(statement) || statement.starts_with("export ")
        });
        if !module && !bare.contains("import.meta") && is_common(&bare) {
            Self::CommonJs
        } else {
            Self::Module
        }
    }

    /// The file's name and text. Lines keep their numbers, for the messages of Node.js.
    fn file(self, code: &str) -> (&'static str, String) {
        match self {
            Self::Module => ("script.mjs", code.to_owned()),
            Self::CommonJs => {
                let text = format!(
                    "(async function () {{ {code}\n}}).call(module.exports)\
                     .then((returned) => {{ {WRITE_RESULT} }});\n"
                );
                ("script.cjs", text)
            }
            Self::Function => {
                let (imports, body) = split_imports(code);
                let text = format!(
                    "{imports}const returned = await (async () => {{ {body}\n}})();\n{WRITE_RESULT}\n"
                );
                ("script.mjs", text)
            }
        }
    }
}

/// True for code, [`bare`], that uses words which only CommonJS has.
fn is_common(bare: &str) -> bool {
    let word = |name: &str| {
        bare.match_indices(name).any(|(at, _)| {
            let before = bare.get(..at).and_then(|it| it.chars().next_back());
            !before.is_some_and(|it| it == '.' || it == '_' || it == '$' || it.is_alphanumeric())
        })
    };
    ["require(", "module.exports", "__dirname", "__filename"].iter().any(|it| word(it))
}

/// True for the first line of a static import.
fn is_import(line: &str) -> bool {
    line.strip_prefix("import").is_some_and(|rest| {
        rest.starts_with([' ', '{', '*', '\'', '"']) && !rest.trim_start().starts_with('(')
    })
}

/// The static imports at the beginning of `code`, with blank lines and comments between them, and
/// the rest.
fn split_imports(code: &str) -> (&str, &str) {
    let mut end = 0;
    let mut at = 0;
    let mut inside = false;
    for line in code.split_inclusive('\n') {
        at += line.len();
        let text = line.trim();
        if !inside && !is_import(text) {
            if text.is_empty() || text.starts_with("//") {
                continue;
            }
            break;
        }
        // An import ends with the quoted name of its module.
        inside = !text.trim_end_matches(';').trim_end().ends_with(['\'', '"']);
        end = at;
    }
    code.split_at(end)
}

/// True when Node.js refused a module because it returns outside of functions, before it ran any of
/// it: the message comes with no place inside the script that threw it.
pub(super) fn returns_outside_functions(ended: &Ended) -> bool {
    if ended.code == 0 || !ended.stdout.is_empty() {
        return false;
    }
    let stderr = String::from_utf8_lossy(&ended.stderr);
    stderr.contains("SyntaxError: Illegal return statement")
        && !stderr.lines().any(|line| line.starts_with("    at ") && line.contains("script.mjs"))
}

impl Attempt<'_> {
    pub(super) fn javascript(
        &self,
        code: &str,
        shape: Shape,
        given: &Value,
        prepared: &Prepared,
    ) -> Result<Invocation, Problem> {
        let files = directory()?;
        let (name, text) = shape.file(code);
        let mut head = Vec::new();
        let script = write(&files, name, &text)?;
        let named = given.as_object().map(variables).filter(|members| !members.is_empty());
        let mut prelude = String::new();
        if shape != Shape::CommonJs && is_common(&bare(code)) {
            prelude.push_str(&COMMON.replace("SCRIPT", &Value::from(&*script).to_json()));
        }
        if named.is_some() {
            prelude.push_str(PRELUDE);
        }
        if !prelude.is_empty() {
            head.push("--require".to_owned());
            head.push(write(&files, "prelude.cjs", &prelude)?);
        }
        head.push(script);
        let mut invocation = prepared.invocation(&self.worker.processes.node, head, files);
        if let Some(members) = named {
            let arguments = Value::from(members).to_json();
            invocation.environment.push((ARGUMENTS.to_owned(), arguments));
        }
        Ok(invocation)
    }
}

/// The named arguments whose names can be variables.
fn variables(members: &Members) -> Members {
    let first = |c: char| c.is_alphabetic() || c == '_' || c == '$';
    let usable =
        |name: &str| name.starts_with(first) && name.chars().all(|c| first(c) || c.is_numeric());
    let kept = members.iter().filter(|(name, _)| usable(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::{Shape, split_imports};

    #[test]
    fn the_shape_of_code_is_seen() {
        for (code, shape) in [
            ("console.log(1)", Shape::Module),
            ("import fs from 'node:fs';\nrequire('x')", Shape::Module),
            ("import{ a } from 'a'", Shape::Module),
            ("const fs = require('node:fs')", Shape::CommonJs),
            ("const a = await import('x')", Shape::Module),
            ("import('x').then(require('y'))", Shape::CommonJs),
            ("const fs = require('fs');\nawait fs.promises.access('/')", Shape::CommonJs),
            ("// as require('x') did\nconsole.log(await 1)", Shape::Module),
            ("/* require('x') */ const a = \"require('x')\"", Shape::Module),
            ("const a = `module.exports`; a.require('x')", Shape::Module),
            ("const a = `${require('x')}`", Shape::CommonJs),
            ("const fs = require('fs'); import os from 'os'", Shape::Module),
            ("const fs = require('fs');\n`\nimport x from 'y'`", Shape::CommonJs),
            ("require('x'); import.meta.url", Shape::Module),
        ] {
            assert_eq!(Shape::of(code), shape, "{code}");
        }
    }

    #[test]
    fn imports_are_split_from_the_rest() {
        let code =
            "// first\nimport a from 'a';\n\nimport {\n  b,\n} from \"b\"\n// c\nreturn a + b\n";
        let (imports, rest) = split_imports(code);
        assert!(imports.ends_with("from \"b\"\n"), "{imports}");
        assert_eq!(rest, "// c\nreturn a + b\n");
        assert_eq!(split_imports("return 1"), ("", "return 1"));
    }
}
