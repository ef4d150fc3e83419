//! How many calls one worker makes to a host at once, and how often: for services that have limits
//! of their own.

use std::fmt;
use std::slice;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use windlass_proto::limits::CALL_LIMIT_CALLS;
use windlass_proto::metric::table::worker as table;
use windlass_proto::metric::{Histogram, Snapshot};

use super::is_among;

/// A limit of the calls to a host: `api.example.com=20` for so many at once, `*.example.com=100/m`
/// for so many that begin in any second, minute or hour, evenly spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallLimit {
    host: String,
    amount: Amount,
}

/// What a limit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amount {
    /// Calls under way.
    AtOnce(usize),
    /// The time from one begin to the next.
    Apart(Duration),
}

/// The text is no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no limit of calls: a host (api.example.com, *.example.com), = and how many at once \
     (20) or how often (5/s, 100/m, 1000/h), from 1 to {CALL_LIMIT_CALLS}"
)]
pub struct CallLimitError(pub String);

impl FromStr for CallLimit {
    type Err = CallLimitError;

    fn from_str(text: &str) -> Result<Self, CallLimitError> {
        parse(text.trim()).ok_or_else(|| CallLimitError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<CallLimit> {
    let (host, amount) = text.split_once('=')?;
    let host = host.trim().trim_end_matches('.').to_ascii_lowercase();
    let name = host.strip_prefix("*.").unwrap_or(&host);
    // As a URL's host is read.
    let url = Url::parse(&format!("http://{name}/")).ok()?;
    let is_odd = name.contains(['*', ',']) || url.port().is_some();
    if is_odd || url.host_str() != Some(name) {
        return None;
    }
    let number = |text: &str| {
        let number = text.trim().parse().ok();
        number.filter(|it| (1..=CALL_LIMIT_CALLS).contains(it))
    };
    let amount = match amount.split_once('/') {
        None => Amount::AtOnce(number(amount)?),
        Some((often, unit)) => {
            let seconds = match unit.trim() {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                _ => return None,
            };
            let often = u32::try_from(number(often)?).ok()?;
            Amount::Apart(Duration::from_secs(seconds) / often)
        }
    };
    Some(CallLimit { host, amount })
}

impl fmt::Display for CallLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.amount {
            Amount::AtOnce(most) => write!(f, "{} calls to {} at once", most, self.host),
            Amount::Apart(pause) => {
                write!(f, "a call to {} each {:.3} s", self.host, pause.as_secs_f64())
            }
        }
    }
}

/// The limits of a worker.
#[derive(Debug)]
pub(crate) struct CallLimits {
    kept: Vec<Kept>,
    /// How long calls waited whose host has limits.
    waited: Histogram,
}

/// One limit, and who goes by it.
#[derive(Debug)]
struct Kept {
    host: String,
    gate: Gate,
}

#[derive(Debug)]
enum Gate {
    AtOnce(Arc<Semaphore>),
    /// When the next may begin. Whoever waits for that holds it, so that they go in order, and one
    /// that gives up takes no turn.
    Apart(Mutex<Instant>, Duration),
}

/// Lasts as long as the call.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Turn(
    #[allow(dead_code, reason = "given back when it goes")] Vec<OwnedSemaphorePermit>,
);

impl CallLimits {
    pub(crate) fn new(limits: &[CallLimit]) -> Self {
        // Those of numbers first: what has waited for its place begins when its time comes.
        let mut limits: Vec<&CallLimit> = limits.iter().collect();
        limits.sort_by_key(|it| matches!(it.amount, Amount::Apart(_)));
        let keep = |it: &CallLimit| Kept {
            host: it.host.clone(),
            gate: match it.amount {
                Amount::AtOnce(most) => Gate::AtOnce(Arc::new(Semaphore::new(most))),
                Amount::Apart(pause) => Gate::Apart(Mutex::new(Instant::now()), pause),
            },
        };
        let waited = Histogram::of(&table::CALL_WAIT);
        Self { kept: limits.into_iter().map(keep).collect(), waited }
    }

