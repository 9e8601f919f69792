//! Runs of characters as SVG: each is a text at its column, in whatever monospaced font there is.

use super::cells::{Colour, Looks, Run};
use std::fmt::Write;

/// Pixels of a column.
const COLUMN: usize = 8;
/// Pixels of a line.
const LINE: usize = 18;
/// From a line's top to the foot of its letters.
const FOOT: usize = 13;
/// Between the frame and the screen.
const MARGIN: usize = 12;
/// The bar with the title.
const BAR: usize = 30;

const LETTERS: &str = "#d6dae0";
const GROUND: &str = "#14181f";

/// The first sixteen colours, each readable on the ground.
const SIXTEEN: [&str; 16] = [
    "#2b313b", "#f07178", "#8ccf7e", "#e5c76b", "#6cb0f5", "#c792ea", "#6cd0d0", "#c3c9d2",
    "#7d8796", "#ff8f8f", "#a9e69b", "#ffdd85", "#8fc7ff", "#dbb2ff", "#8fe6e6", "#ffffff",
];

/// A picture of a window with this title and these lines.
#[must_use]
pub(super) fn draw(title: &str, columns: usize, lines: &[Vec<Run>]) -> String {
    let (width, height) = (columns * COLUMN + 2 * MARGIN, lines.len() * LINE + BAR + 2 * MARGIN);
    let mut svg = frame(title, width, height);
    for (at, line) in lines.iter().enumerate() {
        let top = BAR + MARGIN + at * LINE;
        for run in line {
            ground(&mut svg, run, top);
        }
        for run in line.iter().flat_map(words) {
            letters(&mut svg, &run, top + FOOT);
        }
    }
    svg + "</svg>\n"
}

fn frame(title: &str, width: usize, height: usize) -> String {
    let (title, middle) = (escaped(title), width / 2);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>{title}</title>\n\
         <style>text{{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',\
         'Liberation Mono',monospace;fill:{LETTERS};white-space:pre}}\
         .b{{font-weight:bold}}.i{{font-style:italic}}.u{{text-decoration:underline}}\
         .d{{opacity:.65}}</style>\n\
         <rect x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"{GROUND}\" \
         stroke=\"#3a424f\"/>\n\
         <path d=\"M1 {BAR}h{}\" stroke=\"#3a424f\"/>\n\
         <g fill=\"#4a5464\"><circle cx=\"18\" cy=\"15\" r=\"5\"/><circle cx=\"36\" cy=\"15\" \
         r=\"5\"/><circle cx=\"54\" cy=\"15\" r=\"5\"/></g>\n\
         <text x=\"{middle}\" y=\"20\" text-anchor=\"middle\" style=\"fill:#9aa4b2\">{title}</text>\n",
        width - 1,
        height - 1,
        width - 2,
    )
}

fn ground(svg: &mut String, run: &Run, top: usize) {
    let Some(colour) = colours(run.looks).1 else { return };
    let (x, width) = (MARGIN + run.column * COLUMN, run.columns * COLUMN);
    written(
        svg,
        format_args!(
            "<rect x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{LINE}\" fill=\"{colour}\"/>"
        ),
    );
}

fn letters(svg: &mut String, run: &Run, foot: usize) {
    let (x, width) = (MARGIN + run.column * COLUMN, run.columns * COLUMN);
    let Looks { bold, italic, underline, dim, .. } = run.looks;
    let classes = [(bold, 'b'), (italic, 'i'), (underline, 'u'), (dim, 'd')];
    let classes: Vec<String> =
        classes.iter().filter(|(is_so, _)| *is_so).map(|(_, class)| class.to_string()).collect();
    let class = match classes.join(" ") {
        none if none.is_empty() => none,
        classes => format!(" class=\"{classes}\""),
    };
    let fill = colours(run.looks).0.map(|colour| format!(" style=\"fill:{colour}\""));
    let (fill, text) = (fill.unwrap_or_default(), escaped(&run.text));
    // Fonts differ in width; the columns do not.
    written(
        svg,
        format_args!(
            "<text x=\"{x}\" y=\"{foot}\" textLength=\"{width}\" \
             lengthAdjust=\"spacingAndGlyphs\"{class}{fill}>{text}</text>"
        ),
    );
}

fn written(svg: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(svg, "{line}");
}

/// The parts between gaps of two and more blanks, which need not be drawn.
fn words(run: &Run) -> Vec<Run> {
    let mut parts = Vec::new();
    let (mut column, mut blanks) = (run.column, 2);
    for character in run.text.chars() {
        let columns = unicode_width::UnicodeWidthChar::width(character).unwrap_or_default();
        if character == ' ' {
            blanks += 1;
        } else {
            match parts.last_mut() {
                Some(Run { text, columns: wide, .. }) if blanks < 2 => {
                    text.push_str(&" ".repeat(blanks));
                    text.push(character);
                    *wide += blanks + columns;
                }
                _ => parts.push(Run { column, columns, text: character.into(), ..run.clone() }),
            }
            blanks = 0;
        }
        column += columns;
    }
    parts
}

/// Of letters and ground, where they are not the window's.
fn colours(looks: Looks) -> (Option<String>, Option<String>) {
    let (letters, ground) = (colour(looks.letters), colour(looks.ground));
    if looks.reverse {
        let of = |colour: Option<String>, plain: &str| colour.unwrap_or_else(|| plain.to_owned());
        (Some(of(ground, GROUND)), Some(of(letters, LETTERS)))
    } else {
        (letters, ground)
    }
}

fn colour(colour: Colour) -> Option<String> {
    let exact = |red, green, blue| format!("#{red:02x}{green:02x}{blue:02x}");
    match colour {
        Colour::Plain => None,
        Colour::Exact(red, green, blue) => Some(exact(red, green, blue)),
        Colour::Palette(number) => Some(match number {
            0..=15 => SIXTEEN[usize::from(number)].to_owned(),
            16..=231 => {
                let cube = number - 16;
                let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
                exact(level(cube / 36), level(cube / 6 % 6), level(cube % 6))
            }
            grey => {
                let level = 8 + 10 * (grey - 232);
                exact(level, level, level)
            }
        }),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{super::cells::read, *};

    #[test]
    fn a_text_is_text_at_its_column_and_looks_as_it_did() {
        let svg = draw("a & b", 20, &read("\u{1b}[1;31mred\u{1b}[0m   <plain one>\n\u{1b}[7m up "));
        for part in [
            "<title>a &amp; b</title>",
            "<text x=\"12\" y=\"55\" textLength=\"24\" lengthAdjust=\"spacingAndGlyphs\" \
             class=\"b\" style=\"fill:#f07178\">red</text>",
            "<text x=\"60\" y=\"55\" textLength=\"88\" lengthAdjust=\"spacingAndGlyphs\">\
             &lt;plain one&gt;</text>",
            "<rect x=\"12\" y=\"60\" width=\"32\" height=\"18\" fill=\"#d6dae0\"/>",
            "style=\"fill:#14181f\">up</text>",
        ] {
            assert!(svg.contains(part), "{part}\n{svg}");
        }
    }

    #[test]
    fn the_palette_has_256_colours() {
        let of = |number| colour(Colour::Palette(number)).unwrap_or_default();
        assert_eq!([of(16), of(208), of(231)], ["#000000", "#ff8700", "#ffffff"]);
        assert_eq!([of(232), of(255)], ["#080808", "#eeeeee"]);
    }
}
