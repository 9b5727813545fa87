//! A line plot as SVG: logarithmic axes, labels at the right.

use std::fmt::Write;

use crate::report::table::{servers, short};

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 70.0;
/// Where the axes end and the names begin.
const RIGHT: f64 = 680.0;
const TOP: f64 = 50.0;
/// A name's height.
const ROW: f64 = 17.0;
/// Colors that most people can distinguish, in light and dark mode.
const COLORS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9", "#7f3fbf", "#444444"];

pub struct Line {
    pub name: String,
    /// Drawn thicker.
    pub ours: bool,
    pub points: Vec<(f64, f64)>,
}

pub struct Plot {
    pub title: &'static str,
    pub across: &'static str,
    pub up: &'static str,
    pub lines: Vec<Line>,
}

/// A logarithmic axis from `low` to `high`, drawn from `start` to `end`.
struct Axis {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

impl Axis {
    /// Round limits around the values.
    fn around(values: impl Iterator<Item = f64> + Clone, start: f64, end: f64) -> Axis {
        let least = values.clone().fold(f64::INFINITY, f64::min);
        let most = values.fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = (least.log10().floor(), most.log10().ceil());
        // A few values close together: no need for whole decades.
        let narrow = most / least < 10.0;
        let (low, high) =
            if narrow { ((least / 1.1).log10(), (most * 1.1).log10()) } else { (low, high) };
        Axis { low, high, start, end }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.log10() - self.low) / (self.high - self.low);
        self.start + share * (self.end - self.start)
    }

    /// Powers of ten; also 2 and 5 times these if there are few.
    fn ticks(&self) -> Vec<f64> {
        let few = self.high - self.low < 2.0;
        let steps: &[f64] = if few { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let decades = self.low.floor() as i32..=self.high.ceil() as i32;
        let all =
            decades.flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade)));
        all.filter(|tick| (self.low - 0.001..=self.high + 0.001).contains(&tick.log10())).collect()
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Plot {
    pub fn svg(&self) -> String {
        let bottom = (TOP + ROW * self.lines.len() as f64).max(480.0);
        let points = || self.lines.iter().flat_map(|line| line.points.iter().copied());
        let across = Axis::around(points().map(|point| point.0), LEFT, RIGHT);
        let up = Axis::around(points().map(|point| point.1), bottom, TOP);
        let height = bottom + 50.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
             <text x=\"{LEFT}\" y=\"26\" font-size=\"16\">{}</text>\n",
            escape(self.title),
        );
        self.axes(&mut svg, &across, &up, bottom);
        for (number, line) in self.lines.iter().enumerate() {
            draw(&mut svg, line, number, &across, &up);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn axes(&self, svg: &mut String, across: &Axis, up: &Axis, bottom: f64) {
        for tick in across.ticks() {
            let x = across.at(tick);
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#dddddd\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 16.0,
                servers(tick as usize),
            );
        }
        for tick in up.ticks() {
            let y = up.at(tick);
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                short(tick).replace(".0", ""),
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(16 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            (LEFT + RIGHT) / 2.0,
            bottom + 38.0,
            escape(self.across),
            (TOP + bottom) / 2.0,
            escape(self.up),
        );
    }
}

/// The line, and its name with a sample of it.
fn draw(svg: &mut String, line: &Line, number: usize, across: &Axis, up: &Axis) {
    let color = COLORS[number % COLORS.len()];
    let width = if line.ours { 2.5 } else { 1.2 };
    // Each cycle through the colors has its own dash pattern.
    let dash = match number / COLORS.len() {
        0 => String::new(),
        round => format!(" stroke-dasharray=\"{} {}\"", 8 / round, 3),
    };
    let style = format!("stroke=\"{color}\" stroke-width=\"{width}\"{dash}");
    let place = |(x, y): &(f64, f64)| format!("{:.1},{:.1}", across.at(*x), up.at(*y));
    let points: Vec<String> = line.points.iter().map(place).collect();
    let _ = writeln!(svg, "<polyline points=\"{}\" fill=\"none\" {style}/>", points.join(" "));
    for (x, y) in &line.points {
        let (x, y) = (across.at(*x), up.at(*y));
        let _ =
            writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{width}\" fill=\"{color}\"/>");
    }
    let y = TOP + ROW * number as f64;
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" {style}/>\
         <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        RIGHT + 14.0,
        RIGHT + 44.0,
        RIGHT + 50.0,
        y + 4.0,
        escape(&line.name),
    );
}
