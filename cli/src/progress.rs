//! Live progress on a terminal: a line for each task that runs or waits.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use windlass_coordinator::coordinator::{Coordinator, CoordinatorError, OpenTask};
use windlass_proto::id::InstanceId;
use windlass_proto::limits;

use crate::output::printable;

/// Shows what `id` does until it has ended, or for ever. Does nothing when standard error is not a
/// terminal. Never fails: progress is no reason to stop.
pub(crate) async fn follow(coordinator: &Coordinator, id: InstanceId) {
    if !std::io::stderr().is_terminal() {
        return std::future::pending().await;
    }
    let mut lines = Lines::new();
    let mut next = 0;
    loop {
        if let Err(error) = look(coordinator, id, &mut lines, &mut next).await {
            tracing::debug!(%error, "progress ends");
            return std::future::pending().await;
        }
        tokio::time::sleep(Duration::from_millis(limits::PROGRESS_PACE_MS)).await;
    }
}

async fn look(
    coordinator: &Coordinator,
    id: InstanceId,
    lines: &mut Lines,
    next: &mut u64,
) -> Result<(), CoordinatorError> {
    let view = coordinator.show(id).await?;
    lines.show(&view.open);
    let entries = coordinator.history(id, *next, limits::PROGRESS_ENTRIES).await?.entries;
    match entries.last() {
        Some(last) => *next = last.sequence.saturating_add(1),
        // Durations are redrawn by the lines themselves.
        None => coordinator.changed(id, *next, Duration::from_secs(5)).await?,
    }
    Ok(())
}

/// The lines on the screen; they vanish when dropped.
struct Lines {
    screen: MultiProgress,
    bars: Vec<(u64, ProgressBar)>,
    style: ProgressStyle,
}

impl Lines {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { screen, bars: Vec::new(), style }
    }

    fn show(&mut self, open: &[OpenTask]) {
        let shown = open.get(..limits::PROGRESS_TASKS).unwrap_or(open);
        for (_, bar) in self.bars.drain(shown.len().min(self.bars.len())..) {
            bar.finish_and_clear();
        }
        while self.bars.len() < shown.len() {
            let bar = self.screen.add(ProgressBar::new_spinner().with_style(self.style.clone()));
            bar.enable_steady_tick(Duration::from_millis(limits::PROGRESS_PACE_MS));
            self.bars.push((u64::MAX, bar));
        }
        for ((since, bar), task) in self.bars.iter_mut().zip(shown) {
            bar.set_message(describe(task));
            if *since != task.since.0 {
                *since = task.since.0;
                bar.reset_elapsed();
            }
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        for (_, bar) in &self.bars {
            bar.finish_and_clear();
        }
    }
}

/// A task in one line: `name: state (attempt 2)`.
fn describe(task: &OpenTask) -> String {
    let mut text = format!("{}: {}", printable(&task.name), task.state);
    if task.attempt > 1 {
        text.push_str(&format!(" (attempt {})", task.attempt));
    }
    text
}

#[cfg(test)]
mod tests {
    use windlass_coordinator::coordinator::OpenTask;
    use windlass_proto::id::FrameId;
    use windlass_proto::plan::TaskIx;
    use windlass_proto::time::Timestamp;

    use super::describe;

    #[test]
    fn a_line_names_task_state_and_attempt() {
        let mut task = OpenTask {
            frame: FrameId(1),
            halted: false,
            reference: "/do/0/a".into(),
            index: TaskIx(0),
            name: "a\u{7}".into(),
            state: "dispatched".to_owned(),
            since: Timestamp(0),
            until: None,
            attempt: 1,
            approval: None,
            sent: None,
        };
        assert_eq!(describe(&task), "a : dispatched");
        task.attempt = 2;
        assert_eq!(describe(&task), "a : dispatched (attempt 2)");
    }
}
