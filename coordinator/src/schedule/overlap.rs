//! What is due while an instance of the same schedule is open.

use windlass_proto::limits::SCHEDULE_WAITING;
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
            Overlap::BufferOne if self.waiting() == 0 => self.wait(due),
            Overlap::BufferAll if self.waiting() < SCHEDULE_WAITING => self.wait(due),
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
                for former in busy.waiting.drain(..) {
                    turn.skip(former, Why::Superseded);
                }
                for instance in &busy.running {
                    if !turn.cancels.contains(instance) {
                        turn.cancels.push(*instance);
                    }
                }
                busy.waiting.push_back(due);
            }
        }
    }

    fn wait(&mut self, due: Due) {
        self.busy.get_or_insert_default().waiting.push_back(due);
    }

    /// Starts the first one that waits, when nothing is open any more.
    pub(super) fn start_waiting(&mut self, turn: &mut Turn) {
        let Some(busy) = self.busy.as_mut().filter(|it| it.running.is_empty()) else { return };
        turn.starts.extend(busy.waiting.pop_front());
    }
}
