//! A chart as SVG: lines over linear or logarithmic axes, strips of marks below, a legend on the
//! right.

use std::fmt::Write;

const WIDTH: f64 = 1000.0;
const PLOT: (f64, f64) = (700.0, 380.0);
const LEFT: f64 = 84.0;
const TOP: f64 = 64.0;
const STRIP: f64 = 20.0;
const INK: &str = "#333";
const FAINT: &str = "#ddd";

/// Colours that colour-blind people can tell apart as well (Okabe and Ito).
pub const COLOURS: [&str; 8] =
    ["#999999", "#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"];

/// An axis of a chart.
pub struct Axis {
    pub label: String,
    pub logarithmic: bool,
    pub low: f64,
    pub high: f64,
    /// Values at which a line is drawn across the chart, and their labels.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// A linear axis with about five ticks at round values.
    pub fn linear(label: &str, low: f64, high: f64) -> Axis {
        let rough = (high - low).max(1e-9) / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|&s| s >= rough);
        let step = step.unwrap_or(rough);
        let first = (low / step).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let decimals = if step < 1.0 { (-step.log10()).ceil() as usize } else { 0 };
        let tick = |n: i64| (n as f64 * step, format!("{:.decimals$}", n as f64 * step));
        let ticks = (first..=last).map(tick).collect();
        Axis { label: label.to_owned(), logarithmic: false, low, high, ticks }
    }

    /// A logarithmic axis from one power of ten to another, with a tick at each power.
    pub fn decades(label: &str, low: f64, high: f64, name: impl Fn(f64) -> String) -> Axis {
        let first = low.max(1e-9).log10().floor() as i32;
        let last = (high.log10().ceil() as i32).max(first + 1);
        let ticks = (first..=last).map(|n| (10_f64.powi(n), name(10_f64.powi(n)))).collect();
        let (low, high) = (10_f64.powi(first), 10_f64.powi(last));
        Axis { label: label.to_owned(), logarithmic: true, low, high, ticks }
    }

    /// The position of a value on the axis, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let at = |value: f64| if self.logarithmic { value.max(1e-9).log10() } else { value };
        let share = (at(value) - at(self.low)) / (at(self.high) - at(self.low));
        share.clamp(0.0, 1.0)
    }
}

pub struct Line {
    pub name: String,
    pub colour: &'static str,
    pub width: f64,
    pub points: Vec<(f64, f64)>,
}

/// Moments, drawn as marks in their own row below the lines.
pub struct Strip {
    pub name: String,
    pub colour: &'static str,
    pub at: Vec<f64>,
}

pub struct Chart {
    pub title: String,
    pub subtitle: String,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
    pub strips: Vec<Strip>,
}

impl Chart {
    pub fn svg(&self) -> String {
        let height = TOP + PLOT.1 + STRIP * self.strips.len() as f64 + 64.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        text(&mut svg, (LEFT, 26.0), "start", "font-size=\"17\" font-weight=\"bold\"", &self.title);
        text(&mut svg, (LEFT, 46.0), "start", "fill=\"#666\"", &self.subtitle);
        self.draw_grid(&mut svg);
        for line in &self.lines {
            self.draw_line(&mut svg, line);
        }
        for (n, strip) in self.strips.iter().enumerate() {
            self.draw_strip(&mut svg, strip, n);
        }
        self.draw_legend(&mut svg);
        svg + "</svg>\n"
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (LEFT + self.x.share(x) * PLOT.0, TOP + (1.0 - self.y.share(y)) * PLOT.1)
    }

    fn draw_grid(&self, svg: &mut String) {
        let bottom = TOP + PLOT.1;
        for (value, name) in &self.y.ticks {
            let (_, y) = self.place((self.x.low, *value));
            segment(svg, (LEFT, y), (LEFT + PLOT.0, y), FAINT);
            text(svg, (LEFT - 8.0, y + 4.0), "end", "", name);
        }
        let below = bottom + STRIP * self.strips.len() as f64;
        for (value, name) in &self.x.ticks {
            let (x, _) = self.place((*value, self.y.low));
            segment(svg, (x, TOP), (x, below), FAINT);
            text(svg, (x, below + 18.0), "middle", "", name);
        }
        segment(svg, (LEFT, TOP), (LEFT, bottom), INK);
        segment(svg, (LEFT, bottom), (LEFT + PLOT.0, bottom), INK);
        text(svg, (LEFT + PLOT.0 / 2.0, below + 42.0), "middle", "", &self.x.label);
        let (x, y) = (20.0, TOP + PLOT.1 / 2.0);
        let turned = format!("transform=\"rotate(-90 {x} {y})\"");
        text(svg, (x, y), "middle", &turned, &self.y.label);
    }

    fn draw_line(&self, svg: &mut String, line: &Line) {
        let mut points = String::new();
        for point in &line.points {
            let (x, y) = self.place(*point);
            let _ = write!(points, "{x:.1},{y:.1} ");
        }
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" \
             stroke-linejoin=\"round\"/>",
            points.trim_end(),
            line.colour,
            line.width
        );
    }

    fn draw_strip(&self, svg: &mut String, strip: &Strip, n: usize) {
        let top = TOP + PLOT.1 + STRIP * n as f64 + 4.0;
        let mut path = String::new();
        for moment in &strip.at {
            let (x, _) = self.place((*moment, self.y.low));
            let _ = write!(path, "M{x:.1} {top}v{} ", STRIP - 6.0);
        }
        let colour = strip.colour;
        let _ = writeln!(svg, "<path d=\"{}\" stroke=\"{colour}\"/>", path.trim_end());
        let at = (LEFT + PLOT.0 + 14.0, top + 11.0);
        text(svg, at, "start", &format!("fill=\"{colour}\""), &strip.name);
    }

    fn draw_legend(&self, svg: &mut String) {
        let left = LEFT + PLOT.0 + 14.0;
        for (n, line) in self.lines.iter().enumerate() {
            let y = TOP + 10.0 + 22.0 * n as f64;
            let _ = writeln!(
                svg,
                "<path d=\"M{left} {y}h22\" stroke=\"{}\" stroke-width=\"3\"/>",
                line.colour
            );
            text(svg, (left + 28.0, y + 4.0), "start", "", &line.name);
        }
    }
}

fn segment(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str) {
    let _ = writeln!(svg, "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"{colour}\"/>");
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, more: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let fill = if more.contains("fill=") { "" } else { "fill=\"#333\"" };
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {fill} {more}>{words}</text>"
    );
}

/// A time for people to read, such as "10 µs".
pub fn time(ns: f64) -> String {
    match ns {
        ns if ns >= 1e9 => format!("{} s", ns / 1e9),
        ns if ns >= 1e6 => format!("{} ms", ns / 1e6),
        ns if ns >= 1e3 => format!("{} µs", ns / 1e3),
        ns => format!("{ns} ns"),
    }
}
