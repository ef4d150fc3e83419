//! Shares of limits.

use windlass_proto::id::FrameId;
use windlass_proto::time::Timestamp;

use crate::engine::fact::Fact;
use crate::engine::instance::{Body, Claim, Instance};

impl Instance {
    pub(super) fn limited(&mut self, at: Timestamp, fact: &Fact) {
        match fact {
            Fact::LimitAsked { frame, key, terms } => {
                // Whatever the facts, a claim is that of a visit that is open.
                if !self.frames.contains_key(frame) {
                    return;
                }
                // The worker that evaluated its `if` has answered.
                if self.frame(*frame).is_some_and(|it| matches!(it.body, Body::Evaluating { .. })) {
                    self.set_body(*frame, Body::Begun);
                }
                let claim = Claim { key: key.clone(), terms: *terms, asked: at, taken: None };
                self.changes.claims.push((*frame, claim.clone(), true));
                self.claims.insert(*frame, claim);
            }
            Fact::LimitTaken { frame } => {
                if let Some(claim) = self.claims.get_mut(frame) {
                    claim.taken = Some(at);
                    self.changes.claims.push((*frame, claim.clone(), true));
                }
            }
            Fact::LimitRefused { frame, .. } => self.give_back(*frame),
            // No other is handed here.
            _ => {}
        }
    }

    /// The visit has no claim any more.
    pub(super) fn give_back(&mut self, id: FrameId) {
        if let Some(claim) = self.claims.remove(&id) {
            self.changes.claims.push((id, claim, false));
        }
    }

    /// Asks for what another instance had.
    pub(super) fn ask_anew(&mut self, at: Timestamp) {
        for claim in self.claims.values_mut() {
            (claim.asked, claim.taken) = (at, None);
        }
    }

    /// Asks again for what was asked for: an answer may have come while nobody took it.
    pub(super) fn ask_for_shares(&mut self) {
        let asked = self.claims.iter().filter(|(_, it)| it.taken.is_none());
        self.changes.claims.extend(asked.map(|(id, it)| (*id, it.clone(), true)));
    }
}
