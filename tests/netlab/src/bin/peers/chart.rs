//! Bars for the largest fleet: one panel a figure, one bar an agent, narrow, for light and dark.

use std::fmt::Write as _;

use crate::Figures;
use crate::report::{SHOWN_NODES, median};

const WIDTH: f64 = 360.0;
const BAR: f64 = 18.0;
const NAME_WIDTH: f64 = 52.0;
/// Room to the right of the longest bar, for its number.
const NUMBER_WIDTH: f64 = 74.0;

const STYLE: &str = "<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
rect { fill: #9aa4af; }
.midge { fill: #0969da; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  rect { fill: #59636e; }
  .midge { fill: #4493f8; }
}
</style>
";

/// What a panel shows of an agent.
type Read = fn(&Figures) -> f64;

/// Title, unit, decimals and figure of each panel. Less is better in all of them.
const PANELS: [(&str, &str, usize, Read); 5] = [
    ("Sent a node while idle", "B/s", 0, |figures| figures.idle.bytes),
    ("Resident memory", "KiB", 0, |figures| figures.idle.resident as f64),
    ("Processor time a minute", "ms", 0, |figures| figures.idle.cpu_ms),
    ("Started at once: all agree", "s", 1, |figures| median(&figures.agree).as_secs_f64()),
    ("A crash is known to all", "s", 1, |figures| median(&figures.crash).as_secs_f64()),
];

pub(crate) fn svg(all: &[Figures]) -> String {
    let shown: Vec<&Figures> = all.iter().filter(|figures| figures.nodes == SHOWN_NODES).collect();
    let mut body = String::new();
    let mut y = 20.0;
    let _ = writeln!(body, "<text x=\"0\" y=\"{y}\">{SHOWN_NODES} nodes; less is better</text>");
    for (title, unit, decimals, read) in PANELS {
        y += 30.0;
        let _ = writeln!(body, "<text class=\"title\" x=\"0\" y=\"{y}\">{title}</text>");
        y += 8.0;
        let largest = shown.iter().map(|figures| read(figures)).fold(f64::MIN_POSITIVE, f64::max);
        for figures in &shown {
            bar(
                &mut body,
                y,
                figures,
                read(figures) / largest,
                &format!("{:.decimals$} {unit}", read(figures)),
            );
            y += BAR + 4.0;
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {0}\" width=\"{WIDTH}\" height=\"{0}\" \
         role=\"img\" aria-label=\"midge, foca and serf at {SHOWN_NODES} nodes\">\n{STYLE}{body}</svg>\n",
        y + 10.0
    )
}

fn bar(body: &mut String, y: f64, figures: &Figures, part: f64, number: &str) {
    // One that is too short to see is still a bar.
    let width = (part * (WIDTH - NAME_WIDTH - NUMBER_WIDTH)).max(1.0);
    let base = y + BAR - 5.0;
    let _ = writeln!(
        body,
        "<text x=\"0\" y=\"{base}\">{0}</text><rect class=\"{0}\" x=\"{NAME_WIDTH}\" y=\"{y}\" width=\"{width:.1}\" \
         height=\"{BAR}\" rx=\"2\"/><text x=\"{1:.1}\" y=\"{base}\">{number}</text>",
        figures.kind,
        NAME_WIDTH + width + 6.0
    );
}
