//! `run.container`: an order of a container made of a task, and an output of what came of it.

use std::time::Duration;

use windlass_proto::plan::Container;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;
use windlass_proto::{duration, limits};

use super::process::{Ended, arguments_of, environment_of};
use super::shell::with_arguments;
use crate::attempt::Attempt;
use crate::clock;
use crate::container::{
    Cleanup, ContainerError, ContainerOptions, ContainerVolume, Order, PullPolicy,
};

impl Attempt<'_> {
    pub(super) async fn run_container(
        &self,
        container: &Container,
        input: Value,
    ) -> Result<Value, Problem> {
        let Some(containers) = &self.worker.containers else {
            return Err(wrong("this worker's configuration does not allow `run: container`"));
        };
        let with = self.evaluate(&container.with, &input)?;
        let order = self.container_order(&with, &containers.options, container.wait)?;
        if !container.wait {
            containers.order(order, false).start().await.map_err(ContainerError::problem)?;
            return Ok(input);
        }
        let exited = containers.order(order, true).end().await;
        let exited = exited.map_err(ContainerError::problem)?;
        let ended = Ended { code: exited.code, stdout: exited.stdout, stderr: exited.stderr };
        self.process_output(container.output, &ended)
    }

    fn container_order(
        &self,
        with: &Value,
        options: &ContainerOptions,
        wait: bool,
    ) -> Result<Order, Problem> {
        let field = |name: &str| with.get(name).filter(|it| !it.is_null());
        let text = |name: &str| field(name).map(Value::to_text);
        let arguments = field("arguments").map(arguments_of).transpose()?.unwrap_or_default();
        let environment = field("environment").map(environment_of).transpose()?.unwrap_or_default();
        let attempt = uuid::Uuid::new_v4().simple().to_string();
        let most = clock::now().plus(limits::PROCESS_TIMEOUT_MS);
        // What runs on after its task has as long as one without a timeout.
        let deadline = self.assignment.deadline.filter(|_| wait).unwrap_or(most);
        let key = &self.assignment.key;
        Ok(Order {
            image: image(text("image").unwrap_or_default())?,
            pull: match text("pullPolicy").as_deref() {
                None | Some("ifNotPresent") => PullPolicy::IfNotPresent,
                Some("always") => PullPolicy::Always,
                Some("never") => PullPolicy::Never,
                Some(other) => return Err(wrong(&format!("there is no `pullPolicy: {other}`"))),
            },
            name: match text("name") {
                Some(name) => given_name(name)?,
                None => self.usual_name(&attempt),
            },
            command: text("command").map(|it| with_arguments(&it, &arguments)),
            arguments,
            environment: environment.into_iter().map(|(name, it)| format!("{name}={it}")).collect(),
            stdin: text("stdin").map(String::into_bytes),
            ports: field("ports").map(ports).transpose()?.unwrap_or_default(),
            binds: field("volumes").map(|it| binds(it, options)).transpose()?.unwrap_or_default(),
            cleanup: self.cleanup(field("lifetime"))?,
            task: format!("{}/{}", key.instance, key.frame.0),
            delivery: key.delivery,
            attempt,
            deadline,
        })
    }

    /// `lifetime`. A container that was told a secret is not kept: who may ask its engine sees what
    /// it was told.
    fn cleanup(&self, lifetime: Option<&Value>) -> Result<Cleanup, Problem> {
        let word = lifetime.and_then(|it| it.get("cleanup")).map(Value::to_text);
        let asked = match word.as_deref() {
            None | Some("never") => Cleanup::Never,
            Some("always") => Cleanup::Always,
            Some("eventually") => {
                let after = lifetime.and_then(|it| it.get("after")).unwrap_or(&Value::Null);
                let after = duration::parse(after).map_err(|it| wrong(&it.to_string()))?.0;
                if after > limits::CONTAINER_KEPT_MS {
                    let most = Duration::from_millis(limits::CONTAINER_KEPT_MS).as_secs() / 3_600;
                    let detail = format!("`lifetime.after` is longer than {most} hours");
                    return Err(wrong(&detail));
                }
                Cleanup::Eventually(after)
            }
            Some(other) => return Err(wrong(&format!("there is no `cleanup: {other}`"))),
        };
        Ok(if self.used.is_empty() && self.seal.is_empty() { asked } else { Cleanup::Always })
    }

    /// `{workflow}-{uuid}.{namespace}-{task}`, as the specification recommends.
    fn usual_name(&self, attempt: &str) -> String {
        let workflow = &self.assignment.workflow;
        let plain = |it: char| if it.is_ascii_alphanumeric() { it } else { '-' };
        let task: String = self.task.name.chars().map(plain).take(64).collect();
        format!("{}-{attempt}.{}-{task}", workflow.name, workflow.namespace)
    }
}

