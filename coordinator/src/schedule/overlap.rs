//! What is due while an instance of the same schedule is open.

use windlass_proto::limits::{SCHEDULE_EVENT_BYTES, SCHEDULE_WAITING};
use windlass_proto::plan::{Overlap, Schedule};

use super::{Due, State, Turn, Why};

impl State {
    /// Starts what is due, or does with it what the schedule wants while another one is open.
    pub(super) fn admit(&mut self, schedule: &Schedule, due: Due, turn: &mut Turn) {
        let open = !self.running().is_empty() || self.waiting() > 0;
        // What this turn starts is open as well.
        let open = open || (schedule.follows_ends() && !turn.starts.is_empty());
        match schedule.overlap {
            _ if !open => turn.starts.push(due),
            Overlap::Allow => turn.starts.push(due),
            Overlap::Skip => turn.skip(due, Why::Overlap),
            Overlap::BufferOne if self.waiting() == 0 => self.wait(due, turn),
            Overlap::BufferAll if self.waiting() < SCHEDULE_WAITING => self.wait(due, turn),
            Overlap::BufferOne | Overlap::BufferAll => turn.skip(due, Why::Overlap),
            Overlap::Cancel => {
                // What was to start with this turn has not: it need not be cancelled.
                for former in std::mem::take(&mut turn.starts) {
                    turn.skip(former, Why::Superseded);
                }
                if self.running().is_empty() && self.waiting() == 0 {
                    turn.starts.push(due);
                    return;
                }
                let busy = self.busy.get_or_insert_default();
                busy.given.clear();
                for former in busy.waiting.drain(..) {
                    turn.skip(former, Why::Superseded);
                }
                for instance in &busy.running {
                    if !turn.cancels.contains(instance) {
                        turn.cancels.push(*instance);
                    }
                }
                self.wait(due, turn);
            }
        }
    }

    /// Has starts wait that there is no memory for; they start one after the other when there is.
    pub fn postpone(&mut self, turn: &mut Turn) {
        for due in std::mem::take(&mut turn.starts) {
            if self.waiting() < SCHEDULE_WAITING {
                self.wait(due, turn);
            } else {
                turn.skip(due, Why::Overlap);
            }
        }
    }

    /// Has a start wait for an end, with the events that it is for where there is room for them.
    fn wait(&mut self, due: Due, turn: &mut Turn) {
        let busy = self.busy.get_or_insert_default();
        if let Some(at) = turn.given.iter().position(|it| it.due == due) {
            let given = turn.given.swap_remove(at);
            let waiting: u64 = busy.given.iter().map(|it| it.input.weight()).sum();
            if waiting.saturating_add(given.input.weight()) > SCHEDULE_EVENT_BYTES {
                return turn.skip(due, Why::Overlap);
            }
            busy.given.push(given);
        }
        busy.waiting.push_back(due);
    }

    /// Starts the first one that waits, when nothing is open any more.
    pub(super) fn start_waiting(&mut self, turn: &mut Turn) {
        let Some(busy) = self.busy.as_mut().filter(|it| it.running.is_empty()) else { return };
        let Some(due) = busy.waiting.pop_front() else { return };
        turn.given.extend(busy.given.extract_if(.., |it| it.due == due));
        turn.starts.push(due);
    }
}
