//! The full screen of `openchat`.
//!
//! A program in four parts: [`State`] is all that is on the screen; an [`Input`] is something that
//! happened; [`update`] turns one into the other and says in [`Effect`]s what is to be done outside;
//! [`view`] draws. None of them does I/O, asks a clock, draws randomness or sees a key. [`run`] is the
//! thin part around them that does: the terminal on one side, and on the other a [`Desk`], behind
//! which the session runs.
//!
//! What people see of others went through `safe` text first: nothing in it acts on a terminal.

mod adapter;
mod clock;
mod complete;
mod config;
mod conversation;
mod draft;
mod input;
mod kept;
mod keys;
mod layout;
mod marks;
mod note;
mod row;
mod runner;
mod state;
mod terminal;
mod theme;
mod update;
mod view;
mod waiting;
mod wrap;

pub use adapter::Panel;
pub use clock::Clock;
pub use config::{Config, ConfigError};
pub use conversation::{Anchor, Conversation, Past};
pub use input::{Change, Content, Effect, Hit, Input, News};
pub use kept::{past, search};
pub use keys::{Action, Chord, ChordError, KEYS, KeyRow, Keys, Section};
pub use note::{Note, Notify, Show};
pub use row::{Body, Message, Notice, Quote, Reaction, Row, Tone};
pub use runner::{Desk, Ended, Incoming, run};
pub use state::{Connection, LogAlarm, Overlay, Setup, State};
pub use terminal::size;
pub use theme::{Theme, ThemeError};
pub use update::update;
pub use view::view;
pub use waiting::Waiting;
