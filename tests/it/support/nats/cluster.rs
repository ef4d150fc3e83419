//! Three servers that replicate JetStream.

use super::{Nats, START, TRIES};
use crate::support::ports;
use crate::support::until::{SOON, until};

/// Nodes: the least that survives the loss of one.
const NODES: usize = 3;

/// A cluster of three, whose streams can have three replicas.
pub(crate) struct Cluster {
    /// The servers; each may be killed and restarted.
    pub(crate) nodes: Vec<Nats>,
}

impl Cluster {
    /// Starts the three and waits until they have agreed on a leader.
    pub(crate) async fn start() -> Self {
        for _ in 0..TRIES {
            if let Some(cluster) = Self::try_start().await {
                cluster.leader().await;
                return cluster;
            }
        }
        panic!("{TRIES} times, a port of the cluster was taken in the moment before it had it")
    }

    async fn try_start() -> Option<Self> {
        let routes: Vec<u16> = (0..NODES).map(|_| ports::free()).collect();
        let urls: Vec<String> = routes.iter().map(|it| format!("nats://127.0.0.1:{it}")).collect();
        let mut nodes = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            let more = format!(
                "cluster {{\n  name: windlass\n  listen: \"127.0.0.1:{route}\"\n  \
                 routes: [\"{}\"]\n}}",
                urls.join("\", \"")
            );
            let mut node = Nats::new(&name(index), ports::free(), &more);
            node.launch().await;
            nodes.push(node);
        }
        for node in &nodes {
            if !node.listens().await {
                assert!(node.port_taken(), "nats-server does not start:\n{}", node.stderr());
                return None;
            }
        }
        Some(Self { nodes })
    }

    /// The addresses of all, as one `--nats`.
    pub(crate) fn url(&self) -> String {
        let urls: Vec<String> = self.nodes.iter().map(Nats::url).collect();
        urls.join(",")
    }

    /// The index of the node that leads JetStream, once all that run agree on one which runs.
    pub(crate) async fn leader(&self) -> usize {
        until(START.max(SOON), "the leader of JetStream", || async {
            let mut leaders = Vec::new();
            for node in self.nodes.iter().filter(|it| it.process.is_some()) {
                let seen = node.monitor_if_up("/jsz").await?;
                leaders.push(seen["meta_cluster"]["leader"].as_str()?.to_owned());
            }
            leaders.dedup();
            let [leader] = leaders.as_slice() else { return None };
            let index = (0..NODES).find(|it| name(*it) == *leader)?;
            self.nodes[index].process.is_some().then_some(index)
        })
        .await
    }

    /// SIGKILL to the leader; gives its index.
    pub(crate) async fn kill_leader(&mut self) -> usize {
        let leader = self.leader().await;
        self.nodes[leader].kill().await;
        leader
    }
}

fn name(index: usize) -> String {
    format!("node-{index}")
}

#[tokio::test]
async fn a_cluster_finds_another_leader_when_one_is_killed() {
    use super::{ANSWER, Bus};
    const NO_SUITABLE_PEERS: u16 = 10_005;

    let mut cluster = Cluster::start().await;
    let stream = r#"{"name": "THREE", "subjects": ["three"], "num_replicas": 3}"#;
    let port = cluster.nodes[0].port();
    // A node that has just joined may take a request and not answer it, and a leader that has
    // just been elected may not have heard yet of three nodes with room for a replica.
    let made = until(SOON, "a stream of three", || async {
        let mut bus = Bus::connect(port).await;
        let made = bus.request("$JS.API.STREAM.CREATE.THREE", stream);
        let made = tokio::time::timeout(ANSWER, made).await.ok()?;
        (made["error"]["err_code"] != NO_SUITABLE_PEERS).then_some(made)
    })
    .await;
    assert_eq!(made["config"]["num_replicas"], 3, "{made}");

    let first = cluster.kill_leader().await;
    let second = cluster.leader().await;
    assert_ne!(first, second);
    assert_eq!(cluster.nodes[second].streams().await, ["THREE"]);
    cluster.nodes[first].restart().await;
    cluster.leader().await;
    assert_eq!(cluster.nodes[first].streams().await, ["THREE"]);
}
