//! Pages of a trail: lines by their numbers, so that a page that was read never changes.
//!
//! Numbers grow along the files, so the place of one is found by halving, and no index is kept.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::chain::{HEAD, Link};
use super::lines::Lines;
use super::trail::{TrailFile, backwards_in, files};
use crate::access::Visible;

/// Which lines are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// What was done, such as `secret.granted`.
    pub action: Option<String>,
    /// Whether it was done.
    pub success: Option<bool>,
    /// On behalf of a workflow in this namespace.
    pub namespace: Option<String>,
    /// On behalf of this workflow: its name, `namespace/name` or `namespace/name:version`.
    pub workflow: Option<String>,
    /// On behalf of this instance.
    pub instance: Option<String>,
    /// By this worker.
    pub worker: Option<String>,
    /// With this secret.
    pub secret: Option<String>,
    /// Heads as well, which tell of nothing that was done.
    pub heads: bool,
    /// For workflows, or in namespaces, that whoever asks may know of; what is of none of them is
    /// for who sees all.
    pub visible: Visible,
}

/// Where a page begins, and in which direction it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The newest first.
    Newest,
    /// The newest first of those with a lower number.
    Before(u64),
    /// The oldest first of those with a higher number.
    After(u64),
}

/// Some lines.
#[derive(Debug, Default)]
pub struct Page {
    /// Each as it is in the file.
    pub items: Vec<Box<RawValue>>,
    /// The number of the last line that was looked at, where there is one; after it, in the same
    /// direction, the next page begins.
    pub seen: Option<u64>,
    /// True when there may be more now.
    pub more: bool,
}

/// What a filter looks at.
#[derive(Deserialize)]
struct Entry {
    at: Timestamp,
    action: String,
    #[serde(default)]
    success: Option<bool>,
    #[serde(default)]
    task: Option<OfTask>,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    worker: Option<String>,
    #[serde(default)]
    secret: Option<String>,
}

#[derive(Deserialize)]
struct OfTask {
    workflow: OfWorkflow,
    instance: String,
}

#[derive(Deserialize)]
struct OfWorkflow {
    namespace: String,
    name: String,
    version: String,
}

impl OfWorkflow {
    fn is(&self, text: &str) -> bool {
        let Self { namespace, name, version } = self;
        let rest = match text.split_once('/') {
            Some((first, rest)) if first == namespace => rest,
            Some(_) => return false,
            None => text,
        };
        rest == name || rest.strip_prefix(name.as_str()) == Some(&format!(":{version}"))
    }
}

impl Entry {
    /// In which namespace it was done.
    fn namespace(&self) -> Option<&str> {
        let of_task = self.task.as_ref().map(|it| it.workflow.namespace.as_str());
        of_task.or(self.namespace.as_deref())
    }

    fn is_visible(&self, visible: &Visible) -> bool {
        match (visible, &self.task, self.namespace()) {
            (Visible::All, _, _) => true,
            (_, Some(OfTask { workflow, .. }), _) => {
                visible.has(&workflow.namespace, &workflow.name)
            }
            (_, None, Some(namespace)) => visible.has_namespace(namespace),
            (_, None, None) => false,
        }
    }
}

impl Filter {
    fn takes(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|it| found == Some(it))
        };
        let task = entry.task.as_ref();
        let workflow = |it: &String| task.is_some_and(|task| task.workflow.is(it));
        (self.heads || entry.action != HEAD)
            && entry.is_visible(&self.visible)
            && self.since.is_none_or(|it| entry.at >= it)
            && self.until.is_none_or(|it| entry.at < it)
            && is(&self.action, Some(&entry.action))
            && self.success.is_none_or(|it| entry.success == Some(it))
            && is(&self.namespace, entry.namespace())
            && self.workflow.as_ref().is_none_or(workflow)
            && is(&self.instance, task.map(|it| it.instance.as_str()))
            && is(&self.worker, entry.worker.as_deref())
            && is(&self.secret, entry.secret.as_deref())
    }
}

/// A page that is being filled.
struct Filling<'a> {
    filter: &'a Filter,
    limit: usize,
    /// Bytes that may still be read.
    budget: u64,
    page: Page,
}

impl Filling<'_> {
    /// Looks at a line; false when it takes no more, nor this one.
    fn look(&mut self, line: &[u8], sequence: Option<u64>) -> bool {
        let size = line.len() as u64 + 1;
        if self.page.items.len() >= self.limit || self.budget < size {
            self.page.more = true;
            return false;
        }
        self.budget -= size;
        self.page.seen = sequence.or(self.page.seen);
        let taken = serde_json::from_slice(line).is_ok_and(|it| self.filter.takes(&it));
        if taken
            && let Ok(text) = std::str::from_utf8(line)
            && let Ok(raw) = RawValue::from_string(text.to_owned())
        {
            self.page.items.push(raw);
        }
        true
    }
}

