//! The workflows of the load, and what each must give.

use serde_json::{Value, json};

/// One instance to start.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    /// The id the client gave it.
    pub(crate) id: String,
    /// Name of its workflow, in the namespace [`NAMESPACE`].
    pub(crate) workflow: &'static str,
    /// Its input: `n`, and its own id as `key`.
    pub(crate) input: Value,
    n: u64,
}

/// The namespace of all workflows.
pub(crate) const NAMESPACE: &str = "load";

/// Every kind of workflow, in turn.
const WORKFLOWS: [&str; 8] =
    ["waits", "flaky", "slow", "forks", "listens", "emits", "loops", "parent"];

/// `count` instances with random ids and inputs.
pub(crate) fn instances(count: usize, random: &mut fastrand::Rng) -> Vec<Instance> {
    let one = |index: usize| {
        let id = uuid::Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid();
        let (id, n) = (id.to_string(), random.u64(1..1000));
        let input = json!({"n": n, "key": id});
        Instance { id, workflow: WORKFLOWS[index % WORKFLOWS.len()], input, n }
    };
    (0..count).map(one).collect()
}

impl Instance {
    /// Whether it waits for an event from outside.
    pub(crate) fn needs_event(&self) -> bool {
        self.workflow == "listens"
    }

    /// Paths of all steps the counting server must see.
    pub(crate) fn steps(&self) -> Vec<String> {
        let id = &self.id;
        match self.workflow {
            "waits" => vec![format!("/before/{id}"), format!("/after/{id}")],
            "flaky" => vec![format!("/flaky/{id}")],
            "slow" => vec![format!("/slow/{id}")],
            "forks" => (0..3).map(|it| format!("/branch/{it}/{id}")).collect(),
            "listens" => vec![format!("/heard/{id}")],
            "loops" => (0..4).map(|it| format!("/loop/{it}/{id}")).collect(),
            "parent" => vec![format!("/child/{id}"), format!("/joined/{id}")],
            _ => Vec::new(),
        }
    }

    /// The output the instance must have.
    pub(crate) fn output(&self) -> Value {
        let (id, n) = (&self.id, self.n);
        match self.workflow {
            "waits" => json!({"n": n + 1, "step": format!("/after/{id}")}),
            "flaky" => json!({"n": n * 2, "step": format!("/flaky/{id}")}),
            "slow" => json!({"n": n + 7, "step": format!("/slow/{id}")}),
            "forks" => {
                let steps: Vec<String> = (0..3).map(|it| format!("/branch/{it}/{id}")).collect();
                json!({"n": n, "steps": steps})
            }
            "listens" => json!({"heard": [{"for": id}], "step": format!("/heard/{id}")}),
            "emits" => json!({"got": n}),
            "loops" => json!({"sum": n * (1 + 2 + 3)}),
            _ => json!({"tripled": n * 3, "step": format!("/joined/{id}")}),
        }
    }
}

/// The definitions; `base` is the address of the counting server.
pub(crate) fn definitions(base: &str) -> Vec<String> {
    let bodies = [
        ("waits", WAITS),
        ("flaky", FLAKY),
        ("slow", SLOW),
        ("forks", FORKS),
        ("listens", LISTENS),
        ("emits", EMITS),
        ("loops", LOOPS),
        ("parent", PARENT),
        ("child", CHILD),
    ];
    let text = |(name, body): (&str, &str)| {
        let head = format!(
            "document:\n  dsl: '1.0.3'\n  namespace: {NAMESPACE}\n  name: {name}\n  version: '1.0.0'\n"
        );
        head + &body.replace("BASE", base)
    };
    bodies.map(text).to_vec()
}

const WAITS: &str = r"
do:
  - before:
      call: http
      with: { method: post, endpoint: 'BASE/before/{key}' }
      output: { as: '${ $input }' }
  - rest:
      wait: { milliseconds: 700 }
  - count:
      set: { n: '${ .n + 1 }', key: '${ .key }' }
  - restAgain:
      wait: PT0.3S
  - after:
      call: http
      with: { method: post, endpoint: 'BASE/after/{key}' }
      output: { as: '${ {n: $input.n, step} }' }
";

const FLAKY: &str = r"
do:
  - persist:
      try:
        - call:
            call: http
            with: { method: post, endpoint: 'BASE/flaky/{key}' }
      catch:
        errors: { with: { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/communication' } }
        retry:
          delay: { milliseconds: 150 }
          backoff: { exponential: {} }
          jitter: { from: { milliseconds: 1 }, to: { milliseconds: 40 } }
          limit: { attempt: { count: 8 } }
      output: { as: '${ {n: ($input.n * 2), step} }' }
";

const SLOW: &str = r"
do:
  - call:
      call: http
      with: { method: post, endpoint: 'BASE/slow/{key}' }
      output: { as: '${ {n: ($input.n + 7), step} }' }
";

const FORKS: &str = r"
do:
  - all:
      fork:
        branches:
          - zero: { call: http, with: { method: post, endpoint: 'BASE/branch/0/{key}' } }
          - one:
              do:
                - rest: { wait: { milliseconds: 200 } }
                - call: { call: http, with: { method: post, endpoint: 'BASE/branch/1/{key}' } }
          - two: { call: http, with: { method: post, endpoint: 'BASE/branch/2/{key}' } }
  - join:
      set: { n: '${ $workflow.input.n }', steps: '${ map(.step) }' }
";

const LISTENS: &str = r"
do:
  - hear:
      listen:
        to:
          one:
            with: { type: com.example.load.go }
            correlate: { key: { from: .subject, expect: '${ .key }' } }
  - keep:
      set: { heard: '${ . }', key: '${ $workflow.input.key }' }
  - call:
      call: http
      with: { method: post, endpoint: 'BASE/heard/{key}' }
      output: { as: '${ {heard: $input.heard, step} }' }
";

const EMITS: &str = r"
do:
  - both:
      fork:
        branches:
          - hear:
              listen:
                to:
                  one:
                    with: { type: com.example.load.inner }
                    correlate: { key: { from: .subject, expect: '${ .key }' } }
          - tell:
              do:
                - rest: { wait: { milliseconds: 400 } }
                - say:
                    emit:
                      event:
                        with:
                          source: /load
                          type: com.example.load.inner
                          subject: ${ .key }
                          data: { n: '${ .n }' }
  - result:
      set: { got: '${ .[0][0].n }' }
";

const LOOPS: &str = r#"
do:
  - begin:
      set: { sum: 0 }
  - loop:
      for: { each: item, in: '[range(4)]', at: place }
      do:
        - call:
            call: http
            with:
              method: post
              endpoint: '${ "BASE/loop/" + ($item | tostring) + "/" + $workflow.input.key }'
            output: { as: '${ {sum: $input.sum} }' }
        - add:
            set: { sum: '${ .sum + $workflow.input.n * $place }' }
"#;

const PARENT: &str = r"
do:
  - nest:
      run:
        workflow:
          namespace: load
          name: child
          version: '1.0.0'
          input: { n: '${ .n }', key: '${ .key }' }
  - call:
      call: http
      with: { method: post, endpoint: 'BASE/joined/{key}' }
      output: { as: '${ {tripled: $input.tripled, step} }' }
";

const CHILD: &str = r"
do:
  - call:
      call: http
      with: { method: post, endpoint: 'BASE/child/{key}' }
      output: { as: '${ $input }' }
  - rest:
      wait: { milliseconds: 250 }
  - triple:
      set: { tripled: '${ .n * 3 }', key: '${ .key }' }
";
