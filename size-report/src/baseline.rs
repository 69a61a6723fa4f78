//! What has changed since the committed baseline. It is for those who change code: nothing fails
//! by it, and another toolchain has another one.

use std::fmt::Write as _;

use crate::Result;
use crate::figures::Figures;

const HEADING: &str = "\
# Where the bytes were when this was written: `make size` shows what differs, and
# `make size BASELINE=write` writes it again.
";

/// Prints the rows that differ.
pub(crate) fn compare(before: &Figures, now: &Figures, report: &mut String) {
    let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| before.get(*name) != now.get(*name));
    if names.is_empty() {
        let _ = writeln!(report, "nothing has changed since the baseline\n");
        return;
    }
    let (heading, was, is) = ("since the baseline", "was", "is");
    let _ = writeln!(report, "{heading:<40} {was:>9} {is:>9} {:>9}", "change");
    for name in names {
        let (was, is) = (before.get(name), now.get(name));
        let change =
            is.copied().unwrap_or(0).cast_signed() - was.copied().unwrap_or(0).cast_signed();
        let text = |value: Option<&u64>| value.map_or("-".to_string(), u64::to_string);
        let _ = writeln!(report, "{name:<40} {:>9} {:>9} {change:>+9}", text(was), text(is));
    }
    report.push('\n');
}

pub(crate) fn write(path: &str, now: &Figures) -> Result<()> {
    let mut text = HEADING.to_string();
    for (name, value) in now {
        let _ = writeln!(text, "{name} = {value}");
    }
    std::fs::write(path, text).map_err(|e| format!("{path}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::parse;

    fn report(before: &str, now: &str) -> String {
        let mut report = String::new();
        compare(&parse(before).unwrap(), &parse(now).unwrap(), &mut report);
        report
    }

    #[test]
    fn rows_that_differ_came_or_went_are_shown_and_no_others() {
        let report = report("same = 1\nless = 30\ngone = 5", "same = 1\nless = 20\nnew = 7");
        let rows: Vec<Vec<&str>> =
            report.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            rows,
            [
                vec!["gone", "5", "-", "-5"],
                vec!["less", "30", "20", "-10"],
                vec!["new", "-", "7", "+7"],
                vec![],
            ]
        );
    }

    #[test]
    fn no_change_is_said() {
        assert!(report("a = 1", "a = 1").starts_with("nothing has changed"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let path = std::env::temp_dir().join(format!("midge-baseline-{}", std::process::id()));
        let path = path.to_str().expect("UTF-8");
        let figures = parse("tiny.section.data-rel-ro = 16\ntiny.file = 170000").unwrap();
        write(path, &figures).unwrap();
        assert_eq!(crate::figures::read(path), Ok(figures));
        std::fs::remove_file(path).unwrap();
    }
}
