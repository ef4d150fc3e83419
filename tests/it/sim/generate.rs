//! Random workflows. Every one ends by itself, as long as events from outside keep coming.

use fastrand::Rng;

use super::model::{
    Call, Condition, Expr, Extension, Items, Kind, Listen, Mode, Retry, SWEEP, Shape, Task, Then,
    Timeout, Try, Workflow,
};
use super::oracle::FOREVER_MS;

/// Types of the events that come from outside.
pub(super) const OUTSIDE_TYPES: [&str; 2] = ["outside.a", "outside.b"];

/// Short enough to matter among faults, or beyond what a partition holds in memory of its timers.
const WAITS_MS: [u64; 10] = [0, 1, 20, 900, 5_000, 29_500, 31_000, 61_000, 125_000, 600_000];

const HOUR_MS: u64 = 3_600_000;

/// The workflow that only waits.
const IDLE: &str = "idle";

/// The workflows of one run: each may run those after it as children.
pub(super) fn workflows(random: &mut Rng) -> Vec<Workflow> {
    let count = random.usize(1..=3);
    let mut all: Vec<Workflow> = (0..count)
        .map(|number| {
            let children = (number + 1..count).map(name).collect();
            let left = if number == 0 { random.i32(5..30) } else { random.i32(2..10) };
            let own = Rng::with_seed(random.clone().u64(..));
            let mut make = Generator {
                random,
                own,
                left,
                next: 0,
                functions: Vec::new(),
                children,
                around_switch: false,
            };
            make.workflow(name(number))
        })
        .collect();
    // For parents that do not wait so long.
    let tasks = vec![plain("t".into(), Kind::Wait(HOUR_MS))];
    all.push(Workflow { name: IDLE.into(), tasks, ..Workflow::default() });
    // It may fault itself, for which nothing is started.
    let mut own = Rng::with_seed(random.clone().u64(..));
    let mut tasks = vec![plain("t".into(), Kind::Call(Call::Echo, None))];
    if own.bool() {
        tasks.push(plain("u".into(), Kind::Raise(500)));
    }
    all.push(Workflow { name: SWEEP.into(), tasks, sweeps: true, ..Workflow::default() });
    all
}

fn name(number: usize) -> String {
    format!("w{number}")
}

struct Generator<'r> {
    random: &'r mut Rng,
    /// For what came later: what the seeds of before lead to stays as it was.
    own: Rng,
    /// Tasks still to make.
    left: i32,
    /// Number of the next task.
    next: u32,
    functions: Vec<String>,
    children: Vec<String>,
    /// Something is done around each `switch` of this workflow.
    around_switch: bool,
}

/// Where a task stands.
#[derive(Clone, Copy, Default)]
struct Scope {
    depth: u32,
    /// `$item` is a number here.
    item: bool,
    index: bool,
    status: bool,
    function: bool,
    /// Errors are caught somewhere above.
    tried: bool,
    /// Data must not grow.
    looped: bool,
    /// The surrounding list may start over: an event emitted then is a repeat of the first one.
    repeated: bool,
}

