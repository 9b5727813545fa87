//! A line plot as SVG: logarithmic axes, and each line's label at its end.

use std::fmt::Write;

use crate::report::plot::MOST_LINES;
use crate::report::table::{servers, short};

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 70.0;
/// Where the axes end.
const RIGHT: f64 = 690.0;
/// Where the labels begin.
const LABELS: f64 = RIGHT + 34.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 480.0;
/// A label's height.
const ROW: f64 = 17.0;
/// Colors that most people can distinguish, in light and dark mode.
const COLORS: [&str; MOST_LINES] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a07d00", "#3a9ad9", "#7f3fbf", "#444444"];
/// Nothing below is shown: a net time of less than a nanosecond says only that there is none.
const LOWEST: f64 = 1.0;

pub struct Line {
    name: String,
    /// Drawn thicker.
    ours: bool,
    points: Vec<(f64, f64)>,
}

impl Line {
    /// None if no point can be shown.
    pub fn new(name: String, ours: bool, mut points: Vec<(f64, f64)>) -> Option<Line> {
        points.retain(|point| point.0 >= LOWEST && point.1 >= LOWEST);
        (!points.is_empty()).then_some(Line { name, ours, points })
    }
}

pub struct Plot {
    pub title: String,
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
        let few = self.high - self.low <= 2.0;
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

/// Where labels go that belong at these heights: as near as possible, at least a row apart, and between
/// the limits if they fit.
fn spread(wanted: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    // Groups of labels that touch: how many they are, and the height of the first.
    let mut groups: Vec<(usize, f64)> = Vec::new();
    for label in &order {
        let (mut count, mut first) = (1, wanted[*label]);
        while let Some((before, its)) = groups.last().copied() {
            if its + before as f64 * ROW <= first {
                break;
            }
            // Together, each as far from its place as the others.
            let whole = (before + count) as f64;
            first = (its * before as f64 + (first - before as f64 * ROW) * count as f64) / whole;
            count += before;
            groups.pop();
        }
        let height = (count - 1) as f64 * ROW;
        groups.push((count, first.min(bottom - height).max(top)));
    }
    let rows = groups
        .iter()
        .flat_map(|(count, first)| (0..*count).map(move |row| first + row as f64 * ROW));
    let mut places = vec![0.0; wanted.len()];
    order.into_iter().zip(rows).for_each(|(label, place)| places[label] = place);
    places
}

impl Plot {
    pub fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| line.points.iter().copied());
        let across = Axis::around(points().map(|point| point.0), LEFT, RIGHT);
        let up = Axis::around(points().map(|point| point.1), BOTTOM, TOP);
        let height = BOTTOM + 50.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
             <text x=\"{LEFT}\" y=\"26\" font-size=\"16\">{}</text>\n",
            escape(&self.title),
        );
        self.axes(&mut svg, &across, &up);
        let ends: Vec<f64> =
            self.lines.iter().map(|line| up.at(line.points[line.points.len() - 1].1)).collect();
        let places = spread(&ends, TOP, BOTTOM);
        for ((line, color), place) in self.lines.iter().zip(COLORS).zip(places) {
            draw(&mut svg, line, color, place, &across, &up);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn axes(&self, svg: &mut String, across: &Axis, up: &Axis) {
        for tick in across.ticks() {
            let x = across.at(tick);
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{BOTTOM}\" stroke=\"#dddddd\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                BOTTOM + 16.0,
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
            BOTTOM + 38.0,
            escape(self.across),
            (TOP + BOTTOM) / 2.0,
            escape(self.up),
        );
    }
}

/// The line, its label, and a thin line from its end to the label.
fn draw(svg: &mut String, line: &Line, color: &str, label: f64, across: &Axis, up: &Axis) {
    let width = if line.ours { 2.5 } else { 1.2 };
    let places: Vec<(f64, f64)> =
        line.points.iter().map(|(x, y)| (across.at(*x), up.at(*y))).collect();
    let points: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\"/>",
        points.join(" "),
    );
    for (x, y) in &places {
        let radius = width + 0.5;
        let _ =
            writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{color}\"/>");
    }
    let (x, y) = places[places.len() - 1];
    let weight = if line.ours { "bold" } else { "normal" };
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{label:.1}\" stroke=\"{color}\" \
         stroke-width=\"0.8\" stroke-dasharray=\"2 3\"/>\
         <text x=\"{LABELS:.1}\" y=\"{:.1}\" fill=\"{color}\" font-weight=\"{weight}\">{}</text>",
        x + 3.0,
        LABELS - 4.0,
        label + 4.0,
        escape(&line.name),
    );
}

#[cfg(test)]
mod tests {
    use super::{BOTTOM, ROW, TOP, spread};

    #[test]
    fn labels_keep_their_order_and_do_not_touch() {
        for wanted in [
            vec![100.0, 300.0, 200.0],
            vec![100.0; 8],
            vec![TOP; 8],
            vec![BOTTOM; 8],
            vec![479.0, 60.0, 478.0, 61.0, 470.0, 75.0, 200.0, 210.0],
            vec![100.0, 101.0, 116.0, 130.0, 131.0, 400.0, 399.0, 380.0],
        ] {
            let places = spread(&wanted, TOP, BOTTOM);
            let mut order: Vec<usize> = (0..wanted.len()).collect();
            order.sort_by(|a, b| places[*a].total_cmp(&places[*b]));
            for pair in order.windows(2) {
                assert!(wanted[pair[0]] <= wanted[pair[1]], "{wanted:?}: {places:?}");
                assert!(places[pair[1]] - places[pair[0]] > ROW - 0.01, "{wanted:?}: {places:?}");
            }
            assert!(places.iter().all(|place| (TOP..=BOTTOM).contains(place)), "{places:?}");
        }
    }

    #[test]
    fn labels_with_space_stay_where_they_belong() {
        let wanted = [300.0, 100.0, 300.0 + ROW, 100.0 - ROW];
        assert_eq!(spread(&wanted, TOP, BOTTOM), wanted);
        assert_eq!(spread(&[200.0, 200.0], TOP, BOTTOM), [200.0 - ROW / 2.0, 200.0 + ROW / 2.0]);
    }
}
