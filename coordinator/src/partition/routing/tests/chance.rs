//! Definitions that listen, and events, by chance: few names and values, so that many nearly match.

use std::sync::Arc;

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::InstanceId;
use windlass_proto::sealed::Sealed;
use windlass_proto::value::Value;

use super::json;

/// Values that are equal, or look as if they were.
const VALUES: &[&str] = &[
    "1",
    "1",
    "1",
    "1.0",
    "\"1\"",
    "\"a\"",
    "\"a\"",
    "\"b\"",
    "null",
    "true",
    "false",
    "[1]",
    "{\"a\":1}",
    "0",
    "9007199254740993",
    "9007199254740992.0",
    "123456789012345678901234567890",
    "\"a.*\"",
    "2",
];

/// What expressions about data are made of; `V` is a value, `S` something that is always the same.
const DATA: &[&str] = &[
    ".a == V",
    "V == .a",
    ".a == S",
    "S == .b.c",
    ".a == S and .b.c == V",
    ".b.c == V and .a != 2",
    ".a == V or .b.c == V",
    ".list[] == 1 and .a == V",
    ".a == V and (.list[] == 1)",
    "S",
    ".a",
    ".b",
    "[.a] == [V]",
    ".a? == V",
    "(.a == V) | not",
    "(.a | tostring) == \"1\"",
    ". == V",
    ".b == V",
    ".a == V and ([.list[]?] | length > 0)",
    "\"x\\(.list[])\" == \"x1\" and .a == V",
    ".a[0] == V",
    ".a.x == V",
    "if .a == V then .b.c == V else true end",
    ". as $x | $x.a == V",
    ".b.c == .a",
];

/// What the conditions of a member or an attribute are made of.
const PART: &[&str] = &["S", ". == V", ". == S", "V", ". != V", ".c == V", "startswith(\"a\")"];

/// Something that is the same for every event, or seems so.
const SAME: &[&str] = &[
    "$context.k",
    "$input.k",
    "$input.s",
    "$context.none",
    "$each",
    "$workflow.input.k",
    "$input.l[0]",
    "$task.input.k",
    "$context",
    "$context.k.x",
];

