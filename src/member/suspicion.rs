//! How long a suspicion lasts and how often news is sent: arithmetic of the fleet's size, in
//! integers.

use crate::limits::CONFIRMATIONS;
use crate::time::Duration;

/// `floor(2^16 log2(n))`; `n` of at least 1.
fn log2_q16(n: u32) -> u32 {
    let whole = n.max(1).ilog2();
    // The mantissa in 1..2, as Q31; each squaring yields one more bit of the logarithm.
    let mut mantissa = (u64::from(n.max(1)) << 31) >> whole;
    let mut fraction = 0;
    for _ in 0..16 {
        mantissa = (mantissa * mantissa) >> 31;
        fraction <<= 1;
        if mantissa >= 1 << 32 {
            mantissa >>= 1;
            fraction |= 1;
        }
    }
    (whole << 16) | fraction
}

/// How often a rumour is sent: `ceil(3 log2(n + 1))`, for `n` live rows (SWIM section 4.1).
pub(crate) fn transmit_limit(live: u32) -> u8 {
    // ceil(3 log2 m) = ceil(log2(m^3)), exactly.
    let m = u64::from(live) + 1;
    let ceiling = u64::BITS - (m * m * m - 1).leading_zeros();
    ceiling.max(1) as u8
}

/// Confirmations that are waited for: `min(3, n - 2)`.
pub(crate) fn confirmations_needed(live: u32) -> u32 {
    live.saturating_sub(2).min(CONFIRMATIONS as u32)
}

/// How long a suspicion lasts after this many confirmations of its first accuser (Lifeguard
/// section IV-B).
///
/// The minimum is `period max(1, log10(n + 1))`, the maximum 6 times that. It starts at the
/// maximum and falls with the logarithm of the confirmations: `max - (max - min) log(c + 1) /
/// log(k + 1)`.
pub(crate) fn timeout(period: Duration, live: u32, confirmations: u32) -> Duration {
    /// `2^16 / log2(10)`
    const LOG10_OF_2_Q16: u64 = 19_728;
    let log10_q16 = ((u64::from(log2_q16(live + 1)) * LOG10_OF_2_Q16) >> 16) as u32;
    let minimum = period.scale(log10_q16.max(1 << 16), 1 << 16);
    let needed = confirmations_needed(live);
    if confirmations >= needed {
        return minimum;
    }
    let range = minimum.times(5);
    let shrunk = range.scale(log2_q16(confirmations + 1), log2_q16(needed + 1));
    Duration::from_micros(minimum.as_micros() + range.as_micros() - shrunk.as_micros())
}

/// The minimum alone: what plain SWIM uses.
pub(crate) fn minimum(period: Duration, live: u32) -> Duration {
    timeout(period, live, u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_against_floating_point() {
        for n in (1..70_000_u32).step_by(crate::SHORTER as usize) {
            let exact = f64::from(n).log2() * 65_536.0;
            let ours = f64::from(log2_q16(n));
            assert!(ours <= exact + 1e-6 && exact - ours < 1.5, "{n}: {ours} for {exact}");
        }
    }

    #[test]
    fn transmit_limit_against_floating_point() {
        assert_eq!(transmit_limit(0), 1);
        assert_eq!(transmit_limit(1), 3);
        assert_eq!(transmit_limit(30), 15);
        for live in (1..65_535_u32).step_by(crate::SHORTER as usize) {
            let exact = (3.0 * (f64::from(live) + 1.0).log2()).ceil();
            // Powers of two are where floating point may fall to either side.
            let power = (live + 1).is_power_of_two();
            assert!(power || f64::from(transmit_limit(live)) == exact, "{live}");
            assert!(usize::from(transmit_limit(live)) <= crate::limits::TRANSMITS_MAX);
        }
        assert_eq!(transmit_limit(1_023), 30);
    }

    #[test]
    fn timeouts_of_the_paper() {
        let period = Duration::from_secs(1);
        let ms = |live, confirmations| timeout(period, live, confirmations).as_millis();
        // log10 of ten and less is one period.
        assert_eq!(ms(9, 3), 1_000);
        assert_eq!(ms(9, 0), 6_000);
        assert_eq!(ms(99, 3), 1_999);
        assert_eq!(ms(99, 0), 11_999);
        // log(2)/log(4) is one half.
        assert_eq!(ms(9, 1), 3_500);
        // Two nodes: nobody is there to confirm.
        assert_eq!(ms(2, 0), 1_000);
        assert_eq!(ms(3, 0), 6_000);
        assert_eq!(ms(3, 1), 1_000);
        for live in (0..10_000).step_by(crate::SHORTER as usize) {
            for confirmations in 0..4 {
                assert!(ms(live, confirmations + 1) <= ms(live, confirmations));
                assert!(minimum(period, live) <= timeout(period, live, confirmations));
            }
        }
    }
}
