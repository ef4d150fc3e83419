//! Text to a tree: YAML 1.2 (of which JSON is a part) with the core schema, within limits.

mod json;
mod pairs;
mod scalar;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use indexmap::map::Entry;
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::codes;
use super::findings::Findings;
use super::node::{Data, Mapping, Member, Node, Place, Pointers, Span, Step, Style};
use crate::limits;

/// Bytes of a scalar that count as much as one node.
const BYTES_A_NODE: usize = 32;

/// Parses `text`; `None` when a finding says why not.
pub(super) fn parse(text: &str, findings: &mut Findings) -> Option<Node> {
    parse_more(text, findings, &mut 0)
}

/// As [`parse`], for a text that belongs to others, of which `nodes` were read before.
pub(super) fn parse_more(text: &str, findings: &mut Findings, nodes: &mut usize) -> Option<Node> {
    if is_too_large(text, findings) {
        return None;
    }
    let begun = || Builder { count: *nodes, ..Builder::default() };
    let mut builder = begun();
    let mut outcome = builder.run(text);
    let rewrites: [fn(&str) -> Option<String>; 2] = [json::as_yaml, pairs::joined];
    for rewrite in rewrites {
        if outcome.is_ok() {
            break;
        }
        let Some(text) = rewrite(text) else { continue };
        let mut again = begun();
        if again.run(&text).is_ok() {
            builder = again;
            outcome = Ok(());
        }
    }
    *nodes = builder.count;
    findings.pointers = builder.pointers;
    for found in builder.duplicates.into_iter().chain(outcome.err()) {
        findings.error(found.code, found.place, found.message, &found.hint);
    }
    if findings.has_errors() {
        return None;
    }
    if builder.root.is_none() {
        let hint = "a workflow starts with `document:` and `do:`";
        findings.error(codes::EMPTY, Place::default(), "the definition is empty", hint);
    }
    builder.root
}

/// True, with a finding, for a text that is not looked at.
pub(super) fn is_too_large(text: &str, findings: &mut Findings) -> bool {
    let too_large = text.len() > limits::DEFINITION_BYTES;
    if too_large {
        let message = format!(
            "the definition has {} bytes, more than the {} allowed",
            text.len(),
            limits::DEFINITION_BYTES
        );
        let hint = "move schemas and scripts to external resources, or split the workflow";
        findings.error(codes::TOO_LARGE, Place::default(), message, hint);
    }
    too_large
}

/// What is wrong with the text itself.
struct Fault {
    code: &'static str,
    place: Place,
    message: String,
    hint: String,
}

impl Fault {
    fn new(code: &'static str, place: Place, message: impl Into<String>, hint: &str) -> Self {
        Self { code, place, message: message.into(), hint: hint.to_owned() }
    }
}

/// A sequence or mapping whose end has not come yet.
struct Open {
    place: Place,
    anchor: usize,
    /// Count of nodes when it began, to know how large it is.
    before: usize,
    /// Levels found inside it so far.
    height: usize,
    data: OpenData,
}

enum OpenData {
    Sequence(Vec<Node>),
    Mapping { members: Mapping, key: Option<(Arc<str>, Span)> },
}

/// What an alias stands for.
struct Anchored {
    node: Node,
    count: usize,
    height: usize,
}

#[derive(Default)]
struct Builder {
    pointers: Pointers,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    count: usize,
    documents: usize,
    root: Option<Node>,
    duplicates: Vec<Fault>,
}

