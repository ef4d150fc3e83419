//! Handlers that fall silent.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use windlass_proto::problem::{Problem, Standard};

use super::{Call, FunctionError};

/// The outcome of `work`; an error once it has given no sign of life for `longest`.
pub(super) async fn watched<T>(
    work: impl Future<Output = Result<T, FunctionError>>,
    call: &Call,
    longest: Duration,
) -> Result<T, FunctionError> {
    let mut work = pin!(work);
    loop {
        let last = call.last_beat();
        // Beyond all time there is nothing to watch.
        let Some(due) = last.checked_add(longest) else { return work.await };
        tokio::select! {
            biased;
            outcome = &mut work => return outcome,
            () = tokio::time::sleep_until(due) => {
                if call.last_beat() == last {
                    let silent = longest.as_millis();
                    let detail = format!("the function gave no sign of life for {silent} ms");
                    return Err(Problem::new(Standard::Timeout, detail).into());
                }
            }
        }
    }
}