    /// Waits until a call to `url` may begin, behind those that came before it: as long as it
    /// takes, which the time limit of the task bounds.
    pub(crate) async fn turn(&self, url: &Url) -> Turn {
        let host = url.host_str().unwrap_or_default().trim_end_matches('.');
        let mut turn = Turn::default();
        let kept = self.kept.iter().filter(|it| is_among(host, slice::from_ref(&it.host)));
        let gates: Vec<&Gate> = kept.map(|it| &it.gate).collect();
        if gates.is_empty() {
            return turn;
        }
        let began = Instant::now();
        for gate in gates {
            match gate {
                // It is never closed.
                Gate::AtOnce(places) => turn.0.extend(places.clone().acquire_owned().await.ok()),
                Gate::Apart(next, pause) => {
                    let mut next = next.lock().await;
                    sleep_until(*next).await;
                    *next = Instant::now() + *pause;
                }
            }
        }
        self.waited.time(began.elapsed());
        turn
    }

    /// Adds what there is to tell.
    pub(crate) fn measured(&self, snapshot: &mut Snapshot) {
        snapshot.add(&table::CALL_WAIT, &self.waited);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use reqwest::Url;
    use tokio::time::Instant;

    use super::{CallLimit, CallLimits};

    fn limits(texts: &[&str]) -> CallLimits {
        let limits: Vec<CallLimit> = texts.iter().map(|it| it.parse().unwrap()).collect();
        CallLimits::new(&limits)
    }

    fn url(host: &str) -> Url {
        Url::parse(&format!("https://{host}/v1/charges")).unwrap()
    }

    #[test]
    fn limits_are_read_as_operators_write_them() {
        let told = |text: &str| text.parse::<CallLimit>().map(|it| it.to_string());
        assert_eq!(told("api.example.com=20").unwrap(), "20 calls to api.example.com at once");
        assert_eq!(
            told(" *.Example.com = 100/m ").unwrap(),
            "a call to *.example.com each 0.600 s"
        );
        assert_eq!(told("10.0.0.7=1/h").unwrap(), "a call to 10.0.0.7 each 3600.000 s");
        for wrong in [
            "",
            "=",
            "a",
            "a=",
            "a=0",
            "a=-1",
            "a=1/",
            "a=1/w",
            "a=0/s",
            "a=1.5/s",
            "a:80=1",
            "*=1",
            "a/b=1",
            "https://a=1",
            "a=1000001",
            "u@a=1",
            "a,b=1",
        ] {
            assert!(wrong.parse::<CallLimit>().is_err(), "{wrong}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_under_way_and_the_next_begins_when_one_ends() {
        let limits = limits(&["*.example.com=2"]);
        let (a, b) = (url("a.example.com"), url("b.example.com"));
        let first = limits.turn(&a).await;
        let _second = limits.turn(&b).await;
        let mut third = Box::pin(limits.turn(&a));
        assert!(third.as_mut().now_or_never().is_none(), "two are under way");
        assert!(limits.turn(&url("example.com")).now_or_never().is_some(), "it is not below");
        drop(first);
        assert!(third.now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn begins_are_spread_and_who_gives_up_takes_no_turn() {
        let limits = limits(&["api.example.com=120/m"]);
        let (to, began) = (url("api.example.com"), Instant::now());
        drop(limits.turn(&to).await);
        assert_eq!(began.elapsed(), Duration::ZERO, "the first waits for nobody");
        assert!(limits.turn(&to).now_or_never().is_none());
        let one = tokio::time::timeout(Duration::from_millis(400), limits.turn(&to)).await;
        assert!(one.is_err());
        drop(limits.turn(&to).await);
        assert_eq!(began.elapsed(), Duration::from_millis(500));
        drop(limits.turn(&to).await);
        assert_eq!(began.elapsed(), Duration::from_millis(1000));
    }
}
