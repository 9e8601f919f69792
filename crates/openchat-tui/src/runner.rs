//! The loop around the screen: keys and news in, drawing and orders out.

use crate::{
    adapter::Panel,
    config::Config,
    input::{Change, Content, Effect, Hit, Input, News},
    keys::Chord,
    note::Note,
    row::Message,
    state::{Setup, State},
    terminal::{self, Screen},
    update::{begin, update},
    view::view,
};
use crossterm::event::{self, Event, KeyEventKind, MouseEventKind};
use openchat_client::{
    Ask, Holding, Pick, Range, Say,
    engine::{MessageRef, Target},
    outside::{message_id, now},
    wire::{GroupId, Seq},
};
use std::{
    io,
    sync::mpsc::{Receiver, Sender},
    thread,
};

/// Messages that are read from the vault at once.
const PAGE: u32 = 500;

/// Messages that a search gives at most.
const HITS: u32 = 200;

/// Inputs that are taken before the screen is drawn again: who is far behind catches up first.
const BURST: usize = 1_000;

/// What the screen needs of the world, beside the session's reports.
pub trait Desk {
    /// Hands an order to the session. False: there is no session any more.
    fn ask(&mut self, ask: Ask) -> bool;

    /// The newest messages of a conversation in a range, in order.
    ///
    /// # Errors
    /// Why the vault can't be read.
    fn past(&mut self, group: &GroupId, range: &Range, limit: u32) -> Result<Vec<Message>, String>;

    /// Which of these messages are not kept any more.
    ///
    /// # Errors
    /// Why the vault can't be read.
    fn gone(&mut self, group: &GroupId, messages: &[MessageRef])
    -> Result<Vec<MessageRef>, String>;

    /// What holds in a conversation.
    ///
    /// # Errors
    /// Why the vault can't be read.
    fn holding(&mut self, group: &GroupId) -> Result<Holding, String>;

    /// The newest messages in which these words occur, newest first.
    ///
    /// # Errors
    /// Why the vault can't be read.
    fn search(&mut self, query: &str, limit: u32) -> Result<Vec<Hit>, String>;

    /// Keeps whether a conversation is muted.
    ///
    /// # Errors
    /// Why the vault can't be written.
    fn mute(&mut self, group: &GroupId, muted: bool) -> Result<(), String>;

    /// Tells the desktop, without waiting for it.
    fn notify(&mut self, note: Note);
}

/// Something for the loop.
#[derive(Debug)]
pub enum Incoming {
    /// From the terminal.
    Terminal(io::Result<Event>),
    /// From the session.
    News(Vec<News>),
    /// The session has ended, or has to.
    Over,
}

/// Why the screen was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The person wants so; so many messages wait to be sent.
    Quit {
        /// How many.
        queued: usize,
    },
    /// There is no session any more.
    Over,
}

/// Opens the screen and runs it to its end. `panel` hands its news over to `incoming`, of which
/// `sender` is an end too. The terminal is as it was when this returns.
///
/// # Errors
/// The terminal's.
pub fn run(
    setup: Setup,
    config: Config,
    desk: &mut impl Desk,
    panel: &Panel,
    (sender, incoming): (&Sender<Incoming>, &Receiver<Incoming>),
) -> io::Result<Ended> {
    let mut screen = Screen::open()?;
    read_terminal(sender.clone())?;
    let mut state = State::new(setup, config, now());
    let effects = begin(&mut state);
    let mut runner = Runner { state, desk, panel, screen: &mut screen };
    let mut ended = runner.act(effects)?;
    while ended.is_none() {
        runner.draw()?;
        ended = runner.step(incoming)?;
    }
    // What comes from here on is for the next time.
    panel.look(None);
    Ok(ended.unwrap_or(Ended::Over))
}

/// A thread waits for the terminal. It ends with the process, or when nobody listens any more.
fn read_terminal(sender: Sender<Incoming>) -> io::Result<()> {
    let read = move || {
        loop {
            let event = event::read();
            let failed = event.is_err();
            if sender.send(Incoming::Terminal(event)).is_err() || failed {
                return;
            }
        }
    };
    thread::Builder::new().name("terminal".to_owned()).spawn(read).map(|_| ())
}

struct Runner<'a, D> {
    state: State,
    desk: &'a mut D,
    panel: &'a Panel,
    screen: &'a mut Screen,
}

