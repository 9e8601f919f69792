//! `openchat export`, `openchat import`

use crate::{
    args::{ExportArgs, Format, ImportArgs},
    context::Context,
    fault::{Exit, Fault},
    history::{self, Names},
    json, passphrase, text,
};
use openchat_client::{Vault, engine::StoredMessage, spoken::spoken};
use openchat_wire::GroupId;
use std::{
    fmt::Write as _,
    fs::OpenOptions,
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// The option that names a backup's passphrase.
const OPTION: &str = "--backup-passphrase-file";

pub(crate) fn export(context: &Context, args: &ExportArgs) -> Result<Exit, Fault> {
    match (&args.backup, args.format) {
        (Some(file), _) => back_up(context, file, args.backup_passphrase_file.as_deref()),
        (None, Some(format)) => messages(context, args, format),
        // clap asks for one of them.
        (None, None) => Err(Fault::usage("export what?", "openchat export --help")),
    }
}

fn back_up(context: &Context, file: &Path, chosen: Option<&Path>) -> Result<Exit, Fault> {
    let (vault, identity) = context.look()?;
    let passphrase = passphrase::choose(chosen, context.may_ask, "Passphrase of the backup")
        .map_err(|error| error.fault(OPTION))?;
    vault.back_up(file, &passphrase).map_err(|error| context.hints.vault(&error))?;
    let path = file.display();
    let said = format!(
        "{path}  a backup of {}: whoever has it and its passphrase is {}",
        identity.name, identity.name
    );
    let object = json::Backup { name: identity.name.as_str(), file: &file.to_string_lossy() };
    context.out.result(&said, &json::Object::of("backup", object))?;
    context
        .out
        .note("It holds no keys of groups: who restores it comes back into them with new ones.");
    Ok(Exit::Ok)
}

pub(crate) fn import(context: &Context, args: &ImportArgs) -> Result<Exit, Fault> {
    let ask = || passphrase::read_or_ask(args.backup_passphrase_file.as_deref(), context.may_ask);
    let given = ask().map_err(|error| error.fault(OPTION))?;
    context.settle_new_vault(args.new)?;
    let restored = Vault::restore(&context.directory(), &context.unlock, &args.backup, &given)
        .map_err(|error| context.hints.vault(&error))?;
    let (name, count) = (restored.identity.name, restored.messages);
    let said = format!("{name}  {count} messages restored");
    let object = json::Imported {
        name: name.as_str(),
        profile: &context.profile.to_string(),
        messages: count,
    };
    context.out.result(&said, &json::Object::of("imported", object))?;
    context.out.note(
        "This device comes back into its groups with new keys when it is online. If the one that the \
         backup is of still runs, it stops with an alarm: delete one of the two.",
    );
    context.out.note(&format!("Next: {}", context.hints.command("join")));
    Ok(Exit::Ok)
}

fn messages(context: &Context, args: &ExportArgs, format: Format) -> Result<Exit, Fault> {
    let (vault, identity) = context.look()?;
    let names = Names::of(context, &vault, &identity)?;
    let groups = match &args.target {
        Some(target) => vec![names.group(context, target)?],
        None => names.called.keys().copied().collect(),
    };
    let mut output = Output::to(args.output.as_deref())?;
    context.out.note("What is exported is not sealed: whoever gets it can read it.");
    let range = history::range(&args.range);
    for group in groups {
        let mut writer = Writer { format, names: &names, heading: Heading::of(group), day: None };
        history::each_page(context, &vault, &group, &range, |page| {
            let rendered = writer.rendered(page);
            output.write(&rendered)
        })?;
    }
    output.finish()?;
    Ok(Exit::Ok)
}

/// A new file for its owner's eyes, or stdout.
enum Output {
    Stdout,
    File(std::fs::File, String),
}

impl Output {
    fn to(path: Option<&Path>) -> Result<Self, Fault> {
        let Some(path) = path else { return Ok(Self::Stdout) };
        let named = path.display().to_string();
        let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
        made.map(|file| Self::File(file, named.clone())).map_err(|error| failed(&named, &error))
    }

    fn write(&mut self, text: &str) -> Result<(), Fault> {
        match self {
            Self::Stdout => crate::out::data(text).map_err(|error| Fault::output(&error)),
            Self::File(file, path) => {
                file.write_all(text.as_bytes()).map_err(|error| failed(path, &error))
            }
        }
    }

    fn finish(self) -> Result<(), Fault> {
        match self {
            Self::Stdout => Ok(()),
            Self::File(file, path) => file.sync_all().map_err(|error| failed(&path, &error)),
        }
    }
}

fn failed(path: &str, error: &io::Error) -> Fault {
    let message = match error.kind() {
        ErrorKind::AlreadyExists => format!("{path} is there already, and is not overwritten"),
        _ => format!("{path} can't be written: {error}"),
    };
    Fault::new(Exit::Failure, "output", message, "openchat export --output ANOTHER-FILE …")
}

/// A heading that was not written yet: conversations without messages have none.
struct Heading(Option<GroupId>);

impl Heading {
    const fn of(group: GroupId) -> Self {
        Self(Some(group))
    }
}

struct Writer<'a> {
    format: Format,
    names: &'a Names,
    heading: Heading,
    day: Option<String>,
}

impl Writer<'_> {
    fn rendered(&mut self, page: Vec<StoredMessage>) -> String {
        let mut rendered = String::new();
        for message in page {
            let message = self.names.named(message);
            match self.format {
                Format::Json => rendered.push_str(&json::message(&message)),
                Format::Md => self.markdown(&message, &mut rendered),
            }
        }
        rendered
    }

    // Writing to a string does not fail.
    fn markdown(&mut self, message: &StoredMessage, to: &mut String) {
        if let Some(group) = self.heading.0.take() {
            let _ = write!(to, "# {}\n\n", plain(&self.names.name(&group)));
        }
        let time = text::rfc3339(message.time);
        let (day, clock) = time.split_once('T').unwrap_or((&time, ""));
        if self.day.as_deref() != Some(day) {
            let _ = write!(to, "## {day}\n\n");
            self.day = Some(day.to_owned());
        }
        let clock = clock.get(..5).unwrap_or(clock);
        let _ = write!(to, "**{clock} {}**\n\n", message.sender);
        for line in spoken(&message.body).lines() {
            let _ = writeln!(to, "> {}  ", plain(line));
        }
        to.push('\n');
    }
}

/// Text in which nothing acts, neither on a terminal nor as Markdown or HTML.
fn plain(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    for character in text::safe(line).chars() {
        if character.is_ascii_punctuation()
            && !matches!(character, ',' | '.' | ':' | ';' | '?' | '\'')
        {
            plain.push('\\');
        }
        plain.push(character);
    }
    // A number and a point would begin a list.
    let digits =
        plain.len().saturating_sub(plain.trim_start_matches(|c: char| c.is_ascii_digit()).len());
    if digits > 0 && plain.get(digits..).is_some_and(|rest| rest.starts_with('.')) {
        plain.insert(digits, '\\');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_acts_as_markdown() {
        assert_eq!(plain("# no *heading*"), "\\# no \\*heading\\*");
        assert_eq!(plain("<b>[a](b)</b>"), "\\<b\\>\\[a\\]\\(b\\)\\<\\/b\\>");
        assert_eq!(plain("1. one"), "1\\. one");
        assert_eq!(plain("it's 2.4, ok?"), "it's 2.4, ok?");
        assert_eq!(plain("\u{1b}[2J"), "\\\\u\\{1b\\}\\[2J");
    }
}
