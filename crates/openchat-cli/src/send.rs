//! `openchat send`

use crate::{
    args::{SendArgs, Wait},
    context::Context,
    fault::{Exit, Fault},
    join, json,
    once::{self, Outcome, Patience},
    out,
};
use openchat_client::{Ask, End, Pick, Say, engine::Target, outside, session};
use openchat_wire::{MessageId, limits::MAX_TEXT};
use std::{
    io::{self, IsTerminal, Read},
    path::{self, PathBuf},
    time::Duration,
};

/// How long to wait for somebody's device, unless it is said: one that is online takes a second or
/// two, and a script should not hang on one that is off.
const DELIVERY: Duration = Duration::from_secs(30);

pub(crate) fn run(context: &Context, args: &SendArgs) -> Result<Exit, Fault> {
    let delivered = args.wait == Wait::Delivered;
    let limit = args.timeout.map(Duration::from_secs).or(delivered.then_some(DELIVERY));
    let mut last = Exit::Ok;
    for what in said(context, args)? {
        last = say(context, &args.target, what, Patience { delivered, limit })?;
        if last != Exit::Ok {
            break;
        }
    }
    Ok(last)
}

/// What is to be said, in this order.
fn said(context: &Context, args: &SendArgs) -> Result<Vec<Say>, Fault> {
    // The session may be another process, which is somewhere else.
    let absolute = |path: &PathBuf| path::absolute(path).map(Say::File);
    let files = args.file.iter().map(absolute).collect::<Result<Vec<_>, _>>();
    let mut all = files.map_err(|error| {
        let message = format!("a file can't be found: {error}");
        Fault::usage(message, context.hints.command("send --file PATH TARGET"))
    })?;
    if args.text.is_some() || all.is_empty() {
        let text = text(context, args.text.clone())?;
        all.push(match args.reply_to {
            Some(id) => Say::Reply { to: Pick::Id(id), text },
            None if args.action => Say::Action(text),
            None => Say::Text(text),
        });
    }
    Ok(all)
}

/// Says one thing, and waits until the server has it.
pub(crate) fn say(
    context: &Context,
    to: &Target,
    what: Say,
    patience: Patience,
) -> Result<Exit, Fault> {
    let (id, target) = (outside::message_id(), to.clone());
    let Patience { delivered, limit } = patience;
    let ask = match what {
        Say::Text(text) => Ask::Send { target, id, text },
        what => Ask::Say { target, id, what },
    };
    let outcome = match once::send(context, ask, patience) {
        Err(fault) => return Err(kept(context, id, fault)?),
        Ok(outcome) => outcome,
    };
    match outcome {
        Outcome::Delivered(seq, event) => {
            print(context, &json::ack(&id.to_string(), seq.0, None), id)?;
            if context.out.json {
                out::data(&json::event(&event, None)).map_err(|error| Fault::output(&error))?;
            }
            Ok(Exit::Ok)
        }
        Outcome::Acknowledged(seq) if delivered => {
            print(context, &json::ack(&id.to_string(), seq.0, None), id)?;
            Err(not_delivered(context, limit.unwrap_or(DELIVERY)))
        }
        Outcome::Acknowledged(seq) => {
            print(context, &json::ack(&id.to_string(), seq.0, None), id)?;
            Ok(Exit::Ok)
        }
        Outcome::Interrupted => Ok(Exit::Interrupted),
        // Whether there is such a group, only the server can tell.
        Outcome::Unanswered(end @ End { lost: 1.., .. }) => {
            Err(once::unanswered(context, end, None)?)
        }
        Outcome::Unanswered(_) | Outcome::Done(_) => {
            print(context, &json::queued(id), id)?;
            Err(join::still_queued(context, 1, Some(to)))
        }
    }
}

/// Whatever stands between this device and the server: what is stored will be sent, and whoever is
/// not told says it again.
fn kept(context: &Context, id: MessageId, fault: Fault) -> Result<Fault, Fault> {
    if !is_stored(context, id) {
        return Ok(fault);
    }
    print(context, &json::queued(id), id)?;
    let message = fault.message + "; the message is stored and waits until this is mended";
    Ok(Fault { message, ..fault })
}

fn is_stored(context: &Context, id: MessageId) -> bool {
    let Ok((vault, identity)) = context.look() else { return false };
    let stored = session::stored(&vault, &identity);
    let mut unsent = stored.iter().flat_map(|it| &it.conversations).flat_map(|it| &it.unsent);
    unsent.any(|unsent| unsent.id == id)
}

/// The server has it, and nobody else in time.
fn not_delivered(context: &Context, limit: Duration) -> Fault {
    let seconds = limit.as_secs();
    let message =
        format!("the server has the message, and within {seconds} s no other member's device had");
    let hint = context.hints.command("join --json") + " prints 'delivered' when it does";
    Fault::new(Exit::Queued, "not-delivered", message, hint)
}

fn print(context: &Context, object: &str, id: MessageId) -> Result<(), Fault> {
    let id = format!("{id}\n");
    let line = if context.out.json { object } else { &id };
    out::data(line).map_err(|error| Fault::output(&error))
}

/// The text as it was given, or all of stdin less the newline at its end.
fn text(context: &Context, given: Option<String>) -> Result<String, Fault> {
    let text = match given {
        Some(text) if text != "-" => text,
        _ => read(context)?,
    };
    match text.len() {
        length if length > MAX_TEXT => Err(too_long(context)),
        _ if text.trim().is_empty() => {
            Err(Fault::usage("the text is blank", context.hints.command("send TARGET TEXT")))
        }
        _ => Ok(text),
    }
}

fn too_long(context: &Context) -> Fault {
    let message =
        format!("the text is longer than a message may be ({MAX_TEXT} bytes); it was not sent");
    let hint = format!("send it in parts: {}", context.hints.command("send TARGET TEXT"));
    Fault::new(Exit::Failure, "too-long", message, hint)
}

fn read(context: &Context) -> Result<String, Fault> {
    if io::stdin().is_terminal() {
        context.out.note("Type the message; Ctrl-D on a line of its own ends it.");
    }
    // One byte more than fits with a newline tells that it is too long.
    let most = u64::try_from(MAX_TEXT + 2).unwrap_or(u64::MAX);
    let mut text = Vec::new();
    io::stdin().lock().take(most).read_to_end(&mut text).map_err(|error| {
        let message = format!("stdin can't be read: {error}");
        Fault::usage(message, context.hints.command("send TARGET TEXT"))
    })?;
    if text.len() > MAX_TEXT + 1 {
        return Err(too_long(context));
    }
    let mut text = String::from_utf8(text).map_err(|_| {
        Fault::new(Exit::Failure, "not-utf8", "the text is not UTF-8", "iconv -t UTF-8")
    })?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}
