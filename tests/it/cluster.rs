//! Coordinators of one cluster as processes of their own, over a real NATS server: what was
//! acknowledged is there after the leader is gone, and nobody but the leader acknowledges anything.

mod three;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use windlass_proto::metric::table;

use crate::support::client::{Answer, Api};
use crate::support::command::{Output, windlass};
use crate::support::fleet::{Role, joined};
use crate::support::nats::{Bus, Nats};
use crate::support::until::{SOON, until, within};

/// Ends by itself, with one task of a worker.
const ENDS: &str = "
document: { dsl: '1.0.3', namespace: cluster, name: ends, version: '1.0.0' }
do:
  - ends: { set: { answer: '${ .number * 2 }' } }
  - waits: { wait: { milliseconds: 20 } }
";

/// The stream with the log of the cluster `c`.
const LOG: &str = "WINDLASS_CLUSTER_C_0_LOG";

/// Long enough that a busy machine does not lose it for nothing.
const LEASE: &str = "2s";

/// How often the leader is killed under load.
fn failovers() -> usize {
    let chosen = std::env::var("WINDLASS_FAILOVERS").ok();
    chosen.map_or(2, |it| it.parse().expect("WINDLASS_FAILOVERS is a number"))
}

/// Coordinators that share a bus and a key.
struct Coordinators {
    url: String,
    /// The server, where there is one alone.
    nats: Option<Nats>,
    folder: tempfile::TempDir,
    roles: Vec<Role>,
}

impl Coordinators {
    /// Makes the key and `count` command lines, and starts the first, which leads.
    async fn start(count: usize) -> Self {
        let nats = Nats::start().await;
        let mut all = Self::on(&nats.url(), count, &[]);
        all.nats = Some(nats);
        all.roles[0].launch();
        all.leads(0).await;
        all
    }

    /// The command lines of `count` coordinators over the servers at `url`.
    fn on(url: &str, count: usize, flags: &[&str]) -> Self {
        let (url, folder) = (url.to_owned(), tempfile::tempdir().unwrap());
        let mut all = Self { url: url.clone(), nats: None, folder, roles: Vec::new() };
        let key = all.key().display().to_string();
        for index in 0..count {
            let data = all.data(index).display().to_string();
            let words = ["coordinator", "--bind", "127.0.0.1:0", "--data-dir", &data, "--nats"];
            let more = [&url, "--key-file", &key, "--cluster", "c", "--cluster-lease", LEASE];
            let words = words.iter().chain(&more).chain(flags).map(|it| (*it).to_owned());
            all.roles.push(Role::new("a coordinator", words.collect()));
        }
        all
    }

    fn nats(&mut self) -> &mut Nats {
        self.nats.as_mut().expect("there is one server")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("coordinator.key")
    }

