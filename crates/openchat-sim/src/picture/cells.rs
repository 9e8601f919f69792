//! What `tmux capture-pane -e` gives, read into runs of equal looks.

use unicode_width::UnicodeWidthChar;

/// A colour of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Colour {
    /// The terminal's own.
    #[default]
    Plain,
    /// One of the 256 of the palette; the first sixteen have names.
    Palette(u8),
    /// Red, green and blue.
    Exact(u8, u8, u8),
}

/// How a character looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "terminals switch each of them by itself")]
pub(super) struct Looks {
    /// Of the letters.
    pub letters: Colour,
    /// Of the ground.
    pub ground: Colour,
    /// Heavy.
    pub bold: bool,
    /// Faint.
    pub dim: bool,
    /// Leaning.
    pub italic: bool,
    /// With a line below.
    pub underline: bool,
    /// Letters and ground change places.
    pub reverse: bool,
}

/// Characters side by side that look the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// The column of the first one.
    pub column: usize,
    /// How many columns they take.
    pub columns: usize,
    /// What they are.
    pub text: String,
    /// How they look.
    pub looks: Looks,
}

/// The lines of a screen.
///
/// # Panics
/// If there is an escape sequence that does not set colours or the like.
pub(super) fn read(captured: &str) -> Vec<Vec<Run>> {
    // tmux writes what changed since the line before.
    let mut looks = Looks::default();
    captured.lines().map(|line| read_line(line, &mut looks)).collect()
}

fn read_line(line: &str, looks: &mut Looks) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut rest = line.chars();
    let mut column = 0;
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' => obey(looks, &sequence(&mut rest)),
            // To the other set of characters and back; there is nothing of it in a line of UTF-8.
            '\u{e}' | '\u{f}' => {}
            character => {
                let columns = character.width().unwrap_or_default();
                put(&mut runs, column, columns, character, *looks);
                column += columns;
            }
        }
    }
    runs
}

/// A wide character stands by itself, so that no font moves what follows it.
fn put(runs: &mut Vec<Run>, column: usize, columns: usize, character: char, looks: Looks) {
    let is_joined = |run: &&mut Run| {
        columns == 0 || (run.looks == looks && columns == 1 && !is_wide(&run.text))
    };
    match runs.last_mut().filter(is_joined) {
        Some(run) => {
            run.text.push(character);
            run.columns += columns;
        }
        None => runs.push(Run { column, columns, text: character.into(), looks }),
    }
}

fn is_wide(text: &str) -> bool {
    text.chars().any(|one| one.width() == Some(2))
}

/// The numbers of `[1;31m`.
fn sequence(rest: &mut impl Iterator<Item = char>) -> Vec<u8> {
    let text: String = rest.by_ref().take_while(|character| *character != 'm').collect();
    let numbers = text.strip_prefix('[').unwrap_or_else(|| panic!("no colours: {text:?}"));
    let number = |word: &str| if word.is_empty() { Ok(0) } else { word.parse() };
    let numbers = numbers.split([';', ':']).map(number).collect::<Result<_, _>>();
    numbers.unwrap_or_else(|_| panic!("no colours: {text:?}"))
}

fn obey(looks: &mut Looks, numbers: &[u8]) {
    let mut numbers = numbers.iter().copied();
    while let Some(number) = numbers.next() {
        match number {
            0 => *looks = Looks::default(),
            1 => looks.bold = true,
            2 => looks.dim = true,
            3 => looks.italic = true,
            4 => looks.underline = true,
            7 => looks.reverse = true,
            22 => (looks.bold, looks.dim) = (false, false),
            23 => looks.italic = false,
            24 => looks.underline = false,
            27 => looks.reverse = false,
            30..=37 => looks.letters = Colour::Palette(number - 30),
            38 => looks.letters = further(&mut numbers),
            39 => looks.letters = Colour::Plain,
            40..=47 => looks.ground = Colour::Palette(number - 40),
            48 => looks.ground = further(&mut numbers),
            49 => looks.ground = Colour::Plain,
            90..=97 => looks.letters = Colour::Palette(number - 90 + 8),
            100..=107 => looks.ground = Colour::Palette(number - 100 + 8),
            other => panic!("what does {other} look like?"),
        }
    }
}

/// `5;208` or `2;255;135;0`.
fn further(numbers: &mut impl Iterator<Item = u8>) -> Colour {
    match numbers.next() {
        Some(5) => Colour::Palette(numbers.next().expect("a number")),
        Some(2) => {
            let mut next = || numbers.next().expect("three numbers");
            Colour::Exact(next(), next(), next())
        }
        other => panic!("what colour is {other:?}?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(column: usize, columns: usize, text: &str, looks: Looks) -> Run {
        Run { column, columns, text: text.to_owned(), looks }
    }

    #[test]
    fn looks_go_on_until_they_are_changed() {
        let red = Looks { letters: Colour::Palette(1), bold: true, ..Looks::default() };
        let lines = read("ab\u{1b}[1;31mcd\ne\u{1b}[0mf\u{1b}[38;5;208m.\u{1b}[7;39;102m ");
        assert_eq!(lines[0], [run(0, 2, "ab", Looks::default()), run(2, 2, "cd", red)]);
        let orange = Looks { letters: Colour::Palette(208), ..Looks::default() };
        let green = Looks { ground: Colour::Palette(10), reverse: true, ..Looks::default() };
        let second = [
            run(0, 1, "e", red),
            run(1, 1, "f", Looks::default()),
            run(2, 1, ".", orange),
            run(3, 1, " ", green),
        ];
        assert_eq!(lines[1], second);
    }

    #[test]
    fn wide_characters_stand_by_themselves() {
        let plain = Looks::default();
        let line = read("a日本e\u{301}").remove(0);
        let runs = [run(0, 1, "a", plain), run(1, 2, "日", plain), run(3, 2, "本", plain)];
        assert_eq!(line[..3], runs);
        assert_eq!(line[3], run(5, 1, "e\u{301}", plain));
    }
}
