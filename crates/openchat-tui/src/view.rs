//! The screen, drawn from the state and from nothing else.

mod bidi;
mod help;
mod lists;
mod overlay;
mod panes;
pub(crate) mod rows;
pub(crate) mod sheet;

pub(crate) use help::help_lines;

use crate::{layout::Areas, state::State};
use ratatui::{Frame, buffer::Buffer, layout::Rect, style::Style};

/// Below this size nothing sensible can be shown.
const LEAST: (u16, u16) = (20, 6);

/// Draws the whole screen.
pub fn view(state: &State, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let line = Rect { height: 1.min(area.height), ..area };
        return put(frame.buffer_mut(), line, 0, "too small", state.theme.text);
    }
    let areas = Areas::of(state);
    panes::header(state, areas.header, frame.buffer_mut());
    if let Some(list) = areas.list {
        lists::conversations(state, list, frame.buffer_mut());
        panes::upright(state, list.right(), list, frame.buffer_mut());
    }
    if let Some(members) = areas.members {
        panes::upright(state, members.x.saturating_sub(1), members, frame.buffer_mut());
        lists::members(state, members, frame.buffer_mut());
    }
    panes::title(state, areas.title, frame.buffer_mut());
    panes::messages(state, areas.messages, frame.buffer_mut());
    if let Some(below) = areas.below {
        panes::below(state, below, frame.buffer_mut());
    }
    let cursor = panes::composer(state, areas.composer, frame.buffer_mut());
    panes::hint(state, areas.hint, frame.buffer_mut());
    let over = Rect { y: areas.title.y, height: areas.hint.y - areas.title.y, ..area };
    let cursor = match &state.overlay {
        Some(overlay) => overlay::draw(state, overlay, over, frame.buffer_mut()),
        None => cursor,
    };
    bidi::isolate(frame.buffer_mut());
    if let Some((x, y)) = cursor {
        frame.set_cursor_position((x, y));
    }
}

/// Writes a text into a line of an area, no further than its end.
fn put(buffer: &mut Buffer, area: Rect, line: u16, text: &str, style: Style) {
    if line < area.height && area.width > 0 {
        let text = crate::wrap::cut(&crate::wrap::flat(text), area.width.into());
        buffer.set_stringn(area.x, area.y + line, text, area.width.into(), style);
    }
}