impl Builder {
    fn run(&mut self, text: &str) -> Result<(), Fault> {
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| {
                let at = error.marker();
                let span = Span {
                    line: at.line(),
                    column: at.col() + 1,
                    end_line: at.line(),
                    end_column: at.col() + 2,
                };
                let hint = if error.info().contains("tab") { "indent with spaces" } else { "" };
                let place = Place { id: 0, span };
                // The scanner looks ahead and has a limit of its own.
                if error.info().contains("recursion limit") {
                    return too_deep(span);
                }
                Fault::new(codes::MALFORMED, place, error.info().to_owned(), hint)
            })?;
            let span = Span {
                line: span.start.line(),
                column: span.start.col() + 1,
                end_line: span.end.line(),
                end_column: span.end.col() + 1,
            };
            self.event(event, span)?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Fault::new(
                        codes::SEVERAL_DOCUMENTS,
                        Place { id: 0, span },
                        "the text holds more than one document",
                        "keep one workflow in a file and remove the `---` between them",
                    ));
                }
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(text, style, anchor, tag.as_deref(), span)
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_deref(), "seq", span)?;
                self.start(anchor, span, OpenData::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_deref(), "map", span)?;
                self.start(anchor, span, OpenData::Mapping { members: Mapping::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
        }
    }

    /// Numbers the node that comes next where the text stands.
    fn number(&mut self, span: Span) -> Result<Place, Fault> {
        self.grow(1, span)?;
        let step = self.open.last().map(|open| {
            let step = match &open.data {
                OpenData::Sequence(items) => Step::Index(items.len()),
                OpenData::Mapping { key, .. } => {
                    Step::Key(key.as_ref().map_or_else(|| "".into(), |(key, _)| key.clone()))
                }
            };
            (open.place.id, step)
        });
        Ok(Place { id: self.pointers.add(step), span })
    }

    /// Counts nodes; long scalars count as several, as expressions in them take time to compile.
    fn grow(&mut self, nodes: usize, span: Span) -> Result<(), Fault> {
        self.count = self.count.saturating_add(nodes);
        if self.count <= limits::DEFINITION_NODES {
            return Ok(());
        }
        Err(Fault::new(
            codes::TOO_MANY_NODES,
            Place { id: 0, span },
            format!("the definition expands to more than {} nodes", limits::DEFINITION_NODES),
            "aliases are counted as often as they are used: use fewer of them",
        ))
    }

    fn check_depth(&self, more: usize, span: Span) -> Result<(), Fault> {
        if self.open.len() + more <= limits::DEFINITION_DEPTH {
            return Ok(());
        }
        Err(too_deep(span))
    }

    fn start(&mut self, anchor: usize, span: Span, data: OpenData) -> Result<(), Fault> {
        self.refuse_as_key(span)?;
        self.check_depth(1, span)?;
        let place = self.number(span)?;
        self.open.push(Open { place, anchor, before: self.count, height: 0, data });
        Ok(())
    }

    fn end(&mut self, span: Span) -> Result<(), Fault> {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        open.place.span.end_line = span.end_line;
        open.place.span.end_column = span.end_column;
        let data = match open.data {
            OpenData::Sequence(items) => Data::Sequence(items),
            OpenData::Mapping { members, .. } => Data::Mapping(members),
        };
        let node = Node::new(open.place, data);
        if open.anchor != 0 {
            let count = self.count - open.before + 1;
            let anchored = Anchored { node: node.clone(), count, height: open.height + 1 };
            self.anchors.insert(open.anchor, anchored);
            // The copy kept for aliases takes memory too.
            self.grow(count, span)?;
        }
        self.put(node, open.height + 1);
        Ok(())
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), Fault> {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::SingleQuoted,
            ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        let text: Arc<str> = text.into();
        if self.wants_key() {
            check_tag(tag, "str", span)?;
            return self.key(text, style, anchor, span);
        }
        let place = self.number(span)?;
        let more = text.len() / BYTES_A_NODE;
        self.grow(more, span)?;
        let value = scalar::value(&text, style, tag)
            .map_err(|(code, message)| Fault::new(code, place, message, ""))?;
        let node = Node::new(place, Data::Scalar { value, text, style });
        if anchor != 0 {
            self.anchors
                .insert(anchor, Anchored { node: node.clone(), count: 1 + more, height: 0 });
        }
        self.put(node, 0);
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Fault> {
        let place = Place { id: self.open.last().map_or(0, |open| open.place.id), span };
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(Fault::new(
                codes::BAD_ALIAS,
                place,
                "the alias stands inside what it refers to",
                "an anchor can be used only after the node it names has ended",
            ));
        };
        let (count, height) = (anchored.count, anchored.height);
        if self.wants_key() {
            let Data::Scalar { text, style, .. } = &anchored.node.data else {
                return self.refuse_as_key(span);
            };
            let (text, style) = (text.clone(), *style);
            return self.key(text, style, 0, span);
        }
        self.check_depth(height, span)?;
        self.grow(count, span)?;
        let Some(node) = self.anchors.get(&anchor).map(|anchored| anchored.node.clone()) else {
            return Ok(());
        };
        self.put(node, height);
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { data: OpenData::Mapping { key: None, .. }, .. }))
    }

    fn refuse_as_key(&self, span: Span) -> Result<(), Fault> {
        if !self.wants_key() {
            return Ok(());
        }
        let place = Place { id: self.open.last().map_or(0, |open| open.place.id), span };
        Err(Fault::new(
            codes::BAD_KEY,
            place,
            "a key must be a string",
            "quote text that starts with `{`, `[` or `${`",
        ))
    }

    fn key(
        &mut self,
        text: Arc<str>,
        style: Style,
        anchor: usize,
        span: Span,
    ) -> Result<(), Fault> {
        if text.is_empty() && style == Style::Plain {
            let place = Place { id: self.open.last().map_or(0, |open| open.place.id), span };
            return Err(Fault::new(codes::BAD_KEY, place, "a key is missing before `:`", ""));
        }
        if anchor != 0 {
            let mut node = Node::string(Place { id: 0, span }, &text);
            node.place.id = self.open.last().map_or(0, |open| open.place.id);
            self.anchors.insert(anchor, Anchored { node, count: 1, height: 0 });
        }
        if let Some(Open { data: OpenData::Mapping { key, .. }, .. }) = self.open.last_mut() {
            *key = Some((text, span));
        }
        Ok(())
    }

    /// Gives a finished node to what encloses it.
    fn put(&mut self, mut node: Node, height: usize) {
        let Some(open) = self.open.last_mut() else {
            self.root.get_or_insert(node);
            return;
        };
        open.height = open.height.max(height);
        match &mut open.data {
            OpenData::Sequence(items) => items.push(node),
            OpenData::Mapping { members, key } => {
                let Some((name, span)) = key.take() else { return };
                let key = Place { id: node.place.id, span };
                // A value that is not there has no place of its own.
                if matches!(&node.data, Data::Scalar { text, style: Style::Plain, .. } if text.is_empty())
                {
                    node.place = key;
                }
                match members.entry(name) {
                    Entry::Vacant(entry) => {
                        entry.insert(Member { key, node });
                    }
                    Entry::Occupied(entry) => {
                        let first = entry.get().key.span.line;
                        self.duplicates.push(Fault::new(
                            codes::DUPLICATE_KEY,
                            key,
                            format!("the key `{}` stands twice in this mapping", entry.key()),
                            &format!("the first is on line {first}: remove or rename one"),
                        ));
                    }
                }
            }
        }
    }
}

fn too_deep(span: Span) -> Fault {
    Fault::new(
        codes::TOO_DEEP,
        Place { id: 0, span },
        format!("the definition nests deeper than {} levels", limits::DEFINITION_DEPTH),
        "move inner tasks to `use.functions` or to a workflow of their own",
    )
}

/// Only the tags of the core schema say nothing the plain text does not.
fn check_tag(tag: Option<&Tag>, expected: &str, span: Span) -> Result<(), Fault> {
    match tag {
        None => Ok(()),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == expected => Ok(()),
        Some(tag) => Err(Fault::new(
            codes::BAD_TAG,
            Place { id: 0, span },
            format!("the tag `{tag}` is not supported here"),
            "remove it: definitions hold plain data",
        )),
    }
}