pub(super) struct Chance(fastrand::Rng);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// At least one.
    pub(super) fn up_to(&mut self, most: usize) -> usize {
        self.0.usize(1..=most)
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.0.u32(0..count) == 0
    }

    fn of(&mut self, all: &[&str]) -> String {
        (*self.0.choice(all).unwrap()).to_owned()
    }

    fn expression(&mut self, all: &[&str]) -> String {
        let mut text = self.of(all);
        while let Some(at) = text.find(['V', 'S']) {
            let new = match text.as_bytes()[at] {
                b'V' => self.of(VALUES).replace("{\"a\":1}", "{a: 1}"),
                _ => self.of(SAME),
            };
            text.replace_range(at..=at, &new);
        }
        // In YAML's quotes.
        format!("'${{ {} }}'", text.replace('\'', "''"))
    }

    /// A filter; `each` may be what an enclosing loop binds.
    fn filter(&mut self) -> String {
        let mut with = Vec::new();
        if !self.one_in(5) {
            let kind = self.of(&["t", "t", "u", "'t.*'", "'${ $input.s }'", "'${ . == \"t\" }'"]);
            with.push(format!("type: {kind}"));
        }
        for name in ["source", "subject", "prio"] {
            if self.one_in(4) {
                let value = match self.0.u32(0..5) {
                    0..3 => self.of(VALUES),
                    3 => self.expression(PART),
                    _ => self.of(&["'a${ $input.k }'", "'${ $context.k }x'", "'a${ . }'"]),
                };
                with.push(format!("{name}: {value}"));
            }
        }
        if !self.one_in(4) {
            let data = self.data();
            with.push(format!("data: {data}"));
        }
        if with.is_empty() {
            with.push("source: a".to_owned());
        }
        let with = with.join(", ");
        match self.one_in(3) {
            true => format!("{{with: {{{with}}}, correlate: {{{}}}}}", self.correlations()),
            false => format!("{{with: {{{with}}}}}"),
        }
    }

    fn data(&mut self) -> String {
        match self.0.u32(0..4) {
            0 => self.expression(DATA),
            1 => format!("{{a: {}}}", self.of(VALUES)),
            2 => format!("{{a: {}, b: {{c: {}}}}}", self.of(VALUES), self.expression(PART)),
            _ => format!("{{a: {}, b: {}}}", self.expression(PART), self.expression(PART)),
        }
    }

    fn correlations(&mut self) -> String {
        let mut all = Vec::new();
        for key in ["x", "y"] {
            if all.is_empty() || self.one_in(3) {
                let from = self.of(&[
                    ".data.a",
                    ".data.b.c",
                    ".subject",
                    "'(.data.a | tostring)'",
                    ".type",
                ]);
                let expect = match self.0.u32(0..3) {
                    0 => String::new(),
                    1 => format!(", expect: {}", self.of(VALUES)),
                    _ => {
                        format!(", expect: {}", self.of(&["'${ $context.k }'", "'${ $input.k }'"]))
                    }
                };
                all.push(format!("{key}: {{from: {from}{expect}}}"));
            }
        }
        all.join(", ")
    }

    fn strategy(&mut self, may_go_on: bool) -> String {
        let filters: Vec<String> = (0..self.up_to(2)).map(|_| self.filter()).collect();
        let filters = filters.join(", ");
        match self.0.u32(0..4) {
            0 => format!("{{one: {}}}", self.filter()),
            1 => format!("{{all: [{filters}]}}"),
            2 if may_go_on => {
                let until = match self.0.u32(0..3) {
                    0 => self.strategy(false),
                    1 => "'(. | length) == 3'".to_owned(),
                    _ => "'. | any(. == $input.k)'".to_owned(),
                };
                format!("{{any: [{filters}], until: {until}}}")
            }
            _ if self.one_in(8) => "{any: []}".to_owned(),
            _ => format!("{{any: [{filters}]}}"),
        }
    }

    fn listen(&mut self, name: &str) -> String {
        let to = self.strategy(true);
        let foreach = match self.0.u32(0..3) {
            0 => ", foreach: {item: ev, at: n, export: {as: '$context + {k: .a}'}}".to_owned(),
            1 => ", foreach: {item: ev, at: n, do: [{s: {set: '${ $ev }', export: {as: '${ {k: $n} }'}}}]}"
                .to_owned(),
            _ => String::new(),
        };
        format!("{name}: {{listen: {{to: {to}}}{foreach}}}")
    }

    /// A definition whose tasks listen: alone, one after the other, in branches, in a loop, in a
    /// `try`.
    pub(super) fn definition(&mut self) -> String {
        let before = "{b: {set: '${ $workflow.input }', export: {as: '.'}}}";
        let tasks = match self.0.u32(0..5) {
            0 => format!("{{{}}}", self.listen("l")),
            1 => format!("{{{}}}, {{{}}}", self.listen("l"), self.listen("m")),
            2 => {
                let branches = format!("[{{{}}}, {{{}}}]", self.listen("l"), self.listen("m"));
                format!("{{f: {{fork: {{branches: {branches}}}}}}}")
            }
            3 => format!(
                "{{f: {{for: {{each: each, in: '${{ [$context.k, 1] }}'}}, do: [{{{}}}]}}}}",
                self.listen("l")
            ),
            _ => format!("{{t: {{try: [{{{}}}], catch: {{do: []}}}}}}", self.listen("l")),
        };
        let text = format!("do: [{before}, {tasks}]");
        // Only a loop binds it.
        if tasks.contains("{for:") { text } else { text.replace("$each", "$input.k") }
    }

    fn value(&mut self) -> Value {
        let value = json(&self.of(VALUES));
        if !self.one_in(10) {
            return value;
        }
        Value::Sealed(Arc::new(Sealed {
            key: "test".into(),
            namespace: "test".into(),
            instance: InstanceId(uuid::Uuid::nil()),
            ciphertext: value.to_json().into_bytes(),
        }))
    }

    pub(super) fn input(&mut self) -> Value {
        let kind = Value::from(self.of(&["t", "u", "a"]));
        let list = Value::array(vec![self.value()]);
        Value::object([("k", self.value()), ("s", kind), ("l", list)])
    }

    pub(super) fn event(&mut self, number: usize) -> Arc<CloudEvent> {
        let mut members = vec![
            ("specversion", Value::from("1.0")),
            ("id", Value::from(number.to_string())),
            ("source", Value::from(self.of(&["a", "b", "1"]))),
            ("type", Value::from(self.of(&["t", "t", "t", "u", "a"]))),
        ];
        if self.one_in(2) {
            members.push(("subject", Value::from(self.of(&["a", "1", "a1", "2"]))));
        }
        if self.one_in(2) {
            members.push(("prio", self.value()));
        }
        match self.0.u32(0..10) {
            0 => {}
            1 => members.push(("data", self.value())),
            _ => members.push(("data", self.body())),
        }
        Arc::new(CloudEvent::from_value(Value::object(members)).unwrap())
    }

    fn body(&mut self) -> Value {
        let mut members = Vec::new();
        if !self.one_in(6) {
            members.push(("a", self.value()));
        }
        match self.0.u32(0..4) {
            0 => {}
            1 => members.push(("b", self.value())),
            _ => members.push(("b", Value::object([("c", self.value())]))),
        }
        if self.one_in(2) {
            members.push(("list", json(&self.of(&["[]", "[1]", "[1, 2]"]))));
        }
        Value::object(members)
    }
}
