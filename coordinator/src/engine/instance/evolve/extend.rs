//! Facts of extensions around a task.

use windlass_proto::id::FrameId;
use windlass_proto::plan::Flow;
use windlass_proto::value::Value;

use crate::engine::instance::{Body, Instance};

impl Instance {
    pub(super) fn extensions_began(
        &mut self,
        id: FrameId,
        extensions: &[u32],
        value: &Value,
        (flow, after): (Option<Flow>, bool),
    ) {
        self.empty(id);
        let before = match self.body_mut(id).map(|body| body.doing()) {
            Some(body) if !body.is_outstanding() => Box::new(body.clone()),
            // What was outside has answered.
            Some(_) | None => Box::new(Body::Begun),
        };
        if let Some(frame) = self.frames.get_mut(&id) {
            frame.extensions = extensions.to_vec();
        }
        let (held, value) = (value.clone(), value.clone());
        self.set_body(id, Body::Extending { place: 0, after, held, flow, before, value });
        self.restart(id);
    }

    pub(super) fn extension_began(&mut self, id: FrameId, place: u32) {
        if let Some((kept, Body::Extending { place: current, held, value, .. })) =
            self.body_held(id)
        {
            *current = place;
            kept.replace(value, held.clone());
        }
        self.restart(id);
    }

    pub(super) fn extensions_ended(&mut self, id: FrameId) {
        let Some(open) = self.frames.get_mut(&id) else { return };
        let Body::Extending { after, before, .. } = &open.body else { return };
        let before = (**before).clone();
        if *after {
            open.extensions.clear();
        }
        self.set_body(id, before);
        self.restart(id);
    }
}