impl Scope {
    fn deeper(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

impl Generator<'_> {
    fn chance(&mut self, percent: u32) -> bool {
        self.random.u32(0..100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.usize(0..from.len())]
    }

    fn workflow(&mut self, name: String) -> Workflow {
        let sweeps = self.own.u32(0..100) < 40;
        let mut workflow = Workflow { name, sweeps, ..Workflow::default() };
        for number in 0..self.random.usize(0..=1) {
            let scope = Scope { depth: 2, function: true, repeated: true, ..Scope::default() };
            let function = self.one(scope);
            workflow.functions.push((format!("f{number}"), function));
        }
        self.functions = workflow.functions.iter().map(|it| it.0.clone()).collect();
        if self.chance(15) {
            workflow.extensions = self.extensions();
            self.around_switch = workflow.extensions.iter().any(|it| it.kind == "switch");
        }
        let scope = Scope::default();
        if self.chance(20) {
            workflow.from = Some(self.object(scope));
        }
        if self.chance(4) {
            workflow.timeout = Some(Timeout::Sure(self.random.u64(1..90_000)));
            workflow.tasks = self.endless(FOREVER_MS);
            return workflow;
        }
        workflow.timeout = match self.random.u32(0..100) {
            0..15 => Some(Timeout::Never),
            15..18 => Some(Timeout::Racy(self.random.u64(1..60_000))),
            _ => None,
        };
        workflow.tasks = self.list(scope);
        if self.chance(20) {
            workflow.output = Some(self.object(scope));
        }
        workflow
    }

    /// What is done around tasks of one kind. Not around those that listen: the events of a pair
    /// would be over before.
    fn extensions(&mut self) -> Vec<Extension> {
        let kind = self.pick(&["call", "composite", "wait", "switch", "emit", "try", "raise"]);
        let mut around = || {
            let tasks = (0..self.random.usize(1..=2)).map(|_| {
                let name = self.named();
                let kind = match self.random.u32(0..4) {
                    0 => Kind::Wait(self.random.u64(0..500)),
                    1 => Kind::Call(Call::Echo, None),
                    _ => Kind::Set(self.object(Scope::default())),
                };
                plain(name, kind)
            });
            tasks.collect()
        };
        (0..2).map(|_| Extension { kind, before: around(), after: around() }).collect()
    }

    /// A list: tasks, loops by jumps, jumps forward.
    fn list(&mut self, scope: Scope) -> Vec<Task> {
        let mut tasks = Vec::new();
        for _ in 0..self.random.usize(1..=if scope.depth == 0 { 5 } else { 3 }) {
            if self.chance(7) {
                tasks.extend(self.jump_loop());
            }
            tasks.push(self.one(scope));
        }
        self.direct(&mut tasks, scope);
        tasks
    }

    /// Gives tasks and cases of `switch` their flow directives.
    fn direct(&mut self, tasks: &mut [Task], scope: Scope) {
        let names: Vec<String> = tasks.iter().map(|task| task.name.clone()).collect();
        for (number, task) in tasks.iter_mut().enumerate() {
            // A task that counts of a loop goes to the case that decides on it.
            if task.then == Then::Continue && !task.name.starts_with('l') {
                task.then = self.flow(&names[number + 1..], scope, 8);
            }
            let Kind::Switch(cases) = &mut task.kind else { continue };
            if !task.name.starts_with('l') {
                for (_, then) in cases {
                    *then = self.flow(&names[number + 1..], scope, 70);
                }
            }
        }
    }

    fn flow(&mut self, later: &[String], scope: Scope, percent: u32) -> Then {
        if !self.chance(percent) {
            return Then::Continue;
        }
        match self.random.u32(0..10) {
            0 if scope.depth < 3 && self.chance(30) => Then::End,
            1 => Then::Exit,
            _ if later.is_empty() => Then::Continue,
            _ => Then::To(later[self.random.usize(0..later.len())].clone()),
        }
    }

    /// Three tasks that go round by `then` until a count is reached.
    fn jump_loop(&mut self) -> Vec<Task> {
        let rounds = match self.chance(4) {
            // More than one turn takes; with a task around each round it would be hours of them.
            true if self.around_switch => 5,
            true => 560,
            false => self.random.i64(2..5),
        };
        let member = |key: &str, expr| (key.to_owned(), expr);
        let plus_one = |name| Expr::Sum(Box::new(Expr::Field(name)), Box::new(Expr::Int(1)));
        let start = Shape::Object(vec![member("n", Expr::Field("n")), member("i", Expr::Int(0))]);
        let step = Shape::Object(vec![member("n", plus_one("n")), member("i", plus_one("i"))]);
        let number = self.next;
        self.next += 1;
        let task = |part: &str, kind| plain(format!("l{number}{part}"), kind);
        let again = Condition(Expr::Field("i"), i64::MAX, rounds);
        let back = Then::To(format!("l{number}b"));
        vec![
            task("a", Kind::Set(start)),
            task("b", Kind::Set(step)),
            task("c", Kind::Switch(vec![(Some(again), back)])),
        ]
    }

    /// One task with all its fields.
    fn one(&mut self, scope: Scope) -> Task {
        self.left -= 1;
        let mut task = self.bare(scope);
        let dispatched =
            matches!(task.kind, Kind::Call(Call::Echo | Call::Deadly | Call::Flaky(..), _));
        let named = |it: &mut Self, expr: Expr| match it.chance(6) {
            true => Expr::Sum(Box::new(expr), Box::new(Expr::Secret)),
            false => expr,
        };
        if self.chance(10) {
            let expr = self.number(scope);
            let expr = named(self, expr);
            task.condition = Some(Condition(expr, self.random.i64(2..4), 1));
        }
        if task.timeout.is_none() && self.chance(if dispatched { 40 } else { 10 }) {
            let mut expr = self.number(scope);
            if !dispatched {
                expr = named(self, expr);
            }
            task.from = Some(Shape::Object(vec![("n".into(), expr)]));
        }
        // What a task binds for its own list still holds where its output is made.
        let scope = match task.kind {
            Kind::For { .. } | Kind::Try(_) | Kind::Listen(_) => {
                Scope { item: false, index: false, status: false, ..scope }
            }
            _ => scope,
        };
        if task.output.is_none() && self.chance(10) {
            task.output = Some(self.shape(scope));
        }
        if !scope.function && self.chance(20) {
            let expr = match dispatched || self.chance(30) {
                true => Expr::Input,
                false => self.number(scope),
            };
            let expr = named(self, expr);
            task.export = Some((format!("c{}", self.random.u32(0..4)), expr));
        }
        if task.timeout.is_none() && self.chance(5) {
            task.timeout = Some(match self.chance(60) {
                true => Timeout::Never,
                false => Timeout::Racy(self.random.u64(1..40_000)),
            });
        }
        task
    }

    fn named(&mut self) -> String {
        self.next += 1;
        format!("t{}", self.next)
    }

    fn bare(&mut self, scope: Scope) -> Task {
        let name = self.named();
        if self.left < 0 || scope.depth > 4 {
            let shape = self.shape(scope);
            return plain(name, Kind::Set(shape));
        }
        let inner = scope.deeper();
        match self.random.u32(0..115) {
            0..18 => {
                let shape = self.shape(scope);
                plain(name, Kind::Set(shape))
            }
            18..32 => {
                let with = self.chance(70).then(|| self.members(scope));
                plain(name, Kind::Call(Call::Echo, with))
            }
            32..38 => {
                let with = Some(self.members(scope));
                let times = if scope.tried || self.chance(5) { self.random.u32(0..3) } else { 0 };
                let deadly = self.chance(if scope.tried { 10 } else { 1 });
                let flaky = Call::Flaky(times, self.status());
                plain(name, Kind::Call(if deadly { Call::Deadly } else { flaky }, with))
            }
            38..43 if !self.functions.is_empty() && !scope.function => {
                let with = self.chance(60).then(|| self.members(scope));
                plain(name, Kind::Call(Call::Own(self.functions[0].clone()), with))
            }
            43..51 => {
                let cases = self.random.usize(1..=3);
                let mut case = || {
                    let when = Condition(self.number(scope), 3, self.random.i64(1..3));
                    (Some(when), Then::Continue)
                };
                let mut cases: Vec<_> = (0..cases).map(|_| case()).collect();
                if self.chance(50) {
                    cases.push((None, Then::Continue));
                }
                plain(name, Kind::Switch(cases))
            }
            51..56 => {
                let tasks = self.list(inner);
                plain(name, Kind::Do(tasks))
            }
            56..62 => self.each(name, scope),
            62..69 => self.fork(name, inner),
            69..73 => self.race(name, scope),
            73..81 => self.attempts(name, inner),
            81..86 if scope.tried || self.chance(10) => plain(name, Kind::Raise(self.status())),
            86..91 => {
                let wait = plain(name, Kind::Wait(self.pick(&WAITS_MS)));
                match self.own.u32(0..100) < 30 {
                    true => asked(wait.name),
                    false => wait,
                }
            }
            91..94 => {
                let expr = self.number(scope);
                emit(name, "noise".into(), expr)
            }
            94..98 if !scope.repeated => self.pair(name, inner),
            98..102 => self.outside(name, inner),
            102..108 => self.child(name, scope),
            108..112 if scope.tried || self.chance(10) => self.overdue(name),
            108..112 => {
                let inner = self.named();
                let body = vec![self.overdue(inner)];
                let handler =
                    self.chance(60).then(|| self.list(Scope { status: true, ..scope.deeper() }));
                let (status, when, retry, then) = (None, None, None, None);
                let it = Try { body, status, when, retry, handler, then };
                plain(name, Kind::Try(Box::new(it)))
            }
            _ => {
                let with = Some(self.members(scope));
                plain(name, Kind::Call(Call::Echo, with))
            }
        }
    }

    fn status(&mut self) -> u16 {
        self.pick(&[409, 500, 503])
    }

    fn each(&mut self, name: String, scope: Scope) -> Task {
        let items = match self.random.u32(0..20) {
            0 => Items::Null,
            1 if scope.tried => Items::Bad,
            2 => Items::Range(520),
            3..8 => Items::Range(self.random.i64(1..4)),
            _ => Items::List((0..self.random.usize(0..4)).map(|_| self.random.i64(0..9)).collect()),
        };
        if matches!(items, Items::Range(5..)) {
            return many_steps(name);
        }
        let scope = Scope { item: true, index: true, looped: true, ..scope.deeper() };
        let condition = self.chance(20).then(|| Condition(self.number(scope), 4, 3));
        let body = self.list(scope);
        plain(name, Kind::For { items, condition, body })
    }

    fn fork(&mut self, name: String, scope: Scope) -> Task {
        let branches = (0..self.random.usize(0..=3)).map(|_| self.branch(scope)).collect();
        let mut task = plain(name, Kind::Fork { compete: false, branches });
        if scope.looped || self.chance(60) {
            // Outputs of forks within forks or loops would grow without end.
            task.output = Some(self.object(scope));
        }
        task
    }

    /// A branch: whatever comes after it in a list does not exist.
    fn branch(&mut self, scope: Scope) -> Task {
        let mut task = self.one(scope);
        if let Kind::Switch(cases) = &mut task.kind {
            cases.iter_mut().for_each(|(_, then)| *then = Then::Continue);
        }
        task
    }

    fn race(&mut self, name: String, scope: Scope) -> Task {
        if self.chance(30) {
            let repeated = scope.repeated;
            let scope = Scope { depth: 3, looped: true, tried: true, repeated, ..Scope::default() };
            let count = self.random.usize(2..=3);
            let branches = (0..count).map(|_| self.branch(scope)).collect();
            let mut task = plain(name, Kind::Fork { compete: true, branches });
            task.output = Some(self.object(Scope::default()));
            return task;
        }
        let mut kinds = vec![Kind::Raise(self.status()), Kind::Raise(409)];
        if !scope.tried || self.chance(80) {
            kinds[1] = Kind::Wait(FOREVER_MS);
            let shape = Shape::Object(self.members(Scope::default()));
            kinds.push(Kind::Set(shape));
        }
        self.random.shuffle(&mut kinds);
        let branches = kinds.into_iter().map(|kind| plain(self.named(), kind)).collect();
        plain(name, Kind::Fork { compete: true, branches })
    }

    fn attempts(&mut self, name: String, scope: Scope) -> Task {
        let retry = self.chance(60).then(|| Retry {
            count: self.random.u32(0..4),
            delay: self.pick(&[0, 0, 5, 1_000, 3_000, 70_000]),
            backoff: self.pick(&["constant", "linear", "exponential"]),
            jitter: self.chance(30).then(|| self.random.u64(1..500)),
            attempt: match self.random.u32(0..10) {
                0..2 => Some(Timeout::Never),
                2..5 => Some(Timeout::Sure(self.random.u64(1..3_000))),
                5 => Some(Timeout::Racy(self.random.u64(1..3_000))),
                _ => None,
            },
        });
        let attempt = retry.as_ref().and_then(|retry| retry.attempt);
        let inside = Scope { tried: true, repeated: true, ..scope };
        let body = match attempt {
            Some(Timeout::Sure(_)) => self.endless(HOUR_MS),
            _ => self.list(inside),
        };
        let sure = matches!(attempt, Some(Timeout::Sure(_)));
        let handler = Scope { status: true, repeated: scope.repeated, ..scope };
        let clause = Try {
            body,
            status: (!sure && self.chance(30)).then(|| self.status()),
            when: self.chance(20).then_some(Condition(Expr::Status, 2, 1)),
            retry,
            handler: self.chance(60).then(|| self.list(handler)),
            then: None,
        };
        let mut task = plain(name, Kind::Try(Box::new(clause)));
        if scope.looped {
            task.output = Some(self.object(Scope::default()));
        }
        task
    }

    /// Tasks that take long and leave nothing behind.
    fn endless(&mut self, longest: u64) -> Vec<Task> {
        let mut tasks = Vec::new();
        for _ in 0..self.random.usize(0..4) {
            let name = self.named();
            tasks.push(match self.random.u32(0..10) {
                0..4 => plain(name, Kind::Call(Call::Echo, None)),
                4..5 => many_steps(name),
                5 => plain(name, Kind::Wait(self.random.u64(0..5_000))),
                _ => plain(name, Kind::Set(Shape::Keep)),
            });
        }
        tasks.push(plain(self.named(), Kind::Wait(longest)));
        tasks
    }

    /// A task that its timeout ends for sure.
    fn overdue(&mut self, name: String) -> Task {
        let kind = match self.random.u32(0..5) {
            0 => Kind::Wait(HOUR_MS),
            1..3 => Kind::Child(IDLE.into(), true, None),
            3 => Kind::Do(self.endless(HOUR_MS)),
            _ => listen(Mode::One, vec!["never".into()], false, None),
        };
        let mut task = plain(name, kind);
        task.timeout = Some(Timeout::Sure(self.random.u64(1..4_000)));
        task
    }

    /// A fork in which one branch listens for what the other emits, somewhat later.
    fn pair(&mut self, name: String, scope: Scope) -> Task {
        let kind = |part: &str| format!("own.{name}.{part}");
        let (one, other, last) = (kind("a"), kind("b"), kind("z"));
        let (mode, types, emitted) = match self.random.u32(0..5) {
            0 => (Mode::One, vec![one.clone()], vec![other.clone(), one.clone()]),
            1 => (Mode::All, vec![one.clone(), other.clone()], vec![other, one]),
            2 => (Mode::UntilCount(2), vec![one.clone()], vec![one.clone(), other, one]),
            3 => (Mode::UntilType(last.clone()), vec![one.clone()], vec![one.clone(), one, last]),
            _ => (Mode::Any, vec![one.clone(), other.clone()], vec![other]),
        };
        let foreach = self.chance(40).then(|| self.foreach(scope));
        let listener = plain(self.named(), listen(mode, types, true, foreach));
        let mut emitter = vec![plain(self.named(), Kind::Wait(self.random.u64(1..3_000)))];
        for kind in emitted {
            let expr = self.number(Scope::default());
            let name = self.named();
            emitter.push(emit(name, kind, expr));
        }
        let emitter = plain(self.named(), Kind::Do(emitter));
        let mut task =
            plain(name, Kind::Fork { compete: false, branches: vec![listener, emitter] });
        if scope.looped {
            task.output = Some(self.object(Scope::default()));
        }
        task
    }

    /// Tasks for each event: the first one takes only what is known of it.
    fn foreach(&mut self, scope: Scope) -> Vec<Task> {
        let scope = Scope { item: false, index: true, looped: true, ..scope };
        let shape = Shape::Object(self.members(scope));
        let mut tasks = vec![plain(self.named(), Kind::Set(shape))];
        if self.chance(60) {
            // Events that a later attempt repeats would not count again.
            let inner = Scope { repeated: true, ..scope.deeper() };
            tasks.push(self.one(inner));
        }
        tasks
    }

    /// Listens for events from outside.
    fn outside(&mut self, name: String, scope: Scope) -> Task {
        let types: Vec<String> = OUTSIDE_TYPES.iter().map(|&it| it.to_owned()).collect();
        let (mode, types) = match self.random.u32(0..4) {
            0 => (Mode::One, vec![types[0].clone()]),
            1 => (Mode::Any, types),
            2 => (Mode::All, types),
            _ => (Mode::UntilCount(self.random.u32(1..3)), vec![types[1].clone()]),
        };
        let foreach = self.chance(50).then(|| self.foreach(scope));
        let known = foreach.is_some() && !scope.looped;
        let mut task = plain(name, listen(mode, types, false, foreach));
        if !known {
            task.output = Some(self.object(Scope::default()));
        }
        task
    }

    fn child(&mut self, name: String, scope: Scope) -> Task {
        let child = match self.children.is_empty() || self.chance(4) {
            true if scope.tried => "missing".to_owned(),
            true => return plain(name, Kind::Set(Shape::Keep)),
            false => self.children[self.random.usize(0..self.children.len())].clone(),
        };
        let input = self.chance(60).then(|| Shape::Object(self.members(scope)));
        let mut task = plain(name, Kind::Child(child, self.chance(75), input));
        if scope.looped {
            task.output = Some(self.object(Scope::default()));
        }
        task
    }

    fn shape(&mut self, scope: Scope) -> Shape {
        match self.random.u32(0..100) {
            0..50 => Shape::Object(self.members(scope)),
            50..62 => Shape::Keep,
            62..72 if !scope.looped => Shape::Wrap(self.number(scope)),
            72..80 => Shape::Text(self.number(scope)),
            80 => Shape::Bad,
            81..84 if scope.tried => Shape::Bad,
            84..88 => {
                let secret = Expr::Sum(Box::new(self.number(scope)), Box::new(Expr::Secret));
                Shape::Object(vec![("n".into(), secret)])
            }
            _ => Shape::Object(self.members(scope)),
        }
    }

    fn object(&mut self, scope: Scope) -> Shape {
        Shape::Object(self.members(scope))
    }

    fn members(&mut self, scope: Scope) -> Vec<(String, Expr)> {
        let mut members = vec![("n".to_owned(), self.number(scope))];
        if self.chance(30) {
            members.push((format!("m{}", self.random.u32(0..3)), self.number(scope)));
        }
        members
    }

    /// A number that is at most a little greater than what there is already.
    fn number(&mut self, scope: Scope) -> Expr {
        let base = match self.random.u32(0..10) {
            0 => Expr::Int(self.random.i64(0..20)),
            1 => Expr::Context(format!("c{}", self.random.u32(0..4))),
            2 => Expr::Start,
            3 if scope.item => Expr::Item,
            4 if scope.index => Expr::Index,
            5 if scope.status => Expr::Status,
            _ => Expr::Field("n"),
        };
        if self.chance(50) {
            let more = Expr::Int(self.random.i64(1..9));
            return Expr::Sum(Box::new(base), Box::new(more));
        }
        base
    }
}

/// A task with nothing but its kind.
/// People are asked, and whatever they say it goes on in the same way.
fn asked(name: String) -> Task {
    let output = Some(Shape::Object(vec![("n".into(), Expr::Int(7))]));
    Task { output, ..plain(name, Kind::Ask) }
}

fn plain(name: String, kind: Kind) -> Task {
    Task {
        name,
        condition: None,
        from: None,
        output: None,
        export: None,
        then: Then::Continue,
        timeout: None,
        kind,
    }
}

/// A loop with more steps than one turn takes.
fn many_steps(name: String) -> Task {
    let step = Expr::Sum(Box::new(Expr::Field("n")), Box::new(Expr::Int(1)));
    let body = vec![plain(format!("{name}s"), Kind::Set(Shape::Object(vec![("n".into(), step)])))];
    plain(name, Kind::For { items: Items::Range(520), condition: None, body })
}

/// An `emit`, of whose output only what is known beforehand is kept.
fn emit(name: String, kind: String, expr: Expr) -> Task {
    let mut task = plain(name, Kind::Emit(kind, expr));
    task.output = Some(Shape::Object(vec![("n".into(), Expr::Field("n"))]));
    task
}

fn listen(mode: Mode, types: Vec<String>, own: bool, foreach: Option<Vec<Task>>) -> Kind {
    Kind::Listen(Listen { mode, types, own, foreach })
}
