//! How a conversation stands, in words.

use crate::{text::safe, trust};
use openchat_engine::{
    ConversationKind, Inviting, Joining, MemberView, Role, Rules, Standing, Summary,
};
use openchat_wire::Name;

/// What kind of conversation it is.
#[must_use]
pub const fn kind(kind: ConversationKind) -> &'static str {
    match kind {
        ConversationKind::Open => "open",
        ConversationKind::Closed => "closed",
        ConversationKind::Direct => "direct",
        ConversationKind::Unknown => "unknown",
    }
}

/// Where this device stands in it.
#[must_use]
pub const fn stage(summary: &Summary) -> &'static str {
    match summary.standing {
        Standing::Member if summary.stopped => "stopped",
        Standing::Member => "member",
        Standing::Invited => "invited",
        Standing::Entering => "entering",
        Standing::Out => "out",
        Standing::Halted => "halted",
    }
}

/// What a conversation of two is called whose key the other one has no more.
#[must_use]
pub fn former(name: &Name) -> String {
    format!("@{name} (old key)")
}

/// All of it, in lines.
#[must_use]
pub fn said(summary: &Summary) -> String {
    let mut lines = vec![format!(
        "{}  {}  {}  epoch {}",
        summary.target,
        kind(summary.kind),
        stage(summary),
        summary.epoch
    )];
    lines.extend(summary.former.as_ref().map(former));
    if let Some(by) = &summary.inviter {
        lines.push(format!("invited by {by}"));
    }
    if let Some(set) = summary.rules {
        lines.push(rules(set));
    }
    lines.extend(summary.members.iter().map(member));
    if !summary.invited.is_empty() {
        let names: Vec<_> = summary.invited.iter().map(Name::to_string).collect();
        lines.push(format!("invited: {}", names.join(", ")));
    }
    lines.join("\n")
}

/// Who may take a seat by themselves, as it is typed.
#[must_use]
pub const fn joining(join: Joining) -> &'static str {
    match join {
        Joining::Anyone => "anyone",
        Joining::Admitted => "admitted",
    }
}

/// Who may invite and add, as it is typed.
#[must_use]
pub const fn inviting(invite: Inviting) -> &'static str {
    match invite {
        Inviting::Members => "members",
        Inviting::Admins => "admins",
    }
}

/// The rules, as they are typed.
#[must_use]
pub fn rules(rules: Rules) -> String {
    format!("join {}, invite {}", joining(rules.join), inviting(rules.invite))
}

/// A role, as it is typed.
#[must_use]
pub const fn role(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Member => "member",
    }
}

/// Who may join and invite, and who decides.
#[must_use]
pub fn policy(summary: &Summary) -> String {
    let set = summary.rules.map_or("not read yet".to_owned(), rules);
    let admins = summary.members.iter().filter(|member| member.role == Role::Admin);
    let admins: Vec<_> = admins.map(|member| member.name.to_string()).collect();
    format!("{}  {set}\nadmins: {}", summary.target, admins.join(", "))
}

/// The role that is typed so.
///
/// # Errors
/// What may be typed.
pub fn role_of(word: &str) -> Result<Role, String> {
    meant(word, [Role::Admin, Role::Member].map(|one| (role(one), one)))
}

/// Who may join, if it is typed so.
///
/// # Errors
/// What may be typed.
pub fn joining_of(word: &str) -> Result<Joining, String> {
    meant(word, [Joining::Anyone, Joining::Admitted].map(|one| (joining(one), one)))
}

/// Who may invite, if it is typed so.
///
/// # Errors
/// What may be typed.
pub fn inviting_of(word: &str) -> Result<Inviting, String> {
    meant(word, [Inviting::Members, Inviting::Admins].map(|one| (inviting(one), one)))
}

fn meant<T, const N: usize>(word: &str, known: [(&'static str, T); N]) -> Result<T, String> {
    let words = known.each_ref().map(|(known, _)| *known).join(", ");
    let found = known.into_iter().find(|(known, _)| *known == word);
    found.map(|(_, meant)| meant).ok_or_else(|| format!("{} is not one of: {words}", safe(word)))
}

/// A member with what is worth knowing of it.
#[must_use]
pub fn member(member: &MemberView) -> String {
    let mut words = vec![if member.me { "me" } else { trust::word(member.trust) }];
    if member.role == Role::Admin {
        words.push("admin");
    }
    if !member.claimed {
        words.push("unclaimed");
    }
    if member.online && !member.me {
        words.push("online");
    }
    format!("{} ({})", member.name, words.join(", "))
}