impl<D: Desk> Runner<'_, D> {
    fn draw(&mut self) -> io::Result<()> {
        self.screen.draw(|frame| view(&self.state, frame))
    }

    /// Waits for something, and takes all that has come with it.
    fn step(&mut self, incoming: &Receiver<Incoming>) -> io::Result<Option<Ended>> {
        let Ok(first) = incoming.recv() else { return Ok(Some(Ended::Over)) };
        for one in std::iter::once(first).chain(incoming.try_iter().take(BURST)) {
            let ended = match one {
                Incoming::Terminal(event) => self.terminal(event?)?,
                Incoming::News(news) => self.all(news.into_iter().map(Input::News))?,
                Incoming::Over => Some(Ended::Over),
            };
            if ended.is_some() {
                return Ok(ended);
            }
        }
        Ok(None)
    }

    fn terminal(&mut self, event: Event) -> io::Result<Option<Ended>> {
        /// Lines that a notch of the wheel scrolls.
        const NOTCH: i32 = 3;
        let input = match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => Input::Key(Chord::of(key)),
            Event::Paste(text) => Input::Paste(text),
            Event::Resize(width, height) => Input::Resize { width, height },
            Event::Mouse(mouse) => match mouse.kind {
                MouseEventKind::ScrollUp => Input::Wheel(-NOTCH),
                MouseEventKind::ScrollDown => Input::Wheel(NOTCH),
                _ => return Ok(None),
            },
            Event::FocusGained => Input::Focus(true),
            Event::FocusLost => Input::Focus(false),
            Event::Key(_) => return Ok(None),
        };
        self.all([input])
    }

    fn all(&mut self, inputs: impl IntoIterator<Item = Input>) -> io::Result<Option<Ended>> {
        for input in inputs {
            let effects = update(&mut self.state, input, now());
            if let Some(ended) = self.act(effects)? {
                return Ok(Some(ended));
            }
        }
        Ok(None)
    }

    fn act(&mut self, effects: Vec<Effect>) -> io::Result<Option<Ended>> {
        for effect in effects {
            let answers = match effect {
                Effect::Quit => return Ok(Some(Ended::Quit { queued: self.state.queued() })),
                Effect::Bell => terminal::bell().map(|()| Vec::new())?,
                Effect::Mouse(on) => terminal::mouse(on).map(|()| Vec::new())?,
                Effect::Redraw => self.screen.redraw().map(|()| Vec::new())?,
                Effect::Copy(text) => terminal::copy(&text).map(|()| Vec::new())?,
                Effect::Look(target) => {
                    self.panel.look(target.map(|target| target.to_string()));
                    Vec::new()
                }
                Effect::Past { target, group, before, from } => {
                    self.past(target, group, before, from)
                }
                Effect::Mute { group, muted } => {
                    let kept = self.desk.mute(&group, muted);
                    let refused = |why| Input::Refused { ticket: None, why };
                    kept.err().map(refused).into_iter().collect()
                }
                Effect::Notify(note) => {
                    self.desk.notify(note);
                    Vec::new()
                }
                Effect::Recall { target, group, messages } => {
                    vec![self.recall(target, &group, &messages)]
                }
                Effect::Search(query) => vec![self.search(query)],
                Effect::Send { ticket, target, content } => {
                    vec![self.send(ticket, target, content)]
                }
                other => self.order(other).into_iter().collect(),
            };
            if let Some(ended) = self.all(answers)? {
                return Ok(Some(ended));
            }
        }
        Ok(None)
    }

    /// What the vault has of a conversation: before a place, a page of it or all from a place on.
    fn past(
        &mut self,
        target: Target,
        group: Option<GroupId>,
        before: Option<Seq>,
        from: Option<Seq>,
    ) -> Vec<Input> {
        let Some(group) = group else {
            return vec![Input::Past { target, messages: Vec::new(), complete: true }];
        };
        let after = from.and_then(|from| from.0.checked_sub(1)).map(Seq);
        let limit = from.map_or(PAGE, |_| u32::MAX);
        let range = Range { after, before, ..Range::ALL };
        let read = self.desk.past(&group, &range, limit).and_then(|messages| {
            let holding = self.desk.holding(&group)?;
            Ok((messages, holding))
        });
        match read {
            Ok((messages, holding)) => {
                let full = usize::try_from(PAGE).is_ok_and(|page| messages.len() >= page);
                let complete = from.is_none() && !full;
                let named = target.to_string();
                let topic = holding.topic.map(|(topic, _)| topic);
                let timer = holding.timer.map(|(timer, _)| timer);
                vec![
                    Input::News(News::Topic { target: named.clone(), topic }),
                    Input::News(News::Timer { target: named, timer }),
                    Input::Past { target, messages, complete },
                ]
            }
            Err(why) => vec![Input::Refused { ticket: None, why }],
        }
    }

    fn recall(&mut self, target: Target, group: &GroupId, messages: &[MessageRef]) -> Input {
        match self.desk.gone(group, messages) {
            Ok(gone) => Input::Gone { target, gone },
            Err(why) => Input::Refused { ticket: None, why },
        }
    }

    fn search(&mut self, query: String) -> Input {
        match self.desk.search(&query, HITS) {
            Ok(hits) => Input::Found { query, hits },
            Err(why) => Input::Refused { ticket: None, why },
        }
    }

    fn send(&mut self, ticket: u64, target: Target, content: Content) -> Input {
        let what = say(content);
        let id = message_id();
        if self.desk.ask(Ask::Say { target, id, what }) {
            Input::Sending { ticket, id }
        } else {
            Input::Refused { ticket: Some(ticket), why: OVER.to_owned() }
        }
    }

    fn order(&mut self, effect: Effect) -> Option<Input> {
        let asks = match effect {
            Effect::Open { order, target } => vec![Ask::Open { order, target }],
            Effect::Describe { order, target } => vec![Ask::Describe { order, target }],
            Effect::Wish { first, target, what } => what.ask(target, first),
            _ => return None,
        };
        let taken = asks.into_iter().all(|ask| self.desk.ask(ask));
        (!taken).then(|| Input::Refused { ticket: None, why: OVER.to_owned() })
    }
}

const OVER: &str = "the session has ended; nothing was sent";

fn say(content: Content) -> Say {
    match content {
        Content::Text(text) => Say::Text(text),
        Content::Reply { to, text, .. } => Say::Reply { to: Pick::Of(to), text },
        Content::Action(text) => Say::Action(text),
        Content::Topic(text) => Say::Topic(text),
        Content::About { message, change } => match change {
            Change::Edit(text) => Say::Edit { of: Pick::Of(message), text },
            Change::Delete => Say::Delete { of: Pick::Of(message) },
            Change::React { word, on } => Say::React { to: Pick::Of(message), emoji: word, on },
        },
    }
}
