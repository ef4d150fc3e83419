//! What is done to a worker, and what it has to do then.

use windlass_proto::id::{FrameId, InstanceId, PartitionId, WorkflowId};
use windlass_proto::value::Value;
use windlass_proto::wire::AssignmentKey;
use windlass_proto::wire::message::{Call, ToWorker};
use windlass_proto::wire::outcome::Outcome;
use windlass_proto::wire::packed::Packed;

use super::Check;
use super::stage::{
    BEATS, FRAMES, LEASE, MESSAGES, PATIENCE, REGISTRATION, REPORTS, SETTLED, Stage,
};

/// As many bytes as a frame has where a message is to take several.
const SMALL: [u8; 512] = [0; 512];

/// Plays all there is.
pub(super) async fn play(stage: Stage, function: &str, arguments: &Value) -> Vec<Check> {
    let mut script = Script {
        stage,
        function: function.to_owned(),
        arguments: arguments.clone(),
        deliveries: 0,
        checks: Vec::new(),
    };
    let begun = script.stage.begin();
    let joined = match begun {
        Ok(()) => script.joins().await,
        Err(why) => script.check("it can be started", "Registration", Err(why)),
    };
    if joined {
        script.calls().await;
        script.losses().await;
        script.sessions().await;
        script.leaves().await;
        script.refused().await;
    }
    script.finish().await
}

struct Script {
    stage: Stage,
    function: String,
    arguments: Value,
    /// How many deliveries there were.
    deliveries: u32,
    checks: Vec<Check>,
}

impl Script {
    fn check(
        &mut self,
        check: &'static str,
        paragraph: &'static str,
        found: Result<(), String>,
    ) -> bool {
        let (passed, found) = (found.is_ok(), found.err());
        self.checks.push(Check { check, paragraph, passed, found });
        passed
    }

    /// Adds what every frame was held against.
    async fn finish(mut self) -> Vec<Check> {
        self.stage.end().await;
        for (check, paragraph) in [
            (REGISTRATION, "Registration"),
            (FRAMES, "Frames"),
            (MESSAGES, "Encoding"),
            (BEATS, "Beats"),
            (REPORTS, "From the worker"),
            (SETTLED, "From the coordinator"),
        ] {
            let found = self.stage.faults.iter().find(|it| it.0 == check).map(|it| it.1.clone());
            self.check(check, paragraph, found.map_or(Ok(()), Err));
        }
        self.checks
    }

    async fn joins(&mut self) -> bool {
        let joined = self.stage.until(|it| it.beat.is_some()).await;
        let found = match self.stage.faults.first() {
            _ if joined => Ok(()),
            Some((_, why)) => Err(why.clone()),
            None => Err(format!("no beat within {PATIENCE:?} of its start")),
        };
        if !self.check("it joins, and beats", "Registration", found) {
            return false;
        }
        let Some(registered) = self.stage.registered.first() else { return false };
        let it = &registered.introduction;
        let capability = format!("function:{}", self.function);
        let offers = it.capabilities.iter().any(|it| **it == *capability);
        let (evaluates, all) = (it.evaluates, it.capabilities.clone());
        let plain = |text: &str| {
            (1..=128).contains(&text.len()) && text.chars().all(|it| it.is_ascii_graphic())
        };
        let named = plain(&it.identity) && plain(&it.version);
        self.check(
            "identity and version are 1 to 128 printable characters",
            "Registration",
            if named { Ok(()) } else { Err("one of them is not".to_owned()) },
        );
        self.check(
            "it offers the function",
            "Registration",
            if offers { Ok(()) } else { Err(format!("its capabilities are {all:?}")) },
        );
        self.check(
            "it is a plain worker",
            "Registration",
            match evaluates {
                false => Ok(()),
                true => Err("`evaluates` is true: this checks plain workers".to_owned()),
            },
        ) && offers
    }

    fn key(&mut self) -> AssignmentKey {
        self.deliveries += 1;
        AssignmentKey {
            instance: InstanceId(uuid::Uuid::now_v7()),
            frame: FrameId(self.deliveries),
            delivery: 1,
            partition: PartitionId(3),
            epoch: 7,
        }
    }