/// Reads a page. Blocking.
pub(super) fn read(path: &Path, filter: &Filter, start: Start, limit: usize) -> io::Result<Page> {
    let budget = limits::AUDIT_SCAN_BYTES;
    let mut filling = Filling { filter, limit, budget, page: Page::default() };
    let mut files = files(path)?;
    match start {
        Start::After(after) => forwards(&mut files, after, &mut filling)?,
        Start::Newest => backwards(&mut files, u64::MAX, &mut filling)?,
        Start::Before(before) => backwards(&mut files, before, &mut filling)?,
    }
    Ok(filling.page)
}

fn forwards(files: &mut [TrailFile], after: u64, filling: &mut Filling<'_>) -> io::Result<()> {
    let begins = begins(files)?;
    // Lines without a number are in front of those with one, and have no place in this order.
    // The first of them may stand in the middle of a file.
    let mixed =
        || begins.iter().position(Option::is_some).unwrap_or(begins.len()).saturating_sub(1);
    let first = begins.iter().rposition(|it| it.is_some_and(|it| it <= after));
    let first = first.unwrap_or_else(mixed);
    for (index, found) in files.iter_mut().enumerate().skip(first) {
        let from = if index == first { place(&mut found.file, found.length, after)?.0 } else { 0 };
        found.file.seek(SeekFrom::Start(from))?;
        let mut lines = Lines::new((&found.file).take(found.length - from));
        while let Some(line) = lines.next()? {
            let Some(sequence) = sequence(&line.bytes).filter(|_| line.whole) else { continue };
            if sequence > after && !filling.look(&line.bytes, Some(sequence)) {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn backwards(files: &mut [TrailFile], before: u64, filling: &mut Filling<'_>) -> io::Result<()> {
    let begins = begins(files)?;
    let mut found = false;
    for (found_file, begins) in files.iter_mut().zip(begins).rev() {
        // All of it is not before.
        if begins.is_some_and(|it| it >= before) {
            continue;
        }
        let mut end = found_file.length;
        if before != u64::MAX && !std::mem::replace(&mut found, true) {
            end = place(&mut found_file.file, end, before)?.1;
        }
        let goes_on = backwards_in(&mut found_file.file, end, &mut |line| {
            let sequence = sequence(line);
            // What has no number is shown among the newest only.
            let is_passed = sequence.map_or(before != u64::MAX, |it| it >= before);
            is_passed || filling.look(line, sequence)
        })?;
        if !goes_on {
            break;
        }
    }
    Ok(())
}

fn sequence(line: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Link<'_>>(line).ok()?.sequence
}

/// The number of the first line of each file.
fn begins(files: &mut [TrailFile]) -> io::Result<Vec<Option<u64>>> {
    let first = |found: &mut TrailFile| {
        found.file.seek(SeekFrom::Start(0))?;
        let part = (2 * limits::AUDIT_EVENT_BYTES) as u64;
        let line = Lines::new((&found.file).take(part.min(found.length))).next()?;
        Ok(line.and_then(|it| sequence(&it.bytes)))
    };
    files.iter_mut().map(first).collect()
}

/// Two places in a file, not far from one another, between which the lines of this number end:
/// before the first all lines have it or a lower one, and after the second a higher one.
fn place(file: &mut File, length: u64, number: u64) -> io::Result<(u64, u64)> {
    let (mut low, mut high) = (0, length);
    while high - low > limits::AUDIT_BLOCK_BYTES {
        let middle = low + (high - low) / 2;
        match line_after(file, middle, high)? {
            Some((at, found)) if found <= number => low = at,
            Some(_) => high = middle,
            // Lines without a number are in front of those with one.
            None => low = middle,
        }
    }
    // The line that `high` is within begins before it.
    Ok((low, (high + 2 * limits::AUDIT_EVENT_BYTES as u64).min(length)))
}

/// The first line that begins after a place in a file and has a number.
fn line_after(file: &mut File, from: u64, end: u64) -> io::Result<Option<(u64, u64)>> {
    file.seek(SeekFrom::Start(from))?;
    let mut part = Vec::new();
    file.take((end - from).min(limits::AUDIT_BLOCK_BYTES)).read_to_end(&mut part)?;
    let mut at = 0;
    // The line that the place is within is none of them.
    for line in part.split_inclusive(|it| *it == b'\n') {
        let begin = at;
        at += line.len() as u64;
        if begin > 0
            && let Some(found) = sequence(line.trim_ascii_end())
        {
            return Ok(Some((from + begin, found)));
        }
    }
    Ok(None)
}
