//! Contents that carry more than what they say: what their author was shown of the transparency log
//! (`docs/protocol.md` §9.4).

use openchat_group::{Content, ContentKind};
use openchat_wire::{Blob, decode, encode, limits::MAX_ENTRY};
use serde::{Deserialize, Serialize};

use crate::{conversation::Conversation, shared::Now};

/// The body of a content of kind [`ContentKind::WITNESSED`].
#[derive(Debug, Serialize, Deserialize)]
struct Witnessed {
    /// As the log's key signed it.
    head: Blob,
    /// The kind of what is said.
    kind: u16,
    /// What is said.
    body: Blob,
}

/// What is said, and the head that came with it. What can't be read stays as it is.
pub(crate) fn unwrap(content: &Content) -> (Option<Blob>, Content) {
    let is_witnessed = content.kind == ContentKind::WITNESSED;
    let witnessed = is_witnessed.then(|| decode::<Witnessed>(&content.body.0, MAX_ENTRY).ok());
    match witnessed.flatten() {
        Some(Witnessed { head, kind, body }) => {
            (Some(head), Content { time: content.time, kind: ContentKind(kind), body })
        }
        None => (None, content.clone()),
    }
}

/// The kind of what is said.
pub(crate) fn kind_of(content: &Content) -> ContentKind {
    if content.kind == ContentKind::WITNESSED { unwrap(content).1.kind } else { content.kind }
}

fn wrap(head: &[u8], content: Content) -> Content {
    let Content { time, kind, body } = content;
    let witnessed = Witnessed { head: Blob(head.to_vec()), kind: kind.0, body };
    Content { time, kind: ContentKind::WITNESSED, body: Blob(encode(&witnessed)) }
}

/// What was said, as it went: with this head, or alone.
pub(crate) fn rewrap(head: Option<Blob>, content: Content) -> Content {
    match head {
        Some(head) => wrap(&head.0, content),
        None => content,
    }
}

impl Conversation {
    /// What the person writes, with the newest head, if it was not told here since this process began.
    /// The others compare it with what they were shown.
    pub(crate) fn with_head(&mut self, now: &Now<'_>, content: Content) -> Content {
        let mirror = now.shared.log.mirror();
        match mirror.signed_head() {
            Some(head) if mirror.size() > self.witnessed => {
                self.witnessed = mirror.size();
                wrap(head, content)
            }
            _ => content,
        }
    }
}

#[cfg(test)]
mod tests {
    use openchat_wire::UnixMillis;

    use super::*;

    fn text() -> Content {
        let body = Blob(b"hello".to_vec());
        Content { time: UnixMillis(7), kind: ContentKind::TEXT, body }
    }

    #[test]
    fn what_is_said_comes_out_as_it_went_in() {
        let wrapped = wrap(b"a head", text());
        assert_eq!(kind_of(&wrapped), ContentKind::TEXT);
        assert_eq!(unwrap(&wrapped), (Some(Blob(b"a head".to_vec())), text()));
        assert_eq!(unwrap(&text()), (None, text()));
    }

    #[test]
    fn what_can_t_be_read_or_is_wrapped_twice_is_no_text() {
        let twice = wrap(b"another", wrap(b"a head", text()));
        assert_eq!(kind_of(&twice), ContentKind::WITNESSED);
        let mut cut = wrap(b"a head", text());
        cut.body.0.pop();
        assert_eq!(unwrap(&cut), (None, cut.clone()));
    }
}
