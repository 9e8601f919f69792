//! `openchat group`

use crate::{
    args::{GroupArgs, GroupCommand},
    context::Context,
    fault::{Exit, Fault},
    history::Names,
    json,
    once::{self, Outcome, Patience},
    out, send, standing,
    target::quoted,
    text::safe,
    wish::{What, Wish},
};
use openchat_client::{
    Say, StoredConversation,
    engine::{Bring, GroupKind, Target},
    session,
};
use openchat_wire::{GroupName, Name};

pub(crate) fn run(context: &Context, args: GroupArgs) -> Result<Exit, Fault> {
    let at = |target, what| vec![Wish { target: Some(target), what }];
    let wishes = match args.command {
        GroupCommand::List => return list(context),
        GroupCommand::Topic { place, text: None } => return topic(context, &place.target),
        GroupCommand::Topic { place, text: Some(text) } => {
            return send::say(context, &place.target, Say::Topic(text), Patience::default());
        }
        GroupCommand::Mute { place } => return mute(context, &place.target, true),
        GroupCommand::Unmute { place } => return mute(context, &place.target, false),
        GroupCommand::Show { place } => return show(context, &place.target, standing::said),
        GroupCommand::Policy { place, join: None, invite: None } => {
            let rules = |summary: &_| standing::policy(summary);
            return show(context, &place.target, rules);
        }
        GroupCommand::Policy { place, join, invite } => {
            let (join, invite) = (join.map(Into::into), invite.map(Into::into));
            at(place.target, What::Policy { join, invite })
        }
        GroupCommand::New { name, open, invite, add } => new(name, open, invite, add),
        GroupCommand::Invite { place, people } => at(place.target, What::Invite(people.who)),
        GroupCommand::Add { place, people } => at(place.target, What::Add(people.who)),
        GroupCommand::Join { place } => at(place.target, What::Accept),
        GroupCommand::Decline { place } => at(place.target, What::Decline),
        GroupCommand::Leave { place } => at(place.target, What::Leave),
        GroupCommand::Kick { place, who } => at(place.target, What::Kick(who)),
        GroupCommand::Role { place, who, role } => at(place.target, What::Role(who, role.into())),
        GroupCommand::Rejoin { place } => at(place.target, What::Rejoin),
    };
    obey(context, wishes)
}

/// Those who are added are in from the beginning; those who are invited are asked afterwards.
fn new(name: GroupName, open: bool, invite: Vec<Name>, add: Vec<Name>) -> Vec<Wish> {
    let kind = if open { GroupKind::Open } else { GroupKind::Closed };
    let begin = |people, how| Wish { target: None, what: What::New { name, kind, people, how } };
    match (add.is_empty(), invite.is_empty()) {
        (true, _) => vec![begin(invite, Bring::Invite)],
        (false, true) => vec![begin(add, Bring::Add)],
        (false, false) => {
            vec![begin(add, Bring::Add), Wish { target: None, what: What::Invite(invite) }]
        }
    }
}

fn obey(context: &Context, wishes: Vec<Wish>) -> Result<Exit, Fault> {
    let first = wishes.first().map(|wish| wish.what.clone());
    let about = wishes.first().and_then(|wish| wish.target.as_ref().map(Target::to_string));
    match once::obey(context, wishes)? {
        Outcome::Interrupted => Ok(Exit::Interrupted),
        Outcome::Unanswered(end) => Err(once::unanswered(context, end, about.as_deref())?),
        Outcome::Acknowledged(_) | Outcome::Delivered(..) | Outcome::Done(None) => Ok(Exit::Ok),
        Outcome::Done(Some(target)) => {
            report(context, first.as_ref(), &target)?;
            Ok(Exit::Ok)
        }
    }
}

