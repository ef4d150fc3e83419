//! Whether an input belongs to anything that is open.
//!
//! This is asked before a turn begins, of a state that cannot be changed meanwhile: an input that
//! is refused leaves no fact behind, because none has been decided. What has been admitted is
//! decided to its end. Events alone are told by what they lead to: nothing, if nobody wants them.

use windlass_proto::id::FrameId;
use windlass_proto::time::Timestamp;

use super::input::{Input, LimitVerdict, Rejection};
use super::instance::{Body, Instance, ROOT, Step};

/// Looks whether an input can be taken.
pub(super) fn admit(state: &Instance, at: Timestamp, input: &Input) -> Result<(), Rejection> {
    if state.ending.is_some() && !matches!(input, Input::ChildGone { .. }) {
        // Whether what its fault starts has started is known later.
        let of_handler = matches!(
            input,
            Input::ChildAccepted { frame: ROOT } | Input::ChildEnded { frame: ROOT, .. }
        );
        return if of_handler && state.has_pending_handler() {
            Ok(())
        } else {
            Err(Rejection::Ended)
        };
    }
    let (fits, otherwise) = match input {
        Input::Reported { frame, delivery, .. } | Input::Lost { frame, delivery, .. } => {
            (is_live(state, *frame, *delivery), Rejection::Stale)
        }
        Input::TimerFired { timer } => (is_due(state, at, *timer), Rejection::Stale),
        Input::EventArrived(_) => (true, Rejection::NotWaited),
        Input::Published { frame, .. } => {
            (matches!(body(state, *frame), Some(Body::Publishing { .. })), Rejection::Stale)
        }
        Input::ChildAccepted { frame } => {
            let child = matches!(body(state, *frame), Some(Body::Child { wait: false, .. }));
            (child, Rejection::Stale)
        }
        Input::ChildEnded { frame, .. } => {
            (matches!(body(state, *frame), Some(Body::Child { .. })), Rejection::Stale)
        }
        Input::ChildGone { child } => (state.abandoned.contains(child), Rejection::Stale),
        Input::Requested { input, .. } => return admit(state, at, input),
        Input::Continue => (!state.is_stopped() && !state.pending.is_empty(), Rejection::Stale),
        Input::Limit { frame, verdict } => {
            let has = state.claims.get(frame).map(|it| it.taken.is_some());
            (has == Some(*verdict == LimitVerdict::Displaced), Rejection::Stale)
        }
        Input::Cancel { .. } => (true, Rejection::Ended),
        Input::Suspend => (!state.suspended, Rejection::WrongStatus),
        Input::Quarantine { .. } => (state.quarantine.is_none(), Rejection::WrongStatus),
        Input::Resume => (state.suspended, Rejection::WrongStatus),
        Input::Decide { number, .. } => {
            (state.frames.values().any(|it| it.body.asks(*number)), Rejection::Stale)
        }
        Input::Skip { frame, .. } => {
            (state.frame(*frame).is_some_and(|it| it.task.is_some()), Rejection::Stale)
        }
    };
    if fits { Ok(()) } else { Err(otherwise) }
}

/// True when a timer is set and due, and what it does does not wait already for the instance to be
/// resumed.
pub(super) fn is_due(state: &Instance, at: Timestamp, number: u32) -> bool {
    state.timers.get(&number).is_some_and(|timer| at >= timer.due)
        && !(state.is_stopped() && state.pending.contains(&Step::Fire { timer: number }))
}

/// True for the delivery that a visit waits for.
fn is_live(state: &Instance, id: FrameId, delivery: u32) -> bool {
    match body(state, id) {
        Some(Body::Dispatched { delivery: live } | Body::Evaluating { delivery: live, .. }) => {
            *live == delivery
        }
        // An answer that comes late: the visit is over, or goes on with another delivery.
        Some(_) | None => false,
    }
}

fn body(state: &Instance, id: FrameId) -> Option<&Body> {
    state.frame(id).map(|frame| &frame.body)
}
