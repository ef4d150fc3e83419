//! What the bus says of a cluster, and who is asked to hand over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;
use windlass_bus::Bus;
use windlass_proto::limits;

use super::ClusterOptions;
use super::forward::Line;
use super::lease::{Member, MemberRole};
use super::stream::Away;
use crate::journal::JournalError;

/// Who is there, and how far the log goes.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ClusterStatus {
    /// The cluster.
    pub cluster: String,
    /// The sequence number of the last message of the log.
    pub sequence: u64,
    /// Messages in the log.
    pub messages: u64,
    /// Messages that are missing in the middle of it.
    pub missing: u64,
    /// The coordinators that were heard of a moment ago.
    pub members: Vec<Member>,
}

/// Asks the leader of a cluster to hand over to another coordinator, and waits until that one leads
/// and answers.
///
/// # Errors
/// In words, when it does not do so, or there is no such cluster.
pub async fn hand_over(
    options: &ClusterOptions,
    bus: &Bus,
    by: String,
    to: &str,
) -> Result<Member, String> {
    let refused = |why: String| format!("nothing was moved: {why}");
    let unread = |error: JournalError| error.to_string();
    let leads = |it: &&Member| it.role == MemberRole::Leader && it.answers;
    let members = status(options, bus).await.map_err(unread)?.members;
    let leader = members.iter().find(leads).ok_or_else(|| refused("nobody leads".to_owned()))?;
    let id = Uuid::new_v4().simple().to_string();
    let (prefix, cluster) = (options.prefix.clone(), options.name.clone());
    let line = Arc::new(Line::new(bus.clone(), prefix, cluster, options.sealer(), id));
    let running = tokio::spawn({
        let line = line.clone();
        async move { line.run().await }
    });
    let asked = line.ask_to_move(&leader.id, by, to.to_owned()).await;
    running.abort();
    asked.map_err(refused)?;
    let patience = Duration::from_millis(limits::CLUSTER_CATCH_UP_MS);
    let began = Instant::now();
    while began.elapsed() < patience {
        let members = status(options, bus).await.map_err(unread)?.members;
        let is_it = |it: &&Member| leads(it) && (it.url == to || it.id == to);
        if let Some(member) = members.iter().find(is_it) {
            return Ok(member.clone());
        }
        tokio::time::sleep(Duration::from_millis(limits::CLUSTER_RETRY_MS)).await;
    }
    Err(format!(
        "the leader handed over, and {to} does not lead yet: see `windlass cluster status`"
    ))
}

/// Asks the bus how a cluster stands.
///
/// # Errors
/// When it does not answer, or there is no such cluster.
pub async fn status(options: &ClusterOptions, bus: &Bus) -> Result<ClusterStatus, JournalError> {
    let asked = async {
        let context = options.context(bus);
        for what in ["log", "leases"] {
            // Looking must not make a cluster.
            let name = options.made(what, String::new()).name;
            context.get_stream(&name).await.map_err(Away::of)?;
        }
        let log = options.log(bus).await?;
        let leases = options.leases(bus, options.sealer()).await?;
        let extent = log.extent().await?;
        let missing = extent.missing();
        Ok::<_, Away>(ClusterStatus {
            cluster: options.name.clone(),
            sequence: extent.last,
            messages: extent.messages,
            missing,
            members: leases.members().await?,
        })
    };
    let patience = Duration::from_millis(limits::CLUSTER_STATUS_MS);
    let answered = tokio::time::timeout(patience, asked).await;
    answered.map_err(|_| JournalError::LogAway)?.map_err(|away| {
        JournalError::LogMisfit(format!("the cluster `{}` cannot be read: {away}", options.name))
    })
}