/// The name that a new group goes by is data; what else was done shows in the news.
fn report(context: &Context, what: Option<&What>, target: &str) -> Result<(), Fault> {
    if context.out.json {
        return out::data(&json::done(target, None)).map_err(|error| Fault::output(&error));
    }
    let is_new = matches!(what, Some(What::New { .. }));
    if is_new {
        out::data(&format!("{target}\n")).map_err(|error| Fault::output(&error))?;
    } else if let Some(word) = what.and_then(What::done) {
        context.out.note(&format!("{target}: {word}"));
    }
    if is_new || what == Some(&What::Accept) {
        let open = context.hints.command(&format!("join {}", quoted(target)));
        context.out.note(&format!("Next: {open}"));
    }
    Ok(())
}

/// All that this device knows of.
fn stored(context: &Context) -> Result<Vec<StoredConversation>, Fault> {
    let (vault, identity) = context.look()?;
    let stored = session::stored(&vault, &identity);
    let stored = stored.map_err(|error| context.hints.session(&identity.server, &error))?;
    Ok(stored.into_left())
}

/// Tells what a conversation is about, as far as this device has read.
fn topic(context: &Context, target: &Target) -> Result<Exit, Fault> {
    let (vault, identity) = context.look()?;
    let names = Names::of(context, &vault, &identity)?;
    let group = names.group(context, target)?;
    let holding = vault.holding(&group).map_err(|error| context.hints.vault(&error))?;
    let (text, by) = holding.topic.map_or((None, None), |(text, by)| (Some(text), Some(by)));
    let target = names.name(&group);
    let object =
        json::About { target: &target, topic: text.as_deref(), by: by.as_ref().map(Name::as_str) };
    let said = text.as_deref().map(safe).unwrap_or_default();
    context.out.result(&said, &json::Object::of("topic", object))?;
    Ok(Exit::Ok)
}

fn mute(context: &Context, target: &Target, muted: bool) -> Result<Exit, Fault> {
    let (vault, identity) = context.look()?;
    let names = Names::of(context, &vault, &identity)?;
    let group = names.group(context, target)?;
    vault.mute(&group, muted).map_err(|error| context.hints.vault(&error))?;
    let target = names.name(&group);
    let word = if muted { "muted" } else { "not muted" };
    let object = json::Object::of("muted", json::Muted { target: &target, muted });
    context.out.result(&format!("{target}\t{word}"), &object)?;
    Ok(Exit::Ok)
}

fn list(context: &Context) -> Result<Exit, Fault> {
    let line = |stored: &StoredConversation| {
        if context.out.json {
            json::conversation(&stored.summary, Some(stored.waiting))
        } else {
            listed(stored)
        }
    };
    let conversations = stored(context)?;
    let lines: String = conversations.iter().map(line).collect();
    out::data(&lines).map_err(|error| Fault::output(&error))?;
    if conversations.is_empty() {
        context.out.note(&format!("None yet. Next: {}", context.hints.command("join")));
    }
    Ok(Exit::Ok)
}

/// `TARGET KIND STAGE MEMBERS WAITING`, separated by tabs, and with whom it was if the tag does not
/// say it.
fn listed(StoredConversation { summary, waiting, .. }: &StoredConversation) -> String {
    let (kind, stage) = (standing::kind(summary.kind), standing::stage(summary));
    let former = summary.former.as_ref().map(standing::former);
    let former = former.map(|former| format!("\t{former}")).unwrap_or_default();
    let members = summary.members.len();
    format!("{}\t{kind}\t{stage}\t{members}\t{waiting}{former}\n", summary.target)
}

fn show(
    context: &Context,
    target: &Target,
    said: impl Fn(&openchat_client::engine::Summary) -> String,
) -> Result<Exit, Fault> {
    let conversations = stored(context)?;
    let found = conversations.iter().find(|stored| stored.is_named(target));
    let Some(StoredConversation { summary, waiting, .. }) = found else {
        return Err(Fault::new(
            Exit::NotFound,
            "no-such-conversation",
            format!("this device knows of no conversation {target}"),
            context.hints.command("group list"),
        ));
    };
    let text = if context.out.json {
        json::conversation(summary, Some(*waiting))
    } else {
        said(summary) + "\n"
    };
    out::data(&text).map_err(|error| Fault::output(&error))?;
    Ok(Exit::Ok)
}
