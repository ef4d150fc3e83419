//! Decisions of people.

use windlass_proto::id::FrameId;

use crate::engine::instance::{Approving, Body, Instance, Question};

impl Instance {
    pub(super) fn approval_asked(&mut self, id: FrameId, question: &Question) {
        // This fact is counted already.
        let number = self.sequence.saturating_sub(1);
        if self.frames.contains_key(&id) {
            let question = question.clone();
            self.set_body(id, Body::Approving(Box::new(Approving { number, question })));
            self.changes.approvals.push((id, number, true));
        }
    }

    pub(super) fn approval_decided(&mut self, id: FrameId) {
        let Some(body) = self.frames.get(&id).map(|it| it.body.clone()) else { return };
        self.let_go(id, &body);
        self.set_body(id, Body::Begun);
    }

    /// The timeout of a visit has changed, which is told of a question.
    pub(super) fn approval_put_off(&mut self, id: FrameId) {
        if let Some(Body::Approving(it)) = self.frames.get(&id).map(|it| &it.body) {
            let number = it.number;
            self.changes.approvals.push((id, number, true));
        }
    }
}
