//! The scaled fractions in which a segment states the period of a counter and its error, and the
//! fixed-point numbers that products with them are.

/// A number below 1: `numerator / 2^(64 + shift)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fraction {
    /// In units of `2^-(64 + shift)`.
    pub numerator: u64,
    /// By how many bits it is scaled, so that a small number keeps its digits.
    pub shift: u8,
}

impl Fraction {
    /// `self * count * unit`, rounded up: greater than the product by a unit of the result at most,
    /// and 0 only if the product is. `unit` is below 2^30, so that the product is below 2^94.
    #[inline(never)]
    pub(super) fn times(self, count: u64, unit: u32) -> Fixed {
        let product = u128::from(self.numerator) * u128::from(count);
        // One half after the other: with the unit the product has up to 158 bits.
        let low = u128::from(product as u64) * u128::from(unit);
        let high = (product >> 64) * u128::from(unit) + (low >> 64);
        let scaled = (high << Fixed::BITS) | u128::from(low as u64 >> Fixed::BITS);
        let down = scaled.checked_shr(self.shift.into()).unwrap_or(0);
        Fixed(down + u128::from(product != 0))
    }
}

/// A number that is not negative, below 2^94, in units of 2^-32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fixed(pub(super) u128);

impl Fixed {
    /// So many of its bits are behind the point.
    const BITS: u32 = 32;

    /// `count * ratio / 10^9`, rounded up.
    pub(super) const fn billionths(count: u64, ratio: u32) -> Self {
        const BILLION: u64 = 1_000_000_000;
        let rest = count % BILLION * ratio as u64;
        let whole = (count / BILLION) as u128 * ratio as u128 + (rest / BILLION) as u128;
        let part = ((rest % BILLION) << Self::BITS).div_ceil(BILLION);
        Self((whole << Self::BITS) + part as u128)
    }

    /// A whole number.
    pub(super) const fn whole(number: u64) -> Self {
        Self((number as u128) << Self::BITS)
    }

    /// A unit less, but not less than 0: what a product was before it was rounded up.
    pub(super) const fn unit_less(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// What is behind the point, in units of 2^-32.
    pub(super) const fn part(self) -> u32 {
        self.0 as u32
    }

    /// `self * part / 2^32`, rounded up.
    pub(super) const fn scaled(self, part: u32) -> Self {
        Self((self.0 * part as u128).div_ceil(1 << Self::BITS))
    }

    /// Rounded down to a whole number; `None` beyond an i64.
    pub(super) fn floor(self) -> Option<i64> {
        i64::try_from(self.0 >> Self::BITS).ok()
    }

    /// Rounded up to a whole number; `None` beyond an i64.
    pub(super) fn ceil(self) -> Option<i64> {
        Self(self.0 + u128::from(u32::MAX)).floor()
    }
}
