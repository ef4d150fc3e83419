#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use windlass_proto::plan::{Kind, Return, Script, ScriptBody};
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use crate::ProcessOptions;
use crate::testing::{
    Given, allowed, assignment, builder, kind_of, perform, perform_with, task, template, text,
};

fn script(language: &str, code: &str) -> Script {
    Script {
        language: language.into(),
        body: ScriptBody::Inline(code.into()),
        stdin: None,
        arguments: None,
        environment: None,
        wait: true,
        output: Return::Stdout,
    }
}

async fn run(script: Script) -> Result<Value, Problem> {
    perform(Kind::Script(Box::new(script)), Value::Null).await
}

#[tokio::test]
async fn javascript_modules_read_input_arguments_and_environment() {
    let code = "\
import { readFileSync } from 'node:fs';
const stdin = readFileSync(process.stdin.fd, 'utf8');
const [_, __, arg] = process.argv;
console.log(stdin, arg, process.env.foo, process.argv.length);
";
    let mut script = script("js", code);
    script.stdin = Some(text("typed"));
    script.arguments = Some(template(r#"["hello"]"#));
    script.environment = Some(template(r#"{"foo":"bar"}"#));
    assert_eq!(run(script).await, Ok(Value::from("typed hello bar 3\n")));
}

#[tokio::test]
async fn javascript_may_return_and_use_named_arguments() {
    for (code, expected) in [
        ("const a = `${name}!`;\nreturn { a, count: count + 1 };", r#"{"a":"x!","count":3}"#),
        ("import os from 'node:os';\nreturn typeof os.EOL", "string"),
        ("if (count) { return await Promise.resolve('yes') }\nreturn 'no'", "yes"),
        ("const fs = require('node:fs'); return typeof fs", "object"),
        (
            "const fs = require('node:fs');\nconst a = await Promise.resolve(fs);\nreturn typeof a",
            "object",
        ),
        (
            "const os = require('node:os')\nconsole.log(await Promise.resolve(typeof os.EOL))",
            "string\n",
        ),
        (
            "import os from 'node:os';\nconst fs = require('node:fs');\nreturn await typeof fs + os.EOL",
            "object\n",
        ),
        (
            "import os from 'node:os';\nconsole.log(typeof require('node:fs'), __dirname.length > 1)",
            "object true\n",
        ),
        ("// as require('x') did\nexport const a = await 1;\nconsole.log(a)", "1\n"),
        (
            "const a = await 1; /* require('x') */ console.log(a, \"require('x')\")",
            "1 require('x')\n",
        ),
        ("this.a = 1; b = 2; console.log(require('node:path').sep, b)", "/ 2\n"),
        ("console.log(process.argv.slice(2).join())", "--name,x,--count,2\n"),
    ] {
        let mut script = script("js", code);
        script.arguments = Some(template(r#"{"name":"x","count":2}"#));
        assert_eq!(run(script).await, Ok(Value::from(expected)), "{code}");
    }
}

#[tokio::test]
async fn python_gets_arguments_as_options() {
    let code = "import sys\nprint(sys.argv[1:], sys.stdin.read())";
    let mut script = script("python", code);
    script.arguments = Some(template(r#"{"message":"hi there"}"#));
    script.stdin = Some(template(r#"{"a":1}"#));
    assert_eq!(run(script).await, Ok(Value::from("['--message', 'hi there'] {\"a\":1}\n")));
}

#[tokio::test]
async fn python_sees_named_arguments_as_variables() {
    let code = "from __future__ import annotations\nimport os, sys\nassert __name__ == '__main__'\n\
                def greet():\n    return f'{name} {sizes[1]} {ok} {nothing}'\n\
                print(greet(), sys.argv[1:5], os.path.basename(__file__), \
                'WINDLASS_ARGUMENTS' in os.environ, 'json' in globals(), 'script' in globals())";
    let given = |code: &str| Script {
        arguments: Some(template(
            r#"{"name":"Ada","sizes":[1,2.5],"ok":true,"nothing":null,"no-name":1,"__name__":"x"}"#,
        )),
        ..script("python", code)
    };
    let expected =
        "Ada 2.5 True None ['--name', 'Ada', '--sizes', '[1,2.5]'] script.py False False False\n";
    assert_eq!(run(given(code)).await, Ok(Value::from(expected)));
    // What goes wrong is said with the script's own lines.
    let problem = run(given("x = 1\n\nname.missing()")).await.unwrap_err();
    let detail = problem.detail.unwrap();
    assert!(detail.contains("script.py\", line 3") && detail.contains("missing"), "{detail}");
}

#[tokio::test]
async fn failing_scripts_show_their_last_words() {
    for (language, code, expected) in
        [("js", "throw new Error('because')", "because"), ("python", "1/0", "ZeroDivisionError")]
    {
        let problem = run(script(language, code)).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("runtime".into(), 500));
        assert!(problem.detail.unwrap().contains(expected));
    }
}

#[tokio::test]
async fn what_is_not_allowed_or_missing_is_said() {
    let problem = run(script("ruby", "p 1")).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("configuration".into(), 400));
    for (options, expected) in [
        (ProcessOptions { script: false, ..allowed() }, ("configuration".to_owned(), 400)),
        (ProcessOptions { node: "no-such-node".into(), ..allowed() }, ("runtime".into(), 500)),
    ] {
        let task = task(Kind::Script(Box::new(script("js", "1"))));
        let builder = builder(Given(vec![])).processes(options);
        let problem = perform_with(builder, task, assignment(Value::Null)).await.unwrap_err();
        assert_eq!(kind_of(&problem), expected);
    }
}
