//! Cost against n as an SVG: one panel a row, both axes logarithmic.

use super::Figures;

const COLOURS: [&str; 5] = ["#0a5", "#c33", "#36c", "#888", "#a3c"];
const COLUMNS: u32 = 4;
const WIDTH: f64 = 280.0;
const HEIGHT: f64 = 220.0;
/// Room for the axes' numbers, left and below, and for the title above.
const LEFT: f64 = 52.0;
const BELOW: f64 = 24.0;
const ABOVE: f64 = 26.0;
/// From one name of the legend to the next.
const LEGEND: f64 = 210.0;
/// The smallest value that is told apart from nothing: a microsecond, where milliseconds are shown.
const LEAST: f64 = 0.001;

/// The whole picture.
pub(super) fn draw(figures: &Figures) -> String {
    let panels: Vec<String> =
        (0_u32..).zip(figures.plan.panels).map(|(at, work)| panel(figures, at, work)).collect();
    let rows = panels.len().div_ceil(4);
    let rows = f64::from(u32::try_from(rows).unwrap_or(u32::MAX));
    let (width, height) = (WIDTH * f64::from(COLUMNS), HEIGHT * rows + 30.0);
    let legend: String =
        (0_u32..).zip(figures.plan.sides.iter().zip(COLOURS)).map(legend).collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{legend}{}</svg>\n",
        panels.concat()
    )
}

fn legend((at, (side, colour)): (u32, (&&str, &str))) -> String {
    let x = LEFT + f64::from(at) * LEGEND;
    format!(
        "<rect x=\"{x}\" y=\"10\" width=\"18\" height=\"3\" fill=\"{colour}\"/>\
         <text x=\"{}\" y=\"15\">{side}</text>\n",
        x + 24.0
    )
}

/// The range of an axis: whole powers of ten around all values.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn around(values: impl Iterator<Item = f64>) -> Self {
        let logs: Vec<f64> = values.map(|value| value.max(LEAST).log10()).collect();
        let low = logs.iter().copied().fold(f64::INFINITY, f64::min).floor();
        let high = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil();
        Self { low, high: high.max(low + 1.0) }
    }

    /// Where a value lies, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        (value.max(LEAST).log10() - self.low) / (self.high - self.low)
    }

    /// The powers of ten in it.
    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (low, high) = (self.low, self.high);
        (0..20_u8).map(move |step| low + f64::from(step)).take_while(move |tick| *tick <= high)
    }
}

fn panel(figures: &Figures, at: u32, work: &str) -> String {
    let sizes = figures.sizes(work);
    let line = |side: &&'static str| -> Vec<(f64, f64)> {
        let point = |&n| figures.median(work, n, side).map(|value| (f64::from(n), value));
        sizes.iter().filter_map(point).collect()
    };
    let lines: Vec<_> = figures.plan.sides.iter().map(line).collect();
    if lines.iter().all(Vec::is_empty) {
        return String::new();
    }
    let across = Axis::around(lines.iter().flatten().map(|point| point.0));
    let up = Axis::around(lines.iter().flatten().map(|point| point.1));
    let x = |value| LEFT + across.place(value) * (WIDTH - LEFT - 16.0);
    let y = |value| HEIGHT - BELOW - up.place(value) * (HEIGHT - BELOW - ABOVE);
    let (left, top) = (f64::from(at % COLUMNS) * WIDTH, f64::from(at / COLUMNS) * HEIGHT + 30.0);
    let mut parts = vec![
        format!("<g transform=\"translate({left} {top})\">\n"),
        format!("<text x=\"{LEFT}\" y=\"16\" font-weight=\"bold\">{work}</text>\n"),
    ];
    for tick in up.ticks() {
        let (value, height) = (10_f64.powf(tick), y(10_f64.powf(tick)));
        let ends = [across.low, across.high].map(|end| [x(10_f64.powf(end)), height]);
        parts.push(rule(ends));
        parts.push(label(
            [LEFT - 4.0, height + 4.0],
            "end",
            &tick_text(figures.row(work).1, value),
        ));
    }
    for tick in across.ticks() {
        let (value, column) = (10_f64.powf(tick), x(10_f64.powf(tick)));
        parts.push(rule([up.low, up.high].map(|end| [column, y(10_f64.powf(end))])));
        parts.push(label([column, HEIGHT - BELOW + 14.0], "middle", &format!("{value}")));
    }
    for (points, colour) in lines.iter().zip(COLOURS) {
        let places: Vec<[f64; 2]> = points.iter().map(|&(n, value)| [x(n), y(value)]).collect();
        parts.push(curve(&places, colour));
    }
    parts.push("</g>\n".to_owned());
    parts.concat()
}

/// A line and its points, because a line of one point can't be seen.
fn curve(places: &[[f64; 2]], colour: &str) -> String {
    let line: Vec<String> = places.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
    let point = |[x, y]: &[f64; 2]| {
        format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>\n")
    };
    format!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n{}",
        line.join(" "),
        places.iter().map(point).collect::<String>()
    )
}

fn rule([[x1, y1], [x2, y2]]: [[f64; 2]; 2]) -> String {
    format!("<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"#ddd\"/>\n")
}

fn label([x, y]: [f64; 2], anchor: &str, text: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n")
}

fn tick_text(unit: &str, value: f64) -> String {
    match (unit, value) {
        ("bytes", value) if value >= 1e6 => format!("{} MB", value / 1e6),
        ("bytes", value) if value >= 1e3 => format!("{} kB", value / 1e3),
        ("bytes", value) => format!("{value} B"),
        ("µs", value) if value >= 1e6 => format!("{} s", value / 1e6),
        ("µs", value) if value >= 1e3 => format!("{} ms", value / 1e3),
        ("1/s", value) if value >= 1e6 => format!("{} M/s", value / 1e6),
        ("1/s", value) if value >= 1e3 => format!("{} k/s", value / 1e3),
        ("1/s", value) => format!("{value}/s"),
        // Powers of ten below 1 are not quite themselves in binary.
        (unit, value) if value < 1.0 => format!("{value:.3} {unit}"),
        (unit, value) => format!("{value} {unit}"),
    }
}
