//! The steps the kit's scenarios are made of.

use gherkin::Step;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::{self, Api};
use crate::support::json::{at, contains, same};
use crate::support::yaml;

/// Runs the steps of one scenario; the error says which step failed and why.
pub(crate) async fn run<'a>(
    api: &Api,
    steps: impl Iterator<Item = &'a Step>,
) -> Result<(), String> {
    let mut scenario = Scenario { api, workflow: Value::Null, input: None, view: Value::Null };
    for step in steps {
        let text = step.value.trim();
        scenario
            .step(text, step.docstring.as_deref())
            .await
            .map_err(|it| format!("{text}: {it}"))?;
    }
    Ok(())
}

struct Scenario<'a> {
    api: &'a Api,
    workflow: Value,
    input: Option<Value>,
    /// What the API said of the instance.
    view: Value,
}

impl Scenario<'_> {
    async fn step(&mut self, text: &str, doc: Option<&str>) -> Result<(), String> {
        let doc = doc.map(docstring);
        let document = || doc.as_deref().ok_or("the step needs a doc string");
        match text {
            "a workflow with definition:" => self.deploy(document()?).await,
            "given the workflow input is:" => {
                self.input = Some(yaml::parse(document()?));
                Ok(())
            }
            "the workflow is executed" => self.execute().await,
            "the workflow should complete" => self.ended("completed"),
            "the workflow should fault" => self.ended("faulted"),
            "the workflow should cancel" => self.ended("cancelled"),
            "the workflow should complete with output:" => {
                self.ended("completed")?;
                equal(&self.view["output"], &yaml::parse(document()?))
            }
            "the workflow should fault with error:" => {
                self.ended("faulted")?;
                part(&self.view["error"], &yaml::parse(document()?))
            }
            _ => match text.strip_prefix("the workflow output should have ") {
                Some(rest) => self.output(rest, doc.as_deref()),
                None => self.task(text, doc.as_deref()).await,
            },
        }
    }

    async fn deploy(&mut self, text: &str) -> Result<(), String> {
        let answer = self.api.replace_text(text).await;
        if !answer.status.is_success() {
            return Err(format!("refused with {}: {}", answer.status, answer.body));
        }
        self.workflow = client::workflow(text);
        Ok(())
    }

    async fn execute(&mut self) -> Result<(), String> {
        let mut body = json!({"workflow": self.workflow});
        if let Some(input) = &self.input {
            body["input"] = input.clone();
        }
        let request = self.api.request(Method::POST, "/v1/instances?wait=30s").json(&body);
        let answer = Api::send(request).await.map_err(|it| it.to_string())?;
        if !answer.status.is_success() {
            return Err(format!("refused with {}: {}", answer.status, answer.body));
        }
        self.view = answer.body;
        Ok(())
    }

    fn ended(&self, status: &str) -> Result<(), String> {
        if self.view["status"] == status { Ok(()) } else { Err(format!("got {}", self.view)) }
    }

    /// `properties 'a', 'b.c'`, `a 'p' property with value:`, `a 'p' property containing N items`.
    fn output(&self, rest: &str, doc: Option<&str>) -> Result<(), String> {
        let output = &self.view["output"];
        let quoted: Vec<&str> = rest.split('\'').skip(1).step_by(2).collect();
        let find = |path| at(output, path).ok_or(format!("no {path} in {output}"));
        if rest.starts_with("properties ") {
            return quoted.into_iter().try_for_each(|path| find(path).map(|_| ()));
        }
        let path = *quoted.first().ok_or("the step names no property")?;
        let found = find(path)?;
        if rest.ends_with(" property with value:") {
            return equal(found, &yaml::parse(doc.ok_or("the step needs a doc string")?));
        }
        let count = rest.rsplit_once(" containing ").and_then(|(_, it)| it.strip_suffix(" items"));
        let count: usize = count.and_then(|it| it.parse().ok()).ok_or("an unknown step")?;
        match found.as_array().map(Vec::len) {
            Some(length) if length == count => Ok(()),
            _ => Err(format!("{path} is {found}")),
        }
    }

    /// `TASK should …`
    async fn task(&self, text: &str, doc: Option<&str>) -> Result<(), String> {
        let (task, rest) = text.split_once(" should ").ok_or("an unknown step")?;
        let id = self.view["id"].as_str().ok_or("the workflow was not executed")?;
        let history = self.api.history(id).await;
        let of = |event: &str| history.iter().find(|it| it["event"] == event && it["name"] == task);
        let document = || doc.ok_or("the step needs a doc string");
        let outcome = |event: &str| of(event).ok_or_else(|| format!("no {event} in {history:?}"));
        match rest {
            "complete" => outcome("task.completed").map(|_| ()),
            "complete with output:" => {
                equal(&outcome("task.completed")?["data"]["output"], &yaml::parse(document()?))
            }
            "cancel" => outcome("task.cancelled").map(|_| ()),
            "fault" => outcome("task.faulted").map(|_| ()),
            "fault with error:" => {
                part(&outcome("task.faulted")?["data"]["error"], &yaml::parse(document()?))
            }
            _ => order(&history, task, rest),
        }
    }
}

