//! Definitions as pictures: boxes inside of boxes, from top to bottom.
//!
//! A list is a column, branches stand side by side, what is inside of a task stands in its box. So
//! nothing ever overlaps, and no edge has to be routed: steps are straight lines down, jumps are
//! curves along the right side.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::{id, kind};
use crate::limits::{GRAPH_BOXES, GRAPH_LABEL_CHARACTERS};
use crate::plan::{Case, Flow, Kind, Plan, Task, TaskIx};
use crate::xml;

/// Pixels: between boxes, around them, of a line of text, of a letter, of a box.
const GAP: u32 = 28;
const PAD: u32 = 14;
const LINE: u32 = 18;
const LETTER: u32 = 8;
const LEAST: u32 = 120;
const CIRCLE: u32 = 9;

/// How the boxes in a box stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stand {
    Down,
    Across,
}

/// What a page shows of a task in its picture.
#[derive(Clone, Debug, Default)]
pub struct Mark {
    /// A class for the page's style sheet, such as `completed`.
    pub class: &'static str,
    /// A few words beside the task's name, such as how often it was visited.
    pub note: String,
    /// Where the task leads to.
    pub link: Option<String>,
}

struct Node {
    id: String,
    mark: Option<Mark>,
    name: String,
    kind: String,
    inside: Vec<Node>,
    stand: Stand,
    at: Place,
}

#[derive(Clone, Copy, Default)]
struct Place {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

/// What leads from a box to another one.
struct Edge {
    from: String,
    to: String,
    label: Option<String>,
    dashed: bool,
    /// To the next box of the same column.
    is_step: bool,
}

/// A picture; none of a definition with more tasks than fit on any page.
pub(super) fn svg(plan: &Plan) -> Option<String> {
    picture(plan, STYLE, &|_| None)
}

/// The picture for a page whose style sheet has the colours, with a mark for each task; none of a
/// definition with more tasks than fit on any page.
#[must_use]
pub fn marked(plan: &Plan, mark: &dyn Fn(TaskIx) -> Option<Mark>) -> Option<String> {
    picture(plan, "", mark)
}

fn picture(plan: &Plan, style: &str, mark: &dyn Fn(TaskIx) -> Option<Mark>) -> Option<String> {
    if plan.tasks.len() > GRAPH_BOXES {
        return None;
    }
    let mut drawn = Drawn { plan, mark, edges: Vec::new() };
    let mut roots = vec![drawn.root()];
    for (name, task) in &plan.functions {
        let inside = vec![drawn.node(*task)];
        let id = format!("f{}", task.0);
        roots.push(Node::around(id, name.to_string(), "function".to_owned(), inside, Stand::Down));
    }
    let mut x = PAD;
    let mut height = 0;
    for root in &mut roots {
        root.measure();
        root.put(x, PAD);
        x += root.at.width + GAP;
        height = height.max(root.at.height);
    }
    // Jumps run beside the boxes.
    let (width, height) = (x + GAP, height + 2 * PAD);
    // What is inside of a picture is no link to who does not see it.
    let role = if style.is_empty() { "group" } else { "img" };
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\" class=\"graph\" \
         role=\"{role}\">\n\
         <title>{}</title>\n{TIP}{style}",
        escaped(&plan.id.to_string())
    );
    let mut places = HashMap::new();
    roots.iter().for_each(|it| it.draw(&mut text, &mut places));
    for edge in &drawn.edges {
        edge.draw(&mut text, &places);
    }
    text.push_str("</svg>\n");
    Some(text)
}

const TIP: &str = "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" \
    markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0 8 4 0 8z\"/></marker></defs>\n";

const STYLE: &str = "\
    <style>rect{fill:#fff;stroke:#456}rect.frame{fill:#f4f6f9}path.edge{fill:none;stroke:#234}\
    .kind{fill:#567;font-size:11px}text.label{font-size:11px;fill:#234}</style>\n";

struct Drawn<'p> {
    plan: &'p Plan,
    mark: &'p dyn Fn(TaskIx) -> Option<Mark>,
    edges: Vec<Edge>,
}

