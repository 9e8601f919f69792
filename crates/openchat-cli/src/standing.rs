//! How a conversation stands, in words.

use crate::join::member;
use openchat_client::engine::{
    ConversationKind, Inviting, Joining, Role, Rules, Standing, Summary,
};
use openchat_wire::Name;

/// What kind of conversation it is.
pub(crate) const fn kind(kind: ConversationKind) -> &'static str {
    match kind {
        ConversationKind::Open => "open",
        ConversationKind::Closed => "closed",
        ConversationKind::Direct => "direct",
        ConversationKind::Unknown => "unknown",
    }
}

/// Where this device stands in it.
pub(crate) const fn stage(summary: &Summary) -> &'static str {
    match summary.standing {
        Standing::Member if summary.stopped => "stopped",
        Standing::Member => "member",
        Standing::Invited => "invited",
        Standing::Entering => "entering",
        Standing::Out => "out",
        Standing::Halted => "halted",
    }
}

/// All of it, in lines.
pub(crate) fn said(summary: &Summary) -> String {
    let mut lines = vec![format!(
        "{}  {}  {}  epoch {}",
        summary.target,
        kind(summary.kind),
        stage(summary),
        summary.epoch
    )];
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
pub(crate) const fn joining(join: Joining) -> &'static str {
    match join {
        Joining::Anyone => "anyone",
        Joining::Admitted => "admitted",
    }
}

/// Who may invite and add, as it is typed.
pub(crate) const fn inviting(invite: Inviting) -> &'static str {
    match invite {
        Inviting::Members => "members",
        Inviting::Admins => "admins",
    }
}

/// The rules, as they are typed.
pub(crate) fn rules(rules: Rules) -> String {
    format!("join {}, invite {}", joining(rules.join), inviting(rules.invite))
}

/// A role, as it is typed.
pub(crate) const fn role(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Member => "member",
    }
}

/// Who may join and invite, and who decides.
pub(crate) fn policy(summary: &Summary) -> String {
    let set = summary.rules.map_or("not read yet".to_owned(), rules);
    let admins = summary.members.iter().filter(|member| member.role == Role::Admin);
    let admins: Vec<_> = admins.map(|member| member.name.to_string()).collect();
    format!("{}  {set}\nadmins: {}", summary.target, admins.join(", "))
}
