//! From bytes on stdin to orders: lines of bounded length, each a message, a command or a mistake.

use super::screen::Shared;
use crate::json::{self, Reference};
use openchat_client::{Order, outside};
use openchat_wire::{GroupName, limits::MAX_TEXT};
use std::{
    io::{self, BufRead},
    sync::Arc,
};
use tokio::sync::mpsc;

/// Bytes of a line that are kept. JSON may write each byte of a text as six, and there is room for
/// the other fields; of a longer line only the length counts.
const MAX_LINE: usize = 8 * MAX_TEXT;

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
enum Action {
    Send(json::Send),
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
    pub(crate) hint: &'static str,
    pub(crate) reference: Option<Reference>,
}

const HELP: &str = "/help  this\n/quit  wait for what is queued, and leave\n//text sends /text\nCtrl-R shows again what you have typed\n";

/// Reads stdin and orders what it says.
pub(crate) struct Reader {
    pub(crate) grammar: Grammar,
    /// Lines come from a terminal, which cuts them at [`TERMINAL_LINE`].
    pub(crate) terminal: bool,
    pub(crate) group: GroupName,
    pub(crate) shared: Arc<Shared>,
}

impl Reader {
    /// Reads to the end, to `/quit`, or until the session has ended.
    pub(crate) fn run(self, mut stdin: impl BufRead, orders: &mpsc::Sender<Order>) {
        self.shared.prompt();
        loop {
            let go_on = match next_line(&mut stdin) {
                Ok(Some(line)) if self.terminal && line.length >= TERMINAL_LINE => {
                    self.act(cut_by_terminal(), orders)
                }
                Ok(Some(line)) => self.act(interpret(&line, self.grammar), orders),
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

    fn act(&self, action: Action, orders: &mpsc::Sender<Order>) -> bool {
        match action {
            Action::Nothing => true,
            Action::Quit => false,
            Action::Help => {
                self.shared.say(HELP);
                true
            }
            Action::Refuse(refusal) => {
                self.shared.refuse(self.grammar == Grammar::Json, &refusal);
                true
            }
            Action::Send(send) => {
                let id = outside::message_id();
                if let Some(reference) = send.reference {
                    self.shared.remember(id, reference);
                }
                let order = Order::Send { group: self.group.clone(), id, text: send.text };
                orders.blocking_send(order).is_ok()
            }
        }
    }
}

fn cut_by_terminal() -> Action {
    let message = "a terminal cuts a line after 4,095 bytes; it was not sent".to_owned();
    refuse("too-long", message, "openchat join --line < FILE", None)
}

fn unreadable(error: &io::Error) -> Refusal {
    let message = format!("stdin can't be read: {error}");
    Refusal { code: "input", message, hint: "openchat join", reference: None }
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
        _ => send(json::Send { text: text.to_owned(), reference: None }),
    }
}

fn object(text: &str) -> Action {
    match json::parse(text) {
        Ok(object) if object.text.trim().is_empty() => {
            let hint = "put something into \"text\"";
            refuse("empty", "\"text\" is blank".to_owned(), hint, object.reference)
        }
        Ok(object) => send(object),
        Err(json::BadLine { message, reference }) => {
            let hint = r#"write {"type":"send","text":"…","ref":"…"} on one line"#;
            refuse("bad-input", message, hint, reference)
        }
    }
}

fn command(rest: &str) -> Action {
    match rest.trim_end() {
        "quit" => Action::Quit,
        "help" => Action::Help,
        _ if rest.starts_with('/') => send(json::Send { text: rest.to_owned(), reference: None }),
        other => {
            let word = other.split_whitespace().next().unwrap_or_default();
            let message =
                format!("there is no command /{}; nothing was sent", crate::text::safe(word));
            refuse("unknown-command", message, "/help; //text sends /text", None)
        }
    }
}

fn send(send: json::Send) -> Action {
    match send.text.len() {
        length if length > MAX_TEXT => too_long(length, send.reference),
        _ => Action::Send(send),
    }
}

fn too_long(length: usize, reference: Option<Reference>) -> Action {
    let message = format!(
        "a text of {length} bytes is longer than a message may be ({MAX_TEXT}); it was not sent"
    );
    refuse("too-long", message, "send it in parts", reference)
}

const fn refuse(
    code: &'static str,
    message: String,
    hint: &'static str,
    reference: Option<Reference>,
) -> Action {
    Action::Refuse(Refusal { code, message, hint, reference })
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
            Action::Send(send) => send.text,
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
