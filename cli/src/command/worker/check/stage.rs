//! The coordinator that is played: who registers, what was said, and what is said to it.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio::process::{Child, Command};
use windlass_proto::limits::{self, WORKER_CHECK_FAULTS, WORKER_CHECK_LEASE_MS};
use windlass_proto::wire::AssignmentKey;
use windlass_proto::wire::hello::{Introduction, Welcome, receive};
use windlass_proto::wire::key::CoordinatorKey;
use windlass_proto::wire::message::{Beat, Settled, ToCoordinator, ToWorker, decode, encode};
use windlass_proto::wire::outcome::{Outcome, UNREADABLE};
use windlass_proto::wire::packed::Packed;
use windlass_proto::wire::session::{Channel, FrameError, SessionId};
use windlass_proto::wire::subject::{Prefix, session_of};
use windlass_worker::fleet::bus::{Bus, Message, Subscriber};

use crate::code::NOT_STARTED;
use crate::error::CliError;

/// What is wrong with something that the worker said, by the name of the check it belongs to.
pub(super) type Fault = (&'static str, String);

/// How long a step waits.
pub(super) const PATIENCE: Duration = Duration::from_millis(limits::WORKER_CHECK_PATIENCE_MS);
/// The lease that workers are told.
pub(super) const LEASE: Duration = Duration::from_millis(limits::WORKER_CHECK_LEASE_MS);

/// A registration that was let in.
pub(super) struct Registered {
    pub(super) introduction: Introduction,
    /// The public key of the worker, made for it.
    pub(super) key: Vec<u8>,
}

/// What was reported of one delivery.
#[derive(Default)]
pub(super) struct Reported {
    pub(super) outcomes: Vec<Packed>,
    pub(super) released: u32,
}

/// A session, as the coordinator has it.
struct Session {
    id: SessionId,
    channel: Channel,
    /// The counter of the last frame.
    counter: u64,
    /// The number of the last beat.
    beats: u64,
    heard: Instant,
}

/// See the module.
pub(super) struct Stage {
    bus: Bus,
    prefix: Prefix,
    key: CoordinatorKey,
    pool: String,
    url: String,
    program: Vec<OsString>,
    hellos: Subscriber,
    frames: Subscriber,
    session: Option<Session>,
    child: Option<Child>,
    pub(super) registered: Vec<Registered>,
    pub(super) faults: Vec<Fault>,
    pub(super) reports: HashMap<AssignmentKey, Reported>,
    /// The last beat.
    pub(super) beat: Option<Beat>,
    /// Registrations are answered with this, in place of a welcome.
    pub(super) refuses: Option<String>,
    /// Reports are settled at once.
    pub(super) settles: bool,
    /// Beats are answered.
    pub(super) answers: bool,
    /// Deliveries whose settlement the worker has seen, as a beat says.
    settled: HashSet<AssignmentKey>,
    /// Deliveries that were settled in this session, and the frame that says so.
    told: Vec<(AssignmentKey, u64)>,
}

impl Stage {
    /// Opens it; the worker is not begun yet.
    pub(super) async fn open(
        bus: Bus,
        prefix: Prefix,
        pool: String,
        url: &str,
        program: Vec<OsString>,
    ) -> Result<Self, CliError> {
        let failed = |error: &dyn std::fmt::Display| {
            CliError::coded(&NOT_STARTED, &format!("subscribing to NATS failed: {error}"))
        };
        let hellos = bus.client.subscribe(prefix.hello()).await.map_err(|it| failed(&it))?;
        let frames = bus.client.subscribe(prefix.all_sessions()).await.map_err(|it| failed(&it))?;
        bus.client.flush().await.map_err(|it| failed(&it))?;
        Ok(Self {
            bus,
            prefix,
            key: CoordinatorKey::generate(),
            pool,
            url: url.to_owned(),
            program,
            hellos,
            frames,
            session: None,
            child: None,
            registered: Vec::new(),
            faults: Vec::new(),
            reports: HashMap::new(),
            beat: None,
            refuses: None,
            settles: true,
            answers: true,
            settled: HashSet::new(),
            told: Vec::new(),
        })
    }

    /// Begins the worker.
    pub(super) fn begin(&mut self) -> Result<(), String> {
        let Some((program, arguments)) = self.program.split_first() else {
            return Err("there is no program".to_owned());
        };
        let key = self.key.worker_key(Some(&self.pool));
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("WINDLASS_NATS", &self.url)
            .env("WINDLASS_WORKER_KEY", &*key.to_text())
            .env("WINDLASS_BUS", self.prefix.to_string())
            .env_remove("WINDLASS_KEY_FILE")
            .stdin(Stdio::null())
            // What it writes is for whoever runs the check; data of ours is on standard output.
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let child = command
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", program.to_string_lossy()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Sends it SIGTERM.
    pub(super) fn terminate(&self) {
        let id = self.child.as_ref().and_then(Child::id);
        let id = id.and_then(|it| i32::try_from(it).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            // It may have ended by itself, which is found next.
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
    }

    /// The code that it ended with; none while it runs, or where a signal ended it.
    pub(super) fn ended(&mut self) -> Option<Option<i32>> {
        let status = self.child.as_mut()?.try_wait().ok().flatten()?;
        Some(status.code())
    }

    /// Kills it, and forgets its session.
    pub(super) async fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill().await;
        }
        (self.session, self.beat) = (None, None);
    }

    /// Takes what comes until `done`; false when it is not in time, or the worker has ended.
    pub(super) async fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if done(self) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.step(left.min(Duration::from_millis(50))).await;
        }
    }

    /// Takes what comes for so long.
    pub(super) async fn listen(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let Some(left) =
            until.checked_duration_since(Instant::now()).filter(|it| !it.is_zero())
        {
            self.step(left).await;
        }
    }

    /// Takes one message, if one comes in time.
    async fn step(&mut self, time: Duration) {
        tokio::select! {
            Some(hello) = self.hellos.next() => self.register(hello).await,
            Some(frame) = self.frames.next() => self.receive(&frame).await,
            () = tokio::time::sleep(time) => {}
        }
    }

    pub(super) fn fault(&mut self, check: &'static str, found: impl Into<String>) {
        // One that goes on for ever says the same again.
        if self.faults.len() < WORKER_CHECK_FAULTS {
            self.faults.push((check, found.into()));
        }
    }

    async fn register(&mut self, hello: Message) {
        let Some(reply) = hello.reply else {
            return self.fault(REGISTRATION, "a hello that nobody can answer: request it");
        };
        let applicant = match receive(&self.key, &hello.payload) {
            Ok(applicant) => applicant,
            Err(error) => return self.fault(REGISTRATION, format!("a hello: {error}")),
        };
        if let Some(objection) = applicant.objection(&self.key) {
            return self.fault(REGISTRATION, objection);
        }
        let Ok(introduction) = applicant.introduction.clone() else { return };
        let public = decode::<windlass_proto::wire::hello::Hello>(&hello.payload);
        let key = public.map(|it| it.key.into_vec()).unwrap_or_default();
        let id = SessionId::random();
        let refused = self.refuses.clone();
        let session = if refused.is_some() { Vec::new() } else { id.0.to_vec() };
        let welcome = Welcome {
            session: session.into(),
            protocol: applicant.protocol.unwrap_or_default(),
            lease_ms: WORKER_CHECK_LEASE_MS,
            beat_ms: WORKER_CHECK_LEASE_MS / 3,
            refused,
        };
        let Ok(answer) = applicant.answer(&welcome) else { return };
        if self.refuses.is_none() {
            self.registered.push(Registered { introduction, key });
            let channel = applicant.channel(id);
            let heard = Instant::now();
            self.session = Some(Session { id, channel, counter: 0, beats: 0, heard });
            self.beat = None;
            // What it was told there it may not have heard.
            self.told.clear();
        }
        self.publish(reply.to_string(), answer).await;
    }

    async fn publish(&self, subject: String, frame: Vec<u8>) {
        // A server that is gone shows in what does not come.
        let _ = self.bus.client.publish(subject, frame.into()).await;
    }

    async fn receive(&mut self, message: &Message) {
        let of = session_of(&message.subject);
        let Some(session) = self.session.as_mut().filter(|it| of == Some(it.id)) else { return };
        if message.payload.is_empty() {
            return self.fault(FRAMES, "a frame of no bytes: a worker sends none");
        }
        let counter = message.payload.get(..8).and_then(|it| it.try_into().ok());
        let counter = counter.map(u64::from_be_bytes).unwrap_or_default();
        let expected = session.counter + 1;
        let opened = session.channel.open(&message.payload);
        session.counter = session.counter.max(counter);
        if counter != expected {
            self.fault(FRAMES, format!("frame {counter} came where {expected} belongs"));
        }
        match opened {
            Ok(None) => {}
            Ok(Some(bytes)) => match decode::<ToCoordinator>(&bytes) {
                Ok(said) => self.take(said, counter).await,
                Err(error) => {
                    self.fault(MESSAGES, format!("the message of frame {counter}: {error}"));
                }
            },
            Err(FrameError::TooLarge) => self.fault(FRAMES, "a message of more than 64 MiB"),
            Err(error) => self.fault(FRAMES, format!("frame {counter}: {error}")),
        }
    }

    async fn take(&mut self, said: ToCoordinator, frame: u64) {
        let mut answer = ToWorker::default();
        for report in said.reports {
            if !self.key.is_token(&report.key, &report.token) {
                self.fault(REPORTS, format!("a report with another token, in frame {frame}"));
                continue;
            }
            if let Err(problem) = Outcome::unpack(&report.outcome).result
                && let Some(detail) = problem.detail.filter(|it| it.starts_with(UNREADABLE))
            {
                self.fault(REPORTS, format!("frame {frame}: {detail}"));
            }
            if self.settled.contains(&report.key) {
                self.fault(
                    SETTLED,
                    format!("a report that was settled came again, in frame {frame}"),
                );
            }
            self.reports.entry(report.key.clone()).or_default().outcomes.push(report.outcome);
            if self.settles {
                answer.settled.push(Settled { key: report.key, accepted: true });
            }
        }
        for key in said.released {
            self.reports.entry(key).or_default().released += 1;
        }
        if let Some(beat) = said.beat {
            self.beats(&beat, frame);
            let seen = self.told.extract_if(.., |it| it.1 <= beat.seen);
            self.settled.extend(seen.map(|it| it.0));
            if self.answers && !beat.goodbye {
                answer.beat = Some(beat.number);
            }
            self.beat = Some(beat);
        }
        if answer.beat.is_some() || !answer.settled.is_empty() {
            let settled: Vec<_> = answer.settled.iter().map(|it| it.key.clone()).collect();
            self.say(&answer).await;
            // Until a beat has seen this frame, what is on its way is not to blame.
            let frame = self.sent();
            self.told.extend(settled.into_iter().map(|key| (key, frame)));
        }
    }

    fn beats(&mut self, beat: &Beat, frame: u64) {
        let Some(session) = &mut self.session else { return };
        session.beats += 1;
        let (expected, sent) = (session.beats, session.channel.sent());
        let silence = session.heard.elapsed();
        session.heard = Instant::now();
        if beat.number != expected {
            let found =
                format!("beat {} came where {expected} belongs, in frame {frame}", beat.number);
            self.fault(BEATS, found);
        }
        if beat.seen > sent {
            self.fault(BEATS, format!("`seen` is {}, and only {sent} frames were sent", beat.seen));
        }
        // Whoever measures on a busy machine is late as well.
        if silence > 3 * LEASE {
            self.fault(BEATS, format!("no beat for {silence:?}, the lease is {LEASE:?}"));
        }
        if let Some(held) = beat.held.iter().find(|it| !self.key.is_token(&it.key, &it.token)) {
            let found = format!("`held` has delivery {} with another token", held.key.delivery);
            self.fault(BEATS, found);
        }
    }

    /// Tells that a report need not come again.
    pub(super) async fn settle(&mut self, key: &AssignmentKey) {
        let settled = vec![Settled { key: key.clone(), accepted: true }];
        self.say(&ToWorker { settled, ..ToWorker::default() }).await;
        self.settles = true;
    }

    /// The proof that goes with a delivery.
    pub(super) fn token(&self, key: &AssignmentKey) -> Vec<u8> {
        self.key.token(key).to_vec()
    }

    /// The frames of a message, which count from now on; `size` is the most of each.
    pub(super) fn seal(&mut self, message: &ToWorker, size: usize) -> Vec<Vec<u8>> {
        let bytes = encode(message).unwrap_or_default();
        self.session.as_mut().map(|it| it.channel.seal(&bytes, size)).unwrap_or_default()
    }

    /// The counter of the last frame that was made.
    pub(super) fn sent(&self) -> u64 {
        self.session.as_ref().map_or(0, |it| it.channel.sent())
    }

    /// Sends a frame, or what is none.
    pub(super) async fn send(&self, frame: Vec<u8>) {
        if let Some(session) = &self.session {
            self.publish(self.prefix.to_worker(session.id), frame).await;
        }
    }

    /// Says something.
    pub(super) async fn say(&mut self, message: &ToWorker) {
        for frame in self.seal(message, self.bus.frame_bytes()) {
            self.send(frame).await;
        }
    }

    /// True when the last beat names this delivery.
    pub(super) fn holds(&self, key: &AssignmentKey) -> bool {
        self.beat.iter().flat_map(|it| &it.held).any(|it| it.key == *key)
    }

    /// What was reported of a delivery so far.
    pub(super) fn outcomes(&self, key: &AssignmentKey) -> usize {
        self.reports.get(key).map_or(0, |it| it.outcomes.len())
    }
}

/// Checks that every frame is held against.
pub(super) const REGISTRATION: &str = "it registers with a key pair of its own";
pub(super) const FRAMES: &str = "its frames are numbered without gaps, and open";
pub(super) const MESSAGES: &str = "its messages can be read";
pub(super) const BEATS: &str = "its beats are numbered, in time, and name what is";
pub(super) const REPORTS: &str = "its reports have the delivery's token and an outcome";
pub(super) const SETTLED: &str = "what is settled it does not report again";
