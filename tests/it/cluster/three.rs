//! Three coordinators over three NATS servers that replicate the log: each of the servers is lost,
//! their quorum is, all coordinators are, and what was acknowledged is there.

use serde_json::Value;

use super::{Coordinators, ENDS, Load, all_ended, failovers, try_start};
use crate::support::client::Api;
use crate::support::nats::Cluster;
use crate::support::until::{SOON, until};

const SERVERS: usize = 3;

impl Coordinators {
    /// Whichever leads of those that were launched.
    async fn any_leads(&self) -> (usize, Api) {
        self.any_leads_but(self.roles.len()).await
    }

    /// The same of all but one.
    async fn any_leads_but(&self, killed: usize) -> (usize, Api) {
        until(SOON, "a leader of three", async || {
            (0..self.roles.len()).filter(|it| *it != killed).find_map(|index| {
                let role = &self.roles[index];
                let text = role.runs().then(|| role.lines().text())?;
                let line = text.lines().find_map(|it| it.split_once("listening on http://"))?;
                let address = line.1.split(|it: char| it.is_whitespace() || it == '"').next()?;
                Some((index, Api::new(&format!("http://{address}"))))
            })
        })
        .await
    }

    /// Waits until so many standbys can lead.
    async fn standbys(&self, count: usize) {
        self.status("standbys that can lead", |status| {
            let members = status["members"].as_array().unwrap();
            let can = |it: &&Value| it["role"] == "standby" && it["waits"].is_null();
            members.iter().filter(can).count() == count
        })
        .await;
    }

    async fn kill_all(&mut self) {
        for role in &mut self.roles {
            role.kill().await;
        }
    }

    fn launch_all(&mut self) {
        self.roles.iter_mut().for_each(|it| it.launch());
    }
}

/// SIGKILL to the leader, as often as `WINDLASS_FAILOVERS` says more than two.
async fn failed_over(all: &mut Coordinators, api: &Api, load: &Load, mut leader: usize) -> usize {
    let mut gaps = Vec::new();
    for _ in 1..failovers() {
        load.goes_on(20).await;
        all.standbys(2).await;
        all.roles[leader].kill().await;
        let begun = std::time::Instant::now();
        let killed = leader;
        let next;
        (leader, next) = all.any_leads_but(killed).await;
        api.moved(&next.base());
        load.goes_on(1).await;
        gaps.push(begun.elapsed().as_millis());
        all.roles[killed].launch();
    }
    gaps.sort_unstable();
    println!("cluster of three: gaps of {gaps:?} ms");
    leader
}

/// Takes two of three servers away, and gives them back.
async fn without_quorum(servers: &mut Cluster, api: &Api, workflow: &Value) {
    for node in &mut servers.nodes[..2] {
        node.kill().await;
    }
    let refused = until(SOON, "a start that is refused", async || {
        let answer = try_start(api, workflow, "no-quorum", 0).await?;
        (answer.body["code"] == "WL0622").then_some(answer)
    })
    .await;
    assert_eq!(refused.status.as_u16(), 503);
    assert_eq!(refused.headers["retry-after"], "1");
    api.get("/v1/instances?limit=1").await.ok();
    for node in &mut servers.nodes[..2] {
        node.restart().await;
    }
    servers.leader().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_quorum_coordinators_and_directories_are_lost_and_nothing_acknowledged_is() {
    let mut servers = Cluster::start().await;
    let mut all = Coordinators::on(&servers.url(), SERVERS, &["--replicas", "3"]);
    all.roles[0].launch();
    let api = all.leads(0).await;
    let worker = all.worker().await;
    let workflow = api.deploy(ENDS).await;
    all.follows(1).await;
    all.follows(2).await;

    let load = Load::begin(&api, &workflow);
    load.goes_on(20).await;
    // One server is lost with all that it has.
    servers.nodes[2].wipe().await;
    load.goes_on(20).await;
    let leader = failed_over(&mut all, &api, &load, 0).await;
    all.standbys(2).await;
    let mut acknowledged = load.end().await;
    without_quorum(&mut servers, &api, &workflow).await;
    acknowledged.extend([started(&api, &workflow, 1).await]);

    // All coordinators at once, and one of the directories the second time.
    all.kill_all().await;
    all.launch_all();
    let (_, api) = all.any_leads().await;
    acknowledged.extend([started(&api, &workflow, 2).await]);
    all.standbys(2).await;
    all.kill_all().await;
    std::fs::remove_dir_all(all.data(leader)).unwrap();
    all.launch_all();
    let (_, api) = all.any_leads().await;
    acknowledged.extend([started(&api, &workflow, 3).await]);
    all.standbys(2).await;
    all_ended(&api, &acknowledged).await;
    assert!(!worker.stderr().contains("panicked at"));
    all.assert_sound();
}

/// A start that is acknowledged sooner or later.
async fn started(api: &Api, workflow: &Value, number: usize) -> (String, usize) {
    let key = format!("after-{number}");
    let id = until(SOON, "a start that is taken", async || {
        let answer = try_start(api, workflow, &key, number).await?;
        answer.body["id"].as_str().map(str::to_owned)
    });
    (id.await, number)
}
