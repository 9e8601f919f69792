//! A row as lines.

use crate::{
    conversation::Conversation,
    row::{Body, Message, Notice, Reaction, Row, Tone},
    state::State,
    wrap::{columns, cut, flat, wrap, wrap_after},
};
use openchat_client::engine::{Delivery, Trust};
use ratatui::{
    style::Style,
    text::{Line, Span},
};

/// Columns of the time and the gap behind it.
const TIME: usize = 6;

/// Columns of a name; a longer one takes more, because a name that is cut could be another's.
const NAME: usize = 8;

/// Below this width the text stands under the name.
const NARROW: usize = 48;

/// Quotes and reactions are not longer.
const QUOTE: usize = 40;

/// Row number `at`, with what stands above it: the day, and where the new ones begin.
pub(crate) fn lines(
    state: &State,
    conversation: &Conversation,
    at: i64,
    width: usize,
) -> Vec<Line<'static>> {
    let Some(row) = conversation.row(at) else { return Vec::new() };
    let mut lines = Vec::new();
    let clock = &state.setup.clock;
    let before = conversation.row(at - 1);
    if before.is_none_or(|before| clock.date(before.time()) != clock.date(row.time())) {
        lines.push(rule('-', &clock.day(row.time(), state.now), width, state.theme.rule));
    }
    if let Some((from, count)) = conversation.fresh
        && from == at
    {
        lines.push(rule('=', &format!("{count} new"), width, state.theme.unread));
    }
    let first = lines.len();
    let page = Page { state, conversation, width };
    match row {
        Row::Message(message) => page.message(&conversation.changed(message), &mut lines),
        Row::Notice(notice) => page.notice(notice, &mut lines),
    }
    if conversation.chosen == Some(at) {
        for line in lines.iter_mut().skip(first) {
            let missing = width.saturating_sub(line.width());
            line.push_span(" ".repeat(missing));
            *line = std::mem::take(line).patch_style(state.theme.chosen);
        }
    }
    lines
}

/// A word in the middle of a line.
pub(crate) fn rule(of: char, word: &str, width: usize, style: Style) -> Line<'static> {
    let word = cut(word, width.saturating_sub(4));
    let word = if word.is_empty() { word } else { format!(" {word} ") };
    // A margin at both ends, as panes have rules at their sides.
    let left = width.saturating_sub(columns(&word)) / 2;
    let right = width.saturating_sub(columns(&word) + left);
    let dashes = |count: usize| of.to_string().repeat(count.saturating_sub(1));
    Line::styled(format!(" {}{word}{} ", dashes(left), dashes(right)), style)
}

struct Page<'a> {
    state: &'a State,
    conversation: &'a Conversation,
    width: usize,
}