    fn call_of(&self, key: &AssignmentKey, function: &str, arguments: Packed) -> Call {
        Call {
            token: self.stage.token(key).into(),
            key: key.clone(),
            function: function.into(),
            arguments,
            workflow: WorkflowId {
                namespace: "check".into(),
                name: "worker".into(),
                version: "1.0.0".into(),
            },
            reference: "/do/0/call".into(),
            idempotency_key: format!("{}/do/0/call/1", key.instance),
            remaining_ms: Some(60_000),
            traceparent: None,
            tracestate: None,
        }
    }

    /// A call of the function, as a message.
    fn message(&mut self) -> (AssignmentKey, ToWorker) {
        let key = self.key();
        let arguments = Packed::of(&self.arguments).unwrap_or_default();
        let call = self.call_of(&key, &self.function, arguments);
        (key, ToWorker { calls: vec![call], ..ToWorker::default() })
    }

    /// Waits until a delivery is reported and no longer held.
    async fn answered(&mut self, key: &AssignmentKey) -> Result<(), String> {
        let sent = self.stage.sent();
        let reported = self.stage.until(|it| it.outcomes(key) > 0).await;
        if !reported {
            return Err(match self.stage.ended() {
                Some(code) => format!("it ended with {code:?}"),
                None => format!("delivery of frame {sent}: no report within {PATIENCE:?}"),
            });
        }
        match self.stage.until(|it| !it.holds(key)).await {
            true => Ok(()),
            false => Err(format!("delivery of frame {sent} is still held after it was settled")),
        }
    }

    async fn calls(&mut self) {
        let (key, message) = self.message();
        self.stage.settles = false;
        self.stage.say(&message).await;
        let sent = self.stage.sent();
        let held = self.stage.until(|it| it.beat.as_ref().is_some_and(|it| it.seen >= sent)).await;
        let found = match (held, self.stage.holds(&key)) {
            (true, true) => Ok(()),
            (false, _) => Err(format!("no beat has seen frame {sent}")),
            (true, false) => Err(format!("it has seen frame {sent}, and does not hold its call")),
        };
        self.check("what it was given is in `held` of its beats", "Beats", found);
        let again = self.stage.until(|it| it.outcomes(&key) > 1).await;
        let times = self.stage.outcomes(&key);
        let found = if again { Ok(()) } else { Err(format!("it was sent {times} times")) };
        self.check("a report is repeated until it is settled", "From the worker", found);
        let outcomes = self.stage.reports.get(&key).map(|it| it.outcomes.clone());
        let same = outcomes.iter().flatten().collect::<Vec<_>>();
        let same = same.windows(2).all(|it| it[0] == it[1]);
        let found = if same { Ok(()) } else { Err("it says another thing".to_owned()) };
        self.check("a repeated report says the same", "From the worker", found);
        let held = self.stage.holds(&key);
        let found = if held { Ok(()) } else { Err("it is not in the last beat".to_owned()) };
        self.check("what is not settled is held", "Beats", found);
        self.stage.settle(&key).await;
        let found = self.answered(&key).await;
        self.check("what is settled is forgotten", "From the coordinator", found);
        self.ugly().await;
    }

    async fn ugly(&mut self) {
        let key = self.key();
        let call = self.call_of(
            &key,
            "no-such-function-of-any-worker",
            Packed::of(&Value::Null).unwrap_or_default(),
        );
        self.stage.say(&ToWorker { calls: vec![call], ..ToWorker::default() }).await;
        let found = self.answered(&key).await.and_then(|()| self.is_error(&key));
        self.check("a function that it has not is a problem", "From the coordinator", found);

        let key = self.key();
        let unreadable = Packed::from_bytes(vec![0xc1]);
        let call = self.call_of(&key, &self.function, unreadable);
        self.stage.say(&ToWorker { calls: vec![call], ..ToWorker::default() }).await;
        let found = self.answered(&key).await.and_then(|()| self.is_error(&key));
        self.check("arguments that cannot be read are a problem", "From the coordinator", found);

        let mut all = Ok(());
        for (name, text) in UGLY {
            let key = self.key();
            let value = match Value::from_json(text) {
                Ok(value) => value,
                Err(why) => {
                    all = all.and(Err(format!("{name}: {why}")));
                    continue;
                }
            };
            let call = self.call_of(&key, &self.function, Packed::of(&value).unwrap_or_default());
            self.stage.say(&ToWorker { calls: vec![call], ..ToWorker::default() }).await;
            let found = self.answered(&key).await;
            all = all.and(found.map_err(|why| format!("{name}: {why}")));
        }
        self.check("any value as arguments is answered", "Encoding", all);
    }

