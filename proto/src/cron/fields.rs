//! Fields of cron expressions: what is accepted, before `croner` reads them.
//!
//! Programs differ in what they make of `5/15`, `*/61`, `FRI-MON`, `1,,2` or a month's name among
//! the hours: one refuses it, one takes it for another thing, one drops a part in silence. What has
//! one meaning is accepted, the rest refused with what to write instead.

use std::borrow::Cow;

/// Why a text is no cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not five to seven fields.
    #[error("it has {0} fields: five are needed, six with seconds, seven with years")]
    Count(usize),
    /// A name beginning with `@` that is none.
    #[error(
        "`{0}` is none of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually"
    )]
    Nickname(String),
    /// A part of a field that is none.
    #[error("`{part}` cannot be {field}: {why}")]
    Part {
        /// Which field.
        field: &'static str,
        /// The part.
        part: String,
        /// Why not, or what to write.
        why: String,
    },
    /// Something else that the fields cannot be.
    #[error("{0}")]
    Malformed(String),
    /// There is no such time.
    #[error("no day of the calendar has such a time")]
    Never,
}

/// One field: its name, its least and greatest number, and names of numbers from `first` on.
struct Field {
    kind: Kind,
    name: &'static str,
    least: u16,
    most: u16,
    first: u16,
    names: &'static [&'static str],
}

/// What more a field may hold than numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Days,
    Weekdays,
}

const fn plain(name: &'static str, least: u16, most: u16) -> Field {
    Field { kind: Kind::Plain, name, least, most, first: 0, names: &[] }
}

/// As they stand with seconds.
const FIELDS: [Field; 7] = [
    plain("seconds", 0, 59),
    plain("minutes", 0, 59),
    plain("hours", 0, 23),
    Field { kind: Kind::Days, ..plain("days of the month", 1, 31) },
    Field {
        kind: Kind::Plain,
        name: "months",
        least: 1,
        most: 12,
        first: 1,
        names: &[
            "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ],
    },
    Field {
        kind: Kind::Weekdays,
        name: "days of the week",
        least: 0,
        most: 7,
        first: 0,
        names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    },
    plain("years", 1970, 5000),
];

/// The expression with numbers for names and ranges that go up, and whether it names its minutes
/// and hours.
pub(super) fn normal(text: &str) -> Result<(String, bool), CronError> {
    let text = nickname(text.trim())?;
    let given: Vec<&str> = text.split_whitespace().collect();
    if !(5..=7).contains(&given.len()) {
        return Err(CronError::Count(given.len()));
    }
    let skipped = usize::from(given.len() == 5);
    let mut normal = Vec::with_capacity(7);
    if skipped == 1 {
        normal.push("0".to_owned());
    }
    for (field, text) in FIELDS.iter().skip(skipped).zip(&given) {
        normal.push(field.normal(text)?);
    }
    let fixed = normal.iter().skip(1).take(2).all(|field| !field.contains('*'));
    Ok((normal.join(" "), fixed))
}

fn nickname(text: &str) -> Result<Cow<'_, str>, CronError> {
    if !text.starts_with('@') {
        return Ok(Cow::Borrowed(text));
    }
    Ok(Cow::Borrowed(match text.to_ascii_lowercase().as_str() {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        _ => return Err(CronError::Nickname(text.to_owned())),
    }))
}

impl Field {
    fn normal(&self, text: &str) -> Result<String, CronError> {
        if text == "?" && self.kind != Kind::Plain {
            return Ok("*".to_owned());
        }
        let parts = text.split(',').map(|part| self.part(part));
        Ok(parts.collect::<Result<Vec<_>, _>>()?.join(","))
    }

    fn refused(&self, part: &str, why: impl Into<String>) -> CronError {
        CronError::Part { field: self.name, part: part.to_owned(), why: why.into() }
    }

