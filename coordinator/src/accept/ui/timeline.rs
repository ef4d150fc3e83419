//! The timeline of an instance: a bar for each visit of a task, waits hatched.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use maud::{Markup, html};
use windlass_proto::limits::UI_VISITS;
use windlass_proto::plan::TaskIx;
use windlass_proto::time::Timestamp;

use super::parts;
use super::visits::{Doing, Visit};

/// Pixels: of a line, of names, of bars, around them, and the least that can be seen.
const LINE: usize = 24;
const NAMES: usize = 210;
const BARS: usize = 960;
const PAD: usize = 12;
const LEAST: f64 = 2.0;

/// How many times the axis names.
const TICKS: u64 = 5;

/// Letters that the column of names has room for.
const LETTERS: usize = 30;

/// Draws visits, the last ones that there is room for, up to `now`.
pub(super) fn timeline(visits: &[Visit], now: Timestamp, history: &str) -> Markup {
    let shown = ordered(visits);
    let Some(first) = shown.iter().map(|it| it.from).min() else { return html! {} };
    let last = shown.iter().map(|it| it.until.unwrap_or(now)).max().unwrap_or(now);
    let scale = Scale { first, length: last.since(first).max(1) };
    let height = shown.len() * LINE + 2 * LINE;
    let width = NAMES + BARS + 2 * PAD;
    html! {
        div.picture tabindex="0" role="region" aria-label="Timeline" {
            svg.timeline viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height)
                role="group" aria-label="A bar for each visit of a task; the table below says the same" {
                defs {
                    pattern #hatch width="6" height="6" patternUnits="userSpaceOnUse"
                        patternTransform="rotate(45)" {
                        rect.hatch-ground width="6" height="6" {}
                        rect.hatch-line width="2.5" height="6" {}
                    }
                }
                (axis(&scale, height))
                @for (number, visit) in shown.iter().enumerate() {
                    (row(visit, number * LINE + LINE, &scale, now, history))
                }
            }
        }
        @if shown.len() < visits.len() {
            p.hint { "The last " (shown.len()) " of " (visits.len()) " visits." }
        }
    }
}

/// The last visits that there is room for, each before those that are within it.
fn ordered(visits: &[Visit]) -> Vec<&Visit> {
    let first = visits.len().saturating_sub(UI_VISITS);
    let mut inner: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut next = Vec::new();
    for (at, visit) in visits.iter().enumerate().skip(first) {
        match visit.within.filter(|it| *it >= first) {
            Some(around) => inner.entry(around).or_default().push(at),
            None => next.push(at),
        }
    }
    next.reverse();
    let mut shown = Vec::new();
    while let Some(at) = next.pop() {
        shown.extend(visits.get(at));
        next.extend(inner.remove(&at).into_iter().flatten().rev());
    }
    shown
}

/// Where a moment is.
struct Scale {
    first: Timestamp,
    length: u64,
}

impl Scale {
    fn x(&self, at: Timestamp) -> f64 {
        // Pixels: what is lost of so long a time cannot be seen.
        let part = at.since(self.first) as f64 / self.length as f64;
        (NAMES + PAD) as f64 + part.min(1.0) * BARS as f64
    }
}

fn axis(scale: &Scale, height: usize) -> Markup {
    let step = scale.length / (TICKS - 1);
    // What took no time has no middle.
    let ticks = if step == 0 { 1 } else { TICKS };
    html! {
        @for tick in 0..ticks {
            @let x = scale.x(scale.first.plus(step.saturating_mul(tick)));
            @let anchor = if tick + 1 == TICKS { "end" } else { "start" };
            line.tick x1=(px(x)) x2=(px(x)) y1="18" y2=(height - PAD) {}
            text.axis x=(px(x)) y="13" text-anchor=(anchor) {
                "+" (parts::duration(step.saturating_mul(tick)))
            }
        }
    }
}

fn row(visit: &Visit, top: usize, scale: &Scale, now: Timestamp, history: &str) -> Markup {
    let until = visit.until.unwrap_or(now);
    let (from, to) = (scale.x(visit.from), scale.x(until));
    let indent = PAD + visit.depth.min(8) * 10;
    let link = parts::entry_path(history, visit.sequence);
    html! {
        // The table below has the same links for whoever goes by keys.
        a href=(link) tabindex="-1" {
            title { (told(visit, until)) }
            text.name x=(indent) y=(top + 16) { (short(visit)) }
            rect class={ "bar " (visit.state.word()) } x=(px(from)) y=(top + 4) rx="2"
                width=(px((to - from).max(LEAST))) height=(LINE - 8) {}
            @for part in visit.parts.iter().filter(|it| it.doing == Doing::Wait) {
                @let (from, to) = (scale.x(part.from), scale.x(part.until.unwrap_or(until)));
                rect.wait x=(px(from)) y=(top + 4) width=(px((to - from).max(LEAST)))
                    height=(LINE - 8) fill="url(#hatch)" {}
            }
        }
    }
}

fn px(at: f64) -> String {
    format!("{at:.1}")
}

/// What a pointer that rests on it is told.
fn told(visit: &Visit, until: Timestamp) -> String {
    let mut text = format!(
        "{} (visit {}): {}, {}",
        visit.name,
        visit.number,
        visit.state.word(),
        parts::duration(until.since(visit.from))
    );
    if visit.retries > 0 {
        text.push_str(&format!(", tried again {} times", visit.retries));
    }
    if let Some(error) = &visit.error {
        text.push_str(&format!(", {}", parts::cut(error)));
    }
    text
}

