//! What is said about messages that are here already.

use crate::{
    conversation::Conversation,
    row::{Body, Message, Quote, Reaction},
};
use openchat_client::{engine::MessageRef, wire::Seq};

/// Reactions that a message shows at most; the vault keeps no more of them either.
const MAX_REACTIONS: usize = 256;

impl Message {
    pub(crate) fn edit(&mut self, text: String) {
        self.body = match self.body {
            Body::Text(_) => Body::Text(text),
            Body::Action(_) => Body::Action(text),
            _ => return,
        };
        self.edited = true;
    }

    pub(crate) fn delete(&mut self) {
        if self.is_said() {
            self.clear();
        }
    }

    /// Nothing is left of it but that it was there.
    pub(crate) fn clear(&mut self) {
        self.body = Body::Deleted;
        self.reply = None;
        self.reactions.clear();
        self.edited = false;
    }

    pub(crate) fn react(&mut self, word: String, by: &str, on: bool) {
        if !self.is_said() {
            return;
        }
        let is_full = self.reactions.iter().map(|one| one.by.len()).sum::<usize>() >= MAX_REACTIONS;
        let at = self.reactions.iter().position(|one| one.word == word).unwrap_or_else(|| {
            self.reactions.push(Reaction { word, by: Vec::new(), queued: false });
            self.reactions.len() - 1
        });
        let reaction = &mut self.reactions[at];
        let was_there = reaction.by.iter().any(|one| one == by);
        reaction.by.retain(|one| one != by);
        if on && (was_there || !is_full) {
            reaction.by.push(by.to_owned());
        }
        self.reactions.retain(|one| !one.by.is_empty());
    }
}

impl Conversation {
    /// Its author says something else in place of `of`, at `seq`.
    pub(crate) fn edit(&mut self, of: &MessageRef, seq: Seq, text: String) {
        if let Some(message) = self.before(of, seq) {
            message.edit(text);
            self.requote(of);
            self.quote_pending();
        }
    }

    /// Its author takes `of` back, at `seq`.
    pub(crate) fn delete(&mut self, of: &MessageRef, seq: Seq) {
        if let Some(message) = self.before(of, seq) {
            message.delete();
        }
        // It may stand further up than what was read, and what quotes it be here.
        self.requote(of);
        self.quote_pending();
    }

    /// These messages are not kept any more: nothing of them stays, nor in what quotes them.
    pub(crate) fn forget(&mut self, gone: &[MessageRef]) {
        for which in gone {
            if let Some(message) = self.named_mut(which) {
                message.clear();
            }
            self.requote(which);
        }
        self.quote_pending();
    }

    /// Somebody reacts to a message with a word, or not any more.
    pub(crate) fn react(&mut self, to: &MessageRef, word: String, by: &str, on: bool) {
        if let Some(message) = self.named_mut(to) {
            message.react(word, by, on);
        }
    }

    /// So many bytes of a file are here.
    pub(crate) fn file(&mut self, file: &MessageRef, bytes: u64, is_wrong: bool) {
        if let Some(Message { body: Body::File { here, wrong, .. }, .. }) = self.named_mut(file) {
            (*here, *wrong) = (bytes, is_wrong);
        }
    }

    /// What a message answers, in words, if that is here.
    pub(crate) fn quoted(&self, message: &mut Message) {
        if let Some(quote) = &mut message.reply
            && let Some((_, answered)) = quote.to.and_then(|to| self.named(&to))
        {
            (quote.sender, quote.text) = (answered.sender.clone(), answered.text().to_owned());
        }
    }

    /// What answers this message quotes it as it stands now.
    pub(crate) fn requote(&mut self, of: &MessageRef) {
        let answers = self.answers_to(of);
        if answers.is_empty() {
            return;
        }
        let (sender, text) = if let Some((_, message)) = self.named(of) {
            (message.sender.clone(), message.text().to_owned())
        } else {
            let Quote { sender, text, .. } = Quote::unknown(*of);
            (sender, text)
        };
        for answer in answers {
            let message = self.named_mut(&answer);
            if let Some(quote) = message.and_then(|message| message.reply.as_mut()) {
                (quote.sender, quote.text) = (sender.clone(), text.clone());
            }
        }
    }

    fn before(&mut self, of: &MessageRef, seq: Seq) -> Option<&mut Message> {
        self.named_mut(of).filter(|message| message.seq.is_some_and(|place| place < seq))
    }
}
