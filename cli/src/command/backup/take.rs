//! Taking a backup: of a running coordinator, over its API, or of a data directory that nobody
//! uses.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Method;
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::spawn_blocking;
use windlass_coordinator::backup::{self, BackupError, BackupSummary, Source, Writer};
use windlass_coordinator::coordinator::CoordinatorError;
use windlass_coordinator::journal::JournalError;
use windlass_coordinator::journal::sled::{self, Options, SledJournal};
use windlass_proto::limits;

use super::{ProtectionArgs, failed};
use crate::client::Client;
use crate::code::BROKEN_OFF;
use crate::error::{CliError, chain};
use crate::options::Remote;
use crate::output;

#[derive(clap::Args)]
pub(super) struct TakeArgs {
    /// A directory for many backups (it is one, or ends in a slash), or a file for one
    #[arg(long, value_name = "FILE|DIR", required = true)]
    to: Option<PathBuf>,
    /// Back up this data directory, which no windlass may have open, instead of a running
    /// coordinator
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    protection: ProtectionArgs,
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn run(args: TakeArgs) -> Result<(), CliError> {
    let protection = args.protection.to_write()?;
    let to = args.to.ok_or_else(|| CliError::Usage("--to says where it goes".to_owned()))?;
    // Before anybody is asked: what cannot be written is not to be read.
    let opened = blocking(move || Writer::open(&to, &protection)).await?;
    let summary = match args.data {
        Some(data) => blocking(move || stopped(&data, opened)).await?,
        None => running(&args.remote, opened).await?,
    };
    output::json(&summary);
    match summary.damaged_records {
        0 => Ok(()),
        // It is there, and better than none; who looks at nothing but this must hear of it.
        damaged => Err(failed(BackupError::Journal(JournalError::Damaged(format!(
            "{damaged} of them, in the backup as they are"
        ))))),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, CliError> {
    let done = spawn_blocking(work).await;
    let done = done.map_err(|error| CliError::coded(&BROKEN_OFF, &error.to_string()))?;
    done.map_err(failed)
}

/// Of a data directory that nobody uses.
fn stopped(data: &Path, mut writer: Writer) -> Result<BackupSummary, BackupError> {
    // Opening would make one of any directory.
    sled::expect_one(data)?;
    let journal = SledJournal::open(data, &Options::default())?;
    backup::take(Source { journal: &journal, data_dir: Some(data) }, &mut writer)?;
    writer.finish()
}

/// Of a running coordinator.
async fn running(remote: &Remote, mut writer: Writer) -> Result<BackupSummary, CliError> {
    let client = Client::new(remote)?;
    let mut response = client.open(client.request(Method::POST, &["v1", "backups"])).await?;
    let (pieces, received) = mpsc::channel(limits::BACKUP_STREAM_FRAMES);
    let writing = spawn_blocking(move || {
        backup::receive(
            &mut Received { pieces: received, rest: Vec::new(), used: 0 },
            &mut writer,
        )?;
        writer.finish()
    });
    let patience = Duration::from_millis(limits::BACKUP_STALLED_MS);
    let mut broken = None;
    loop {
        match tokio::time::timeout(patience, response.chunk()).await {
            Ok(Ok(Some(piece))) => {
                // Who does not take it any more says why.
                if pieces.send(piece.to_vec()).await.is_err() {
                    break;
                }
            }
            Ok(Ok(None)) => break,
            Ok(Err(error)) => {
                broken = Some(chain(&error));
                break;
            }
            Err(_) => {
                broken = Some(format!("nothing came for {patience:?}"));
                break;
            }
        }
    }
    drop(pieces);
    let written = writing.await;
    let written = written.map_err(|error| CliError::coded(&BROKEN_OFF, &error.to_string()))?;
    match (written, broken) {
        (Ok(summary), _) => Ok(summary),
        (Err(_), Some(why)) => Err(CliError::coded(&BROKEN_OFF, &why)),
        (Err(error), None) => Err(CoordinatorError::from(error).into()),
    }
}

/// What comes of an answer, to be read.
struct Received {
    pieces: Receiver<Vec<u8>>,
    rest: Vec<u8>,
    used: usize,
}

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.used == self.rest.len() {
            let Some(next) = self.pieces.blocking_recv() else { return Ok(0) };
            (self.rest, self.used) = (next, 0);
        }
        let read = self.rest.get(self.used..).unwrap_or_default().read(buffer)?;
        self.used += read;
        Ok(read)
    }
}