/// The name, as far as there is room.
fn short(visit: &Visit) -> String {
    let room = LETTERS.saturating_sub(visit.depth.min(8) * 2);
    let number = if visit.number > 1 { format!(" ×{}", visit.number) } else { String::new() };
    let mut text: String = visit.name.chars().take(room).collect();
    if visit.name.chars().nth(room).is_some() {
        text.push('…');
    }
    text + &number
}

/// The same as a table, for whoever does not see pictures; with `reset`, the page of an instance
/// that can be reset, each visit leads to a form for that.
pub(super) fn table(
    visits: &[Visit],
    now: Timestamp,
    history: &str,
    reset: Option<&str>,
) -> Markup {
    let shared = shared(visits);
    let row = |it: &&Visit| {
        // The pointer alone does not say which of several tasks is meant.
        let reset = reset.filter(|_| !shared.contains(&it.task));
        line(it, now, (history, reset))
    };
    let rows: Vec<Markup> = ordered(visits).iter().map(row).collect();
    let mut headings =
        vec!["Task", "Visit", "State", "Began", "Took", "Waited", "Tried again", "Last error"];
    headings.extend(reset.map(|_| "Go on from here"));
    html! {
        details #visits {
            summary { "All visits as a table" }
            (parts::table("Visits", &headings, &rows))
        }
    }
}

/// Pointers that several tasks have: a function's own one has that of the task which calls it.
fn shared(visits: &[Visit]) -> BTreeSet<Arc<str>> {
    let mut first: BTreeMap<&Arc<str>, Option<TaskIx>> = BTreeMap::new();
    let several = visits.iter().filter(|it| *first.entry(&it.task).or_insert(it.index) != it.index);
    several.map(|it| it.task.clone()).collect()
}

fn line(visit: &Visit, now: Timestamp, (history, reset): (&str, Option<&str>)) -> Markup {
    let until = visit.until.unwrap_or(now);
    let waits = visit.parts.iter().filter(|it| it.doing == Doing::Wait);
    let waited = waits.map(|it| it.until.unwrap_or(until).since(it.from)).sum::<u64>();
    html! {
        td {
            a href=(parts::entry_path(history, visit.sequence)) {
                bdi { (parts::cut(&visit.name)) }
            }
            div.path { (parts::cut(&visit.task)) }
        }
        td.number { (visit.number) }
        td { (parts::status(visit.state.word())) }
        td { (parts::time(visit.from)) }
        td.number { (parts::duration(until.since(visit.from))) }
        td.number { @if waited > 0 { (parts::duration(waited)) } }
        td.number { @if visit.retries + visit.losses > 0 { (visit.retries + visit.losses) } }
        td { @if let Some(error) = &visit.error { bdi { (parts::cut(error)) } } }
        @if let Some(path) = reset {
            @let to = format!("{}[{}]", visit.task, visit.number);
            td { a href={ (parts::address(path, &[("to", &to)])) "#order-reset" } {
                "Reset to here"
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use windlass_proto::time::Timestamp;

    use super::super::visits::Run;
    use super::super::visits::tests::entry;
    use super::{ordered, table, timeline};

    #[test]
    fn bars_are_within_the_picture_and_names_are_text() {
        let run = Run::of(&[
            entry(1, "task.started", "/do/0/<b>", "{}"),
            entry(2, "task.waiting", "/do/0/<b>", "{}"),
        ]);
        let picture = timeline(&run.visits, Timestamp(9_000), "/h").into_string();
        assert!(picture.contains("&lt;b&gt;") && !picture.contains("<b>"), "{picture}");
        assert!(picture.contains("url(#hatch)") && picture.contains("bar waiting"), "{picture}");
        assert!(!picture.contains("NaN") && !picture.contains("style="), "{picture}");
        assert!(
            table(&run.visits, Timestamp(9_000), "/h", None).into_string().contains("?from=1#e1")
        );
        let led = table(&run.visits, Timestamp(9_000), "/h", Some("/i")).into_string();
        assert!(led.contains("/i?to=%2Fdo%2F0%2F%3Cb%3E%5B1%5D#order-reset"), "{led}");
        assert_eq!(timeline(&[], Timestamp(0), "/h").into_string(), "");
    }

    #[test]
    fn what_is_within_a_visit_stands_below_it() {
        let run = Run::of(&[
            entry(1, "task.started", "/do/0/f", "{}"),
            entry(2, "task.started", "/do/0/f/fork/branches/0/a", "{}"),
            entry(3, "task.started", "/do/0/f/fork/branches/1/b", "{}"),
            entry(4, "task.started", "/do/0/f/fork/branches/0/a/do/0/c", "{}"),
        ]);
        let order: Vec<u64> = ordered(&run.visits).iter().map(|it| it.sequence).collect();
        assert_eq!(order, [1, 2, 4, 3]);
    }

    #[test]
    fn a_clock_that_went_back_breaks_nothing() {
        let run = Run::of(&[entry(5, "task.started", "/do/0/a", "{}")]);
        let picture = timeline(&run.visits, Timestamp(0), "/h").into_string();
        let drawn = picture.replace("tabindex=\"-1\"", "");
        assert!(drawn.contains("bar running") && !drawn.contains("=\"-"), "{picture}");
    }
}