impl Drawn<'_> {
    /// The workflow itself: begin, tasks, end.
    fn root(&mut self) -> Node {
        let list = self.plan.root.to_vec();
        let mut inside = vec![Node::circle("begin")];
        inside.extend(self.list(&list, Some("finish")));
        inside.push(Node::circle("finish"));
        let first = inside.get(1).map(|it| it.id.clone());
        let to = first.unwrap_or_else(|| "finish".to_owned());
        let (from, label) = ("begin".to_owned(), None);
        self.edges.push(Edge { from, to, label, dashed: false, is_step: true });
        let id = self.plan.id.to_string();
        Node::around("all".to_owned(), id, String::new(), inside, Stand::Down)
    }

    /// The tasks of a list, and what leads from one to the next.
    fn list(&mut self, list: &[TaskIx], after: Option<&str>) -> Vec<Node> {
        let ids: Vec<String> = list.iter().map(|it| id(*it)).collect();
        for (position, index) in list.iter().enumerate() {
            let task = self.plan.task(*index);
            let next = ids.get(position + 1).map(String::as_str).or(after);
            let to = |flow: Flow| match flow {
                Flow::Continue => next,
                Flow::Exit => after,
                Flow::End => Some("finish"),
                Flow::Task(position) => ids.get(position as usize).map(String::as_str),
            };
            let mut ways: Vec<(Option<&str>, Option<String>, bool)> = Vec::new();
            match &task.kind {
                Kind::Raise(_) => {}
                Kind::Switch(cases) => {
                    let of = |it: &Case| (to(it.then), Some(it.name.to_string()), false);
                    ways.extend(cases.iter().map(of));
                    if cases.iter().all(|it| it.when.is_some()) {
                        ways.push((to(task.then), Some("else".to_owned()), false));
                    }
                }
                _ => ways.push((to(task.then), None, false)),
            }
            if task.condition.is_some() {
                ways.push((next, Some("if not".to_owned()), true));
            }
            for (to, label, dashed) in ways {
                let Some(to) = to else { continue };
                let is_step = Some(to) == next && !dashed;
                let (from, to) = (id(*index), to.to_owned());
                self.edges.push(Edge { from, to, label, dashed, is_step });
            }
        }
        list.iter().map(|it| self.node(*it)).collect()
    }

    fn node(&mut self, index: TaskIx) -> Node {
        let plan = self.plan;
        let task: &Task = plan.task(index);
        let kind = kind(task);
        let (inside, stand) = match &task.kind {
            Kind::Do(list) => (self.list(list, None), Stand::Down),
            Kind::For(it) => (self.list(&it.body, None), Stand::Down),
            Kind::Fork(fork) => {
                (fork.branches.iter().map(|it| self.node(*it)).collect(), Stand::Across)
            }
            Kind::Listen(listen) => match &listen.each {
                Some(each) => (self.list(&each.body, None), Stand::Down),
                None => (Vec::new(), Stand::Down),
            },
            Kind::Try(it) => {
                let part = |name: &str, number: usize, inside| {
                    let id = format!("{}_{name}{number}", id(index));
                    Node::around(id, name.to_owned(), String::new(), inside, Stand::Down)
                };
                let mut parts = vec![part("try", 0, self.list(&it.body, None))];
                for (number, clause) in it.clauses.iter().enumerate() {
                    let Some(list) = &clause.body else { continue };
                    parts.push(part("catch", number, self.list(list, None)));
                }
                (parts, Stand::Across)
            }
            _ => (Vec::new(), Stand::Down),
        };
        let node = Node::around(id(index), task.name.to_string(), kind, inside, stand);
        Node { mark: (self.mark)(index), ..node }
    }
}

impl Node {
    fn around(id: String, name: String, kind: String, inside: Vec<Node>, stand: Stand) -> Self {
        let name = cut(&name);
        Self { id, mark: None, name, kind, inside, stand, at: Place::default() }
    }

    fn circle(id: &str) -> Self {
        Self::around(id.to_owned(), String::new(), String::new(), Vec::new(), Stand::Down)
    }

    fn is_circle(&self) -> bool {
        self.name.is_empty() && self.kind.is_empty() && self.inside.is_empty()
    }

    /// Its name, with what its mark says.
    fn title(&self) -> String {
        match &self.mark {
            Some(mark) if !mark.note.is_empty() => format!("{} {}", self.name, mark.note),
            _ => self.name.clone(),
        }
    }

