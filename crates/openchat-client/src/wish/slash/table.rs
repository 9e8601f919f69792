//! The commands.

/// Where a command is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// In lines and on the full screen.
    Everywhere,
    /// On the full screen.
    Screen,
}

/// What stands at a place behind a command, for completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arg {
    /// A person.
    Person,
    /// This and all further ones: a person.
    People,
    /// A conversation.
    Target,
    /// One of these.
    Word(&'static [&'static str]),
    /// Anything.
    Text,
}

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlashCommand {
    /// Without `/`.
    pub name: &'static str,
    /// How it is typed.
    pub usage: &'static str,
    /// What it does.
    pub help: &'static str,
    /// Where it is understood.
    pub place: Where,
    /// What stands behind it.
    pub args: &'static [Arg],
}

/// Every command, in the order of the alphabet.
pub const COMMANDS: &[SlashCommand] = &[
    all("add", "/add WHO…", "put people in at once", &[Arg::People]),
    all("decline", "/decline TARGET", "refuse an invitation", &[Arg::Target]),
    all("delete", "/delete", "take your message back", &[]),
    all("edit", "/edit [TEXT]", "change your message", &[Arg::Text]),
    all("file", "/file PATH", "send a file", &[Arg::Text]),
    all("help", "/help", "this", &[]),
    all("invite", "/invite WHO…", "ask people to come", &[Arg::People]),
    all("join", "/join TARGET", "open #GROUP or @PERSON, accept an invitation", &[Arg::Target]),
    all("kick", "/kick WHO", "put somebody out", &[Arg::Person]),
    all("leave", "/leave", "give up your own seat", &[Arg::Target]),
    all("me", "/me TEXT", "say that you do something", &[Arg::Text]),
    screen("msg", "/msg WHO TEXT", "write to a person, and go there", &[Arg::Person, Arg::Text]),
    screen("mute", "/mute [TARGET]", "count what comes there no longer, or again", &[Arg::Target]),
    all("names", "/names", "who is in", &[Arg::Target]),
    all(
        "new",
        "/new NAME [WHO…]",
        "begin a closed group, invite people",
        &[Arg::Text, Arg::People],
    ),
    all(
        "policy",
        "/policy join anyone|admitted, or /policy invite members|admins",
        "who may take a seat, who may invite",
        &[Arg::Word(&["join", "invite"]), Arg::Word(&["anyone", "admitted", "members", "admins"])],
    ),
    all("quit", "/quit", "wait for what is queued, and end", &[]),
    all("react", "/react WORD", "react to the chosen message, or the last one", &[Arg::Text]),
    all(
        "rejoin",
        "/rejoin",
        "come back with new keys, after this device lost its own",
        &[Arg::Target],
    ),
    all("reply", "/reply TEXT", "answer the chosen message, or the last one", &[Arg::Text]),
    all("resume", "/resume ID", "go on with a file that found no room", &[Arg::Text]),
    all(
        "role",
        "/role WHO admin|member",
        "who may do what only admins may",
        &[Arg::Person, Arg::Word(&["admin", "member"])],
    ),
    all("save", "/save [PATH]", "write the last file that came, here or there", &[Arg::Text]),
    screen("search", "/search [TEXT]", "look for messages", &[Arg::Text]),
    screen(
        "set",
        "/set [NAME on|off]",
        "the settings, or change one",
        &[Arg::Word(&["bell", "members", "mouse"]), Arg::Word(&["on", "off"])],
    ),
    screen("status", "/status", "how things stand", &[]),
    screen(
        "theme",
        "/theme [NAME]",
        "the themes, or change to one",
        &[Arg::Word(&["dark", "light", "mono"])],
    ),
    all(
        "timer",
        "/timer TIME|off",
        "ask everybody to delete what is said from now on",
        &[Arg::Text],
    ),
    all("topic", "/topic TEXT", "say what the conversation is about", &[Arg::Text]),
    all("trust", "/trust WHO", "accept a changed key without comparing", &[Arg::Person]),
    screen("unread", "/unread", "go to the next conversation with something new", &[]),
    all(
        "verify",
        "/verify WHO [NUMBER]",
        "the number to compare, or record that it is the same",
        &[Arg::Person, Arg::Text],
    ),
    screen("whois", "/whois WHO", "what is known of somebody", &[Arg::Person]),
];

const fn all(
    name: &'static str,
    usage: &'static str,
    help: &'static str,
    args: &'static [Arg],
) -> SlashCommand {
    SlashCommand { name, usage, help, place: Where::Everywhere, args }
}

const fn screen(
    name: &'static str,
    usage: &'static str,
    help: &'static str,
    args: &'static [Arg],
) -> SlashCommand {
    SlashCommand { name, usage, help, place: Where::Screen, args }
}
