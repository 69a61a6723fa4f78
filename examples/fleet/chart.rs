//! How many members each node sees over time, as an SVG: light or dark as its reader is, and
//! legible in a narrow window.

use std::fmt::Write;

use super::harness::{Micros, SECOND, World};

/// Points beyond which every other one is merged into its neighbour.
const POINTS_MAX: usize = 1_200;

/// In units of the drawing. It is as wide as there is room for, so the text is large.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 72.0;
const BOTTOM: f64 = 64.0;

const STYLE: &str = "\
<style>
  svg { font: 16px system-ui, sans-serif; background: #fff; }
  text { fill: #24292f; }
  .grid { stroke: #d0d7de; }
  .running { fill: none; stroke: #57606a; stroke-width: 1.5; stroke-dasharray: 6 4; }
  .span { fill: #54aeff; fill-opacity: 0.35; }
  .median { fill: none; stroke: #0969da; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; }
    text { fill: #e6edf3; }
    .grid { stroke: #30363d; }
    .running { stroke: #8b949e; }
    .span { fill: #1f6feb; fill-opacity: 0.45; }
    .median { stroke: #58a6ff; }
  }
</style>
";

/// What the nodes that run see at a time: how many live members, themselves included.
#[derive(Clone, Copy, Debug)]
struct Point {
    at: Micros,
    running: u32,
    least: u32,
    median: u32,
    most: u32,
}

/// What has been seen so far.
#[derive(Debug, Default)]
pub(crate) struct Chart {
    points: Vec<Point>,
    /// Samples that make a point.
    each: usize,
    samples: usize,
    counts: Vec<u32>,
}

impl Chart {
    /// Takes in what the nodes see now.
    pub(crate) fn sample(&mut self, world: &World) {
        self.counts.clear();
        for process in world.well() {
            if let Some(node) = &world.processes[process].node {
                let status = node.status();
                self.counts.push(status.alive + status.suspect);
            }
        }
        self.counts.sort_unstable();
        let (Some(&least), Some(&most)) = (self.counts.first(), self.counts.last()) else { return };
        let median = self.counts[self.counts.len() / 2];
        let running = self.counts.len() as u32;
        self.add(Point { at: world.now, running, least, median, most });
    }

    fn add(&mut self, point: Point) {
        self.each = self.each.max(1);
        self.samples += 1;
        match self.points.last_mut() {
            Some(last) if !self.samples.is_multiple_of(self.each) => *last = merged(*last, point),
            _ => self.points.push(point),
        }
        if self.points.len() > POINTS_MAX {
            let pairs = self.points.chunks(2);
            self.points = pairs.map(|pair| merged(pair[0], pair[pair.len() - 1])).collect();
            self.each *= 2;
        }
    }

    /// The drawing.
    pub(crate) fn svg(&self, title: &str) -> String {
        let most = self.points.iter().map(|point| point.most.max(point.running)).max().unwrap_or(1);
        let begin = self.points.first().map_or(0, |point| point.at);
        let end = self.points.last().map_or(SECOND, |point| point.at);
        let scale = Scale { begin, span: (end - begin).max(SECOND), most: f64::from(most.max(1)) };
        let mut out = String::new();
        // A `String` cannot fail.
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
             <title>{title}</title>\n{STYLE}<text x=\"16\" y=\"26\" font-weight=\"600\">{title}</text>\n"
        );
        legend(&mut out);
        scale.axes(&mut out);
        let mut span = self.line(&scale, |point| point.most);
        span.extend(self.line(&scale, |point| point.least).into_iter().rev());
        let _ = writeln!(out, "<polygon class=\"span\" points=\"{}\"/>", span.join(" "));
        let lines = [
            ("median", self.line(&scale, |point| point.median)),
            ("running", self.line(&scale, |point| point.running)),
        ];
        for (class, line) in lines {
            let _ = writeln!(out, "<polyline class=\"{class}\" points=\"{}\"/>", line.join(" "));
        }
        out + "</svg>\n"
    }

    /// The places of a line, without those that it would pass through anyway.
    fn line(&self, scale: &Scale, value: fn(&Point) -> u32) -> Vec<String> {
        let points = &self.points;
        let bends = |at: usize| {
            let near = at.saturating_sub(1)..(at + 2).min(points.len());
            near.len() < 3 || points[near].iter().any(|p| value(p) != value(&points[at]))
        };
        let bends = (0..points.len()).filter(|at| bends(*at));
        bends.map(|at| scale.place(points[at].at, value(&points[at]))).collect()
    }
}

/// Both in one, with the extremes of both.
fn merged(one: Point, other: Point) -> Point {
    Point { least: one.least.min(other.least), most: one.most.max(other.most), ..other }
}

fn legend(out: &mut String) {
    let entries = [
        (16.0, "running", "nodes that run"),
        (196.0, "median", "seen, median node"),
        (396.0, "span", "least to most seen"),
    ];
    for (x, class, text) in entries {
        let mark = if class == "span" {
            format!("<rect class=\"span\" x=\"{x}\" y=\"40\" width=\"28\" height=\"14\"/>")
        } else {
            format!("<path class=\"{class}\" d=\"M{x} 47h28\"/>")
        };
        let _ = writeln!(out, "{mark}<text x=\"{}\" y=\"52\">{text}</text>", x + 36.0);
    }
}

/// From times and numbers of members to places.
struct Scale {
    begin: Micros,
    span: Micros,
    most: f64,
}

impl Scale {
    fn x(&self, at: Micros) -> f64 {
        LEFT + (at - self.begin) as f64 / self.span as f64 * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, members: f64) -> f64 {
        HEIGHT - BOTTOM - members / self.most * (HEIGHT - TOP - BOTTOM)
    }

    fn place(&self, at: Micros, members: u32) -> String {
        format!("{:.1},{:.1}", self.x(at), self.y(f64::from(members)))
    }

    fn axes(&self, out: &mut String) {
        let step = round_step(self.most / 5.0);
        let mut members = 0.0;
        while members <= self.most {
            let (y, right) = (self.y(members), WIDTH - RIGHT);
            let _ = writeln!(
                out,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>\
                 <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{members}</text>",
                LEFT - 8.0,
                y + 5.0
            );
            members += step;
        }
        let (unit, unit_s) = match self.span / SECOND {
            0..600 => ("s", 1.0),
            600..36_000 => ("min", 60.0),
            _ => ("h", 3_600.0),
        };
        let whole = self.span as f64 / SECOND as f64 / unit_s;
        let step = round_step(whole / 6.0);
        let mut time = 0.0;
        while time <= whole {
            let at = self.begin + (time * unit_s * SECOND as f64) as Micros;
            let (x, bottom) = (self.x(at.min(self.begin + self.span)), HEIGHT - BOTTOM);
            let _ = writeln!(
                out,
                "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/>\
                 <text x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{time}</text>",
                bottom + 22.0
            );
            time += step;
        }
        let (middle, low) = ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 16.0);
        let _ = writeln!(
            out,
            "<text x=\"{middle}\" y=\"{low}\" text-anchor=\"middle\">time ({unit})</text>\n\
             <text transform=\"translate(18 {:.0}) rotate(-90)\" text-anchor=\"middle\">members</text>",
            (TOP + HEIGHT - BOTTOM) / 2.0
        );
    }
}

/// The next number of 1, 2 or 5 times a power of ten, at least 1.
fn round_step(least: f64) -> f64 {
    let mut power = 1.0;
    loop {
        for factor in [1.0, 2.0, 5.0] {
            if factor * power >= least {
                return factor * power;
            }
        }
        power *= 10.0;
    }
}
