//! The committed budgets.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::Result;

/// The greatest allowed value of each measured name, bytes.
#[derive(Debug, PartialEq)]
pub(crate) struct Budget(BTreeMap<String, u64>);

impl Budget {
    pub(crate) fn read(path: &str) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
        Self::parse(&text).map_err(|e| format!("{path}: {e}"))
    }

    /// Lines of `key = number`, where the number may have `_` between digits; `#` begins a comment.
    fn parse(text: &str) -> Result<Self> {
        let mut budgets = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (key, value) =
                line.split_once('=').ok_or(format!("line {}: not `key = bytes`", at + 1))?;
            let (key, value) = (key.trim(), value.trim().replace('_', ""));
            let value = value.parse().map_err(|_| format!("line {}: not a number", at + 1))?;
            if budgets.insert(key.to_string(), value).is_some() {
                return Err(format!("line {}: {key} is there twice", at + 1));
            }
        }
        Ok(Self(budgets))
    }

    /// Prints every measured value against its budget; false if any was not kept.
    pub(crate) fn compare(&self, measured: &[(String, u64)], report: &mut String) -> bool {
        let mut kept = true;
        let _ = writeln!(report, "{:<24} {:>9} {:>9}", "bytes", "measured", "budget");
        for (name, value) in measured {
            let (budget, verdict) = match self.0.get(name) {
                Some(budget) if value <= budget => (budget.to_string(), ""),
                Some(budget) => (budget.to_string(), "  OVER BUDGET"),
                None => ("-".to_string(), "  NO BUDGET"),
            };
            kept &= verdict.is_empty();
            let _ = writeln!(report, "{name:<24} {value:>9} {budget:>9}{verdict}");
        }
        for (name, budget) in &self.0 {
            if !measured.iter().any(|(measured, _)| measured == name) {
                kept = false;
                let _ = writeln!(report, "{name:<24} {:>9} {budget:>9}  NOT MEASURED", "-");
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(budget: &str, measured: &[(&str, u64)]) -> (bool, String) {
        let measured: Vec<_> = measured.iter().map(|(k, v)| (k.to_string(), *v)).collect();
        let mut report = String::new();
        let kept = Budget::parse(budget).unwrap().compare(&measured, &mut report);
        (kept, report)
    }

    #[test]
    fn a_value_at_its_budget_is_kept_and_one_above_is_not() {
        let budget = "# sizes\na.file = 90_112 # all of it\n\nb = 7\n";
        assert!(compare(budget, &[("a.file", 90_112), ("b", 7)]).0);
        let (kept, report) = compare(budget, &[("a.file", 90_113), ("b", 7)]);
        assert!(!kept);
        assert!(report.contains("OVER BUDGET"), "{report}");
    }

    #[test]
    fn a_missing_budget_and_a_missing_value_fail() {
        let (kept, report) = compare("a = 1", &[("a", 1), ("b", 1)]);
        assert!(!kept && report.contains("NO BUDGET"), "{report}");
        let (kept, report) = compare("a = 1\nb = 1", &[("a", 1)]);
        assert!(!kept && report.contains("NOT MEASURED"), "{report}");
    }

    #[test]
    fn what_is_not_a_budget_is_an_error_that_names_the_line() {
        assert_eq!(Budget::parse("a = 1\nb"), Err("line 2: not `key = bytes`".into()));
        assert_eq!(Budget::parse("a = many"), Err("line 1: not a number".into()));
        assert_eq!(Budget::parse("a = 1\na = 2"), Err("line 2: a is there twice".into()));
    }
}