    /// How high its head is, with its name and its kind.
    fn head(&self) -> u32 {
        (if self.kind.is_empty() { 1 } else { 2 }) * LINE + PAD
    }

    /// What is between those inside of it, all together.
    fn gaps(&self) -> u32 {
        u32::try_from(self.inside.len().saturating_sub(1)).unwrap_or(0) * GAP
    }

    /// How much room it takes.
    fn measure(&mut self) {
        self.inside.iter_mut().for_each(Self::measure);
        if self.is_circle() {
            (self.at.width, self.at.height) = (2 * CIRCLE, 2 * CIRCLE);
            return;
        }
        let letters = self.title().chars().count().max(self.kind.chars().count());
        let title = u32::try_from(letters).unwrap_or(u32::MAX).min(200) * LETTER + 2 * PAD;
        let (head, gaps) = (self.head(), self.gaps());
        let sizes = || self.inside.iter().map(|it| it.at);
        let (width, height) = match self.stand {
            Stand::Down => (
                sizes().map(|it| it.width).max().unwrap_or(0),
                sizes().map(|it| it.height).sum::<u32>() + gaps,
            ),
            Stand::Across => (
                sizes().map(|it| it.width).sum::<u32>() + gaps,
                sizes().map(|it| it.height).max().unwrap_or(0),
            ),
        };
        let around = if self.inside.is_empty() { 0 } else { 2 * PAD };
        self.at.width = (width + around).max(title).max(LEAST);
        self.at.height = head + height + around;
    }

    /// Puts it there, and what is in it.
    fn put(&mut self, x: u32, y: u32) {
        (self.at.x, self.at.y) = (x, y);
        let taken = self.inside.iter().map(|it| it.at.width).sum::<u32>() + self.gaps();
        let mut left = x + (self.at.width.saturating_sub(taken)) / 2;
        let mut top = y + self.head() + PAD;
        for it in &mut self.inside {
            match self.stand {
                Stand::Down => {
                    it.put(x + (self.at.width.saturating_sub(it.at.width)) / 2, top);
                    top += it.at.height + GAP;
                }
                Stand::Across => {
                    it.put(left, top);
                    left += it.at.width + GAP;
                }
            }
        }
    }

    fn draw(&self, text: &mut String, places: &mut HashMap<String, Place>) {
        let Place { x, y, width, height } = self.at;
        places.insert(self.id.clone(), self.at);
        // Writing to a String cannot fail.
        if self.is_circle() {
            let (x, y) = (x + CIRCLE, y + CIRCLE);
            let _ = writeln!(text, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{CIRCLE}\"/>");
            return;
        }
        let mark = self.mark.clone().unwrap_or_default();
        let class = match (self.inside.is_empty(), mark.class) {
            (true, "") => String::new(),
            (true, mark) => format!(" class=\"{mark}\""),
            (false, "") => " class=\"frame\"".to_owned(),
            (false, mark) => format!(" class=\"frame {mark}\""),
        };
        let middle = x + width / 2;
        if let Some(link) = &mark.link {
            let state = format!("{}: {}", self.title(), mark.class);
            let (link, state) = (escaped(link), escaped(&state));
            let _ = writeln!(text, "<a href=\"{link}\"><title>{state}</title>");
        }
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"5\"{class}/>\n\
             <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            y + LINE,
            escaped(&self.title()),
        );
        if !self.kind.is_empty() {
            let _ = writeln!(
                text,
                "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" class=\"kind\">{}</text>",
                y + 2 * LINE,
                escaped(&self.kind),
            );
        }
        if mark.link.is_some() {
            text.push_str("</a>\n");
        }
        self.inside.iter().for_each(|it| it.draw(text, places));
    }
}

impl Edge {
    fn draw(&self, text: &mut String, places: &HashMap<String, Place>) {
        let (Some(from), Some(to)) = (places.get(&self.from), places.get(&self.to)) else { return };
        let dash = if self.dashed { " stroke-dasharray=\"4 3\"" } else { "" };
        let (path, x, y) = if self.is_step {
            let (x, y) = (from.x + from.width / 2, from.y + from.height);
            let (end, below) = (to.x + to.width / 2, to.y);
            (format!("M{x} {y} L{end} {below}"), x + 6, (y + below) / 2 + 4)
        } else {
            let (x, y) = (from.x + from.width, from.y + from.height / 2);
            let (end, other) = (to.x + to.width, to.y + to.height / 2);
            let beside = x.max(end) + GAP;
            (
                format!("M{x} {y} C{beside} {y} {beside} {other} {end} {other}"),
                x + 4,
                y.saturating_sub(4),
            )
        };
        let _ =
            writeln!(text, "<path class=\"edge\" d=\"{path}\" marker-end=\"url(#tip)\"{dash}/>");
        if let Some(label) = &self.label {
            let label = escaped(&cut(label));
            let _ = writeln!(text, "<text class=\"label\" x=\"{x}\" y=\"{y}\">{label}</text>");
        }
    }
}

