//! What is said about messages that are here already.

use crate::{
    conversation::Conversation,
    row::{Body, Message, Quote, Reaction},
};
use openchat_client::{engine::MessageRef, wire::Seq};

/// Reactions that a message shows at most; the vault keeps no more of them either.
const MAX_REACTIONS: usize = 256;

impl Conversation {
    /// Its author says something else in place of `of`, at `seq`.
    pub(crate) fn edit(&mut self, of: &MessageRef, seq: Seq, text: String) {
        let Some(message) = self.before(of, seq) else { return };
        message.body = match message.body {
            Body::Text(_) => Body::Text(text),
            Body::Action(_) => Body::Action(text),
            _ => return,
        };
        message.edited = true;
    }

    /// Its author takes `of` back, at `seq`.
    pub(crate) fn delete(&mut self, of: &MessageRef, seq: Seq) {
        let Some(message) = self.before(of, seq).filter(|message| message.is_said()) else {
            return;
        };
        message.body = Body::Deleted;
        message.reply = None;
        message.reactions.clear();
        message.edited = false;
    }

    /// Somebody reacts to a message with a word, or not any more.
    pub(crate) fn react(&mut self, to: &MessageRef, word: String, by: String, on: bool) {
        let Some(message) = self.named_mut(to).filter(|message| message.is_said()) else { return };
        for reaction in message.reactions.iter_mut().filter(|one| one.word == word) {
            reaction.by.retain(|one| *one != by);
        }
        if on && message.reactions.iter().map(|one| one.by.len()).sum::<usize>() < MAX_REACTIONS {
            match message.reactions.iter_mut().find(|one| one.word == word) {
                Some(reaction) => reaction.by.push(by),
                None => message.reactions.push(Reaction { word, by: vec![by] }),
            }
        }
        message.reactions.retain(|one| !one.by.is_empty());
    }

    /// So many bytes of a file are here.
    pub(crate) fn file(&mut self, file: &MessageRef, bytes: u64, is_wrong: bool) {
        if let Some(Message { body: Body::File { here, wrong, .. }, .. }) = self.named_mut(file) {
            (*here, *wrong) = (bytes, is_wrong);
        }
    }

    /// What a message answers, in words, if that is here.
    pub(crate) fn quoted(&self, message: &mut Message) {
        let Some(to) = message.reply.as_ref().and_then(|quote| quote.to) else { return };
        if let Some((_, answered)) = self.named(&to) {
            let (sender, text) = (answered.sender.clone(), answered.text().to_owned());
            message.reply = Some(Box::new(Quote { to: None, sender, text }));
        }
    }

    fn before(&mut self, of: &MessageRef, seq: Seq) -> Option<&mut Message> {
        self.named_mut(of).filter(|message| message.seq.is_some_and(|place| place < seq))
    }
}