fn wrong(detail: &str) -> Problem {
    Problem::new(Standard::Configuration, detail)
}

/// An image's name, with nothing in it that could become another path of the engine's API.
fn image(name: String) -> Result<String, Problem> {
    let allowed = |it: char| it.is_ascii_alphanumeric() || "._-/:@".contains(it);
    let parts = name.split('/').all(|it| !it.is_empty() && !it.starts_with('.'));
    if parts && name.chars().all(allowed) && name.starts_with(|it: char| it.is_ascii_alphanumeric())
    {
        return Ok(name);
    }
    Err(wrong(&format!("{name:?} cannot name an image: write `registry/name:tag`")))
}

/// A container's name that a definition gives.
fn given_name(name: String) -> Result<String, Problem> {
    let allowed = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    let long = name.len() > 128;
    if long
        || !name.starts_with(|it: char| it.is_ascii_alphanumeric())
        || !name.chars().all(allowed)
    {
        let detail = format!("{name:?} cannot name a container: write letters, digits, `_.-`");
        return Err(wrong(&detail));
    }
    Ok(name)
}

/// `ports`: those of the container, each with the one of the machine that leads to it.
fn ports(value: &Value) -> Result<Vec<(String, u16)>, Problem> {
    let members = value.as_object().ok_or_else(|| wrong("`ports` must be an object"))?;
    let port = |(inner, outer): (&std::sync::Arc<str>, &Value)| {
        let (number, protocol) = inner.split_once('/').unwrap_or((inner, "tcp"));
        let number = number.parse::<u16>().ok().filter(|it| *it > 0);
        let outer = outer.to_text().parse::<u16>().ok().filter(|it| *it > 0);
        match (number, outer, protocol) {
            (Some(number), Some(outer), "tcp" | "udp" | "sctp") => {
                Ok((format!("{number}/{protocol}"), outer))
            }
            _ => Err(wrong(
                "`ports` maps ports of the container (80, 53/udp) to ports of the machine (8080)",
            )),
        }
    };
    members.iter().map(port).collect()
}

/// `volumes`: directories of the machine, each with its place in the container, as engines take
/// them. Only directories that the worker was told of, and these as a whole: a path below one could
/// lead out of it by a link that a task has put there.
fn binds(value: &Value, options: &ContainerOptions) -> Result<Vec<String>, Problem> {
    let members = value.as_object().ok_or_else(|| wrong("`volumes` must be an object"))?;
    let bind = |(outer, inner): (&std::sync::Arc<str>, &Value)| {
        let asked = outer.strip_suffix(":ro").unwrap_or(outer);
        let plain = asked.parse::<ContainerVolume>().map(|it| it.directory).unwrap_or_default();
        let allowed = options.volumes.iter().find(|it| it.directory == plain);
        let Some(allowed) = allowed else {
            let detail = format!(
                "this worker does not let tasks mount `{asked}`: --container-volume names what \
                 they may"
            );
            return Err(Problem::new(Standard::Authorization, detail));
        };
        let inner = inner.to_text();
        let (inner, own) = match inner.strip_suffix(":ro") {
            Some(inner) => (inner.to_owned(), true),
            None => (inner, false),
        };
        if !inner.starts_with('/') || inner.contains(':') {
            return Err(wrong(&format!("{inner:?} is not an absolute path in the container")));
        }
        let read_only = own || allowed.read_only || outer.ends_with(":ro");
        let mode = if read_only { "ro" } else { "rw" };
        Ok(format!("{plain}:{inner}:{mode}"))
    };
    members.iter().map(bind).collect()
}

#[cfg(test)]
mod tests;
