//! Answers that are owed to others.

use super::{Ack, Body, Council, Id, Message, Now, Term, Voter};

/// An answer, as far as it is decided. What it says of this node it says as of when it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reply {
    to: Voter,
    term: Term,
    answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    PreVoted(bool),
    Voted(bool),
    Ack {
        number: u64,
        bounded: bool,
    },
    /// The sender's term is over.
    Refusal,
}

impl Council {
    /// Owes an answer. A newer one to the same node takes the place of an older one: who asked
    /// again has given up the first question. Where all places are taken, the question counts as
    /// lost, and is asked again.
    pub(super) fn answer(&mut self, to: Voter, term: Term, answer: Answer) {
        let reply = Reply { to, term, answer };
        match self.replies.iter_mut().find(|r| r.to.id == to.id) {
            Some(place) => *place = reply,
            None => drop(self.replies.push(reply)),
        }
    }

    /// The next answer that may leave. Durability: a vote or an acknowledgement only when all that
    /// it rests on is safe; and only while it is still true.
    pub(super) fn next_reply(&mut self, now: &Now) -> Option<Message> {
        self.drop_stale_replies();
        let ready = |reply: &Reply| match reply.answer {
            Answer::Voted(true) | Answer::Ack { .. } => self.is_durable(),
            _ => true,
        };
        let at = self.replies.iter().position(ready)?;
        let reply = self.replies.swap_remove(at);
        let body = match reply.answer {
            Answer::PreVoted(granted) => Body::PreVoted { granted },
            Answer::Voted(granted) => {
                Body::Voted { report: granted.then(|| self.promises.report(now.mono)) }
            }
            Answer::Ack { number, bounded } => {
                Body::Ack(Ack { number, id: self.record.state.id, bounded })
            }
            Answer::Refusal => Body::Ack(Ack { number: 0, id: Id::ZERO, bounded: false }),
        };
        Some(self.message(reply.to, reply.term, body))
    }

    /// A vote or an acknowledgement of a term that is over is not given any more.
    fn drop_stale_replies(&mut self) {
        let (term, voted_for) = (self.record.term, self.record.voted_for);
        self.replies.retain(|reply| match reply.answer {
            Answer::Voted(true) => reply.term == term && voted_for == reply.to.id,
            Answer::Ack { .. } => reply.term == term,
            _ => true,
        });
    }
}
