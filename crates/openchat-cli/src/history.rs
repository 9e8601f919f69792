//! `openchat history`, `openchat search`, `openchat retention`: what this device keeps.

use crate::{
    args::{HistoryArgs, Kept, RangeArgs, RetentionArgs, SearchArgs},
    context::Context,
    fault::{Exit, Fault},
    join, json,
    moment::{self, Scope},
    out,
};
use openchat_client::{
    Identity, Range, Search, Vault,
    engine::{StoredMessage, Target},
    outside::now,
    session,
};
use openchat_wire::{GroupId, UnixMillis};
use std::{collections::BTreeMap, time::Duration};

/// How many messages of a conversation are shown to whoever did not say.
const USUAL: u32 = 100;

/// Messages read at once.
pub(crate) const PAGE: u32 = 500;

/// Prints what this device has of a conversation.
pub(crate) fn history(context: &Context, args: &HistoryArgs) -> Result<Exit, Fault> {
    let (vault, identity) = context.look()?;
    let names = Names::of(context, &vault, &identity)?;
    let group = names.group(context, &args.target)?;
    let range = range(&args.range);
    let is_bounded = args.range.since.is_some() || args.range.until.is_some();
    let fault = |error| context.hints.vault(&error);
    match args.limit.or((!is_bounded).then_some(USUAL)) {
        Some(limit) => {
            let messages = vault.newest(&group, &range, limit).map_err(fault)?;
            print(context, &names, messages)?;
        }
        None => {
            each_page(context, &vault, &group, &range, |messages| {
                print(context, &names, messages)
            })?;
        }
    }
    Ok(Exit::Ok)
}

/// Prints the messages in which all words occur.
pub(crate) fn search(context: &Context, args: SearchArgs) -> Result<Exit, Fault> {
    let (vault, identity) = context.look()?;
    let names = Names::of(context, &vault, &identity)?;
    let group = args.r#in.map(|target| names.group(context, &target)).transpose()?;
    let search = Search { words: args.words, group, sender: args.from, limit: args.limit };
    let messages = vault.search(&search).map_err(|error| context.hints.vault(&error))?;
    if messages.is_empty() {
        context.out.note("Nothing was found.");
    }
    print(context, &names, messages)?;
    Ok(Exit::Ok)
}

/// Says or sets for how long messages are kept.
pub(crate) fn retention(context: &Context, args: &RetentionArgs) -> Result<Exit, Fault> {
    let (vault, identity) = context.look()?;
    let names = Names::of(context, &vault, &identity)?;
    let of = |scope: &Scope| match scope {
        Scope::All => Ok(None),
        Scope::Of(target) => names.group(context, target).map(Some),
    };
    let fault = |error| context.hints.vault(&error);
    match (&args.scope, args.time) {
        (Some(scope), Some(time)) => {
            let group = of(scope)?;
            drop(vault);
            let kept = match time {
                Kept::For(kept) => Some(kept),
                Kept::Forever => None,
            };
            let mut vault = context.open()?;
            let count = vault.set_retention(group.as_ref(), kept, now()).map_err(fault)?;
            context.out.note(&format!("{count} messages were deleted."));
            told(context, &names, group, kept)?;
        }
        (Some(scope), None) => {
            let group = of(scope)?;
            told(context, &names, group, vault.retention(group.as_ref()).map_err(fault)?)?;
        }
        (None, _) => {
            told(context, &names, None, vault.retention(None).map_err(fault)?)?;
            for group in names.called.keys() {
                if let Some(kept) = vault.retention(Some(group)).map_err(fault)? {
                    told(context, &names, Some(*group), Some(kept))?;
                }
            }
        }
    }
    Ok(Exit::Ok)
}

fn told(
    context: &Context,
    names: &Names,
    group: Option<GroupId>,
    kept: Option<Duration>,
) -> Result<(), Fault> {
    let target = group.map_or_else(|| "all".to_owned(), |group| names.name(&group));
    let time = kept.map_or_else(|| "forever".to_owned(), moment::spelled);
    let object =
        json::Retention { target: &target, time: &time, seconds: kept.map(|it| it.as_secs()) };
    context.out.result(&format!("{target}\t{time}"), &json::Object::of("retention", object))
}

/// The range that was asked for.
pub(crate) fn range(args: &RangeArgs) -> Range {
    Range { since: args.since.unwrap_or(UnixMillis(0)), until: args.until, ..Range::ALL }
}

/// Hands on all messages in `range`, from the oldest on, page by page.
pub(crate) fn each_page(
    context: &Context,
    vault: &Vault,
    group: &GroupId,
    range: &Range,
    mut take: impl FnMut(Vec<StoredMessage>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut range = *range;
    loop {
        let page = vault.oldest(group, &range, PAGE);
        let page = page.map_err(|error| context.hints.vault(&error))?;
        let Some(last) = page.last().map(|message| message.seq) else { return Ok(()) };
        range.after = Some(last);
        take(page)?;
    }
}

fn print(context: &Context, names: &Names, messages: Vec<StoredMessage>) -> Result<(), Fault> {
    let line = |message: StoredMessage| {
        let message = names.named(message);
        if context.out.json { json::message(&message) } else { join::line(&message) }
    };
    let lines: String = messages.into_iter().map(line).collect();
    out::data(&lines).map_err(|error| Fault::output(&error))
}

/// What the conversations are called now, also those that this device is no longer in.
pub(crate) struct Names {
    pub(crate) called: BTreeMap<GroupId, String>,
    targets: Vec<(Target, GroupId)>,
}

impl Names {
    pub(crate) fn of(context: &Context, vault: &Vault, identity: &Identity) -> Result<Self, Fault> {
        let stored = session::stored(vault, identity);
        let stored = stored.map_err(|error| context.hints.session(&identity.server, &error))?;
        let kept = vault.kept_conversations().map_err(|error| context.hints.vault(&error))?;
        let mut names = Self { called: kept.into_iter().collect(), targets: Vec::new() };
        for conversation in stored.conversations {
            if let Some(group) = conversation.summary.group {
                names.called.insert(group, conversation.summary.target.to_string());
                names.targets.push((conversation.summary.target, group));
            }
        }
        Ok(names)
    }

    /// The group that is meant.
    pub(crate) fn group(&self, context: &Context, target: &Target) -> Result<GroupId, Fault> {
        let now = self.targets.iter().find(|(called, group)| target.means(called, Some(group)));
        let written = target.to_string();
        let before = || self.called.iter().find(|(_, called)| **called == written);
        now.map(|(_, group)| *group).or_else(|| before().map(|(group, _)| *group)).ok_or_else(
            || {
                let message = format!("this device knows of no conversation {target}");
                let hint = context.hints.command("group list");
                Fault::new(Exit::NotFound, "no-such-conversation", message, hint)
            },
        )
    }

    pub(crate) fn name(&self, group: &GroupId) -> String {
        self.called.get(group).cloned().unwrap_or_default()
    }

    /// The message under the name that its conversation has now.
    pub(crate) fn named(&self, message: StoredMessage) -> StoredMessage {
        let target = self.called.get(&message.group).cloned();
        StoredMessage { target: target.unwrap_or(message.target.clone()), ..message }
    }
}