    fn data(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("data-{index}"))
    }

    /// Starts one more, which follows.
    async fn follows(&mut self, index: usize) -> Api {
        self.roles[index].launch();
        let lines = self.roles[index].lines();
        let said = lines.after("windlass: standby of the cluster c on ");
        let address = within(SOON, "a standby", said).await;
        Api::new(&address.unwrap_or_else(|| panic!("it ended:\n{}", self.roles[index].stderr())))
    }

    /// Waits until one answers as the leader.
    async fn leads(&self, index: usize) -> Api {
        let lines = self.roles[index].lines();
        let address = within(SOON, "a leader", lines.after("windlass: listening on ")).await;
        Api::new(&address.unwrap_or_else(|| panic!("it ended:\n{}", self.roles[index].stderr())))
    }

    /// What `windlass cluster status` says once `is_so`.
    async fn status(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let (key, url) = (self.key().display().to_string(), self.url.clone());
        until(SOON, what, async || {
            let words = ["cluster", "status", "c", "--key-file", &key, "--nats", &url];
            // A server that has just come back may not know its streams yet.
            let asked = windlass(&words).await;
            let status = (asked.code == Some(0)).then(|| asked.json())?;
            is_so(&status).then_some(status)
        })
        .await
    }

    /// Has another one lead.
    async fn moves(&self, to: &str) -> Output {
        let (key, url) = (self.key().display().to_string(), self.url.clone());
        let words = ["cluster", "move", "c", "--to", to, "--key-file", &key, "--nats", &url];
        windlass(&words).await
    }

    /// Waits until a standby has all that the log has.
    async fn caught_up(&self) {
        self.status("a standby that has caught up", |status| {
            let members = status["members"].as_array().unwrap();
            let standbys = members.iter().filter(|it| it["role"] == "standby");
            let behind = |it: &Value| it["sequence"] != status["sequence"];
            members.len() == 2 && standbys.clone().count() == 1 && !standbys.into_iter().any(behind)
        })
        .await;
    }

    async fn worker(&self) -> Role {
        let key = self.key().display().to_string();
        let made = windlass(&["coordinator", "key", "--key-file", &key]).await.exits(0);
        let url = self.url.clone();
        let words = ["worker", "--nats", &url, "--name", "w"].map(str::to_owned).to_vec();
        let mut worker = Role::new("a worker", words);
        let key = made.stdout.trim().to_owned();
        worker.variables.push(("WINDLASS_WORKER_KEY".to_owned(), key));
        worker.variables.push(("WINDLASS_SANDBOX".to_owned(), "off".to_owned()));
        worker.launch();
        joined(&worker).await;
        worker
    }

    fn assert_sound(&self) {
        for role in &self.roles {
            let log = role.stderr();
            assert!(!log.contains("panicked at"), "{log}");
        }
    }
}

impl Drop for Coordinators {
    /// A test that fails shows what the processes said.
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (index, role) in self.roles.iter().enumerate() {
                eprintln!("-- coordinator {index}\n{}", role.stderr());
            }
        }
    }
}

/// One start, which may be refused or never answered; repeated under the same key it is the same.
async fn try_start(api: &Api, workflow: &Value, key: &str, number: usize) -> Option<Answer> {
    let body = json!({ "workflow": workflow, "input": { "number": number } });
    let request = api.request(Method::POST, "/v1/instances").json(&body);
    let request = request.header("idempotency-key", key).timeout(Duration::from_secs(5));
    Api::send(request).await.ok()
}

