//! The committed budgets.

use std::fmt::Write as _;

use crate::figures::Figures;

/// Prints every measured value against its budget, the greatest that is allowed; false if any was
/// not kept.
pub(crate) fn compare(budgets: &Figures, measured: &Figures, report: &mut String) -> bool {
    let mut kept = true;
    let _ = writeln!(report, "{:<24} {:>9} {:>9}", "bytes", "measured", "budget");
    for (name, value) in measured {
        let (budget, verdict) = match budgets.get(name) {
            Some(budget) if value <= budget => (budget.to_string(), ""),
            Some(budget) => (budget.to_string(), "  OVER BUDGET"),
            None => ("-".to_string(), "  NO BUDGET"),
        };
        kept &= verdict.is_empty();
        let _ = writeln!(report, "{name:<24} {value:>9} {budget:>9}{verdict}");
    }
    for (name, budget) in budgets {
        if !measured.contains_key(name) {
            kept = false;
            let _ = writeln!(report, "{name:<24} {:>9} {budget:>9}  NOT MEASURED", "-");
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use crate::figures::parse;

    fn compare(budgets: &str, measured: &str) -> (bool, String) {
        let mut report = String::new();
        let (budgets, measured) = (parse(budgets).unwrap(), parse(measured).unwrap());
        let kept = super::compare(&budgets, &measured, &mut report);
        (kept, report)
    }

    #[test]
    fn a_value_at_its_budget_is_kept_and_one_above_is_not() {
        let budget = "# sizes\na.file = 90_112 # all of it\n\nb = 7\n";
        assert!(compare(budget, "a.file = 90112\nb = 7").0);
        let (kept, report) = compare(budget, "a.file = 90113\nb = 7");
        assert!(!kept);
        assert!(report.contains("OVER BUDGET"), "{report}");
    }

    #[test]
    fn a_missing_budget_and_a_missing_value_fail() {
        let (kept, report) = compare("a = 1", "a = 1\nb = 1");
        assert!(!kept && report.contains("NO BUDGET"), "{report}");
        let (kept, report) = compare("a = 1\nb = 1", "a = 1");
        assert!(!kept && report.contains("NOT MEASURED"), "{report}");
    }
}
