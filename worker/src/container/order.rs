//! What a task wants of a container.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, ImageConfig, PortBinding,
};
use windlass_proto::time::Timestamp;

use super::ContainerOptions;

/// Whether an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PullPolicy {
    /// Where the engine does not have it.
    IfNotPresent,
    /// Each time.
    Always,
    /// At no time.
    Never,
}

/// What becomes of a container that has ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cleanup {
    /// It is removed before its task ends.
    Always,
    /// It stays, for people to remove.
    Never,
    /// It is removed after these milliseconds.
    Eventually(u64),
}

/// What a task wants of a container. Nothing shows it: its input and its environment may hold
/// secrets.
pub(crate) struct Order {
    /// The image, as engines name it.
    pub(crate) image: String,
    pub(crate) pull: PullPolicy,
    /// The container's name.
    pub(crate) name: String,
    /// A command line of a shell, in place of the image's entry point.
    pub(crate) command: Option<String>,
    pub(crate) arguments: Vec<String>,
    /// `NAME=value` each.
    pub(crate) environment: Vec<String>,
    pub(crate) stdin: Option<Vec<u8>>,
    /// Port of the container with its protocol, and port of the engine's machine.
    pub(crate) ports: Vec<(String, u16)>,
    /// Mounts, as engines write them: `from:to:ro`.
    pub(crate) binds: Vec<String>,
    pub(crate) cleanup: Cleanup,
    /// Which visit of which task, the same for all deliveries.
    pub(crate) task: String,
    /// Which delivery of it.
    pub(crate) delivery: u32,
    /// Nobody else has it.
    pub(crate) attempt: String,
    /// When it is ended at the latest.
    pub(crate) deadline: Timestamp,
}

/// The labels by which containers are found again.
pub(super) mod labels {
    /// The process that looks after the container.
    pub(crate) const WORKER: &str = "windlass.worker";
    /// The visit of the task.
    pub(crate) const TASK: &str = "windlass.task";
    /// The delivery, a number.
    pub(crate) const DELIVERY: &str = "windlass.delivery";
    /// The attempt: no two containers have the same.
    pub(crate) const ATTEMPT: &str = "windlass.attempt";
    /// When it is ended at the latest, in milliseconds since the Unix epoch.
    pub(crate) const DEADLINE: &str = "windlass.deadline";
    /// Until when it is kept after its end: `never` removed, or as the deadline; absent where it
    /// is not kept.
    pub(crate) const KEPT: &str = "windlass.kept";
}

impl Order {
    /// What the engine is told of it.
    pub(super) fn body(
        &self,
        image: Option<&ImageConfig>,
        options: &ContainerOptions,
        worker: &str,
    ) -> ContainerCreateBody {
        let (entrypoint, cmd) = self.program(image);
        let input = self.stdin.is_some();
        ContainerCreateBody {
            image: Some(self.image.clone()),
            entrypoint,
            cmd,
            env: Some(self.environment.clone()),
            labels: Some(self.labels(worker)),
            attach_stdin: Some(input),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            open_stdin: Some(input),
            stdin_once: Some(input),
            tty: Some(false),
            exposed_ports: Some(self.ports.iter().map(|(port, _)| port.clone()).collect()),
            host_config: Some(self.host(options)),
            ..ContainerCreateBody::default()
        }
    }

    /// Entry point and arguments, each absent where the image's own is meant.
    fn program(&self, image: Option<&ImageConfig>) -> (Option<Vec<String>>, Option<Vec<String>>) {
        if let Some(command) = &self.command {
            let mut arguments = vec![command.clone(), "sh".to_owned()];
            arguments.extend(self.arguments.iter().cloned());
            return (Some(vec!["sh".to_owned(), "-c".to_owned()]), Some(arguments));
        }
        if self.arguments.is_empty() {
            return (None, None);
        }
        // An entry point takes arguments in place of the image's; a default command takes more.
        let entered = image.and_then(|it| it.entrypoint.as_ref()).is_some_and(|it| !it.is_empty());
        let default = image.and_then(|it| it.cmd.clone()).filter(|_| !entered).unwrap_or_default();
        (None, Some(default.into_iter().chain(self.arguments.iter().cloned()).collect()))
    }

    fn labels(&self, worker: &str) -> HashMap<String, String> {
        let mut all = HashMap::from([
            (labels::WORKER.to_owned(), worker.to_owned()),
            (labels::TASK.to_owned(), self.task.clone()),
            (labels::DELIVERY.to_owned(), self.delivery.to_string()),
            (labels::ATTEMPT.to_owned(), self.attempt.clone()),
            (labels::DEADLINE.to_owned(), self.deadline.0.to_string()),
        ]);
        let kept = match self.cleanup {
            Cleanup::Always => None,
            Cleanup::Never => Some("never".to_owned()),
            Cleanup::Eventually(after) => Some(self.deadline.plus(after).0.to_string()),
        };
        all.extend(kept.map(|it| (labels::KEPT.to_owned(), it)));
        all
    }

    /// What it may do to the machine: little.
    fn host(&self, options: &ContainerOptions) -> HostConfig {
        let memory = i64::try_from(options.memory).unwrap_or(i64::MAX);
        let bound = |port: u16| PortBinding {
            // Not for other machines: who writes a definition does not open ports to the world.
            host_ip: Some("127.0.0.1".to_owned()),
            host_port: Some(port.to_string()),
        };
        let ports =
            self.ports.iter().map(|(inner, outer)| (inner.clone(), Some(vec![bound(*outer)])));
        HostConfig {
            memory: Some(memory),
            memory_swap: Some(memory),
            nano_cpus: Some(i64::from(options.milli_cpus) * 1_000_000),
            pids_limit: Some(i64::from(options.pids)),
            binds: Some(self.binds.clone()),
            port_bindings: Some(ports.collect()),
            network_mode: options.network.clone(),
            privileged: Some(false),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            // What it writes goes to its task alone, and not to a file of the engine: it may hold
            // secrets, and no file of it is bounded.
            log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            // Reaps what the program leaves behind only where it is asked for, which not every
            // engine can: a container ends with its first process.
            ..HostConfig::default()
        }
    }
}
