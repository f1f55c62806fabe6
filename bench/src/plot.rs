//! The results as a picture: SVG written by hand, readable on light and on dark pages.

use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const MARGIN: f64 = 24.0;
/// Where names end and the scale begins.
const SCALE_START: f64 = 330.0;
const SCALE_END: f64 = 770.0;
const ROW: f64 = 24.0;
const HEAD: f64 = 56.0;
const COLUMNS: f64 = 130.0;
const STYLE: &str = "\
<style>
  .ground { fill: #ffffff } text { font: 13px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600; font-size: 15px }
  .soft { fill: #59636e } .line { stroke: #d1d9e0 } .limit { stroke: #59636e; stroke-dasharray: 4 3 }
  .ours { fill: #0969da } .peer { fill: #818b98 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } text { fill: #f0f6fc } .soft { fill: #9198a1 } .line { stroke: #3d444d }
    .limit { stroke: #9198a1 } .ours { fill: #4493f8 } .peer { fill: #656c76 }
  }
</style>
";

/// One contender: what a request costs it, as a multiple of bare Pingora.
#[derive(Clone, Debug)]
pub struct Point {
    pub name: String,
    pub value: f64,
    pub is_ours: bool,
}

/// How many values lie in one part of a histogram.
#[derive(Clone, Debug)]
pub struct Bin {
    pub label: String,
    pub count: usize,
}

/// The whole picture; none when there is nothing to show.
pub fn svg(points: &[Point], bins: &[Bin]) -> Option<String> {
    if points.is_empty() && bins.is_empty() {
        return None;
    }
    let mut points = points.to_vec();
    points.sort_by(|a, b| a.value.total_cmp(&b.value));
    let costs = if points.is_empty() { 0.0 } else { (points.len() as f64).mul_add(ROW, HEAD + MARGIN) };
    let times = if bins.is_empty() { 0.0 } else { HEAD + COLUMNS + 2.0 * MARGIN };
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
         <title>Tollgate, measured</title>\n{STYLE}<rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\n",
        height = costs + times
    );
    if !points.is_empty() {
        draw_costs(&mut text, &points);
    }
    if !bins.is_empty() {
        draw_times(&mut text, bins, costs);
    }
    text.push_str("</svg>\n");
    Some(text)
}

/// Dots on a logarithmic scale: the least and the most differ by two orders of magnitude.
fn draw_costs(text: &mut String, points: &[Point]) {
    put(
        text,
        (MARGIN, 30.0),
        "title",
        "CPU time of one gated request, all processes together, bare Pingora = 1 (logarithmic)",
    );
    let values = points.iter().map(|point| point.value);
    let (least, most) = (values.clone().fold(1.0, f64::min) / 1.15, values.fold(1.0, f64::max) * 1.15);
    let at = |value: f64| {
        let share = (value / least).ln() / (most / least).ln();
        share.mul_add(SCALE_END - SCALE_START, SCALE_START)
    };
    let bottom = (points.len() as f64).mul_add(ROW, HEAD);
    line(text, "limit", (at(1.0), HEAD - 6.0), (at(1.0), bottom));
    for (row, point) in points.iter().enumerate() {
        let (x, y) = (at(point.value), (row as f64 + 0.5).mul_add(ROW, HEAD));
        let class = if point.is_ours { "ours" } else { "peer" };
        line(text, "line", (SCALE_START, y), (x, y));
        let _ = writeln!(text, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5.5\"/>");
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\"{}>{}</text>",
            SCALE_START - 12.0,
            y + 4.5,
            if point.is_ours { " style=\"font-weight:600\"" } else { "" },
            escape(&point.name)
        );
        put(text, (x + 11.0, y + 4.5), "soft", &short(point.value));
    }
}

/// Columns: from a commit to its effect.
fn draw_times(text: &mut String, bins: &[Bin], top: f64) {
    let all: usize = bins.iter().map(|bin| bin.count).sum();
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(1).max(1) as f64;
    put(
        text,
        (MARGIN, top + 30.0),
        "title",
        &format!("From a webhook's commit to two proxies that enforce it, {all} times"),
    );
    let (ground, width) = (top + HEAD + COLUMNS, (WIDTH - 2.0 * MARGIN) / bins.len() as f64);
    line(text, "line", (MARGIN, ground), (WIDTH - MARGIN, ground));
    for (column, bin) in bins.iter().enumerate() {
        let (x, height) = ((column as f64).mul_add(width, MARGIN), bin.count as f64 / most * (COLUMNS - 20.0));
        let _ = writeln!(
            text,
            "<rect class=\"ours\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            x + 6.0,
            ground - height,
            width - 12.0
        );
        put(text, (x + 8.0, ground - height - 5.0), "soft", &bin.count.to_string());
        put(text, (x + 8.0, ground + 18.0), "soft", &bin.label);
    }
}

fn put(text: &mut String, (x, y): (f64, f64), class: &str, content: &str) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(content));
}

fn line(text: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        text,
        "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn short(value: f64) -> String {
    if value >= 10.0 { format!("{value:.0} ×") } else { format!("{value:.2} ×") }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_stands_first_and_dearer_ones_further_right() {
        let point = |name: &str, value, is_ours| Point { name: name.into(), value, is_ours };
        let bins = [Bin { label: "≤ 1 ms".into(), count: 3 }];
        let svg = svg(&[point("dear & slow", 20.0, false), point("ours", 1.1, true)], &bins).expect("a picture");
        assert!(svg.find(">ours<").expect("there") < svg.find(">dear &amp; slow<").expect("there"), "{svg}");
        let at = |class: &str| {
            let place = svg.split(&format!("<circle class=\"{class}\" cx=\"")).nth(1).expect("a dot");
            place.split('"').next().expect("a number").parse::<f64>().expect("a number")
        };
        assert!(at("ours") > SCALE_START && at("peer") > at("ours") && at("peer") < SCALE_END, "{svg}");
        assert!(svg.contains("20 ×") && svg.contains("≤ 1 ms") && svg.ends_with("</svg>\n"));
    }
}
