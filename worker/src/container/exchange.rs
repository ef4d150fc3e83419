//! A container's input and output, from its start to its end.

use std::pin::pin;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::AttachContainerOptionsBuilder;
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::oneshot;
use windlass_proto::limits;

use super::engine::Engine;
use super::error::ContainerError;

/// How a container ended.
pub(crate) struct Exited {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Engine {
    /// Starts a container, gives it its input, and takes what it writes until it ends; what is not
    /// `kept` of that is let go. `started` is told when it runs.
    pub(super) async fn exchange(
        &self,
        id: &str,
        stdin: Option<Vec<u8>>,
        kept: bool,
        started: oneshot::Sender<()>,
    ) -> Result<Exited, ContainerError> {
        let options = AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdin(stdin.is_some())
            .stdout(true)
            .stderr(true)
            .build();
        // Before its start, so that nothing it writes is missed.
        let attached = self.docker.attach_container(id, Some(options)).await;
        let mut attached = attached.map_err(|error| self.refused(error))?;
        self.start(id).await?;
        // Who does not wait for it is not there any more.
        let _ = started.send(());
        let mut input = attached.input;
        let feed = async move {
            if let Some(bytes) = stdin {
                // A program that stops reading is not an error.
                let _ = input.write_all(&bytes).await;
                let _ = input.shutdown().await;
            }
            input
        };
        let mut feed = pin!(feed);
        let mut fed = None;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            let chunk = tokio::select! {
                input = &mut feed, if fed.is_none() => {
                    // Held, as an engine may take its closing for the end of all.
                    fed = Some(input);
                    continue;
                }
                chunk = attached.output.next() => chunk,
            };
            let Some(chunk) = chunk else { break };
            let lost = |error: Error| ContainerError::Lost(error.to_string());
            let (pipe, bytes) = match chunk.map_err(lost)? {
                LogOutput::StdErr { message } => (&mut stderr, message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => {
                    (&mut stdout, message)
                }
                LogOutput::StdIn { .. } => continue,
            };
            if kept && pipe.len() + bytes.len() > limits::PROCESS_OUTPUT_BYTES {
                return Err(ContainerError::TooMuchOutput);
            }
            if kept {
                pipe.extend_from_slice(&bytes);
            }
        }
        Ok(Exited { code: self.code(id).await?, stdout, stderr })
    }

    /// The exit code of a container, once it has ended.
    async fn code(&self, id: &str) -> Result<i32, ContainerError> {
        let mut waited = Box::pin(self.docker.wait_container(id, None));
        let code = match waited.next().await {
            Some(Ok(ended)) => ended.status_code,
            // So the library tells all codes but 0.
            Some(Err(Error::DockerContainerWaitError { code, .. })) => code,
            Some(Err(error)) => return Err(ContainerError::Lost(error.to_string())),
            None => return Err(ContainerError::Lost("its exit code is not known".to_owned())),
        };
        i32::try_from(code).map_err(|_| ContainerError::Lost(format!("its exit code is {code}")))
    }
}
