//! What the vault holds, as it is shown.

use crate::{
    adapter,
    input::Hit,
    row::{Body, Message, Quote, Reaction},
};
use openchat_client::{
    FileState, Marks, Range, Search, Vault, VaultError,
    engine::{self, StoredMessage},
    spoken::spoken,
    wire::GroupId,
};

/// The newest messages of a conversation in a range, in order.
///
/// # Errors
/// The vault's.
pub fn past(
    vault: &Vault,
    group: &GroupId,
    range: &Range,
    limit: u32,
) -> Result<Vec<Message>, VaultError> {
    vault.newest(group, range, limit)?.iter().map(|stored| message(vault, stored)).collect()
}

/// The newest messages in which these words occur, newest first.
///
/// # Errors
/// The vault's.
pub fn search(vault: &Vault, query: &str, limit: u32) -> Result<Vec<Hit>, VaultError> {
    let words = query.split_whitespace().map(str::to_owned).collect();
    let found = vault.search(&Search { words, group: None, sender: None, limit })?;
    Ok(found.iter().rev().filter_map(hit).collect())
}

/// None if its conversation has no name that can be written.
fn hit(stored: &StoredMessage) -> Option<Hit> {
    Some(Hit {
        target: stored.target.parse().ok()?,
        seq: stored.seq,
        message: stored.named(),
        time: stored.time,
        sender: stored.sender.to_string(),
        text: spoken(&stored.body).into_owned(),
    })
}

/// A message with all that was said about it since.
fn message(vault: &Vault, stored: &StoredMessage) -> Result<Message, VaultError> {
    let mut message = adapter::past(stored);
    match &stored.body {
        engine::Body::Reply { to, .. } => {
            if let Some(answered) = vault.message(&stored.group, to)? {
                let sender = answered.sender.to_string();
                let text = adapter::past(&answered).text().to_owned();
                message.reply = Some(Box::new(Quote { to: Some(*to), sender, text }));
            }
        }
        engine::Body::File(_) if !stored.own => arrived(vault, stored, &mut message)?,
        _ => {}
    }
    if message.is_said() {
        let Marks { edited, reactions } = vault.marks(&stored.group, &stored.named())?;
        message.edited = edited;
        for one in reactions {
            let by = one.by.to_string();
            match message.reactions.iter_mut().find(|same| same.word == one.emoji) {
                Some(same) => same.by.push(by),
                None => message.reactions.push(Reaction {
                    word: one.emoji,
                    by: vec![by],
                    queued: false,
                }),
            }
        }
    }
    Ok(message)
}

/// How much of a file of somebody's is here.
fn arrived(vault: &Vault, stored: &StoredMessage, message: &mut Message) -> Result<(), VaultError> {
    let kept = vault.file(Some(&stored.group), &stored.named())?;
    if let (Some(file), Body::File { size, here, wrong, .. }) = (kept, &mut message.body) {
        (*here, *wrong) = match file.state {
            FileState::Coming { done } => (done, false),
            FileState::Whole => (*size, false),
            FileState::Wrong => (0, true),
            FileState::GivenUp => (0, false),
        };
    }
    Ok(())
}