    /// One part between commas.
    fn part(&self, part: &str) -> Result<String, CronError> {
        let upper = part.to_ascii_uppercase();
        if upper.is_empty() {
            return Err(self.refused(part, "there is nothing between two commas"));
        }
        let special = match self.kind {
            Kind::Days => upper == "L" || upper.ends_with('W'),
            Kind::Weekdays => upper == "L" || upper.contains('#') || upper.ends_with('L'),
            Kind::Plain => false,
        };
        if special {
            return self.special(part, &upper);
        }
        let (range, step) = match upper.split_once('/') {
            Some((range, step)) => (range, Some(self.step(part, step)?)),
            None => (upper.as_str(), None),
        };
        let (low, high) = match range.split_once('-') {
            _ if range == "*" => {
                return Ok(step.map_or_else(|| "*".to_owned(), |step| format!("*/{step}")));
            }
            Some((low, high)) => (self.number(part, low)?, self.number(part, high)?),
            None if step.is_some() => {
                let why = format!("write `{range}-{}/{}`", self.most, step.unwrap_or(1));
                return Err(self.refused(part, why));
            }
            None => return Ok(self.number(part, range)?.to_string()),
        };
        self.range(part, (low, high), step)
    }

    /// A range, which goes up; one of weekdays may go round.
    fn range(
        &self,
        part: &str,
        (low, high): (u16, u16),
        step: Option<u16>,
    ) -> Result<String, CronError> {
        let written = |low, high| match step {
            Some(step) => format!("{low}-{high}/{step}"),
            None => format!("{low}-{high}"),
        };
        if low <= high {
            return Ok(written(low, high));
        }
        if self.kind != Kind::Weekdays {
            let why = format!("write `{low}-{},{}-{high}`", self.most, self.least);
            return Err(self.refused(part, why));
        }
        // Sunday is 0 and 7, so nothing is lost between Saturday and Monday.
        let days = (low..=high + 7).step_by(usize::from(step.unwrap_or(1)));
        Ok(days.map(|day| (day % 7).to_string()).collect::<Vec<_>>().join(","))
    }

    /// `L`, `15W`, `LW`, `5#2`, `5L`.
    fn special(&self, part: &str, upper: &str) -> Result<String, CronError> {
        let (day, rest) = match upper.split_once('#') {
            Some((day, nth)) if matches!(nth, "1" | "2" | "3" | "4" | "5" | "L") => (day, nth),
            Some(_) => return Err(self.refused(part, "`#` goes with 1 to 5, or L for the last")),
            None => (upper.trim_end_matches(['L', 'W']), ""),
        };
        if day.is_empty() {
            return match upper {
                "L" | "LW" => Ok(upper.to_owned()),
                _ => Err(self.refused(part, "there is no day")),
            };
        }
        let day = self.number(part, day)?;
        let suffix = match rest {
            "" => upper.trim_start_matches(|c: char| c != 'L' && c != 'W'),
            nth => return Ok(format!("{day}#{nth}")),
        };
        match suffix {
            "L" => Ok(format!("{day}#L")),
            "W" => Ok(format!("{day}W")),
            _ => Err(self.refused(part, "write `L`, `W` or `LW`")),
        }
    }

    fn step(&self, part: &str, step: &str) -> Result<u16, CronError> {
        let range = self.most - self.least + 1;
        match digits(step) {
            Some(step) if step > 0 && step < range => Ok(step),
            Some(_) => Err(self.refused(part, format!("a step is 1 to {}", range - 1))),
            None => Err(self.refused(part, "the step is no number")),
        }
    }

    fn number(&self, part: &str, text: &str) -> Result<u16, CronError> {
        let named = self.names.iter().position(|name| *name == text);
        let named = named.and_then(|at| u16::try_from(at).ok()).map(|at| at + self.first);
        let number = named.or_else(|| digits(text));
        match number.filter(|it| (self.least..=self.most).contains(it)) {
            Some(number) => Ok(number),
            None if self.names.is_empty() => {
                let why = format!("numbers from {} to {}", self.least, self.most);
                Err(self.refused(part, why))
            }
            None => {
                let names = self.names.join(", ");
                let why = format!("numbers from {} to {}, or {names}", self.least, self.most);
                Err(self.refused(part, why))
            }
        }
    }
}

/// A number of nothing but digits.
fn digits(text: &str) -> Option<u16> {
    text.bytes().all(|it| it.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
