//! `run`: containers, scripts, shell commands, workflows.

use std::sync::Arc;

use crate::definition::codes;
use crate::definition::decoder::{Decoder, optional};
use crate::definition::node::{Data, Node};
use crate::expression::Template;
use crate::plan::{Container, Kind, Return, Script, ScriptBody, Shell, SubWorkflow};
use crate::value::Value;

pub(in crate::definition) const RETURNS: &[(&str, Return)] = &[
    ("stdout", Return::Stdout),
    ("stderr", Return::Stderr),
    ("code", Return::Code),
    ("all", Return::All),
    ("none", Return::None),
];

const PROCESSES: &[&str] = &["container", "script", "shell", "workflow"];

const CONTAINER: &[&str] = &[
    "image",
    "name",
    "command",
    "ports",
    "volumes",
    "environment",
    "stdin",
    "arguments",
    "lifetime",
    "pullPolicy",
];

impl Decoder<'_> {
    pub(super) fn run(&mut self, node: &Node) -> Option<Kind> {
        let run = node.get("run")?;
        let known = ["container", "script", "shell", "workflow", "await", "return"];
        self.closed(run, "`run`", &known)?;
        let wait = self.flag(run, "await", true);
        let output = optional(run.get("return"), |node| self.choice(node, "`return`", RETURNS));
        let mut given = PROCESSES.iter().filter(|word| run.get(word).is_some());
        let (Some(word), None) = (given.next(), given.next()) else {
            let message = "`run` needs one of `container`, `script`, `shell`, `workflow`";
            self.error(codes::CONFLICT, run.place, message, "");
            return None;
        };
        let process = run.get(word)?;
        let (wait, output) = (wait.unwrap_or(true), output.flatten().unwrap_or_default());
        match *word {
            "container" => {
                let with = self.container(process);
                with.map(|with| Kind::Container(Box::new(Container { with, wait, output })))
            }
            "script" => self.script(process, wait, output),
            "shell" => self.shell(process, wait, output),
            _ => self.sub_workflow(process, wait, output),
        }
    }

    fn container(&mut self, node: &Node) -> Option<Template> {
        let what = "`container`";
        let members = self.closed(node, what, CONTAINER)?;
        let image = self.required(node, "image", what);
        optional(image, |node| self.string(node, "`image`"))?;
        for key in ["ports", "volumes", "environment"] {
            optional(node.get(key), |node| self.mapping(node, &format!("`{key}`")).map(|_| ()))?;
        }
        if let Some(policy) = node.get("pullPolicy") {
            let words = [("ifNotPresent", ()), ("always", ()), ("never", ())];
            self.choice(policy, "`pullPolicy`", &words)?;
        }
        if let Some(lifetime) = node.get("lifetime") {
            self.lifetime(lifetime)?;
        }
        self.arguments(node);
        let parts: Vec<_> = members
            .iter()
            .map(|(key, member)| {
                let part = match &**key {
                    "command" => self.shell_template(&member.node, "`command`"),
                    "name" | "stdin" => self.text_template(&member.node, &format!("`{key}`")),
                    _ => self.template(&member.node),
                };
                Some((key.clone(), part?))
            })
            .collect();
        let parts: Vec<(Arc<str>, Template)> = parts.into_iter().collect::<Option<_>>()?;
        image.map(|_| Template::Object(parts.into()))
    }

    fn lifetime(&mut self, node: &Node) -> Option<()> {
        let what = "`lifetime`";
        self.closed(node, what, &["cleanup", "after"])?;
        let words = [("always", false), ("never", false), ("eventually", true)];
        let cleanup = self.required(node, "cleanup", what)?;
        let eventually = self.choice(cleanup, "`cleanup`", &words)?;
        match (eventually, node.get("after")) {
            (true, Some(after)) => self.duration(after, "`lifetime.after`").map(|_| ()),
            (false, None) => Some(()),
            (true, None) => {
                self.required(node, "after", "`lifetime` with `cleanup: eventually`").map(|_| ())
            }
            (false, Some(after)) => {
                let message = "`lifetime.after` goes only with `cleanup: eventually`";
                self.error(codes::CONFLICT, after.place, message, "");
                None
            }
        }
    }

    /// `arguments`: a list of strings, or (accepted) a mapping.
    pub(super) fn arguments(&mut self, node: &Node) -> Option<Option<Template>> {
        let Some(arguments) = node.get("arguments") else { return Some(None) };
        match &arguments.data {
            Data::Sequence(items) => {
                for item in items {
                    self.string(item, "an argument")?;
                }
            }
            Data::Mapping(_) => {}
            Data::Scalar { value: Value::String(text), .. } if text.contains("${") => {}
            Data::Scalar { .. } => return self.wrong(arguments, "`arguments`", "a list"),
        }
        self.template(arguments).map(Some)
    }

    pub(super) fn environment(&mut self, node: &Node) -> Option<Option<Template>> {
        let Some(environment) = node.get("environment") else { return Some(None) };
        let computed = environment.as_str().is_some_and(|text| text.contains("${"));
        if !computed {
            self.mapping(environment, "`environment`")?;
        }
        self.template(environment).map(Some)
    }

    fn script(&mut self, node: &Node, wait: bool, output: Return) -> Option<Kind> {
        let what = "`script`";
        let known = ["language", "code", "source", "stdin", "arguments", "environment"];
        self.closed(node, what, &known)?;
        let language = self
            .required(node, "language", what)
            .and_then(|it| self.choice(it, "`language`", &[("js", "js"), ("python", "python")]));
        let body = match (node.get("code"), node.get("source")) {
            (Some(code), None) => {
                self.check_code(code);
                self.string(code, "`code`").map(ScriptBody::Inline)
            }
            (None, Some(source)) => self.resource(source).map(ScriptBody::External),
            _ => {
                let message = "`script` needs either `code` or `source`";
                self.error(codes::CONFLICT, node.place, message, "");
                None
            }
        };
        let stdin = self.text_template_at(node, "stdin");
        let arguments = self.arguments(node);
        let environment = self.environment(node);
        Some(Kind::Script(Box::new(Script {
            language: language?.into(),
            body: body?,
            stdin: stdin?,
            arguments: arguments?,
            environment: environment?,
            wait,
            output,
        })))
    }

    fn shell(&mut self, node: &Node, wait: bool, output: Return) -> Option<Kind> {
        let what = "`shell`";
        self.closed(node, what, &["command", "stdin", "arguments", "environment"])?;
        let command = self.required(node, "command", what).and_then(|node| self.command(node));
        let stdin = self.text_template_at(node, "stdin");
        let arguments = self.arguments(node);
        let environment = self.environment(node);
        Some(Kind::Shell(Box::new(Shell {
            command: command?,
            stdin: stdin?,
            arguments: arguments?,
            environment: environment?,
            wait,
            output,
        })))
    }

    /// The command of a shell, which reads what is put into it as a part of itself.
    fn command(&mut self, node: &Node) -> Option<Template> {
        let command = self.shell_template(node, "`command`")?;
        let mut first = None;
        command.each_program(&mut |program| {
            if first.is_none() && !program.is_safe_for_a_shell() {
                first = Some(program.source().to_owned());
            }
        });
        if let Some(source) = first {
            let message = format!("the shell carries out what is in `{source}`");
            let hint = format!(
                "write \"$1\" there, with `arguments: [ '{source}' ]`; or \"$NAME\", with \
                 `environment: {{ NAME: '{source}' }}`"
            );
            self.deviation(codes::SHELL_DATA, node.place, message, &hint);
        }
        Some(command)
    }

    fn sub_workflow(&mut self, node: &Node, wait: bool, output: Return) -> Option<Kind> {
        let what = "`workflow`";
        self.closed(node, what, &["namespace", "name", "version", "input"])?;
        let mut text = |key: &str| {
            self.required(node, key, what)
                .and_then(|node| self.text_template(node, &format!("`{key}`")))
        };
        let (namespace, name, version) = (text("namespace"), text("name"), text("version"));
        let input = optional(node.get("input"), |node| self.data(node));
        Some(Kind::Workflow(SubWorkflow {
            namespace: namespace?,
            name: name?,
            version: version?,
            input: input?,
            wait,
            output,
        }))
    }
}
