//! Reading what `strace -f -ttt -yy` wrote.

use std::collections::HashMap;
use std::path::Path;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Puts bytes into a file or a socket.
    Write,
    /// Waits until a file is on disk.
    Sync,
    /// Waits until a part of a file is written, which is not yet on disk for sure.
    Range,
}

/// One system call. Times are positions in the trace: a call that another thread interrupted has
/// two.
#[derive(Debug)]
pub(crate) struct Call {
    /// What it does.
    pub(crate) kind: Kind,
    /// Position of its beginning.
    pub(crate) begun: usize,
    /// Position of its successful end; absent when it failed or did not end.
    pub(crate) ended: Option<usize>,
    /// What strace tells of the file descriptor: a path, or addresses.
    pub(crate) target: String,
    /// Everything after the file descriptor.
    pub(crate) text: String,
}

impl Call {
    /// Sends on a connection that was accepted at this local port.
    pub(crate) fn sends_from(&self, port: &str) -> bool {
        self.kind == Kind::Write && self.sides().is_some_and(|(local, _)| ends_in(local, port))
    }

    /// Sends on a connection to this remote port.
    pub(crate) fn sends_to(&self, port: &str) -> bool {
        self.kind == Kind::Write && self.sides().is_some_and(|(_, remote)| ends_in(remote, port))
    }

    /// `TCP:[127.0.0.1:1->127.0.0.1:2]`
    fn sides(&self) -> Option<(&str, &str)> {
        let inner = self.target.strip_prefix("TCP:[")?.strip_suffix(']')?;
        inner.split_once("->")
    }
}

fn ends_in(address: &str, port: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(_, it)| it == port)
}

/// All calls, in the order of their beginnings.
pub(crate) struct Trace {
    /// The calls.
    pub(crate) calls: Vec<Call>,
}

impl Trace {
    /// Reads a file written by strace.
    pub(crate) fn read(path: &Path) -> Self {
        Self::parse(&String::from_utf8_lossy(&std::fs::read(path).unwrap()))
    }

    fn parse(text: &str) -> Self {
        let mut calls: Vec<Call> = Vec::new();
        let mut open: HashMap<(&str, &str), usize> = HashMap::new();
        for (position, line) in text.lines().enumerate() {
            // Thread, time, call; short thread numbers are padded with blanks.
            let Some((thread, rest)) = line.split_once(' ') else { continue };
            let Some((_time, rest)) = rest.trim_start().split_once(' ') else { continue };
            let rest = rest.trim_start();
            if let Some(resumed) = rest.strip_prefix("<... ") {
                let Some((name, rest)) = resumed.split_once(" resumed>") else { continue };
                if let Some(index) = open.remove(&(thread, name)) {
                    calls[index].ended = succeeded(rest).then_some(position);
                }
                continue;
            }
            let Some((name, rest)) = rest.split_once('(') else { continue };
            let Some((target, rest)) = descriptor(rest) else { continue };
            let kind = match name {
                "sync_file_range" => Kind::Range,
                _ if name.ends_with("sync") => Kind::Sync,
                _ => Kind::Write,
            };
            let ended = if rest.ends_with("<unfinished ...>") {
                open.insert((thread, name), calls.len());
                None
            } else {
                succeeded(rest).then_some(position)
            };
            let (target, text) = (target.to_owned(), rest.to_owned());
            calls.push(Call { kind, begun: position, ended, target, text });
        }
        Self { calls }
    }

    /// The first call that fits.
    pub(crate) fn first(&self, what: &str, fits: impl Fn(&Call) -> bool) -> &Call {
        let found = self.calls.iter().find(|it| fits(it));
        found.unwrap_or_else(|| panic!("{what} is not in the trace of {} calls", self.calls.len()))
    }

    /// Calls for the file at `path` between two others.
    pub(crate) fn between(&self, from: &Call, to: &Call, path: &str) -> Vec<&Call> {
        let within = |it: &&Call| it.begun > from.begun && it.begun < to.begun;
        self.calls.iter().filter(within).filter(|it| it.target == path).collect()
    }