fn cut(text: &str) -> String {
    let mut out: String = text.chars().take(GRAPH_LABEL_CHARACTERS).collect();
    if text.chars().nth(GRAPH_LABEL_CHARACTERS).is_some() {
        out.push('…');
    }
    out
}

/// Text that is nothing but text to XML, in one line.
fn escaped(text: &str) -> String {
    xml::escaped(text).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use crate::definition::{Options, load};

    use super::{Drawn, Mark, Node, marked, svg};

    const TEXT: &str = "
document: { dsl: '1.0.3', namespace: t, name: t, version: '1.0.0' }
do:
  - s: { switch: [ { big: { when: .n > 1, then: x } }, { small: { then: end } } ] }
  - x: { set: { a: 1 }, if: .n > 2 }
  - t:
      try: [ { c: { call: x } } ]
      catch: { do: [ { r: { raise: { error: { type: 'https://a/b', status: 500 } } } } ] }
  - 'odd <\"&> name': { fork: { branches: [ { one: { set: { a: 1 } } }, { two: { wait: PT1S } } ] } }
";

    /// Boxes next to each other do not overlap, and what is inside of one stays there.
    fn apart(node: &Node) {
        for (number, it) in node.inside.iter().enumerate() {
            let (a, around) = (it.at, node.at);
            assert!(a.x >= around.x && a.x + a.width <= around.x + around.width, "{}", it.id);
            assert!(a.y >= around.y && a.y + a.height <= around.y + around.height, "{}", it.id);
            for other in node.inside.iter().skip(number + 1) {
                let b = other.at;
                let beside = a.x + a.width <= b.x || b.x + b.width <= a.x;
                let above = a.y + a.height <= b.y || b.y + b.height <= a.y;
                assert!(beside || above, "{} and {}", it.id, other.id);
            }
            apart(it);
        }
    }

    #[test]
    fn boxes_stand_apart_and_text_is_text() {
        let Some(plan) = load(TEXT, &Options::default()).plan else {
            return assert!(TEXT.is_empty());
        };
        let mut root = Drawn { plan: &plan, mark: &|_| None, edges: Vec::new() }.root();
        root.measure();
        root.put(0, 0);
        apart(&root);
        let picture = svg(&plan).unwrap_or_default();
        assert!(picture.contains("odd &lt;&quot;&amp;&gt; name"), "{picture}");
        assert_eq!(picture.matches("<circle").count(), 2);
        // Six tasks, two parts of `try`, the branches, the whole.
        assert_eq!(picture.matches("<rect").count(), 11, "{picture}");
        assert!(
            picture.contains(">big</text>") && picture.contains("stroke-dasharray"),
            "{picture}"
        );
        assert_eq!(picture, svg(&plan).unwrap_or_default(), "the same each time");
    }

    #[test]
    fn a_page_marks_tasks_and_brings_the_colours() {
        let Some(plan) = load(TEXT, &Options::default()).plan else {
            return assert!(TEXT.is_empty());
        };
        let mark = |index| {
            let link = Some("/a?b=1&c=\"".to_owned());
            let mark = Mark { class: "completed", note: "×3".to_owned(), link };
            (&*plan.task(index).name == "x").then_some(mark)
        };
        let picture = marked(&plan, &mark).unwrap_or_default();
        assert!(!picture.contains("<style"), "a page refuses styles of its parts");
        assert!(picture.contains("class=\"completed\"") && picture.contains(">x ×3</text>"));
        let link = "<a href=\"/a?b=1&amp;c=&quot;\"><title>x ×3: completed</title>";
        assert!(picture.contains(link), "{picture}");
        assert!(picture.contains("role=\"group\""), "what is in an image is no link");
    }
}
