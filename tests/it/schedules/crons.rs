//! Cron expressions against programs of other authors: croniter in UTC, and cronsim, which does as
//! Debian's cron does, in zones and around the nights when their clocks change.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use windlass_proto::cron::{Cron, Zone};
use windlass_proto::time::Timestamp;

use crate::load::setting;
use crate::support::tools;

const PACKAGES: [&str; 4] =
    ["croniter==7.0.0", "cronsim==2.8", "python-dateutil==2.9.0.post0", "tzdata==2025.2"];

/// Times of each expression that are compared.
const TIMES: usize = 8;

/// Reads cases, a list, and writes the times that each of the two programs has for them.
const SCRIPT: &str = r#"
import json, sys
from datetime import datetime, timezone
from zoneinfo import ZoneInfo
from croniter import croniter
from cronsim import CronSim

def times(iterator, count):
    found = []
    while len(found) < count:
        at = next(iterator)
        at = int(at if isinstance(at, float) else at.astimezone(timezone.utc).timestamp())
        # Times left out by a change of clocks move to the same moment.
        if at not in found[-1:]:
            found.append(at)
    return found

answers = []
for case in json.load(sys.stdin):
    start = datetime.fromtimestamp(case["start"], timezone.utc)
    count = case["count"]
    if case["zone"] == "UTC":
        it = croniter(case["cron"], start, ret_type=float)
        answers.append(times(iter(it.get_next, None), count))
    else:
        it = CronSim(case["cron"], start.astimezone(ZoneInfo(case["zone"])))
        answers.append(times(it, count))
json.dump(answers, sys.stdout)
"#;

/// Zones with changes of clocks in both halves of the year. Where they change at midnight or by
/// half an hour, cronsim has a time too many or too few.
const ZONES: [&str; 5] =
    ["Europe/Berlin", "America/New_York", "Australia/Sydney", "Europe/London", "Asia/Kolkata"];

struct Chance(fastrand::Rng);

impl Chance {
    /// A field of numbers in this range.
    fn field(&mut self, least: u16, most: u16) -> String {
        let step = self.0.u16(2..=(most - least).min(20));
        let (low, high) = (self.0.u16(least..=most), self.0.u16(least..=most));
        let (low, high) = (low.min(high), low.max(high));
        match self.0.u8(0..10) {
            0..=2 => "*".to_owned(),
            3..=5 => low.to_string(),
            // croniter takes a range of one number for all numbers.
            6 if low < high => format!("{low}-{high}"),
            7 if low < high => format!("{low}-{high}/{step}"),
            8 => format!("*/{step}"),
            _ if low < high => format!("{low},{high}"),
            _ => low.to_string(),
        }
    }

    fn cron(&mut self) -> String {
        let (minute, hour) = (self.field(0, 59), self.field(0, 23));
        let month = if self.0.u8(0..4) == 0 { self.field(1, 12) } else { "*".to_owned() };
        // A step among days, and days of both kinds, mean different things to different programs.
        let day = |it: String| if it.starts_with('*') { "*".to_owned() } else { it };
        let (mut days, mut weekdays) = (day(self.field(1, 28)), "*".to_owned());
        match self.0.u8(0..3) {
            0 => weekdays = day(self.field(0, 6)),
            1 => {
                days = "*".to_owned();
                let names = ["MON", "tue-fri", "SAT,SUN", "WED", "sun"];
                names[self.0.usize(0..names.len())].clone_into(&mut weekdays);
            }
            _ => {}
        }
        format!("{minute} {hour} {days} {month} {weekdays}")
    }

    /// A moment of 2026; every other one within the days around a change of clocks.
    fn start(&mut self) -> i64 {
        const NEW_YEAR: i64 = 1_767_225_600;
        const CHANGES: [i64; 6] = [
            1_772_953_200,
            1_774_746_000,
            1_775_314_800,
            1_788_660_000,
            1_791_041_400,
            1_792_890_000,
        ];
        if self.0.bool() {
            return NEW_YEAR + self.0.i64(0..365 * 86_400);
        }
        CHANGES[self.0.usize(0..CHANGES.len())] + self.0.i64(-90_000..90_000)
    }
}

async fn others(cases: &[Value]) -> Vec<Vec<i64>> {
    let mut child = Command::new(tools::python(&PACKAGES).await)
        .args(["-c", SCRIPT])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let input = serde_json::to_vec(cases).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let written = tokio::spawn(async move { stdin.write_all(&input).await });
    let output = child.wait_with_output().await.unwrap();
    written.await.unwrap().unwrap();
    assert!(output.status.success(), "the other programs end with {}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn cron_expressions_mean_what_they_mean_elsewhere() {
    let count = setting("WINDLASS_SCHEDULE_CRONS", 300);
    let mut chance = Chance(fastrand::Rng::with_seed(setting("WINDLASS_SCHEDULE_SEED", 11)));
    let cases: Vec<Value> = (0..count)
        .map(|number| {
            let zone = match number % 3 {
                0 => "UTC",
                _ => ZONES[chance.0.usize(0..ZONES.len())],
            };
            let (cron, start) = (chance.cron(), chance.start());
            json!({"cron": cron, "zone": zone, "start": start, "count": TIMES})
        })
        .collect();
    let theirs = others(&cases).await;
    assert_eq!(theirs.len(), cases.len());
    let mut differ = Vec::new();
    for (case, theirs) in cases.iter().zip(theirs) {
        let zone = Zone::named(case["zone"].as_str().unwrap()).unwrap();
        let cron = Cron::parse(case["cron"].as_str().unwrap(), zone).unwrap();
        let start = Timestamp(case["start"].as_u64().unwrap() * 1_000);
        let next = std::iter::successors(cron.next_after(start), |at| cron.next_after(*at));
        let ours: Vec<i64> = next.take(TIMES).map(|it| (it.0 / 1_000).cast_signed()).collect();
        if ours != theirs {
            differ.push(format!("{case}\n  ours   {ours:?}\n  theirs {theirs:?}"));
        }
    }
    assert!(differ.is_empty(), "{} of {count} differ:\n{}", differ.len(), differ.join("\n"));
}
