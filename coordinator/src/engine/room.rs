//! How much an instance may hold: a task that would add more than there is room for fails before
//! anything is kept of it, so that a `try` can catch that, and recovery never meets it.

use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::instance::FRAME_BYTES;
use super::turn::Turn;

impl Turn<'_> {
    /// Room for values that are about to be kept. There always is for small ones: an error at the
    /// bound must still be caught.
    pub(super) fn room_for(&self, values: &[&Value]) -> Result<(), Problem> {
        let wanted = self.state.held.with(values.iter().copied());
        if wanted < self.state.held.bytes().saturating_add(limits::SHARED_BYTES) {
            return Ok(());
        }
        self.room(wanted)
    }

    /// Room for one more open task.
    pub(super) fn room_for_frame(&self) -> Result<(), Problem> {
        self.room(self.state.held.bytes().saturating_add(FRAME_BYTES))
    }

    fn room(&self, wanted: u64) -> Result<(), Problem> {
        let (held, allowance) = (self.state.held.bytes(), self.state.allowance);
        // What adds nothing passes: an instance may be over a bound that was lowered.
        if wanted <= allowance || wanted <= held {
            return Ok(());
        }
        let detail = format!(
            "the instance would hold {wanted} bytes in its inputs, outputs and context, and may hold \
             {allowance}: keep less with `output.as` and `export.as`, or store large data elsewhere \
             and pass a reference"
        );
        Err(Problem::new(Standard::Runtime, detail))
    }
}