impl Page<'_> {
    fn message(&self, message: &Message, lines: &mut Vec<Line<'static>>) {
        let mut head = vec![self.time(message)];
        let doing = matches!(message.body, Body::Action(_) | Body::Changed(_));
        let style = self.sender_style(message);
        let name = flat(&message.sender);
        match (doing, self.width < NARROW) {
            (true, _) => head.push(Span::styled(format!("* {name} "), style)),
            (false, true) => head.push(Span::styled(format!("{name}  "), style)),
            (false, false) => head.push(Span::styled(format!("{name:<NAME$} "), style)),
        }
        if message.trust == Trust::Changed && !message.own {
            head.push(Span::styled("CHANGED ", self.state.theme.changed));
        }
        let indent = if self.width < NARROW { 2 } else { TIME + NAME + 1 };
        let first = lines.len();
        self.text(head, &said(&message.body), indent, self.text_style(message), lines);
        let theme = &self.state.theme;
        match (message.edited, message.changing) {
            (true, true) => self.append(lines, "edited, queued", theme.queued, indent),
            (true, false) => self.append(lines, "edited", theme.dim, indent),
            (false, true) => self.append(lines, "queued", theme.queued, indent),
            (false, false) => {}
        }
        self.beside(message, indent, lines);
        if let Some(delivery) = message.delivery.filter(|_| message.own) {
            let (word, style) = self.delivery(delivery);
            let at = lines.len().saturating_sub(1).max(first);
            self.right(lines, at, &word, style);
        }
    }

    fn notice(&self, notice: &Notice, lines: &mut Vec<Line<'static>>) {
        let theme = &self.state.theme;
        let (mark, style) = match notice.tone {
            Tone::News => ("* ", theme.notice),
            Tone::Warning => ("* ", theme.warning),
            Tone::Alarm => ("! ALARM: ", theme.alarm),
        };
        let time = self.state.setup.clock.hour(notice.time);
        let head = vec![Span::styled(format!("{time} "), theme.dim), Span::styled(mark, style)];
        self.text(head, &notice.text, TIME + 2, style, lines);
        if let Some(hint) = &notice.hint {
            let head = vec![Span::styled(format!("{:TIME$}  next: ", ""), theme.dim)];
            self.text(head, hint, TIME + 2, theme.text, lines);
        }
    }

    fn time(&self, message: &Message) -> Span<'static> {
        let hour = self.state.setup.clock.hour(message.time);
        Span::styled(format!("{hour} "), self.state.theme.dim)
    }

    /// A text behind its head, further lines `indent` columns in.
    fn text(
        &self,
        head: Vec<Span<'static>>,
        text: &str,
        indent: usize,
        style: Style,
        lines: &mut Vec<Line<'static>>,
    ) {
        /// Less would be a column of single letters.
        const LEAST: usize = 8;
        let used: usize = head.iter().map(Span::width).sum();
        let indent = indent.min(self.width / 2);
        let room = self.width.saturating_sub(indent);
        let mut head = Line::from(head);
        let beside = Some(self.width.saturating_sub(used)).filter(|room| *room >= LEAST);
        let mut pieces = wrap_after(text, beside.unwrap_or_default(), room);
        if pieces.first().is_none_or(String::is_empty) && pieces.len() > 1 {
            // The head alone, cut if even that is too wide.
            lines.push(fitted(std::mem::take(&mut head), self.width));
            pieces.remove(0);
        } else {
            let first = pieces.remove(0);
            head.extend(self.linked(&first, style));
            lines.push(fitted(head, self.width));
        }
        for piece in pieces {
            let mut line = Line::from(" ".repeat(indent));
            line.extend(self.linked(&piece, style));
            lines.push(line);
        }
    }

    /// A line in which links are seen.
    fn linked(&self, line: &str, style: Style) -> Vec<Span<'static>> {
        if !line.contains("://") {
            return vec![Span::styled(line.to_owned(), style)];
        }
        let span = |word: &str| {
            let opens = crate::update::is_link(word.trim());
            Span::styled(word.to_owned(), if opens { self.state.theme.link } else { style })
        };
        line.split_inclusive(' ').map(span).collect()
    }

    /// What is answered, and what others think of it.
    fn beside(&self, message: &Message, indent: usize, lines: &mut Vec<Line<'static>>) {
        let reply = message.reply.as_ref().map(|quote| {
            let (who, text) = (flat(&quote.sender), cut(&flat(&quote.text), QUOTE));
            if who.is_empty() { format!("re: {text}") } else { format!("re: {who} \"{text}\"") }
        });
        let words = reply.into_iter().chain(message.reactions.iter().map(reaction));
        let words = words.collect::<Vec<_>>().join("   ");
        if !words.is_empty() {
            let indent = indent.min(self.width / 2);
            for line in wrap(&words, self.width.saturating_sub(indent)) {
                let line = format!("{:indent$}{line}", "");
                lines.push(Line::styled(line, self.state.theme.quote));
            }
        }
    }

    fn sender_style(&self, message: &Message) -> Style {
        if message.own { self.state.theme.mine } else { self.state.theme.sender }
    }

    fn text_style(&self, message: &Message) -> Style {
        let theme = &self.state.theme;
        match message.body {
            Body::Deleted | Body::Unknown(_) | Body::Changed(_) => theme.dim,
            _ if !message.own && crate::update::mentions(message.text(), &self.state.setup.me) => {
                theme.mention
            }
            _ => theme.text,
        }
    }

    fn delivery(&self, delivery: Delivery) -> (String, Style) {
        let theme = &self.state.theme;
        match delivery {
            Delivery::Queued => ("queued".to_owned(), theme.queued),
            Delivery::Sent => ("sent".to_owned(), theme.dim),
            Delivery::Delivered { count, of } if count >= of || self.conversation.is_direct() => {
                ("delivered".to_owned(), theme.good)
            }
            Delivery::Delivered { count, of } => (format!("delivered {count}/{of}"), theme.good),
        }
    }

    /// A word behind the last line, or on one of its own.
    fn append(&self, lines: &mut Vec<Line<'static>>, word: &str, style: Style, indent: usize) {
        let room = lines.last().map_or(0, |line| self.width.saturating_sub(line.width()));
        match lines.last_mut() {
            Some(line) if room > columns(word) => {
                line.push_span(Span::styled(format!(" {word}"), style));
            }
            _ => lines.push(Line::styled(format!("{:indent$}{word}", ""), style)),
        }
    }

    /// A word at the right end of a line, or of one of its own.
    fn right(&self, lines: &mut Vec<Line<'static>>, at: usize, word: &str, style: Style) {
        let wide = columns(word);
        match lines.get_mut(at) {
            Some(line) if line.width() + wide + 2 <= self.width => {
                let gap = self.width - line.width() - wide;
                line.push_span(" ".repeat(gap));
                line.push_span(Span::styled(word.to_owned(), style));
            }
            _ => {
                let word = cut(word, self.width);
                let gap = self.width - columns(&word);
                lines.push(Line::styled(format!("{:gap$}{word}", ""), style));
            }
        }
    }
}

fn said(body: &Body) -> String {
    match body {
        Body::Text(text) | Body::Action(text) | Body::Changed(text) => text.clone(),
        Body::Deleted => "(deleted)".to_owned(),
        Body::File { name, wrong: true, .. } => {
            format!("[file {}: not what was announced, not kept]", flat(name))
        }
        Body::File { name, size, here, .. } if here == size => {
            format!("[file {}, {size} B]", flat(name))
        }
        Body::File { name, size, here, .. } => {
            format!("[file {}, {here} of {size} B]", flat(name))
        }
        Body::Unknown(kind) => format!("[{}: this openchat does not know it]", flat(kind)),
    }
}

fn reaction(reaction: &Reaction) -> String {
    /// More names would not be read.
    const MOST: usize = 3;
    let word = cut(&flat(&reaction.word), QUOTE);
    let queued = if reaction.queued { " (queued)" } else { "" };
    match reaction.by.len() {
        0 => format!("{word} taken back{queued}"),
        count if count > MOST => format!("{word} {count}{queued}"),
        _ => format!("{word} {}{queued}", flat(&reaction.by.join(", "))),
    }
}

/// The line, cut to the width.
fn fitted(line: Line<'static>, width: usize) -> Line<'static> {
    if line.width() <= width {
        return line;
    }
    let (mut left, mut spans) = (width, Vec::new());
    for span in line.spans {
        let content = cut(&span.content, left);
        left -= columns(&content);
        spans.push(Span::styled(content, span.style));
    }
    Line::from(spans)
}
