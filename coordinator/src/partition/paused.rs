//! What waits while the journal's disk is full: all that could lead to something being written, but
//! for what operators do about it.

use std::collections::{HashSet, VecDeque};

use windlass_proto::limits::OPERATED_AT_ONCE;
use windlass_proto::wire::AssignmentKey;

use windlass_proto::limits::TURN_MESSAGES;

use super::Message;
use crate::engine::Input;

/// Messages that wait, in order.
#[derive(Default)]
pub(super) struct PausedMessages {
    messages: VecDeque<Message>,
    /// What operators ask for and what comes of it, which goes into the reserve.
    operated: VecDeque<Message>,
    /// Of which assignments there is a report among them: workers repeat theirs until answered.
    reports: HashSet<AssignmentKey>,
}

impl PausedMessages {
    /// Takes all messages that may have to be written; those that only ask are left, and some of
    /// operators where the reserve has room for them.
    pub(super) fn keep(&mut self, messages: &mut Vec<Message>, reserve: bool) {
        for message in std::mem::take(messages) {
            match &message {
                Message::Show { .. } | Message::Watch { .. } | Message::LimitPlace { .. } => {
                    messages.push(message);
                }
                Message::Reported(report) => {
                    if self.reports.insert(report.key.clone()) {
                        self.messages.push_back(message);
                    }
                }
                _ if is_operated(&message) => self.operated.push_back(message),
                // Nothing is decided yet, and who asks is told of the disk instead of waiting.
                _ if is_asked(&message) => drop(message),
                _ => self.messages.push_back(message),
            }
        }
        if reserve {
            let count = self.operated.len().min(OPERATED_AT_ONCE);
            messages.extend(self.operated.drain(..count));
        }
    }

    /// Gives back a turn's worth, what came first in front.
    pub(super) fn give_back(&mut self, messages: &mut Vec<Message>) {
        if self.is_empty() {
            return;
        }
        while let Some(operated) = self.operated.pop_back() {
            self.messages.push_front(operated);
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
        self.messages.is_empty() && self.operated.is_empty()
    }
}

/// True for what frees room or keeps it: nothing that makes work go on.
fn is_operated(message: &Message) -> bool {
    match message {
        Message::Input { input, reply: Some(_), .. } => {
            matches!(input.bare(), Input::Cancel { .. } | Input::Suspend)
        }
        // Nothing is decided meanwhile but what operators ask for.
        Message::CancelChild { .. } => true,
        _ => false,
    }
}

/// True for what somebody waits for an answer to.
fn is_asked(message: &Message) -> bool {
    match message {
        Message::Start(start) => start.reply.is_some(),
        Message::Input { reply, .. } => reply.is_some(),
        Message::Succeed(_)
        | Message::Remove { .. }
        | Message::Schedule(_)
        | Message::Settle(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use windlass_proto::id::InstanceId;

    use windlass_proto::limits::TURN_MESSAGES;

    use super::{Message, OPERATED_AT_ONCE, PausedMessages};
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
        let (mut held, mut messages) = (PausedMessages::default(), vec![input(0)]);
        let instance = InstanceId(uuid::Uuid::nil());
        messages.push(Message::Show { instance, approval: None, reply: oneshot::channel().0 });
        messages.extend((1..=TURN_MESSAGES as u128).map(input));
        held.keep(&mut messages, true);
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

    #[test]
    fn who_asks_for_what_would_be_written_does_not_wait() {
        let (mut held, (reply, answer)) = (PausedMessages::default(), oneshot::channel());
        let instance = InstanceId(uuid::Uuid::nil());
        let mut messages =
            vec![Message::Input { instance, input: Input::Resume, reply: Some(reply) }];
        held.keep(&mut messages, true);
        assert!(messages.is_empty() && held.is_empty());
        assert!(answer.blocking_recv().is_err());
    }

    #[test]
    fn what_operators_do_goes_on_while_there_is_a_reserve() {
        let (mut held, mut messages) = (PausedMessages::default(), vec![input(0)]);
        for number in 1..=OPERATED_AT_ONCE as u128 + 1 {
            let instance = InstanceId(uuid::Uuid::from_u128(number));
            let input = Input::Cancel { reason: None };
            let reply = Some(oneshot::channel().0);
            messages.push(Message::Input { instance, input, reply });
        }
        held.keep(&mut messages, false);
        assert!(messages.is_empty(), "the reserve is used up");
        held.keep(&mut messages, true);
        assert_eq!(messages.len(), OPERATED_AT_ONCE);
        let mut rest = Vec::new();
        held.give_back(&mut rest);
        let rest: Vec<u128> = rest.iter().map(number).collect();
        assert_eq!(rest, [OPERATED_AT_ONCE as u128 + 1, 0], "operators go first");
        assert!(held.is_empty());
    }
}
