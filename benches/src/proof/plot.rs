//! Plots of curves, as SVG files beside the page.

use super::curve::{Curve, MOST, duration};
use std::fmt::Write as _;

/// Where the plots are, from the page's directory.
const DIRECTORY: &str = "overhead";

/// In pixels: the picture, and the rectangle of the plot in it.
const SIZE: (f64, f64) = (860.0, 420.0);
const LEFT: f64 = 70.0;
const RIGHT: f64 = 590.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 360.0;

/// What the axes show: nanoseconds, and shares.
const STEPS: (f64, f64) = (8e2, 1.25e7);
const SHARES: (f64, f64) = (1e-5, 1.0);

/// One that can be told apart on light ground and on dark; the first is drawn thick.
const COLOURS: [&str; 10] =
    ["#e8590c", "#1c7ed6", "#2f9e44", "#9c36b5", "#c92a2a", "#0c8599", "#f08c00", "#7048e8", "#868e96", "#d6336c"];

/// A curve, and what it is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) curve: &'a Curve,
}

/// A picture.
#[derive(Clone, Debug)]
pub struct Plot {
    name: &'static str,
    title: &'static str,
    svg: String,
}

impl Plot {
    /// Both axes are logarithmic. A point whose interval reaches down to no overhead at all is left out: it has no place
    /// on such an axis.
    pub(super) fn new<'a>(name: &'static str, title: &'static str, lines: impl Iterator<Item = Line<'a>>) -> Self {
        let mut svg = String::new();
        frame(&mut svg, title);
        for (at, line) in lines.enumerate() {
            draw(&mut svg, at, line);
        }
        svg.push_str("</svg>\n");
        Plot { name, title, svg }
    }

    /// Its file, from the page's directory.
    pub(super) fn path(&self) -> String {
        path(self.name)
    }

    /// What is in the file.
    pub(super) fn svg(&self) -> &str {
        &self.svg
    }

    /// The picture in Markdown.
    pub(super) fn reference(&self) -> String {
        format!("![{}]({})", self.title, self.path())
    }
}

/// The file of the plot with this name, from the page's directory.
pub(super) fn path(name: &str) -> String {
    format!("{DIRECTORY}/{name}.svg")
}

/// Whether there is a line of this name in a file.
pub(super) fn shows(svg: &str, name: &str) -> bool {
    svg.contains(&format!(">{}</text>", escape(name)))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn x(step: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * (step / STEPS.0).ln() / (STEPS.1 / STEPS.0).ln()
}

fn y(share: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * (share / SHARES.0).ln() / (SHARES.1 / SHARES.0).ln()
}

/// Everything but the lines.
fn frame(svg: &mut String, title: &str) {
    let (width, height) = SIZE;
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <title>{title}</title>\n\
         <style>\n\
         .ground {{ fill: #ffffff }} text {{ fill: #212529 }} .grid {{ stroke: #dee2e6 }} .most {{ stroke: #495057 }}\n\
         @media (prefers-color-scheme: dark) {{\n\
         .ground {{ fill: #0d1117 }} text {{ fill: #dee2e6 }} .grid {{ stroke: #30363d }} .most {{ stroke: #adb5bd }}\n\
         }}\n\
         </style>\n\
         <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{title}</text>"
    );
    for step in [1e3, 1e4, 1e5, 1e6, 1e7] {
        let at = x(step);
        let name = duration(step).replace(".00", "").replace(".0", "");
        let below = BOTTOM + 18.0;
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{at:.1} {TOP}V{BOTTOM}\"/>");
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{name}</text>");
    }
    for (share, name) in
        [(1e-5, "0.001 %"), (1e-4, "0.01 %"), (1e-3, "0.1 %"), (1e-2, "1 %"), (1e-1, "10 %"), (1.0, "100 %")]
    {
        let at = y(share);
        let class = if share == MOST { "most" } else { "grid" };
        let (before, base) = (LEFT - 8.0, at + 4.0);
        let _ = writeln!(svg, "<path class=\"{class}\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>");
        let _ = writeln!(svg, "<text x=\"{before}\" y=\"{base:.1}\" text-anchor=\"end\">{name}</text>");
    }
    let (middle, below) = (f64::midpoint(LEFT, RIGHT), BOTTOM + 42.0);
    let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">length of the step</text>");
}

fn draw(svg: &mut String, at: usize, line: Line<'_>) {
    let colour = COLOURS[at % COLOURS.len()];
    let width = if at == 0 { 3.0 } else { 1.5 };
    let is_seen = |point: &&super::curve::Point| point.overhead.interval.0 > 0.0;
    let points = line.curve.0.iter().filter(is_seen);
    let points = points.map(|point| (x(point.step), y(point.overhead.estimate.clamp(SHARES.0, SHARES.1))));
    let points: Vec<(f64, f64)> = points.collect();
    let joined: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>",
        joined.join(" ")
    );
    for (x, y) in points {
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>");
    }
    let (swatch, text) = (RIGHT + 20.0, RIGHT + 46.0);
    let middle = TOP + 10.0 + 22.0 * at as f64;
    let base = middle + 4.0;
    let end = swatch + 20.0;
    let _ = writeln!(
        svg,
        "<path d=\"M{swatch} {middle}H{end}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>\n\
         <text x=\"{text}\" y=\"{base}\">{}</text>",
        escape(line.name)
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paired::Difference;
    use crate::proof::curve::Point;

    fn point(step: f64, estimate: f64, lower: f64) -> Point {
        Point { step, overhead: Difference { estimate, upper: estimate, interval: (lower, 2.0 * estimate) } }
    }

    #[test]
    fn a_line_has_the_points_that_are_known_to_cost_something() {
        let curve = Curve(vec![point(1e3, 0.1, 0.09), point(1e4, 0.01, 0.009), point(1e5, 0.001, -0.001)]);
        let plot = Plot::new("x", "X", [Line { name: "a & b", curve: &curve }].into_iter());
        assert_eq!(plot.svg().matches("<circle").count(), 2);
        assert!(shows(plot.svg(), "a & b") && !shows(plot.svg(), "a"));
        assert_eq!(plot.reference(), "![X](overhead/x.svg)");
    }

    #[test]
    fn one_per_cent_is_where_its_line_is() {
        let curve = Curve(vec![point(1e4, MOST, 0.009)]);
        let plot = Plot::new("x", "X", [Line { name: "a", curve: &curve }].into_iter());
        let line = format!("class=\"most\" d=\"M{LEFT} {:.1}H", y(MOST));
        assert!(plot.svg().contains(&line) && plot.svg().contains(&format!("cy=\"{:.1}\"", y(MOST))));
    }
}
