//! Size budgets.
fn main() {}
