//! What a relay may do with the truth before it leaves.

use crate::world::Who;
use openchat_wire::relay::{Answer, Refusal, Request, ToClient};

/// What is said to a request.
pub(crate) type Said = Result<Answer, Refusal>;

/// A relay's honesty: each step that a lie can be told at. The defaults tell none.
pub(crate) trait Lies {
    /// An answer without asking the relay.
    fn instead(&mut self, _from: Who, _request: &Request) -> Option<Said> {
        None
    }

    /// What is told in place of the relay's answer.
    fn answer(&mut self, _to: Who, _request: &Request, answer: Said) -> Said {
        answer
    }

    /// What is pushed in place of a frame.
    fn push(&mut self, _to: Who, frame: ToClient) -> Vec<ToClient> {
        vec![frame]
    }
}

/// Tells the truth.
pub(crate) struct Honest;

impl Lies for Honest {}

/// Answers some requests by itself.
pub(crate) struct Instead<F>(pub(crate) F);

impl<F: FnMut(Who, &Request) -> Option<Said>> Lies for Instead<F> {
    fn instead(&mut self, from: Who, request: &Request) -> Option<Said> {
        (self.0)(from, request)
    }
}

/// Does as it is asked and tells something else.
pub(crate) struct Answers<F>(pub(crate) F);

impl<F: FnMut(Who, &Request, Said) -> Said> Lies for Answers<F> {
    fn answer(&mut self, to: Who, request: &Request, answer: Said) -> Said {
        (self.0)(to, request, answer)
    }
}

/// Pushes something else.
pub(crate) struct Pushes<F>(pub(crate) F);

impl<F: FnMut(Who, ToClient) -> Vec<ToClient>> Lies for Pushes<F> {
    fn push(&mut self, to: Who, frame: ToClient) -> Vec<ToClient> {
        (self.0)(to, frame)
    }
}