    fn is_error(&self, key: &AssignmentKey) -> Result<(), String> {
        let outcome = self.stage.reports.get(key).and_then(|it| it.outcomes.first());
        match outcome.map(|it| Outcome::unpack(it).result) {
            Some(Err(_)) => Ok(()),
            _ => Err("it reports a result".to_owned()),
        }
    }

    async fn losses(&mut self) {
        let (key, message) = self.message();
        let frames = self.stage.seal(&message, usize::MAX);
        for frame in frames.iter().chain(&frames) {
            self.stage.send(frame.clone()).await;
        }
        let mut found = self.answered(&key).await;
        // Once more when it is over: of what was said before, nothing can be under way any more.
        let before = self.stage.outcomes(&key);
        for frame in frames {
            self.stage.send(frame).await;
        }
        self.stage.listen(LEASE * 2 / 3).await;
        if self.stage.outcomes(&key) > before || self.stage.holds(&key) {
            found = found.and(Err("it took the frame again".to_owned()));
        }
        self.check("a frame that comes twice counts once", "Frames", found);

        // The later one is first: the earlier one is refused.
        let (late, first) = self.message();
        let early = self.stage.seal(&first, usize::MAX);
        let (key, second) = self.message();
        let later = self.stage.seal(&second, usize::MAX);
        for frame in later.into_iter().chain(early) {
            self.stage.send(frame).await;
        }
        let mut found = self.answered(&key).await;
        self.stage.listen(LEASE * 2 / 3).await;
        if self.stage.outcomes(&late) > 0 || self.stage.holds(&late) {
            found =
                found.and(Err("it took a frame whose counter is not above the highest".to_owned()));
        }
        self.check("a frame that comes late is refused", "Frames", found);

        for garbage in [vec![0; 8], vec![0xff; 64], b"hello".to_vec()] {
            self.stage.send(garbage).await;
        }
        let (key, message) = self.message();
        self.stage.say(&message).await;
        let found = self.answered(&key).await;
        self.check("what does not open is ignored", "Frames", found);

        self.fragments().await;
        self.cancels().await;
    }

    async fn fragments(&mut self) {
        let (key, mut message) = self.message();
        let padding = Value::from("x".repeat(4_096));
        for call in &mut message.calls {
            call.reference = padding.as_str().unwrap_or_default().into();
        }
        for frame in self.stage.seal(&message, SMALL.len()) {
            self.stage.send(frame).await;
        }
        let found = self.answered(&key).await;
        self.check("a message of several frames is put together", "Frames", found);

        let (lost, mut message) = self.message();
        for call in &mut message.calls {
            call.reference = padding.as_str().unwrap_or_default().into();
        }
        let mut frames = self.stage.seal(&message, SMALL.len());
        if frames.len() > 2 {
            frames.remove(1);
        }
        for frame in frames {
            self.stage.send(frame).await;
        }
        let (key, message) = self.message();
        self.stage.say(&message).await;
        let mut found = self.answered(&key).await;
        if self.stage.outcomes(&lost) > 0 || self.stage.holds(&lost) {
            found = found.and(Err("it took a message of which a frame was lost".to_owned()));
        }
        self.check("a message that lacks a frame is dropped", "Frames", found);
    }

    async fn cancels(&mut self) {
        let stranger = self.key();
        let (key, mut message) = self.message();
        message.cancelled = vec![stranger, key.clone()];
        self.stage.say(&message).await;
        let ended = |it: &mut Stage| {
            it.reports.get(&key).is_some_and(|it| it.released > 0 || !it.outcomes.is_empty())
                && !it.holds(&key)
        };
        let found = match self.stage.until(ended).await {
            true => Ok(()),
            false => Err(format!("neither released nor reported within {PATIENCE:?}")),
        };
        self.check(
            "what is cancelled ends, and is released or reported",
            "From the coordinator",
            found,
        );
    }

