//! The terminal: what is switched on when the screen opens and off when it closes, whatever ends it.

use base64ct::{Base64, Encoding};
use crossterm::{
    event::{
        DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
        EnableFocusChange, EnableMouseCapture,
    },
    execute,
    terminal::{self, EnterAlternateScreen, LeaveAlternateScreen},
};
use ratatui::{Terminal, backend::CrosstermBackend};
use std::io::{self, Stdout, Write};

/// The size of the terminal, in columns and lines.
///
/// # Errors
/// The terminal's.
pub fn size() -> io::Result<(u16, u16)> {
    terminal::size()
}

/// The terminal in full-screen mode.
pub(crate) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    pub(crate) fn open() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        // From here on whatever fails is undone when this is dropped.
        let screen = Self { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))? };
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange)?;
        Ok(screen)
    }

    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut ratatui::Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw).map(|_| ())
    }

    /// Forgets what the terminal shows, so that the next drawing writes all of it.
    pub(crate) fn redraw(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Whatever of this fails, there is no terminal left to tell it to.
        let _ = execute!(
            io::stdout(),
            DisableMouseCapture,
            DisableFocusChange,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            crossterm::cursor::Show
        );
        let _ = terminal::disable_raw_mode();
    }
}

/// Takes the mouse, or leaves it.
pub(crate) fn mouse(on: bool) -> io::Result<()> {
    if on {
        execute!(io::stdout(), EnableMouseCapture)
    } else {
        execute!(io::stdout(), DisableMouseCapture)
    }
}

/// Rings.
pub(crate) fn bell() -> io::Result<()> {
    write(b"\x07")
}

/// Asks the terminal to put this on the clipboard (OSC 52). In Base64, so nothing of it acts.
pub(crate) fn copy(text: &str) -> io::Result<()> {
    write(format!("\x1b]52;c;{}\x07", Base64::encode_string(text.as_bytes())).as_bytes())
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}
