//! What is asked of an engine of containers, each within a bound of time.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, ImageConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, KillContainerOptionsBuilder,
    RemoveContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::time::timeout;
use windlass_proto::limits;

use super::EngineSocket;
use super::error::ContainerError;

/// A container in a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    pub(super) id: String,
    #[serde(default)]
    pub(super) labels: Option<HashMap<String, String>>,
    /// Engines have words of their own for it.
    #[serde(default)]
    pub(super) state: String,
}

impl Listed {
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.as_ref()?.get(name).map(String::as_str)
    }

    /// Whether nothing of it runs any more, nor will.
    pub(super) fn has_ended(&self) -> bool {
        matches!(&*self.state, "exited" | "stopped" | "dead" | "removing")
    }
}

/// An engine that has answered.
pub(super) struct Engine {
    pub(super) docker: Docker,
    /// For lists: the library takes none in which a container has the state `stopped`, which Podman
    /// tells of one that has ended a moment ago.
    lists: reqwest::Client,
    socket: EngineSocket,
}

impl Engine {
    /// Asks the engine at `socket` for its version, and speaks that.
    pub(super) async fn connect(socket: &EngineSocket) -> Result<Self, ContainerError> {
        let away = || ContainerError::Away(socket.to_string());
        let path = socket.path().to_str().ok_or_else(away)?;
        let docker =
            Docker::connect_with_unix(path, limits::CONTAINER_CLIENT_S, API_DEFAULT_VERSION);
        let docker = within(docker.map_err(|_| away())?.negotiate_version()).await?;
        let lists = reqwest::Client::builder().unix_socket(socket.path()).no_proxy().build();
        Ok(Self {
            docker: docker.map_err(|_| away())?,
            lists: lists.map_err(|_| away())?,
            socket: socket.clone(),
        })
    }

    /// How containers of an image start; none where the engine does not have it.
    pub(super) async fn image(&self, name: &str) -> Result<Option<ImageConfig>, ContainerError> {
        match within(self.docker.inspect_image(name)).await? {
            Ok(image) => Ok(Some(image.config.unwrap_or_default())),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Fetches an image. Takes as long as its registry does.
    pub(super) async fn pull(&self, name: &str) -> Result<(), ContainerError> {
        // Without a tag, all of them would be fetched.
        let last = name.rsplit('/').next().unwrap_or(name);
        let tagged = last.contains([':', '@']);
        let full = if tagged { name.to_owned() } else { format!("{name}:latest") };
        let options = CreateImageOptionsBuilder::new().from_image(&full).build();
        let mut progress = Box::pin(self.docker.create_image(Some(options), None, None));
        while let Some(step) = progress.next().await {
            if let Err(error) = step {
                let why = match error {
                    Error::DockerStreamError { error } => error,
                    Error::DockerResponseServerError { message, .. } => message,
                    error => return Err(self.refused(error)),
                };
                return Err(ContainerError::Pull { image: name.to_owned(), why });
            }
        }
        Ok(())
    }

    /// Makes a container and gives its id.
    pub(super) async fn create(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<String, ContainerError> {
        let image = body.image.clone().unwrap_or_default();
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        match within(self.docker.create_container(Some(options), body)).await? {
            Ok(created) => Ok(created.id),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => {
                Err(ContainerError::NoImage(image))
            }
            // Podman answers 500 where Docker has a status for it.
            Err(Error::DockerResponseServerError { status_code, message })
                if status_code == 409 || message.contains("already in use") =>
            {
                Err(ContainerError::NameTaken(name.to_owned()))
            }
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Starts a container.
    pub(super) async fn start(&self, id: &str) -> Result<(), ContainerError> {
        within(self.docker.start_container(id, None)).await?.map_err(|it| self.refused(it))
    }

    /// Ends a container at once, and removes it with what it has written; it may be gone already.
    pub(super) async fn remove(&self, id: &str) -> Result<(), ContainerError> {
        // Podman would ask it to end, and wait, before it removes it. One that does not run cannot
        // be killed, and what else may be wrong shows when it is removed.
        let kill = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        let _ = within(self.docker.kill_container(id, Some(kill))).await;
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match within(self.docker.remove_container(id, Some(options))).await? {
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// All containers with a label, `name` or `name=value`, whether they run or not.
    pub(super) async fn list(&self, label: &str) -> Result<Vec<Listed>, ContainerError> {
        let lost = |error: reqwest::Error| ContainerError::Lost(error.to_string());
        let filters = serde_json::json!({ "label": [label] }).to_string();
        let asked = self
            .lists
            .get("http://engine/containers/json")
            .query(&[("all", "true"), ("filters", &filters)])
            .timeout(Duration::from_millis(limits::CONTAINER_CALL_MS));
        let mut answer = asked.send().await.map_err(|_| self.away())?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
            body.extend_from_slice(&chunk);
            if body.len() > limits::CONTAINER_LIST_BYTES {
                let why = "the engine's list of containers is too long";
                return Err(ContainerError::Lost(why.to_owned()));
            }
        }
        serde_json::from_slice(&body).map_err(|_| {
            let status = answer.status();
            ContainerError::Lost(format!("the engine does not list containers: {status}"))
        })
    }

    fn away(&self) -> ContainerError {
        ContainerError::Away(self.socket.to_string())
    }

    /// What an error of the library means where it means nothing more.
    pub(super) fn refused(&self, error: Error) -> ContainerError {
        match error {
            Error::DockerResponseServerError { message, .. } => ContainerError::Refused(message),
            Error::HyperLegacyError { .. } | Error::HyperResponseError { .. } => self.away(),
            other => ContainerError::Refused(other.to_string()),
        }
    }
}

/// What a call gives, within the time that one may take.
async fn within<T>(call: impl Future<Output = T>) -> Result<T, ContainerError> {
    let most = Duration::from_millis(limits::CONTAINER_CALL_MS);
    timeout(most, call).await.map_err(|_| ContainerError::Slow)
}