/// `run first`, `run last`, `run after TASK`, `run before TASK`: by the first start of each task.
fn order(history: &[Value], task: &str, rest: &str) -> Result<(), String> {
    let mut started: Vec<&str> = Vec::new();
    for name in history.iter().filter(|it| it["event"] == "task.started") {
        let name = name["name"].as_str().ok_or("a start without a name")?;
        if !started.contains(&name) {
            started.push(name);
        }
    }
    let place = |name: &str| {
        let found = started.iter().position(|it| *it == name);
        found.ok_or_else(|| format!("{name} did not run; these did: {started:?}"))
    };
    let here = place(task)?;
    let holds = match rest.split_once(' ') {
        Some(("run", "first")) => here == 0,
        Some(("run", "last")) => here + 1 == started.len(),
        Some(("run", relation)) => match relation.split_once(' ') {
            Some(("after", other)) => here > place(other)?,
            Some(("before", other)) => here < place(other)?,
            _ => return Err("an unknown step".to_owned()),
        },
        _ => return Err("an unknown step".to_owned()),
    };
    if holds { Ok(()) } else { Err(format!("they ran in this order: {started:?}")) }
}

fn equal(got: &Value, wanted: &Value) -> Result<(), String> {
    if same(got, wanted) { Ok(()) } else { Err(format!("got {got}, wanted {wanted}")) }
}

fn part(got: &Value, wanted: &Value) -> Result<(), String> {
    if contains(got, wanted) { Ok(()) } else { Err(format!("got {got}, wanted {wanted}")) }
}

/// The text of a doc string: without the word after the opening fence, without common indentation.
fn docstring(text: &str) -> String {
    let body = match text.split_once('\n') {
        Some((kind, rest)) if matches!(kind.trim(), "" | "yaml" | "json") => rest,
        _ => text,
    };
    let lines = || body.lines().filter(|it| !it.trim().is_empty());
    let indent = lines().map(|it| it.len() - it.trim_start().len()).min().unwrap_or(0);
    let mut dedented = String::new();
    for line in body.lines() {
        dedented.push_str(line.get(indent..).unwrap_or("").trim_end());
        dedented.push('\n');
    }
    dedented
}

#[test]
fn doc_strings_lose_their_fence_word_and_indentation() {
    assert_eq!(docstring("yaml\n    a:\n      b: 1\n    "), "a:\n  b: 1\n\n");
    assert_eq!(docstring("\n  1\n"), "1\n");
}

#[test]
fn order_is_that_of_first_starts() {
    let start = |name: &str| json!({"event": "task.started", "name": name});
    let history = [start("a"), start("b"), start("a"), start("c")];
    for (task, rest) in [("a", "run first"), ("c", "run last"), ("b", "run after a")] {
        assert_eq!(order(&history, task, rest), Ok(()));
    }
    assert_eq!(order(&history, "b", "run before c"), Ok(()));
    assert!(order(&history, "b", "run before a").is_err());
    assert!(order(&history, "x", "run first").is_err());
    assert!(order(&history, "a", "jump").is_err());
}