    async fn sessions(&mut self) {
        self.stage.settles = false;
        let (key, message) = self.message();
        self.stage.say(&message).await;
        self.stage.until(|it| it.outcomes(&key) > 0).await;
        let before = self.stage.registered.len();
        self.stage.send(Vec::new()).await;
        let found = self.joins_again(before, &key).await;
        self.check(
            "a frame of no bytes has it register again, with what it holds",
            "Frames",
            found,
        );
        let outcomes = self.stage.outcomes(&key);
        let again = self.stage.until(|it| it.outcomes(&key) > outcomes || outcomes > 1).await;
        let found = if again { Ok(()) } else { Err("it is not reported there".to_owned()) };
        self.check("a new session begins with what is not settled", "From the worker", found);
        self.stage.settle(&key).await;
        let found = self.answered(&key).await;
        self.check("what was taken along is settled there", "Beats", found);

        let before = self.stage.registered.len();
        self.stage.answers = false;
        let silent = self.stage.until(|it| it.registered.len() > before).await;
        self.stage.answers = true;
        let found = match silent && self.stage.until(|it| it.beat.is_some()).await {
            true => Ok(()),
            false => Err(format!("it heard nothing for {PATIENCE:?}, the lease is {LEASE:?}")),
        };
        self.check("silence of a lease has it register again", "Beats", found);
        let keys: Vec<_> = self.stage.registered.iter().map(|it| &it.key).collect();
        let fresh = keys.iter().enumerate().all(|(at, key)| !keys[..at].contains(key));
        let found = if fresh { Ok(()) } else { Err("it used one twice".to_owned()) };
        self.check("each registration has a new key pair", "Registration", found);
        let first = self.stage.registered.first().map(|it| it.introduction.identity.clone());
        let same = self
            .stage
            .registered
            .iter()
            .all(|it| Some(&it.introduction.identity) == first.as_ref());
        let found = if same { Ok(()) } else { Err("it changed".to_owned()) };
        self.check("its identity stays the same", "Registration", found);
    }

    async fn joins_again(&mut self, before: usize, key: &AssignmentKey) -> Result<(), String> {
        if !self.stage.until(|it| it.registered.len() > before && it.beat.is_some()).await {
            return Err(format!("it did not within {PATIENCE:?}"));
        }
        match self.stage.holds(key) {
            true => Ok(()),
            false => Err("its first beat there does not name what is not settled".to_owned()),
        }
    }

    async fn leaves(&mut self) {
        self.stage.settles = false;
        let (key, message) = self.message();
        self.stage.say(&message).await;
        self.stage.until(|it| it.outcomes(&key) > 0).await;
        self.stage.terminate();
        let leaving = self.stage.until(|it| it.beat.as_ref().is_some_and(|it| it.leaving)).await;
        let found = if leaving { Ok(()) } else { Err("no beat says so after SIGTERM".to_owned()) };
        self.check("SIGTERM has it say that it leaves", "Leaving", found);
        self.stage.listen(LEASE / 4).await;
        let early = self.stage.beat.as_ref().is_some_and(|it| it.goodbye);
        let found = if early { Err("it went before that was settled".to_owned()) } else { Ok(()) };
        self.check("it waits until its reports are settled", "Leaving", found);
        self.stage.settle(&key).await;
        let gone = self.stage.until(|it| it.beat.as_ref().is_some_and(|it| it.goodbye)).await;
        let found = if gone { Ok(()) } else { Err("there is none".to_owned()) };
        self.check("its last message is a beat with goodbye", "Leaving", found);
        let ended = self.stage.until(|it| it.ended().is_some()).await;
        let found = if ended { Ok(()) } else { Err("it still runs".to_owned()) };
        self.check("then it ends", "Leaving", found);
    }

    async fn refused(&mut self) {
        self.stage.end().await;
        self.stage.refuses = Some("`windlass worker check` lets nobody in".to_owned());
        let ended = match self.stage.begin() {
            Ok(()) => self.stage.until(|it| it.ended().is_some()).await,
            Err(_) => false,
        };
        let found = if ended { Ok(()) } else { Err("it asks again".to_owned()) };
        self.check("one that is refused ends", "Registration", found);
    }
}

/// Values that people's libraries trip over.
const UGLY: [(&str, &str); 9] = [
    ("nothing", "null"),
    ("a large integer", "{\"n\": 9223372036854775807, \"m\": -9223372036854775808}"),
    ("a huge integer", "{\"n\": 123456789012345678901234567890}"),
    ("a whole float", "{\"n\": 1.0, \"tiny\": 5e-324}"),
    ("a name of JavaScript's", "{\"__proto__\": {\"a\": 1}, \"constructor\": null}"),
    ("an empty name", "{\"\": [[], {}, \"\"]}"),
    ("signs of all planes", "{\"\u{1f600}\": \"\\u0000\u{7f}\u{ffff}\u{10ffff}\"}"),
    (
        "many levels",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    ),
    ("a list", "[1, \"two\", false]"),
];