/// What clients do: each start is repeated until it is acknowledged, by whoever leads then.
struct Load {
    acknowledged: Arc<Mutex<BTreeMap<String, usize>>>,
    stop: watch::Sender<bool>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn begin(leader: &Api, workflow: &Value) -> Self {
        let acknowledged = Arc::<Mutex<BTreeMap<String, usize>>>::default();
        let stop = watch::Sender::new(false);
        let clients = (0..4).map(|client| {
            let (api, workflow) = (leader.clone(), workflow.clone());
            let (acknowledged, stopped) = (acknowledged.clone(), stop.subscribe());
            tokio::spawn(async move {
                for number in 0.. {
                    let key = format!("{client}-{number}");
                    let id = until(SOON, "an acknowledged start", async || {
                        let answer = try_start(&api, &workflow, &key, number).await?;
                        let id = answer.body["id"].as_str().map(str::to_owned);
                        id.filter(|_| answer.status.is_success())
                    })
                    .await;
                    let earlier = acknowledged.lock().unwrap().insert(id, number);
                    assert_eq!(earlier, None, "one id for two starts");
                    if *stopped.borrow() {
                        return;
                    }
                }
            })
        });
        let clients = clients.collect();
        Self { acknowledged, stop, clients }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Waits for so many more to be acknowledged.
    async fn goes_on(&self, more: usize) {
        let due = self.count() + more;
        until(SOON, "acknowledged starts", async || (self.count() >= due).then_some(())).await;
    }

    async fn end(self) -> BTreeMap<String, usize> {
        self.stop.send_replace(true);
        for client in self.clients {
            client.await.unwrap();
        }
        self.acknowledged.lock().unwrap().clone()
    }
}

/// Every acknowledged start is there, and ended once; nothing else is there.
async fn all_ended(api: &Api, acknowledged: &BTreeMap<String, usize>) {
    until(SOON, "the end of all that was started", async || {
        let path = "/v1/instances/count?name=ends&status=completed";
        let ended = api.get(path).await.ok()["count"].as_u64().unwrap();
        (usize::try_from(ended).unwrap() >= acknowledged.len()).then_some(())
    })
    .await;
    let all = api.get("/v1/instances/count?name=ends").await.ok();
    assert_eq!(all["count"], acknowledged.len(), "each start made one instance");
    for (id, number) in acknowledged {
        let view = api.show(id).await;
        assert_eq!(view["output"], json!({ "answer": number * 2 }), "{view}");
    }
    for id in acknowledged.keys().take(20) {
        let history = api.history(id).await;
        let ends = history.iter().filter(|it| it["event"] == "instance.completed").count();
        assert_eq!(ends, 1, "{history:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_with_all_that_was_acknowledged() {
    let mut all = Coordinators::start(2).await;
    let leader = all.leads(0).await;
    let worker = all.worker().await;
    let workflow = leader.deploy(ENDS).await;
    let standby = all.follows(1).await;
    let through_standby = answers_as_the_leader(&standby, &leader, &workflow).await;

    let load = Load::begin(&leader, &workflow);
    let (mut gaps, mut standby) = (Vec::new(), standby);
    for round in 0..failovers() {
        let (leads, waits) = (round % 2, (round + 1) % 2);
        load.goes_on(20).await;
        all.caught_up_soon().await;
        all.roles[leads].kill().await;
        let begun = std::time::Instant::now();
        let next = all.leads(waits).await;
        leader.moved(&next.base());
        load.goes_on(1).await;
        gaps.push(begun.elapsed().as_millis());
        load.goes_on(10).await;
        standby = all.follows(leads).await;
    }
    // Handed over in an orderly way: who asks the next leader waits for it.
    all.caught_up_soon().await;
    leader.moved(&standby.base());
    load.goes_on(10).await;
    let (leads, waits) = (failovers() % 2, (failovers() + 1) % 2);
    let refused = all.moves("http://127.0.0.1:1").await;
    assert!(refused.stderr.contains("there is no standby"), "{}", refused.stderr);
    let begun = std::time::Instant::now();
    all.moves(&standby.base()).await.exits(0);
    let took = begun.elapsed().as_millis();
    load.goes_on(10).await;
    assert_eq!(all.leads(waits).await.base(), standby.base());
    println!("cluster: moved in {took} ms");
    let trail = std::fs::read_to_string(all.data(leads).join("audit.jsonl")).unwrap();
    assert_eq!(trail.matches("\"cluster.moved\"").count(), 2, "one was refused: {trail}");
    all.caught_up_soon().await;
    let mut acknowledged = load.end().await;
    acknowledged.insert(through_standby, 1);
    println!("cluster: {} starts, gaps of {gaps:?} ms", acknowledged.len());
    all_ended(&leader, &acknowledged).await;
    let metrics = leader.get("/metrics").await;
    let metrics = metrics.body.as_str().unwrap();
    let told = format!("windlass_cluster_epoch {}\n", failovers() + 2);
    assert!(metrics.contains(&told), "{metrics}");
    for family in table::cluster::PART.families {
        assert!(metrics.contains(family.name), "{} is not shown", family.name);
    }
    assert!(!worker.stderr().contains("panicked at"));
    all.assert_sound();
}

/// What a standby is asked, the leader answers: lists, large bodies and answers, streams, errors.
/// Gives the id of an instance that was started with the number 1.
async fn answers_as_the_leader(standby: &Api, leader: &Api, workflow: &Value) -> String {
    standby.get("/healthz").await.ok();
    standby.get("/readyz").await.ok();
    let listed = standby.get("/v1/workflows").await;
    assert_eq!(listed.headers["windlass-leader"].to_str().unwrap(), leader.base());
    assert_eq!(listed.ok(), leader.get("/v1/workflows").await.ok());
    assert_eq!(standby.get("/v1/instances/none").await.problem(400)["status"], 400);
    let scraped = standby.get("/metrics").await;
    assert_eq!(scraped.headers["retry-after"], "1");
    assert_eq!(scraped.problem(503)["code"], "WL0620", "they are of a process, not of the cluster");

    // More than a window of a pipe, in both directions.
    let text = "x".repeat(1 << 20);
    let id = standby.start(workflow, &json!({ "number": 1, "text": text })).await;
    let watched = standby.request(Method::GET, &format!("/v1/instances/{id}/watch"));
    let stream = watched.send().await.unwrap().text().await.unwrap();
    assert!(stream.contains("completed"), "a stream ends with what it watches: {stream}");
    let view = standby.show(&id).await;
    assert_eq!(view, leader.show(&id).await);
    let started = standby.history(&id).await.iter().map(Value::to_string).collect::<String>();
    assert!(started.len() > text.len(), "the input is there: {} bytes", started.len());

    // Who asked, and whom, is in the trail.
    let cancelled = standby.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await;
    assert!(cancelled.status.as_u16() < 500, "{cancelled:?}");
    let trail = standby.get("/v1/audit?limit=100").await.ok().to_string();
    assert!(trail.contains(&format!("\"via\":\"{}\"", standby.base())), "{trail}");
    id
}

impl Coordinators {
    /// Waits until two are known: who has just started may not have read the log yet.
    async fn caught_up_soon(&self) {
        self.status("a standby that can lead", |status| {
            let members = status["members"].as_array().unwrap();
            members.iter().any(|it| it["role"] == "standby" && it["waits"].is_null())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stood_still_writes_nothing_and_a_log_or_directory_that_is_lost_is_restored()
{
    let mut all = Coordinators::start(2).await;
    let first = all.leads(0).await;
    let workflow = first.deploy(ENDS).await;
    let mut acknowledged = BTreeMap::new();
    let started = async |api: &Api, number: usize| {
        let key = format!("start-{number}");
        let id = until(SOON, "a start that is taken", async || {
            let answer = try_start(api, &workflow, &key, number).await?;
            answer.body["id"].as_str().map(str::to_owned)
        });
        (id.await, number)
    };
    acknowledged.extend([started(&first, 1).await]);
    all.follows(1).await;
    all.caught_up().await;

    // It stands still for longer than its lease, with a start on its way.
    all.roles[0].stop().await;
    let late = tokio::spawn({
        let (api, workflow) = (first.clone(), workflow.clone());
        async move { try_start(&api, &workflow, "late", 9).await }
    });
    let second = all.leads(1).await;
    acknowledged.extend([started(&second, 2).await]);
    all.roles[0].cont();
    let ended = all.roles[0].ended().await;
    let log = all.roles[0].stderr();
    assert_eq!(ended.code(), Some(1), "{log}");
    assert!(log.contains("WL0621") && log.contains("writes that were refused: "), "{log}");
    let late = late.await.unwrap();
    assert!(late.as_ref().is_none_or(|it| !it.status.is_success()), "{late:?}");

    // A directory that is gone is filled from the log, and is as good as the one before.
    std::fs::remove_dir_all(all.data(0)).unwrap();
    all.follows(0).await;
    all.caught_up().await;
    let fsck = all.data(0).display().to_string();
    all.roles[1].kill().await;
    let third = all.leads(0).await;
    acknowledged.extend([started(&third, 3).await]);

    // The log loses its last message while nobody leads: who has it appends it again.
    all.roles[0].kill().await;
    assert_eq!(windlass(&["fsck", &fsck]).await.exits(0).json()["misfits"], json!([]));
    let mut bus = Bus::connect(all.nats().port()).await;
    let info = bus.request(&format!("$JS.API.STREAM.INFO.{LOG}"), "").await;
    let last = info["state"]["last_seq"].as_u64().unwrap();
    let order = json!({ "seq": last }).to_string();
    let gone = bus.request(&format!("$JS.API.STREAM.MSG.DELETE.{LOG}"), &order).await;
    assert_eq!(gone["success"], true, "{gone}");
    all.roles[0].launch();
    let fourth = all.leads(0).await;
    let log = all.roles[0].stderr();
    assert!(log.contains("the log of the cluster is not whole"), "{log}");
    acknowledged.extend([started(&fourth, 4).await]);
    all.follows(1).await;
    all.caught_up().await;

    // What somebody else publishes to the log is passed over, also where it has the place of what
    // was committed last before a crash.
    let subject = "windlass.cluster.c.log.0";
    for junk in ["junk", "", "more junk"] {
        assert!(bus.request(subject, junk).await["seq"].is_u64());
    }
    acknowledged.extend([started(&fourth, 6).await]);
    all_ended(&fourth, &acknowledged).await;
    all.caught_up().await;
    assert!(bus.request(subject, "junk").await["seq"].is_u64());
    let after = ENDS.replace("name: ends", "name: after-junk");
    fourth.deploy(&after).await;
    let metrics = fourth.get("/metrics").await;
    let counted = metrics.body.as_str().unwrap().lines();
    let counted = counted.filter(|it| it.starts_with("windlass_cluster_log_junk_total")).collect();
    assert_eq!(Vec::<&str>::clone(&counted), ["windlass_cluster_log_junk_total 4"]);
    all.roles[1].kill().await;
    all.roles[0].kill().await;
    all.roles[0].launch();
    let fourth = all.leads(0).await;
    fourth.get("/v1/workflows/cluster/after-junk").await.ok();
    all.follows(1).await;
    all.caught_up().await;

    // While NATS is away new work is refused, and it goes on afterwards.
    all.nats().kill().await;
    let refused = until(SOON, "a start that is refused", async || {
        let answer = try_start(&fourth, &workflow, "start-5", 5).await?;
        (answer.body["code"] == "WL0622").then_some(answer)
    })
    .await;
    assert_eq!(
        (refused.status.as_u16(), &refused.headers["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    fourth.get("/v1/instances").await.ok();
    all.nats().restart().await;
    acknowledged.extend([started(&fourth, 5).await]);

    // What only the other one has left is all there is.
    all.caught_up().await;
    all.roles[0].kill().await;
    let fifth = all.leads(1).await;
    all_ended(&fifth, &acknowledged).await;
    all.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_coordinator_moves_into_a_cluster_and_not_back_by_accident() {
    let nats = Nats::start().await;
    let mut all = Coordinators::on(&nats.url(), 0, &[]);
    all.nats = Some(nats);
    let (key, url) = (all.key().display().to_string(), all.url.clone());
    for index in 0..2 {
        let data = all.data(index).display().to_string();
        let words = ["coordinator", "--bind", "127.0.0.1:0", "--data-dir", &data];
        let more = ["--nats", &url, "--key-file", &key];
        let words = words.iter().chain(&more).map(|it| (*it).to_owned()).collect();
        all.roles.push(Role::new("a coordinator", words));
    }
    all.roles[0].launch();
    let alone = all.leads(0).await;
    let workflow = alone.deploy(ENDS).await;
    let mut acknowledged = BTreeMap::new();
    for number in 0..5 {
        acknowledged.insert(alone.start(&workflow, &json!({ "number": number })).await, number);
    }
    all.roles[0].terminate().await;
    for role in &mut all.roles {
        role.arguments.extend(["--cluster", "c", "--cluster-lease", LEASE].map(str::to_owned));
    }
    all.roles[0].launch();
    all.leads(0).await;
    all.follows(1).await;
    all.caught_up().await;
    // Stopped in an orderly way, it gives its lease back.
    let ended = all.roles[0].terminate().await;
    assert!(ended.success(), "{}", all.roles[0].stderr());
    let second = all.leads(1).await;
    all_ended(&second, &acknowledged).await;

    let arguments = &mut all.roles[0].arguments;
    arguments.truncate(arguments.len() - 4);
    all.roles[1].kill().await;
    all.roles[0].launch();
    let refused = all.roles[0].ended().await;
    let log = all.roles[0].stderr();
    assert!(refused.code() == Some(2) && log.contains("WL0624"), "{log}");
    all.assert_sound();
}
