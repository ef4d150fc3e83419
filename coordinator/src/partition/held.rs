//! What waits while the journal's disk is full: all that could lead to something being written.

use std::collections::{HashSet, VecDeque};

use windlass_proto::wire::AssignmentKey;

use windlass_proto::limits::TURN_MESSAGES;

use super::Message;

/// Messages that wait, in order.
#[derive(Default)]
pub(super) struct Held {
    messages: VecDeque<Message>,
    /// Of which assignments there is a report among them: workers repeat theirs until answered.
    reports: HashSet<AssignmentKey>,
}

impl Held {
    /// Takes all messages that may have to be written; those that only ask are left.
    pub(super) fn keep(&mut self, messages: &mut Vec<Message>) {
        for message in std::mem::take(messages) {
            match &message {
                Message::Show { .. } | Message::Watch { .. } => messages.push(message),
                Message::Reported(report) => {
                    if self.reports.insert(report.key.clone()) {
                        self.messages.push_back(message);
                    }
                }
                _ => self.messages.push_back(message),
            }
        }
    }

    /// Gives back a turn's worth, what came first in front.
    pub(super) fn give_back(&mut self, messages: &mut Vec<Message>) {
        if self.messages.is_empty() {
            return;
        }
        self.messages.extend(messages.drain(..));
        let count = self.messages.len().min(TURN_MESSAGES);
        messages.extend(self.messages.drain(..count));
        if self.messages.is_empty() {
            self.reports.clear();
        }
    }

    /// True when nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use windlass_proto::id::InstanceId;

    use windlass_proto::limits::TURN_MESSAGES;

    use super::{Held, Message};
    use crate::engine::Input;

    fn input(number: u128) -> Message {
        let instance = InstanceId(uuid::Uuid::from_u128(number));
        Message::Input { instance, input: Input::Suspend, reply: None }
    }

    fn number(message: &Message) -> u128 {
        match message {
            Message::Input { instance, .. } => instance.0.as_u128(),
            _ => u128::MAX,
        }
    }

    #[test]
    fn what_only_asks_goes_on_and_the_rest_waits_in_order() {
        let (mut held, mut messages) = (Held::default(), vec![input(0)]);
        let instance = InstanceId(uuid::Uuid::nil());
        messages.push(Message::Show { instance, reply: oneshot::channel().0 });
        messages.extend((1..=TURN_MESSAGES as u128).map(input));
        held.keep(&mut messages);
        assert!(matches!(messages.as_slice(), [Message::Show { .. }]));
        let (mut seen, mut new) = (Vec::new(), vec![input(1_000)]);
        while !held.is_empty() {
            held.give_back(&mut new);
            assert!(new.len() <= TURN_MESSAGES);
            seen.extend(new.drain(..).map(|it| number(&it)));
        }
        let due: Vec<u128> = (0..=TURN_MESSAGES as u128).chain([1_000]).collect();
        assert_eq!(seen, due);
    }
}
