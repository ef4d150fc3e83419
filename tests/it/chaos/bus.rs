//! The bus loses what it stored: it is transport, never truth.

use std::time::Duration;

use super::Case;
use crate::support::fleet::Fleet;
use crate::support::nats::{Cluster, Nats};

const PAUSE: Duration = Duration::from_millis(800);

#[tokio::test(flavor = "multi_thread")]
async fn the_bus_loses_all_its_data() {
    let Some(mut case) = Case::new("nats-wipe").await else { return };
    let mut nats = Nats::start().await;
    let mut fleet = Fleet::with(Case::layout(&nats.url(), 2)).await;
    case.begin(&fleet).await;
    while case.goes_on(PAUSE).await {
        nats.wipe().await;
    }
    case.finish(&mut fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stream_is_deleted() {
    let Some(mut case) = Case::new("streams-deleted").await else { return };
    let nats = Nats::start().await;
    let mut fleet = Fleet::with(Case::layout(&nats.url(), 2)).await;
    case.begin(&fleet).await;
    let mut deleted = 0;
    while case.goes_on(PAUSE).await {
        deleted += nats.delete_streams().await;
    }
    println!("chaos streams-deleted: {deleted} streams");
    case.finish(&mut fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_loses_its_leader() {
    let Some(mut case) = Case::new("cluster-leader").await else { return };
    let mut cluster = Cluster::start().await;
    let mut fleet = Fleet::with(Case::layout(&cluster.url(), 2)).await;
    case.begin(&fleet).await;
    while case.goes_on(PAUSE).await {
        let lost = cluster.kill_leader().await;
        case.moment(Duration::ZERO, PAUSE).await;
        cluster.nodes[lost].restart().await;
    }
    case.finish(&mut fleet).await;
}
