//! From bytes on stdin to orders: lines of bounded length, each a message, a command or a mistake.

use super::shared::Shared;
use crate::{
    json::{self, Ordered, Reference},
    wish::{self, Slash, What, Wish},
};
use openchat_client::{Ask, Follow, Say, engine::Target, outside};
use openchat_wire::{MessageId, Name, Seq, limits::MAX_TEXT};
use std::{
    io::{self, BufRead},
    sync::Arc,
};
use tokio::sync::mpsc;

/// Bytes of a line that are kept. JSON may write each byte of a text as six, and there is room for
/// the other fields; of a longer line only the length counts.
pub(crate) const MAX_LINE: usize = 8 * MAX_TEXT;

/// Bytes of the longest line that Linux hands over from a terminal (`N_TTY_BUF_SIZE`, less the end
/// of the line). Of a longer one the rest is lost before anybody can see it.
const TERMINAL_LINE: usize = 4_095;

/// How lines of input are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grammar {
    /// Every line is a message.
    Lines,
    /// A line that begins with `/` is a command; with `//`, a message that begins with `/`.
    LinesAndCommands,
    /// Every line is an object.
    Json,
}

/// What a line asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    Send { target: Option<Target>, id: MessageId, text: String, reference: Option<Reference> },
    Say { target: Option<Target>, id: MessageId, what: Say, reference: Option<Reference> },
    Listen { follow: Follow, reference: Option<Reference> },
    Shown { target: Target, seq: Seq, listener: Option<Name>, reference: Option<Reference> },
    Wish { wish: Wish, reference: Option<Reference> },
    Nothing,
    Quit,
    Help,
    Refuse(Refusal),
}

/// A line that can't be taken. The session goes on; nothing was sent.
#[derive(Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: String,
    pub(crate) reference: Option<Reference>,
}

/// Reads stdin and orders what it says.
pub(crate) struct Reader {
    pub(crate) grammar: Grammar,
    /// Lines come from a terminal, which cuts them at [`TERMINAL_LINE`].
    pub(crate) terminal: bool,
    pub(crate) shared: Arc<Shared>,
}

impl Reader {
    /// Reads to the end, to `/quit`, or until the session has ended.
    pub(crate) fn run(self, mut stdin: impl BufRead, asks: &mpsc::Sender<Ask>) {
        self.shared.prompt();
        loop {
            let go_on = match next_line(&mut stdin) {
                Ok(Some(line)) if self.terminal && line.length >= TERMINAL_LINE => {
                    self.act(cut_by_terminal(), asks)
                }
                Ok(Some(line)) => self.act(interpret(&line, self.grammar), asks),
                Ok(None) => false,
                Err(error) => {
                    self.shared.refuse(self.grammar == Grammar::Json, &unreadable(&error));
                    false
                }
            };
            if !go_on {
                return;
            }
            self.shared.prompt();
        }
    }

    fn act(&self, action: Action, asks: &mpsc::Sender<Ask>) -> bool {
        match action {
            Action::Nothing => true,
            Action::Quit => false,
            Action::Help => {
                self.shared.say(&wish::help());
                true
            }
            Action::Refuse(refusal) => {
                self.shared.refuse(self.grammar == Grammar::Json, &refusal);
                true
            }
            Action::Listen { reference, .. } => {
                self.shared.refuse(true, &elsewhere("listen", reference));
                true
            }
            Action::Shown { .. } => {
                self.shared.refuse(true, &elsewhere("shown", None));
                true
            }
            Action::Send { target, id, text, reference } => {
                let target = self.meant(target);
                if let Some(reference) = reference {
                    self.shared.answers().name(id, reference);
                }
                asks.blocking_send(Ask::Send { target, id, text }).is_ok()
            }
            Action::Say { target, id, what, reference } => {
                let target = self.meant(target);
                if let Some(reference) = reference {
                    self.shared.answers().name(id, reference);
                }
                asks.blocking_send(Ask::Say { target, id, what }).is_ok()
            }
            Action::Wish { wish: Wish { target, what }, reference } => {
                let target = self.meant(target);
                if what == What::Join {
                    self.shared.turn_to(target.clone());
                }
                let first = self.shared.answers().expect(&what, reference);
                what.ask(target, first).into_iter().all(|ask| asks.blocking_send(ask).is_ok())
            }
        }
    }