    /// The first write of `mark` to a file below `data`, with its path, before `leaving` began.
    fn write_of(&self, leaving: &Call, mark: &str, data: &str) -> Option<&Call> {
        let before = self.calls.iter().filter(|it| it.begun < leaving.begun);
        before
            .filter(|it| it.kind == Kind::Write && it.target.starts_with(data))
            .find(|it| it.text.contains(mark))
    }

    /// True when a write of `mark` began before `leaving`.
    pub(crate) fn has_write_before(&self, leaving: &Call, mark: &str, data: &str) -> bool {
        self.write_of(leaving, mark, data).is_some()
    }

    /// Asserts that `mark` was written to a file below `data`, and that a sync of that file began
    /// after the write had ended and itself ended before `leaving` began.
    pub(crate) fn assert_durable_before(&self, leaving: &Call, what: &str, mark: &str, data: &str) {
        let Some(write) = self.write_of(leaving, mark, data) else {
            panic!("{what} left before any fact with {mark:?} was written below {data}");
        };
        let written = write.ended.expect("the write succeeded");
        let synced = self.calls.iter().any(|it| {
            it.kind == Kind::Sync
                && it.target == write.target
                && it.begun > written
                && it.ended.is_some_and(|end| end < leaving.begun)
        });
        assert!(
            synced,
            "{what} left at line {} of the trace; its facts were written at line {written}, and \
             no sync of {} came between",
            leaving.begun, write.target
        );
    }
}

/// Splits `12</path or address>, rest` into what is in the angle brackets and the rest.
fn descriptor(text: &str) -> Option<(&str, &str)> {
    let after = text.trim_start_matches(|it: char| it.is_ascii_digit()).strip_prefix('<')?;
    // Addresses hold an arrow, so the bracket that closes is the one before a comma, an end of
    // arguments or an interruption.
    let end = [">,", ">)", "> <unfinished"].iter().filter_map(|it| after.find(it)).min()?;
    Some((&after[..end], &after[end + 1..]))
}

fn succeeded(rest: &str) -> bool {
    rest.rsplit_once(" = ").is_some_and(|(_, result)| !result.trim_start().starts_with(['-', '?']))
}

#[test]
fn a_trace_is_read_and_judged() {
    let log = "7     1.0 pwrite64(9</d/db>, \"fact MARK\", 9, 0) = 9\n\
               8 1.1 fdatasync(9</d/db> <unfinished ...>\n\
               7 1.2 write(4<TCP:[127.0.0.1:70->127.0.0.1:999]>, \"early\", 5) = 5\n\
               8 1.3 <... fdatasync resumed>) = 0\n\
               7 1.4 writev(4<TCP:[127.0.0.1:70->127.0.0.1:999]>, [{iov_base=\"late\"}], 1) = 4\n\
               7 1.5 sendto(5<TCP:[127.0.0.1:999->127.0.0.1:71]>, \"out\", 3) = -1 EPIPE\n";
    let trace = Trace::parse(log);
    assert_eq!(trace.calls.len(), 5);
    let late = trace.first("late", |it| it.sends_from("70") && it.text.contains("late"));
    trace.assert_durable_before(late, "late", "MARK", "/d");
    let early = trace.first("early", |it| it.sends_from("70") && it.text.contains("early"));
    let judged = std::panic::catch_unwind(|| {
        trace.assert_durable_before(early, "early", "MARK", "/d");
    });
    assert!(judged.is_err(), "an answer before the sync must be found");
    assert!(!trace.has_write_before(late, "OTHER", "/d"));
    let kinds =
        |from, to| trace.between(from, to, "/d/db").iter().map(|it| it.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&trace.calls[0], late), [Kind::Sync]);
    assert_eq!(kinds(early, late), []);
    assert!(trace.first("out", |it| it.sends_to("71")).ended.is_none());
}