    /// The conversation that a line is about: the one that was opened last, if none is named.
    fn meant(&self, named: Option<Target>) -> Target {
        named.unwrap_or_else(|| self.shared.current())
    }
}

/// What only another process may order, which counts by itself what it has shown.
fn elsewhere(kind: &str, reference: Option<Reference>) -> Refusal {
    let message = format!("{kind} is for the agent's socket");
    Refusal { code: "bad-input", message, hint: "openchat listen".to_owned(), reference }
}

fn cut_by_terminal() -> Action {
    let message = "a terminal cuts a line after 4,095 bytes; it was not sent".to_owned();
    refuse("too-long", message, "openchat join --line < FILE", None)
}

fn unreadable(error: &io::Error) -> Refusal {
    let message = format!("stdin can't be read: {error}");
    Refusal { code: "input", message, hint: "openchat join".to_owned(), reference: None }
}

/// A line without its end, and how long it was in full.
#[derive(Debug, PartialEq)]
struct Line {
    kept: Vec<u8>,
    length: usize,
}

/// The next line, or nothing at the end. Memory is bounded however long the line is.
fn next_line(stdin: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut line = Line { kept: Vec::new(), length: 0 };
    loop {
        let bytes = match stdin.fill_buf() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if bytes.is_empty() {
            return Ok((line.length > 0).then_some(line));
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let piece = &bytes[..end.unwrap_or(bytes.len())];
        let room = MAX_LINE - line.kept.len();
        line.kept.extend_from_slice(&piece[..piece.len().min(room)]);
        line.length = line.length.saturating_add(piece.len());
        let used = piece.len() + usize::from(end.is_some());
        stdin.consume(used);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

fn interpret(line: &Line, grammar: Grammar) -> Action {
    if line.length > line.kept.len() {
        return too_long(line.length, None);
    }
    let Ok(text) = str::from_utf8(&line.kept) else {
        return refuse("not-utf8", "a line is not UTF-8".to_owned(), "iconv -t UTF-8", None);
    };
    let text = text.strip_suffix('\r').unwrap_or(text);
    match (grammar, text.strip_prefix('/')) {
        _ if text.trim().is_empty() => Action::Nothing,
        (Grammar::Json, _) => object(text),
        (Grammar::LinesAndCommands, Some(rest)) => command(rest),
        _ => send(None, text.to_owned(), None),
    }
}

/// What an object asks for.
pub(crate) fn object(text: &str) -> Action {
    let json::Order { what, reference } = match json::parse(text) {
        Ok(order) => order,
        Err(json::BadLine { message, reference }) => {
            let hint = r#"write {"type":"send","text":"…","ref":"…"} on one line"#;
            return refuse("bad-input", message, hint, reference);
        }
    };
    match what {
        Ordered::Send { text, .. } if text.trim().is_empty() => {
            let hint = "put something into \"text\"";
            refuse("empty", "\"text\" is blank".to_owned(), hint, reference)
        }
        Ordered::Send { target, id, text } => {
            let (length, id) = (text.len(), id.unwrap_or_else(outside::message_id));
            if length > MAX_TEXT {
                return too_long(length, reference);
            }
            Action::Send { target, id, text, reference }
        }
        Ordered::Say { target, id, what } => {
            let id = id.unwrap_or_else(outside::message_id);
            Action::Say { target, id, what, reference }
        }
        Ordered::Wish(wish) => Action::Wish { wish, reference },
        Ordered::Listen(follow) => Action::Listen { follow, reference },
        Ordered::Shown { target, seq, listener } => {
            Action::Shown { target, seq, listener, reference }
        }
    }
}

fn command(rest: &str) -> Action {
    if rest.starts_with('/') {
        return send(None, rest.to_owned(), None);
    }
    match wish::slash(rest) {
        Ok(Slash::Quit) => Action::Quit,
        Ok(Slash::Help) => Action::Help,
        Ok(Slash::Wish(Wish { target, what: What::Say(what) })) => {
            Action::Say { target, id: outside::message_id(), what, reference: None }
        }
        Ok(Slash::Shown(shown)) => {
            if let Some(what) = shown.say() {
                return Action::Say {
                    target: None,
                    id: outside::message_id(),
                    what,
                    reference: None,
                };
            }
            let name = rest.split_whitespace().next().unwrap_or_default();
            let message = format!("/{name} is for the full screen; nothing was sent");
            refuse("unknown-command", message, "openchat join, without --line; or /help", None)
        }
        Ok(Slash::Wish(wish)) => Action::Wish { wish, reference: None },
        Err((message, hint)) => refuse("unknown-command", message, hint, None),
    }
}

fn send(target: Option<Target>, text: String, reference: Option<Reference>) -> Action {
    match text.len() {
        length if length > MAX_TEXT => too_long(length, reference),
        _ => Action::Send { target, id: outside::message_id(), text, reference },
    }
}

fn too_long(length: usize, reference: Option<Reference>) -> Action {
    let message = format!(
        "a text of {length} bytes is longer than a message may be ({MAX_TEXT}); it was not sent"
    );
    refuse("too-long", message, "send it in parts", reference)
}

fn refuse(
    code: &'static str,
    message: String,
    hint: impl Into<String>,
    reference: Option<Reference>,
) -> Action {
    Action::Refuse(Refusal { code, message, hint: hint.into(), reference })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<Line> {
        // A small buffer, so that lines span several reads.
        let mut stdin = io::BufReader::with_capacity(7, bytes);
        std::iter::from_fn(|| next_line(&mut stdin).unwrap()).collect()
    }

    fn meant(text: &str, grammar: Grammar) -> Action {
        let line = Line { kept: text.as_bytes().to_vec(), length: text.len() };
        interpret(&line, grammar)
    }

    fn code(action: Action) -> &'static str {
        match action {
            Action::Refuse(refusal) => refusal.code,
            other => panic!("{other:?}"),
        }
    }

    fn sent(action: Action) -> String {
        match action {
            Action::Send { text, .. } => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lines_end_at_newlines_and_at_the_end() {
        let texts: Vec<_> =
            lines(b"one\n\na longer second line\nlast").into_iter().map(|line| line.kept).collect();
        assert_eq!(texts, [&b"one"[..], b"", b"a longer second line", b"last"]);
    }

    #[test]
    fn an_endless_line_is_counted_and_not_kept() {
        let long = vec![b'x'; 3 * MAX_LINE];
        let line = lines(&long).remove(0);
        assert_eq!((line.kept.len(), line.length), (MAX_LINE, 3 * MAX_LINE));
        assert_eq!(code(interpret(&line, Grammar::Lines)), "too-long");
        assert_eq!(code(interpret(&line, Grammar::Json)), "too-long");
    }

    #[test]
    fn the_limit_is_16000_bytes() {
        assert_eq!(sent(meant(&"x".repeat(MAX_TEXT), Grammar::Lines)).len(), 16_000);
        assert_eq!(code(meant(&"x".repeat(MAX_TEXT + 1), Grammar::Lines)), "too-long");
        let escaped = format!(r#"{{"type":"send","text":"{}"}}"#, r"\u0078".repeat(MAX_TEXT));
        assert_eq!(sent(meant(&escaped, Grammar::Json)).len(), MAX_TEXT);
    }

    #[test]
    fn blank_lines_are_ignored() {
        for blank in ["", " ", "\t\r", "\r"] {
            for grammar in [Grammar::Lines, Grammar::LinesAndCommands, Grammar::Json] {
                assert_eq!(meant(blank, grammar), Action::Nothing);
            }
        }
        assert_eq!(code(meant(r#"{"type":"send","text":" "}"#, Grammar::Json)), "empty");
    }

    #[test]
    fn slashes_are_commands_only_where_that_was_asked_for() {
        assert_eq!(sent(meant("/quit", Grammar::Lines)), "/quit");
        assert_eq!(meant("/quit", Grammar::LinesAndCommands), Action::Quit);
        assert_eq!(meant("/help ", Grammar::LinesAndCommands), Action::Help);
        assert_eq!(sent(meant("//etc", Grammar::LinesAndCommands)), "/etc");
        let leave =
            Action::Wish { wish: Wish { target: None, what: What::Leave }, reference: None };
        assert_eq!(meant("/leave", Grammar::LinesAndCommands), leave);
        assert_eq!(code(meant("/qiut now", Grammar::LinesAndCommands)), "unknown-command");
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let line = Line { kept: vec![0xff, b'a'], length: 2 };
        assert_eq!(code(interpret(&line, Grammar::Lines)), "not-utf8");
        assert_eq!(code(meant("hello", Grammar::Json)), "bad-input");
    }

    #[test]
    fn windows_line_ends_are_not_part_of_the_text() {
        assert_eq!(sent(meant("hi\r", Grammar::Lines)), "hi");
    }
}
